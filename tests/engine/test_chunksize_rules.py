"""The chunk size: what makes it grow and shrink, and that it settles below any server's limit."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.engine.chunksize import GOOD_CHUNKS, LEAST, MOST, QUICK_S, SLOW_S, ChunkSize

K = 1024
NAMED = 500 * K


def pass_chunks(size: ChunkSize, count: int = GOOD_CHUNKS, *, seconds: float = 0.1) -> None:
    for _ in range(count):
        size.passed(size.now, seconds)


def grown_to(now: int) -> ChunkSize:
    """Return a size that has come to `now`, and has not proven it."""
    size = ChunkSize(NAMED)
    while size.now < now:
        pass_chunks(size)
    assert size.now == now
    return size


# growing


def test_it_begins_at_what_the_server_names_and_doubles() -> None:
    size = ChunkSize(NAMED)
    seen = [size.now]
    while size.now != seen[-1] or len(seen) == 1:
        seen.append(size.now)
        pass_chunks(size)
    assert seen[1:] == [500 * K, 1000 * K, 2000 * K, 4000 * K, 8000 * K]


def test_one_good_chunk_is_not_enough() -> None:
    size = ChunkSize(NAMED)
    pass_chunks(size, GOOD_CHUNKS - 1)
    assert size.now == NAMED


@pytest.mark.parametrize("seconds", [QUICK_S + 0.1, SLOW_S, None])
def test_it_does_not_grow_on_a_slow_line_or_where_nobody_can_tell(seconds: float | None) -> None:
    size = ChunkSize(NAMED)
    for _ in range(20):
        size.passed(NAMED, seconds)
    assert size.now == NAMED


def test_a_slow_chunk_in_between_counts_against_growing() -> None:
    size = ChunkSize(NAMED)
    for _ in range(20):
        pass_chunks(size, GOOD_CHUNKS - 1)
        size.passed(NAMED, QUICK_S + 1)
    assert size.now == NAMED


def test_chunks_that_are_not_full_prove_their_length_and_no_more() -> None:
    size = ChunkSize(NAMED)
    for _ in range(20):
        size.passed(300 * K, 0.1)
    assert (size.now, size.is_proven(300 * K), size.is_proven(300 * K + 1)) == (NAMED, True, False)


def test_a_chunk_is_full_though_it_is_rounded_to_whole_blocks() -> None:
    size = ChunkSize(1_000_000)
    for _ in range(GOOD_CHUNKS):
        size.passed(1_000_000 // 4096 * 4096 - 1, 0.1)
    assert size.now == 2_000_000


def test_what_the_server_names_may_be_more_than_we_would_try() -> None:
    size = ChunkSize(2 * MOST)
    pass_chunks(size)
    assert size.now == 2 * MOST


def test_a_line_that_becomes_slow_gets_smaller_chunks_again() -> None:
    size = grown_to(8000 * K)
    seen = []
    for _ in range(6):
        size.passed(size.now, SLOW_S + 1)
        seen.append(size.now)
    assert seen == [4000 * K, 2000 * K, 1000 * K, NAMED, NAMED, NAMED]


# refusals


def test_a_refusal_goes_back_to_what_has_passed_and_stays_there() -> None:
    size = grown_to(2000 * K)
    assert size.refused(2000 * K) == 1000 * K
    pass_chunks(size, 50)
    assert (size.now, size.ceiling) == (1000 * K, 1000 * K)


def test_a_photo_in_one_request_proves_its_length() -> None:
    size = grown_to(2000 * K)
    size.passed(1500 * K)
    assert size.refused(2000 * K) == 1500 * K


def test_where_nothing_has_passed_a_refusal_halves() -> None:
    size = ChunkSize(NAMED)
    assert size.refused(NAMED) == 250 * K
    assert size.refused(250 * K) == 125 * K
    pass_chunks(size, 50)
    assert size.now == 125 * K


def test_refusals_of_chunks_in_flight_tell_nothing_new() -> None:
    size = grown_to(2000 * K)
    size.refused(2000 * K)
    assert size.refused(2000 * K) is None
    assert size.now == 1000 * K


def test_what_has_passed_before_is_refused_for_another_reason_and_marks_nothing() -> None:
    size = grown_to(1000 * K)
    pass_chunks(size, 1)
    assert size.refused(1000 * K) is None
    assert (size.now, size.ceiling) == (500 * K, None)
    pass_chunks(size)
    assert size.now == 1000 * K


def test_a_small_chunk_that_is_refused_says_nothing_of_sizes() -> None:
    size = ChunkSize(NAMED)
    assert size.refused(LEAST) is None
    assert size.broke(LEAST) is None
    assert size.now == NAMED


# requests that break


def test_a_break_of_more_than_ever_passed_goes_back_and_marks_nothing() -> None:
    size = grown_to(2000 * K)
    assert size.broke(2000 * K) is None
    assert (size.now, size.ceiling) == (1000 * K, None)
    pass_chunks(size)
    assert size.now == 2000 * K


def test_the_second_break_marks_the_ceiling() -> None:
    size = grown_to(2000 * K)
    size.broke(2000 * K)
    pass_chunks(size)
    assert size.broke(2000 * K) == 1000 * K
    pass_chunks(size, 50)
    assert size.now == 1000 * K


def test_a_pass_in_between_clears_the_suspicion() -> None:
    size = grown_to(2000 * K)
    size.broke(2000 * K)
    pass_chunks(size)
    pass_chunks(size)
    assert size.now == 4000 * K
    assert size.broke(4000 * K) is None


def test_breaks_of_all_that_was_in_flight_are_one() -> None:
    size = grown_to(2000 * K)
    assert [size.broke(2000 * K) for _ in range(8)] == [None] * 8
    assert (size.now, size.ceiling) == (1000 * K, None)


def test_a_break_of_what_has_passed_before_is_the_lines_fault() -> None:
    size = grown_to(2000 * K)
    for _ in range(20):
        assert size.broke(1000 * K) is None
    assert size.now == 2000 * K


def test_where_nothing_has_passed_each_break_halves_and_marks_nothing() -> None:
    size = ChunkSize(NAMED)
    seen = []
    for _ in range(5):
        assert size.broke(size.now) is None
        seen.append(size.now)
    assert seen == [250 * K, 125 * K, LEAST, LEAST, LEAST]
    pass_chunks(size, 50)
    assert size.now == MOST


# where it begins, and what it may not do


def test_a_ceiling_of_an_earlier_run_is_where_it_begins_and_stays() -> None:
    size = ChunkSize(NAMED, ceiling=2000 * K)
    pass_chunks(size, 50)
    assert size.now == 2000 * K


def test_a_ceiling_that_does_not_pass_any_more_is_lowered() -> None:
    assert ChunkSize(NAMED, ceiling=2000 * K).refused(2000 * K) == 1000 * K


def test_a_wish_counts_more_than_a_ceiling_and_is_never_exceeded() -> None:
    size = ChunkSize(NAMED, wish=4000 * K, ceiling=1000 * K)
    pass_chunks(size, 50)
    assert size.now == 4000 * K


def test_a_wish_may_shrink_and_comes_back_after_a_mere_break() -> None:
    size = ChunkSize(NAMED, wish=4000 * K)
    size.broke(4000 * K)
    assert size.now == 2000 * K
    pass_chunks(size)
    assert size.now == 4000 * K
    assert size.refused(4000 * K) == 2000 * K


def test_a_slow_line_leaves_a_wish_alone() -> None:
    size = ChunkSize(NAMED, wish=4000 * K)
    pass_chunks(size, 5, seconds=SLOW_S + 1)
    assert size.now == 4000 * K


def test_a_small_wish_is_no_smaller_than_itself() -> None:
    size = ChunkSize(NAMED, wish=4096)
    assert (size.refused(4096), size.broke(4096), size.now) == (None, None, 4096)
    assert size.is_proven(4096)


def test_where_it_may_not_grow_a_higher_ceiling_is_none_to_begin_at() -> None:
    assert ChunkSize(NAMED, ceiling=2000 * K, grows=False).now == NAMED
    assert ChunkSize(NAMED, ceiling=200 * K, grows=False).now == 200 * K


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
    wish=st.none() | beginnings,
    ceiling=st.none() | beginnings,
    grows=st.booleans(),
    history=histories,
)
def test_it_stays_within_its_bounds_and_always_gives_way(
    named: int,
    wish: int | None,
    ceiling: int | None,
    history: list[tuple[str, float]],
    *,
    grows: bool,
) -> None:
    size = ChunkSize(named, wish=wish, ceiling=ceiling, grows=grows)
    begin = wish or named
    most = wish or (max(named, MOST) if grows else named)
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


@dataclass
class Host:
    """A server that takes up to `limit` bytes, and says so or just breaks the connection."""

    limit: int
    says_so: bool

    def take(self, size: ChunkSize, length: int) -> bool:
        if length <= self.limit:
            size.passed(length, 0.1)
        elif self.says_so:
            size.refused(length)
        else:
            size.broke(length)
        return length <= self.limit


@given(
    limit=st.integers(LEAST, 30 * K * K),
    says_so=st.booleans(),
    photos=st.lists(st.integers(1, 20 * K * K), min_size=300, max_size=300),
)
def test_it_settles_at_what_the_server_takes_and_no_photo_is_tried_often(
    limit: int, photos: list[int], *, says_so: bool
) -> None:
    host, size = Host(limit, says_so), ChunkSize(NAMED)
    failures = 0
    for photo in photos:
        for _ in range(10):
            chunk = size.now  # an upload that has begun keeps its plan
            lengths = [chunk] * (photo // chunk) + [photo % chunk]
            if all(host.take(size, length) for length in lengths):
                break
            failures += 1
        else:
            pytest.fail("a photo was not brought")
    assert failures <= 16
