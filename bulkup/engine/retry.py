"""Retries: decides by the error, waits, and pauses all requests during an outage.

The only module that waits between tries, and that decides when answers of the server end a run.
An outage closes one gate for all requests, and a successful probe of the server opens it again.
"""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

import anyio

from bulkup.errors import (
    AnswerLost,
    Blocked,
    BulkupError,
    ChunkCorrupted,
    Outage,
    PhotoCorrupted,
    Refused,
    RunError,
    ServerUnavailable,
    SessionLost,
    TooLarge,
    Transient,
    Unreachable,
)
from bulkup.errors import run as run_failures
from bulkup.events import Emit, OutageBegan, OutageEnded, Retrying

MOST_DOUBLINGS: Final = 64  # more would overflow the power, after hours of probing


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits of retrying, as plain numbers; times in seconds.

    The n-th retry waits `min(wait_max_s, wait_s · 2^(n-1)) · (1 … 1.5)`. `retries` limits the
    retries of one request, and the attempts after the first of one photo; `patience_s` limits an
    outage; `probe_max_s` is the longest pause between two probes. `ask_s` is how long a finished
    photo may take to be found by its MD5, longer for large ones by `ask_bytes_per_s`. What blocks
    everything has to last `proof_s`, or `patience_s` if that is shorter, before it ends the run.
    """

    retries: int = 5
    wait_s: float = 0.5
    wait_max_s: float = 60.0
    patience_s: float = 3600.0
    proof_s: float = 120.0
    probe_max_s: float = 30.0
    ask_s: float = 8.0
    ask_bytes_per_s: float = 20e6

    def backoff(self, attempt: int, *, chance: float) -> float:
        """Return the seconds to wait after the `attempt`-th failure; `chance` is from 0 to 1."""
        doubled = self.wait_s * 2.0 ** min(attempt - 1, MOST_DOUBLINGS)
        return min(self.wait_max_s, doubled) * (1 + chance / 2)

    @property
    def least_blocked_s(self) -> float:
        """How long everything has to be blocked before that ends the run, in seconds."""
        return min(self.proof_s, self.patience_s)

    def ask_s_for(self, size: int) -> float:
        """Return how long a photo of `size` bytes may take to be found, in seconds."""
        return self.ask_s + size / self.ask_bytes_per_s

    def ask_delays(self, size: int) -> list[float]:
        """Return the pauses before each question whether a photo of `size` bytes exists."""
        total = self.ask_s_for(size)
        delays = [0.0, self.ask_s / 32]
        while sum(delays) < total:
            delays.append(min(delays[-1] * 2, total - sum(delays)))
        return delays


@dataclass(frozen=True, slots=True)
class Retry:
    """Send the same request again after `after_s` seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class WaitForServer:
    """Wait for the end of the outage; then send the same request again if `again`."""

    again: bool


@dataclass(frozen=True, slots=True)
class Raise:
    """Raise the error to the caller."""


def decide(
    error: Transient, *, attempt: int, repeatable: bool, policy: Policy, chance: float
) -> Retry | WaitForServer | Raise:
    """Return what to do after the `attempt`-th failure of a request, from 1.

    `repeatable` means that the server may carry the request out twice without harm.
    """
    may_repeat = repeatable or error.untouched
    match error:
        case TooLarge() | PhotoCorrupted():
            return Raise()
        case ChunkCorrupted() if attempt > 1:
            return Raise()
        case Outage() | Blocked():
            return WaitForServer(again=may_repeat and attempt <= policy.retries)
        case _ if not may_repeat or attempt > policy.retries:
            return Raise()
        case SessionLost() if attempt == 1:
            return Retry(0.0)
    backoff = policy.backoff(attempt, chance=chance)
    if error.retry_after_s is None:
        return Retry(backoff)
    return Retry(min(max(error.retry_after_s, 0.0), policy.patience_s))


T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

PROMPT_S: Final = 2.0
"""A healthy server answers a probe within this time."""

BRIEF_PROBES: Final = 1
"""An outage that ends within this many probes counts as a retry of the request."""

PROOF_PHOTOS: Final = 5
"""Photos that have to fail in a row before the cause may end the run."""


class Others(Protocol):
    """Other processes that send to the same server for the same run: the workers of a cluster."""

    def held(self) -> AbstractContextManager[None]:
        """Keep them from starting requests while entered."""


class NoOthers:
    """No other processes."""

    def held(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()


class Recovery:
    """Runs requests under one policy; one gate pauses all of them, and those of `others`."""

    def __init__(
        self,
        policy: Policy,
        *,
        emit: Emit,
        probe: Callable[[], Awaitable[None]],
        sleep: Sleep = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.policy = policy
        self.sleep = sleep
        self.others: Others = NoOthers()
        self._emit = emit
        self._probe = probe
        self._clock = clock
        self._chance = chance
        self._gate = anyio.Event()
        self._held = False  # whether `hold` has closed the gate, and not an outage
        self._gate.set()
        self._streaks: dict[str, _Streak] = {}
        self._ended: RunError | None = None

    async def run(
        self,
        operation: Callable[[], Awaitable[T]],
        *,
        repeatable: bool = True,
        before: Callable[[], Awaitable[None]] | None = None,
        path: Path | None = None,
    ) -> T:
        """Return the result of the operation, retried as the policy allows.

        `before` is awaited before each try. Raises the last `Transient` where it may not be
        repeated or the retries are used up, and `RunError` where an outage lasts longer than
        `patience_s`, or an earlier one has.
        """
        attempt = 0
        while True:
            await self._open()
            if before is not None:
                await before()
                await self._open()
            try:
                return await operation()
            except Transient as error:
                attempt += 1
                step = decide(
                    error,
                    attempt=attempt,
                    repeatable=repeatable,
                    policy=self.policy,
                    chance=self._chance(),
                )
                if isinstance(step, Raise):
                    raise
                if isinstance(step, Retry):
                    await self._pause(error, attempt=attempt, after_s=step.after_s, path=path)
                    continue
                brief = await self._wait_for_server(error)
                if not step.again:
                    raise
                if isinstance(error, Blocked):  # the server answers: perhaps only this request is
                    await self.pause(error, attempt=attempt, path=path)
                elif not brief:
                    attempt -= 1

    @asynccontextmanager
    async def proving(self, task: str, *paths: Path) -> AsyncIterator[None]:
        """Carry out a task for these photos; if it is `Blocked`, look for proof that it stays so.

        Raises `RunError` if the task was blocked for several photos in a row and for `proof_s`,
        while the server answers requests of another kind; and `Blocked` without that proof.
        """
        try:
            yield
        except Blocked as error:
            if await self._is_proven(task, error, paths):
                raise RunError(error.failure) from None
            raise
        self._streaks.pop(task, None)

    async def _is_proven(self, task: str, error: Blocked, paths: Iterable[Path]) -> bool:
        streak = self._streaks.get(task)
        if streak is None or streak.code != error.code:
            streak = self._streaks[task] = _Streak(error.code, began=self._clock())
        if len(streak.paths) < PROOF_PHOTOS:
            streak.paths.update(paths)
        lasted_s = self._clock() - streak.began
        return (
            len(streak.paths) >= PROOF_PHOTOS
            and lasted_s >= self.policy.least_blocked_s
            and await self._wait_for_server(error)
            and self._streaks.get(task) is streak
        )

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Start no request while entered; those in flight continue."""
        await self._open()
        self._held = True
        try:
            with self._closed():
                yield
        finally:
            self._held = False

    @contextmanager
    def _closed(self) -> Iterator[None]:
        """Keep the gate closed."""
        self._gate = gate = anyio.Event()
        try:
            with self.others.held():
                yield
        finally:
            gate.set()

    async def _open(self) -> None:
        """Wait until the gate is open; it may close again before a waiting task runs.

        Raises `RunError` once an outage has lasted too long: the run waits for that only once.
        """
        while not self._gate.is_set():
            await self._gate.wait()
        if self._ended is not None:
            raise type(self._ended)(self._ended.failure)

    async def again(self, error: BulkupError, failures: int) -> bool:
        """Return whether something on this machine may be tried again, after a pause."""
        if failures > self.policy.retries:
            return False
        await self.pause(error, attempt=failures, path=None)
        return True

    async def pause(self, error: BulkupError, *, attempt: int, path: Path | None) -> None:
        """Wait before retrying something larger than a request for the `attempt`-th time."""
        after_s = self.policy.backoff(attempt, chance=self._chance())
        await self._pause(error, attempt=attempt, after_s=after_s, path=path)

    async def _pause(
        self, error: BulkupError, *, attempt: int, after_s: float, path: Path | None
    ) -> None:
        if after_s or not isinstance(error, SessionLost):
            self._emit(Retrying(path=path, reason=error.message, attempt=attempt, after_s=after_s))
        await self.sleep(after_s)

    async def suspect(self, reason: str, *, frozen: Callable[[], Awaitable[None]]) -> None:
        """Pause all requests until the server answers a probe; call `frozen` if that takes long.

        For a server that seems to be frozen: it is probed at once, one probe at a time. `frozen`
        is not called during an outage, or where no connection can be opened.
        """
        if await self._outage_passed():
            return
        outage = _Outage(reason, began=self._clock())
        async with self._closed_gate(outage), anyio.create_task_group() as tasks:
            tasks.start_soon(self._report_soon, outage, frozen)
            if not await self._probe_once(outage):
                await outage.call(frozen)
                await self._probe_until_answered(outage)
            tasks.cancel_scope.cancel()

    async def _report_soon(self, outage: "_Outage", frozen: Callable[[], Awaitable[None]]) -> None:
        await self.sleep(PROMPT_S)
        self._report(outage, outage.reason)
        await outage.call(frozen)

    async def _wait_for_server(self, error: Transient) -> bool:
        """Return when the server answers again; True if it answered the first probe.

        The first task to see the outage probes, all others wait. Raises `RunError` when the outage
        lasts longer than `patience_s`, or probes too are `Blocked` for `proof_s`.
        """
        if await self._outage_passed():
            return False
        outage = _Outage(error.message, began=self._clock(), retry_after_s=error.retry_after_s)
        outage.blocked_at = outage.began if isinstance(error, Blocked) else None
        async with self._closed_gate(outage):
            await self._probe_until_answered(outage)
        return outage.probes <= BRIEF_PROBES

    async def _outage_passed(self) -> bool:
        """Wait until the gate is open; return whether an outage had closed it."""
        while self._held:
            await self._gate.wait()
        outage = not self._gate.is_set()
        await self._open()
        return outage

    @asynccontextmanager
    async def _closed_gate(self, outage: "_Outage") -> AsyncIterator[None]:
        """Pause all requests during an outage, and report its end."""
        with self._closed():
            yield
        if outage.reported:
            self._emit(OutageEnded(seconds=self._clock() - outage.began))

    async def _probe_until_answered(self, outage: "_Outage") -> None:
        while True:
            pause = min(
                self.policy.probe_max_s,
                self.policy.backoff(outage.probes + 1, chance=self._chance()),
            )
            await self.sleep(max(pause, min(outage.retry_after_s or 0.0, 300.0)))
            if await self._probe_once(outage):
                return

    async def _probe_once(self, outage: "_Outage") -> bool:
        """Return whether the server answers. Raises `RunError` as `_wait_for_server` does."""
        outage.probes += 1
        try:
            await self._probe()
        except (AnswerLost, Outage, Refused) as error:
            outage.retry_after_s = error.retry_after_s
            outage.unreachable = isinstance(error, Unreachable)
            self._report(outage, error.message)
            now = self._clock()
            if not isinstance(error, Blocked):
                outage.blocked_at = None
            elif outage.blocked_at is None:
                outage.blocked_at = now
            elif now - outage.blocked_at >= self.policy.least_blocked_s:
                self._ended = RunError(error.failure)
            lasted_s = now - outage.began
            if lasted_s > self.policy.patience_s and self._ended is None:
                failure = run_failures.GONE(seconds=lasted_s, reason=error.message)
                self._ended = ServerUnavailable(failure)
            if self._ended is not None:
                raise self._ended from None
            return False
        return True

    def _report(self, outage: "_Outage", reason: str) -> None:
        if not outage.reported:
            self._emit(OutageBegan(reason=reason))
            outage.reported = True


@dataclass(slots=True)
class _Streak:
    """Photos for which the same task was blocked in a row, by the same kind of failure."""

    code: str
    began: float
    paths: set[Path] = field(default_factory=set)


@dataclass(slots=True)
class _Outage:
    """An outage; `reported` to the user, `called` once `frozen` was called.

    `blocked_at` is when the first of the latest answers said that everything is refused.
    """

    reason: str
    began: float
    retry_after_s: float | None = None
    blocked_at: float | None = None
    probes: int = 0
    reported: bool = False
    called: bool = False
    unreachable: bool = False

    async def call(self, frozen: Callable[[], Awaitable[None]]) -> None:
        """Call `frozen` once, but not where no connection can be opened."""
        if not self.called and not self.unreachable:
            self.called = True
            await frozen()
