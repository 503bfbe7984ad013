"""Sidecars of photos: finding and reading them, and merging them with the labels."""

import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from anyio import to_thread
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from bulkup.errors import PhotoError
from bulkup.events import Emit, Noticed
from bulkup.source.files import folder_version, list_folder, opened, read_file
from bulkup.source.metadata import (
    MAX_STARS,
    Labels,
    Metadata,
    Moment,
    distinct,
    line,
    parse_date,
    prose,
)
from bulkup.source.photos import SIDECARS, Photo
from bulkup.source.takeout import names_for, read_takeout

LARGEST: Final = 8 * 1024 * 1024
"""Maximum size of a sidecar in bytes; Lightroom masks can take several megabytes."""

MOST_ELEMENTS: Final = 50_000
"""Maximum number of elements of an XMP document."""

FOLDERS: Final = 16
HEAD: Final = 1024 * 1024
IPTC: Final = b"Photoshop 3.0\0"
"""Header of the JPEG segment that holds IPTC data, and with it keywords."""

Paths = Mapping[str, Path]
"""Paths of sidecars by their names in NFC with a lower-case ending."""


@dataclass(frozen=True, slots=True)
class UnusableSidecar:
    """A sidecar that can't be used, and why."""

    path: Path
    reason: str


class Sidecars:
    """Reads the sidecars of photos; a folder is listed again only when it has changed.

    Photos in one of several zip archives, the `parts` of one tree, have their sidecars in any of
    them. UTC times are converted to `zone`, by default the local one.
    """

    def __init__(self, *, parts: Sequence[Path] = (), zone: tzinfo | None = None) -> None:
        self._parts = parts
        self._zone = zone
        self._paths = lru_cache(maxsize=FOLDERS)(self._list)

    def read(self, photo: Path) -> tuple[Metadata, list[UnusableSidecar]]:
        """Return the metadata from a photo's sidecars, and the sidecars that can't be used."""
        folder = photo.parent
        try:
            paths = self._paths(folder, folder_version(folder, self._parts))
        except OSError:
            return Metadata(), []
        metadata = Metadata()
        unusable = []
        for path in beside(photo.name, paths):
            try:
                more = _read(path, photo=photo.name, zone=self._zone)
            except OSError as error:
                unusable.append(UnusableSidecar(path, error.strerror or str(error)))
            except ValueError as error:
                unusable.append(UnusableSidecar(path, str(error)))
            else:
                metadata = metadata.over(more)
        return metadata, unusable

    def _list(self, folder: Path, _version: object) -> Paths:
        paths: dict[str, Path] = {}
        for name, path in sorted(list_folder(folder, self._parts).items()):
            stem, ending = os.path.splitext(name)  # noqa: PTH122 (faster for a million names)
            if ending.lower() in SIDECARS:
                paths.setdefault(unicodedata.normalize("NFC", stem) + ending.lower(), path)
        return paths


def beside(photo: str, paths: Paths) -> Iterator[Path]:
    """Yield the sidecars of a photo of this name: at most one XMP file, then one of Takeout.

    `photo.jpg.xmp` takes precedence over `photo.xmp`, which may belong to a RAW file.
    """
    photo = unicodedata.normalize("NFC", photo)
    stem = photo.rpartition(".")[0] or photo
    for candidates in ((f"{photo}.xmp", f"{stem}.xmp"), names_for(photo)):
        if found := next((paths[name] for name in candidates if name in paths), None):
            yield found


def _read(path: Path, *, photo: str, zone: tzinfo | None) -> Metadata:
    """Parse a sidecar. Raises `OSError`, or `ValueError` with a reason for the user."""
    data = read_file(path, limit=LARGEST)
    if path.suffix.lower() == ".xmp":
        return read_xmp(data)
    return read_takeout(data, photo=photo, zone=zone) or Metadata()


RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC: Final = "{http://purl.org/dc/elements/1.1/}"
XMP: Final = "{http://ns.adobe.com/xap/1.0/}"
EXIF: Final = "{http://ns.adobe.com/exif/1.0/}"
PHOTOSHOP: Final = "{http://ns.adobe.com/photoshop/1.0/}"
LIGHTROOM: Final = "{http://ns.adobe.com/lightroom/1.0/}"
DIGIKAM: Final = "{http://www.digikam.org/ns/1.0/}"
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

DATES: Final = (f"{EXIF}DateTimeOriginal", f"{PHOTOSHOP}DateCreated", f"{XMP}CreateDate")
PATHS: Final = ((f"{LIGHTROOM}hierarchicalSubject", "|"), (f"{DIGIKAM}TagsList", "/"))
PRIVATE: Final = frozenset({"darktable", "_digikam_internal_tags_"})
"""Lower-case roots of keywords that programs use internally."""


class _FewElements(TreeBuilder):
    """Builds the tree of a document, whose elements take a hundred times its own memory."""

    def __init__(self) -> None:
        super().__init__()
        self._left = MOST_ELEMENTS

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        """Begin an element. Raises `ValueError` after too many."""
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {MOST_ELEMENTS:,} elements")
        return super().start(tag, attrs)


def read_xmp(data: bytes) -> Metadata:
    """Parse an XMP document.

    Raises `ValueError` with a reason for the user if it is not one.
    """
    if not data.startswith(UTF16):
        data = data.strip(b"\0 \t\r\n")
    try:
        parser = DefusedXMLParser(target=_FewElements(), forbid_dtd=True)
        parser.feed(data)
        root = parser.close()
    except DefusedXmlException:
        raise ValueError("it defines XML entities or types") from None
    except (ParseError, ValueError, LookupError) as error:
        raise ValueError(f"it is not XML: {line(str(error))}") from None
    about = [*root.iter(f"{RDF}Description")]
    if root.tag != f"{RDF}RDF" and root.find(f".//{RDF}RDF") is None:
        raise ValueError("it is XML, but not XMP")
    return Metadata(
        title=line(_text(about, f"{DC}title")),
        description=prose(_text(about, f"{DC}description")),
        author=", ".join(distinct(line(name) for name in _values(about, f"{DC}creator"))),
        date=_date(about),
        tags=distinct(_tags(about)),
        rating=_rating(about),
    )


def _date(about: list[Element]) -> Moment | None:
    dates = (parse_date(text) for name in DATES for text in _values(about, name))
    return next(filter(None, dates), None)


def _rating(about: list[Element]) -> int:
    """Return the rating in stars, 0 for none or a rejected photo (−1)."""
    for text in _values(about, f"{XMP}Rating"):
        try:
            rating = int(float(text))
        except (OverflowError, ValueError):
            continue
        return rating if 0 < rating <= MAX_STARS else 0
    return 0


def _tags(about: list[Element]) -> Iterator[str]:
    """Yield the keywords; of hierarchical ones only the last level, as in the flat list."""
    for text in _values(about, f"{DC}subject"):
        yield line(text)
    for name, separator in PATHS:
        for path in _values(about, name):
            steps = [step for part in path.split(separator) if (step := line(part))]
            if steps and steps[0].lower() not in PRIVATE:
                yield steps[-1]


def _text(about: list[Element], name: str) -> str:
    """Return a text in the default language, otherwise the first one."""
    first = ""
    for language, text in _items(about, name):
        if text.strip() and language == "x-default":
            return text
        first = first or text.strip()
    return first


def _values(about: list[Element], name: str) -> Iterator[str]:
    return (text for _, text in _items(about, name))


def _items(about: list[Element], name: str) -> Iterator[tuple[str, str]]:
    """Yield language and text of each value of a property, in any of its notations."""
    for description in about:
        if name in description.attrib:
            yield "", description.attrib[name]
        for element in description.findall(name):
            items = element.findall(f"*/{RDF}li")
            for item in items or [element]:
                yield item.get(LANG, "").lower(), _content(item)


def _content(element: Element) -> str:
    """Return an element's text, which is in a child element if the value has qualifiers."""
    value = element.find(f"{RDF}value")
    if value is None:  # a deeper search would take quadratic time in nested elements
        value = element.find(f"*/{RDF}value")
    return (element if value is None else value).text or ""


def may_hold_keywords(photo: Path) -> bool:
    """Return whether a photo has an IPTC segment, from which galleries may import keywords.

    Reads only the beginning of the file, where that segment is.
    """
    try:
        with opened(photo) as file:
            return IPTC in file.read(HEAD, offset=0)
    except PhotoError:
        return False  # reading the photo will report the error


class Describer:
    """Returns the metadata of each photo of a run, with times in `zone`, by default the local one.

    `folder` returns the folder's original path if the photo is a copy elsewhere; `parts` are the
    zip archives of one tree.
    """

    def __init__(
        self,
        labels: Labels,
        *,
        emit: Emit,
        folder: Callable[[Path], str | None] = lambda _: None,
        parts: Sequence[Path] = (),
        zone: tzinfo | None = None,
    ) -> None:
        self._labels = labels
        self._folder = folder
        self._zone = zone
        self._emit = emit
        self._sidecars = Sidecars(parts=parts, zone=zone) if labels.sidecars else None
        self._reported: set[Path] = set()

    async def __call__(self, photo: Photo) -> Metadata:
        """Return the photo's metadata; report each unusable sidecar once, as a notice."""
        metadata, unusable = await to_thread.run_sync(self._describe, photo)
        for sidecar in unusable:
            if sidecar.path not in self._reported:
                self._reported.add(sidecar.path)
                self._emit(
                    Noticed(
                        message=f"the sidecar {sidecar.path} is ignored: {sidecar.reason}",
                        hint="Its photo is uploaded without this metadata.",
                    )
                )
        return metadata

    def _describe(self, photo: Photo) -> tuple[Metadata, list[UnusableSidecar]]:
        found, unusable = Metadata(), list[UnusableSidecar]()
        if self._sidecars is not None:
            found, unusable = self._sidecars.read(photo.path)
        path = photo.path.absolute()
        if (folder := self._folder(photo.path)) is not None:
            path = Path(folder, path.name)
        metadata = self._labels.apply(
            found,
            path=path,
            modified=datetime.fromtimestamp(photo.mtime_ns // 10**9, UTC).astimezone(self._zone),
        )
        if metadata.tags and may_hold_keywords(photo.path):
            metadata = replace(metadata, embedded_keywords=True)
        return metadata, unusable
