"""JSON files of Google Takeout for photos and albums."""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from bulkup.source.files import is_file, list_folder, read_file
from bulkup.source.metadata import Metadata, Moment, distinct, line, moment, prose

SUFFIX: Final = ".supplemental-metadata"
LONGEST: Final = 46
"""Maximum length of a name without `.json` and number; Takeout cuts off the rest."""

EDITED: Final = (
    *("-edited", "-effects", "-smile", "-mix"),
    *("-bearbeitet", "-bewerkt", "-edytowane", "-modificato", "-modifié", "-editado"),
    *("-ha editado", "-editat", "-編集済み"),
)
"""Suffixes that Takeout adds to the names of edited photos, by language."""

ALBUM_FILES: Final = (
    *("metadata.json", "Metadaten.json", "métadonnées.json", "metadatos.json"),
    *("metadati.json", "metadados.json", "metagegevens.json", "metadane.json", "メタデータ.json"),
)
ALBUM_LIMIT: Final = 1024 * 1024
ZONES: Final = timedelta(days=1)
"""Maximum difference between two local times of the same moment."""

POLE: Final = 90
HALF_TURN: Final = 180

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ENDED: Final = re.compile(r"(?P<stem>.+)\.[A-Za-z0-9]{1,5}", re.DOTALL)
NUMBER: Final = re.compile(r"(?P<stem>.+)(?P<number>\(\d{1,6}\))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Album:
    """A Takeout folder with its album title in Google Photos."""

    title: str
    description: str = ""


def is_wrapper(*names: str) -> bool:
    """Return whether a folder at this path in an archive holds the whole Takeout.

    That is `Takeout`, or the folder of Google Photos in it, named in the user's language.
    """
    return names[0] == "Takeout" and (len(names) == 1 or names[1].startswith("Google "))


def names_for(photo: str) -> Iterator[str]:
    """Yield the possible names of a photo's JSON file, the most likely first.

    The file of `IMG_1(2).jpg` is `IMG_1.jpg(2).json`; `IMG_1-edited.jpg` shares that of
    `IMG_1.jpg`.
    """
    seen: set[str] = set()
    for name, number in _readings(photo):
        for stem in _stems(name):
            candidate = f"{stem}{number}.json"
            if candidate not in seen:
                seen.add(candidate)
                yield candidate


def _readings(photo: str) -> Iterator[tuple[str, str]]:
    """Yield the possible original names without number, each with its number."""
    stem, dot, ending = photo.rpartition(".")
    if not stem:
        stem, ending = photo, ""
    yield photo, ""
    match = NUMBER.fullmatch(stem)
    bare, number = (match["stem"], match["number"]) if match else (stem, "")
    if number:
        yield f"{bare}{dot}{ending}", number
    for word in EDITED:
        for edited, left in ((stem, ""), (bare, number)):
            if len(edited) > len(word) and edited.lower().endswith(word):
                original = edited[: -len(word)]
                yield f"{original}{dot}{ending}", left
                if not left and (match := NUMBER.fullmatch(original)):
                    yield f"{match['stem']}{dot}{ending}", match["number"]


def _stems(name: str) -> Iterator[str]:
    """Yield the names of a JSON file, cut off within the suffix or within the photo's own name.

    They are cut after `LONGEST` characters, but some exports count characters differently.
    """
    yield name[:LONGEST]
    yield name
    for length in range(len(SUFFIX), 0, -1):
        yield name + SUFFIX[:length]


def read_takeout(data: bytes, *, photo: str, zone: tzinfo | None = None) -> Metadata | None:
    """Parse the Takeout JSON of a photo; return None for other JSON.

    Its time stamps are in UTC; they are converted to `zone`, by default the local one, with a
    leeway of a day. Raises `ValueError` with a reason for the user if it is not JSON.
    """
    match _document(data):
        case {"title": str(title), "photoTakenTime": {"timestamp": stamp}, **rest}:
            return Metadata(
                title=_title(title, photo=photo),
                description=prose(str(rest.get("description") or "")),
                date=_taken(str(stamp), zone),
                people=distinct(_names(rest.get("people"))),
                position=_position(rest.get("geoData")) or _position(rest.get("geoDataExif")),
            )
    return None


def takeout_album(folder: Path, *, parts: Sequence[Path] = ()) -> Album | None:
    """Return the Takeout album of a folder, None if it is not one.

    `parts` are the zip archives of one tree. Reads files: call it in a worker thread. Raises
    `ValueError` with file and reason if a candidate file can't be read.
    """
    unread = None
    for path in _album_files(folder, parts):
        try:
            document = _document(read_file(path, limit=ALBUM_LIMIT))
        except OSError as error:
            unread = unread or f"{path}: {error.strerror or error}"
            continue
        except ValueError as error:
            unread = unread or f"{path}: {error}"
            continue
        match document:
            case {"title": str(title), **rest} if "photoTakenTime" not in rest and line(title):
                return Album(line(title), prose(str(rest.get("description") or "")))
    if unread:
        raise ValueError(unread)
    return None


def _album_files(folder: Path, parts: Sequence[Path]) -> Iterator[Path]:
    """Yield the metadata files of a folder; some file systems decompose accents."""
    try:
        paths = list_folder(folder, parts)
    except OSError:
        return
    for name in ALBUM_FILES:
        for form in dict.fromkeys((name, unicodedata.normalize("NFD", name))):
            if (path := paths.get(form)) is not None and is_file(path):
                yield path


def _document(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {line(str(error))}") from None


def _title(title: str, *, photo: str) -> str:
    """Return a photo's title, empty if it is the file name, which the gallery uses anyway.

    Google has no titles other than file names. Only if the file had to be renamed, because the
    name was too long or had characters that file names can't have, does the title say more.
    """
    written = line(title)
    match = ENDED.fullmatch(written)
    stem = match["stem"] if match else written
    names = {name.rpartition(".")[0] or name for name, _ in _readings(photo)}
    return "" if stem.casefold() in {line(name).casefold() for name in names} else stem


def _taken(stamp: str, zone: tzinfo | None) -> Moment | None:
    """Return when the photo was taken, None if unknown (Google writes zero)."""
    if not re.fullmatch(r"-?[0-9]{1,12}", stamp) or not int(stamp):
        return None
    try:
        return moment((EPOCH + timedelta(seconds=int(stamp))).astimezone(zone), leeway=ZONES)
    except (OSError, OverflowError, ValueError):
        return None


def _position(data: object) -> tuple[float, float] | None:
    """Return latitude and longitude, None if unknown (Google writes two zeros)."""
    match data:
        case {"latitude": int() | float() as latitude, "longitude": int() | float() as longitude}:
            valid = abs(latitude) <= POLE and abs(longitude) <= HALF_TURN
            if valid and (latitude or longitude):
                return float(latitude), float(longitude)
    return None


def _names(people: object) -> Iterator[str]:
    if isinstance(people, list):
        for person in people:
            match person:
                case {"name": str(name)}:
                    yield line(name)
