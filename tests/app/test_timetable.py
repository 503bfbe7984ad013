"""Limits by the time of day: over midnight, and where clocks are put forward and back."""

from datetime import UTC, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.app.settings import NO_LIMIT, Timetable, local_time

DAY = Timetable(((time(8), 1000), (time(18, 30), 5000), (time(23), None)))
BERLIN = ZoneInfo("Europe/Berlin")
entries = st.dictionaries(st.times(), st.none() | st.integers(1, 10**9), min_size=1, max_size=8)


def test_each_limit_holds_until_the_next_and_the_last_over_midnight() -> None:
    for limit, moments in (
        (None, [time(0), time(7, 59, 59, 999_999), time(23), time(23, 59, 59)]),
        (1000, [time(8), time(12)]),
        (5000, [time(18, 30), time(22, 59, 59)]),
    ):
        assert {DAY.limit(partial(time.replace, moment)) for moment in moments} == {limit}


@given(entries=entries, moment=st.times())
def test_it_is_the_limit_that_began_last(entries: dict[time, int | None], moment: time) -> None:
    def ago(begin: time) -> float:
        day = datetime(2026, 1, 2, tzinfo=UTC)
        at, began = (datetime.combine(day, t, tzinfo=UTC) for t in (moment, begin))
        return ((at - began) % timedelta(days=1)).total_seconds()

    table = Timetable(tuple(sorted(entries.items())))
    assert table.limit(lambda: moment) == entries[min(entries, key=ago)]


@pytest.mark.parametrize(
    ("instants", "limits"),
    [
        # 29 March 2026: from 1:59 the clock goes on to 3:00, so 2:30 never comes
        (["2026-03-29T00:59Z", "2026-03-29T01:00Z"], [1000, None]),
        # 25 October 2026: after 2:59 comes 2:00 once more, so 2:30 comes twice
        (
            ["2026-10-25T00:29Z", "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"],
            [1000, None, 1000, None],
        ),
    ],
)
def test_what_the_wall_clock_shows_counts(instants: list[str], limits: list[int | None]) -> None:
    table = Timetable(((time(1), 1000), (time(2, 30), None)))
    shown = [datetime.fromisoformat(text).astimezone(BERLIN).time() for text in instants]
    assert [table.limit(lambda moment=moment: moment) for moment in shown] == limits  # type: ignore[misc]


def test_without_a_table_nobody_looks_at_the_clock() -> None:
    def never() -> time:
        raise AssertionError

    assert NO_LIMIT.limit(never) is None
    assert Timetable(((time(), 5),)).limit(never) == 5


def test_the_local_time_is_one_without_a_zone() -> None:
    assert local_time().tzinfo is None
