"""Finishes on workers as the run's own gate sees them: it decides, and measures how they go.

Knows the gate, and what a worker says of a finish. A place in the gate is lent to a worker for one
photo. It is given back when the worker says so; where the worker is lost, when the server can't
be at work on that photo any more.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from bulkup.cluster.channel import Channel
from bulkup.cluster.messages import Message, read_error
from bulkup.cluster.waiting import Call
from bulkup.errors import BulkupError, RunError
from bulkup.recovery import Sleep

LONGER: Final = 3.0
"""A finish that nobody hears of any more is over after so many times the longest one so far …"""

LEAST_S: Final = 1.0
"""… and so many seconds."""

UNKNOWN_S: Final = 20.0
"""… or after so long while there was none."""


class _Unheard(Exception):
    """Nobody can tell any more how a finish went."""


@dataclass(slots=True)
class _Word:
    """The last that was said of a finish."""

    message: Message = field(default_factory=dict)


class Places:
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
        if call.journey is None:
            return
        with said:
            async with call.journey.gate.place() as place:
                go: Message | None = wish if said.statistics().open_send_streams else None
                while go is not None:
                    word = _Word()
                    error: RunError | None = None
                    await place.renew()
                    try:
                        await place.measure(partial(self._finish, call, channel, said, go, word))
                    except _Unheard:
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
        word: _Word,
    ) -> None:
        """Let a worker finish a photo, and raise what it has met with."""
        call.finishing = True  # from here on the photo may be there
        channel.answer(go)
        began = self._clock()
        message = await _next(said, among={"tried"})
        if message is None:
            raise _Unheard
        word.message = message
        self._longest_s = max(self._longest_s, self._clock() - began)
        if error := message["error"]:
            raise read_error(error)

    async def _wait_out(self, call: Call) -> None:
        """Wait until the server can't be at work on a photo any more that was being finished.

        It works on it still when the photo can be found; it is given as long for that as a photo
        has ever taken, and more. One that is not found within the usual time never came.
        """
        if (journey := call.journey) is None or (job := call.job) is None:
            return
        for delay in journey.recovery.policy.ask_delays(job.photo.size):
            await self._sleep(delay)
            try:
                found = await journey.recovery.run(lambda: journey.server.find([job.md5]))
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
