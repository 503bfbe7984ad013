"""Columns of metadata tables, and the values in their cells."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bulkup.errors import UsageError
from bulkup.source.metadata import (
    LEVELS,
    MAX_STARS,
    Metadata,
    Moment,
    Position,
    distinct,
    line,
    parse_date,
    position,
    prose,
)

COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "path": ("sourcefile", "path", "filepath", "file", "filename"),
    "title": ("title", "headline", "objectname"),
    "description": ("description", "caption", "imagedescription", "captionabstract", "comment"),
    "author": ("author", "creator", "artist", "byline", "photographer"),
    "date": ("date", "datetimeoriginal", "datetaken", "taken", "datecreated", "createdate"),
    "tags": ("tags", "keywords", "subject", "tag", "keyword"),
    "people": ("people", "persons", "faces"),
    "albums": ("albums", "album"),
    "level": ("level", "privacy", "privacylevel"),
    "latitude": ("latitude", "lat", "gpslatitude"),
    "longitude": ("longitude", "lon", "lng", "long", "gpslongitude"),
    "rating": ("rating", "stars"),
    "rank": ("rank",),
    "cover": ("cover",),
}
"""Names of the columns as they are given, and the headings that they may have, as `plain`."""

WORDS: Final = {
    **dict.fromkeys(("everybody", "everyone", "public", "all"), 0),
    "contacts": 1,
    "friends": 2,
    "family": 4,
    **dict.fromkeys(("admin", "admins", "administrators", "private"), 8),
}
YES, NO = frozenset({"yes", "y", "true", "x", "1"}), frozenset({"no", "n", "false", "", "0"})
LIST_SEPARATORS: Final = (";", "|", ",")
ALBUM_SEPARATORS: Final = (";", "|")
MOST_RANK: Final = 2**31 - 1
SHOWN: Final = 25
"""Characters of a text, and columns of a table, that a message shows."""

YEAR_FIRST: Final = re.compile(r"(\d{4})[/.-](\d\d?)[/.-](\d\d?)(?!\d)(.*)", re.ASCII | re.DOTALL)
DAY_FIRST: Final = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})(?!\d)(.*)", re.ASCII | re.DOTALL)
SLASHES: Final = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})(?!\d)(.*)", re.ASCII | re.DOTALL)
TIME: Final = re.compile(
    r"[ ,T]*(\d\d?)(:\d\d(?::\d\d)?)(?:\s?([ap])\.?m\.?)?(.*)",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)
DEGREES: Final = re.compile(
    r"([NSEW])?\s*([+-]?\d{1,3}(?:[.,]\d{1,15})?)\s*(?:°|deg)?"
    r"(?:\s*(\d\d?(?:[.,]\d{1,15})?)\s*['′’])?(?:\s*(\d\d?(?:[.,]\d{1,15})?)\s*(?:\"|″|''))?"
    r"\s*([NSEW])?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TableFile:
    """The file of a table; `columns` maps names in `COLUMNS` to headings that the file has."""

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)


def columns_of(head: Sequence[str], file: TableFile) -> dict[str, int]:
    """Return the column of each field, that of the path first. Raises `UsageError`."""
    names = [plain(name) for name in head]
    places: dict[str, int] = {}
    for name, heading in file.columns.items():
        if plain(heading) not in names:
            columns = ", ".join(line(name)[:SHOWN] for name in head[:SHOWN] if name.strip())
            raise UsageError(
                f"the table {file.path} has no column “{heading}”",
                hint=f"Its columns are: {columns}.",
            )
        places[name] = names.index(plain(heading))
    taken = set(places.values())
    for name, headings in COLUMNS.items():
        free = (names.index(heading) for heading in headings if heading in names)
        place = next((at for at in free if at not in taken), None)
        if name not in places and place is not None:
            places[name] = place
    if "path" not in places or len(places) == 1:
        what = "tells which photo a row is for" if places else "is known"
        what = "has metadata" if "path" in places else what
        raise UsageError(
            f"no column of the table {file.path} {what}",
            hint="Name a column path, and others title, description, author, date, tags, albums "
            "or level; or name yours, such as --metadata-map path=Photo.",
        )
    return {"path": places.pop("path"), **places}


def plain(heading: str) -> str:
    """Return a heading without its case, spaces, signs, and a group such as `XMP:`."""
    return re.sub(r"[\W_]+", "", heading.rpartition(":")[2].casefold())


class Values:
    """The cells of a row that are not texts, and what is wrong with them."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._cells = cells
        self.date = self._date()
        self.level = self._level()
        self.position = self._position()
        self.rating = self._number("rating", most=MAX_STARS) or 0
        self.rank = self._number("rank", most=MOST_RANK)
        self.cover = self._cover()

    def _cell(self, name: str) -> str:
        return self._cells.get(name, "").strip()

    def _wrong(self, name: str, hint: str) -> None:
        self.problems.append(f"{name} “{line(self._cell(name))[:SHOWN]}” is not {hint}")

    def _date(self) -> Moment | None:
        if not (text := self._cell("date")):
            return None
        if (found := read_date(text)) is None:
            self._wrong("date", "a date such as 2019-07-04 12:30")
        return found

    def _level(self) -> int | None:
        text = self._cell("level").lower()
        level = WORDS.get(text, int(text) if re.fullmatch("[0-9]", text) else -1)
        if not text or level in LEVELS:
            return level if text else None
        self._wrong("level", "0, 1, 2, 4 or 8, so only administrators will see the photo")
        return LEVELS[-1]

    def _position(self) -> Position | None:
        degrees = []
        for name, most, signs in (("latitude", 90, "NS"), ("longitude", 180, "EW")):
            text = self._cell(name)
            number = read_degrees(text, most=most, signs=signs)
            if text and number is None:
                self._wrong(name, f"in degrees, up to {most}")
            degrees.append(number)
        latitude, longitude = degrees
        if bool(self._cell("latitude")) != bool(self._cell("longitude")):
            self.problems.append("only one of latitude and longitude is given")
        return position(latitude, longitude)

    def _number(self, name: str, *, most: int) -> int | None:
        if not (text := self._cell(name)):
            return None
        if re.fullmatch("[0-9]{1,10}", text) and int(text) <= most:
            return int(text)
        self._wrong(name, f"a whole number up to {most}")
        return None

    def _cover(self) -> bool:
        if (text := self._cell("cover").lower()) not in YES | NO:
            self._wrong("cover", "yes or no")
        return text in YES


def read_cells(cells: Mapping[str, str]) -> Metadata:
    """Return the metadata of a row."""
    values = Values(cells)
    return Metadata(
        title=line(cells.get("title", "")),
        description=prose(cells.get("description", "")),
        author=line(cells.get("author", "")),
        date=values.date,
        tags=distinct(map(line, _split(cells.get("tags", ""), LIST_SEPARATORS))),
        people=distinct(map(line, _split(cells.get("people", ""), LIST_SEPARATORS))),
        rating=values.rating,
        position=values.position,
        albums=read_albums(cells.get("albums", "")),
        level=values.level,
        rank=values.rank,
        cover=values.cover,
    )


def read_albums(text: str) -> tuple[tuple[str, ...], ...]:
    """Parse a list of albums, each a path of names."""
    albums = _split(text, ALBUM_SEPARATORS)
    paths = (tuple(filter(None, map(line, album.split("/")))) for album in albums)
    return tuple(dict.fromkeys(filter(None, paths)))


def _split(text: str, separators: Collection[str]) -> list[str]:
    """Return the items of a list, split at the first of the separators that it contains."""
    return text.split(next((each for each in separators if each in text), "\n"))


def read_date(text: str) -> Moment | None:
    """Parse a date as people and spreadsheets write it; None if it is invalid or ambiguous."""
    text = text.strip()
    if match := YEAR_FIRST.fullmatch(text):
        year, month, day, rest = match.groups()
    elif match := DAY_FIRST.fullmatch(text):
        day, month, year, rest = match.groups()
    elif match := SLASHES.fullmatch(text):
        day, month, year, rest = match.groups()
        if int(month) > 12:
            day, month = month, day
        elif int(day) <= 12 and int(day) != int(month):
            return None  # 7/4/2019 is in July or in April
    else:
        return parse_date(text)
    if match := TIME.fullmatch(rest):
        hour, minutes, half, rest = match.groups()
        if half:
            hour = str(int(hour) % 12 + 12 * (half.lower() == "p"))
        rest = f" {hour:0>2}{minutes}{rest}"
    return parse_date(f"{year}-{month:0>2}-{day:0>2}{rest}")


def read_degrees(text: str, *, most: int, signs: str) -> float | None:
    """Parse a latitude or longitude such as 45.4, 45° 24' N or N 45 deg 24'; None if invalid."""
    match = DEGREES.fullmatch(text.strip())
    if match is None:
        return None
    before, whole, minutes, seconds, after = match.groups()
    sign = (before or after or signs[0]).upper()
    parts = [float((part or "0").replace(",", ".")) for part in (whole, minutes, seconds)]
    number = abs(parts[0]) + parts[1] / 60 + parts[2] / 3600
    if sign not in signs or (before and after) or max(parts[1:]) >= 60 or number > most:
        return None
    return -number if whole.startswith("-") != (sign == signs[1]) else number
