"""When to try again: decides by the error, waits, and pauses everybody during an outage.

The only module that waits between tries. An outage closes one gate for all requests, and a probe
of the server opens it again.
"""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import anyio

from bulkup.errors import (
    AnswerLost,
    ChunkCorrupted,
    Outage,
    PhotoCorrupted,
    Refused,
    ServerUnavailable,
    SessionLost,
    TooLarge,
    Transient,
    Unreachable,
)
from bulkup.errors import run as run_failures
from bulkup.events import Emit, OutageBegan, OutageEnded, Retrying

MOST_DOUBLINGS: Final = 64  # beyond them the power would overflow, after hours of knocking


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long to go on, as plain numbers; times in seconds.

    The n-th try again waits `min(wait_max_s, wait_s · 2^(n-1)) · (1 … 1.5)`. `retries` bounds the
    tries again of one request, and of one photo; `patience_s` bounds an outage; `ask_s` is how
    long a finished photo may take to show up, to which `ask_bytes_per_s` adds for large ones.
    """

    retries: int = 5
    wait_s: float = 0.5
    wait_max_s: float = 60.0
    patience_s: float = 3600.0
    knock_max_s: float = 30.0
    ask_s: float = 8.0
    ask_bytes_per_s: float = 20e6

    def backoff(self, attempt: int, *, chance: float) -> float:
        """Return the seconds to wait after the `attempt`-th failure; `chance` from 0 to 1."""
        doubled = self.wait_s * 2.0 ** min(attempt - 1, MOST_DOUBLINGS)
        return min(self.wait_max_s, doubled) * (1 + chance / 2)

    def ask_delays(self, size: int) -> list[float]:
        """Return the pauses between questions whether a photo of `size` bytes has arrived."""
        total = self.ask_s + size / self.ask_bytes_per_s
        delays = [0.0, self.ask_s / 32]
        while sum(delays) < total:
            delays.append(min(delays[-1] * 2, total - sum(delays)))
        return delays


@dataclass(frozen=True, slots=True)
class Retry:
    """The same request once more, after so many seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class WaitForServer:
    """Wait until the server is back; then the same request again if `again`."""

    again: bool


@dataclass(frozen=True, slots=True)
class Raise:
    """The error goes on."""


def decide(
    error: Transient, *, attempt: int, repeatable: bool, policy: Policy, chance: float
) -> Retry | WaitForServer | Raise:
    """Return what to do after the `attempt`-th failure of a request, from 1.

    `repeatable` tells that the request may be carried out twice without harm.
    """
    may_repeat = repeatable or error.untouched
    match error:
        case TooLarge() | PhotoCorrupted():
            return Raise()
        case ChunkCorrupted() if attempt > 1:
            return Raise()
        case Outage():
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
"""A server that is well answers a probe within so long."""

BRIEF_KNOCKS: Final = 1
"""An outage that is over at this many knocks was the request's own trouble, and is charged."""


class Others(Protocol):
    """Who else sends to the same server for the same run."""

    def held(self) -> AbstractContextManager[None]:
        """Have them begin nothing meanwhile."""

    async def still(self) -> None:
        """Return when nothing of theirs is on its way any more, while they are held."""


class Nobody:
    """Nobody else."""

    def held(self) -> AbstractContextManager[None]:
        """Hold nobody."""
        return nullcontext()

    async def still(self) -> None:
        """Return at once."""


class Recovery:
    """Runs requests under one policy, with one gate for all of them, and for `others`."""

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
        self.others: Others = Nobody()
        self._emit = emit
        self._probe = probe
        self._clock = clock
        self._chance = chance
        self._gate = anyio.Event()
        self._held = False  # by somebody who wants the line for a moment
        self._gate.set()
        self._under_way = 0
        self._landed = anyio.Event()

    async def run(
        self,
        operation: Callable[[], Awaitable[T]],
        *,
        repeatable: bool = True,
        before: Callable[[], Awaitable[None]] | None = None,
        path: Path | None = None,
    ) -> T:
        """Return what the operation returns, trying again as the policy allows.

        `before` is awaited before each try. What waits there is not on its way, where an
        operation that waited for others would keep `quiet` from beginning. Raises the last
        `Transient` where it is not to be repeated or the tries are used up, and `RunError` where
        an outage outlasts the patience.
        """
        attempt = 0
        while True:
            await self._open()
            if before is not None:
                await before()
                await self._open()
            try:
                return await self._counted(operation)
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
                if not await self._sit_out(error):
                    attempt -= 1
                if not step.again:
                    raise

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Let nobody send; begins when nothing is on its way any more."""
        await self._open()
        with self._shut():
            while self._under_way:
                self._landed = anyio.Event()
                await self._landed.wait()
            await self.others.still()
            yield

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Let nobody begin to send; what is on its way goes on."""
        await self._open()
        self._held = True
        try:
            with self._shut():
                yield
        finally:
            self._held = False

    @contextmanager
    def _shut(self) -> Iterator[None]:
        """Hold the gate closed."""
        self._gate = limiter = anyio.Event()
        try:
            with self.others.held():
                yield
        finally:
            limiter.set()

    async def _open(self) -> None:
        """Wait until the gate is open: by the time that one is told it may have closed again."""
        while not self._gate.is_set():
            await self._gate.wait()

    async def _counted(self, operation: Callable[[], Awaitable[T]]) -> T:
        self._under_way += 1
        try:
            return await operation()
        finally:
            self._under_way -= 1
            self._landed.set()

    async def pause(self, error: Transient, *, attempt: int, path: Path | None) -> None:
        """Wait before the `attempt`-th fresh start of something larger than a request."""
        after_s = self.policy.backoff(attempt, chance=self._chance())
        await self._pause(error, attempt=attempt, after_s=after_s, path=path)

    async def _pause(
        self, error: Transient, *, attempt: int, after_s: float, path: Path | None
    ) -> None:
        if after_s or not isinstance(error, SessionLost):
            self._emit(Retrying(path=path, reason=error.message, attempt=attempt, after_s=after_s))
        await self.sleep(after_s)

    async def suspect(self, reason: str, *, frozen: Callable[[], Awaitable[None]]) -> None:
        """Send nothing more until the server answers a probe; call `frozen` if that takes long.

        For a server that seems to be frozen: it is asked at once, and one question at a time.
        Where there is an outage already, or no connection, nobody can tell.
        """
        if await self._was_away():
            return
        outage = _Outage(reason, began=self._clock())
        async with self._closed_gate(outage), anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_soon, outage, frozen)
            if not await self._knock(outage):
                await outage.call(frozen)
                await self._wait_for_sign(outage)
            tasks.cancel_scope.cancel()

    async def _tell_soon(self, outage: "_Outage", frozen: Callable[[], Awaitable[None]]) -> None:
        await self.sleep(PROMPT_S)
        self._tell(outage, outage.reason)
        await outage.call(frozen)

    async def _sit_out(self, error: Transient) -> bool:
        """Return after the server has shown a sign of life; True if it did so at once.

        Whoever comes first knocks, the others wait. Raises `RunError` when patience is at an end.
        """
        if await self._was_away():
            return False
        outage = _Outage(error.message, began=self._clock(), retry_after_s=error.retry_after_s)
        async with self._closed_gate(outage):
            await self._wait_for_sign(outage)
        return outage.knocks <= BRIEF_KNOCKS

    async def _was_away(self) -> bool:
        """Wait until the gate is open; tell whether it was an outage that had closed it."""
        while self._held:
            await self._gate.wait()
        away = not self._gate.is_set()
        await self._open()
        return away

    @asynccontextmanager
    async def _closed_gate(self, outage: "_Outage") -> AsyncIterator[None]:
        """Let nobody send meanwhile."""
        with self._shut():
            yield
        if outage.told:
            self._emit(OutageEnded(seconds=self._clock() - outage.began))

    async def _wait_for_sign(self, outage: "_Outage") -> None:
        while True:
            pause = min(
                self.policy.knock_max_s,
                self.policy.backoff(outage.knocks + 1, chance=self._chance()),
            )
            await self.sleep(max(pause, min(outage.retry_after_s or 0.0, 300.0)))
            if await self._knock(outage):
                return

    async def _knock(self, outage: "_Outage") -> bool:
        """Ask for a sign of life. Raises `RunError` when patience is at an end without one."""
        outage.knocks += 1
        try:
            await self._probe()
        except (AnswerLost, Outage, Refused) as error:
            outage.retry_after_s = error.retry_after_s
            outage.unreachable = isinstance(error, Unreachable)
            self._tell(outage, error.message)
            away_s = self._clock() - outage.began
            if away_s > self.policy.patience_s:
                raise ServerUnavailable(
                    run_failures.GONE(seconds=away_s, reason=error.message)
                ) from None
            return False
        return True

    def _tell(self, outage: "_Outage", reason: str) -> None:
        if not outage.told:
            self._emit(OutageBegan(reason=reason))
            outage.told = True


@dataclass(slots=True)
class _Outage:
    """What is known of an outage; `told` when the user is, `called` when who suspected it is."""

    reason: str
    began: float
    retry_after_s: float | None = None
    knocks: int = 0
    told: bool = False
    called: bool = False
    unreachable: bool = False

    async def call(self, frozen: Callable[[], Awaitable[None]]) -> None:
        """Call who suspected it, once, and not where no connection comes about."""
        if not self.called and not self.unreachable:
            self.called = True
            await frozen()
