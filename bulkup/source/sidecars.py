"""Finds and reads the sidecars of a photo, and merges them with the flags."""

import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from anyio import to_thread
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from bulkup.events import Emit, Event, Noticed, RunFinished
from bulkup.source.metadata import (
    MOST_STARS,
    Labels,
    Metadata,
    Moment,
    distinct,
    line,
    parse_date,
    prose,
)
from bulkup.source.photos import Photo
from bulkup.source.takeout import names_for, read_takeout

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of a file that is read; Lightroom's masks may take some of them."""

FOLDERS: Final = 16
HEAD: Final = 1024 * 1024
IPTC: Final = b"Photoshop 3.0\0"
"""How the part of a JPEG begins that holds IPTC, and with it keywords."""

ENDINGS: Final = (".xmp", ".json")

Names = Mapping[str, str]
"""Files by their names in NFC, with the ending in lower case."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A file that can't be used, and why."""

    path: Path
    reason: str


class Sidecars:
    """Reads what lies beside photos; folders are listed once, until they change.

    Dates that are told in UTC are put into the `zone`, by default that of this machine.
    """

    def __init__(self, *, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._names = lru_cache(maxsize=FOLDERS)(_list)

    def read(self, photo: Path) -> tuple[Metadata, list[Complaint]]:
        """Return what is told of a photo, and the files that could not be used."""
        folder = photo.parent
        try:
            names = self._names(folder, folder.stat().st_mtime_ns)
        except OSError:
            return Metadata(), []
        told = Metadata()
        complaints = []
        for name in beside(photo.name, names):
            path = folder / name
            try:
                more = _read(path, photo=photo.name, zone=self._zone)
            except OSError as error:
                complaints.append(Complaint(path, error.strerror or str(error)))
            except ValueError as error:
                complaints.append(Complaint(path, str(error)))
            else:
                told = told.over(more)
        return told, complaints


def beside(photo: str, names: Names) -> Iterator[str]:
    """Yield the files that tell of a photo of this name: at most one XMP, before one of Takeout's.

    `photo.jpg.xmp` counts more than `photo.xmp`, which may be that of a RAW file.
    """
    photo = unicodedata.normalize("NFC", photo)
    stem = photo.rpartition(".")[0] or photo
    for candidates in ((f"{photo}.xmp", f"{stem}.xmp"), names_for(photo)):
        if found := next((names[name] for name in candidates if name in names), None):
            yield found


def _list(folder: Path, _mtime_ns: int) -> Names:
    names: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for name in sorted(entry.name for entry in entries):
            stem, ending = os.path.splitext(name)  # noqa: PTH122 (for a million names)
            if ending.lower() in ENDINGS:
                names.setdefault(unicodedata.normalize("NFC", stem) + ending.lower(), name)
    return names


def _read(path: Path, *, photo: str, zone: tzinfo | None) -> Metadata:
    """Return what a file tells. Raises `OSError`, and `ValueError` with the reason in words."""
    with open(path, "rb", opener=_opener) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a file")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST // 1024**2} MB")
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
"""Roots, in lower case, of what programs note for themselves."""


def read_xmp(data: bytes) -> Metadata:
    """Return what an XMP document says of its photo.

    Raises `ValueError`, with the reason in words, where it is none.
    """
    if not data.startswith(UTF16):
        data = data.strip(b"\0 \t\r\n")
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException:
        raise ValueError("it defines XML entities or types of its own") from None
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
    """Return the stars; a rejected photo (−1) has none."""
    for text in _values(about, f"{XMP}Rating"):
        try:
            rating = int(float(text))
        except (OverflowError, ValueError):
            continue
        return rating if 0 < rating <= MOST_STARS else 0
    return 0


def _tags(about: list[Element]) -> Iterator[str]:
    """Yield the keywords; of those with a path only the last step, as in the flat list."""
    for text in _values(about, f"{DC}subject"):
        yield line(text)
    for name, separator in PATHS:
        for path in _values(about, name):
            steps = [step for part in path.split(separator) if (step := line(part))]
            if steps and steps[0].lower() not in PRIVATE:
                yield steps[-1]


def _text(about: list[Element], name: str) -> str:
    """Return a text in the default language, or else in the first."""
    first = ""
    for language, text in _items(about, name):
        if text.strip() and language == "x-default":
            return text
        first = first or text.strip()
    return first


def _values(about: list[Element], name: str) -> Iterator[str]:
    return (text for _, text in _items(about, name))


def _items(about: list[Element], name: str) -> Iterator[tuple[str, str]]:
    """Yield language and text of each value that a property has, in whatever spelling."""
    for description in about:
        if name in description.attrib:
            yield "", description.attrib[name]
        for element in description.findall(name):
            items = element.findall(f"*/{RDF}li")
            for item in items or [element]:
                yield item.get(LANG, "").lower(), _content(item)


def _content(element: Element) -> str:
    """Return an element's text, which stands one level deeper where it has qualifiers."""
    value = element.find(f".//{RDF}value")
    return (element if value is None else value).text or ""


def may_hold_keywords(photo: Path) -> bool:
    """Tell whether a photo has a part for IPTC, which galleries may take keywords from.

    Looks at the first bytes only, where that part is.
    """
    try:
        with open(photo, "rb", opener=_opener) as file:
            return IPTC in (file.read(HEAD) or b"")
    except OSError:
        return False  # the photo's own reading will tell


def _opener(path: str, flags: int) -> int:
    # a pipe of that name would make an ordinary open wait for its writer
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class Describer:
    """Describes the photos of one run, for users who live in a time `zone`, by default this one.

    `folder` tells where one's folder has another name here.
    """

    def __init__(
        self,
        labels: Labels,
        *,
        emit: Emit,
        folder: Callable[[Path], str | None] = lambda _: None,
        zone: tzinfo | None = None,
    ) -> None:
        self._labels = labels
        self._folder = folder
        self._zone = zone
        self._emit = emit
        self._sidecars = Sidecars(zone=zone) if labels.sidecars else None
        self._said: set[Path] = set()

    async def __call__(self, photo: Photo) -> Metadata:
        """Return what the photo is to get. What could not be used is told in a notice."""
        metadata, complaints = await to_thread.run_sync(self._describe, photo)
        for complaint in complaints:
            if complaint.path not in self._said:
                self._said.add(complaint.path)
                self._emit(
                    Noticed(
                        message=f"{complaint.path} is left out: {complaint.reason}",
                        hint="Its photo is brought without what it says.",
                    )
                )
        return metadata

    def _describe(self, photo: Photo) -> tuple[Metadata, list[Complaint]]:
        told, complaints = Metadata(), list[Complaint]()
        if self._sidecars is not None:
            told, complaints = self._sidecars.read(photo.path)
        path = photo.path.absolute()
        if (folder := self._folder(photo.path)) is not None:
            path = Path(folder, path.name)
        metadata = self._labels.apply(
            told,
            path=path,
            modified=datetime.fromtimestamp(photo.mtime_ns // 10**9, UTC).astimezone(self._zone),
        )
        if metadata.tags and may_hold_keywords(photo.path):
            metadata = replace(metadata, own_tags=True)
        return metadata, complaints


def with_remarks(emit: Emit, remarks: Callable[[], Iterable[tuple[str, str]]]) -> Emit:
    """Return an emit that tells, as notices at the end of a run, what there is to remark then.

    A remark is a message and a hint.
    """

    def emit_last(event: Event) -> None:
        if isinstance(event, RunFinished):
            for message, hint in remarks():
                emit(Noticed(message=message, hint=hint))
        emit(event)

    return emit_last
