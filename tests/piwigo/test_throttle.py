"""The throttle, with a clock that only sleeping moves: limits, fairness, progress."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import time
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.app import upload
from bulkup.app.settings import Account, AlbumTarget, MethodName, Timetable, UploadSettings
from bulkup.engine.context import Stop
from bulkup.events import BandwidthChanged, Event, PhotoUploaded
from bulkup.piwigo.multipart import LEAST, SLICE_S, Throttle
from bulkup.sandbox import Sandbox
from tests.support.loop_time import VirtualTimeLoop
from tests.support.runs import Clock, Outcome, make_archive, stored_sums

M = 1024 * 1024
Limit = int | None
Task = Callable[[], Coroutine[Any, Any, None]]


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Line:
    """A throttle whose limit changes at given times, and a record of what it let out to whom."""

    changes: list[tuple[float, Limit]]
    late_s: Callable[[], float] = lambda: 0.0
    out: list[tuple[float, int, int]] = field(default_factory=list)
    ended_at: float = 0.0

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.limit, clock=now, sleep=self.sleep)

    def run(self, *tasks: Task) -> None:
        """Run the tasks to their ends, in virtual time."""

        async def run() -> None:
            async with anyio.create_task_group() as group:
                for task in tasks:
                    group.start_soon(task)
            self.ended_at = now()

        anyio.run(run, backend_options={"loop_factory": VirtualTimeLoop})

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds + self.late_s())

    def limit(self) -> Limit:
        return [limit for at, limit in self.changes if at <= now()][-1]

    def sender(self, who: int, sizes: list[int], *, pause_s: float) -> Task:
        async def send() -> None:
            for size in sizes:
                left = size
                while left:
                    taken = await self.throttle.take(left)
                    assert 1 <= taken <= left
                    self.out.append((now(), who, taken))
                    left -= taken
                if pause_s:
                    await self.sleep(pause_s)

        return send

    def allowed(self, begin: float, end: float) -> float:
        """Return the bytes that the limits allow from `begin` to `end`, infinite without one."""
        total = 0.0
        for (at, limit), (until, _) in pairwise([*self.changes, (float("inf"), None)]):
            span = min(end, until) - max(begin, at)
            if span > 0 or at <= begin < until or at <= end < until:
                total += float("inf") if limit is None else limit * max(0.0, span)
        return total


limits = st.integers(1024, 20 * M)
tables = st.lists(st.tuples(st.floats(0.1, 30.0), st.none() | limits), max_size=5).map(
    lambda table: sorted(table, key=lambda entry: entry[0])
)
senders = st.lists(
    st.tuples(st.lists(st.integers(1, 256 * 1024), min_size=1, max_size=6), st.floats(0.0, 2.0)),
    min_size=1,
    max_size=6,
)


@given(first=st.none() | limits, table=tables, senders=senders, seed=st.integers(0, 100))
def test_never_more_goes_out_than_the_limit_allows_and_everything_goes_out(
    first: Limit,
    table: list[tuple[float, Limit]],
    senders: list[tuple[list[int], float]],
    seed: int,
) -> None:
    chance = Random(seed)
    line = Line([(0.0, first), *table], lambda: chance.choice([0.0, 0.001, 0.1]))
    tasks = [line.sender(i, sizes, pause_s=p) for i, (sizes, p) in enumerate(senders)]
    line.run(*tasks)
    assert sum(taken for *_, taken in line.out) == sum(sum(sizes) for sizes, _ in senders)
    most = max((limit for _, limit in line.changes if limit is not None), default=0)
    slices = SLICE_S * most + max(LEAST, SLICE_S * most)
    for first_out in range(0, len(line.out), max(1, len(line.out) // 50)):
        begin, total = line.out[first_out][0], 0
        for at, _, taken in line.out[first_out:]:
            total += taken
            changes = sum(begin < change <= at for change, _ in line.changes)
            assert total <= line.allowed(begin, at) + (1 + changes) * slices + 1


@given(limit=limits, sizes=st.lists(st.integers(1, 8 * M), min_size=1, max_size=8))
def test_the_limit_is_used_up(limit: int, sizes: list[int]) -> None:
    chance = Random(1)
    # no more than some hundred slices, so that the test is quick
    sizes = [min(size, 100 * max(LEAST, int(limit * SLICE_S))) for size in sizes]
    line = Line([(0.0, limit)], lambda: chance.uniform(0.0, SLICE_S / 4))
    tasks = [line.sender(i, [size], pause_s=0.0) for i, size in enumerate(sizes)]
    line.run(*tasks)
    assert line.ended_at <= sum(sizes) / limit + SLICE_S


@given(limit=limits, number=st.integers(2, 8))
def test_uploads_take_turns(limit: int, number: int) -> None:
    line = Line([(0.0, limit)])
    size = 20 * max(LEAST, int(limit * SLICE_S))
    line.run(*(line.sender(i, [size], pause_s=0.0) for i in range(number)))
    order = [who for _, who, _ in line.out]
    assert order[:number] == list(range(number))
    assert order == order[:number] * (len(order) // number)


@pytest.mark.parametrize("number", [1, 8, 64])
def test_at_a_sensible_limit_no_upload_pauses_for_long(number: int) -> None:
    line = Line([(0.0, 64 * 1024)])
    line.run(*(line.sender(i, [20_000], pause_s=0.0) for i in range(number)))
    for who in range(number):
        times = [0.0, *(at for at, sender, _ in line.out if sender == who)]
        assert max(b - a for a, b in pairwise(times)) <= 5.0


def test_a_lower_limit_and_none_apply_to_waiting_tasks() -> None:
    line = Line([(0.0, 10 * M), (1.0, 1024), (60.0, None)])
    line.run(*(line.sender(i, [3 * M + i], pause_s=0.0) for i in range(4)))
    low = [taken for at, _, taken in line.out if 1.0 + 2 * SLICE_S < at < 60.0]
    assert len(low) > 50
    assert max(low) <= LEAST
    line = Line([(0.0, 1024), (5.0, None)])  # they continue within a second when it is removed
    line.run(*(line.sender(i, [M], pause_s=0.0) for i in range(8)))
    assert line.ended_at <= 6.0


async def test_without_a_limit_nothing_waits() -> None:
    async def never(_: float) -> None:
        raise AssertionError

    assert await Throttle(sleep=never).take(10**9) == 10**9


def test_a_task_cancelled_in_the_queue_does_not_delay_others() -> None:
    line = Line([(0.0, 1024)])

    async def cancelled() -> None:
        with anyio.move_on_after(2.5) as scope:
            await line.sender(9, [M], pause_s=0.0)()
        assert scope.cancelled_caught

    line.run(*[cancelled] * 3, line.sender(1, [50 * 1024], pause_s=0.0))
    assert sum(taken for _, who, taken in line.out if who == 1) == 50 * 1024
    assert line.ended_at <= 60.0


# a whole run under a limit


RUN_LIMIT = 20 * 1024


@pytest.mark.parametrize(
    ("method", "swelling"), [("async", 1.0), ("upload", 1.0), ("legacy", 4 / 3)]
)
async def test_all_photos_together_go_no_faster_than_the_limit(
    tmp_path: Path, method: MethodName, swelling: float
) -> None:
    archive = make_archive(tmp_path, count=6, names=6, size=(60_000, 60_000))
    clock, outcome = Clock(), Outcome()
    async with Sandbox() as box:
        await upload.upload_photos(
            [tmp_path],
            account=Account(url=box.url, user="admin", password="secret"),
            settings=UploadSettings(
                into=AlbumTarget(album=1), method=method, bwlimit=Timetable(((time(), RUN_LIMIT),))
            ),
            emit=outcome.emit,
            stop=Stop(),
            clock=clock,
            sleep=clock.sleep,
        )
        assert stored_sums(box) == Counter(archive.values())
    assert len(outcome.of(PhotoUploaded)) == 6
    assert outcome.of(BandwidthChanged) == [BandwidthChanged(limit=RUN_LIMIT)]
    assert clock.now >= 6 * 60_000 * swelling / RUN_LIMIT - 1.0


def test_each_change_of_the_limit_during_a_run_is_reported_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[Event] = []
    bandwidth = upload.Bandwidth(Timetable(((time(8), 1000), (time(23), None))), reported.append)
    limits = []
    for hour in (8, 23, 8, 9, 23, 23):
        monkeypatch.setattr(upload, "local_time", lambda hour=hour: time(hour))
        limits.append(bandwidth())
        if len(limits) == 2:
            bandwidth.begin()
            assert not reported  # there is no limit at the beginning
    assert limits == [1000, None, 1000, 1000, None, None]
    assert reported == [BandwidthChanged(limit=1000), BandwidthChanged(limit=None)]
