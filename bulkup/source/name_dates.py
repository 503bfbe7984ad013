"""Dates in file names, as cameras, phones and messengers write them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from bulkup.source.metadata import ANY_DATE, Moment, moment
from bulkup.source.zone import EPOCH

AHEAD: Final = timedelta(days=2)
"""How far a date may be in the future: clocks and time zones differ."""

LONGEST: Final = 255
FIRST_YEAR: Final = 1800

DAY: Final = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
SPACED_DAY: Final = r"(?P<year>\d{4})(?P<_>[-._ ])(?P<month>\d\d)(?P=_)(?P<day>\d\d)"
TIME: Final = r"(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
SPACED_TIME: Final = (
    r"(?P<hour>\d\d?)(?P<__>[-._: h])(?P<minute>\d\d)(?:(?P=__)|m)(?P<second>\d\d)(?!\d)"
    r"(?:[ \u00a0\u202f]?(?P<half>[ap])\.?m\b)?"
)
BETWEEN: Final = r"(?:[-_ .T]|[, ] ?(?:at|um|à|a las|alle|om|kl\.|às) )"


@dataclass(frozen=True, slots=True)
class Form:
    """A form of dates; `utc` if they are in UTC and not in local time."""

    pattern: re.Pattern[str]
    utc: bool = False


def _form(pattern: str, *, utc: bool = False) -> Form:
    return Form(re.compile(pattern, re.ASCII | re.IGNORECASE), utc)


FORMS: Final = (
    _form(rf"^PXL_{DAY}_{TIME}\d{{3}}(?!\d)", utc=True),
    _form(rf"(?<!\d){DAY}[-_ T]?{TIME}(?:\d{{3}})?(?!\d)"),
    _form(rf"(?<!\d){SPACED_DAY}{BETWEEN}(?:{SPACED_TIME})"),
    _form(rf"(?<!\d){SPACED_DAY}[-_ T]{TIME}(?:\d{{3}})?(?!\d)"),
    _form(rf"(?<!\d){DAY}[-_ T]{SPACED_TIME}"),
    _form(r"^(?:FB_IMG_|mmexport)(?P<milliseconds>\d{13})(?!\d)", utc=True),
    _form(rf"(?<![\d.]){SPACED_DAY}(?!\d)"),
    _form(r"(?<![\d.])(?P<day>\d\d?)\.(?P<month>\d\d?)\.(?P<year>\d{4})(?!\d)"),
    _form(rf"(?<!\d){DAY}(?!\d)"),
)
"""The forms of dates, those with a time first."""


def date_in_name(
    name: str, *, now: datetime | None = None, zone: tzinfo | None = None
) -> Moment | None:
    """Return the date in a file name, None if there is none, or none that is possible.

    It gives way to any other date. Dates in UTC are converted to `zone`, by default the local one.
    Dates after `now`, the present time, are not possible.
    """
    latest = (datetime.now(UTC) if now is None else now) + AHEAD
    for form in FORMS:
        for match in form.pattern.finditer(name[:LONGEST]):
            date = _date(match.groupdict())
            if date is None or date > latest or date.year < FIRST_YEAR:
                continue
            return moment(date.astimezone(zone) if form.utc else date, leeway=ANY_DATE)
    return None


def _date(parts: dict[str, str | None]) -> datetime | None:
    """Return the date of a match, None if it is not possible."""
    year, month, day, hour, minute, second = (
        int(parts.get(name) or 0) for name in ("year", "month", "day", "hour", "minute", "second")
    )
    half = (parts.get("half") or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + 12 * (half == "p")
    try:
        if milliseconds := parts.get("milliseconds"):
            return EPOCH + timedelta(milliseconds=int(milliseconds))
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except (OverflowError, ValueError):
        return None
