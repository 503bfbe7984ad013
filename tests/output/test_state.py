"""The state of a run: each file counted once, bytes, rates, and the time left."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkup.events import (
    Event,
    FileSkipped,
    Interrupted,
    OutageBegan,
    OutageEnded,
    PhotoArrived,
    PhotoFinishing,
    PhotoHashed,
    PhotoHashing,
    PhotoPlanned,
    PhotoProgress,
    PhotoStarted,
    Retrying,
    RunFinished,
    ScanFinished,
    SkipReason,
    Verdict,
)
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
from tests.support.sample_run import (
    RUN,
    at,
    checked,
    failure,
    found,
    present,
    skipped,
    starting,
    unfinished,
    uploaded,
    uploading,
)

ONE, TWO = at("one.jpg"), at("two.jpg")


def state_after(*events: Event) -> RunState:
    return sample_run.state_after(RUN, *events)


@st.composite
def journeys(draw: st.DrawFn) -> list[Event]:
    """Draw one file's events in their order: found, perhaps sent and sent again, and one end."""
    path = at(f"{draw(st.uuids())}.{draw(st.sampled_from(['jpg', 'MOV', '']))}")
    size = draw(st.integers(0, 5000))
    events: list[Event] = [*found(path, size=size)]
    if draw(st.booleans()):
        reason = draw(st.sampled_from(SkipReason))
        return [*events, FileSkipped(path=path, reason=reason, size=size)]
    if draw(st.booleans()):
        events.append(PhotoHashing(path=path, size=size))
        if draw(st.booleans()):
            events.append(PhotoHashed(path=path, md5="0" * 32))
    if draw(st.booleans()):
        events.append(PhotoPlanned(path=path, size=size))
        for attempt in range(1, draw(st.integers(1, 4))):
            events.append(PhotoStarted(path=path, size=size, attempt=attempt))
            sent = draw(st.lists(st.integers(0, size), max_size=4))
            events += [PhotoProgress(path=path, sent=part) for part in sent]
            if draw(st.booleans()):
                events.append(PhotoFinishing(path=path))
            if draw(st.booleans()):
                events.append(Retrying(path=path, reason="502", attempt=attempt, after_s=1.0))
            elif draw(st.booleans()):
                events.append(PhotoArrived(path=path, image_id=1))
    ends: list[Event] = [
        uploaded(path, size),
        present(path, size=size, linked=draw(st.booleans())),
        replace(failure(path), size=size),
        replace(checked(path, draw(st.sampled_from(Verdict))), size=size),
        unfinished(path, size=size),
    ]
    return [*events, draw(st.sampled_from(ends))]


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    """Draw a legal ended run: the journeys of some files, interleaved."""
    lines = draw(st.lists(journeys(), max_size=12))
    events: list[Event] = []
    while lines := [line for line in lines if line]:
        events.append(draw(st.sampled_from(lines)).pop(0))
    return [RUN, *events, ScanFinished(), RunFinished(seconds=1.0)]


@settings(max_examples=60)
@given(runs())
def test_every_file_is_counted_once_and_no_number_is_ever_negative_or_more_than_all(
    events: list[Event],
) -> None:
    state = RunState()
    for now, event in enumerate(events):
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
        PhotoFinishing(path=ONE),
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


def test_a_retry_is_the_photos_trouble_until_bytes_go_out_again() -> None:
    trouble = Retrying(path=ONE, reason="HTTP 500", attempt=2, after_s=1.0)
    state = state_after(*starting("one.jpg"), trouble, PhotoProgress(path=ONE, sent=3))
    assert state.in_flight[ONE].trouble == ""


def test_all_failures_and_types_are_counted_and_only_the_first_are_kept() -> None:
    failures = [failure(f"{number}.jpg") for number in range(FAILURES_KEPT + 3)]
    state = state_after(*failures, *(skipped(f"a.{number}") for number in range(TYPES_KEPT + 5)))
    assert (state.failed, state.failures) == (FAILURES_KEPT + 3, failures[:FAILURES_KEPT])
    assert len(state.skipped_by_type) == TYPES_KEPT + 1
    assert state.skipped_by_type[OTHER_TYPES] == 5


def test_no_time_left_is_told_before_the_scan_has_ended_or_from_a_moment_alone() -> None:
    state = state_after(*starting("one.jpg", size=300, sent=100))
    assert state.eta_s(10.0) is None
    state.apply(ScanFinished(), 10.0)
    assert [state.eta_s(now) for now in (2.9, 3.0, 10.0)] == [
        None,
        pytest.approx(6.0),
        pytest.approx(20.0),
    ]


def test_no_time_left_is_told_during_an_outage_or_when_stopping() -> None:
    state = state_after(*starting("one.jpg", size=300, sent=100), ScanFinished())
    assert state.eta_s(4.0) == pytest.approx(8.0)
    state.apply(OutageBegan(reason="502"), 4.0)
    assert (state.eta_s(5.0), state.outage and state.outage.since) == (None, 4.0)
    state.apply(OutageEnded(seconds=60.0), 64.0)
    state.apply(PhotoProgress(path=ONE, sent=200), 68.0)
    assert state.eta_s(68.0) == pytest.approx(4.0)  # of what is left, at 25 bytes a second
    state.apply(Interrupted(), 68.0)
    assert state.eta_s(68.0) is None


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
    state = state_after(PhotoHashing(path=ONE, size=9), *starting("two.jpg"))
    assert list(state.active.shown(LONG_S / 2)) == [TWO]
    assert list(state.active.shown(LONG_S)) == [TWO, ONE]
    state.apply(PhotoHashed(path=ONE, md5="0" * 32), 1.0)
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
    state.apply(RunFinished(seconds=4.0), 9.0)
    assert state.elapsed_s(100.0) == 4.0


def test_what_a_million_photos_leave_behind_is_as_small_as_what_ten_leave() -> None:
    state = state_after()
    for number in range(2_000):
        path = at(f"{number}.jpg")
        events: list[Event] = [PhotoHashing(path=path, size=10)]
        events.append(PhotoHashed(path=path, md5="0" * 32))
        sample_run.apply(state, [*events, *uploading(path, size=10)], now=number / 5)
    pace = state._pace
    meters = [pace._rate, pace._sizes, pace._photos]
    assert [meter for meter in meters if len(meter._samples) > 101] == []
    assert (state.active, state.failures, state.skipped_by_type) == (ActiveFiles(), [], {})


def test_a_steady_flow_has_exactly_its_rate() -> None:
    meter = Meter(0.0, window_s=10.0)
    for second in range(1, 31):
        meter.add(100, float(second))
        assert meter.rate(float(second)) == 100.0


def test_the_rate_does_not_jump_in_the_first_second_and_forgets_what_its_window_has_left() -> None:
    meter = Meter(0.0, window_s=10.0)
    meter.add(500, 0.001)
    assert [meter.rate(now) for now in (0.001, 9.9, 10.1)] == [
        500.0,
        pytest.approx(500 / 9.9),
        0.0,
    ]
