"""Limits how many photos are finished at once, by the server's workers and its speed.

`engine.pacing` decides; this module starts the proofs of workers, detects stalls and hands out
slots. Workers are proven before the first photo is sent: with nothing else in flight, that takes a
third of a second on a fast connection, and is most certain.
"""

import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol, TypeVar

import anyio

from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Fact, Ledger
from bulkup.engine.pacing import Finishing, Outcome, Tail, ceiling_for, workers_for
from bulkup.engine.retry import Recovery
from bulkup.errors import Outage, RateLimited, TimedOut, Unreachable
from bulkup.events import Emit, LimitsChanged, Noticed

T = TypeVar("T")

MOST_COUNTED: Final = 12
STALL: Final = 8.0
"""The server may be frozen when no photo was finished for this multiple of the usual time …"""

LEAST_STALL_S: Final = 5.0
"""… but for at least this time …"""

FIRST_STALL_S: Final = 20.0
"""… or for this time while the usual time is unknown."""

PROOF_S: Final = 20.0
"""A proof that takes longer fails."""

REMEMBERED_S: Final = 7 * 86400.0
"""How long the workers of a server, and the number of finishes that froze it, are reused."""

ONE_WORKER: Final = (
    "this server seems to have a single PHP worker: each finished photo then blocks the gallery "
    "until its web server gives up, often for minutes"
)
ONE_WORKER_HINT: Final = (
    "Nothing is lost, but it is slow. Ask the host for more workers (PHP-FPM: pm.max_children)."
)


UNCOUNTED: Final = "this server's PHP workers can't be counted: photos are finished one at a time"
UNCOUNTED_HINT: Final = "If it has three workers or more, --finishing 2 is faster."

Hold = Callable[[], AbstractAsyncContextManager[None]]


class WorkerCounter(Protocol):
    """Proves how many PHP workers the server has, without harm."""

    async def prove(self, workers: int, *, hold: Hold) -> int | None:
        """Return how many workers are proven, up to this many; None if that can't be measured.

        No other request begins while `hold` is entered.
        """


class Limiter:
    """Hands out slots in the order of the requests, never more than the pacing's target."""

    def __init__(
        self,
        pacing: Finishing,
        *,
        worker_counter: WorkerCounter,
        recovery: Recovery,
        ledger: Ledger,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
        first_stall_s: float = FIRST_STALL_S,
    ) -> None:
        self.pacing = pacing
        self.tail = Tail()
        self._worker_counter = worker_counter
        self._recovery = recovery
        self._ledger = ledger
        self._emit = emit
        self._clock = clock
        self._first_stall_s = first_stall_s
        self._facts_loaded = pacing.fixed
        self._begun = False
        self._ready = anyio.Event()
        self._proving = False
        self._proven_at = float("-inf")
        self._parallel_proof = True
        self._blocked = False
        self._inside: set[Slot] = set()
        self._queue: deque[Slot] = deque()
        self._changed = anyio.Event()
        self._last_alive = 0.0
        self._patience = 1
        self._emitted = (0, 0)
        self._known_most = pacing.most
        self._known: dict[Fact, int] = {}
        self._noticed: set[str] = set()

    async def begin(self) -> None:
        """Wait until the first proof of workers is over, before the first photo is sent."""
        self._begun = True
        self._changed.set()
        await self._ready.wait()

    @asynccontextmanager
    async def slot(self, job: Job | None = None, *, alias: str = "") -> AsyncIterator["Slot"]:
        """Wait for a free slot and hold it, for whichever photo."""
        del job, alias
        slot = Slot(self)
        await self._enter(slot)
        try:
            yield slot
        finally:
            self._leave(slot)

    async def measure(self, slot: "Slot", finish: Callable[[], Awaitable[T]]) -> T:
        """Return the result of one try to finish a photo, and record how long it took."""
        began, at_once = self._clock(), len(self._inside)
        try:
            result = await finish()
        except (Outage, TimedOut) as error:
            slot.again = True
            if not isinstance(error, Unreachable):
                at_once = max(at_once, len(self._inside))
                if at_once == 1 and not isinstance(error, RateLimited):
                    self._blocked = not (self.pacing.fixed or ONE_WORKER in self._noticed)
                self._record(Outcome.TROUBLE, began=began, at_once=at_once)
            if isinstance(error, TimedOut):
                await self._recovery.suspect(error.message, frozen=self._report)
            raise
        self._record(Outcome.ANSWERED, began=began, at_once=at_once)
        return result

    async def renew(self, slot: "Slot") -> None:
        """Queue again before another try, if the limit was lowered meanwhile."""
        if slot.again and len(self._inside) > self.pacing.target:
            self._leave(slot)
            await self._enter(slot)

    async def _enter(self, slot: "Slot") -> None:
        slot.turn = turn = anyio.Event()
        self._queue.append(slot)
        self._admit()
        self._changed.set()
        try:
            await turn.wait()
        except BaseException:
            self._leave(slot)
            raise

    def _leave(self, slot: "Slot") -> None:
        if slot in self._inside:
            self._inside.remove(slot)
            self._note_alive()
        elif slot in self._queue:
            self._queue.remove(slot)
        self._admit()
        self._changed.set()

    async def attend(self) -> None:
        """Run the limiter's background work until cancelled. Raises `RunError`."""
        while True:
            await self._watch()
            if not self._facts_loaded and (self._begun or self._queue):
                await self._load_facts()
                await self._report()
            while (wanted := self.pacing.wanted_workers) is not None:
                if self._inside and not self._parallel_proof:
                    break  # until the slots are free
                await self._prove(wanted)
            if self._facts_loaded:
                self._ready.set()
            if self._blocked and not self._inside:
                await self._look_for_single_worker()
            self._admit()
            await self._report()

    def _record(self, outcome: Outcome, *, began: float, at_once: int) -> None:
        now = self._clock()
        if outcome is Outcome.ANSWERED and (self._proving or began <= self._proven_at):
            return  # it shared the server with the requests that kept workers busy
        self.pacing.record(
            now - began,
            outcome,
            at_once=at_once,
            began=began,
            now=now,
            waiting=bool(self._queue),
        )
        self._changed.set()

    def _admit(self) -> None:
        if self._blocked or not self._facts_loaded or self._proof_is_first:
            return
        while self._queue and len(self._inside) < self.pacing.target:
            slot = self._queue.popleft()
            if not self._inside:
                self._note_alive()
            self._inside.add(slot)
            slot.turn.set()

    @property
    def _proof_is_first(self) -> bool:
        """Whether no finish may begin before a proof: it is best made with all slots free."""
        if self.pacing.wanted_workers is None:
            return False
        return not self._inside or not self._parallel_proof

    def _note_alive(self) -> None:
        """Note that the server is alive."""
        self._last_alive = self._clock()
        self._patience = 1

    async def _load_facts(self) -> None:
        """Begin with what earlier runs have measured; workers are proven again."""
        facts = await self._ledger.facts(max_age_s=REMEMBERED_S)
        self.pacing.most = min(self.pacing.most, facts.get(Fact.FINISHING, self.pacing.most))
        self._known_most = self.pacing.most
        self._known = dict(facts)
        unproven = facts.get(Fact.UNPROVEN, 0)
        self.pacing.begin(
            facts.get(Fact.PLACES),
            alone_s=facts[Fact.FINISH_MS] / 1000 if Fact.FINISH_MS in facts else None,
            unproven=unproven if unproven > self._known_workers else None,
            now=self._clock(),
        )
        self._facts_loaded = True

    async def _prove(self, workers: int) -> None:
        """Prove workers; if that fails beside finishes, do it again with all slots free.

        In a small pool, finishes occupy the workers to be proven.
        """
        found: int | None = 1
        beside = bool(self._inside)
        self._proving = True
        with anyio.move_on_after(PROOF_S):
            found = await self._worker_counter.prove(workers, hold=self._recovery.hold)
        self._proving = False
        self._proven_at = self._clock()
        self._note_alive()
        useful = (found or 1) >= workers_for(self.pacing.target + 1)
        self._parallel_proof = useful
        if beside and found is not None and not useful:
            return
        self.pacing.prove(found or 1, now=self._clock())
        if found is None and self.pacing.workers == 1:
            self._notice_once(UNCOUNTED, UNCOUNTED_HINT)
        elif found is not None and useful:
            await self._learn(Fact.WORKERS, max(found, self._known_workers))
        elif found is not None:
            await self._learn(Fact.UNPROVEN, found + 1)

    async def _look_for_single_worker(self) -> None:
        """Emit why a single finish was blocked, if the server has only one worker."""
        with anyio.move_on_after(PROOF_S):
            if await self._worker_counter.prove(2, hold=self._recovery.hold) == 1:
                self._notice_once(ONE_WORKER, ONE_WORKER_HINT)
        self._blocked = False

    def _notice_once(self, message: str, hint: str) -> None:
        if message not in self._noticed:
            self._noticed.add(message)
            self._emit(Noticed(message=message, hint=hint))

    @property
    def _known_workers(self) -> int:
        """How many workers this run or an earlier one has proven."""
        return self._known.get(Fact.WORKERS, 1)

    async def _learn(self, fact: Fact, value: int | None) -> None:
        """Store a fact in the ledger, if it is new."""
        if value is not None and value != self._known.get(fact):
            self._known[fact] = value
            await self._ledger.learn(fact, value)

    async def _report(self) -> None:
        """Emit the limits, and store in the ledger what the next run can reuse."""
        pacing = self.pacing
        # an earlier run may have counted more workers than are proven yet
        likely = max(pacing.ceiling, ceiling_for(self._known_workers))
        limits = (pacing.target, min(pacing.most, likely))
        if limits != self._emitted and self._facts_loaded:
            self._emitted = limits
            self._emit(LimitsChanged(finishing=limits[0], most_finishing=limits[1]))
        if self.pacing.most < self._known_most and not self.pacing.fixed:
            self._known_most = self.pacing.most
            await self._ledger.learn(Fact.FINISHING, self.pacing.most)
        await self._learn(Fact.PLACES, pacing.best)
        if pacing.best is not None and pacing.alone_s is not None:
            await self._learn(Fact.FINISH_MS, round(pacing.alone_s * 1000))

    async def _watch(self) -> None:
        """Wait for a change; probe the server if no photo is finished for too long."""
        wait_s = float("inf")
        if self._inside:
            wait_s = max(0.0, self._last_alive + self._stall_s() - self._clock())
        with anyio.move_on_after(wait_s) as waiting:
            await self._changed.wait()
        if not waiting.cancelled_caught:
            self._changed = anyio.Event()
            return
        began, at_once = self._clock(), len(self._inside)

        async def frozen() -> None:
            self._record(Outcome.TROUBLE, began=began, at_once=at_once)
            await self._report()

        reason = (
            f"no photo was finished for {began - self._last_alive:.0f} s, and the server does not "
            "answer"
        )
        await self._recovery.suspect(reason, frozen=frozen)
        self._last_alive = self._clock()
        self._patience *= 2  # it is alive, and has a large photo to work on

    def _stall_s(self) -> float:
        usual_s = self.pacing.usual_s
        stall_s = self._first_stall_s if usual_s is None else max(LEAST_STALL_S, STALL * usual_s)
        return stall_s * self._patience


class Slot:
    """A slot of the limiter; `again` means that its last try failed and is to be repeated."""

    def __init__(self, limiter: Limiter) -> None:
        self.turn = anyio.Event()
        self.again = False
        self._limiter = limiter

    async def renew(self) -> None:
        """Queue again before another try, if the limit was lowered meanwhile."""
        await self._limiter.renew(self)

    async def measure(self, finish: Callable[[], Awaitable[T]]) -> T:
        """Return the result of one try to finish a photo, and record how long it took."""
        return await self._limiter.measure(self, finish)
