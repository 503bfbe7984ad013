"""The coordinator's time zone, as a table that means the same on every machine.

Knows the clock. Names of zones would not do: some systems have others, and some none.
"""

from bisect import bisect
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Final

FIRST: Final = int(datetime(1901, 12, 14, tzinfo=UTC).timestamp())
LAST: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
WEEK_S: Final = 7 * 86400
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Table = Sequence[Sequence[int]]
"""From which second of the epoch on a zone is so many seconds ahead of UTC, in order."""


@cache
def local_zone() -> Table:
    """Return this machine's time zone; it takes some hundredths of a second, once."""
    table = [(FIRST, _ahead_s(FIRST))]
    for second in range(FIRST + WEEK_S, LAST, WEEK_S):
        if (ahead_s := _ahead_s(second)) != table[-1][1]:
            before, after = second - WEEK_S, second
            while after - before > 1:
                middle = (before + after) // 2
                if _ahead_s(middle) == table[-1][1]:
                    before = middle
                else:
                    after = middle
            table.append((after, ahead_s))
    return table


def _ahead_s(second: int) -> int:
    try:
        offset = (EPOCH + timedelta(seconds=second)).astimezone().utcoffset()
    except OSError:  # on Windows, before 1970
        offset = EPOCH.astimezone().utcoffset()
    return round((offset or timedelta()).total_seconds())


class Zone(tzinfo):
    """A zone by its table: it tells what time it is there, and not when a time there was."""

    def __init__(self, table: Table) -> None:
        self._seconds = [second for second, _ in table]
        self._ahead_s = [ahead_s for _, ahead_s in table]

    def fromutc(self, moment: datetime) -> datetime:
        """Return a moment in UTC as it is called there."""
        second = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
        place = max(0, bisect(self._seconds, second) - 1)
        return moment + timedelta(seconds=self._ahead_s[place])

    def utcoffset(self, _moment: datetime | None) -> None:
        """Tell nothing."""

    def dst(self, _moment: datetime | None) -> None:
        """Tell nothing."""

    def tzname(self, _moment: datetime | None) -> None:
        """Tell nothing."""
