"""The number of a server's PHP workers, proven without harm.

Knows one thing of PHP's pools: requests are taken in the order of their arrival. So while `n`
requests keep their workers busy, a light one that arrives after them and is answered before them
proves a worker more. What keeps a worker busy is `pwg.images.exist` with a long list of MD5s that
are none: read-only, nothing is stored (piwigo-api.md, section 9). Noise makes the proof fail; it
never makes it succeed. A worker is busy for a fifth of a second, and no finish runs meanwhile.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import anyio

from bulkup.errors import BulkupError, RunError
from bulkup.piwigo.http import Session
from bulkup.piwigo.sessions import SessionPool
from bulkup.piwigo.wire import Request

BUSY_S: Final = 0.2
MOST_BUSY_S: Final = 0.4
"""Workers that share few processors are busy for longer: then they get less to do."""

TOO_LIGHT_S: Final = 0.04
FIRST_LENGTH: Final = 20_000
MOST_LENGTH: Final = 500_000
"""MD5s in one list: a megabyte, which PHP and databases of today take."""

LINE_LENGTH: Final = 200_000
LEAD_S: Final = 0.02
MOST_LEAD_S: Final = 1.0
TRIES: Final = 2
STEPS: Final = (2, 3, 4, 6, 9, 12, 16, 24, 32)


@dataclass(frozen=True, slots=True)
class _Burden:
    """A request that keeps a worker busy: its length, and how long its bytes take to arrive."""

    length: int
    arrival_s: float


class Census:
    """Counts the workers of one server."""

    def __init__(self, pool: SessionPool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._burden: _Burden | None = None
        self._weighed = False
        self._shared_s = 0.0

    async def count(self, most: int) -> int | None:
        """Return how many workers are proven, up to `most`; None where that can't be told.

        Takes one to five seconds. Raises `RunError` where the log-in fails.
        """
        if await self._weigh() is None:
            return None
        proven, unproven = 1, most + 1
        for workers in [step for step in STEPS if step < most] + [most]:
            if workers <= proven or not await self.prove(workers):
                unproven = min(unproven, max(workers, proven + 1))
                break
            proven = workers
        while unproven - proven > 1:
            middle = (proven + unproven) // 2
            if await self.prove(middle):
                proven = middle
            else:
                unproven = middle
        return proven

    async def prove(self, workers: int) -> bool:
        """Tell whether there are so many workers, as far as that can be told.

        Raises `RunError` where the log-in fails.
        """
        if workers <= 1:
            return True
        burden = await self._weigh()
        for _ in range(TRIES if burden else 0):
            if burden and await self._passes(burden, busy=workers - 1):
                return True
        return False

    async def line_speed(self) -> float | None:
        """Return the bytes a second that the line takes, None where that can't be told.

        Sends some hundred kB that the server reads and forgets. Raises `RunError` as above.
        """
        try:
            async with self._pool.lease() as session:
                light_s = await self._timed(session, _padded(0))
                full_s = await self._timed(session, _padded(LINE_LENGTH))
        except RunError:
            raise
        except BulkupError:
            return None
        return 2 * LINE_LENGTH / max(full_s - light_s, 1e-4)

    async def _weigh(self) -> _Burden | None:
        """Find a request that keeps a worker busy for long enough, once."""
        if not self._weighed:
            self._weighed = True
            try:
                async with self._pool.lease() as session:
                    self._burden = await self._find_burden(session)
            except RunError:
                raise
            except BulkupError:
                self._burden = None
        return self._burden

    async def _find_burden(self, session: Session) -> _Burden | None:
        light_s = await self._timed(session, _padded(0))
        first_s = await self._timed(session, _heavy(FIRST_LENGTH))
        arrived_s = await self._timed(session, _padded(FIRST_LENGTH))
        work_s = max(first_s - arrived_s, 1e-3)
        length = int(min(MOST_LENGTH, FIRST_LENGTH * max(1.0, BUSY_S / work_s)))
        arrival_s = max(0.0, await self._timed(session, _padded(length)) - light_s)
        work_s = await self._timed(session, _heavy(length)) - light_s - arrival_s
        if work_s < TOO_LIGHT_S or arrival_s * 2 > work_s:
            return None
        return _Burden(length, arrival_s)

    async def _timed(self, session: Session, request: Request) -> float:
        """Return how long a request takes; the shorter of two, since the first may connect."""
        times = []
        for _ in range(2):
            began = self._clock()
            await self._pool.send(session, request)
            times.append(self._clock() - began)
        return min(times)

    async def _passes(self, burden: _Burden, *, busy: int) -> bool:
        """Tell whether a light request is answered while `busy` heavy ones are at work."""
        lead_s = LEAD_S + burden.arrival_s * busy
        if lead_s > MOST_LEAD_S:
            return False
        less = min(1.0, MOST_BUSY_S / max(self._shared_s * busy, 1e-9))
        heavy = _heavy(max(FIRST_LENGTH, int(burden.length * less)))
        answered = failed = 0

        async def occupy(session: Session) -> None:
            nonlocal answered, failed
            try:
                await self._pool.send(session, heavy)
            except BulkupError:
                failed += 1
            answered += 1

        passed = False
        async with self._pool.lease() as session:
            began = self._clock()
            async with anyio.create_task_group() as tasks:
                for _ in range(busy):
                    tasks.start_soon(occupy, session)
                await anyio.sleep(lead_s)
                with suppress(BulkupError):
                    await self._pool.knock()
                    passed = answered == 0
            # the heavy ones were waited for: the server would have gone on with them anyway
            self._shared_s = (self._clock() - began) / less / busy
        return passed and not failed


def _heavy(length: int) -> Request:
    return Request("pwg.images.exist", (("md5sum_list", "0 " * length),))


def _padded(length: int) -> Request:
    return Request("pwg.getVersion", (("pad", "0 " * length),))
