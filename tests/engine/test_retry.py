"""The retry policy as a table and as laws, and the gate in an outage; no test waits."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from bulkup.engine.retry import PROMPT_S, Policy, Raise, Recovery, Retry, WaitForServer, decide
from bulkup.errors import (
    AnswerLost,
    ChunkCorrupted,
    Outage,
    PhotoCorrupted,
    PhotoError,
    RateLimited,
    Refused,
    RunError,
    SendInterrupted,
    ServerUnavailable,
    SessionLost,
    TooLarge,
    Transient,
    Unreachable,
)
from bulkup.events import OutageBegan, OutageEnded, Retrying
from tests.support.runs import Outcome

POLICY = Policy(retries=3, wait_s=1.0, wait_max_s=60.0, patience_s=100.0, probe_max_s=30.0)
KINDS = [
    *(Transient, AnswerLost, SendInterrupted, Refused, SessionLost, TooLarge, ChunkCorrupted),
    *(PhotoCorrupted, Outage, RateLimited, Unreachable),
]

# the decision


@pytest.mark.parametrize(
    ("error", "attempt", "repeatable", "expected"),
    [
        (SendInterrupted(""), 1, True, Retry(1.0)),
        (SendInterrupted(""), 1, False, Raise()),
        (Refused(""), 1, False, Retry(1.0)),
        (Refused(""), 4, False, Raise()),
        (Refused("", retry_after_s=7.0), 1, True, Retry(7.0)),
        (Refused("", retry_after_s=0.0), 2, True, Retry(0.0)),
        (Refused("", retry_after_s=-5.0), 1, True, Retry(0.0)),
        (Refused("", retry_after_s=1e9), 1, True, Retry(100.0)),
        (TooLarge(""), 1, True, Raise()),
        (PhotoCorrupted(""), 1, True, Raise()),
        (ChunkCorrupted(""), 1, False, Retry(1.0)),
        (ChunkCorrupted(""), 2, True, Raise()),
        (Outage(""), 3, True, WaitForServer(again=True)),
        (Outage(""), 4, True, WaitForServer(again=False)),
        (Outage(""), 1, False, WaitForServer(again=False)),
        (Unreachable(""), 1, False, WaitForServer(again=True)),
        (Unreachable(""), 4, False, WaitForServer(again=False)),
    ],
)
def test_the_decision_is_a_table(
    error: Transient, attempt: int, repeatable: bool, expected: Retry | WaitForServer | Raise
) -> None:
    step = decide(error, attempt=attempt, repeatable=repeatable, policy=POLICY, chance=0.0)
    assert step == expected


@st.composite
def errors(draw: st.DrawFn) -> Transient:
    after_s = draw(st.none() | st.floats(allow_nan=False))
    kind: type[Transient] = draw(st.sampled_from(KINDS))
    return kind("x", retry_after_s=after_s)


attempts = st.integers(1, 10**6)
chances = st.floats(0, 1)
policies = st.builds(
    Policy,
    retries=st.integers(0, 10**6),
    wait_s=st.floats(0, 10),
    wait_max_s=st.floats(0, 1000),
    patience_s=st.floats(0, 1e7),
)


@given(error=errors(), attempt=attempts, repeatable=st.booleans(), policy=policies, chance=chances)
def test_whatever_fails_waits_and_tries_are_bounded_and_nothing_goes_twice_that_may_not(
    error: Transient, attempt: int, repeatable: bool, policy: Policy, chance: float
) -> None:
    step = decide(error, attempt=attempt, repeatable=repeatable, policy=policy, chance=chance)
    goes_again = isinstance(step, Retry) or (isinstance(step, WaitForServer) and step.again)
    assert not goes_again or repeatable or error.untouched
    assert not goes_again or attempt <= policy.retries
    if isinstance(step, Retry):
        assert 0 <= step.after_s <= max(policy.wait_max_s * 1.5, policy.patience_s)


@given(attempt=attempts, policy=policies, chance=chances)
def test_the_backoff_is_bounded_and_never_falls_from_try_to_try(
    attempt: int, policy: Policy, chance: float
) -> None:
    assert 0 <= policy.backoff(attempt, chance=chance) <= policy.wait_max_s * 1.5
    assert policy.backoff(attempt + 1, chance=chance) >= policy.backoff(attempt, chance=chance)


@given(size=st.integers(0, 10**12))
def test_the_questions_for_a_photo_are_few_begin_at_once_and_take_as_long_as_promised(
    size: int,
) -> None:
    delays = Policy().ask_delays(size)
    assert delays[0] == 0.0
    assert all(delay >= 0 for delay in delays)
    assert sum(delays) == pytest.approx(8.0 + size / 20e6)
    assert len(delays) < 32


# the loop


@dataclass
class World(Outcome):
    """Events, a clock that only sleeping moves, and a server that is away until a time."""

    back_at: float = 0.0
    policy: Policy = POLICY
    patient: bool = False
    away: type[Outage] = Outage
    now: float = 0.0
    sleeps: list[float] = field(default_factory=list)
    probes: int = 0
    probing: int = 0

    def __post_init__(self) -> None:
        self.recovery = Recovery(
            self.policy,
            emit=self.events.append,
            probe=self.probe,
            sleep=self.sleep,
            clock=lambda: self.now,
            chance=lambda: 0.0,
        )

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        if not self.patient or seconds != PROMPT_S:
            self.now += seconds
        await turns(1 + 9 * self.patient)

    async def probe(self) -> None:
        assert not self.probing, "two ping at once"
        self.probing += 1
        self.probes += 1
        await checkpoint()
        self.probing -= 1
        if self.now < self.back_at:
            raise self.away("still away")


async def turns(count: int) -> None:
    """Let other tasks go on."""
    for _ in range(count):
        await checkpoint()


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    left = list(errors)

    async def operation() -> str:
        await checkpoint()
        if left:
            raise left.pop(0)
        return "done"

    return operation


@pytest.mark.parametrize(
    ("errors", "repeatable", "ends_well", "sleeps"),
    [
        ([], True, True, []),
        ([AnswerLost("a"), AnswerLost("b"), AnswerLost("c")], True, True, [1.0, 2.0, 4.0]),
        ([AnswerLost("")] * 4, True, False, [1.0, 2.0, 4.0]),
        ([AnswerLost("")], False, False, []),
        ([SessionLost("")], False, True, [0.0]),
        ([SessionLost("")] * 4, True, False, [0.0, 2.0, 4.0]),
        ([PhotoError("")], True, False, []),
        ([RunError("")], True, False, []),
        ([ZeroDivisionError()], True, False, []),
        ([RateLimited("", retry_after_s=50.0)], False, True, [50.0]),
        ([Outage("", retry_after_s=60.0)], True, True, [60.0]),
        ([Outage("", retry_after_s=1e9)], True, True, [300.0]),
        ([Outage("")] * 4, True, False, [1.0] * 4),
    ],
)
async def test_a_request_goes_again_after_these_waits_or_its_last_error_goes_on(
    errors: list[Exception], repeatable: bool, ends_well: bool, sleeps: list[float], tmp_path: Path
) -> None:
    """A server that answers the first ping was not away: no outage is reported."""
    world = World()
    request = failing(*errors)
    if ends_well:
        assert await world.recovery.run(request, repeatable=repeatable, path=tmp_path) == "done"
    else:
        with pytest.raises(type(errors[-1])) as caught:
            await world.recovery.run(request, repeatable=repeatable, path=tmp_path)
        assert caught.value is errors[-1]
    assert world.sleeps == sleeps
    assert not world.of(OutageBegan)
    assert world.events == [
        Retrying(path=tmp_path, reason=error.message, attempt=attempt, after_s=after_s)
        for attempt, (error, after_s) in enumerate(zip(errors, sleeps, strict=False), 1)
        if isinstance(error, Transient) and not isinstance(error, Outage) and after_s
    ]


@pytest.mark.parametrize(
    ("error", "repeatable", "goes_again"),
    [
        (Outage("gone"), True, True),
        (Outage("gone"), False, False),
        (Unreachable("gone"), False, True),
    ],
)
@pytest.mark.parametrize("away_s", [90.0, 7 * 86_400.0])
async def test_an_outage_is_sat_out_and_reported_and_what_may_go_again_does(
    error: Outage, repeatable: bool, goes_again: bool, away_s: float
) -> None:
    world = World(back_at=away_s, policy=replace(POLICY, patience_s=away_s + 10))
    with nullcontext() if goes_again else pytest.raises(Outage, match="gone"):
        assert await world.recovery.run(failing(error), repeatable=repeatable) == "done"
    assert world.of(OutageBegan) == [OutageBegan(reason="still away")]
    (ended,) = world.of(OutageEnded)
    assert ended.seconds >= away_s
    assert max(world.sleeps) <= POLICY.probe_max_s


async def test_long_outages_are_charged_to_nobody() -> None:
    world, outages = World(), iter(range(20))

    async def operation() -> None:
        if next(outages, None) is not None:
            world.back_at = world.now + 10
            raise Outage("gone")

    await world.recovery.run(operation)
    assert len(world.of(OutageEnded)) == 20


async def test_the_end_of_patience_ends_the_run() -> None:
    world = World(back_at=1e9)
    unavailable = r"the server has been unavailable for \d+ s: still away"
    with pytest.raises(RunError, match=unavailable) as caught:
        await world.recovery.run(failing(Outage("gone")))
    assert "again when it is back" in caught.value.hint
    assert 100.0 < world.now <= 100.0 + 1.5 * POLICY.probe_max_s
    ended_at = world.now
    with pytest.raises(ServerUnavailable, match=unavailable):
        await world.recovery.run(failing())
    assert world.now == ended_at


async def test_one_knocks_for_all_and_nobody_sends_meanwhile_and_one_outage_is_reported() -> None:
    world = World(back_at=50.0)
    sent_at, suspected = list[float](), list[int]()

    async def fail() -> None:
        assert await world.recovery.run(failing(Outage("gone"))) == "done"
        sent_at.append(world.now)

    async def send_later() -> None:
        while not world.probes:
            await checkpoint()
        tasks.start_soon(suspect_too)
        await world.recovery.run(note)

    async def note() -> None:
        sent_at.append(world.now)

    async def suspect_too() -> None:
        suspected.append(await suspect(world))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(fail)
        tasks.start_soon(send_later)
    assert len(sent_at) == 9
    assert min(sent_at) >= 50.0
    assert suspected == [0]  # it waited for the end as well
    assert len(world.of(OutageBegan)) == len(world.of(OutageEnded)) == 1


async def test_the_gate_opens_when_the_one_who_knocks_is_cancelled() -> None:
    world = World(back_at=50.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.recovery.run, failing(Outage("gone")))
        while not world.probes:
            await checkpoint()
        tasks.cancel_scope.cancel()
    assert await world.recovery.run(failing()) == "done"


async def test_a_fresh_start_waits_as_a_try_again_does(tmp_path: Path) -> None:
    world = World()
    await world.recovery.pause(PhotoCorrupted("wrong sum"), attempt=3, path=tmp_path)
    assert world.sleeps == [4.0]
    assert world.events == [Retrying(path=tmp_path, reason="wrong sum", attempt=3, after_s=4.0)]


# a server that seems frozen


async def suspect(world: World) -> int:
    """Suspect the server, and return how often `frozen` was called."""
    frozen = mock.AsyncMock()
    await world.recovery.suspect("nothing comes back", frozen=frozen)
    return frozen.await_count


@pytest.mark.parametrize(
    ("world", "frozen", "outages"),
    [
        pytest.param(World(patient=True), 0, 0, id="it answers at once"),
        pytest.param(World(back_at=20.0), 1, 1, id="it is away"),
        pytest.param(
            World(back_at=20.0, patient=True, away=Unreachable), 0, 1, id="no connection"
        ),
    ],
)
async def test_a_suspect_server_is_frozen_if_it_takes_connections_and_does_not_answer(
    world: World, frozen: int, outages: int
) -> None:
    assert await suspect(world) == frozen
    assert len(world.of(OutageBegan)) == len(world.of(OutageEnded)) == outages
    assert world.now >= world.back_at


async def test_a_server_that_was_suspect_for_too_long_ends_the_run() -> None:
    world = World(back_at=1e9)
    with pytest.raises(ExceptionGroup) as caught:
        await suspect(world)
    assert caught.group_contains(RunError, match="the server has been unavailable")


async def test_nothing_begins_while_it_is_held_and_what_is_under_way_goes_on() -> None:
    world = World()
    going, reported = anyio.Event(), list[str]()

    async def slow() -> None:
        reported.append("begins")
        await going.wait()
        reported.append("ends")

    async def later() -> None:
        reported.append("later")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.recovery.run, slow)
        await checkpoint()
        async with world.recovery.hold():
            tasks.start_soon(world.recovery.run, later)
            going.set()
            await turns(10)
            assert reported == ["begins", "ends"]
    assert reported == ["begins", "ends", "later"]


async def test_of_tasks_that_start_together_the_first_to_fail_keeps_the_others_back() -> None:
    world, sent_at = World(back_at=20.0), list[float]()

    async def send() -> None:
        sent_at.append(world.now)
        if world.now < 20.0:
            raise Outage("gone")

    async with anyio.create_task_group() as tasks, world.recovery.hold():
        for _ in range(6):
            tasks.start_soon(world.recovery.run, send)
        await turns(3)
        assert not sent_at
    assert [at < 20.0 for at in sent_at] == [True] + [False] * 6
