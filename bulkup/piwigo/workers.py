"""Measures the number of a server's PHP workers without side effects.

A server takes requests in the order in which they arrive. So the requests that arrived before a
light one and are still unanswered after its answer are being processed at the same time as it:
`n` of them prove `n + 1` workers. Photos that are being finished count among them. For the rest,
`pwg.images.exist` with a long list keeps a worker busy; it is read-only (seen on Piwigo 13 to 17).
The lists have different lengths, so that they end one after another: a server with fewer workers
than asked for then answers the light request while all but one of its workers are busy, and shows
how many it has.

The lists repeat 1,296 short texts: about 2 µs for each on a current server, whatever the number of
photos. With a few different ones, MariaDB joins a list of more than 10,000 with the table of
photos, which took 23 µs for each with 3,000 photos (seen with 10.11). Since servers differ, short
lists are timed first.

Since a long list takes time on a slow connection, everything but the ends of the lists is sent
first, then the ends, which take no longer than a light request. The lists are assumed to have
arrived after more time than as many requests of that length have just taken over the same
connections. Meanwhile no other request may start. Noise hides workers rather than inventing some;
a low number, for which an error costs most, is proven twice.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from itertools import cycle, islice, product
from string import ascii_lowercase, digits
from typing import Final

import anyio
from aiohttp.abc import AbstractStreamWriter

from bulkup.errors import BulkupError, NotOffered
from bulkup.piwigo.multipart import Form, StreamedPayload
from bulkup.piwigo.protocol import Request
from bulkup.piwigo.session import Session, SessionPool

TEXTS: Final = tuple(map("".join, product(digits + ascii_lowercase, repeat=2)))
"""What the lists repeat."""

FIRST_LENGTH: Final = 4_000
"""Texts in the first list that is timed."""

LENGTHEN: Final = 4
"""Each further list is so many times as long, until one takes noticeably long …"""

NOTICEABLE_S: Final = 0.02
"""… that is this much longer than a light request."""

SHORTEST_S: Final = 0.1
"""How long the shortest list should keep a worker busy …"""

LONGEST: Final = 2
"""… and how many times as long the longest is."""

MOST_LENGTH: Final = 300_000
"""Maximum texts in a list: a megabyte, which PHP and current databases accept."""

LONGER: Final = 2.5
"""Lists that end too early to prove anything are made so many times as long."""

LINE_LENGTH: Final = 130_000
MOST_ARRIVAL_S: Final = 1.5
"""If the lists take longer to send, nothing is proven: some servers hold a worker while a request
arrives, and few finishes fill such a slow connection."""

LEAD_S: Final = 0.02
MARGIN: Final = 1.5
TWICE_UP_TO: Final = 3
"""Up to this number of workers, two tries have to prove it: one too many would freeze it …"""

MOST_TRIES: Final = 3
"""… of this many at most."""

Hold = Callable[[], AbstractAsyncContextManager[object]]

STEPS: Final = (6, 12, 24, 32)


@dataclass(frozen=True, slots=True)
class _Try:
    """What one try has shown: the workers, and whether lists were too short to keep them busy.

    `length` is that of the shortest list.
    """

    length: int
    workers: int = 1
    too_short: bool = False
    too_slow: bool = False


class WorkerCounter:
    """Measures the number of workers of one server."""

    def __init__(self, pool: SessionPool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._length: int | None = None  # of the shortest list
        self._arrival_s = 0.0  # the time that sending one text takes

    async def count(self, most: int) -> int | None:
        """Return the proven number of workers, up to `most`, or None if it can't be measured.

        Takes one to five seconds, up to twenty on a slow connection.
        """
        proven = 1
        for wanted in [step for step in STEPS if step < most] + [most]:
            found = await self.prove(wanted)
            if found is None:
                return None if proven == 1 else proven
            proven = max(proven, found)
            if found < wanted:
                break
        while proven < most and (await self.prove(proven + 1) or 1) > proven:
            proven += 1
        return proven

    async def prove(self, workers: int, *, hold: Hold = nullcontext) -> int | None:
        """Return how many workers are proven, up to this many; None if that can't be measured.

        No other request may start while `hold` is held: for a fifth of a second on a fast server.
        """
        if workers <= 1:
            return 1
        found: list[int] = []
        while len(found) < MOST_TRIES:
            try:
                attempt = await self._try(workers, hold)
            except NotOffered:
                return None
            except BulkupError:
                return 1
            if attempt.too_slow:
                return None
            if attempt.too_short and attempt.workers < workers:
                if attempt.length == MOST_LENGTH:
                    return None
                self._length = min(MOST_LENGTH, int(attempt.length * LONGER))
                continue
            found = sorted([*found, attempt.workers])
            if found[-1] > TWICE_UP_TO:
                return found[-1]
            if len(found) > 1 and (found[-1] == found[-2] or len(found) == MOST_TRIES):
                return found[-2]
        return 1

    async def line_speed(self) -> float | None:
        """Return the upload speed in bytes a second, None if unknown.

        Sends a few hundred kB, which the server ignores.
        """
        try:
            async with self._pool.lease() as session:
                await self._timed(session, _padded(0))  # connects
                light_s = await self._timed(session, _padded(0))
                full_s = await self._timed(session, _padded(LINE_LENGTH))
        except BulkupError:
            return None
        return 3 * LINE_LENGTH / max(full_s - light_s, 1e-4)

    async def _time_lists(self, session: Session) -> int:
        """Return the length of a list that keeps a worker busy for `SHORTEST_S`, roughly."""
        await self._pool.send(session, _padded(0))  # logs in if necessary
        connection_s = await self._timed(session, _padded(0))
        length = FIRST_LENGTH
        while True:
            light_s = await self._timed(session, _padded(length))
            self._arrival_s = max(0.0, light_s - connection_s) / length
            work_s = await self._timed(session, _heavy(length)) - light_s
            next_length = length * LENGTHEN
            too_slow = self._arrival_s * next_length > MOST_ARRIVAL_S
            if work_s >= NOTICEABLE_S or too_slow or next_length > MOST_LENGTH:
                break
            length = next_length
        longer = SHORTEST_S / max(work_s, NOTICEABLE_S)
        return max(FIRST_LENGTH, min(MOST_LENGTH, int(length * longer)))

    async def _timed(self, session: Session, request: Request) -> float:
        began = self._clock()
        await self._pool.send(session, request)
        return self._clock() - began

    async def _try(self, workers: int, hold: Hold) -> _Try:
        """Keep as many workers busy as are lacking, and count the busy ones while one is free."""
        async with self._pool.lease() as session, AsyncExitStack() as held:
            if self._length is None:
                self._length = await self._time_lists(session)
            length = self._length
            await self._pool.send(session, _padded(0))  # logs in if necessary
            await held.enter_async_context(hold())
            if not self._pool.finishing:
                # rebuilds what a finish invalidated: requests at once would wait for one another
                await self._pool.send(session, _padded(0))
            finishing = set(self._pool.finishing)
            # a finish may end meanwhile, so one list more than necessary
            count = max(1, workers - 1 - len(finishing) + bool(finishing))
            step = (LONGEST - 1) / max(count - 1, 1)
            lengths = [int(length * (1 + step * number)) for number in range(count)]
            if self._arrival_s * sum(lengths) > MOST_ARRIVAL_S:
                return _Try(length, too_slow=True)
            # one more, as the light request needs a connection, too
            padded = [_padded(each) for each in (*lengths, lengths[-1])]
            arrival_s = (await self._burst(session, padded))[-1]
            if arrival_s > MOST_ARRIVAL_S:
                return _Try(length, too_slow=True)
            ends_s = await self._burst(session, [_padded(0)] * len(padded))
            light_after_s = LEAD_S + MARGIN * ends_s[-1]
            busy = 0

            async def send_light(answers_s: Sequence[float]) -> None:
                nonlocal busy
                await anyio.sleep(light_after_s)
                await self._pool.ping()
                await anyio.sleep(LEAD_S)  # answers may be on their way
                busy = len(finishing & self._pool.finishing) + count - len(answers_s)
                await held.aclose()

            heavy = [_heavy(each) for each in lengths]
            answers_s = await self._burst(
                session, heavy, end_after_s=MARGIN * arrival_s, meanwhile=send_light
            )
        too_short = answers_s[0] < light_after_s + ends_s[0] + LEAD_S
        return _Try(length, min(workers, 1 + busy), too_short)

    async def _burst(
        self,
        session: Session,
        requests: Sequence[Request],
        *,
        end_after_s: float = 0.0,
        meanwhile: Callable[[Sequence[float]], Awaitable[None]] | None = None,
    ) -> Sequence[float]:
        """Send requests at once, their ends some time later, and wait for all answers.

        Return the seconds from the ends to each answer, in their order. `meanwhile` is called
        after the ends, with those so far. Raises the error of one that failed, after all of them:
        the server would process them anyway.
        """
        end = anyio.Event()
        began = self._clock()
        answers_s: list[float] = []
        errors: list[BulkupError] = []

        async def send(request: Request) -> None:
            try:
                await self._pool.send_form(
                    Held(request, until=end), session, method=request.method
                )
            except BulkupError as error:
                errors.append(error)
            answers_s.append(self._clock() - began)

        async with anyio.create_task_group() as tasks:
            for request in requests:
                tasks.start_soon(send, request)
            await anyio.sleep(end_after_s)
            began = self._clock()
            end.set()
            if meanwhile is not None:
                try:
                    await meanwhile(answers_s)
                except BulkupError as error:
                    errors.append(error)
        if errors:
            raise errors[0]
        return answers_s


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
    return Request("pwg.images.exist", (("md5sum_list", _list(length)),))


def _padded(length: int) -> Request:
    """Return a light request that is as long as a heavy one."""
    return Request("pwg.getVersion", (("pad", _list(length)),))


def _list(length: int) -> str:
    return " ".join(islice(cycle(TEXTS), length))
