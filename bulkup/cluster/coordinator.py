"""The coordinator's side: hands photos to connected workers and takes back what became of them.

A photo is with one worker at a time. What a lost worker held waits until that worker can't be
sending any more, and the server is asked for its MD5 before it is sent again.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import anyio
from anyio import CancelScope, to_thread
from anyio.abc import ByteStream, TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from bulkup import __version__
from bulkup.app.executor import RunSettings
from bulkup.cluster.protocol import (
    GONE_S,
    Channel,
    Message,
    PathMap,
    of_labels,
    read_error,
    read_event,
)
from bulkup.cluster.queue import Call, WorkQueue
from bulkup.cluster.remote import RemoteSlots
from bulkup.cluster.worker import local_zone
from bulkup.engine.executor import NotStarted, Stopping
from bulkup.engine.ports import Fact
from bulkup.engine.retry import Sleep
from bulkup.errors import PhotoError, RunError, ServerUnavailable
from bulkup.errors import local as local_failures
from bulkup.events import (
    Emit,
    Event,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoStarted,
    PhotoUploaded,
)
from bulkup.source.photos import Photo


def order(call: Call, *, where: str) -> Message:
    """Return what a worker is told to do; `where` is what it calls the file."""
    told: Message = {
        "call": call.number,
        "where": where,
        "size": call.photo.size,
        "mtime_ns": call.photo.mtime_ns,
        "changed": call.changed,
    }
    if (job := call.job) is not None and call.context is not None:
        told["job"] = {
            "md5": job.md5,
            "folder": call.photo.path.absolute().parent.name,
            "album": job.album,
            "level": call.context.level if job.level is None else job.level,
            "replaces": job.replaces,
            "format_of": job.format_of,
            "lost": "finishing" if call.finishing else "begun" if call.begun else None,
        }
    return told


async def remember(call: Call, message: Message) -> None:
    """Keep what a worker wants kept of a call."""
    if call.context is None:
        return
    ledger = call.context.ledger
    match message["kind"]:
        case "begin":
            await ledger.begin(message["name"])
        case "end":
            await ledger.end(message["name"])
        case "learn":
            await ledger.learn(Fact(message["fact"]), message["value"])


def as_sent(photo: Photo, told: list[int] | None) -> Photo:
    """Return a photo as a worker has found it, if that was otherwise than here."""
    return photo if told is None else replace(photo, size=told[0], mtime_ns=told[1])


def end(call: Call, message: Message) -> None:
    """Give whoever waits for a call what has come of it."""
    if call.context is not None:
        call.context.doubtful.update(message["doubtful"])
    if message["kind"] == "failed":
        call.end(error=read_error(message["error"]))
    elif message["kind"] == "broken":
        call.end(error=RuntimeError(f"on a worker:\n{message['trace']}"))
    else:
        photo, md5 = as_sent(call.photo, message["photo"]), message["md5"]
        if call.job is None:
            call.end((photo, md5))
        else:
            event = read_event(message["event"], path=photo.path)
            if isinstance(event, PhotoUploaded):  # which it is
                event = replace(event, albums=call.job.all_albums)
            call.end((replace(call.job, photo=photo, md5=md5), event))


MOST_SAID: Final = 10_000
"""So many notices are remembered, to say each once."""


@dataclass(eq=False, slots=True)
class Connection:
    """One worker's process: its name, when it was `heard`, and the calls that it has in hand.

    `still` is the last time of holding everybody that it has said to send nothing for; `parting`
    tells that it is not listened to any more.
    """

    channel: Channel
    heard: float
    worker: str = ""
    still: int = 0
    parting: bool = False
    scope: CancelScope = field(default_factory=CancelScope)
    calls: dict[int, Call] = field(default_factory=dict)
    _places: dict[int, MemoryObjectSendStream[Message]] = field(default_factory=dict)
    _share: int | None = None

    @property
    def sends(self) -> bool:
        """Whether it has photos to send, and not only to read."""
        return any(call.job is not None for call in self.calls.values())

    async def expire(self, clock: Callable[[], float], sleep: Sleep) -> None:
        """Part with the worker when it has not been heard for too long."""
        while (left_s := self.heard + GONE_S - clock()) > 0:
            await sleep(left_s)
        self.part()

    def part(self) -> None:
        """Listen to the worker no longer."""
        self.parting = True
        self.scope.cancel()

    def place(self, message: Message) -> MemoryObjectReceiveStream[Message]:
        """Return what the worker will say of a place in the gate that it asks for."""
        say, said = anyio.create_memory_object_stream[Message](4)
        self._places[message["place"]] = say
        return said

    def say(self, message: Message) -> None:
        """Pass on what the worker says of a place."""
        if (say := self._places.get(message["place"])) is not None:
            if message["kind"] != "leave":
                with suppress(anyio.BrokenResourceError):  # nobody waits for that any more
                    say.send_nowait(message)
                return
            del self._places[message["place"]]
            say.close()

    def close(self) -> None:
        """Have it known that nothing more will be said."""
        for say in self._places.values():
            say.close()
        self._places.clear()

    def give(self, share: int | None) -> None:
        """Let the worker send so many bytes a second, None: as many as it can."""
        if share != self._share:
            self._share = share
            self.channel.tell("share", limit=share)


def settings_message(run_settings: RunSettings, *, trusted: bool, ca_cert: str) -> Message:
    """Return what a worker has to know; the secrets among it only if it can be `trusted`.

    `ca_cert` are the certificates that are trusted besides its system's, as text.
    """
    account, sending = run_settings.account, run_settings.sending
    secrets = {"password": account.password, "api_key": account.api_key} if trusted else {}
    return {
        "url": account.url,
        "user": account.user,
        "by_key": bool(account.api_key),
        **secrets,
        "ca_cert": ca_cert,
        "insecure": account.insecure,
        "concurrency": sending.concurrency,
        "method": run_settings.method,
        "retries": sending.retries,
        "patience_s": sending.patience_s,
        "chunk_size": sending.chunk_size,
        "ceiling": run_settings.ceiling,
        "labels": of_labels(run_settings.labels),
        "zone": local_zone(),
    }


class Remarks:
    """What workers tell of themselves, told on as of one machine."""

    def __init__(self, emit: Emit, *, clock: Callable[[], float]) -> None:
        self._emit = emit
        self._clock = clock
        self._said: set[str] = set()
        self._away: dict[Connection, float] = {}
        self._kept: dict[Connection, Sequence[Sequence[str]]] = {}

    def tell(self, link: Connection, event: Event) -> None:
        """Tell of an event that concerns no photo: an outage is one for all workers."""
        match event:
            case OutageBegan():
                if not self._away:
                    self._emit(event)
                self._away.setdefault(link, self._clock())
            case OutageEnded():
                self._back(link)
            case Noticed(message=message):
                if message not in self._said and len(self._said) < MOST_SAID:
                    self._said.add(message)
                    self._emit(event)
            case _:
                self._emit(event)

    def parted(self, link: Connection) -> None:
        """Take in that a worker has gone."""
        self._back(link)

    def _back(self, link: Connection) -> None:
        began = min(self._away.values(), default=0.0)
        if self._away.pop(link, None) is not None and not self._away:
            self._emit(OutageEnded(seconds=self._clock() - began))

    def keep(self, link: Connection, remarks: Sequence[Sequence[str]]) -> None:
        """Keep what a worker would remark at its end, in place of what it said before."""
        self._kept[link] = remarks

    def all(self) -> Iterable[tuple[str, str]]:
        """Return what there is to remark at the end of the run, each thing once."""
        said = {message: hint for told in self._kept.values() for message, hint in told}
        return said.items()


FAREWELL_S: Final = 6.0
"""How long workers get to log out."""


class Coordinator:
    """Hands out what waits to be done; `workers` are those who may come for it."""

    def __init__(
        self,
        run_settings: RunSettings,
        *,
        maps: PathMap,
        trusted: bool,
        ca_cert: str,
        tasks: TaskGroup,
        emit: Emit,
        stop: Stopping,
        clock: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        self.token = secrets.token_hex(16)
        self.workers: Collection[str] = ()
        self.stirred = anyio.Event()
        self.remarks = Remarks(emit, clock=clock)
        self._errand = run_settings
        self._maps = maps
        self._told = settings_message(run_settings, trusted=trusted, ca_cert=ca_cert)
        self._tasks = tasks
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._waiting = WorkQueue()
        self._links: set[Connection] = set()
        self._parted = anyio.Event()
        self._places = RemoteSlots(clock=clock, sleep=sleep)
        self._holds: set[int] = set()
        self._held = 0
        self._stopped = False
        self._failure: RunError | None = None

    async def have_done(self, call: Call) -> Any:  # noqa: ANN401 (what it returns is the call's)
        """Return what comes of a call, or raise that. Raises `NotStarted`."""
        if self._failure is not None:
            raise type(self._failure)(self._failure.failure)
        if self._stop.wanted:
            raise NotStarted("the run comes to its end")
        self._waiting.add(call)
        self.stirred.set()
        try:
            await call.over.wait()
        finally:
            if not call.over.is_set():
                self._waiting.discard(call)
        return call.result()

    def wants(self, worker: str) -> bool:
        """Tell whether there is something for a worker to do."""
        return self._waiting.any_for(worker, self.workers)

    @property
    def busy(self) -> bool:
        """Whether anybody waits for anything to be done."""
        return bool(self._waiting) or any(link.calls for link in self._links)

    @property
    def attended(self) -> bool:
        """Whether any worker is here."""
        return bool(self._links)

    def fail(self, error: RunError) -> None:
        """Have everything fail that waits, now and from now on."""
        self._failure = error
        for call in self._waiting.empty():
            call.end(error=error)
        for link in self._links:
            for call in link.calls.values():
                call.end(error=error)

    def tick(self) -> None:
        """Pass on what nobody tells of when it changes: that the run is to end, and the limit."""
        if self._stop.wanted and not self._stopped:
            self._stopped = True
            for call in self._waiting.empty():
                call.end(error=NotStarted("the run comes to its end"))
            for link in self._links:
                link.channel.tell("stop")
        self._share_out()

    def _share_out(self) -> None:
        """Give the limit in equal shares to those who have photos to send."""
        limit = self._errand.limit()
        senders = sum(link.sends for link in self._links) or len(self._links)
        share = None if limit is None else max(1, limit // max(1, senders))
        for link in self._links:  # also to those who send nothing, before they do
            link.give(share)

    async def dismiss(self) -> None:
        """Send the workers home, which log out."""
        for link in self._links:
            link.channel.tell("bye")
        with anyio.move_on_after(FAREWELL_S):
            while self._links:
                await self._parted.wait()
                self._parted = anyio.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have no worker send anything meanwhile."""
        self._held = number = self._held + 1
        self._holds.add(number)
        for link in self._links:
            link.channel.tell("hold", number=number)
        try:
            yield
        finally:
            self._holds.discard(number)
            for link in self._links:
                link.channel.tell("go", number=number)

    async def still(self) -> None:
        """Return when nothing of the workers is on its way any more."""
        number = self._held
        while any(link.still < number for link in self._links):
            await self._parted.wait()
            self._parted = anyio.Event()

    async def serve(self, stream: ByteStream) -> None:
        """Attend to one worker, from its hello to its end."""
        link = Connection(Channel(stream), heard=self._clock())
        hung_up = False
        async with stream, anyio.create_task_group() as tasks:
            link.scope = tasks.cancel_scope
            tasks.start_soon(link.channel.speak)
            tasks.start_soon(link.expire, self._clock, self._sleep)
            hung_up = await link.channel.listen(partial(self._hear, link))
            tasks.cancel_scope.cancel()
        link.close()
        if link.calls and not hung_up:  # it may not know yet that it has to stop
            await self._sleep(max(0.0, link.heard + GONE_S - self._clock()))
        self._links.discard(link)
        self.remarks.parted(link)
        for call in reversed(link.calls.values()):
            self._again(call, lost=True)
        self._parted.set()
        self.tick()

    def _hear(self, link: Connection, message: Message) -> None:
        link.heard = self._clock()
        kind = message["kind"]
        if not link.worker:
            self._welcome(link, message)
        elif kind == "beat":
            link.channel.tell("beat", at=message["at"])
        elif kind == "take":
            self._hand_out(link, message)
        elif kind == "still":
            link.still = max(link.still, int(message["number"]))
            self._parted.set()
        elif kind == "remarks":
            self.remarks.keep(link, message["remarks"])
        elif kind == "events":
            self._tell_events(link, message)
        elif kind in {"again", "tried", "leave"}:
            link.say(message)
        elif (call := link.calls.get(message["call"])) is not None:
            self._hear_of(call, link, message)

    def _welcome(self, link: Connection, message: Message) -> None:
        """Let a worker in that a task of ours has sent."""
        token = str(message.get("token", "")).encode(errors="replace")
        known = secrets.compare_digest(token, self.token.encode())
        if message["kind"] != "hello" or not known:
            link.channel.tell("refused", reason="it is another run's worker")
        elif message["version"] != __version__:
            reason = f"it has bulkup {message['version']}, and this is {__version__}"
            link.channel.tell("refused", reason=reason)
        else:
            link.worker = str(message["worker"])
            self._links.add(link)
            link.channel.tell("welcome", **self._told)
            for number in self._holds:
                link.channel.tell("hold", number=number)
            if self._stopped:
                link.channel.tell("stop")
            self.tick()

    def _hand_out(self, link: Connection, message: Message) -> None:
        least = self._errand.sending.concurrency
        calls = self._waiting.take(link.worker, self.workers, least=least)
        link.calls |= {call.number: call for call in calls}
        self._share_out()
        link.channel.answer(
            message, [order(call, where=self._maps.there(call.photo.path)) for call in calls]
        )

    def _hear_of(self, call: Call, link: Connection, message: Message) -> None:
        """Take in what a worker says of a photo that it has in hand."""
        match message["kind"]:
            case "enter":
                if call.job is not None:  # the file may have changed on its way
                    photo = as_sent(call.photo, message["photo"])
                    call.job = replace(call.job, photo=photo, md5=message["md5"])
                    call.photo = photo
                self._tasks.start_soon(
                    self._places.lend, call, link.channel, link.place(message), message
                )
            case "begin" | "end" | "learn":
                self._tasks.start_soon(self._remember, call, link, message)
            case "unseen":
                del link.calls[call.number]
                self._waiting.unseen(call, link.worker, message["reason"])
                self._tasks.start_soon(self._look_again, call)
            case "unbegun":
                del link.calls[call.number]
                call.end(error=NotStarted("the run comes to its end"))
            case "failed" if message["error"]["is"] == ServerUnavailable.__name__ and self._others(
                link
            ):
                link.part()  # its own line is down: others get what it has in hand
            case "done" | "failed" | "broken":
                del link.calls[call.number]
                self._waiting.seen(call, link.worker)
                end(call, message)

    def _others(self, link: Connection) -> bool:
        """Tell whether there is anybody but one worker."""
        return any(not (other is link or other.parting) for other in self._links)

    async def _remember(self, call: Call, link: Connection, message: Message) -> None:
        """Keep what a worker wants kept, and tell it when it is."""
        await remember(call, message)
        link.channel.answer(message)

    def _tell_events(self, link: Connection, message: Message) -> None:
        for number, told in message["events"]:
            if number is None:
                self.remarks.tell(link, read_event(told, path=None))
            elif (call := link.calls.get(number)) is not None:
                event = read_event(told, path=call.photo.path)
                call.begun = call.begun or isinstance(event, PhotoStarted)
                call.emit(event)

    async def _look_again(self, call: Call) -> None:
        """Have another worker try that may see the file, or tell that none does."""
        try:
            now = await to_thread.run_sync(call.photo.path.stat)
        except OSError as error:
            call.end(error=PhotoError(local_failures.UNREADABLE(reason=error.strerror)))
            return
        photo = replace(call.photo, size=now.st_size, mtime_ns=now.st_mtime_ns)
        if photo != call.photo:
            call.photo, call.changed = photo, True
            call.unseen.clear()
        elif self.workers and all(worker in call.unseen for worker in self.workers):
            why = next(reversed(call.unseen.values()))
            call.end(error=PhotoError(local_failures.NO_WORKER(reason=why)))
            return
        self._again(call)

    def _again(self, call: Call, *, lost: bool = False) -> None:
        """Have a call wait once more, which a worker has not done."""
        call.begun = call.begun or lost
        if call.over.is_set():
            return
        if self._stop.wanted or self._failure is not None:
            call.end(error=self._failure or NotStarted("the run comes to its end"))
            return
        self._waiting.add(call, first=True)
        self.stirred.set()
