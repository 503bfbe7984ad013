"""A worker's side of a run: takes batches from the coordinator, reads and sends their photos.

Knows the same parts as a run on one machine, and nothing of Dask. It sends only as long as the
coordinator answers: whoever is not heard any more may have been replaced.
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
from anyio import CancelScope
from anyio.abc import ByteStream, TaskGroup

from bulkup import __version__
from bulkup.chunksize import ChunkSize
from bulkup.cluster.channel import BEAT_S, LEASE_S, Channel, Gone
from bulkup.cluster.far import FarGate, FarMemory, NotingServer
from bulkup.cluster.messages import Message, of_error, of_event
from bulkup.cluster.sight import Unseen, look
from bulkup.cluster.told import Told
from bulkup.cluster.visiting import Unfit, visit
from bulkup.errors import BulkupError, CutShort, Lost, PhotoError, Transient
from bulkup.hands import OwnHands
from bulkup.journey import Job, Journey
from bulkup.pacing import Tail
from bulkup.photos import Photo
from bulkup.piwigo.server import PiwigoServer
from bulkup.recovery import Recovery
from bulkup.uploading import upload

HASHING = 2
"""Photos that are read at once, beside those that are sent."""


def awake_s() -> float:
    """Return the seconds on a clock that goes on, where there is one, while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Hand:
    """One process's part in a run; `name` is what Dask calls the worker."""

    def __init__(self, *, name: str, token: str) -> None:
        self._name = name
        self._token = token
        self._welcome = anyio.Event()
        self._errand: Message = {}
        self._farewell = anyio.Event()
        self._heard_at = 0.0
        self._share: int | None = None
        self._stop = False
        self._holds: dict[int, CancelScope] = {}
        self._folders: dict[Path, str] = {}
        self._queued = 0
        self._begun = anyio.Event()
        self._work: _Work | None = None

    async def work(self, stream: ByteStream, *, ready: Callable[[], None]) -> None:
        """Work until the coordinator says good-bye, or is gone. Raises `Unfit`."""
        unfit: Unfit | None = None
        self._heard_at = awake_s()  # and not before there was a connection
        async with stream, anyio.create_task_group() as tasks:
            channel = Channel(stream)
            told = Told(channel)
            tasks.start_soon(channel.speak)
            tasks.start_soon(self._listen, channel, tasks)
            tasks.start_soon(self._beat, channel, tasks.cancel_scope)
            tasks.start_soon(told.flush_often)
            channel.tell("hello", token=self._token, worker=self._name, version=__version__)
            await self._welcome.wait()
            try:
                async with visit(
                    self._errand,
                    emit=told.tell,
                    share=lambda: self._share,
                    folder=self._folders.get,
                ) as (server, recovery):
                    self._work = _Work(
                        self._errand, channel, told, server, recovery, folders=self._folders
                    )
                    for number in self._holds:
                        tasks.start_soon(self._hold, number)
                    async with anyio.create_task_group() as self._calls:
                        ready()
                        await self._farewell.wait()
                        # nobody sends any more when the sessions are logged out
                        self._calls.cancel_scope.cancel()
            except Unfit as error:
                unfit = error
            tasks.cancel_scope.cancel()
        if unfit is not None:
            raise unfit

    async def turn(self) -> None:
        """Come for a batch; return when the last photo of it is begun."""
        if self._work is None or self._farewell.is_set():
            return
        try:
            orders = await self._work.take()
        except Gone:
            return
        if self._farewell.is_set():
            return
        self._queued += len(orders)
        for order in orders:
            self._calls.start_soon(self._do, order, self._work)
        while self._queued:
            await self._begun.wait()
            self._begun = anyio.Event()

    async def _do(self, order: Message, work: "_Work") -> None:
        async with work.turns["job" in order]:
            self._queued -= 1
            self._begun.set()
            if self._stop:
                work.channel.tell("unbegun", call=order["call"])
            else:
                await work.do(order)

    async def _listen(self, channel: Channel, tasks: TaskGroup) -> None:
        await channel.listen(partial(self._hear, tasks))
        tasks.cancel_scope.cancel()

    async def _beat(self, channel: Channel, scope: CancelScope) -> None:
        """Show that we live, and end everything when nobody answers to that."""
        while (left_s := self._heard_at + LEASE_S - awake_s()) > 0:
            channel.tell("beat", at=awake_s())
            await anyio.sleep(min(BEAT_S, left_s))
        scope.cancel()

    def _hear(self, tasks: TaskGroup, message: Message) -> None:
        match message["kind"]:
            case "beat":
                self._heard_at = message["at"]
            case "welcome" | "refused":
                self._errand = message
                self._welcome.set()
            case "share":
                self._share = message["limit"]
            case "hold":
                self._holds[message["number"]] = CancelScope()
                if self._work is not None:
                    tasks.start_soon(self._hold, message["number"])
            case "go":
                if scope := self._holds.pop(message["number"], None):
                    scope.cancel()
            case "stop":
                self._stop = True
            case "bye":
                self._farewell.set()

    async def _hold(self, number: int) -> None:
        """Send nothing until the coordinator lets us go on."""
        if self._work is None or number not in self._holds:
            return
        with self._holds[number]:
            async with self._work.recovery.quiet():
                self._work.channel.tell("still", number=number)
                await anyio.sleep_forever()


class _Work:
    """What is done with photos, once the worker is logged in."""

    def __init__(
        self,
        errand: Message,
        channel: Channel,
        told: Told,
        server: PiwigoServer,
        recovery: Recovery,
        *,
        folders: dict[Path, str],
    ) -> None:
        self.channel = channel
        self.recovery = recovery
        self.turns = (anyio.CapacityLimiter(HASHING), anyio.CapacityLimiter(errand["concurrency"]))
        self._told = told
        self._server = server
        self._folders = folders
        self._tail = Tail()
        self._chunk_size = ChunkSize(
            server.offer.chunk_size,
            wish=errand["chunk_size"],
            ceiling=errand["ceiling"],
            grows=server.method.name != "legacy",
        )
        self._remarks: list[tuple[str, str]] = []

    async def take(self) -> list[Message]:
        """Return what is to be done; of what a lost worker has begun the server is asked first."""
        orders: list[Message] = await self.channel.ask("take")
        again = [o["job"] for o in orders if "job" in o and o["job"]["lost"] == "begun"]
        if again:
            try:
                md5s = {job["md5"] for job in again}
                found = await self.recovery.run(lambda: self._server.find(md5s))
            except (Transient, PhotoError):
                return orders
            for job in again:
                if found.get(job["md5"], 0) is None:
                    job["lost"] = None
        return orders

    async def do(self, order: Message) -> None:
        """Read or send a photo, and tell what has come of it."""
        number = order["call"]
        doubtful: dict[str, int] = {}
        told: Message
        try:
            photo = await look(order)
            work = self._send if "job" in order else self._read
            answer = await work(order, photo, doubtful)
        except Unseen as error:
            self.channel.tell("unseen", call=number, reason=str(error))
            return
        except Gone:
            return
        except BulkupError as error:
            outcome, told = "failed", {"error": of_error(error)}
        except Exception:  # noqa: BLE001 (whatever it is, it is told where the user sees it)
            outcome, told = "broken", {"trace": traceback.format_exc()}
        else:
            outcome, told = "done", answer
        self._told.flush()
        self._tell_remarks()
        self.channel.tell(outcome, call=number, doubtful=doubtful, **told)

    async def _read(self, order: Message, photo: Photo, doubtful: dict[str, int]) -> Message:
        del doubtful
        tell = partial(self._told.tell, call=order["call"])
        now, md5 = await OwnHands().fingerprint(photo, emit=tell)
        return {"photo": _changed(now, photo), "md5": md5, "event": None}

    async def _send(self, order: Message, photo: Photo, doubtful: dict[str, int]) -> Message:
        number, told = order["call"], order["job"]
        job = Job(
            photo,
            told["md5"],
            album=told["album"],
            level=told["level"],
            replaces=told["replaces"],
            format_of=told["format_of"],
        )
        if order["changed"]:
            now, md5 = await OwnHands().fingerprint(photo)
            job = replace(job, photo=now, md5=md5)
        server = NotingServer(self._server)

        def sent() -> tuple[list[int] | None, str]:
            now, md5 = server.sent or (photo, job.md5)
            return _changed(now, photo), md5

        journey = Journey(
            server=server,
            memory=FarMemory(self.channel, number),
            recovery=self.recovery,
            gate=FarGate(self.channel, number, tail=self._tail, sent=sent),
            chunk_size=self._chunk_size,
            emit=partial(self._told.tell, call=number),
            clock=time.monotonic,
            level=told["level"],
            doubtful=doubtful,
        )
        self._folders[photo.path] = told["folder"]
        try:
            done, event = await upload(job, journey, lost=_lost(told["lost"]))
        finally:
            self._folders.pop(photo.path, None)
        return {"photo": _changed(done.photo, photo), "md5": done.md5, "event": of_event(event)}

    def _tell_remarks(self) -> None:
        """Tell what is to be remarked at the end of the run, when that has changed."""
        remarks = list(self._server.captions.remarks())
        if remarks != self._remarks:
            self._remarks = remarks
            self.channel.tell("remarks", remarks=remarks)


def _changed(now: Photo, photo: Photo) -> list[int] | None:
    """Return what a photo is now, None if that is what it was: times differ between machines."""
    return None if now == photo else [now.size, now.mtime_ns]


def _lost(how: str | None) -> Transient | None:
    """Return how the attempt of a lost worker ended."""
    if how is None:
        return None
    return (Lost if how == "finishing" else CutShort)("the worker that sent it was lost")
