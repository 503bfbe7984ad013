"""How many photos finish at once: laws under any server, and where it comes to rest on models."""

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.engine.pacing import TAIL, Finishing, Outcome, Tail, ceiling_for, workers_for

ALONE_S = 0.4
Latency = Callable[[int], float]


def few_processors(processors: int) -> Latency:
    return lambda places: ALONE_S * max(1.0, places / processors)


def waiting_for_workers(workers: int, *, share: float = 0.5) -> Latency:
    """Return what a finish takes that computes nothing, and needs a second worker for a share."""

    def latency(places: int) -> float:
        spare = max(1e-9, workers - places)
        rate = min(places / ALONE_S, spare / (ALONE_S * share))
        return places / rate

    return latency


@dataclass
class World:
    """A server whose finishes take as long as the model says, on a virtual clock."""

    latency: Latency
    workers: int
    most: InitVar[int] = 32
    counted: InitVar[int | None] = None
    now: float = 0.0
    highest: int = 1

    def __post_init__(self, most: int, counted: int | None) -> None:
        self.pacing = Finishing(most=most, workers=self.workers if counted is None else counted)
        self.chance = Random(1)

    def finish(self, times: int = 1, *, noise: float = 0.0) -> None:
        for _ in range(times):
            at_once = self.pacing.target
            self.highest = max(self.highest, at_once)
            took = self.latency(at_once) * (1 + self.chance.uniform(-noise, noise))
            self.now += took / at_once
            self.pacing.record(
                took, Outcome.ANSWERED, at_once=at_once, began=self.now - took, now=self.now
            )
            if (wanted := self.pacing.wanted_workers) is not None:
                proven = self.workers >= wanted
                self.pacing.prove(wanted if proven else self.pacing.workers, now=self.now)

    def trouble(self, *, began: float | None = None) -> None:
        at_once = self.pacing.target
        began = self.now if began is None else began
        self.now += 60.0
        self.pacing.record(
            self.now - began, Outcome.TROUBLE, at_once=at_once, began=began, now=self.now
        )

    def usual(self) -> int:
        """Return the number that it mostly is at."""
        seen = []
        for _ in range(400):
            self.finish()
            seen.append(self.pacing.target)
        return max(set(seen), key=seen.count)


def best(latency: Latency, *, most: int) -> int:
    """Return the smallest number of slots with the best throughput."""
    rates = {places: places / latency(places) for places in range(1, most + 1)}
    return min(places for places, rate in rates.items() if rate > 0.96 * max(rates.values()))


@pytest.mark.parametrize("workers", [2, 3, 5, 8, 16])
@pytest.mark.parametrize(("processors", "noise"), [(1, 0.0), (2, 0.0), (4, 0.0), (2, 0.5)])
def test_on_few_processors_it_rests_at_the_smallest_number_that_fills_them(
    workers: int, processors: int, noise: float
) -> None:
    world = World(few_processors(processors), workers=workers)
    world.finish(3000, noise=noise)
    fills = min(processors, ceiling_for(workers))
    assert world.usual() in {fills, min(fills + bool(noise), ceiling_for(workers))}


@pytest.mark.parametrize(("processors", "reached"), [(1, 1), (2, 3), (4, 6), (8, 8)])
def test_the_limit_doubles_within_the_first_photos_while_that_pays(
    processors: int, reached: int
) -> None:
    world = World(few_processors(processors), workers=16, most=8, counted=1)
    world.pacing.begin()
    world.finish(45)
    assert world.pacing.best == reached


def test_the_climb_is_judged_too_where_all_slots_are_seldom_taken() -> None:
    pacing = Finishing(most=8, workers=10)
    for now in range(40):
        at_once = min(pacing.target, 6)
        took_s = 0.3 * max(1, at_once / 4)
        pacing.record(took_s, Outcome.ANSWERED, at_once=at_once, began=now - 0.5, now=now)
    assert pacing.best == 6


def test_the_climb_ends_where_a_finish_takes_too_long() -> None:
    world = World(lambda places: ALONE_S * (1 if places < 4 else 3), workers=16)
    world.finish(30)
    assert world.pacing.best == 2


@pytest.mark.parametrize(
    ("workers", "latency", "asked"),
    [
        pytest.param(6, 1.0, 10, id="nobody waits for the other"),
        pytest.param(6, 1.6, None, id="little gained"),
        pytest.param(5, 1.0, None, id="a pool without a worker to spare"),
    ],
)
def test_more_workers_are_proven_in_the_climb_where_that_may_gain_enough(
    workers: int, latency: float, asked: int | None
) -> None:
    pacing, now = Finishing(most=8), 0.0
    pacing.begin()
    for _ in range(30):
        now += 1.0
        at_once = pacing.target
        took = latency if at_once > 2 else 1.0
        pacing.record(took, Outcome.ANSWERED, at_once=at_once, began=now - took, now=now)
        if pacing.wanted_workers == 6:
            pacing.prove(workers, now=now)
        elif pacing.wanted_workers is not None:
            break
    assert pacing.target == ceiling_for(workers)
    assert pacing.wanted_workers == asked


@pytest.mark.parametrize("workers", [2, 3, 5, 8, 16, 32])
@pytest.mark.parametrize("off_by", [-1, 0, 1])
def test_it_rests_where_waiting_workers_are_used_best_also_after_a_wrong_count(
    workers: int, off_by: int
) -> None:
    counted = workers + off_by
    world = World(waiting_for_workers(workers), workers=workers, counted=max(1, counted - 2))
    if off_by > 0:  # what an earlier run counted is proven again
        world.pacing.begin(ceiling_for(counted))
        world.pacing.prove(workers, now=0.0)
    for _ in range(40):  # hours: each proof that fails doubles the time to the next
        world.finish(300)
        world.now += 600
    assert world.highest < workers or workers == 1
    assert world.usual() == best(world.latency, most=ceiling_for(workers))


@given(
    workers=st.integers(1, 40),
    most=st.integers(1, 64),
    counted=st.integers(1, 40),
    seed=st.integers(),
    steps=st.lists(st.sampled_from(["finish", "trouble", "wait", "odd"]), max_size=60),
)
def test_whatever_happens_it_stays_below_what_is_proven(
    workers: int, most: int, counted: int, seed: int, steps: list[str]
) -> None:
    world = World(waiting_for_workers(workers), workers=workers, most=most)
    world.pacing.workers = min(counted, workers)
    world.chance = Random(seed)
    lowest_most = most
    for step in steps:
        match step:
            case "finish":
                world.finish(50, noise=0.9)
            case "trouble":
                world.trouble()
            case "wait":
                world.now += 1000.0
            case "odd":  # a finish that began with more or fewer beside it
                world.pacing.record(0.1, Outcome.ANSWERED, at_once=99, began=0.0, now=world.now)
        pacing = world.pacing
        assert 1 <= pacing.target <= max(1, ceiling_for(workers))
        assert pacing.target <= pacing.ceiling <= pacing.most <= lowest_most
        lowest_most = pacing.most


def test_troubles_that_began_before_one_are_the_same_and_that_many_are_never_tried_again() -> None:
    world = World(few_processors(16), workers=16)
    world.finish(3000)
    frozen, began = world.pacing.target, world.now
    assert frozen > 4
    for _ in range(frozen):  # what was under way at the first one
        world.trouble(began=began)
        assert world.pacing.target <= frozen // 2
    assert world.pacing.most == frozen - 1
    for _ in range(20):
        world.finish(500)
        world.now += 3600
    assert world.highest == frozen
    assert world.pacing.ceiling == frozen - 1


def test_trouble_at_one_asks_for_proof_before_it_grows_again() -> None:
    world = World(few_processors(4), workers=8, counted=8)
    world.trouble()
    assert (world.pacing.target, world.pacing.workers, world.pacing.most) == (1, 1, 32)
    world.now += 3600
    world.finish(3000)
    assert world.pacing.target > 1


def test_a_number_of_the_users_own_stays_until_there_is_trouble() -> None:
    pacing = Finishing(most=4, fixed=True)
    for turn in range(200):
        pacing.record(1.0 + turn, Outcome.ANSWERED, at_once=4, began=turn, now=turn + 1.0)
    assert (pacing.target, pacing.wanted_workers) == (4, None)
    pacing.record(60.0, Outcome.TROUBLE, at_once=4, began=300.0, now=360.0)
    assert pacing.target == 3


def test_where_nobody_waits_for_a_place_one_more_is_never_tried() -> None:
    pacing, seen = Finishing(most=64, workers=20), set[int]()
    for turn in range(600):
        lanes, now = 3, float(turn)
        at_once = min(lanes, pacing.target)
        seen.add(pacing.target)
        waiting = lanes > pacing.target
        pacing.record(1.0, Outcome.ANSWERED, at_once=at_once, began=now, now=now, waiting=waiting)
        assert pacing.wanted_workers is None
    assert max(seen) < 2 * lanes


def test_a_proof_that_fails_is_asked_for_again_soon_and_then_ever_later() -> None:
    pacing, now, asked = Finishing(most=8, workers=3), 0.0, list[float]()
    while now < 1000.0:
        now += 0.5
        began, at_once = now - 0.5, pacing.target
        pacing.record(0.5, Outcome.ANSWERED, at_once=at_once, began=began, now=now)
        if pacing.wanted_workers is not None and pacing.wanted_workers > 3:
            asked.append(now)
            pacing.prove(3, now=now)
    pauses = [later - sooner for sooner, later in pairwise(asked)]
    assert pauses[0] < 20
    assert all(later > sooner for sooner, later in pairwise(pauses))


@given(st.integers(1, 1000))
def test_a_number_of_finishes_needs_the_workers_that_allow_it(places: int) -> None:
    assert ceiling_for(workers_for(places)) == places
    assert ceiling_for(workers_for(places) - 1) < places or places == 1
    assert places < workers_for(places) or places == 1


# the tail
@pytest.mark.parametrize(
    ("size", "sent_s", "worked_s", "tail_size"),
    [
        pytest.param(2_000_000, 0.02, 0.4, 0, id="a fast line"),
        pytest.param(50_000, 0.001, 0.002, 0, id="nothing takes any time"),
        pytest.param(500_000, 2.0, 0.4, TAIL, id="a slow line"),
    ],
)
def test_only_a_slow_line_leaves_a_tail_for_the_finish(
    size: int, sent_s: float, worked_s: float, tail_size: int
) -> None:
    tail = Tail()
    assert tail.size_for(size) == 0  # nothing is known yet
    for _ in range(10):
        tail.sent(size, sent_s)
        tail.worked(worked_s)
    assert tail.size_for(size) == tail_size
    assert tail.size_for(2 * TAIL) == 0  # not worth a request
    for _ in range(20):
        tail.sent(size, 0.001)
    assert tail.size_for(size) == 0
