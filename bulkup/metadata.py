"""Pure: what is known of a photo beside its bytes, as text that is ready to be compared and sent.

Knows Unicode and dates, and neither files nor servers nor where a value comes from. Every text is
in NFC and stripped, every date is one that a calendar has.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

EXACT: Final = timedelta(0)
OLDEST_YEAR: Final = 1000  # what a MySQL database promises to hold
MOST_STARS: Final = 5

DATE: Final = re.compile(
    r"(\d{4})(?:[:-](\d\d)(?:[:-](\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?"
    r"\s*(?:Z|[+-]\d\d:?(?:\d\d)?)?)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date as `YYYY-MM-DD HH:MM:SS`, in the time of the place where the photo was taken.

    Another date may be off by up to `leeway` and say the same, where this one is not exact: a
    bare year, or a time whose zone is not known.
    """

    text: str
    leeway: timedelta = EXACT

    def says_the_same_as(self, other: str) -> bool:
        """Tell whether another date, of the same form, is as good as this one."""
        try:
            apart = datetime.fromisoformat(other) - datetime.fromisoformat(self.text)
        except (TypeError, ValueError):
            return False
        return abs(apart) <= self.leeway


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What somebody wrote about a photo; what is empty, or None, nobody wrote.

    `rating` is in stars, from 1 on, `people` are names, `tags` are none of both. `own_tags` tells
    that the photo itself may hold keywords, which these tags must not replace.
    """

    title: str = ""
    description: str = ""
    author: str = ""
    date: Moment | None = None
    tags: tuple[str, ...] = ()
    rating: int = 0
    people: tuple[str, ...] = ()
    own_tags: bool = False

    def over(self, other: "Metadata") -> "Metadata":
        """Return both, with each value from here where there is one; tags and people add up."""
        return replace(
            self,
            title=self.title or other.title,
            description=self.description or other.description,
            author=self.author or other.author,
            date=self.date or other.date,
            tags=distinct((*self.tags, *other.tags)),
            rating=self.rating or other.rating,
            people=distinct((*self.people, *other.people)),
        )


def line(text: str) -> str:
    """Return a text as one line, without blanks around and control characters in it."""
    return re.sub(r"\s*[\n\u2028\u2029]\s*", " ", prose(text))


def prose(text: str) -> str:
    """Return a text of one or more lines, without blanks around and control characters in it."""
    text = re.sub(r"\r\n?", "\n", text.encode("utf-8", "replace").decode())
    text = unicodedata.normalize("NFC", text)
    return "".join(" " if _is_control(c) else c for c in text).strip()


def _is_control(character: str) -> bool:
    """Tell of control characters, and of numbers that Unicode will never give a character."""
    if ord(character) & 0xFFFE == 0xFFFE:
        return True
    return character != "\n" and unicodedata.category(character) == "Cc"


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that are not empty, each once, whatever its case."""
    found: dict[str, str] = {}
    for text in texts:
        if text:
            found.setdefault(text.lower(), text)
    return tuple(found.values())


def stars(rating: int) -> str:
    """Return a rating as a tag, empty if there is none."""
    return "★" * min(max(rating, 0), MOST_STARS)


def parse_date(text: str) -> Moment | None:
    """Return the date that XMP or EXIF writes so, None where it is none.

    Time zones are left out: like a camera, a gallery shows the time of the place.
    """
    match = DATE.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = match.groups()
    try:
        day_of = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        date = day_of.replace(
            hour=int(hour or 0), minute=int(minute or 0), second=int(second or 0)
        )
    except ValueError:
        return None
    days = 0 if hour else 1 if day else 31 if month else 366
    return moment(date, leeway=timedelta(days=days))


def moment(date: datetime, *, leeway: timedelta = EXACT) -> Moment | None:
    """Return a date as text, None where a database may not hold it."""
    if date.year < OLDEST_YEAR:
        return None
    return Moment(date.replace(tzinfo=None, microsecond=0).isoformat(sep=" "), leeway)
