import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.output.samples import History


def sample(history: History, at_s: float, *, sent: int = 0, finishing: int = 0) -> None:
    history.sample(at_s, sent=sent, finishing=finishing, limit=2, most=6)


def test_a_sample_tells_of_the_time_since_the_one_before_and_only_the_last_comes_early() -> None:
    history = History()
    sample(history, 1.0, sent=1000)
    history.finished(0.2)
    history.finished(0.6)
    sample(history, 3.0, sent=2000, finishing=2)
    sample(history, 3.9)  # too early
    first, second = history.samples
    assert (first.rate, first.finishes) == (1000, 0)
    assert (second.rate, second.finishes, second.finishing) == (500, 2, 2)
    assert (second.finish_s, second.slowest_s) == pytest.approx((0.4, 0.6))
    history.sample(3.9, sent=2009, finishing=0, limit=1, most=1, last=True)
    assert [taken.at_s for taken in history.samples] == [1.0, 3.0, 3.9]


def test_a_reader_gets_what_it_lacks_and_all_of_a_new_edition() -> None:
    history = History(most=8)
    for at_s in range(1, 6):
        sample(history, at_s)
    assert [taken.at_s for taken in history.since(0, 3)] == [4, 5]
    for at_s in range(6, 9):
        sample(history, at_s)
    assert history.edition == 1
    assert [taken.at_s for taken in history.since(0, 5)] == [2, 4, 6, 8]
    sample(history, 9)
    assert [taken.at_s for taken in history.samples] == [2, 4, 6, 8]
    sample(history, 10)
    assert [taken.at_s for taken in history.since(1, 4)] == [10]


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 3)), max_size=300))
def test_however_long_it_is_small_and_loses_neither_bytes_nor_finishes(
    seconds: list[tuple[int, int]],
) -> None:
    history = History(most=16)
    sent = finishes = 0
    for at_s, (size, finished) in enumerate(seconds, 1):
        sent += size
        finishes += finished
        for _ in range(finished):
            history.finished(1.0)
        sample(history, at_s, sent=sent)
    history.sample(len(seconds), sent=sent, finishing=0, limit=2, most=6, last=True)
    taken = history.samples
    assert len(taken) < 16
    lengths = [
        later.at_s - earlier
        for earlier, later in zip([0.0, *(one.at_s for one in taken)], taken, strict=False)
    ]
    passed = sum(one.rate * length for one, length in zip(taken, lengths, strict=True))
    assert passed == pytest.approx(sent)
    assert sum(one.finishes for one in taken) == finishes
    assert all(one.finish_s == pytest.approx(1.0) for one in taken if one.finishes)
