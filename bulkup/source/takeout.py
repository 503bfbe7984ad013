"""The JSON files of Google Takeout: of photos and of albums."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from bulkup.source.metadata import Metadata, Moment, distinct, line, moment, prose

SUFFIX: Final = ".supplemental-metadata"
LONGEST: Final = 46
"""Characters of a name without its `.json` and its number; the rest is cut off."""

EDITED: Final = (
    *("-edited", "-effects", "-smile", "-mix"),
    *("-bearbeitet", "-bewerkt", "-edytowane", "-modificato", "-modifié", "-editado"),
    *("-ha editado", "-editat", "-編集済み"),
)
"""What Takeout adds to the name of an edited photo, in several languages."""

ALBUM_FILES: Final = (
    *("metadata.json", "Metadaten.json", "métadonnées.json", "metadatos.json"),
    *("metadati.json", "metadados.json", "metagegevens.json", "metadane.json", "メタデータ.json"),
)
ALBUM_LIMIT: Final = 1024 * 1024
ZONES: Final = timedelta(days=1)
"""So far the same moment may be apart on two clocks of the world."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ENDED: Final = re.compile(r"(?P<stem>.+)\.[A-Za-z0-9]{1,5}", re.DOTALL)
NUMBER: Final = re.compile(r"(?P<stem>.+)(?P<number>\(\d{1,6}\))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Album:
    """A folder of Takeout, as it was called in Google Photos."""

    title: str
    description: str = ""


def names_for(photo: str) -> Iterator[str]:
    """Yield the names that a photo's JSON may have, the likeliest first.

    That of `IMG_1(2).jpg` is called `IMG_1.jpg(2).json`, and `IMG_1-edited.jpg` has none of its
    own but that of `IMG_1.jpg`.
    """
    seen: set[str] = set()
    for name, number in _readings(photo):
        for stem in _stems(name):
            candidate = f"{stem}{number}.json"
            if candidate not in seen:
                seen.add(candidate)
                yield candidate


def _readings(photo: str) -> Iterator[tuple[str, str]]:
    """Yield the names without number that may be meant, each with the number."""
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
    """Yield a JSON's name as it is cut: anywhere in what is added, or in the photo's own name.

    It is cut at `LONGEST` characters, but these are counted otherwise in some exports.
    """
    yield name[:LONGEST]
    yield name
    for length in range(len(SUFFIX), 0, -1):
        yield name + SUFFIX[:length]


def read_takeout(data: bytes, *, photo: str, zone: tzinfo | None = None) -> Metadata | None:
    """Return what Takeout's JSON says of a photo of this name, None where it is none of Takeout's.

    Its time stamps are in UTC; they are put into `zone`, by default that of this machine, and a
    date that is less than a day off is taken to say the same. Raises `ValueError`, with the
    reason in words, where it is no JSON.
    """
    match _document(data):
        case {"title": str(title), "photoTakenTime": {"timestamp": stamp}, **rest}:
            return Metadata(
                title=_title(title, photo=photo),
                description=prose(str(rest.get("description") or "")),
                date=_taken(str(stamp), zone),
                people=distinct(_names(rest.get("people"))),
            )
    return None


def takeout_album(folder: Path) -> Album | None:
    """Return what Takeout says of a folder, None where it says nothing.

    Reads files: to be called in a worker thread. Raises `ValueError`, with the file and the
    reason in words, where what it may say can't be read.
    """
    unread = None
    for path in _album_files(folder):
        try:
            if not path.is_file():  # to open a pipe would wait for its writer
                continue
            document = _read_album(path)
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


def _read_album(path: Path) -> object:
    with path.open("rb") as file:
        data = file.read(ALBUM_LIMIT + 1)
    if len(data) > ALBUM_LIMIT:
        raise ValueError(f"it is larger than {ALBUM_LIMIT // 1024**2} MB")
    return _document(data)


def _album_files(folder: Path) -> Iterator[Path]:
    """Yield the files that may tell of a folder; some disks spell accents in two characters."""
    for name in ALBUM_FILES:
        for form in dict.fromkeys((name, unicodedata.normalize("NFD", name))):
            yield folder / form


def _document(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {line(str(error))}") from None


def _title(title: str, *, photo: str) -> str:
    """Return a photo's title; empty if it is the file name, of which the gallery makes one.

    Google knows no titles but file names. Only where the file had to be called otherwise is
    there more in it: a name that was cut, or had characters that files can't have.
    """
    written = line(title)
    match = ENDED.fullmatch(written)
    stem = match["stem"] if match else written
    names = {name.rpartition(".")[0] or name for name, _ in _readings(photo)}
    return "" if stem.casefold() in {line(name).casefold() for name in names} else stem


def _taken(stamp: str, zone: tzinfo | None) -> Moment | None:
    """Return when the photo was taken, None where Google does not know (zero)."""
    if not re.fullmatch(r"-?[0-9]{1,12}", stamp) or not int(stamp):
        return None
    try:
        return moment((EPOCH + timedelta(seconds=int(stamp))).astimezone(zone), leeway=ZONES)
    except (OSError, OverflowError, ValueError):
        return None


def _names(people: object) -> Iterator[str]:
    if isinstance(people, list):
        for person in people:
            match person:
                case {"name": str(name)}:
                    yield line(name)
