"""A pool of PHP workers on shared processors: a request takes one, a finish a second one."""

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from itertools import count as counter

DERIVATIVE_SHARE = 0.72
"""The part of a finish that the second worker does: a photo of 8 megapixels on Piwigo 14 to 17."""

# Piwigo tries three ways to request a derivative from itself.
_SELF_REQUESTS = 3
_SLEEP_S = 1.0
_HISTORY = 100_000
_DECK_SIZE = 20
_ROUNDING_S = 1e-9


class Processors:
    """Processors shared evenly by all computations; with `count` None, each has its own."""

    def __init__(self, count: int | None) -> None:
        self._count = count
        self._numbers = counter()
        self._jobs: list[tuple[float, int, asyncio.Future[None]]] = []
        self._served_s = 0.0  # processor time that a job would have received since the start
        self._updated_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def compute(self, seconds: float) -> None:
        """Compute for `seconds` of processor time."""
        if seconds <= 0:
            return
        if self._count is None:
            await asyncio.sleep(seconds)
            return
        self._update()
        done = asyncio.get_running_loop().create_future()
        job = (self._served_s + seconds, next(self._numbers), done)
        heapq.heappush(self._jobs, job)
        self._schedule()
        try:
            await done
        finally:
            if job in self._jobs:  # cancelled
                self._update()
                self._jobs.remove(job)
                heapq.heapify(self._jobs)
                self._schedule()

    @property
    def _speed(self) -> float:
        return min(1.0, (self._count or 0) / max(len(self._jobs), 1))

    def _update(self) -> None:
        now = asyncio.get_running_loop().time()
        self._served_s += (now - self._updated_at) * self._speed
        self._updated_at = now

    def _schedule(self) -> None:
        """Wake up when the next job is done."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._jobs:
            left_s = max(self._jobs[0][0] - self._served_s, 0) / self._speed
            self._timer = asyncio.get_running_loop().call_later(left_s, self._end_jobs)

    def _end_jobs(self) -> None:
        self._update()
        while self._jobs and self._jobs[0][0] <= self._served_s + _ROUNDING_S:
            _, _, done = heapq.heappop(self._jobs)
            if not done.done():
                done.set_result(None)
        self._schedule()


@dataclass
class Workers:
    """Serves requests in order of arrival; `count` None is a pool without limit.

    `start` is the initial number of workers, by default all. As in PHP-FPM's dynamic pool, one
    more is started every `grow_s` while requests wait. All workers share `cpus` processors.
    `request_s` is the processor time of any request before its own work. The cost of a finish or
    a page may differ from its mean by a fraction of up to `spread`.
    """

    _: KW_ONLY
    count: int | None
    start: int | None = None
    grow_s: float = 1.0
    cpus: int | None
    request_s: float = 0.0
    finish_s: float
    derivative_share: float = DERIVATIVE_SHARE
    page_s: float = 0.0
    spread: float = 0.0
    gateway_timeout_s: float
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.size = min(self.start or self.count, self.count) if self.count else None
        self.finishing = 0
        self.finishing_peak = 0
        self.finished_at: deque[float] = deque(maxlen=_HISTORY)
        self.freezes = 0
        self.given_up = 0
        self._growing: asyncio.TimerHandle | None = None
        self._waiting = 0
        self._pool = asyncio.Semaphore(self.size) if self.size else None
        self._processors = Processors(self.cpus)
        self._page_factors = _factors(self.spread, seed=1)
        # A separate series, so that page views do not change the cost of finishes.
        self._finish_factors = _factors(self.spread, seed=2)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a worker and hold it."""
        if self._pool is None:
            await self.compute(self.request_s)
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
            await self.compute(self.request_s)
            yield
        finally:
            self._pool.release()

    async def compute(self, seconds: float) -> None:
        """Use `seconds` of processor time, while holding a worker."""
        await self._processors.compute(seconds)

    async def page(self) -> None:
        """Make a page, while holding a worker."""
        await self.compute(self.page_s * next(self._page_factors))

    async def finish(self) -> None:
        """Do what follows the storing of a photo, while holding the worker of its request."""
        seconds = self.finish_s * next(self._finish_factors)
        self.finishing += 1
        self.finishing_peak = max(self.finishing_peak, self.finishing)
        if self.finishing == self.size:  # no worker is left for their requests to the gallery
            self.freezes += 1
        try:
            await self.compute(seconds * (1 - self.derivative_share))
            for _ in range(_SELF_REQUESTS):
                if await self._derivative(seconds * self.derivative_share):
                    break
                self.given_up += 1
        finally:
            self.finishing -= 1
        self.finished_at.append(self.clock())

    async def _derivative(self, seconds: float) -> bool:
        """Request a derivative from the gallery itself; return False after a gateway time-out."""
        try:
            async with asyncio.timeout(self.gateway_timeout_s), self.one():
                await self.compute(seconds)
        except TimeoutError:
            return False
        return True

    def _grow_later(self) -> None:
        """Check after `grow_s` whether requests still wait for a worker."""
        if self._growing is None and self.size and self.count and self.size < self.count:
            self._growing = asyncio.get_running_loop().call_later(self.grow_s, self._grow)

    def _grow(self) -> None:
        self._growing = None
        if self._waiting and self._pool and self.size:
            self.size += 1
            self._pool.release()
            self._grow_later()


class UserCaches:
    """Piwigo's caches of what each account may see; a change of photos invalidates all.

    The next request of an account rebuilds its cache. With `sleeps`, as in 15.7 to 16.4, other
    requests of the account sleep meanwhile; otherwise they rebuild it as well.
    """

    def __init__(self, workers: Workers, *, rebuild_s: float, sleeps: bool) -> None:
        self.slept = 0
        self._workers = workers
        self._rebuild_s = rebuild_s
        self._sleeps = sleeps
        self._valid: set[str] = set()
        self._rebuilding: set[str] = set()

    def invalidate(self) -> None:
        """Empty the caches of all accounts."""
        self._valid.clear()

    async def load(self, account: str) -> None:
        """Provide the cache of an account, while holding a worker."""
        while self._rebuild_s and account not in self._valid:
            if self._sleeps and account in self._rebuilding:
                self.slept += 1
                await asyncio.sleep(_SLEEP_S)
                continue
            self._rebuilding.add(account)
            await self._workers.compute(self._rebuild_s)
            self._rebuilding.discard(account)
            self._valid.add(account)


def _factors(spread: float, *, seed: int) -> Iterator[float]:
    """Yield factors from a deck that is reshuffled when used up: each `_DECK_SIZE` have mean 1."""
    chance = random.Random(seed)  # noqa: S311 (the same in every run)
    deck = [1 + spread * (2 * card / (_DECK_SIZE - 1) - 1) for card in range(_DECK_SIZE)]
    while True:
        chance.shuffle(deck)
        yield from deck
