"""The limiter: order of the slots, proofs of workers, stalls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkup.engine.limiter import Hold, Limiter
from bulkup.engine.pacing import Finishing
from bulkup.engine.ports import Fact, NoLedger
from bulkup.engine.retry import Policy, Recovery
from bulkup.errors import AnswerLost, Outage, RateLimited, TimedOut, Transient, Unreachable
from bulkup.events import Event, LimitsChanged, Noticed, OutageBegan, OutageEnded
from tests.support.runs import no_wait


@dataclass
class Workers:
    """As many as there are, and how many were asked to be proven."""

    there: int | None
    length: int | None = None
    proofs: list[int] = field(default_factory=list)

    async def prepare(self, *, anew: bool) -> bool:
        del anew
        await checkpoint()
        return self.there is not None

    async def prove(self, workers: int, *, hold: Hold) -> bool:
        self.proofs.append(workers)
        async with hold():
            await checkpoint()
        return self.there is not None and workers <= self.there


class Rig:
    """A limiter with all it needs, on a clock that only the test moves."""

    def __init__(
        self,
        *,
        workers: int | None = 8,
        most: int = 8,
        fixed: bool = False,
        memory: NoLedger | None = None,
        first_stall_s: float = 20.0,
    ) -> None:
        self.events: list[Event] = []
        self.now = 0.0
        self.census = Workers(workers)
        self.memory = memory or NoLedger()
        self.answering = anyio.Event()
        self.probes = 0
        self.limiter = Limiter(
            Finishing(most=most, fixed=fixed),
            census=self.census,
            recovery=Recovery(
                Policy(),
                emit=self.events.append,
                probe=self.probe,
                sleep=no_wait,
                clock=lambda: self.now,
            ),
            ledger=self.memory,
            emit=self.events.append,
            clock=lambda: self.now,
            first_stall_s=first_stall_s,
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

    async def finish(self, *, error: Transient | None = None, takes_s: float = 1.0) -> None:
        async def work() -> None:
            await checkpoint()
            self.now += takes_s
            if error:
                raise error

        async with self.limiter.slot() as slot:
            await slot.measure(work)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def facts(self) -> dict[Fact, int]:
        """What the ledger has learned."""
        return self.memory._facts


async def after(rig: Rig, *, times: int, at_once: int = 4) -> Rig:
    """Return the rig after some rounds of finishes."""
    async with rig.attended():
        await finish_rounds(rig, times=times, at_once=at_once)
    return rig


async def test_the_first_photo_is_finished_at_once_and_workers_are_proven_meanwhile() -> None:
    rig = Rig(workers=6)
    async with rig.attended():
        await checkpoint()
        assert rig.census.proofs == []  # a run that finishes nothing asks nothing
        async with rig.limiter.slot():
            while not rig.limiter.pacing.workers > 1:
                await checkpoint()
    assert rig.census.proofs == [6]
    assert rig.facts == {Fact.WORKERS: 6}
    assert rig.of(LimitsChanged)[0] == LimitsChanged(finishing=1, most_finishing=1)
    assert rig.of(LimitsChanged)[-1] == LimitsChanged(finishing=1, most_finishing=4)


async def test_a_proof_that_fails_beside_a_photo_is_made_with_nobody_inside() -> None:
    rig = Rig(workers=3)
    async with rig.attended():
        async with rig.limiter.slot():
            while not rig.census.proofs:
                await checkpoint()
            await anyio.wait_all_tasks_blocked()
        assert rig.census.proofs == [6]
        await rig.finish()  # it waits for the proofs
    assert rig.census.proofs == [6, 3]
    assert rig.limiter.pacing.workers == 3


async def test_nobody_begins_to_send_while_a_proof_is_on_its_way() -> None:
    rig = Rig(workers=6)
    recovery = rig.limiter._recovery
    sent: list[int] = []

    async def send() -> None:
        sent.append(len(rig.census.proofs))

    async with rig.attended(), rig.limiter.slot():
        while not rig.census.proofs:
            await checkpoint()
        assert not recovery._gate.is_set()
        await recovery.run(send)
    assert sent == [1]
    assert rig.limiter.pacing.workers == 6


async def test_photos_go_on_to_be_finished_beside_the_first_proof() -> None:
    rig = Rig(workers=6)
    go, prove = anyio.Event(), rig.census.prove

    async def wait(workers: int, *, hold: Hold) -> bool:
        await go.wait()
        return await prove(workers, hold=hold)

    rig.census.prove = wait  # type: ignore[method-assign]
    async with rig.attended():
        for _ in range(3):
            await rig.finish()
        assert rig.census.proofs == []
        go.set()
        await anyio.wait_all_tasks_blocked()
    assert rig.census.proofs == [6]


async def test_finishes_beside_a_proof_tell_nothing_of_the_pace() -> None:
    rig = Rig(workers=6)
    async with rig.attended(), rig.limiter.slot() as inside:
        await inside.measure(partial(anyio.wait_all_tasks_blocked))
    assert rig.census.proofs == [6]
    assert rig.limiter.pacing.usual_s is None


async def finish_rounds(rig: Rig, *, times: int, at_once: int = 4) -> None:
    for _ in range(times):
        async with anyio.create_task_group() as tasks:
            for _ in range(at_once):
                tasks.start_soon(rig.finish)


async def test_what_served_an_earlier_run_best_is_taken_up_when_it_is_proven() -> None:
    rig = Rig(workers=8)
    await rig.memory.learn(Fact.PLACES, 3)
    await after(rig, times=3)
    assert rig.census.proofs == [5]
    shown = [event.finishing for event in rig.of(LimitsChanged) if hasattr(event, "finishing")]
    assert shown == [1, 3]


async def test_the_best_limit_is_remembered() -> None:
    rig = await after(Rig(workers=3), times=40)
    assert rig.facts[Fact.WORKERS] == 3
    assert rig.facts[Fact.PLACES] == rig.limiter.pacing.best


@pytest.mark.parametrize(("workers", "limits"), [(8, [2, 3]), (3, [2]), (2, [2, 1])])
async def test_half_the_workers_of_an_earlier_run_are_relied_on_until_they_are_proven(
    workers: int, limits: list[int]
) -> None:
    rig = Rig(workers=workers)
    await rig.memory.learn(Fact.WORKERS, 6)
    await rig.memory.learn(Fact.PLACES, 3)
    await after(rig, times=3)
    shown = [event.finishing for event in rig.of(LimitsChanged) if hasattr(event, "finishing")]
    assert shown == limits


async def test_what_could_not_be_proven_holds_up_no_later_run() -> None:
    rig = await after(Rig(workers=2), times=3)
    assert rig.census.proofs == [6, 3]
    again = Rig(workers=2, memory=rig.memory)
    async with again.attended():
        await finish_rounds(again, times=10, at_once=2)
        assert again.census.proofs == []
        again.now += 60.0
        await finish_rounds(again, times=1)
    assert again.census.proofs == [3, 3]  # beside the finishes, then alone


async def test_a_proof_begins_with_the_list_and_the_time_that_an_earlier_run_found() -> None:
    rig = Rig(workers=8)
    rig.census.length = 40_000
    await after(rig, times=10)
    assert (rig.facts[Fact.PROOF], rig.facts[Fact.FINISH_MS]) == (40_000, 1_000)
    again = Rig(workers=8, memory=rig.memory)
    async with again.attended(), again.limiter.slot():
        await anyio.wait_all_tasks_blocked()
        assert again.census.length == 40_000
        assert again.limiter.pacing.usual_s == 1.0


async def test_what_an_earlier_run_has_proven_is_proven_anew() -> None:
    rig = Rig(workers=3)
    await rig.memory.learn(Fact.WORKERS, 5)
    await after(rig, times=25)
    assert rig.limiter.pacing.workers == 3
    assert rig.of(LimitsChanged)[0] == LimitsChanged(finishing=1, most_finishing=3)
    assert rig.facts[Fact.WORKERS] == 5


async def test_a_single_worker_is_not_stored_and_one_slot_does_not_mean_one_worker() -> None:
    """A worker may just have been busy otherwise."""
    assert (await after(Rig(workers=1), times=1, at_once=1)).facts == {}
    assert not (await after(Rig(workers=8, most=1), times=1, at_once=1)).of(Noticed)


async def test_workers_that_can_not_be_counted_are_not_said_to_be_one() -> None:
    rig = await after(Rig(workers=None), times=30, at_once=1)
    (notice,) = rig.of(Noticed)
    assert isinstance(notice, Noticed)
    assert "can't be counted" in notice.message
    assert "--finishing 2" in notice.hint
    assert rig.limiter.pacing.target == 1


async def test_the_first_to_fail_tells_how_many_were_inside() -> None:
    rig = Rig(most=4, fixed=True)
    stuck = anyio.Event()

    async def freeze() -> None:
        async with rig.limiter.slot() as inside:
            with pytest.raises(Outage):
                await inside.measure(fail)

    async def fail() -> None:
        await stuck.wait()
        raise Outage("504")

    async with rig.attended(), anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(freeze)
            await checkpoint()
            rig.now += 1.0
        stuck.set()
    assert rig.limiter.pacing.most == 3


async def test_after_a_time_out_a_probe_is_answered_before_anything_is_sent() -> None:
    rig = Rig(most=2, fixed=True)
    rig.answering.set()
    async with rig.attended():
        with pytest.raises(TimedOut):
            await rig.finish(error=TimedOut(""))
    assert rig.probes == 1


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
    recovery = rig.limiter._recovery
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

    async def finish_rounds() -> None:
        nonlocal entered
        async with rig.limiter.slot() as inside:
            entered += 1
            await recovery.run(
                partial(inside.measure, finish), before=inside.renew, repeatable=False
            )

    async with rig.attended():
        await rig.finish()
        rig.limiter.pacing._climb, rig.limiter.pacing._settled = None, 3
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(finish_rounds)
    assert tries == 7
    assert rig.census.proofs == [6, 3]


async def test_a_number_of_the_users_own_needs_no_proof() -> None:
    rig = await after(Rig(workers=2, most=4, fixed=True), times=50, at_once=1)
    assert rig.census.proofs == []
    assert rig.of(LimitsChanged) == [LimitsChanged(finishing=4, most_finishing=4)]


async def test_a_single_worker_is_reported_of_when_a_photo_alone_is_blocked() -> None:
    rig = Rig(workers=1)
    rig.answering.set()
    async with rig.attended():
        with pytest.raises(TimedOut):
            await rig.finish(error=TimedOut(""))
        for _ in range(5):
            await rig.finish()
    notice = rig.of(Noticed)[-1]
    assert isinstance(notice, Noticed)
    assert "single PHP worker" in notice.message
    assert "pm.max_children" in notice.hint
    assert rig.limiter.pacing.target == 1


async def test_no_more_are_inside_than_the_target_and_they_enter_in_order() -> None:
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
        for number in range(20):
            tasks.start_soon(one, number)
    assert most == 2
    assert entered == list(range(20))


async def test_a_task_that_is_cancelled_while_waiting_leaves_the_queue() -> None:
    rig = Rig(most=1, fixed=True)
    async with rig.attended(), rig.limiter.slot():
        with anyio.move_on_after(0):
            async with rig.limiter.slot():
                pytest.fail("nobody may enter")
    with anyio.fail_after(5):
        async with rig.attended():
            await rig.finish()


@pytest.mark.parametrize("error", [Outage(""), RateLimited(""), TimedOut("")])
async def test_trouble_lowers_the_ceiling_for_later_runs_too(error: Transient) -> None:
    rig = Rig(workers=16)
    rig.answering.set()
    async with rig.attended():
        await rig.finish()
        rig.limiter.pacing._climb, rig.limiter.pacing._settled = None, 4
        async with (
            rig.limiter.slot(),
            rig.limiter.slot(),
            rig.limiter.slot(),
        ):
            with pytest.raises(type(error)):
                await rig.finish(error=error)
        await rig.finish()
    assert rig.limiter.pacing.most == 3
    assert rig.facts[Fact.FINISHING] == 3
    later = await after(Rig(workers=16, memory=rig.memory), times=1, at_once=1)
    assert later.of(LimitsChanged) == [LimitsChanged(finishing=1, most_finishing=3)]


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
    recovery = rig.limiter._recovery

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

        tasks.start_soon(recovery.run, send)
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
    assert rig.limiter.pacing.most == 4
