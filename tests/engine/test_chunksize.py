"""The chunk size against servers that take less than is sent: no photo pays for our choice."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.ports import Fact, NoLedger
from bulkup.events import ChunkSizeChanged, PhotoUploaded, Retrying
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.http import Oversize
from tests.support.runs import failures, make_archive, run, stored_sums

K = 1024


def still() -> float:
    """Stand for a clock by which everything is quick."""
    return 0.0


@pytest.mark.parametrize(
    ("method", "grown"), [("async", 800 * K), ("upload", 800 * K), ("legacy", 100 * K)]
)
async def test_it_grows_on_a_server_that_takes_all_but_for_the_last_way_of_sending(
    tmp_path: Path, method: str, grown: int
) -> None:
    archive = make_archive(tmp_path, count=6, names=6, size=(900_000, 900_000))
    size = ChunkSize(100 * K, grows=method != "legacy")
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, method=method, chunks=size, concurrency=1, clock=still)
        assert stored_sums(box) == Counter(archive.values())
    assert size.now == grown
    assert size.is_proven(grown)
    told = [event.chunk_size for event in outcome.of(ChunkSizeChanged)]
    assert told == sorted(set(told))  # only when it changes
    assert max(told, default=100 * K) == grown


@pytest.mark.parametrize(
    ("method", "limits"),
    [
        *(
            (method, {"max_body": 250_000, "oversize": oversize})
            for method in ("async", "upload", "legacy")
            for oversize in ("413", "reset", "500")
        ),
        ("async", {"max_file": 150_000}),
        ("async", {"max_file": 150_000, "max_post": 140_000}),
        ("upload", {"max_post": 150_000}),
    ],
)
async def test_no_photo_is_charged_a_try_for_a_chunk_that_was_too_large(
    tmp_path: Path, method: str, limits: dict[str, Any]
) -> None:
    archive = make_archive(tmp_path, count=4, names=4, size=(300_000, 900_000))
    async with Sandbox(**limits) as box:
        outcome = await run(box, tmp_path, method=method, retries=0, concurrency=3, clock=still)
        assert failures(outcome) == {}
        assert stored_sums(box) == Counter(archive.values())
        assert not box.gallery.buffers
    assert outcome.balances()


@pytest.mark.parametrize("oversize", ["413", "reset", "500"])
async def test_the_next_run_begins_with_what_this_one_found_out(
    tmp_path: Path, oversize: Oversize
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    make_archive(first, count=5, names=5, size=(900_000, 900_000))
    make_archive(second, count=3, names=3, size=(900_000, 900_000), seed=2)
    memory = NoLedger()
    async with Sandbox(max_body=250_000, oversize=oversize) as box:
        size = ChunkSize(100 * K)
        await run(box, first, memory=memory, chunks=size, retries=0, concurrency=1, clock=still)
        facts = await memory.facts(max_age_s=60)
        assert facts == {Fact.CHUNK: 200 * K}
        size = ChunkSize(100 * K, ceiling=facts[Fact.CHUNK])
        outcome = await run(box, second, chunks=size, retries=0, concurrency=1, clock=still)
    assert {event.attempts for event in outcome.of(PhotoUploaded)} == {1}
    assert len(outcome.of(PhotoUploaded)) == 3


async def test_a_photo_is_reported_when_it_starts_anew_with_smaller_chunks(tmp_path: Path) -> None:
    make_archive(tmp_path, count=1, names=1, size=(300_000, 300_000))
    async with Sandbox(max_body=250_000) as box:
        outcome = await run(box, tmp_path, chunk_size=300_000)
    (told,) = outcome.of(Retrying)
    assert "HTTP 413" in told.reason


async def test_a_finish_that_arrived_though_its_answer_was_lost_proves_its_size(
    tmp_path: Path,
) -> None:
    make_archive(tmp_path, count=1, names=1, size=(300_000, 300_000))
    size = ChunkSize(500 * K)
    faults = Faults([Fault("answer-lost", "pwg.images.uploadAsync", 0)])
    async with Sandbox(faults=faults) as box:
        outcome = await run(box, tmp_path, chunks=size, retries=0)
    assert len(outcome.of(PhotoUploaded)) == 1
    assert size.is_proven(300_000)


async def test_a_chunk_damaged_again_and_again_is_no_matter_of_size_if_such_have_passed(
    tmp_path: Path,
) -> None:
    archive = make_archive(tmp_path, count=1, names=1, size=(900_000, 900_000))
    size = ChunkSize(500 * K, user_size=200 * K)
    faults = Faults([Fault("damaged", "pwg.images.uploadAsync", nth) for nth in (2, 3)])
    memory = NoLedger()
    async with Sandbox(faults=faults) as box:
        await run(box, tmp_path, method="async", chunks=size, memory=memory)
        assert stored_sums(box) == Counter(archive.values())
    assert (size.now, await memory.facts(max_age_s=60)) == (200 * K, {})


async def test_of_a_photo_whose_chunk_is_damaged_only_that_chunk_is_sent_again(
    tmp_path: Path,
) -> None:
    archive = make_archive(tmp_path, count=1, names=1, size=(300_000, 300_000))
    async with Sandbox(faults=Faults([Fault("damaged", "pwg.images.uploadAsync", 1)])) as box:
        await run(box, tmp_path, method="async", chunk_size=100_000)
        chunks = [seen for seen in box.requests if seen.method == "pwg.images.uploadAsync"]
    assert stored_sums(box) == Counter(archive.values())
    assert len(chunks) == 5
