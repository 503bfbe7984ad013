"""JSON files of Google Takeout for photos and albums."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from itertools import islice
from pathlib import Path
from typing import Final

from bulkup.events import SkipReason
from bulkup.source.files import (
    LARGEST_SIDECAR,
    FolderCache,
    absolute,
    is_file,
    read_file,
    read_json,
)
from bulkup.source.metadata import (
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
from bulkup.source.takeout.names import FolderNames, readings
from bulkup.source.zone import EPOCH

TAKEOUT: Final = "Takeout"
OVERVIEW: Final = "archive_browser.html"
"""A file in each Takeout."""

ALBUM_FILES: Final = (
    *("metadata", "Metadata", "Metadaten", "métadonnées", "metadatos", "metadades", "metadati"),
    *(
        "metadados",
        "metagegevens",
        "metadane",
        "metadáta",
        "метаданные",
        "метаданни",
        "メタデータ",
    ),
    "元数据",
)
"""Names of the files with the titles of albums, by language, without number and `.json`."""

ALBUM_FILE: Final = re.compile(rf"({'|'.join(ALBUM_FILES)})(?:\(\d{{1,6}}\))?\.json")

ALBUM_KEYS: Final = frozenset(
    {
        *("title", "description", "access", "date", "location", "geoData", "enrichments"),
        *("sharedAlbumComments", "albumData"),
    }
)
"""The keys of such a file; one of another name is recognized by having no others."""

FOLDERS: Final = 10_000
"""Folders whose albums are kept."""

ALBUM_LIMIT: Final = 1024 * 1024
PROBES: Final = 8
"""Files read at most to find out what a folder is."""

ZONES: Final = timedelta(days=1)
"""Maximum difference between two local times of the same moment."""

STATES: Final = {
    "trashed": SkipReason.TRASHED,
    "inLockedFolder": SkipReason.LOCKED,
    "archived": SkipReason.ARCHIVED,
}

ENDED: Final = re.compile(r"(?P<stem>.+)\.[A-Za-z0-9]{1,5}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Album:
    """A Takeout folder with its album title in Google Photos."""

    title: str
    description: str = ""


def is_wrapper(*names: str) -> bool:
    """Return whether a folder at this path in an archive holds the whole Takeout.

    That is `Takeout`, or the folder of Google Photos in it, named in the user's language.
    """
    return names[:1] == (TAKEOUT,) and (
        len(names) == 1 or (len(names) == 2 and "Google" in names[1].split())
    )


def find_takeouts(roots: Sequence[Path]) -> Mapping[Path, tuple[str, ...]]:
    """Return the folders in or at the roots that hold an unpacked Takeout, and their names in it.

    Reads folders: call in a worker thread.
    """
    found: dict[Path, tuple[str, ...]] = {}
    for root in roots:
        real = Path(absolute(root))
        inner = (TAKEOUT, real.name)
        if real.parent.name == TAKEOUT and is_wrapper(*inner) and real.is_dir():
            found[root] = inner
        for folder, path in ((root, real), (root / TAKEOUT, real / TAKEOUT)):
            if path.name == TAKEOUT and _is_unpacked(path):
                found[folder] = (TAKEOUT,)
    return found


def _is_unpacked(folder: Path) -> bool:
    try:
        names = os.listdir(folder)  # noqa: PTH208 (names are enough)
    except OSError:
        return False
    return OVERVIEW in names or any(is_wrapper(TAKEOUT, name) for name in names)


def read_takeout(data: bytes, *, photo: str, zone: tzinfo | None = None) -> Metadata | None:
    """Parse the Takeout JSON of a photo; return None for other JSON.

    Its time stamps are in UTC; they are converted to `zone`, by default the local one, with a
    leeway of a day. Raises `ValueError` with a reason for the user if it is not JSON.
    """
    match read_json(data):
        case {"title": str(title), "photoTakenTime": {"timestamp": stamp}, **rest}:
            return Metadata(
                title=_title(title, photo=photo),
                description=prose(str(rest.get("description") or "")),
                date=_taken(str(stamp), zone),
                people=distinct(_names(rest.get("people"))),
                rating=MAX_STARS if rest.get("favorited") is True else 0,
                position=_position(rest.get("geoData")) or _position(rest.get("geoDataExif")),
            )
    return None


def states_of(data: bytes) -> frozenset[SkipReason] | None:
    """Return the states of a photo by its Takeout JSON, such as `TRASHED`; None for other JSON.

    Raises `ValueError` as `read_takeout`.
    """
    match read_json(data):
        case {"title": str(), "photoTakenTime": dict(), **rest}:
            states = {state for key, state in STATES.items() if rest.get(key) is True}
            match rest.get("googlePhotosOrigin"):
                case {"fromPartnerSharing": _}:
                    states.add(SkipReason.PARTNER)
            return frozenset(states)
    return None


Identity = tuple[str, str]
"""The title of a photo and the time when it was taken, as its JSON files have them."""


def identity_of(data: bytes) -> Identity | None:
    """Return what identifies a photo by its Takeout JSON.

    None for other JSON, and if the photo is in the trash or locked. Raises `ValueError` as
    `read_takeout`.
    """
    match read_json(data):
        case {"title": str(title), "photoTakenTime": {"timestamp": stamp}, **rest}:
            hidden = any(rest.get(key) is True for key in ("trashed", "inLockedFolder"))
            return None if hidden else (title, str(stamp))
    return None


class TakeoutAlbums:
    """Returns the Takeout albums of folders; call it in worker threads.

    A folder in several zip archives, the `parts` of one tree, is read once.
    """

    def __init__(self, *, parts: Sequence[Path] = ()) -> None:
        self._albums = FolderCache(_album_or_error, parts=parts, most=FOLDERS)

    def __call__(self, folder: Path) -> Album | None:
        """Return the album of a folder, None if it is not one.

        Raises `ValueError` with file and reason if a candidate file can't be read.
        """
        try:
            album = self._albums.of(folder)
        except OSError:
            return None
        if isinstance(album, ValueError):
            raise album
        return album


def _album_or_error(files: Mapping[str, Path]) -> Album | ValueError | None:
    try:
        return album_of(FolderNames(files))
    except ValueError as error:
        return error


def album_of(names: FolderNames) -> Album | None:
    """Return the Takeout album of a folder with these files, as `TakeoutAlbums`."""
    unread = None
    for path in _album_files(names):
        try:
            album = read_album(read_file(path, limit=ALBUM_LIMIT))
        except OSError as error:
            unread = unread or f"{path}: {error.strerror or error}"
        except ValueError as error:
            unread = unread or f"{path}: {error}"
        else:
            if album is not None:
                return album
    if unread:
        raise ValueError(unread)
    return _unnamed_album(names)


def _album_files(names: FolderNames) -> Iterator[Path]:
    """Yield the files that have the name of an album's file; Takeout may have numbered them."""
    found = ((ALBUM_FILE.fullmatch(name), name) for name in names.jsons)
    for _, name in sorted((ALBUM_FILES.index(match[1]), name) for match, name in found if match):
        if is_file(names.sidecars[name]):
            yield names.sidecars[name]


def _unnamed_album(names: FolderNames) -> Album | None:
    """Return the album that a file of another name describes, in a folder of a Takeout.

    Only a file that no photo has, and only the first few of these, are read.
    """
    if not is_takeout(names):
        return None
    lone = (name for name in names.jsons if names.lacks_photo(name))
    for name in islice(lone, PROBES):
        with suppress(OSError, ValueError):
            document = read_json(read_file(names.sidecars[name], limit=ALBUM_LIMIT))
            if isinstance(document, dict) and document.keys() <= ALBUM_KEYS:
                return _album(document)
    return None


def is_takeout(names: FolderNames) -> bool:
    """Return whether one of the first few JSON files of a folder is that of a photo."""
    for name in names.jsons[:PROBES]:
        with suppress(OSError, ValueError):
            if states_of(read_file(names.sidecars[name], limit=LARGEST_SIDECAR)) is not None:
                return True
    return False


def read_album(data: bytes) -> Album | None:
    """Parse the JSON of an album; return None for other JSON. Raises `ValueError` as above."""
    return _album(read_json(data))


def _album(document: object) -> Album | None:
    match document:
        case {"albumData": dict() as inner}:  # in exports of 2019 and before
            document = inner
    match document:
        case {"title": str(title), **rest} if "photoTakenTime" not in rest and line(title):
            texts = [str(rest.get("description") or ""), *_enrichments(rest.get("enrichments"))]
            return Album(line(title), prose("\n".join(filter(None, texts))))
    return None


def _enrichments(items: object) -> Iterator[str]:
    """Yield the texts and places that the user put between the photos of an album."""
    for item in items if isinstance(items, list) else ():
        match item:
            case {"narrativeEnrichment": {"text": str(text)}}:
                yield text
            case {"locationEnrichment": {"location": [*places]}}:
                for place in places:
                    match place:
                        case {"name": str(name), **rest}:
                            region = rest.get("description")
                            yield f"{name} – {region}" if isinstance(region, str) else name


def _title(title: str, *, photo: str) -> str:
    """Return a photo's title, empty if it is the file name, which the gallery uses anyway.

    Google has no titles other than file names. Only if the file had to be renamed, because the
    name was too long or had characters that file names can't have, does the title say more.
    """
    written = line(title)
    match = ENDED.fullmatch(written)
    stem = match["stem"] if match else written
    names = {each.name.rpartition(".")[0] or each.name for each in readings(photo)}
    return "" if stem.casefold() in {line(name).casefold() for name in names} else stem


def _taken(stamp: str, zone: tzinfo | None) -> Moment | None:
    """Return when the photo was taken, None if unknown (Google writes zero)."""
    if not re.fullmatch(r"-?[0-9]{1,12}", stamp) or not int(stamp):
        return None
    try:
        return moment((EPOCH + timedelta(seconds=int(stamp))).astimezone(zone), leeway=ZONES)
    except (OSError, OverflowError, ValueError):
        return None


def _position(data: object) -> Position | None:
    """Return a position, None if it is unknown."""
    match data:
        case {"latitude": int() | float() as latitude, "longitude": int() | float() as longitude}:
            with suppress(OverflowError):
                return position(float(latitude), float(longitude))
    return None


def _names(people: object) -> Iterator[str]:
    if isinstance(people, list):
        for person in people:
            match person:
                case {"name": str(name)}:
                    yield line(name)
