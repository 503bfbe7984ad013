"""Picasa's `.picasa.ini` in each folder: captions, stars, keywords, albums, places and faces."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from bulkup.source.exports.files import AlbumPath, ExportFiles
from bulkup.source.files import folder_version
from bulkup.source.metadata import (
    ADMINISTRATORS,
    MAX_STARS,
    Metadata,
    Position,
    distinct,
    line,
    position,
    prose,
)
from bulkup.source.takeout.sidecars import Album

FILES: Final = (".picasa.ini", "Picasa.ini")
CONTACTS: Final = ("contacts.xml", "contacts/contacts.xml")
"""Where the names of people may be, in a folder above the photos."""

LIMIT: Final = 16 * 1024**2
MOST_LINES: Final = 500_000
MOST_CONTACTS: Final = 50_000
FOLDERS: Final = 16
ABOVE: Final = 6
"""How many folders up to look for the names of people."""

ALBUM: Final = ".album:"
FACE: Final = re.compile(r"rect64\([0-9a-f]{1,16}\),([0-9a-f]{1,16})", re.IGNORECASE)
UNKNOWN: Final = "ffffffffffffffff"

Section = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ini:
    """A file `.picasa.ini`: its sections by their lower-case names, and the names of contacts."""

    sections: Mapping[str, Section] = field(default_factory=dict)

    @property
    def contacts(self) -> Mapping[str, str]:
        """The names of people by their keys."""
        both = {**self.sections.get("contacts", {}), **self.sections.get("contacts2", {})}
        return {key.lower(): value.partition(";")[0] for key, value in both.items()}


EMPTY: Final = Ini()


class Picasa:
    """Reads `.picasa.ini` files, and `contacts.xml` where there is one."""

    def __init__(self, files: ExportFiles) -> None:
        self._files = files
        self._inis = lru_cache(maxsize=FOLDERS)(self._read_ini)
        self._people = lru_cache(maxsize=FOLDERS)(self._find_people)

    def recognizes(self, folder: Path) -> bool:
        """Return whether the folder has such a file."""
        return bool(self._ini(folder).sections)

    def metadata(self, photo: Path) -> Metadata:
        """Return the metadata of a photo."""
        section = self._section(photo)
        return Metadata(
            description=_text(section.get("caption", "")),
            tags=distinct(line(tag) for tag in section.get("keywords", "").split(",")),
            rating=MAX_STARS if section.get("star", "").lower() == "yes" else 0,
            level=ADMINISTRATORS if section.get("hidden", "").lower() == "yes" else None,
            people=distinct(self._faces(photo, section.get("faces", ""))),
            position=_position(section.get("geotag", "")),
        )

    def albums(self, photo: Path) -> Iterable[AlbumPath]:
        """Yield the albums of a photo."""
        sections = self._ini(photo.parent).sections
        for token in self._section(photo).get("albums", "").split(","):
            album = sections.get(f"{ALBUM}{token.strip().lower()}", {})
            if name := line(unescape(album.get("name", ""))):
                yield (name,)

    def title(self, folder: Path) -> Album | None:
        """Return the title of a folder, None if it has none."""
        own = self._ini(folder).sections.get("picasa", {})
        if title := line(unescape(own.get("name", ""))):
            return Album(title, _text(own.get("description", "")))
        return None

    def _section(self, photo: Path) -> Section:
        return self._ini(photo.parent).sections.get(photo.name.lower(), {})

    def _ini(self, folder: Path) -> Ini:
        try:
            return self._inis(folder, folder_version(folder))
        except OSError:
            return EMPTY

    def _read_ini(self, folder: Path, _version: object) -> Ini:
        names = self._files.names(folder)
        for name in FILES:
            if name in names:
                return self._files.read(folder / name, read_ini, limit=LIMIT) or EMPTY
        return EMPTY

    def _faces(self, photo: Path, text: str) -> Iterator[str]:
        contacts: Mapping[str, str] = {}
        for key in map(str.lower, FACE.findall(text)):
            if key != UNKNOWN:
                contacts = contacts or self._ini(photo.parent).contacts
                yield line(unescape(contacts.get(key) or self._people(photo.parent).get(key, "")))

    def _find_people(self, folder: Path) -> Mapping[str, str]:
        """Return the names in the next `contacts.xml`, in this folder or above."""
        for above in (folder, *folder.parents)[:ABOVE]:
            for name in CONTACTS:
                found = self._files.read(above / name, read_contacts, limit=LIMIT)
                if found is not None:
                    return found
        return {}


def read_ini(data: bytes) -> Ini:
    """Parse a `.picasa.ini`. Raises `ValueError` with a reason for the user."""
    if data.count(b"\n") + data.count(b"\r") > MOST_LINES:
        raise ValueError(f"it has more than {MOST_LINES:,} lines")
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for text in re.split("[\r\n]+", _decoded(data)):
        if text.startswith("[") and text.rstrip().endswith("]"):
            section = sections.setdefault(text.strip()[1:-1].lower(), {})
        else:
            key, sign, value = text.partition("=")
            if sign:
                section[key.strip().lower()] = value.strip()
    return Ini(sections)


def read_contacts(data: bytes) -> Mapping[str, str]:
    """Parse `contacts.xml`. Raises `ValueError` with a reason for the user."""
    contacts = _Contacts()
    try:
        parser = DefusedXMLParser(target=contacts, forbid_dtd=True)
        parser.feed(data)
        parser.close()
    except DefusedXmlException:
        raise ValueError("it defines XML entities or types") from None
    except (ParseError, ValueError, LookupError) as error:
        raise ValueError(f"it is not XML: {line(str(error))}") from None
    return contacts.names


class _Contacts:
    """Collects the names of people from the elements of a document, without their tree."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Begin an element. Raises `ValueError` after too many people."""
        if tag == "contact" and "id" in attributes:
            if len(self.names) >= MOST_CONTACTS:
                raise ValueError(f"more than {MOST_CONTACTS:,} people")
            name = attributes.get("name") or attributes.get("display") or ""
            self.names[attributes["id"].lower()] = name

    def close(self) -> None:
        """End the document."""


def _text(value: str) -> str:
    """Return a text of several lines."""
    return prose(unescape(value.replace("\\n", "\n")))


def _decoded(data: bytes) -> str:
    """Return the text; old versions wrote in the encoding of Windows."""
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8-sig")
    return data.decode("cp1252", "replace")


def _position(text: str) -> Position | None:
    match = re.fullmatch(r"(-?[0-9]{1,2}(?:\.[0-9]+)?),(-?[0-9]{1,3}(?:\.[0-9]+)?)", text)
    return position(float(match[1]), float(match[2])) if match else None
