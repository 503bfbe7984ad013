"""Photo metadata: titles, tags, dates, and the labels set on the command line."""

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
ANY_DATE: Final = timedelta.max
"""The leeway of a date that is a guess: any other one is better."""

OLDEST_YEAR: Final = 1000  # the minimum of MySQL's DATETIME
MAX_STARS: Final = 5
LONGEST_TEXT: Final = 128 * 1024
"""Characters of a text that are looked at; galleries store at most 64 kB."""

LEVELS: Final = (0, 1, 2, 4, 8)
"""Piwigo's privacy levels: everybody, contacts, friends, family, administrators."""

ADMINISTRATORS: Final = 8
"""The level of photos that only administrators see."""

DATE: Final = re.compile(
    r"(\d{4})(?:[:-](\d\d)(?:[:-](\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?"
    r"\s*(?:Z|[+-]\d\d:?(?:\d\d)?)?)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date as `YYYY-MM-DD HH:MM:SS`, in local time at the place where the photo was taken.

    `leeway` is how far another date may differ and still mean the same, if this one is not exact:
    a bare year, or a time in an unknown zone.
    """

    text: str
    leeway: timedelta = EXACT

    def agrees_with(self, other: str) -> bool:
        """Return whether another date, in the same form, is equal within the leeway."""
        try:
            apart = datetime.fromisoformat(other) - datetime.fromisoformat(self.text)
        except (TypeError, ValueError):
            return False
        return abs(apart) <= self.leeway


Position = tuple[float, float]
"""Latitude and longitude in degrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Iptc:
    """The texts of the IPTC data in a JPEG, which a gallery may read itself.

    `dated` is whether there is a date as well, which then takes the place of that of EXIF.
    """

    title: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    dated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Metadata of one photo; empty values and None are unknown.

    `rating` is in stars, from 1; `tags` include neither rating nor people. `keyword_paths` are the
    levels of hierarchical keywords, whose last ones are among the tags. `position` is latitude and
    longitude in degrees. `albums` are paths of names, below the album that the run uploads to,
    in which the photo is besides that of its folder. `level` is its privacy level, `rank` its
    place in its albums, and `cover` is whether it represents them. `iptc` and `exif_date` are what
    galleries may read from the file themselves: its keywords must not be replaced, its date need
    not be set. `exif_position` is whether they read a position as well.
    """

    title: str = ""
    description: str = ""
    author: str = ""
    date: Moment | None = None
    tags: tuple[str, ...] = ()
    keyword_paths: tuple[tuple[str, ...], ...] = ()
    rating: int = 0
    people: tuple[str, ...] = ()
    position: Position | None = None
    albums: tuple[tuple[str, ...], ...] = ()
    level: int | None = None
    rank: int | None = None
    cover: bool = False
    iptc: Iptc | None = None
    exif_date: Moment | None = None
    exif_position: bool = False

    def over(self, other: "Metadata") -> "Metadata":
        """Merge with `other`, whose values have lower priority; tags and people are joined.

        A date with a leeway gives way to an exact one within it.
        """
        return replace(
            self,
            title=self.title or other.title,
            description=self.description or other.description,
            author=self.author or other.author,
            date=self._date_over(other),
            tags=distinct((*self.tags, *other.tags)),
            keyword_paths=tuple(dict.fromkeys((*self.keyword_paths, *other.keyword_paths))),
            rating=self.rating or other.rating,
            people=distinct((*self.people, *other.people)),
            position=self.position or other.position,
            albums=tuple(dict.fromkeys((*self.albums, *other.albums))),
            level=other.level if self.level is None else self.level,
            rank=other.rank if self.rank is None else self.rank,
            cover=self.cover or other.cover,
            iptc=self.iptc or other.iptc,
            exif_date=self.exif_date or other.exif_date,
            exif_position=self.exif_position or other.exif_position,
        )

    def _date_over(self, other: "Metadata") -> Moment | None:
        date, exact = self.date or other.date, other.date or other.exif_date
        if date and exact and date.leeway and not exact.leeway and date.agrees_with(exact.text):
            return exact
        return date


def line(text: str) -> str:
    """Return a text as one line, trimmed and without control characters."""
    return re.sub(r"\s*[\n\u2028\u2029]\s*", " ", prose(text))


def prose(text: str) -> str:
    """Return a text, trimmed and without control characters except line ends."""
    text = text[:LONGEST_TEXT].encode("utf-8", "replace").decode()
    text = re.sub(r"\r\n?", "\n", text)
    text = unicodedata.normalize("NFC", text)
    return "".join(" " if _is_control(c) else c for c in text).strip()


def _is_control(character: str) -> bool:
    """Return whether a character is a control character or a Unicode noncharacter."""
    if ord(character) & 0xFFFE == 0xFFFE:
        return True
    return character != "\n" and unicodedata.category(character) == "Cc"


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that are not empty, without case-insensitive duplicates."""
    found: dict[str, str] = {}
    for text in texts:
        if text:
            found.setdefault(text.lower(), text)
    return tuple(found.values())


def stars(rating: int) -> str:
    """Return a rating as a tag, empty for none."""
    return "★" * min(max(rating, 0), MAX_STARS)


def parse_date(text: str) -> Moment | None:
    """Parse a date as written by XMP or EXIF; return None if it is invalid.

    Time zones are dropped: like a camera, a gallery shows local time.
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


def position(latitude: float | None, longitude: float | None) -> Position | None:
    """Return a position, None if a coordinate is missing or impossible.

    Programs write 0, 0 for an unknown one.
    """
    if latitude is None or longitude is None or (latitude, longitude) == (0.0, 0.0):
        return None
    # not true of NaN either
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def moment(date: datetime, *, leeway: timedelta = EXACT) -> Moment | None:
    """Return a date as text, None if a database may not be able to store it."""
    if date.year < OLDEST_YEAR:
        return None
    return Moment(date.replace(tzinfo=None, microsecond=0).isoformat(sep=" "), leeway)


FIELDS: Final = ("stem", "name", "folder", "date", "year", "title")
FIELDS_TEXT: Final = ", ".join(f"{{{field}}}" for field in FIELDS)


class Template:
    """A title template with fields in braces, such as `{folder} – {stem}`; `{{` is a brace.

    Raises `UsageError` for an unknown field.
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
                raise UsageError(f"{flag} has no field {{{field}}}", hint=hint)
        self._parts = [(literal, field) for literal, field, _, _ in parts]

    def fill(self, values: dict[str, str]) -> str:
        """Return the text with these field values."""
        return "".join(
            literal + (values[field] if field is not None else "")
            for literal, field in self._parts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Metadata and its sources, as set on the command line.

    Empty values leave those of the sidecars, and of the photo files with `embedded`.
    """

    title: Template | None = None
    tags: tuple[str, ...] = ()
    author: str = ""
    comment: str = ""
    sidecars: bool = True
    embedded: bool = True
    date_from_name: bool = False
    folder_as_tag: bool = False
    rating_as_tag: bool = False
    people_as_tags: bool = False
    keyword_paths: bool = False

    def __bool__(self) -> bool:
        """Return whether any metadata is to be set."""
        sources = self.sidecars or self.embedded or self.date_from_name
        return bool(sources or self.title or self.tags or self.author or self.comment)

    def apply(self, sidecar: Metadata, *, path: Path, modified: datetime) -> Metadata:
        """Return a photo's metadata: these labels over what its sidecars and its file say.

        `path` is absolute; `modified` is used if they have no date.
        """
        more = [stars(sidecar.rating)] if self.rating_as_tag else []
        if self.people_as_tags:
            more += sidecar.people
        wanted = Metadata(
            title=line(self._title(sidecar, path=path, modified=modified)),
            description=prose(self.comment),
            author=line(self.author),
            tags=tuple(line(tag) for tag in self.tags),
        )
        if self.keyword_paths:
            sidecar = _with_paths(sidecar)
        both = wanted.over(sidecar)
        return replace(both, tags=distinct((*both.tags, *more)))

    def _title(self, sidecar: Metadata, *, path: Path, modified: datetime) -> str:
        if self.title is None:
            return ""
        taken = sidecar.date or sidecar.exif_date
        date = taken.text[:10] if taken else f"{modified:%Y-%m-%d}"
        return self.title.fill(
            {
                "stem": path.stem,
                "name": path.name,
                "folder": path.parent.name,
                "date": date,
                "year": date[:4],
                "title": sidecar.title or path.stem,
            }
        )


def _with_paths(metadata: Metadata) -> Metadata:
    """Return the metadata with hierarchical keywords as whole paths, such as `Places/Italy/Rome`.

    Programs also list the levels of a path as keywords of their own; these are left out.
    """
    levels = {level.lower() for path in metadata.keyword_paths for level in path}
    flat = [tag for tag in metadata.tags if tag.lower() not in levels]
    paths = ["/".join(path) for path in metadata.keyword_paths]
    return replace(metadata, tags=distinct((*flat, *paths)))
