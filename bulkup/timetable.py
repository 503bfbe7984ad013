"""How many bytes a second may go out at which time of day: pure.

Knows times of day, and neither clocks nor what goes out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class Timetable:
    """Limits in bytes a second, None for no limit, each from its time of day on.

    `entries` are in order of time, at least one; before the first of a day the last one holds.
    """

    entries: tuple[tuple[time, int | None], ...] = ((time(), None),)

    @classmethod
    def always(cls, limit: int | None) -> Self:
        """Return one limit for all day."""
        return cls(((time(), limit),))

    def limit(self, now: Callable[[], time]) -> int | None:
        """Return what holds now."""
        if len(self.entries) == 1:
            return self.entries[0][1]
        moment = now()
        begun = [limit for begin, limit in self.entries if begin <= moment]
        return begun[-1] if begun else self.entries[-1][1]


NO_LIMIT: Final = Timetable()


def local_time() -> time:
    """Return the time of day on the clock on the wall."""
    return datetime.now(UTC).astimezone().time()
