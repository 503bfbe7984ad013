"""A task that does something small again and again while a report is open.

Knows no screen. Stopping it waits for nothing, so it is safe under cancellation.
"""

import asyncio
from collections.abc import Awaitable, Callable

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Ticks:
    """Calls `tick` every `every_s` seconds between `start` and `stop`."""

    def __init__(self, tick: Callable[[], None], *, every_s: float, sleep: Sleep) -> None:
        self._tick = tick
        self._every_s = every_s
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in a task of the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    def stop(self) -> None:
        """End. Raises what `tick` raised meanwhile: that is a bug, not to be lost."""
        task, self._task = self._task, None
        if task is None or task.cancel() or task.cancelled():
            return
        task.result()

    async def _go_on(self) -> None:
        while True:
            await self._sleep(self._every_s)
            self._tick()
