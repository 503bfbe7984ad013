"""Flickr's export: `photo_<id>.json` for each photo, and `albums.json`.

They are in the account data, apart from the photos, which are called `<title>_<id>_o.jpg` or
`<id>_<secret>_o.jpg`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from html import unescape
from pathlib import Path
from typing import Final

from bulkup.source.exports.files import AlbumPath, ExportFiles, by_photo, text_of
from bulkup.source.files import read_json, version
from bulkup.source.metadata import (
    Metadata,
    Position,
    distinct,
    line,
    parse_date,
    position,
    prose,
)

ID: Final = re.compile(r"(?:^|_)([1-9][0-9]{4,19})(?=[_.])")
PHOTO_FILE: Final = re.compile(r"photo_[0-9]+\.json")
ALBUMS_FILE: Final = "albums.json"
PHOTO_LIMIT: Final = 4 * 1024**2
ALBUMS_LIMIT: Final = 16 * 1024**2
MACHINE_TAG: Final = re.compile(r"[a-z][a-z0-9_]*:[a-z0-9_]+=.*", re.IGNORECASE | re.DOTALL)
"""Tags that programs write for each other, such as `geo:lat=41.9`."""

LEVELS: Final = {
    "friend & family": 2,
    "friend": 2,
    "friends": 2,
    "family": 4,
    "private": 8,
}
"""Privacy levels by what Flickr calls them; public photos have none."""

DEGREE: Final = 1_000_000
FOLDERS: Final = 4096

Albums = Mapping[int, Sequence[AlbumPath]]
"""The albums of photos by the photos' numbers."""


class Flickr:
    """Reads Flickr's export."""

    def __init__(self, files: ExportFiles) -> None:
        self._files = files
        self._account_data = lru_cache(maxsize=FOLDERS)(self._find_account_data)
        self._is_data = lru_cache(maxsize=FOLDERS)(self._holds_data)
        self._albums = lru_cache(maxsize=16)(self._read_albums)

    def recognizes(self, folder: Path) -> bool:
        """Return whether photos in a folder may be in an export."""
        return bool(self._account_data(folder))

    def metadata(self, photo: Path) -> Metadata:
        """Return the metadata of a photo, empty if it is in no export."""
        for number in ID.findall(photo.name):
            for folder in self._account_data(photo.parent):
                name = f"photo_{number}.json"
                if name in self._files.names(folder):
                    parse = partial(read_photo, number=number)
                    found = self._files.read(folder / name, parse, limit=PHOTO_LIMIT)
                    if found is not None:
                        return found
        return Metadata()

    def albums(self, photo: Path) -> Iterator[AlbumPath]:
        """Yield the albums of a photo."""
        for number in ID.findall(photo.name):
            for folder in self._account_data(photo.parent):
                path = folder / ALBUMS_FILE
                with suppress(OSError):  # there is none
                    yield from self._albums(path, version(path)).get(int(number), ())

    def _find_account_data(self, folder: Path) -> Sequence[Path]:
        return tuple(filter(self._is_data, self._files.around(folder)))

    def _holds_data(self, folder: Path) -> bool:
        names = self._files.names(folder)
        return ALBUMS_FILE in names or any(map(PHOTO_FILE.fullmatch, names))

    def _read_albums(self, path: Path, _version: object) -> Albums:
        albums, comments = self._files.read(path, read_albums, limit=ALBUMS_LIMIT) or ({}, {})
        self._files.comments |= comments
        return albums


def read_photo(data: bytes, *, number: str) -> Metadata | None:
    """Parse the JSON of the photo of this number, None for other JSON.

    Raises `ValueError` with a reason for the user if it is not JSON.
    """
    match read_json(data):
        case {"id": str(own), "name": str(name), **rest} if own == number:
            return Metadata(
                title=line(unescape(name)),
                description=prose(unescape(text_of(rest.get("description")))),
                date=parse_date(text_of(rest.get("date_taken"))),
                tags=distinct(_tags(rest.get("tags"))),
                position=_position(rest.get("geo")),
                level=LEVELS.get(text_of(rest.get("privacy")).lower()),
            )
    return None


def read_albums(data: bytes) -> tuple[Albums, Mapping[AlbumPath, str]]:
    """Return the albums of photos, and the albums' descriptions; other JSON has none.

    Raises `ValueError` with a reason for the user if it is not JSON.
    """
    comments: dict[AlbumPath, str] = {}
    match read_json(data):
        case {"albums": list(albums)}:
            return by_photo(_members(albums, comments)), comments
    return {}, comments


def _members(
    albums: Iterable[object], comments: dict[AlbumPath, str]
) -> Iterator[tuple[AlbumPath, Iterable[int]]]:
    """Yield each album with its photos, and add its description; a 0 stands for a lost photo."""
    for album in albums:
        match album:
            case {"title": str(title), "photos": list(photos), **rest} if line(title):
                path = (line(unescape(title)),)
                if comment := prose(unescape(text_of(rest.get("description")))):
                    comments[path] = comment
                yield path, filter(None, map(_number, photos))


def _number(value: object) -> int:
    text = str(value)
    return int(text) if re.fullmatch("[0-9]{1,20}", text) else 0


def _tags(tags: object) -> Iterator[str]:
    for tag in tags if isinstance(tags, list) else ():
        match tag:
            case {"tag": str(text)} if not MACHINE_TAG.fullmatch(text):
                yield line(unescape(text))


def _position(geo: object) -> Position | None:
    """Return a position; Flickr writes millionths of degrees."""
    match geo[0] if isinstance(geo, list) and geo else geo:
        case {"latitude": latitude, "longitude": longitude}:
            return position(_degrees(latitude), _degrees(longitude))
    return None


def _degrees(value: object) -> float | None:
    text = str(value)
    if re.fullmatch(r"-?[0-9]{1,9}", text):
        return int(text) / DEGREE
    return float(text) if re.fullmatch(r"-?[0-9]{1,3}\.[0-9]{1,15}", text) else None
