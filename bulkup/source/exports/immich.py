"""Immich's photos as `immich-go archive` writes them: `photo.jpg.JSON` beside `photo.jpg`."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final

from bulkup.source.exports.files import AlbumPath, ExportFiles, text_of
from bulkup.source.files import read_json, version
from bulkup.source.metadata import (
    MAX_STARS,
    Metadata,
    Moment,
    distinct,
    line,
    moment,
    position,
    prose,
)
from bulkup.source.takeout.sidecars import ZONES

SUFFIX: Final = ".JSON"
LIMIT: Final = 1024**2
DOCUMENTS: Final = 512
"""Files whose content is kept: each is asked for several times."""

Document = Mapping[str, object]


class Immich:
    """Reads these files; their dates are converted to `zone`, by default the local one."""

    def __init__(self, files: ExportFiles, *, zone: tzinfo | None = None) -> None:
        self._files = files
        self._zone = zone
        self._documents = lru_cache(maxsize=DOCUMENTS)(self._read)

    def recognizes(self, folder: Path) -> bool:
        """Return whether a folder has such files."""
        return self._files.has(folder, ending=SUFFIX)

    def metadata(self, photo: Path) -> Metadata:
        """Return the metadata of a photo."""
        document = self._document(photo)
        paths = tuple(_tags(document.get("tags")))
        rating = document.get("rating") or MAX_STARS * (document.get("favorited") is True)
        return Metadata(
            description=prose(text_of(document.get("description"))),
            date=_date(text_of(document.get("dateTaken")), self._zone),
            tags=distinct(path[-1] for path in paths),
            keyword_paths=tuple(path for path in paths if len(path) > 1),
            rating=rating if isinstance(rating, int) and 0 < rating <= MAX_STARS else 0,
            position=position(_float(document.get("latitude")), _float(document.get("longitude"))),
        )

    def albums(self, photo: Path) -> Iterator[AlbumPath]:
        """Yield the albums of a photo."""
        albums = self._document(photo).get("albums")
        for album in albums if isinstance(albums, list) else ():
            match album:
                case {"title": str(title), **rest} if line(title):
                    if comment := prose(text_of(rest.get("description"))):
                        self._files.comments[line(title),] = comment
                    yield (line(title),)

    def is_deleted(self, photo: Path) -> bool:
        """Return whether a photo is in the trash."""
        return self._document(photo).get("trashed") is True

    def _document(self, photo: Path) -> Document:
        name = f"{photo.name}{SUFFIX}"
        if name not in self._files.names(photo.parent):
            return {}
        path = photo.with_name(name)
        with suppress(OSError):
            return self._documents(path, version(path))
        return {}

    def _read(self, path: Path, _version: object) -> Document:
        return self._files.read(path, _parse, limit=LIMIT) or {}


def _parse(data: bytes) -> Document | None:
    """Parse such a file, None for other JSON. Raises `ValueError` with a reason for the user."""
    document = read_json(data)
    return document if isinstance(document, dict) and "fileName" in document else None


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) <= 360 else None


def _tags(tags: object) -> Iterator[tuple[str, ...]]:
    """Yield the names of tags with those above them."""
    for tag in tags if isinstance(tags, list) else ():
        match tag:
            case {"value": str(value)}:
                if path := tuple(step for part in value.split("/") if (step := line(part))):
                    yield path


def _date(text: str, zone: tzinfo | None) -> Moment | None:
    with suppress(ValueError, OSError, OverflowError):
        date = datetime.fromisoformat(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return moment(date.astimezone(zone), leeway=ZONES)
    return None
