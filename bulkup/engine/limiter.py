"""Limits how many photos are finished at once, by the server's workers and its pace.

`engine.pacing` decides; this module has workers proven, watches for stalls and lends the slots.
The first photo is finished at once, one at a time; workers are proven meanwhile.
"""

import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol, TypeVar

import anyio

from bulkup.engine.pacing import Finishing, Outcome, Tail, ceiling_for, workers_for
from bulkup.engine.ports import Fact, Ledger
from bulkup.engine.retry import Recovery
from bulkup.errors import Outage, RateLimited, TimedOut, Unreachable
from bulkup.events import Emit, LimitsChanged, Noticed

T = TypeVar("T")

MOST_COUNTED: Final = 12
STALL: Final = 8.0
"""The server is suspect when nothing was finished for so many times as long as is usual …"""

LEAST_STALL_S: Final = 5.0
"""… and for so long at least …"""

FIRST_STALL_S: Final = 20.0
"""… or for so long while nothing is usual yet."""

PROOF_S: Final = 20.0
"""A proof that takes longer has failed."""

REMEMBERED_S: Final = 7 * 86400.0
"""How long the workers of a server, and what froze it, are taken for known."""

ONE_WORKER: Final = (
    "this server seems to have a single PHP worker: each finished photo then blocks the gallery "
    "until its web server gives up, often for minutes"
)
ONE_WORKER_HINT: Final = (
    "Nothing is lost, but it takes long. Ask the host for more workers (PHP-FPM: pm.max_children)."
)


UNCOUNTED: Final = "this server's PHP workers can't be counted: photos are finished one at a time"
UNCOUNTED_HINT: Final = "Where it has three workers or more, --finishing 2 is quicker."

Hold = Callable[[], AbstractAsyncContextManager[None]]


class Census(Protocol):
    """Where the server's PHP workers are proven, without harm."""

    async def prepare(self, *, anew: bool) -> bool:
        """Find out how workers are kept busy for a moment; False where nothing does that."""

    async def prove(self, workers: int, *, hold: Hold) -> bool | None:
        """Tell whether there are so many, None where that can't be told.

        Within `hold` nothing else may begin to be sent.
        """


class Limiter:
    """Lets finishes through in the order they come, never more than the pacing's target."""

    def __init__(
        self,
        pacing: Finishing,
        *,
        census: Census,
        recovery: Recovery,
        ledger: Ledger,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
        first_stall_s: float = FIRST_STALL_S,
    ) -> None:
        self.pacing = pacing
        self.tail = Tail()
        self._census = census
        self._recovery = recovery
        self._ledger = ledger
        self._emit = emit
        self._clock = clock
        self._first_stall_s = first_stall_s
        self._recalled = pacing.fixed
        self._proving = False
        self._proven_at = float("-inf")
        self._beside = True
        self._blocked = False
        self._inside: set[Slot] = set()
        self._queue: deque[Slot] = deque()
        self._stir = anyio.Event()
        self._sign_at = 0.0
        self._patience = 1
        self._shown = (0, 0)
        self._known_most = pacing.most
        self._believed = 1
        self._known_best: int | None = None
        self._said: set[str] = set()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator["Slot"]:
        """Lend one of the places."""
        slot = Slot(self)
        await self._enter(slot)
        try:
            yield slot
        finally:
            self._leave(slot)

    async def measure(self, slot: "Slot", finish: Callable[[], Awaitable[T]]) -> T:
        """Return what one try to finish a photo returns, and take into account how it goes."""
        began, at_once = self._clock(), len(self._inside)
        try:
            result = await finish()
        except (Outage, TimedOut) as error:
            slot.again = True
            if not isinstance(error, Unreachable):
                at_once = max(at_once, len(self._inside))
                if at_once == 1 and not isinstance(error, RateLimited):
                    self._blocked = not (self.pacing.fixed or ONE_WORKER in self._said)
                self._record(Outcome.TROUBLE, began=began, at_once=at_once)
            if isinstance(error, TimedOut):
                await self._recovery.suspect(error.message, frozen=self._tell)
            raise
        self._record(Outcome.ANSWERED, began=began, at_once=at_once)
        return result

    async def renew(self, slot: "Slot") -> None:
        """Let others go first, before another try, where by now there are too many inside."""
        if slot.again and len(self._inside) > self.pacing.target:
            self._leave(slot)
            await self._enter(slot)

    async def _enter(self, slot: "Slot") -> None:
        slot.turn = turn = anyio.Event()
        self._queue.append(slot)
        self._let_in()
        self._stir.set()
        try:
            await turn.wait()
        except BaseException:
            self._leave(slot)
            raise

    def _leave(self, slot: "Slot") -> None:
        if slot in self._inside:
            self._inside.remove(slot)
            self._sign()
        elif slot in self._queue:
            self._queue.remove(slot)
        self._let_in()
        self._stir.set()

    async def attend(self) -> None:
        """Do what takes more than a moment, until cancelled. Raises `RunError`."""
        while True:
            await self._watch()
            if not self._recalled and (self._inside or self._queue):
                await self._recall()
                await self._tell()
            while (wanted := self.pacing.wanted_workers) is not None:
                if self._inside and not self._beside:
                    break  # until they have left
                await self._prove(wanted)
            if self._blocked and not self._inside:
                await self._look_for_single_worker()
            self._let_in()
            await self._tell()

    def _record(self, outcome: Outcome, *, began: float, at_once: int) -> None:
        now = self._clock()
        if outcome is Outcome.ANSWERED and (self._proving or began <= self._proven_at):
            return  # it shared the server with what kept workers busy
        self.pacing.record(
            now - began,
            outcome,
            at_once=at_once,
            began=began,
            now=now,
            waiting=bool(self._queue),
        )
        self._stir.set()

    def _let_in(self) -> None:
        if self._blocked or (self.pacing.wanted_workers is not None and not self._beside):
            return
        while self._queue and len(self._inside) < self.pacing.target:
            slot = self._queue.popleft()
            if not self._inside:
                self._sign()
            self._inside.add(slot)
            slot.turn.set()

    def _sign(self) -> None:
        """Take it that the server lives."""
        self._sign_at = self._clock()
        self._patience = 1

    async def _recall(self) -> None:
        """Begin with what earlier runs have found out, which is proven anew."""
        facts = await self._ledger.facts(max_age_s=REMEMBERED_S)
        self.pacing.most = min(self.pacing.most, facts.get(Fact.FINISHING, self.pacing.most))
        self._known_most = self.pacing.most
        self._believed = facts.get(Fact.WORKERS, 1)
        self._known_best = facts.get(Fact.PLACES)
        self.pacing.begin(self._known_best)
        self._recalled = True

    async def _prove(self, workers: int) -> None:
        """Have workers proven: first beside the photos being finished, then with nobody inside.

        A large pool has workers to spare for that; in a small one a finish takes those that were
        to be proven, and hides how long anything takes.
        """
        beside = self._beside
        proven, possible = False, await self._census.prepare(anew=not beside)
        if possible:
            self._proving = True
            with anyio.move_on_after(PROOF_S):
                proven = bool(await self._census.prove(workers, hold=self._recovery.hold))
            self._proving = False
            self._proven_at = self._clock()
            self._sign()
        self._beside = proven
        if beside and not proven and workers == workers_for(self.pacing.target + 1):
            return  # nothing smaller would help: it is asked for still
        self.pacing.prove(workers if proven else self.pacing.workers, now=self._clock())
        if proven:
            await self._learn(workers)
        elif not possible:
            self._say_once(UNCOUNTED, UNCOUNTED_HINT)

    async def _look_for_single_worker(self) -> None:
        """Say why a photo alone was blocked, if there are not even two workers."""
        with anyio.move_on_after(PROOF_S):
            possible = await self._census.prepare(anew=True)
            if possible and await self._census.prove(2, hold=self._recovery.hold) is False:
                self._say_once(ONE_WORKER, ONE_WORKER_HINT)
        self._blocked = False

    def _say_once(self, message: str, hint: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._emit(Noticed(message=message, hint=hint))

    async def _learn(self, workers: int) -> None:
        if workers > self._believed:
            self._believed = workers
            await self._ledger.learn(Fact.WORKERS, workers)

    async def _tell(self) -> None:
        """Let the user see the limits, and the next run what is not to be found out again."""
        pacing = self.pacing
        likely = max(pacing.ceiling, ceiling_for(self._believed))  # by an earlier run's count
        shown = (pacing.target, min(pacing.most, likely))
        if shown != self._shown and self._recalled:
            self._shown = shown
            self._emit(LimitsChanged(finishing=shown[0], most_finishing=shown[1]))
        if self.pacing.most < self._known_most and not self.pacing.fixed:
            self._known_most = self.pacing.most
            await self._ledger.learn(Fact.FINISHING, self.pacing.most)
        if pacing.best not in {None, self._known_best}:
            self._known_best = pacing.best
            await self._ledger.learn(Fact.PLACES, self._known_best)

    async def _watch(self) -> None:
        """Wait for something to happen; ask the server for a sign of life if nothing does."""
        wait_s = float("inf")
        if self._inside:
            wait_s = max(0.0, self._sign_at + self._stall_s() - self._clock())
        with anyio.move_on_after(wait_s) as waiting:
            await self._stir.wait()
        if not waiting.cancelled_caught:
            self._stir = anyio.Event()
            return
        began, at_once = self._clock(), len(self._inside)

        async def frozen() -> None:
            self._record(Outcome.TROUBLE, began=began, at_once=at_once)
            await self._tell()

        reason = (
            f"no photo was finished for {began - self._sign_at:.0f} s, and the server does not "
            "answer"
        )
        await self._recovery.suspect(reason, frozen=frozen)
        self._sign_at = self._clock()
        self._patience *= 2  # it lives, and has a large photo to work on

    def _stall_s(self) -> float:
        usual_s = self.pacing.usual_s
        stall_s = self._first_stall_s if usual_s is None else max(LEAST_STALL_S, STALL * usual_s)
        return stall_s * self._patience


class Slot:
    """A slot inside the gate; `again` when what was tried in it has to be tried again."""

    def __init__(self, limiter: Limiter) -> None:
        self.turn = anyio.Event()
        self.again = False
        self._limiter = limiter

    async def renew(self) -> None:
        """Let others go first, before another try, where by now there are too many inside."""
        await self._limiter.renew(self)

    async def measure(self, finish: Callable[[], Awaitable[T]]) -> T:
        """Return what one try to finish a photo returns, and take into account how it goes."""
        return await self._limiter.measure(self, finish)
