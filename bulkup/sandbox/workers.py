"""A pool of PHP workers: each request takes one, and finishing a photo needs a second one."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

DERIVATIVE_SHARE = 0.72
"""The part of a finish that the second worker does: a photo of 8 megapixels on Piwigo 14 to 17."""

# Where the second worker does not come, Piwigo asks a second and a third way.
_SELF_REQUESTS = 3
_TURN_S = 0.005
_REMEMBERED = 100_000
_DECK = 20


class Workers:
    """Takes requests in order of arrival; `count` None is a pool without end.

    `start`: how many there are at first, all by default; as in PHP-FPM's dynamic pool one more
    comes every `grow_s` while requests wait. `cpus`: how many compute at full speed at once.
    `spread`: how far, as a part of it, the cost of a finish or a page may lie from the mean.
    """

    def __init__(
        self,
        *,
        count: int | None,
        start: int | None = None,
        grow_s: float = 1.0,
        cpus: int | None,
        finish_s: float,
        derivative_share: float = DERIVATIVE_SHARE,
        page_s: float = 0.0,
        spread: float = 0.0,
        gateway_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.size = min(start or count, count) if count else None
        self.finishing = 0
        self.finishing_peak = 0
        self.finished_at: deque[float] = deque(maxlen=_REMEMBERED)
        self.freezes = 0
        self.given_up = 0
        self._count = count or 0
        self._grow_s = grow_s
        self._growing: asyncio.TimerHandle | None = None
        self._waiting = 0
        self._pool = asyncio.Semaphore(self.size) if self.size else None
        self._cpu = asyncio.Semaphore(cpus) if cpus else None
        self._finish_s = finish_s
        self._derivative_share = derivative_share
        self._page_s = page_s
        self._pages = _around_one(spread, seed=1)
        self._finishes = _around_one(spread, seed=2)  # the same however many visitors come
        self._gateway_timeout_s = gateway_timeout_s
        self._clock = clock

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a worker and hold it."""
        if self._pool is None:
            yield
            return
        self._waiting += 1
        if self._pool.locked():
            self._grow_later()
        try:
            await self._pool.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._pool.release()

    async def work(self, seconds: float) -> None:
        """Compute for so long; those who compute at once share the processors in short turns."""
        if seconds <= 0:
            return
        if self._cpu is None:
            await asyncio.sleep(seconds)
            return
        now = asyncio.get_running_loop().time
        while seconds > 0:
            async with self._cpu:
                began = now()
                await asyncio.sleep(min(seconds, _TURN_S))
                seconds -= now() - began

    async def page(self) -> None:
        """Make a page, while holding a worker."""
        await self.work(self._page_s * next(self._pages))

    async def finish(self) -> None:
        """Do what follows the storing of a photo, while holding the worker of its request."""
        seconds = self._finish_s * next(self._finishes)
        self.finishing += 1
        self.finishing_peak = max(self.finishing_peak, self.finishing)
        if self.finishing == self.size:  # nobody is left who could serve any of them
            self.freezes += 1
        try:
            await self.work(seconds * (1 - self._derivative_share))
            for _ in range(_SELF_REQUESTS):
                if await self._derivative(seconds * self._derivative_share):
                    break
                self.given_up += 1
        finally:
            self.finishing -= 1
        self.finished_at.append(self._clock())

    async def _derivative(self, seconds: float) -> bool:
        """Ask the gallery itself for a derivative; False when the web server gave up waiting."""
        try:
            async with asyncio.timeout(self._gateway_timeout_s), self.one():
                await self.work(seconds)
        except TimeoutError:
            return False
        return True

    def _grow_later(self) -> None:
        """See after a while whether requests wait for a worker."""
        if self._growing is None and self.size and self.size < self._count:
            self._growing = asyncio.get_running_loop().call_later(self._grow_s, self._grow)

    def _grow(self) -> None:
        self._growing = None
        if self._waiting and self._pool and self.size:
            self.size += 1
            self._pool.release()
            self._grow_later()


def _around_one(spread: float, *, seed: int) -> Iterator[float]:
    """Yield factors as cards of a deck that is shuffled anew each time: any few have mean 1."""
    chance = random.Random(seed)  # noqa: S311 (the same in every run)
    deck = [1 + spread * (2 * card / (_DECK - 1) - 1) for card in range(_DECK)]
    while True:
        chance.shuffle(deck)
        yield from deck
