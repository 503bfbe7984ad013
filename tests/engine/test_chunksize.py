"""The chunk size: its rules as tables and laws, and that no photo pays for our choice."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.engine.chunksize import GOOD_CHUNKS, LEAST, MOST, QUICK_S, SLOW_S, ChunkSize
from bulkup.engine.ledger_port import Fact, NoLedger
from bulkup.events import ChunkSizeChanged, PhotoUploaded, Retrying
from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.galleries import uploads
from tests.support.runs import failures, make_archive, run, stored_sums

K = 1024
NAMED = 500 * K
SLOW = SLOW_S + 1
Step = Callable[[ChunkSize], object]


def passes(count: int = GOOD_CHUNKS, *, seconds: float | None = 0.1, length: int = 0) -> Step:
    """Return a step in which `count` chunks pass, in `seconds` each, full ones by default."""

    def step(size: ChunkSize) -> None:
        for _ in range(count):
            size.passed(length or size.now, seconds)

    return step


def refused(length: int) -> Step:
    return lambda size: size.refused(length)


def broke(length: int) -> Step:
    return lambda size: size.broke(length)


@dataclass
class Row:
    """What happens with the size after each step, the ceiling at the end, and the beginning."""

    steps: list[tuple[Step, int]]
    ceiling: int | None = None
    size: ChunkSize = field(default_factory=lambda: ChunkSize(NAMED))


GROWN = [(passes(), 1000 * K), (passes(), 2000 * K)]
"""It has come to 2000 kB, and has not proven it."""
DOUBTED = [*GROWN, (broke(2000 * K), 1000 * K), (passes(), 2000 * K)]
"""A request of that size broke once, and it has come there again."""
ROWS: dict[str, Row] = {
    # growing
    "it begins at what the server names and doubles": Row(
        [*GROWN, (passes(), 4000 * K), (passes(), 8000 * K), (passes(), 8000 * K)]
    ),
    "it does not grow on a line that is not quick": Row(
        [(passes(20, seconds=QUICK_S + 0.1), NAMED), (passes(20, seconds=SLOW_S), NAMED)]
    ),
    "it does not grow where nobody can tell": Row([(passes(20, seconds=None), NAMED)]),
    "a slow chunk in between counts against growing": Row(
        [(passes(GOOD_CHUNKS - 1), NAMED), (passes(1, seconds=QUICK_S + 1), NAMED)] * 20
    ),
    "chunks that are not full do not let it grow": Row([(passes(20, length=300 * K), NAMED)]),
    "a chunk is full though it is rounded to whole blocks": Row(
        [(passes(length=1_000_000 // 4096 * 4096 - 1), 2_000_000)], size=ChunkSize(1_000_000)
    ),
    "what the server names may be more than we would try": Row(
        [(passes(), 2 * MOST)], size=ChunkSize(2 * MOST)
    ),
    "a line that becomes slow gets smaller chunks again": Row(
        [*GROWN, (passes(1, seconds=SLOW), 1000 * K), *[(passes(1, seconds=SLOW), NAMED)] * 3]
    ),
    # refusals
    "a refusal goes back to what has passed and stays there": Row(
        [*GROWN, (refused(2000 * K), 1000 * K), (passes(50), 1000 * K)], ceiling=1000 * K
    ),
    "a photo in one request proves its length": Row(
        [
            *GROWN,
            (passes(1, seconds=None, length=1500 * K), 2000 * K),
            (refused(2000 * K), 1500 * K),
        ],
        ceiling=1500 * K,
    ),
    "where nothing has passed a refusal halves": Row(
        [(refused(NAMED), 250 * K), (refused(250 * K), 125 * K), (passes(50), 125 * K)],
        ceiling=125 * K,
    ),
    "refusals of chunks in flight tell nothing new": Row(
        [*GROWN, *[(refused(2000 * K), 1000 * K)] * 2], ceiling=1000 * K
    ),
    "what has passed before is refused for another reason and marks nothing": Row(
        [(passes(), 1000 * K), (passes(1), 1000 * K), (refused(1000 * K), NAMED), *GROWN[:1]]
    ),
    "a small chunk that is refused says nothing of sizes": Row(
        [(refused(LEAST), NAMED), (broke(LEAST), NAMED)]
    ),
    # requests that break
    "a break of more than ever passed goes back and marks nothing": Row(DOUBTED),
    "the second break marks the ceiling": Row(
        [*DOUBTED, (broke(2000 * K), 1000 * K), (passes(50), 1000 * K)], ceiling=1000 * K
    ),
    "a pass in between clears the suspicion": Row(
        [*DOUBTED, (passes(), 4000 * K), (broke(4000 * K), 2000 * K)]
    ),
    "breaks of all that was in flight are one": Row([*GROWN, *[(broke(2000 * K), 1000 * K)] * 8]),
    "a break of what has passed before is the line's fault": Row(
        [*GROWN, *[(broke(1000 * K), 2000 * K)] * 20]
    ),
    "where nothing has passed each break halves and marks nothing": Row(
        [
            (broke(NAMED), 250 * K),
            (broke(250 * K), 125 * K),
            (broke(125 * K), LEAST),
            (broke(LEAST), LEAST),
            (passes(50), MOST),
        ]
    ),
    # where it begins, and what it may not do
    "a ceiling of an earlier run is where it begins and stays": Row(
        [(passes(0), 2000 * K), (passes(50), 2000 * K)],
        ceiling=2000 * K,
        size=ChunkSize(NAMED, ceiling=2000 * K),
    ),
    "a ceiling that does not pass any more is lowered": Row(
        [(refused(2000 * K), 1000 * K)], ceiling=1000 * K, size=ChunkSize(NAMED, ceiling=2000 * K)
    ),
    "a user_size counts more than a ceiling and is never exceeded": Row(
        [(passes(50), 4000 * K)], size=ChunkSize(NAMED, user_size=4000 * K, ceiling=1000 * K)
    ),
    "a user_size may shrink and comes back after a mere break": Row(
        [(broke(4000 * K), 2000 * K), (passes(), 4000 * K), (refused(4000 * K), 2000 * K)],
        ceiling=2000 * K,
        size=ChunkSize(NAMED, user_size=4000 * K),
    ),
    "a slow line leaves a user_size alone": Row(
        [(passes(5, seconds=SLOW), 4000 * K)], size=ChunkSize(NAMED, user_size=4000 * K)
    ),
    "where it may not grow a higher ceiling is none to begin at": Row(
        [(passes(0), NAMED)],
        ceiling=2000 * K,
        size=ChunkSize(NAMED, ceiling=2000 * K, grows=False),
    ),
    "where it may not grow a lower ceiling is where it begins": Row(
        [(passes(0), 200 * K)],
        ceiling=200 * K,
        size=ChunkSize(NAMED, ceiling=200 * K, grows=False),
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_it_comes_to_these_sizes_and_shows_a_ceiling_when_it_is_new(row: Row) -> None:
    size = row.size
    for step, now in row.steps:
        before = size.ceiling
        reported = step(size)
        assert size.now == now
        assert reported == (size.ceiling if size.ceiling != before else None)
    assert size.ceiling == row.ceiling


def test_what_is_proven_is_what_has_passed_or_is_little() -> None:
    size = ChunkSize(NAMED)
    size.passed(300 * K, 0.1)
    assert (size.is_proven(300 * K), size.is_proven(300 * K + 1)) == (True, False)
    assert ChunkSize(NAMED, user_size=4096).is_proven(4096)


# whatever happens

EVENTS: dict[str, Callable[[ChunkSize, int], object]] = {
    "quick": lambda size, length: size.passed(length, 0.1),
    "slow": lambda size, length: size.passed(length, SLOW_S + 1),
    "finish": lambda size, length: size.passed(length),
    "refused": lambda size, length: size.refused(length),
    "broke": lambda size, length: size.broke(length),
}
histories = st.lists(
    st.tuples(st.sampled_from(sorted(EVENTS)), st.sampled_from([0.1, 0.5, 1.0, 1.0, 1.0, 2.0])),
    max_size=60,
)
beginnings = st.integers(4096, 20 * K * K)


@given(
    named=beginnings,
    user_size=st.none() | beginnings,
    ceiling=st.none() | beginnings,
    grows=st.booleans(),
    history=histories,
)
def test_it_stays_within_its_bounds_and_always_gives_way(
    named: int,
    user_size: int | None,
    ceiling: int | None,
    history: list[tuple[str, float]],
    *,
    grows: bool,
) -> None:
    size = ChunkSize(named, user_size=user_size, ceiling=ceiling, grows=grows)
    begin = user_size or named
    most = user_size or (max(named, MOST) if grows else named)
    for event, part in history:
        before, proven, length = size.now, size.proven, max(1, int(size.now * part))
        EVENTS[event](size, length)
        assert min(begin, LEAST) <= size.now <= most
        if not grows:
            assert size.now <= before
        if size.ceiling is not None:
            assert size.now <= size.ceiling
        if event == "refused" and length > LEAST:
            assert size.now < length
        if event == "broke" and max(proven, LEAST) < length <= before:
            assert size.now < length


@given(limit=st.integers(LEAST, 30 * K * K), says_so=st.booleans(), seed=st.integers(0, 10**6))
def test_it_settles_at_what_the_server_takes_and_no_photo_is_tried_often(
    limit: int, seed: int, *, says_so: bool
) -> None:
    """A server takes up to `limit` bytes, and says so or just breaks the connection."""
    size, chance, failed = ChunkSize(NAMED), Random(seed), 0

    def takes(length: int) -> bool:
        if length <= limit:
            size.passed(length, 0.1)
        elif says_so:
            size.refused(length)
        else:
            size.broke(length)
        return length <= limit

    for photo in (chance.randint(1, 20 * K * K) for _ in range(60)):
        for _ in range(10):
            chunk = size.now  # an upload that has begun keeps its plan
            if all(map(takes, [chunk] * (photo // chunk) + [photo % chunk])):
                break
            failed += 1
        else:
            pytest.fail("a photo was not brought")
    assert failed <= 16


# against servers that take less than is sent


@pytest.mark.parametrize(
    ("method", "grown"), [("async", 800 * K), ("upload", 800 * K), ("legacy", 100 * K)]
)
async def test_it_grows_on_a_server_that_takes_all_but_for_the_last_way_of_sending(
    box: Sandbox, tmp_path: Path, method: str, grown: int
) -> None:
    archive = make_archive(tmp_path, count=6, names=6, size=(900_000, 900_000))
    size = ChunkSize(100 * K, grows=method != "legacy")
    options: dict[str, Any] = {"chunks": size, "concurrency": 1, "clock": lambda: 0.0}
    outcome = await run(box, tmp_path, method=method, **options)
    assert stored_sums(box) == Counter(archive.values())
    assert size.now == grown
    assert size.is_proven(grown)
    reported = [event.chunk_size for event in outcome.of(ChunkSizeChanged)]
    assert reported == sorted(set(reported))  # only when it changes
    assert max(reported, default=100 * K) == grown


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
    memory = NoLedger()
    options: dict[str, Any] = {"retries": 0, "concurrency": 3, "clock": lambda: 0.0}
    async with Sandbox(**limits) as box:
        outcome = await run(box, tmp_path, method=method, memory=memory, **options)
        assert failures(outcome) == {}
        assert stored_sums(box) == Counter(archive.values())
        assert not box.gallery.buffers
    assert outcome.balances()
    if limits.get("oversize") == "413":
        assert outcome.of(Retrying)
        assert all("HTTP 413" in event.reason for event in outcome.of(Retrying))
        assert 0 < (await memory.facts(max_age_s=60))[Fact.CHUNK] < 250_000


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


@pytest.mark.parametrize("damaged", [[1], [2, 3]])
async def test_a_chunk_damaged_also_again_is_sent_again_alone_and_no_matter_of_size(
    tmp_path: Path, damaged: list[int]
) -> None:
    """Chunks of that size have passed."""
    archive = make_archive(tmp_path, count=1, names=1, size=(900_000, 900_000))
    size = ChunkSize(500 * K, user_size=200 * K)
    faults = Faults([Fault("damaged", "pwg.images.uploadAsync", nth) for nth in damaged])
    memory = NoLedger()
    async with Sandbox(faults=faults) as box:
        await run(box, tmp_path, method="async", chunks=size, memory=memory)
        assert stored_sums(box) == Counter(archive.values())
        if damaged == [1]:
            assert uploads(box) == 5 + 1
    assert (size.now, await memory.facts(max_age_s=60)) == (200 * K, {})
