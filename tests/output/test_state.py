"""The state of a run: each file counted once, bytes, rates, the time left; samples of it."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkup import events
from bulkup.events import Event, PhotoArrived, PhotoProgress, PhotoStarted, Retrying, ScanFinished
from bulkup.output.samples import Sampler, Sizes
from bulkup.output.state import (
    FAILURES_KEPT,
    LONG_S,
    OTHER_TYPES,
    TYPES_KEPT,
    ActiveFiles,
    Meter,
    RunState,
)
from tests.support import sample_run
from tests.support.sample_run import RUN, at, checked, failure, found, skipped, starting, uploaded

ONE, TWO = at("one.jpg"), at("two.jpg")


def state_after(*history: Event) -> RunState:
    return sample_run.state_after(RUN, *history)


@st.composite
def journeys(draw: st.DrawFn) -> list[Event]:
    """Draw one file's events in their order: found, perhaps sent and sent again, and one end."""
    path = at(f"{draw(st.uuids())}.{draw(st.sampled_from(['jpg', 'MOV', '']))}")
    size = draw(st.integers(0, 5000))
    history: list[Event] = [*found(path, size=size)]
    if draw(st.booleans()):
        reason = draw(st.sampled_from(events.SkipReason))
        return [*history, events.FileSkipped(path=path, reason=reason, size=size)]
    if draw(st.booleans()):
        history.append(events.PhotoHashing(path=path, size=size))
        if draw(st.booleans()):
            history.append(events.PhotoHashed(path=path, md5="0" * 32))
    if draw(st.booleans()):
        history.append(events.PhotoPlanned(path=path, size=size))
        for attempt in range(1, draw(st.integers(1, 4))):
            history.append(PhotoStarted(path=path, size=size, attempt=attempt))
            sent = draw(st.lists(st.integers(0, size), max_size=4))
            history += [PhotoProgress(path=path, sent=part) for part in sent]
            if draw(st.booleans()):
                history.append(events.PhotoFinishing(path=path))
            if draw(st.booleans()):
                history.append(Retrying(path=path, reason="502", attempt=attempt, after_s=1.0))
            elif draw(st.booleans()):
                history.append(PhotoArrived(path=path, image_id=1))
    ends: list[Event] = [
        uploaded(path, size),
        sample_run.present(path, size=size, linked=draw(st.booleans())),
        replace(failure(path), size=size),
        replace(checked(path, draw(st.sampled_from(events.Verdict))), size=size),
        sample_run.unfinished(path, size=size),
    ]
    return [*history, draw(st.sampled_from(ends))]


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    """Draw a legal ended run: the journeys of some files, interleaved."""
    lines = draw(st.lists(journeys(), max_size=12))
    history: list[Event] = []
    while lines := [line for line in lines if line]:
        history.append(draw(st.sampled_from(lines)).pop(0))
    return [RUN, *history, ScanFinished(), events.RunFinished(seconds=1.0)]


@settings(max_examples=60)
@given(runs())
def test_every_file_is_counted_once_and_no_number_is_ever_negative_or_more_than_all(
    history: list[Event],
) -> None:
    state = RunState()
    for now, event in enumerate(history):
        state.apply(event, now / 7)
        assert 0 <= state.in_flight_size <= state.photos_size
        assert 0 <= state.done_size + state.in_flight_size + state.left_size <= state.photos_size
        assert 0 <= state.done <= state.photos
        assert 0 <= state.reached <= state.goal
        assert 0 <= state.reached_size <= state.goal_size
        assert state.rate(now / 7) >= 0
        assert (state.eta_s(now / 7) or 0) >= 0
    outcomes = state.uploaded + state.present + state.skipped + state.failed + state.unfinished
    outcomes += state.verdicts.total()
    assert (state.found, state.pending, state.left_size) == (outcomes, 0, 0)
    assert state.active == ActiveFiles()


def test_a_photo_sent_again_keeps_its_place_and_begins_anew() -> None:
    state = state_after(
        PhotoStarted(path=ONE, size=100, attempt=1),
        PhotoProgress(path=ONE, sent=90),
        events.PhotoFinishing(path=ONE),
        PhotoStarted(path=TWO, size=1, attempt=1),
        Retrying(path=ONE, reason="HTTP 500", attempt=2, after_s=1.0),
    )
    one = state.in_flight[ONE]
    assert (state.retries, one.trouble, one.finishing) == (1, "HTTP 500", True)
    state.apply(PhotoStarted(path=ONE, size=100, attempt=2), 1.0)
    for sent in (40, 10):
        state.apply(PhotoProgress(path=ONE, sent=sent), 1.0)
    assert list(state.in_flight) == [ONE, TWO]
    again = state.in_flight[ONE]
    assert (again.attempt, again.trouble, again.finishing) == (2, "", False)
    assert state.in_flight_size == 10  # of what went out before, nothing counts
    state.apply(Retrying(path=ONE, reason="HTTP 500", attempt=3, after_s=1.0), 1.0)
    state.apply(PhotoProgress(path=ONE, sent=3), 1.0)  # bytes go out again
    assert state.in_flight[ONE].trouble == ""


def test_all_failures_and_types_are_counted_and_only_the_first_are_kept() -> None:
    failures = [failure(f"{number}.jpg") for number in range(FAILURES_KEPT + 3)]
    state = state_after(*failures, *(skipped(f"a.{number}") for number in range(TYPES_KEPT + 5)))
    assert (state.failed, state.failures) == (FAILURES_KEPT + 3, failures[:FAILURES_KEPT])
    assert len(state.skipped_by_type) == TYPES_KEPT + 1
    assert state.skipped_by_type[OTHER_TYPES] == 5


def test_no_time_left_is_shown_while_it_scans_waits_pauses_or_stops() -> None:
    state = state_after(*starting("one.jpg", size=300, sent=100))
    assert state.eta_s(10.0) is None
    state.apply(ScanFinished(), 2.0)
    assert state.eta_s(2.9) is None  # a moment alone tells none
    assert [state.eta_s(now) for now in (3.0, 4.0, 10.0)] == pytest.approx([6.0, 8.0, 20.0])
    state.apply(events.OutageBegan(reason="502"), 4.0)
    assert (state.eta_s(5.0), state.outage and state.outage.since) == (None, 4.0)
    state.apply(events.OutageEnded(seconds=60.0), 64.0)
    state.apply(PhotoProgress(path=ONE, sent=200), 68.0)
    assert state.eta_s(68.0) == pytest.approx(4.0)  # of what is left, at 25 bytes a second
    state.apply(events.Paused(), 68.0)
    assert state.eta_s(68.0) is None
    state.apply(events.Resumed(), 100.0)
    state.apply(PhotoProgress(path=ONE, sent=250), 104.0)
    assert state.eta_s(104.0) == pytest.approx(4.0)  # the pause does not count
    state.apply(events.Interrupted(), 104.0)
    assert state.eta_s(104.0) is None


def test_where_finishing_takes_the_time_it_is_photos_that_count() -> None:
    """Ten photos a minute are finished, whatever goes over the line."""
    names = [f"{number}.jpg" for number in range(100)]
    state = state_after(*found(*names, size=1_000), ScanFinished())
    for number, name in enumerate(names[:20]):
        state.apply(PhotoStarted(path=at(name), size=1_000, attempt=1), 0.0)
        state.apply(PhotoProgress(path=at(name), sent=1_000), 1.0)
        if number < 10:
            state.apply(uploaded(name, 1_000), 6.0 * (number + 1))
    assert state.eta_s(60.0) == pytest.approx(90 * 6.0)  # by bytes it would be four minutes


def test_the_last_photos_take_the_servers_time_though_all_their_bytes_are_out() -> None:
    names = [f"{number}.jpg" for number in range(8)]
    state = state_after(*starting(*names, size=1_000, sent=1_000), ScanFinished())
    assert state.eta_s(5.0) is None
    state.apply(PhotoArrived(path=at(names[0]), image_id=1), 8.0)
    state.apply(uploaded(names[0], 1_000), 8.0)
    assert state.left_size == 0
    assert state.eta_s(8.0) == pytest.approx(7 * 8.0)


def test_bytes_alone_tell_no_time_left_while_none_of_the_photos_was_finished() -> None:
    state = state_after(*found("two.jpg", size=100), ScanFinished())
    for event in starting("one.jpg", size=1_000, sent=500):
        state.apply(event, 0.0)
    assert state.eta_s(10.0) is None
    state.apply(PhotoProgress(path=ONE, sent=900), 59.0)
    assert state.eta_s(60.0) == pytest.approx(30.0)  # by then it must be a large one


def test_a_photo_that_has_arrived_is_no_longer_in_flight_and_its_bytes_count_once() -> None:
    state = state_after(*starting("one.jpg", size=100, sent=60))
    state.apply(PhotoArrived(path=ONE, image_id=1), 1.0)
    assert (state.in_flight, state.in_flight_size, state.rate(1.0)) == ({}, 100, 100.0)
    state.apply(uploaded(ONE, 100), 1.0)
    assert (state.in_flight_size, state.done_size, state.rate(1.0)) == (0, 100, 100.0)


def test_a_file_that_takes_long_to_read_is_shown() -> None:
    state = state_after(events.PhotoHashing(path=ONE, size=9), *starting("two.jpg"))
    assert list(state.active.shown(LONG_S / 2)) == [TWO]
    assert list(state.active.shown(LONG_S)) == [TWO, ONE]
    state.apply(events.PhotoHashed(path=ONE, md5="0" * 32), 1.0)
    assert list(state.active.shown(9.0)) == [TWO]


def test_sending_again_counts_for_the_rate_and_not_for_the_mean() -> None:
    state = state_after(
        PhotoStarted(path=ONE, size=100, attempt=1),
        PhotoProgress(path=ONE, sent=60),
        PhotoStarted(path=ONE, size=100, attempt=2),
        uploaded(ONE, 100),
    )
    assert (state.rate(8.0), state.mean_rate(8.0)) == (20.0, 12.5)


def test_the_elapsed_time_stands_still_once_the_run_has_ended_and_is_none_before_it() -> None:
    state = RunState()
    assert (state.elapsed_s(9.0), state.rate(9.0), state.mean_rate(9.0)) == (0.0, 0.0, 0.0)
    state.apply(RUN, 5.0)
    assert state.elapsed_s(8.0) == 3.0
    state.apply(events.RunFinished(seconds=4.0), 9.0)
    assert state.elapsed_s(100.0) == 4.0


def test_what_a_million_photos_leave_behind_is_as_small_as_what_ten_leave() -> None:
    state = state_after()
    for number in range(2_000):
        path = at(f"{number}.jpg")
        history: list[Event] = [events.PhotoHashing(path=path, size=10)]
        history.append(events.PhotoHashed(path=path, md5="0" * 32))
        sample_run.apply(state, [*history, *sample_run.uploading(path, size=10)], now=number / 5)
    pace = state._pace
    meters = [pace._rate, pace._sizes, pace._photos]
    assert [meter for meter in meters if len(meter._samples) > 101] == []
    assert (state.active, state.failures, state.skipped_by_type) == (ActiveFiles(), [], {})


def test_a_meter_has_a_steady_rate_also_in_the_first_second_and_forgets_what_is_past() -> None:
    steady, meter = Meter(0.0, window_s=10.0), Meter(0.0, window_s=10.0)
    for second in range(1, 31):
        steady.add(100, float(second))
        assert steady.rate(float(second)) == 100.0
    meter.add(500, 0.001)
    rates = [meter.rate(now) for now in (0.001, 9.9, 10.1)]
    assert rates == [500.0, pytest.approx(500 / 9.9), 0.0]


# samples over time, and photos by size


class Sampled:
    """A run of one large photo that is sampled; `send` sends some bytes of it."""

    def __init__(self, *, most: int = 600) -> None:
        self.state = state_after(PhotoStarted(path=ONE, size=10**9, attempt=1))
        self.sampler = Sampler(self.state, most=most)
        self._sent = 0

    def send(self, size: int, *, at_s: float, finishes: tuple[float, ...] = ()) -> None:
        self.sampler.advance(at_s)
        self._sent += size
        self.state.apply(PhotoProgress(path=ONE, sent=self._sent), at_s)
        for seconds in finishes:
            self.sampler.finished(seconds)


def test_a_sample_covers_its_stretch_of_time_and_a_pause_has_samples_too() -> None:
    run = Sampled()
    run.send(1000, at_s=0.2)
    run.state.apply(events.LimitsChanged(finishing=2, most_finishing=6), 0.9)
    run.send(500, at_s=1.5, finishes=(0.2, 0.6))
    run.state.apply(events.PhotoFinishing(path=ONE), 1.5)
    run.state.apply(events.ChunkSizeChanged(chunk_size=500), 1.5)
    run.state.apply(checked("b.jpg", events.Verdict.PRESENT), 1.6)
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


def test_a_short_rest_is_part_of_the_last_sample_and_without_a_run_there_is_none() -> None:
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
    unstarted = Sampler(RunState())
    unstarted.advance(1e6, last=True)
    assert unstarted.samples == []


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
    assert [high for _, high, _ in steps[:-1]] == [low for low, _, _ in steps[1:]]  # no gaps
    assert all(str(low).rstrip("0") in {"1", "2", "5"} for low, _, _ in steps)
