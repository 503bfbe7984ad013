"""PhotoPrism's YAML files: one for each photo, in `storage/sidecar` or beside it, and albums."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from bulkup.source.exports.files import AlbumPath, ExportFiles, by_photo
from bulkup.source.files import version
from bulkup.source.metadata import (
    ADMINISTRATORS,
    EXACT,
    MAX_STARS,
    Metadata,
    Moment,
    Position,
    distinct,
    line,
    moment,
    position,
    prose,
)
from bulkup.source.takeout.sidecars import ZONES

SUFFIX: Final = ".yml"
SIDECARS: Final = "sidecar"
ALBUMS: Final = ("backup/albums/album", "albums/album")
"""Where a storage folder has the albums that users made."""

STORAGES: Final = ("storage", ".")
"""Storage folders, relative to the folder with that of the originals in it."""

HIDDEN: Final = ".photoprism"
FOLDERS: Final = 4096
ABOVE: Final = 16
LIMIT: Final = 1024**2
ALBUM_LIMIT: Final = 16 * 1024**2
DEPTH: Final = 20
MISSING: Final = "it needs PyYAML: pip install 'bulkup[photoprism]'"

UID: Final = re.compile(rb"^UID: *[\"']?([a-z0-9]+)", re.MULTILINE)
PHOTOS: Final = re.compile(rb"^Photos:", re.MULTILINE)
MEMBERS: Final = re.compile(rb"^ *- ", re.MULTILINE)
MEMBER: Final = re.compile(rb"(?:Photo)?UID: *[\"']?([a-z0-9]+)")
REMOVED: Final = re.compile(rb"^ *Hidden: *true", re.MULTILINE)


class PhotoPrism:
    """Reads PhotoPrism's files; dates without a time zone are converted to `zone`."""

    def __init__(self, files: ExportFiles, *, zone: tzinfo | None = None) -> None:
        self._files = files
        self._zone = zone
        self._places = lru_cache(maxsize=FOLDERS)(self._find_places)
        self._albums = lru_cache(maxsize=4)(self._read_albums)
        self._lists = lru_cache(maxsize=FOLDERS)(_album_lists)

    def recognizes(self, folder: Path) -> bool:
        """Return whether there may be files for photos in a folder."""
        return bool(self._places(folder))

    def metadata(self, photo: Path) -> Metadata:
        """Return the metadata of a photo."""
        for path in self._sidecars(photo):
            found = self._files.read(path, self._read_photo, limit=LIMIT)
            if found is not None:
                return found
        return Metadata()

    def albums(self, photo: Path) -> Iterable[AlbumPath]:
        """Return the albums of a photo."""
        albums = self._albums(tuple((path, _version(path)) for path in self._lists(photo.parent)))
        if not albums:
            return ()
        for path in self._sidecars(photo):
            if uid := self._files.read(path, _uid, limit=LIMIT):
                return albums.get(uid, ())
        return ()

    def _sidecars(self, photo: Path) -> Iterator[Path]:
        """Yield the possible files for a photo that exist."""
        stems = dict.fromkeys((photo.stem, photo.name.partition(".")[0]))
        for folder in self._places(photo.parent):
            names = self._files.names(folder)
            for stem in stems:
                if (name := f"{stem}{SUFFIX}") in names:
                    yield folder / name

    def _find_places(self, folder: Path) -> Sequence[Path]:
        """Return where files for photos in a folder are."""
        found = [folder, folder / HIDDEN]
        for root, storage in _storages(folder):
            found.append(storage / SIDECARS / folder.relative_to(root))
        return [place for place in found if self._files.has(place, ending=SUFFIX)]

    def _read_albums(
        self, lists: Sequence[tuple[Path, object]]
    ) -> Mapping[str, Sequence[AlbumPath]]:
        """Return the albums of photos by the photos' ids."""
        read = (self._files.read(path, read_album, limit=ALBUM_LIMIT) for path, _ in lists)
        albums = [*filter(None, read)]
        self._files.comments |= {album.path: album.comment for album in albums if album.comment}
        return by_photo((album.path, album.photos) for album in albums)

    def _read_photo(self, data: bytes) -> Metadata | None:
        return read_photo(data, zone=self._zone)


def _storages(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the possible folders of originals around a folder, each with its storage folder."""
    for root in (folder, *folder.parents)[:ABOVE]:
        for name in STORAGES:
            storage = root.parent / name
            sidecars = storage / SIDECARS
            # unlike a path's method, this raises nothing
            if os.path.isdir(sidecars) and sidecars not in (root, *root.parents):  # noqa: PTH112
                yield root, storage


def _album_lists(folder: Path) -> Sequence[Path]:
    """Return the files of albums for photos in a folder."""
    found: dict[Path, None] = {}
    for _, storage in _storages(folder):
        for name in ALBUMS:
            with suppress(OSError):
                found |= dict.fromkeys(sorted((storage / name).glob(f"*{SUFFIX}")))
    return tuple(found)


def _version(path: Path) -> object:
    with suppress(OSError):
        return version(path)
    return None


def read_photo(data: bytes, *, zone: tzinfo | None = None) -> Metadata | None:
    """Parse the file of a photo, None for other YAML.

    What PhotoPrism made up, such as titles from places, is left out. Raises `ValueError` with a
    reason for the user.
    """
    if UID.search(data) is None:
        return None
    values = read_yaml(data)
    get = values.get
    chosen = get("TitleSrc", "") not in {"", "name", "location"}
    return Metadata(
        title=line(get("Title", "")) if chosen else "",
        description=prose(get("Caption") or get("Description") or ""),
        author=line(get("Details.Artist", "")),
        date=_date(values, zone),
        tags=distinct(_keywords(values)),
        rating=MAX_STARS if get("Favorite") == "true" else 0,
        level=ADMINISTRATORS if get("Private") == "true" else None,
        position=_position(values),
    )


@dataclass(frozen=True, slots=True)
class ListedAlbum:
    """An album with the ids of its photos."""

    path: AlbumPath
    comment: str
    photos: Sequence[str]


def read_album(data: bytes) -> ListedAlbum | None:
    """Return the album in a file, None for another file.

    Raises `ValueError` with a reason for the user.
    """
    begin = PHOTOS.search(data)
    if begin is None:
        return None
    if begin.start() > LIMIT:
        raise ValueError(f"its list of photos does not begin within {LIMIT // 1024**2} MB")
    values = read_yaml(data[: begin.start()])
    title = line(values.get("Title", ""))
    if not title or values.get("Type") != "album" or "DeletedAt" in values:
        return None
    members = MEMBERS.split(data[begin.end() :])
    photos = [
        match[1].decode()
        for member in members
        if (match := MEMBER.match(member)) and not REMOVED.search(member)
    ]
    comment = prose(values.get("Caption") or values.get("Description") or "")
    return ListedAlbum((title,), comment, photos)


def read_yaml(data: bytes) -> Mapping[str, str]:
    """Return the texts of a document by their names; those inside others are like `Details.Notes`.

    Raises `ValueError` with a reason for the user.
    """
    if find_spec("yaml") is None:
        raise ValueError(MISSING)

    import yaml  # noqa: PLC0415 (an extra)

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, str] = {}
    keys: list[str | None] = []  # of the open mappings and lists, from the outside in
    lists: list[bool] = []
    try:
        for event in yaml.parse(data, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has aliases")  # noqa: TRY004 (of its content)
            if isinstance(event, yaml.CollectionStartEvent):
                if len(keys) >= DEPTH:
                    raise ValueError("it is nested too deeply")
                keys.append(None)
                lists.append(isinstance(event, yaml.SequenceStartEvent))
            elif isinstance(event, yaml.CollectionEndEvent):
                keys.pop()
                lists.pop()
                if keys:
                    keys[-1] = None
            elif isinstance(event, yaml.ScalarEvent) and keys and not any(lists):
                if keys[-1] is None:
                    keys[-1] = event.value
                else:
                    found.setdefault(".".join(key or "" for key in keys), event.value)
                    keys[-1] = None
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {line(str(error))}") from None
    return found


def _uid(data: bytes) -> str | None:
    match = UID.search(data)
    return match[1].decode() if match else None


def _keywords(values: Mapping[str, str]) -> Iterator[str]:
    if values.get("Details.KeywordsSrc"):
        for text in values.get("Details.Keywords", "").split(","):
            yield line(text)


def _date(values: Mapping[str, str], zone: tzinfo | None) -> Moment | None:
    """Return the date of a photo, in its own time zone if that is known."""
    known = False
    with suppress(ValueError, OSError, KeyError):
        zone = ZoneInfo(values["TimeZone"])
        known = values.get("TakenSrc") == "manual"
    with suppress(ValueError, OSError, OverflowError):
        date = datetime.fromisoformat(values.get("TakenAt", ""))
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return moment(date.astimezone(zone), leeway=EXACT if known else ZONES)
    return None


def _position(values: Mapping[str, str]) -> Position | None:
    if values.get("PlaceSrc") == "estimate":
        return None
    with suppress(ValueError):
        return position(float(values.get("Lat", "")), float(values.get("Lng", "")))
    return None
