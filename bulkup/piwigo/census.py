"""The number of a server's PHP workers, proven without harm.

So while `n` requests keep their workers busy, a light one that arrives after them and is
answered before them proves a worker more. What keeps a worker busy is `pwg.images.exist` with a
long list of MD5s that are none: read-only, nothing is stored (piwigo-api.md, section 9). A long
list takes its time on a thin line, so the lists are sent but for their ends first, then the
ends, which take no longer than any light request. What was sent is taken to have arrived after
longer than as many requests of that length have just taken there and back, over the same
connections. Meanwhile nobody else may begin to send: what is on its way already makes that time
longer, and so the proof safer. Noise makes it fail rather than succeed; what would be worst to
believe wrongly, few workers, is proven twice.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from typing import Final

import anyio
from aiohttp.abc import AbstractStreamWriter

from bulkup.errors import BulkupError, NotOffered, RunError
from bulkup.piwigo.multipart import Form, StreamedPayload
from bulkup.piwigo.protocol import Request
from bulkup.piwigo.session import Session, SessionPool

BUSY_S: Final = 0.2
MOST_BUSY_S: Final = 0.4
"""Workers that share few processors are busy for longer: then they get less to do."""

TOO_LIGHT_S: Final = 0.04
FIRST_LENGTH: Final = 20_000
MOST_LENGTH: Final = 500_000
"""MD5s in one list: a megabyte, which PHP and databases of today take."""

LINE_LENGTH: Final = 200_000
MOST_ARRIVAL_S: Final = 1.5
"""On a line so thin that the lists take longer, nothing is proven: a server that holds a worker
while a request arrives would do so for too long, and few finishes fill such a line."""

LEAD_S: Final = 0.02
MARGIN: Final = 1.5
TWICE_UP_TO: Final = 4
"""So many workers are proven twice, and may fail as often before they are not proven."""

Hold = Callable[[], AbstractAsyncContextManager[object]]

STEPS: Final = (2, 3, 4, 6, 9, 12, 16, 24, 32)


class Census:
    """Counts the workers of one server."""

    def __init__(self, pool: SessionPool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self.length: int | None = None
        self._rough = True
        self._offered = True
        self._shared_s = 0.0
        self._thin = False  # the line, too thin for the last proof

    async def count(self, most: int) -> int | None:
        """Return how many workers are proven, up to `most`; None where that can't be told.

        Takes one to five seconds, over a thin line up to twenty. Raises `RunError` where the
        log-in fails.
        """
        if await self._weigh() is None:
            return None
        self._thin = False
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
        return None if proven == 1 and self._thin else proven

    async def prepare(self, *, anew: bool = False) -> bool:
        """Find out which list keeps a worker busy for long enough; False where none does.

        Takes about a second. Photos may be sent meanwhile, but what is found out then is rough:
        where a proof fails after that, have it found out `anew` with nothing else at work. Raises
        `RunError` where the log-in fails.
        """
        if anew and self._rough:
            self.length, self._shared_s = None, 0.0
        return await self._weigh(rough=not anew) is not None

    async def prove(self, workers: int, *, hold: Hold = nullcontext) -> bool | None:
        """Tell whether there are so many workers; None where that can't be told over this line.

        Nobody else may begin to use the line within `hold`. Raises `RunError` where the log-in
        fails.
        """
        if workers <= 1:
            return True
        if (length := await self._weigh()) is None:
            return None
        self._thin = False
        passes, failures = 0, 0
        needed = 2 if workers <= TWICE_UP_TO else 1
        while passes < needed and failures < needed and not self._thin:
            passed = await self._passes(length, busy=workers - 1, hold=hold)
            passes += passed
            failures += not passed
        return None if self._thin else passes >= needed

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

    async def _weigh(self, *, rough: bool = False) -> int | None:
        """Return how long a list keeps a worker busy for long enough, None where none does.

        A `rough` length is found while others may keep the requests waiting.
        """
        if self.length is None and self._offered:
            try:
                async with self._pool.lease() as session:
                    self.length = await self._find_length(session, rough=rough)
                    self._rough = rough
            except RunError:
                raise
            except NotOffered:
                self._offered = False
            except BulkupError:
                return None
        return self.length

    async def _find_length(self, session: Session, *, rough: bool) -> int | None:
        length, work_s = FIRST_LENGTH, 0.0
        light_s = await self._timed(session, _padded(0))
        wanted_s = max(BUSY_S, 4 * light_s)
        if rough:
            wanted_s = min(wanted_s, MOST_BUSY_S)
        for _ in range(2):  # the first guess is a rough one
            arrived_s = await self._timed(session, _padded(length))
            work_s = max(await self._timed(session, _heavy(length)) - arrived_s, 1e-3)
            if work_s >= wanted_s or length == MOST_LENGTH:
                break
            length = int(min(MOST_LENGTH, length * wanted_s / work_s))
        work_s = await self._timed(session, _heavy(length)) - light_s
        return length if work_s >= TOO_LIGHT_S else None

    async def _timed(self, session: Session, request: Request) -> float:
        """Return how long a request takes; the shorter of two, since the first may connect."""
        times = []
        for _ in range(2):
            began = self._clock()
            await self._pool.send(session, request)
            times.append(self._clock() - began)
        return min(times)

    async def _passes(self, length: int, *, busy: int, hold: Hold) -> bool:
        """Tell whether a light request is answered while `busy` heavy ones are at work."""
        less = min(1.0, MOST_BUSY_S / max(self._shared_s * busy, 1e-9))
        length = max(FIRST_LENGTH, int(length * less))
        async with self._pool.lease() as session, AsyncExitStack() as held:
            try:
                await self._pool.send(session, _padded(0))  # logs in, where nobody has yet
                await held.enter_async_context(hold())
                # one more than busy ones: the ping needs a connection, too
                _, arrival_s = await self._burst(session, _padded(length), busy + 1)
                if arrival_s > MOST_ARRIVAL_S:
                    self._thin = True
                    return False
                _, end_s = await self._burst(session, _padded(0), busy + 1)
            except RunError:
                raise
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
        """Send a request so many times at once, their ends some time later.

        Return how long after that the last answer came, and whether a light request, sent some
        time after the ends, was answered before them all; `on_ping` is called when it was
        answered.
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
            # all are waited for: the server would go on with them anyway
        return overtook and not failed, self._clock() - began


class Held(Form):
    """A request as a form whose end goes out no sooner than an event comes."""

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
