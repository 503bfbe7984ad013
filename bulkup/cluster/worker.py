"""A worker's side: logs in, takes photos from the coordinator, fingerprints and uploads them."""

import asyncio
import os
import threading
import time
import traceback
from bisect import bisect
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import CancelledError, Future, wait
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, partial
from pathlib import Path
from ssl import SSLContext
from stat import S_ISREG
from tempfile import mkstemp
from typing import Final

import anyio
from anyio import CancelScope, to_thread
from anyio.abc import ByteStream, TaskGroup
from distributed import get_worker

from bulkup import __version__
from bulkup.app.credentials import read_api_key, read_secret_file
from bulkup.app.gallery import open_gallery
from bulkup.app.settings import Account
from bulkup.cluster.protocol import (
    BEAT_S,
    LEASE_S,
    Channel,
    EventBatcher,
    Gone,
    Message,
    of_error,
    of_event,
    read_labels,
)
from bulkup.cluster.remote import RecordingGallery, RemoteLedger, RemoteLimiter
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.executor import LocalExecutor
from bulkup.engine.pacing import Tail
from bulkup.engine.ports import Job, UploadContext
from bulkup.engine.retry import Recovery
from bulkup.engine.upload import upload
from bulkup.errors import AnswerLost, BulkupError, PhotoError, SendInterrupted, Transient
from bulkup.events import Emit
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.multipart import Throttle
from bulkup.source.photos import Photo
from bulkup.source.sidecars import Describer

FIRST: Final = int(datetime(1901, 12, 14, tzinfo=UTC).timestamp())
LAST: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
WEEK_S: Final = 7 * 86400
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Table = Sequence[Sequence[int]]
"""From which second of the epoch on a zone is so many seconds ahead of UTC, in order."""


@cache
def local_zone() -> Table:
    """Return this machine's time zone; it takes some hundredths of a second, once."""
    table = [(FIRST, _ahead_s(FIRST))]
    for second in range(FIRST + WEEK_S, LAST, WEEK_S):
        if (ahead_s := _ahead_s(second)) != table[-1][1]:
            before, after = second - WEEK_S, second
            while after - before > 1:
                middle = (before + after) // 2
                if _ahead_s(middle) == table[-1][1]:
                    before = middle
                else:
                    after = middle
            table.append((after, ahead_s))
    return table


def _ahead_s(second: int) -> int:
    try:
        offset = (EPOCH + timedelta(seconds=second)).astimezone().utcoffset()
    except OSError:  # on Windows, before 1970
        offset = EPOCH.astimezone().utcoffset()
    return round((offset or timedelta()).total_seconds())


class Zone(tzinfo):
    """A zone by its table: it tells what time it is there, and not when a time there was."""

    def __init__(self, table: Table) -> None:
        self._seconds = [second for second, _ in table]
        self._ahead_s = [ahead_s for _, ahead_s in table]

    def fromutc(self, moment: datetime) -> datetime:
        """Return a moment in UTC as it is called there."""
        second = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
        place = max(0, bisect(self._seconds, second) - 1)
        return moment + timedelta(seconds=self._ahead_s[place])

    def utcoffset(self, _moment: datetime | None) -> None:
        """Tell nothing."""

    def dst(self, _moment: datetime | None) -> None:
        """Tell nothing."""

    def tzname(self, _moment: datetime | None) -> None:
        """Tell nothing."""


SAME_NS: Final = 2 * 10**9
"""Times of a file that are no further apart may be one: not all file systems keep it exactly."""


class NotVisible(Exception):
    """This worker does not see the file that is meant."""


async def look(order: Message) -> Photo:
    """Return the photo that is meant, as it is here. Raises `NotVisible`."""
    return await to_thread.run_sync(_look, order)


def _look(order: Message) -> Photo:
    path = Path(order["where"])
    try:
        # a pipe in its place would make an ordinary open wait for its writer
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name"
        raise NotVisible(f"{path}: {reason}") from None
    if not S_ISREG(status.st_mode):
        raise NotVisible(f"{path} is no file there")
    if status.st_size != order["size"] or abs(status.st_mtime_ns - order["mtime_ns"]) > SAME_NS:
        raise NotVisible(f"{path} is another file there, of {status.st_size:,} bytes")
    return Photo(path, status.st_size, status.st_mtime_ns)


class WorkerUnusable(Exception):
    """This worker can take no part in the run, and why."""


@dataclass(frozen=True, slots=True)
class _RetryOptions:
    concurrency: int
    retries: int
    patience_s: float
    ledger: Path | None = None


@asynccontextmanager
async def visit(
    run_settings: Message,
    *,
    emit: Emit,
    share: Callable[[], int | None],
    folder: Callable[[Path], str | None],
) -> AsyncIterator[tuple[PiwigoServer, Recovery]]:
    """Lend the gallery, logged in, and the way to go on when it fails. Raises `WorkerUnusable`.

    `share` tells how many bytes a second this worker may send, `folder` what the coordinator calls
    the folder of a photo.
    """
    if run_settings["kind"] == "refused":
        raise WorkerUnusable(run_settings["reason"])
    labels = read_labels(run_settings["labels"])
    describe = Describer(labels, emit=emit, folder=folder, zone=Zone(run_settings["zone"]))
    async with AsyncExitStack() as stack:
        try:
            account = await to_thread.run_sync(_account, run_settings)
            coming = open_gallery(
                account,
                _RetryOptions(
                    run_settings["concurrency"],
                    run_settings["retries"],
                    run_settings["patience_s"],
                ),
                method=run_settings["method"],
                throttle=Throttle(share),
                describe=describe if labels else None,
                emit=emit,
                clock=time.monotonic,
                sleep=anyio.sleep,
            )
            server, recovery = await stack.enter_async_context(coming)
        except BulkupError as error:
            raise WorkerUnusable(f"{error.message}. {error.hint}".rstrip(". ") + ".") from None
        finally:
            await to_thread.run_sync(_forget, run_settings)
        if server.method.name == "upload" and not server.metadata.can_set:
            raise WorkerUnusable(
                "photos of one name would be mixed up: the gallery lets none be renamed"
            )
        yield server, recovery


def _account(run_settings: Message) -> Account:
    """Return the account to log in with. Raises `WorkerUnusable` if it is unknown."""
    variables = os.environ
    url = variables.get("BULKUP_WORKER_URL") or run_settings["url"]
    account = Account(url=url, ca_cert=_kept(run_settings), insecure=run_settings["insecure"])
    user = run_settings["user"] or variables.get("BULKUP_USER", "")
    if "password" in run_settings:
        return replace(
            account, user=user, password=run_settings["password"], api_key=run_settings["api_key"]
        )
    if key := read_api_key(file=None, variables=variables):
        return replace(account, api_key=key)
    if file := variables.get("BULKUP_PASSWORD_FILE"):
        password = read_secret_file(Path(file), flag="BULKUP_PASSWORD_FILE")
    else:
        password = variables.get("BULKUP_PASSWORD", "")
    if not (user and password):
        raise WorkerUnusable(
            "it has no password of the gallery: set BULKUP_PASSWORD in its environment, or "
            "give the cluster certificates"
        )
    return replace(account, user=user, password=password)


def _kept(run_settings: Message) -> Path | None:
    """Return a file of the certificates to trust, which is read once, None if there are none."""
    if not run_settings["ca_cert"]:
        return None
    descriptor, name = mkstemp(prefix="bulkup-", suffix=".pem")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(run_settings["ca_cert"])
    run_settings["kept"] = name
    return Path(name)


def _forget(run_settings: Message) -> None:
    if name := run_settings.get("kept"):
        Path(name).unlink(missing_ok=True)


HASHING = 2
"""Photos that are read at once, beside those that are sent."""


def awake_s() -> float:
    """Return the seconds on a clock that goes on, where there is one, while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Worker:
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
        """Work until the coordinator says good-bye, or is gone. Raises `WorkerUnusable`."""
        unfit: WorkerUnusable | None = None
        self._heard_at = awake_s()  # and not before there was a connection
        async with stream, anyio.create_task_group() as tasks:
            channel = Channel(stream)
            told = EventBatcher(channel)
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
            except WorkerUnusable as error:
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
        run_settings: Message,
        channel: Channel,
        told: EventBatcher,
        server: PiwigoServer,
        recovery: Recovery,
        *,
        folders: dict[Path, str],
    ) -> None:
        self.channel = channel
        self.recovery = recovery
        self.turns = (
            anyio.CapacityLimiter(HASHING),
            anyio.CapacityLimiter(run_settings["concurrency"]),
        )
        self._told = told
        self._server = server
        self._folders = folders
        self._tail = Tail()
        self._chunk_size = ChunkSize(
            server.offer.chunk_size,
            user_size=run_settings["chunk_size"],
            ceiling=run_settings["ceiling"],
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
        except NotVisible as error:
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
        now, md5 = await LocalExecutor().fingerprint(photo, emit=tell)
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
            now, md5 = await LocalExecutor().fingerprint(photo)
            job = replace(job, photo=now, md5=md5)
        server = RecordingGallery(self._server)

        def sent() -> tuple[list[int] | None, str]:
            now, md5 = server.sent or (photo, job.md5)
            return _changed(now, photo), md5

        context = UploadContext(
            gallery=server,
            ledger=RemoteLedger(self.channel, number),
            recovery=self.recovery,
            limiter=RemoteLimiter(self.channel, number, tail=self._tail, sent=sent),
            chunk_size=self._chunk_size,
            emit=partial(self._told.tell, call=number),
            clock=time.monotonic,
            level=told["level"],
            doubtful=doubtful,
        )
        self._folders[photo.path] = told["folder"]
        try:
            done, event = await upload(job, context, lost=_lost(told["lost"]))
        finally:
            self._folders.pop(photo.path, None)
        return {"photo": _changed(done.photo, photo), "md5": done.md5, "event": of_event(event)}

    def _tell_remarks(self) -> None:
        """Tell what is to be remarked at the end of the run, when that has changed."""
        remarks = list(self._server.metadata.remarks())
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
    return (AnswerLost if how == "finishing" else SendInterrupted)(
        "the worker that sent it was lost"
    )


LOOK_S: Final = 2.0
REACH_S: Final = 20.0
"""How long a connection to the coordinator may take to come about."""

_hands: dict[str, "Thread"] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where a run's workers come to, and what lets them in."""

    host: str
    port: int
    token: str = field(repr=False)


def turn(invitation: Invitation) -> str:
    """Come for a batch; return why this worker is unfit for the run, empty if it is not."""
    worker = get_worker()
    with _lock:
        thread = _hands.get(invitation.token)
        if thread is None or thread.over:
            tls = worker.security.get_connection_args("worker")["ssl_context"]
            encrypted = worker.address.startswith("tls://")
            thread = Thread(invitation, name=worker.address, tls=tls if encrypted else None)
            _hands[invitation.token] = thread
            thread.start()
    try:
        thread.ready.result()
        thread.turn()
    except WorkerUnusable as error:
        return str(error)
    except (CancelledError, asyncio.CancelledError, RuntimeError):
        return ""  # the coordinator is gone, or takes us for gone: it knows what to do
    return ""


class Thread(threading.Thread):
    """The thread of one run in this process."""

    def __init__(self, invitation: Invitation, *, name: str, tls: SSLContext | None) -> None:
        super().__init__(name="bulkup", daemon=True)
        self.ready: Future[None] = Future()
        self._invitation = invitation
        self._hand = Worker(name=name, token=invitation.token)
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self.ready.done() and not self.is_alive()

    def turn(self) -> None:
        """Come for a batch, and wait until the last photo of it is begun."""
        if self._loop is None:
            raise CancelledError
        coming = self._hand.turn()
        try:
            begun = asyncio.run_coroutine_threadsafe(coming, self._loop)
            while not wait((begun,), LOOK_S).done:
                if not self.is_alive():  # nobody would ever tell
                    raise CancelledError
            begun.result()
        finally:
            coming.close()

    def run(self) -> None:
        """Work until the coordinator says good-bye, or is gone."""
        try:
            anyio.run(self._work)
        except WorkerUnusable as error:
            self._give_up(error)
        except OSError as error:
            where = f"{self._invitation.host}:{self._invitation.port}"
            why = str(error) or "no answer"
            self._give_up(WorkerUnusable(f"it can't reach the coordinator at {where}: {why}"))
        finally:
            self._give_up(CancelledError())
            with _lock:
                if _hands.get(self._invitation.token) is self:
                    del _hands[self._invitation.token]

    def _give_up(self, error: BaseException) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        host, port = self._invitation.host, self._invitation.port
        with anyio.fail_after(REACH_S):
            if self._tls is None:
                stream: anyio.abc.ByteStream = await anyio.connect_tcp(host, port)
            else:
                stream = await anyio.connect_tcp(
                    host, port, ssl_context=self._tls, tls_standard_compatible=False
                )
        await self._hand.work(stream, ready=lambda: self.ready.set_result(None))
