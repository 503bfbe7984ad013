"""Where workers come to: for photos, for places in the gate, with what became of photos.

Knows what is said to workers and heard of them, and no Dask. All that has to be decided once is
decided here, by the run's own parts: this only passes it on. A photo is in the hands of one worker
at a time: what a lost one held waits until that can't be sending any more, and is then asked for
by its MD5 before it is sent again.
"""

import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

import anyio
from anyio import to_thread
from anyio.abc import ByteStream, TaskGroup

from bulkup import __version__
from bulkup.cluster.channel import GONE_S, Channel
from bulkup.cluster.links import Link, Remarks, errand_message
from bulkup.cluster.maps import Maps
from bulkup.cluster.messages import Message, read_event
from bulkup.cluster.orders import as_sent, end, order, remember
from bulkup.cluster.places import Places
from bulkup.cluster.waiting import Call, Waiting
from bulkup.errors import Away, PhotoError, RunError
from bulkup.events import Emit, PhotoStarted
from bulkup.failures import local
from bulkup.hands import Errand, Stopping, Unbegun
from bulkup.recovery import Sleep

FAREWELL_S: Final = 6.0
"""How long workers get to log out."""


class Desk:
    """Hands out what waits to be done; `workers` are those who may come for it."""

    def __init__(
        self,
        errand: Errand,
        *,
        maps: Maps,
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
        self._errand = errand
        self._maps = maps
        self._told = errand_message(errand, trusted=trusted, ca_cert=ca_cert)
        self._tasks = tasks
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._waiting = Waiting()
        self._links: set[Link] = set()
        self._parted = anyio.Event()
        self._places = Places(clock=clock, sleep=sleep)
        self._holds: set[int] = set()
        self._held = 0
        self._stopped = False
        self._failure: RunError | None = None

    async def have_done(self, call: Call) -> Any:  # noqa: ANN401 (what it returns is the call's)
        """Return what comes of a call, or raise that. Raises `Unbegun`."""
        if self._failure is not None:
            raise type(self._failure)(self._failure.told)
        if self._stop.wanted:
            raise Unbegun("the run comes to its end")
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
                call.end(error=Unbegun("the run comes to its end"))
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
        link = Link(Channel(stream), heard=self._clock())
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

    def _hear(self, link: Link, message: Message) -> None:
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

    def _welcome(self, link: Link, message: Message) -> None:
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

    def _hand_out(self, link: Link, message: Message) -> None:
        least = self._errand.sending.concurrency
        calls = self._waiting.take(link.worker, self.workers, least=least)
        link.calls |= {call.number: call for call in calls}
        self._share_out()
        link.channel.answer(
            message, [order(call, where=self._maps.there(call.photo.path)) for call in calls]
        )

    def _hear_of(self, call: Call, link: Link, message: Message) -> None:
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
                call.end(error=Unbegun("the run comes to its end"))
            case "failed" if message["error"]["is"] == Away.__name__ and self._others(link):
                link.part()  # its own line is down: others get what it has in hand
            case "done" | "failed" | "broken":
                del link.calls[call.number]
                self._waiting.seen(call, link.worker)
                end(call, message)

    def _others(self, link: Link) -> bool:
        """Tell whether there is anybody but one worker."""
        return any(not (other is link or other.parting) for other in self._links)

    async def _remember(self, call: Call, link: Link, message: Message) -> None:
        """Keep what a worker wants kept, and tell it when it is."""
        await remember(call, message)
        link.channel.answer(message)

    def _tell_events(self, link: Link, message: Message) -> None:
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
            call.end(error=PhotoError(local.UNREADABLE(reason=error.strerror)))
            return
        photo = replace(call.photo, size=now.st_size, mtime_ns=now.st_mtime_ns)
        if photo != call.photo:
            call.photo, call.changed = photo, True
            call.unseen.clear()
        elif self.workers and all(worker in call.unseen for worker in self.workers):
            why = next(reversed(call.unseen.values()))
            call.end(error=PhotoError(local.NO_WORKER(reason=why)))
            return
        self._again(call)

    def _again(self, call: Call, *, lost: bool = False) -> None:
        """Have a call wait once more, which a worker has not done."""
        call.begun = call.begun or lost
        if call.over.is_set():
            return
        if self._stop.wanted or self._failure is not None:
            call.end(error=self._failure or Unbegun("the run comes to its end"))
            return
        self._waiting.add(call, first=True)
        self.stirred.set()
