"""A gallery with few PHP workers: it never freezes, and every photo arrives all the same."""

from collections import Counter
from pathlib import Path

import pytest

from bulkup.engine.ports import Fact, NoLedger
from bulkup.events import LimitsChanged, OutageBegan, PhotoFailed, PhotoUploaded
from bulkup.piwigo.census import Census
from bulkup.piwigo.connect import connect
from bulkup.sandbox import Sandbox
from tests.support.lines import LongLine
from tests.support.runs import ADMIN, make_archive, run, stored_sums

WORK_S = 0.2  # for a list of 100,000 MD5s, as on a real server


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
async def test_workers_are_counted_and_never_too_many(workers: int) -> None:
    async with (
        Sandbox(workers=workers, exist_cost_s=WORK_S) as box,
        connect(box.url, credentials=ADMIN, connections=20) as server,
    ):
        counted = await server.census.count(12)
        assert counted is not None
        assert 1 <= counted <= workers
        assert not await server.census.prove(workers + 1)
        assert await server.census.prove(1)
        assert server.census is server.census


async def test_workers_that_compute_on_few_processors_are_counted_too() -> None:
    async with (
        Sandbox(workers=4, cpus=2, exist_cost_s=WORK_S) as box,
        connect(box.url, credentials=ADMIN, connections=20) as server,
    ):
        assert await server.census.count(6) in {1, 2, 3, 4}


@pytest.mark.chaos
async def test_a_long_line_makes_no_workers() -> None:
    async with (
        Sandbox(workers=2, exist_cost_s=WORK_S) as box,
        LongLine(int(box.url.rpartition(":")[2].strip("/")), rtt_s=0.03) as line,
        connect(f"http://127.0.0.1:{line.port}/", credentials=ADMIN, connections=20) as server,
    ):
        for _ in range(2):
            assert not await server.census.prove(3)
        assert await server.census.prove(2)


@pytest.mark.chaos
async def test_a_thin_line_hides_no_workers_and_makes_none() -> None:
    async with (
        Sandbox(workers=4, exist_cost_s=WORK_S) as box,
        LongLine(int(box.url.rpartition(":")[2].strip("/")), rtt_s=0.01, rate=1.5e6) as line,
        connect(f"http://127.0.0.1:{line.port}/", credentials=ADMIN, connections=20) as server,
    ):
        # three lists keep the line busy for longer than they keep a worker busy
        assert any([await server.census.prove(4) for _ in range(3)])
        assert not await server.census.prove(5)


@pytest.mark.chaos
async def test_a_line_too_thin_to_count_over_is_not_taken_for_a_single_worker() -> None:
    async with (
        Sandbox(workers=4, exist_cost_s=WORK_S) as box,
        LongLine(int(box.url.rpartition(":")[2].strip("/")), rtt_s=0.01, rate=2.4e5) as line,
        connect(f"http://127.0.0.1:{line.port}/", credentials=ADMIN, connections=20) as server,
    ):
        assert await server.census.count(4) is None


async def test_where_the_question_costs_nothing_workers_cannot_be_counted() -> None:
    async with (
        Sandbox(workers=4, exist_cost_s=0.0001) as box,
        connect(box.url, credentials=ADMIN, connections=20) as server,
    ):
        assert await server.census.count(6) in {None, 1}  # 1 on a machine that is busy
        assert not await server.census.prove(2)


async def test_where_the_question_is_not_offered_workers_cannot_be_counted() -> None:
    only = {"pwg.session.login", "pwg.session.getStatus", "pwg.images.upload"}
    async with (
        Sandbox(workers=4, only=only) as box,
        connect(box.url, credentials=ADMIN, connections=20) as server,
    ):
        assert await Census(server._pool).count(6) is None


@pytest.mark.parametrize("workers", [2, 3])
async def test_a_small_host_never_freezes(tmp_path: Path, workers: int) -> None:
    archive = make_archive(tmp_path, count=60, names=20)
    async with Sandbox(workers=workers, exist_cost_s=WORK_S, finish_s=0.01) as box:
        outcome = await run(box, tmp_path, finishing=None, concurrency=8)
        assert box.finishing_peak < workers
        assert stored_sums(box) == Counter(archive.values())
    assert not outcome.of(OutageBegan)
    assert outcome.balances()


async def test_what_an_earlier_run_believed_freezes_nothing(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=60, names=20)
    memory = NoLedger()
    await memory.learn(Fact.WORKERS, 16)
    async with Sandbox(workers=2, exist_cost_s=WORK_S, finish_s=0.01) as box:
        await run(box, tmp_path, finishing=None, memory=memory)
        assert box.finishing_peak == 1
        assert stored_sums(box) == Counter(archive.values())


@pytest.mark.parametrize("method", ["async", "upload"])
async def test_with_one_worker_every_photo_arrives(tmp_path: Path, method: str) -> None:
    archive = make_archive(tmp_path, count=2, names=1)
    async with Sandbox(
        workers=1, exist_cost_s=WORK_S, finish_s=0.01, gateway_timeout_s=0.3
    ) as box:
        outcome = await run(box, tmp_path, finishing=None, method=method)
        assert stored_sums(box) == Counter(archive.values())
    assert len(outcome.of(PhotoUploaded)) == 2
    assert not outcome.of(PhotoFailed)


@pytest.mark.parametrize("method", ["async", "upload"])
async def test_after_a_freeze_fewer_finish_at_once_and_each_photo_is_there_once(
    tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=12, names=4)
    async with Sandbox(workers=3, finish_s=0.01, gateway_timeout_s=0.3) as box:
        outcome = await run(box, tmp_path, finishing=3, method=method)
        assert stored_sums(box) == Counter(archive.values())
    assert outcome.balances()
    assert len(outcome.of(PhotoUploaded)) == 12
    if outcome.of(OutageBegan):
        assert outcome.of(LimitsChanged)[-1].most_finishing < 3
