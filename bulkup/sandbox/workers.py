"""A pool of PHP workers: each request takes one, and finishing a photo needs a second one.

It knows only time and turns; requests, photos and HTTP are unknown here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Where the second worker does not come, Piwigo asks a second and a third way.
_SELF_REQUESTS = 3
_SLICES = 8


class Workers:
    """Takes requests in order of arrival; `count` None is a pool without end."""

    def __init__(
        self, *, count: int | None, cpus: int | None, finish_s: float, gateway_timeout_s: float
    ) -> None:
        self.finishing = 0
        self.finishing_peak = 0
        self._pool = asyncio.Semaphore(count) if count else None
        self._cpu = asyncio.Semaphore(cpus) if cpus else None
        self._finish_s = finish_s
        self._gateway_timeout_s = gateway_timeout_s

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a worker and hold it."""
        if self._pool is None:
            yield
            return
        async with self._pool:
            yield

    async def work(self, seconds: float) -> None:
        """Compute for so long; those who compute at once share the processors in short turns."""
        if seconds <= 0:
            return
        if self._cpu is None:
            await asyncio.sleep(seconds)
            return
        for _ in range(_SLICES):
            async with self._cpu:
                await asyncio.sleep(seconds / _SLICES)

    async def finish(self) -> None:
        """Do what follows the storing of a photo, while holding the worker of its request."""
        self.finishing += 1
        self.finishing_peak = max(self.finishing_peak, self.finishing)
        try:
            await self.work(self._finish_s / 2)
            for _ in range(_SELF_REQUESTS):
                if await self._derivative():
                    break
        finally:
            self.finishing -= 1

    async def _derivative(self) -> bool:
        """Ask the gallery itself for a derivative; False when the web server gave up waiting."""
        try:
            async with asyncio.timeout(self._gateway_timeout_s), self.one():
                await self.work(self._finish_s / 2)
        except TimeoutError:
            return False
        return True
