"""The limiter: order of the slots, proofs of workers, stalls; servers with few PHP workers."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkup.engine.ledger_port import Fact, NoLedger
from bulkup.engine.limiter import Hold, Limiter
from bulkup.engine.pacing import Finishing
from bulkup.engine.retry import Policy, Recovery
from bulkup.errors import AnswerLost, Outage, RateLimited, TimedOut, Transient, Unreachable
from bulkup.events import LimitsChanged, Noticed, OutageBegan, OutageEnded, PhotoUploaded
from bulkup.piwigo.connect import connect
from bulkup.piwigo.workers import WorkerCounter
from bulkup.sandbox import Sandbox
from tests.support import runs
from tests.support.lines import LongLine


@dataclass
class Workers:
    """As many as there are, and how many were asked to be proven."""

    there: int | None
    proofs: list[int] = field(default_factory=list)

    async def prove(self, workers: int, *, hold: Hold) -> int | None:
        self.proofs.append(workers)
        async with hold():
            await checkpoint()
        return self.there and min(workers, self.there)


@dataclass
class Rig(runs.Outcome):
    """A limiter with all it needs, its events, and a clock that only the test moves."""

    workers: int | None = 8
    most: int = 8
    fixed: bool = False
    memory: NoLedger = field(default_factory=NoLedger)
    first_stall_s: float = 20.0
    now: float = 0.0
    probes: int = 0
    answering: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.worker_counter = Workers(self.workers)
        clock = partial(getattr, self, "now")
        self.recovery = Recovery(
            Policy(), emit=self.events.append, probe=self.probe, sleep=runs.no_wait, clock=clock
        )
        self.limiter = Limiter(
            Finishing(most=self.most, fixed=self.fixed),
            worker_counter=self.worker_counter,
            recovery=self.recovery,
            ledger=self.memory,
            emit=self.events.append,
            clock=clock,
            first_stall_s=self.first_stall_s,
        )

    async def probe(self) -> None:
        self.probes += 1
        await self.answering.wait()

    @asynccontextmanager
    async def attended(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.limiter.attend)
            yield
            tasks.cancel_scope.cancel()

    async def finish(self, *, error: Transient | None = None) -> None:
        async def work() -> None:
            await checkpoint()
            self.now += 1.0
            if error:
                raise error

        async with self.limiter.slot() as slot:
            await slot.measure(work)

    async def finish_rounds(self, times: int, *, at_once: int = 4) -> None:
        for _ in range(times):
            async with anyio.create_task_group() as tasks:
                for _ in range(at_once):
                    tasks.start_soon(self.finish)

    @property
    def facts(self) -> dict[Fact, int]:
        """What the ledger has learned."""
        return self.memory._facts

    @property
    def limits(self) -> list[tuple[int, int]]:
        """The limits shown: of now, and the highest."""
        return [(event.finishing, event.most_finishing) for event in self.of(LimitsChanged)]


async def after(rig: Rig, *, times: int, at_once: int = 4) -> Rig:
    """Return the rig after some rounds of finishes."""
    async with rig.attended():
        await rig.finish_rounds(times, at_once=at_once)
    return rig


async def test_workers_are_proven_before_the_first_photo_while_nobody_begins_to_send() -> None:
    rig = Rig(workers=6)
    done: list[str] = []
    prove = rig.worker_counter.prove

    async def send() -> None:
        done.append("sent")

    async def watched(workers: int, *, hold: Hold) -> int | None:
        async with hold():
            assert not rig.recovery._gate.is_set()
            tasks.start_soon(rig.recovery.run, send)
            await anyio.wait_all_tasks_blocked()
            done.append("proven")
        return await prove(workers, hold=hold)

    rig.worker_counter.prove = watched  # type: ignore[method-assign]
    async with rig.attended(), anyio.create_task_group() as tasks:
        await checkpoint()
        assert rig.worker_counter.proofs == []  # a run that sends nothing asks nothing
        await rig.limiter.begin()
        assert "proven" in done
        await rig.limiter.begin()
    assert done == ["proven", "sent"]
    assert rig.worker_counter.proofs == [6]
    assert rig.limiter.pacing.workers == 6
    assert rig.facts[Fact.WORKERS] == 6
    assert rig.limits == [(1, 1), (1, 4)]


async def test_a_proof_that_fails_beside_a_photo_is_made_with_nobody_inside() -> None:
    rig = Rig(workers=2)
    rig.limiter.pacing.workers = 3
    rig.limiter.pacing._climb = None  # as later in a run
    async with rig.attended():
        await rig.finish_rounds(20)
        rig.now += 100.0
        rig.worker_counter.proofs.clear()
        async with rig.limiter.slot() as slot:
            rig.limiter.pacing._asked = 3
            rig.limiter._changed.set()
            while not rig.worker_counter.proofs:
                await checkpoint()
            await anyio.wait_all_tasks_blocked()
            assert rig.worker_counter.proofs == [5]
            rig.worker_counter.there = 5
            assert slot in rig.limiter._inside
        await rig.finish()  # it waits for the proof
    assert rig.worker_counter.proofs == [5, 5]
    assert rig.limiter.pacing.workers == 5


@pytest.mark.parametrize(
    ("workers", "known", "shown"),
    [
        pytest.param(8, {Fact.PLACES: 3}, [1, 3], id="the best limit when it is proven"),
        pytest.param(4, {Fact.WORKERS: 6, Fact.PLACES: 3}, [1, 2], id="fewer are there"),
        pytest.param(2, {Fact.WORKERS: 6, Fact.PLACES: 3}, [1], id="too few are there"),
    ],
)
async def test_what_an_earlier_run_has_found_is_taken_up(
    workers: int, known: dict[Fact, int], shown: list[int]
) -> None:
    rig = Rig(workers=workers)
    rig.facts.update(known)
    await after(rig, times=3)
    assert [finishing for finishing, _ in rig.limits] == shown
    assert rig.worker_counter.proofs[0] == 6


async def test_what_could_not_be_proven_holds_up_no_later_run() -> None:
    rig = await after(Rig(workers=2), times=3)
    assert rig.worker_counter.proofs == [6, 3]
    again = Rig(workers=2, memory=rig.memory)
    async with again.attended():
        await again.finish_rounds(10, at_once=2)
        assert again.worker_counter.proofs == []
        again.now += 60.0
        await again.finish_rounds(1)
    assert again.worker_counter.proofs == [3]


async def test_a_run_begins_with_the_usual_time_of_an_earlier_one() -> None:
    rig = await after(Rig(workers=8), times=10)
    assert rig.facts[Fact.FINISH_MS] == 1_000
    again = Rig(workers=8, memory=rig.memory)
    async with again.attended(), again.limiter.slot():
        await anyio.wait_all_tasks_blocked()
        assert again.limiter.pacing.usual_s == 1.0


@pytest.mark.parametrize("known", [{}, {Fact.WORKERS: 5}])
async def test_workers_are_proven_anew_and_the_best_limit_is_remembered(
    known: dict[Fact, int],
) -> None:
    rig = Rig(workers=3)
    rig.facts.update(known)
    await after(rig, times=40)
    assert rig.limiter.pacing.workers == 3
    assert rig.limits[0] == ((1, 3) if known else (1, 1))
    assert rig.facts[Fact.WORKERS] == known.get(Fact.WORKERS, 3)
    assert rig.facts[Fact.PLACES] == rig.limiter.pacing.best


async def test_a_single_worker_is_not_stored_and_one_slot_does_not_mean_one_worker() -> None:
    """A worker may just have been busy otherwise."""
    assert Fact.WORKERS not in (await after(Rig(workers=1), times=1, at_once=1)).facts
    assert not (await after(Rig(workers=8, most=1), times=1, at_once=1)).of(Noticed)


async def test_workers_that_can_not_be_counted_are_not_said_to_be_one() -> None:
    rig = await after(Rig(workers=None), times=30, at_once=1)
    (notice,) = rig.of(Noticed)
    assert "can't be counted" in notice.message
    assert "--finishing 2" in notice.hint
    assert rig.limiter.pacing.target == 1


async def test_a_task_that_tries_again_lets_others_go_first_where_too_many_are_inside() -> None:
    rig = Rig(most=2, fixed=True)
    second = anyio.Event()

    async def fail() -> None:
        raise RateLimited("429")

    async def occupy() -> None:
        async with rig.limiter.slot():
            await second.wait()

    async with rig.attended(), anyio.create_task_group() as tasks:
        tasks.start_soon(occupy)
        await checkpoint()
        async with rig.limiter.slot() as inside:
            with pytest.raises(RateLimited):
                await inside.measure(fail)
            assert rig.limiter.pacing.target == 1
            with anyio.move_on_after(0.01) as waited:
                await inside.renew()
            assert waited.cancelled_caught
        second.set()


async def test_a_task_that_lets_others_go_first_keeps_no_workers_from_being_proven() -> None:
    rig = Rig(workers=8)
    rig.answering.set()
    entered = tries = 0

    async def finish() -> None:
        nonlocal tries
        tries += 1
        refused = tries <= 4  # all, and then the one that is left inside
        while entered < 3:
            await checkpoint()
        await checkpoint()
        rig.now += 1.0
        if refused:
            raise RateLimited("429")
        rig.now += 200.0  # by then one slot more may be tried again

    async def enter() -> None:
        nonlocal entered
        async with rig.limiter.slot() as inside:
            entered += 1
            finish_again = partial(inside.measure, finish)
            await rig.recovery.run(finish_again, before=inside.renew, repeatable=False)

    async with rig.attended():
        await rig.finish()
        await anyio.wait_all_tasks_blocked()
        rig.limiter.pacing._climb, rig.limiter.pacing._settled = None, 3
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(enter)
    assert tries == 7
    assert rig.worker_counter.proofs == [6, 3]


async def test_a_single_worker_is_reported_of_when_a_photo_alone_is_blocked() -> None:
    rig = Rig(workers=1)
    rig.answering.set()
    async with rig.attended():
        with pytest.raises(TimedOut):
            await rig.finish(error=TimedOut(""))
        for _ in range(5):
            await rig.finish()
    notice = rig.of(Noticed)[-1]
    assert "single PHP worker" in notice.message
    assert "pm.max_children" in notice.hint
    assert rig.limiter.pacing.target == 1


async def test_tasks_enter_in_order_unless_cancelled_and_never_more_than_the_target() -> None:
    rig = Rig(most=2, fixed=True)
    inside, most, entered = 0, 0, list[int]()

    async def one(number: int) -> None:
        nonlocal inside, most
        async with rig.limiter.slot():
            entered.append(number)
            inside += 1
            most = max(most, inside)
            for _ in range(5):
                await checkpoint()
            inside -= 1

    async with rig.attended(), anyio.create_task_group() as tasks:
        async with rig.limiter.slot(), rig.limiter.slot():
            with anyio.move_on_after(0):
                async with rig.limiter.slot():
                    pytest.fail("nobody may enter")
        for number in range(20):
            tasks.start_soon(one, number)
    assert most == 2
    assert entered == list(range(20))


@pytest.mark.parametrize("error", [Outage(""), RateLimited(""), TimedOut("")])
async def test_the_first_to_fail_of_those_inside_lowers_the_ceiling_for_later_runs_too(
    error: Transient,
) -> None:
    rig = Rig(workers=16)
    rig.answering.set()
    all_inside = anyio.Event()

    async def fail() -> None:
        await all_inside.wait()
        raise error

    async def freeze() -> None:
        async with rig.limiter.slot() as inside:
            with pytest.raises(type(error)):
                await inside.measure(fail)

    async with rig.attended():
        await rig.finish()
        await anyio.wait_all_tasks_blocked()
        rig.limiter.pacing._climb, rig.limiter.pacing._settled = None, 4
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(freeze)
                await checkpoint()
                rig.now += 1.0
            all_inside.set()
        await rig.finish()
    assert rig.limiter.pacing.most == 3
    assert rig.facts[Fact.FINISHING] == 3
    assert bool(rig.probes) == isinstance(error, TimedOut)  # before anything else is sent
    later = await after(Rig(workers=16, memory=rig.memory), times=1, at_once=1)
    assert {most for _, most in later.limits} == {3}


@pytest.mark.parametrize("error", [AnswerLost(""), Unreachable("")])
async def test_a_line_that_breaks_says_nothing_of_the_workers(error: Transient) -> None:
    rig = Rig()
    async with rig.attended():
        with pytest.raises(type(error)):
            await rig.finish(error=error)
    assert rig.limiter.pacing.most == 8


async def test_when_nothing_comes_back_nothing_is_sent_until_a_probe_is_answered() -> None:
    rig = Rig(most=4, fixed=True, first_stall_s=0.01)
    done = anyio.Event()

    async def stuck() -> None:
        async with rig.limiter.slot():
            await done.wait()

    async with rig.attended(), anyio.create_task_group() as tasks:
        tasks.start_soon(stuck)
        tasks.start_soon(stuck)
        while not rig.of(OutageBegan):
            await checkpoint()
        sent = anyio.Event()

        async def send() -> None:
            sent.set()

        tasks.start_soon(rig.recovery.run, send)
        for _ in range(20):
            await checkpoint()
        assert not sent.is_set()
        assert rig.probes == 1
        rig.answering.set()
        await sent.wait()
        done.set()
    assert rig.facts.get(Fact.FINISHING) in {None, 1}
    (began,) = rig.of(OutageBegan)
    assert "no photo was finished for" in str(began)
    assert len(rig.of(OutageEnded)) == 1
    assert rig.limiter.pacing.most == 1  # two were inside


async def test_a_server_that_answers_at_once_has_but_a_large_photo_to_work_on() -> None:
    rig = Rig(most=4, fixed=True, first_stall_s=0.001)
    rig.answering.set()
    async with rig.attended(), rig.limiter.slot(), rig.limiter.slot():
        while rig.probes < 4:
            await checkpoint()
    assert not rig.of(OutageBegan)
    assert rig.limits == [(4, 4)]
    assert rig.worker_counter.proofs == []  # a number of the user's own needs none
    assert rig.limiter.pacing.most == 4


# real counts, and hosts with few workers

WORK_S = 0.2  # for a list of 100,000 MD5s, as on a real server


@asynccontextmanager
async def worker_counter(
    *,
    rtt_s: float = 0.0,
    rate: float = float("inf"),
    **options: Any,  # noqa: ANN401
) -> AsyncIterator[WorkerCounter]:
    """Run a sandbox, perhaps behind a long or thin line, and return the counter of its workers."""
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(Sandbox(**{"exist_cost_s": WORK_S} | options))
        port = int(box.url.rpartition(":")[2].strip("/"))
        if rtt_s:
            line = await stack.enter_async_context(LongLine(port, rtt_s=rtt_s, rate=rate))
            port = line.port
        connection = connect(f"http://127.0.0.1:{port}/", credentials=runs.ADMIN, connections=20)
        server = await stack.enter_async_context(connection)
        yield server.worker_counter


@pytest.mark.parametrize(
    "options", [*({"workers": workers} for workers in (1, 2, 3, 5)), {"workers": 4, "cpus": 2}]
)
async def test_workers_are_counted_and_never_too_many(options: dict[str, int]) -> None:
    workers = options["workers"]
    async with worker_counter(**options) as counting:
        assert await counting.count(12) in range(1, workers + 1)
        assert await counting.prove(workers + 1) in range(1, workers + 1)
        assert await counting.prove(1) == 1


async def test_a_photo_that_is_being_finished_counts_as_a_busy_worker() -> None:
    async with worker_counter(workers=2) as counting:
        assert await counting.prove(3) in {1, 2}
        counting._pool.finishing.add("one that stays unanswered")
        assert await counting.prove(3) == 3


@pytest.mark.parametrize(
    ("options", "counted"),
    [
        pytest.param({"exist_cost_s": 0.0001}, {None, 1}, id="it costs nothing"),  # 1 if busy
        pytest.param({"only": runs.FOUR_METHODS}, {None}, id="it is not offered"),
    ],
)
async def test_where_the_question_tells_nothing_workers_cannot_be_counted(
    options: dict[str, Any], counted: set[int | None]
) -> None:
    async with worker_counter(workers=4, **options) as counting:
        assert await counting.count(6) in counted
        assert await counting.prove(2) in counted


@pytest.mark.chaos
async def test_a_long_line_makes_no_workers() -> None:
    async with worker_counter(workers=2, rtt_s=0.03) as counting:
        for _ in range(2):
            assert await counting.prove(3) in {1, 2}
        assert await counting.prove(2) == 2


@pytest.mark.chaos
async def test_a_thin_line_hides_no_workers_and_makes_none() -> None:
    async with worker_counter(workers=4, rtt_s=0.01, rate=1.5e6) as counting:
        # three lists keep the line busy for longer than they keep a worker busy
        for _ in range(30):  # other work on this machine may spoil a proof
            if await counting.prove(4) == 4:
                break
        else:
            pytest.fail("no proof")
        assert (await counting.prove(5) or 1) < 5


@pytest.mark.chaos
async def test_a_line_too_thin_to_count_over_is_not_taken_for_a_single_worker() -> None:
    async with worker_counter(workers=4, rtt_s=0.01, rate=2.4e5) as counting:
        assert await counting.count(4) is None


@pytest.mark.parametrize(("workers", "believed"), [(2, None), (3, None), (2, 16)])
async def test_a_small_host_never_freezes_whatever_an_earlier_run_believed(
    tmp_path: Path, workers: int, believed: int | None
) -> None:
    archive = runs.make_archive(tmp_path, count=60, names=20)
    memory = NoLedger()
    if believed:
        await memory.learn(Fact.WORKERS, believed)
    async with Sandbox(workers=workers, exist_cost_s=WORK_S, finish_s=0.01) as box:
        outcome = await runs.run(box, tmp_path, finishing=None, concurrency=8, memory=memory)
        assert box.finishing_peak < workers
        assert runs.stored_sums(box) == Counter(archive.values())
    assert not outcome.of(OutageBegan)
    assert outcome.balances()


@pytest.mark.parametrize("method", ["async", "upload"])
@pytest.mark.parametrize(("workers", "finishing", "count"), [(1, None, 2), (3, 3, 12)])
async def test_a_host_that_freezes_gets_each_photo_once_and_then_fewer_finish_at_once(
    tmp_path: Path, method: str, workers: int, finishing: int | None, count: int
) -> None:
    archive = runs.make_archive(tmp_path, count=count, names=4)
    options: dict[str, Any] = {"exist_cost_s": WORK_S, "finish_s": 0.01, "gateway_timeout_s": 0.3}
    async with Sandbox(workers=workers, **options) as box:
        outcome = await runs.run(box, tmp_path, finishing=finishing, method=method)
        assert runs.stored_sums(box) == Counter(archive.values())
    assert outcome.balances()
    assert len(outcome.of(PhotoUploaded)) == count
    if outcome.of(OutageBegan) and finishing:
        assert outcome.of(LimitsChanged)[-1].most_finishing < finishing
