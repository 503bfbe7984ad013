"""The gate that finishes pass: as many at once as `pacing` says, measured on their way through.

Knows tasks and the clock, and no server.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from bulkup.errors import Lost, Outage, Transient
from bulkup.pacing import Finishing


class Gate:
    """Lets finishes through in the order they come, never more than the pacing's target."""

    def __init__(self, pacing: Finishing, *, clock: Callable[[], float]) -> None:
        self.pacing = pacing
        self.inside = 0
        self._clock = clock
        self._waiting: deque[anyio.Event] = deque()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold one of the places; how it ends is taken into account."""
        await self._enter()
        began, at_once = self._clock(), self.inside
        try:
            yield
        except (Outage, Lost):
            self.pacing.trouble(at_once=self.inside, now=self._clock())
            raise
        except Transient:
            raise
        else:
            now = self._clock()
            self.pacing.record(now - began, at_once=max(at_once, self.inside), now=now)
        finally:
            self.inside -= 1
            self._let_in()

    async def _enter(self) -> None:
        if self.inside < self.pacing.target and not self._waiting:
            self.inside += 1
            return
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # let in and cancelled at once: the place goes to the next
                self.inside -= 1
                self._let_in()
            else:
                self._waiting.remove(turn)
            raise

    def _let_in(self) -> None:
        while self._waiting and self.inside < self.pacing.target:
            self.inside += 1
            self._waiting.popleft().set()
