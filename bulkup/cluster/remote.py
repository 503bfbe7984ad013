"""What a worker's upload tasks use in place of the coordinator's limiter and ledger."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from bulkup.cluster.protocol import Channel, Message, of_error, read_error
from bulkup.cluster.queue import Call
from bulkup.engine.pacing import Tail
from bulkup.engine.ports import Fact, Job, PhotoSender, Transfer
from bulkup.engine.retry import Sleep
from bulkup.errors import BulkupError, RunError
from bulkup.source.photos import Photo

LONGER: Final = 3.0
"""A finish that nobody hears of any more is over after so many times the longest one so far …"""

LEAST_S: Final = 1.0
"""… and so many seconds."""

UNKNOWN_S: Final = 20.0
"""… or after so long while there was none."""


class _WorkerLost(Exception):
    """Nobody can tell any more how a finish went."""


@dataclass(slots=True)
class _LastMessage:
    """The last that was said of a finish."""

    message: Message = field(default_factory=dict)


class RemoteSlots:
    """The places of one run's gate that workers hold."""

    def __init__(self, *, clock: Callable[[], float], sleep: Sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._longest_s = 0.0

    async def lend(
        self,
        call: Call,
        channel: Channel,
        said: MemoryObjectReceiveStream[Message],
        wish: Message,
    ) -> None:
        """Lend a place when it is a worker's turn, until it has left it.

        `wish` is the question for it, `said` what the worker says then; its end is the worker's.
        """
        if call.context is None:
            return
        with said:
            async with call.context.limiter.slot() as place:
                go: Message | None = wish if said.statistics().open_send_streams else None
                while go is not None:
                    word = _LastMessage()
                    error: RunError | None = None
                    await place.renew()
                    try:
                        await place.measure(partial(self._finish, call, channel, said, go, word))
                    except _WorkerLost:
                        await self._wait_out(call)
                        return
                    except RunError as failure:
                        error = failure
                    except BulkupError:
                        error = None  # the worker knows it, and what to do then
                    channel.answer(word.message, error=error)
                    go = await _next(said)

    async def _finish(
        self,
        call: Call,
        channel: Channel,
        said: MemoryObjectReceiveStream[Message],
        go: Message,
        word: _LastMessage,
    ) -> None:
        """Let a worker finish a photo, and raise what it has met with."""
        call.finishing = True  # from here on the photo may be there
        channel.answer(go)
        began = self._clock()
        message = await _next(said, among={"tried"})
        if message is None:
            raise _WorkerLost
        word.message = message
        self._longest_s = max(self._longest_s, self._clock() - began)
        if error := message["error"]:
            raise read_error(error)

    async def _wait_out(self, call: Call) -> None:
        """Wait until the server can't be at work on a photo any more that was being finished.

        It works on it still when the photo can be found; it is given as long for that as a photo
        has ever taken, and more. One that is not found within the usual time never came.
        """
        if (context := call.context) is None or (job := call.job) is None:
            return
        for delay in context.recovery.policy.ask_delays(job.photo.size):
            await self._sleep(delay)
            try:
                found = await context.recovery.run(lambda: context.gallery.find([job.md5]))
            except BulkupError:
                continue
            if found.get(job.md5) is not None:
                break
        await self._sleep(max(LEAST_S, LONGER * self._longest_s or UNKNOWN_S))


async def _next(
    said: MemoryObjectReceiveStream[Message], *, among: Collection[str] = ("again",)
) -> Message | None:
    """Return what a worker says next, None where that is nothing of what is expected."""
    try:
        message = await said.receive()
    except anyio.EndOfStream:
        return None
    return message if message["kind"] in among else None


T = TypeVar("T")

_places = count(1)


class RemoteLedger:
    """The coordinator's ledger, for the photo of one call."""

    def __init__(self, channel: Channel, call: int) -> None:
        self._channel = channel
        self._call = call

    async def begin(self, name: str) -> None:
        """Keep a name."""
        await self._channel.ask("begin", call=self._call, name=name)

    async def end(self, name: str) -> None:
        """Forget a name."""
        await self._channel.ask("end", call=self._call, name=name)

    async def learn(self, fact: Fact, value: int) -> None:
        """Keep what was found out about the server."""
        await self._channel.ask("learn", call=self._call, fact=fact, value=value)


class RecordingGallery:
    """A server that notes which content of a file was sent last."""

    def __init__(self, server: PhotoSender) -> None:
        self.sent: tuple[Photo, str] | None = None
        self._server = server

    @property
    def repeats_formats(self) -> bool:
        """Whether a format that is sent again is one format still."""
        return self._server.repeats_formats

    def transfer(
        self,
        job: Job,
        *,
        level: int,
        attempt: int,
        fallback: bool,
        chunk_size: int,
        tail: Callable[[int], int],
    ) -> AbstractAsyncContextManager[Transfer]:
        """Begin an attempt to send a photo."""
        self.sent = (job.photo, job.md5)
        return self._server.transfer(
            job,
            level=level,
            attempt=attempt,
            fallback=fallback,
            chunk_size=chunk_size,
            tail=tail,
        )

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each MD5."""
        return await self._server.find(md5s)

    async def sweep(self, name: str) -> None:
        """Remove the half of a photo that is left under a name of ours."""
        await self._server.sweep(name)


class RemoteLimiter:
    """The coordinator's gate, for the photo of one call; the `tail` is of this worker's line.

    `sent` tells what is sent: what the photo is now, if it is another than it was, and its MD5.
    """

    def __init__(
        self,
        channel: Channel,
        call: int,
        *,
        tail: Tail,
        sent: Callable[[], tuple[list[int] | None, str]],
    ) -> None:
        self.tail = tail
        self._channel = channel
        self._call = call
        self._sent = sent

    @asynccontextmanager
    async def slot(self) -> AsyncIterator["RemoteSlot"]:
        """Have one of the places lent."""
        number = next(_places)
        photo, md5 = self._sent()
        try:
            await self._channel.ask("enter", call=self._call, place=number, photo=photo, md5=md5)
            yield RemoteSlot(self._channel, number)
        finally:
            self._channel.tell("leave", place=number)


class RemoteSlot:
    """A place inside the coordinator's gate."""

    def __init__(self, channel: Channel, number: int) -> None:
        self._channel = channel
        self._number = number
        self._again = False

    async def renew(self) -> None:
        """Let others go first before another try, where the run's gate says so."""
        if self._again:
            await self._channel.ask("again", place=self._number)
        self._again = True

    async def measure(self, finish: Callable[[], Awaitable[T]]) -> T:
        """Return what one try to finish a photo returns, and tell how it went."""
        try:
            result = await finish()
        except BulkupError as error:
            # the answer comes when the run's gate has taken it in, perhaps after a sign of life
            await self._channel.ask("tried", place=self._number, error=of_error(error))
            raise
        self._channel.tell("tried", place=self._number, error=None)
        return result
