from hypothesis import given
from hypothesis import strategies as st

from bulkup.output.samples import MOST, Sizes, Timeline


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=200))
def test_nothing_is_lost_however_long_it_takes(times: list[float]) -> None:
    timeline = Timeline(100.0)
    for time in sorted(times):
        bucket = timeline.at(100.0 + time)
        bucket.sent += 7
        bucket.slowest_s = max(bucket.slowest_s, time)
    assert sum(bucket.sent for bucket in timeline.buckets) == 7 * len(times)
    assert max(bucket.slowest_s for bucket in timeline.buckets) == max(times)
    assert len(timeline.buckets) <= MOST
    assert len(timeline.buckets) * timeline.width_s > max(times)


def test_limits_stay_in_force_until_others_come() -> None:
    timeline = Timeline(0.0)
    timeline.at(0.0).finishing = 2
    timeline.at(3.0).finishing = 4
    timeline.at(5.0)
    assert [bucket.finishing for bucket in timeline.buckets[:12]] == [2] * 12
    assert {bucket.finishing for bucket in timeline.buckets[12:]} == {4}
    timeline.at(86_400.0)
    assert timeline.buckets[-1].finishing == 4
    assert MOST / 2 <= len(timeline.buckets) <= MOST  # as fine a line as can be


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
