"""Apple's export of iCloud Photos ("Data & Privacy"): `Photo Details.csv` and `Albums/*.csv`."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final

from bulkup.source.exports.files import AlbumPath, ExportFiles, by_photo
from bulkup.source.files import folder_version
from bulkup.source.metadata import ADMINISTRATORS, MAX_STARS, Metadata, Moment, line, moment
from bulkup.source.takeout.sidecars import ZONES

DETAILS: Final = re.compile(r"photo details(-[0-9]+)?\.csv", re.IGNORECASE)
LISTS: Final = "Albums"
"""The folder with a list of file names for each album, beside those of the photos."""

PHOTOS: Final = "Photos"
DELETED: Final = "Recently Deleted"
"""The folders of photos."""

LIMIT: Final = 16 * 1024**2
MOST_ROWS: Final = 200_000
"""Maximum number of rows of a table; a part of an export has far fewer photos."""

DATE: Final = re.compile(
    r"[A-Za-z]+ (?P<month>[A-Za-z]+) (?P<day>[0-9]{1,2}), ?(?P<year>[0-9]{4}) "
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}) (?P<half>[AP]M) GMT"
)
MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)


@dataclass(frozen=True, slots=True)
class Details:
    """A row of `Photo Details.csv`: the date in UTC, and what the photo was marked as."""

    date: str = ""
    favorite: bool = False
    hidden: bool = False
    deleted: bool = False


class ICloud:
    """Reads Apple's export; its dates are converted to `zone`, by default the local one."""

    def __init__(self, files: ExportFiles, *, zone: tzinfo | None = None) -> None:
        self._files = files
        self._zone = zone
        self._details = lru_cache(maxsize=4)(self._read_details)
        self._albums = lru_cache(maxsize=4)(self._read_albums)
        self._lists = lru_cache(maxsize=256)(self._find_lists)

    def recognizes(self, folder: Path) -> bool:
        """Return whether photos in a folder may be in an export."""
        return bool(self._rows(folder)) or self._is_trash(folder)

    def metadata(self, photo: Path) -> Metadata:
        """Return the metadata of a photo, empty if it is in no export."""
        details = self._of(photo)
        if details is None:
            return Metadata()
        return Metadata(
            date=read_date(details.date, zone=self._zone),
            rating=MAX_STARS if details.favorite else 0,
            level=ADMINISTRATORS if details.hidden else None,
        )

    def albums(self, photo: Path) -> Iterable[AlbumPath]:
        """Return the albums of a photo."""
        if self._of(photo) is None:
            return ()
        return self._albums(self._lists(photo.parent)).get(_key(photo.name), ())

    def is_deleted(self, photo: Path) -> bool:
        """Return whether a photo was deleted."""
        if self._is_trash(photo.parent):
            return True
        details = self._of(photo)
        return details is not None and details.deleted

    def _is_trash(self, folder: Path) -> bool:
        if folder.name != DELETED:
            return False
        return bool(self._rows(folder) or self._rows(folder.with_name(PHOTOS)))

    def _of(self, photo: Path) -> Details | None:
        """Return the row of a photo, None if it is in no export."""
        return self._rows(photo.parent).get(_key(photo.name))

    def _rows(self, folder: Path) -> Mapping[str, Details]:
        try:
            return self._details(folder, folder_version(folder))
        except OSError:
            return {}

    def _read_details(self, folder: Path, _version: object) -> Mapping[str, Details]:
        found: dict[str, Details] = {}
        for name in sorted(filter(DETAILS.fullmatch, self._files.names(folder))):
            found |= self._files.read(folder / name, read_details, limit=LIMIT) or {}
        return found

    def _find_lists(self, folder: Path) -> tuple[Path, ...]:
        """Return the lists of the albums of an export with photos in this folder.

        They may be in another part of the export.
        """
        parts = dict.fromkeys(place.parent for place in self._files.around(folder))
        parts |= dict.fromkeys(self._files.around(folder.parent))
        found: dict[Path, None] = {}
        for part in parts:
            for name in sorted(self._files.names(part / LISTS)):
                if name.lower().endswith(".csv"):
                    found[part / LISTS / name] = None
        return tuple(found)

    def _read_albums(self, lists: tuple[Path, ...]) -> Mapping[str, Sequence[AlbumPath]]:
        return by_photo(
            (
                (line(path.name[: -len(".csv")]),),
                self._files.read(path, read_album, limit=LIMIT) or (),
            )
            for path in lists
        )


def read_details(data: bytes) -> dict[str, Details]:
    """Parse `Photo Details.csv`. Raises `ValueError` with a reason for the user."""
    found = {}
    for row in _table(data):
        if name := row.get("imgname"):
            found[_key(name)] = Details(
                date=row.get("originalcreationdate", ""),
                favorite=_is_yes(row.get("favorite")),
                hidden=_is_yes(row.get("hidden")),
                deleted=_is_yes(row.get("deleted")),
            )
    return found


def read_album(data: bytes) -> list[str]:
    """Return the file names in the list of an album. Raises `ValueError` with a reason."""
    return [_key(name) for row in _table(data) if (name := row.get("imgname"))]


def read_date(text: str, *, zone: tzinfo | None = None) -> Moment | None:
    """Parse a date such as `Saturday June 4,2022 12:11 PM GMT`, None if it is invalid."""
    match = DATE.fullmatch(text.strip())
    if match is None or match["month"].lower() not in MONTHS:
        return None
    hour = int(match["hour"])
    if hour <= 12:  # some are written like 15:04 PM
        hour = hour % 12 + 12 * (match["half"] == "PM")
    with suppress(ValueError, OverflowError, OSError):
        date = datetime(
            int(match["year"]),
            MONTHS.index(match["month"].lower()) + 1,
            int(match["day"]),
            hour,
            int(match["minute"]),
            tzinfo=UTC,
        )
        return moment(date.astimezone(zone), leeway=ZONES)
    return None


def _table(data: bytes) -> Iterator[dict[str, str]]:
    """Yield the rows of a table by the lower-case names of its columns.

    Raises `ValueError` with a reason for the user.
    """
    text = io.StringIO(data.decode("utf-8-sig", "replace"), newline="")
    reader = csv.reader(text)
    try:
        heads = [head.strip().lower() for head in next(reader, [])]
        if heads and "imgname" not in heads:
            raise ValueError("it has no column imgName")
        for number, row in enumerate(reader):
            if number >= MOST_ROWS:
                raise ValueError(f"it has more than {MOST_ROWS:,} rows")
            yield dict(zip(heads, row, strict=False))
    except csv.Error as error:
        raise ValueError(f"it is not a table: {line(str(error))}") from None


def _is_yes(text: str | None) -> bool:
    return (text or "").strip().lower() == "yes"


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
