"""Samples of a run over time, and photos by size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.events import (
    ChunkSizeChanged,
    LimitsChanged,
    PhotoFinishing,
    PhotoProgress,
    PhotoStarted,
    Verdict,
)
from bulkup.output.samples import Sampler, Sizes
from bulkup.output.state import RunState
from tests.support.sample_run import RUN, at, checked, state_after

A = at("a.jpg")


class Sampled:
    """A run of one large photo that is sampled; `send` sends some bytes of it."""

    def __init__(self, *, most: int = 600) -> None:
        self.state: RunState = state_after(RUN, PhotoStarted(path=A, size=10**9, attempt=1))
        self.sampler = Sampler(self.state, most=most)
        self._sent = 0

    def send(self, size: int, *, at_s: float, finishes: tuple[float, ...] = ()) -> None:
        self.sampler.advance(at_s)
        self._sent += size
        self.state.apply(PhotoProgress(path=A, sent=self._sent), at_s)
        for seconds in finishes:
            self.sampler.finished(seconds)


def test_a_sample_covers_its_stretch_of_time_and_a_pause_has_samples_too() -> None:
    run = Sampled()
    run.send(1000, at_s=0.2)
    run.state.apply(LimitsChanged(finishing=2, most_finishing=6), 0.9)
    run.send(500, at_s=1.5, finishes=(0.2, 0.6))
    run.state.apply(PhotoFinishing(path=A), 1.5)
    run.state.apply(ChunkSizeChanged(chunk_size=500), 1.5)
    run.state.apply(checked("b.jpg", Verdict.PRESENT), 1.6)
    run.sampler.advance(3.5)
    first, second, third = run.sampler.samples
    assert [*first] == [1.0, 1000, 0, 0, 0.0, 0.0, 0, 2, 6, 1_000_000]
    assert (second.at_s, second.rate, second.pace) == (2.0, 1_000_500, 3)
    assert (second.finishes, second.slowest_s) == (2, 0.6)
    assert second.finish_s == pytest.approx(0.4)
    assert (second.finishing, second.chunk_size) == (1, 500)
    assert (third.at_s, third.rate, third.pace, third.finishing) == (3.0, 0, 0, 1)
    run.sampler.advance(3.5, last=True)
    assert [sample.at_s for sample in run.sampler.samples] == [1.0, 2.0, 3.0, 3.5]
    run.sampler.advance(3.5, last=True)
    assert len(run.sampler.samples) == 4


def test_a_short_rest_is_part_of_the_last_sample() -> None:
    run = Sampled()
    run.send(1000, at_s=0.5)
    run.send(600, at_s=2.1)
    run.sampler.advance(2.25, last=True)
    first, second = run.sampler.samples
    assert (first.at_s, first.rate) == (1.0, 1000)
    assert (second.at_s, second.rate) == (2.25, 480)
    assert run.sampler.edition == 1  # a reader gets the changed sample
    run = Sampled()
    run.send(100, at_s=0.1)
    run.sampler.advance(0.2, last=True)
    assert [(sample.at_s, sample.rate) for sample in run.sampler.samples] == [(0.2, 500)]


def test_before_the_run_starts_there_are_no_samples() -> None:
    sampler = Sampler(RunState())
    sampler.advance(1e6, last=True)
    assert sampler.samples == []


def test_a_reader_gets_what_it_lacks_and_all_of_a_new_edition() -> None:
    run = Sampled(most=8)
    run.sampler.advance(5)
    assert [sample.at_s for sample in run.sampler.since(0, 3)] == [4, 5]
    run.sampler.advance(8)
    assert run.sampler.edition == 1
    assert [sample.at_s for sample in run.sampler.since(0, 5)] == [2, 4, 6, 8]
    run.sampler.advance(9)
    assert [sample.at_s for sample in run.sampler.samples] == [2, 4, 6, 8]
    run.sampler.advance(10)
    assert [sample.at_s for sample in run.sampler.since(1, 4)] == [10]


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 3), st.floats(0, 1e4))))
def test_however_long_it_is_small_and_loses_neither_bytes_nor_finishes(
    steps: list[tuple[int, int, float]],
) -> None:
    run = Sampled(most=16)
    now = 0.0
    for size, finishes, pause_s in steps:
        now += pause_s
        run.send(size, at_s=now, finishes=(1.0,) * finishes)
    run.sampler.advance(now + 1, last=True)
    samples = run.sampler.samples
    assert len(samples) < 16
    starts = [0.0, *(sample.at_s for sample in samples)]
    lengths = [end - start for start, end in pairwise(starts)]
    pairs = list(zip(samples, lengths, strict=True))
    finishes = sum(count for _, count, _ in steps)
    assert sum(one.rate * length for one, length in pairs) == pytest.approx(run.state.sent_size)
    assert sum(one.pace * length for one, length in pairs) == pytest.approx(finishes)
    assert sum(sample.finishes for sample in samples) == finishes
    assert all(sample.finish_s == pytest.approx(1.0) for sample in samples if sample.finishes)


@given(st.lists(st.integers(0, 10**12), max_size=50))
def test_each_size_is_counted_in_its_step(sizes: list[int]) -> None:
    counted = Sizes()
    for size in sizes:
        counted.add(size)
    steps = counted.steps()
    assert sum(count for _, _, count in steps) == len(sizes)
    for low, high, count in steps:
        assert count == sum(low <= max(size, 1) < high for size in sizes)


def test_steps_have_no_gaps() -> None:
    sizes = Sizes()
    sizes.add(150_000)
    sizes.add(1_999_999)
    assert sizes.steps() == [
        (100_000, 200_000, 1),
        (200_000, 500_000, 0),
        (500_000, 1_000_000, 0),
        (1_000_000, 2_000_000, 1),
    ]
