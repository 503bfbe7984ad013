"""Limits how many bytes a second go out, over all photos."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

SLICE_S: Final = 1 / 16
"""What goes out at once takes so long at the limit …"""

LEAST: Final = 1024
"""… but is at least so many bytes: at low limits, requests in flight must hear of us."""


class Throttle:
    """One limit for all who send; `limit` tells it in bytes a second, None for none.

    It is asked anew for each slice, so a change holds for those who wait already. Within any time
    no more goes out than the limit allows and two slices; the one before a change counts as then.
    """

    def __init__(
        self,
        limit: Callable[[], int | None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._turn = anyio.Lock()  # whoever comes first is first
        self._free_at = float("-inf")

    async def take(self, wanted: int) -> int:
        """Return how many of so many bytes may go out now, after a wait where need be."""
        if self._limit() is None:
            return wanted
        async with self._turn:
            if (wait_s := self._free_at - self._clock()) > 0:
                await self._sleep(wait_s)
            if (limit := self._limit()) is None:
                return wanted
            taken = min(wanted, max(LEAST, int(limit * SLICE_S)))
            # a sleep may last too long: up to a slice is caught up
            begin = max(self._free_at, self._clock() - SLICE_S)
            self._free_at = begin + taken / limit
            return taken
