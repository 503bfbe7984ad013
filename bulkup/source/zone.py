"""The time zone of this machine, in a form that other machines can use."""

from bisect import bisect, bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Final

FIRST: Final = int(datetime(1901, 12, 14, tzinfo=UTC).timestamp())
LAST: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
WEEK_S: Final = 7 * 86400
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Transitions = Sequence[tuple[int, int]]
"""In order: from this second of the epoch on, the zone is this many seconds ahead of UTC."""


@cache
def local_zone() -> Transitions:
    """Return the transitions of this machine's time zone."""
    table = [(FIRST, _ahead_s(FIRST))]
    for week in range(FIRST, LAST - WEEK_S, WEEK_S):
        if (ahead_s := _ahead_s(week + WEEK_S)) != table[-1][1]:
            seconds = range(week, week + WEEK_S)
            changed = bisect_left(seconds, 1, key=lambda s: _ahead_s(s) == ahead_s)
            table.append((week + changed, ahead_s))
    return table


def _ahead_s(second: int) -> int:
    try:
        offset = (EPOCH + timedelta(seconds=second)).astimezone().utcoffset()
    except OSError:  # on Windows, before 1970
        offset = EPOCH.astimezone().utcoffset()
    return round((offset or timedelta()).total_seconds())


class Zone(tzinfo):
    """A time zone defined by its transitions; it converts from UTC only."""

    def __init__(self, table: Transitions) -> None:
        self._seconds = [second for second, _ in table]
        self._ahead_s = [ahead_s for _, ahead_s in table]

    def fromutc(self, moment: datetime) -> datetime:
        """Convert a time in UTC."""
        second = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
        index = max(0, bisect(self._seconds, second) - 1)
        return moment + timedelta(seconds=self._ahead_s[index])

    def utcoffset(self, _moment: datetime | None) -> None:
        """Return None: unknown."""

    dst = tzname = utcoffset
