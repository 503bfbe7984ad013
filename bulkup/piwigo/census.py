"""Measures the number of a server's PHP workers without side effects.

While `n` requests keep workers busy, a light request that arrives after them and is answered
before them proves `n + 1` workers. Workers are kept busy by `pwg.images.exist` with a long list of
unknown MD5s, which is read-only (seen on Piwigo 13 to 17). Since a long list takes time on a slow
connection, everything but the ends of the lists is sent first, then the ends, which take no longer
than a light request. The lists are assumed to have arrived after more time than as many requests
of that length have just taken over the same connections. Meanwhile no other request may start; one
already in flight makes that time longer and the proof safer. Noise makes a proof fail rather than
succeed; a low number, for which an error costs most, is proven twice.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from typing import Final

import anyio
from aiohttp.abc import AbstractStreamWriter

from bulkup.errors import BulkupError, NotOffered
from bulkup.piwigo.multipart import Form, StreamedPayload
from bulkup.piwigo.protocol import Request
from bulkup.piwigo.session import Session, SessionPool

BUSY_S: Final = 0.2
MOST_BUSY_S: Final = 0.4
"""Workers that share few processors are busy for longer; then they get shorter lists."""

AIM: Final = 1.1
CLOSE: Final = 0.8
"""The next guess of a length aims a little above `BUSY_S`. While photos are finished meanwhile,
this part of it is enough: another guess would cost more than it gains."""

TOO_LIGHT_S: Final = 0.04
FIRST_LENGTH: Final = 20_000
MOST_LENGTH: Final = 500_000
"""Maximum MD5s in a list: a megabyte, which PHP and current databases accept."""

LINE_LENGTH: Final = 200_000
MOST_ARRIVAL_S: Final = 1.5
"""If the lists take longer to send, nothing is proven: some servers hold a worker while a request
arrives, and few finishes fill such a slow connection."""

LEAD_S: Final = 0.02
MARGIN: Final = 1.5
TWICE_UP_TO: Final = 4
"""Up to this number of workers, a proof is made twice, and may fail once in between."""

Hold = Callable[[], AbstractAsyncContextManager[object]]

STEPS: Final = (2, 3, 4, 6, 9, 12, 16, 24, 32)


class Census:
    """Measures the number of workers of one server."""

    def __init__(self, pool: SessionPool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self.length: int | None = None
        self._rough = True
        self._offered = True
        self._shared_s = 0.0
        self._too_slow = False  # the connection was too slow for the last proof

    async def count(self, most: int) -> int | None:
        """Return the proven number of workers, up to `most`, or None if it can't be measured.

        Takes one to five seconds, up to twenty on a slow connection.
        """
        if await self._find_list() is None:
            return None
        self._too_slow = False
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
        return None if proven == 1 and self._too_slow else proven

    async def prepare(self, *, anew: bool = False) -> bool:
        """Find a list length that keeps a worker busy; return False if there is none.

        Takes about a second. Photos may be sent meanwhile, but the length is inexact then: if a
        proof fails with it, call this again with `anew` and no other requests.
        """
        if anew and self._rough:
            self.length, self._shared_s = None, 0.0
        return await self._find_list(rough=not anew) is not None

    async def prove(self, workers: int, *, hold: Hold = nullcontext) -> bool | None:
        """Return whether there are this many workers, None if the connection is too slow to know.

        No other request may start while `hold` is held.
        """
        if workers <= 1:
            return True
        if (length := await self._find_list()) is None:
            return None
        self._too_slow = False
        passes, failures = 0, 0
        needed = 2 if workers <= TWICE_UP_TO else 1
        while passes < needed and failures < needed and not self._too_slow:
            passed = await self._passes(length, busy=workers - 1, hold=hold)
            passes += passed
            failures += not passed
        return None if self._too_slow else passes >= needed

    async def line_speed(self) -> float | None:
        """Return the upload speed in bytes a second, None if unknown.

        Sends a few hundred kB, which the server ignores.
        """
        try:
            async with self._pool.lease() as session:
                light_s = await self._timed(session, _padded(0))
                full_s = await self._timed(session, _padded(LINE_LENGTH))
        except BulkupError:
            return None
        return 2 * LINE_LENGTH / max(full_s - light_s, 1e-4)

    async def _find_list(self, *, rough: bool = False) -> int | None:
        """Return the list length that keeps a worker busy for long enough, None if there is none.

        With `rough`, other requests may be in progress.
        """
        if self.length is None and self._offered:
            try:
                async with self._pool.lease() as session:
                    self.length = await self._find_length(session, rough=rough)
                    self._rough = rough
            except NotOffered:
                self._offered = False
            except BulkupError:
                return None
        return self.length

    async def _find_length(self, session: Session, *, rough: bool) -> int | None:
        length, work_s = FIRST_LENGTH, 0.0
        light_s = await self._timed(session, _padded(0), times=4)
        wanted_s = max(BUSY_S, 4 * light_s)
        if rough:
            wanted_s = min(wanted_s, MOST_BUSY_S)
        for _ in range(3):  # the first guesses are inexact
            arrived_s = await self._timed(session, _padded(length))
            work_s = max(await self._timed(session, _heavy(length)) - arrived_s, 1e-3)
            if work_s >= wanted_s * (CLOSE if rough else 1) or length == MOST_LENGTH:
                break
            length = int(min(MOST_LENGTH, length * AIM * wanted_s / work_s))
        return length if work_s >= TOO_LIGHT_S else None

    async def _timed(self, session: Session, request: Request, *, times: int = 2) -> float:
        """Return how long a request takes: the shortest of some, as the first may connect.

        One alone may also have waited for a worker behind a finish.
        """
        seconds = []
        for _ in range(times):
            began = self._clock()
            await self._pool.send(session, request)
            seconds.append(self._clock() - began)
        return min(seconds)

    async def _passes(self, length: int, *, busy: int, hold: Hold) -> bool:
        """Return whether a light request is answered while `busy` heavy ones are processed."""
        less = min(1.0, MOST_BUSY_S / max(self._shared_s * busy, 1e-9))
        length = max(FIRST_LENGTH, int(length * less))
        async with self._pool.lease() as session, AsyncExitStack() as held:
            try:
                await self._pool.send(session, _padded(0))  # logs in if necessary
                await held.enter_async_context(hold())
                # one more than the busy ones, as the ping needs a connection, too
                _, arrival_s = await self._burst(session, _padded(length), busy + 1)
                if arrival_s > MOST_ARRIVAL_S:
                    self._too_slow = True
                    return False
                _, end_s = await self._burst(session, _padded(0), busy + 1)
            except BulkupError:
                return False
            passed, work_s = await self._burst(
                session,
                _heavy(length),
                busy,
                end_after_s=MARGIN * arrival_s,
                ping_after_s=LEAD_S + MARGIN * end_s,
                on_ping=held.aclose,
            )
            self._shared_s = (work_s - end_s) / less / busy
        return passed

    async def _burst(
        self,
        session: Session,
        request: Request,
        times: int,
        *,
        end_after_s: float = 0.0,
        ping_after_s: float | None = None,
        on_ping: Callable[[], Awaitable[None]] | None = None,
    ) -> tuple[bool, float]:
        """Send a request several times at once, their ends some time later.

        Return whether a light request, sent some time after the ends, was answered before all of
        them, and the time from the ends to the last answer. `on_ping` is called after the light
        request.
        """
        end = anyio.Event()
        answered = failed = 0

        async def send() -> None:
            nonlocal answered, failed
            try:
                await self._pool.send_form(Held(request, until=end), session)
            except BulkupError:
                failed += 1
            answered += 1

        overtook = False
        async with anyio.create_task_group() as tasks:
            for _ in range(times):
                tasks.start_soon(send)
            await anyio.sleep(end_after_s)
            began = self._clock()
            end.set()
            if ping_after_s is not None:
                await anyio.sleep(ping_after_s)
                with suppress(BulkupError):
                    await self._pool.ping()
                    overtook = not answered
                if on_ping is not None:
                    await on_ping()
            # wait for all, as the server would process them anyway
        return overtook and not failed, self._clock() - began


class Held(Form):
    """A request as a form whose end is only sent once an event is set."""

    def __init__(self, request: Request, *, until: anyio.Event) -> None:
        *others, (name, text) = request.fields
        super().__init__((("method", request.method), *others))
        self.add(name, _HeldPayload(text.encode(), until))


class _HeldPayload(StreamedPayload):
    def __init__(self, content: bytes, until: anyio.Event) -> None:
        super().__init__(len(content))
        self._content = content
        self._until = until

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._content)
        await writer.drain()
        await self._until.wait()


def _heavy(length: int) -> Request:
    return Request("pwg.images.exist", (("md5sum_list", "0 " * length),))


def _padded(length: int) -> Request:
    return Request("pwg.getVersion", (("pad", "0 " * length),))
