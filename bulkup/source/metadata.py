"""What is known of a photo beside its bytes: titles, tags, dates, and the rules of the flags."""

import re
import string
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bulkup.errors import UsageError

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


FIELDS: Final = ("stem", "name", "folder", "date", "year", "title")
FIELDS_TEXT: Final = ", ".join(f"{{{field}}}" for field in FIELDS)


class Template:
    """A text with fields in braces, such as `{folder} – {stem}`; braces themselves are doubled.

    Raises `UsageError` where it names a field that there is not.
    """

    def __init__(self, text: str, *, flag: str) -> None:
        self.text = text
        hint = f"Give text and any of {FIELDS_TEXT}; a brace itself is written {{{{ or }}}}."
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError:
            raise UsageError(f"{flag} “{text}”: the braces do not match", hint=hint) from None
        for _, field, form, conversion in parts:
            if field is not None and (field not in FIELDS or form or conversion):
                raise UsageError(f"{flag} knows no field {{{field}}}", hint=hint)
        self._parts = [(literal, field) for literal, field, _, _ in parts]

    def fill(self, values: dict[str, str]) -> str:
        """Return the text with these values of the fields."""
        return "".join(
            literal + (values[field] if field is not None else "")
            for literal, field in self._parts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What photos get beside their bytes; what is empty is left to sidecars and the photo itself.

    `sidecars` is whether files beside photos are read at all.
    """

    title: Template | None = None
    tags: tuple[str, ...] = ()
    author: str = ""
    comment: str = ""
    sidecars: bool = True
    rating_as_tag: bool = False
    people_as_tags: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is anything to give at all."""
        return bool(self.sidecars or self.title or self.tags or self.author or self.comment)

    def apply(self, told: Metadata, *, path: Path, modified: datetime) -> Metadata:
        """Return the metadata of a photo of which its sidecars tell this.

        `path` is absolute; `modified` stands in for a date that no sidecar tells.
        """
        more = [stars(told.rating)] if self.rating_as_tag else []
        if self.people_as_tags:
            more += told.people
        wanted = Metadata(
            title=line(self._title(told, path=path, modified=modified)),
            description=prose(self.comment),
            author=line(self.author),
            tags=tuple(line(tag) for tag in self.tags),
        )
        both = wanted.over(told)
        return replace(both, tags=distinct((*both.tags, *more)))

    def _title(self, told: Metadata, *, path: Path, modified: datetime) -> str:
        if self.title is None:
            return ""
        date = told.date.text[:10] if told.date else f"{modified:%Y-%m-%d}"
        return self.title.fill(
            {
                "stem": path.stem,
                "name": path.name,
                "folder": path.parent.name,
                "date": date,
                "year": date[:4],
                "title": told.title or path.stem,
            }
        )
