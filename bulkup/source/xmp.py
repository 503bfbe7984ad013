"""Reads XMP documents: the content of sidecars, and of the packets inside photo files."""

import re
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from bulkup.source.metadata import (
    MAX_STARS,
    Metadata,
    Moment,
    Position,
    distinct,
    line,
    parse_date,
    position,
    prose,
)

MOST_ELEMENTS: Final = 50_000
"""Maximum number of elements of a document."""

MOST_KEYWORDS: Final = 2000
"""Maximum number of keywords of a document: the gallery keeps each tag that was created."""

RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC: Final = "{http://purl.org/dc/elements/1.1/}"
XMP: Final = "{http://ns.adobe.com/xap/1.0/}"
EXIF: Final = "{http://ns.adobe.com/exif/1.0/}"
PHOTOSHOP: Final = "{http://ns.adobe.com/photoshop/1.0/}"
LIGHTROOM: Final = "{http://ns.adobe.com/lightroom/1.0/}"
DIGIKAM: Final = "{http://www.digikam.org/ns/1.0/}"
IPTC: Final = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
MICROSOFT: Final = "{http://ns.microsoft.com/photo/1.0/}"
MICROSOFT_REGIONS: Final = "{http://ns.microsoft.com/photo/1.2/t/RegionInfo#}"
MICROSOFT_REGION: Final = "{http://ns.microsoft.com/photo/1.2/t/Region#}"
MWG: Final = "{http://www.metadataworkinggroup.com/schemas/regions/}"
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

DATES: Final = (f"{EXIF}DateTimeOriginal", f"{PHOTOSHOP}DateCreated", f"{XMP}CreateDate")
PATHS: Final = (
    (f"{LIGHTROOM}hierarchicalSubject", "|"),
    (f"{DIGIKAM}TagsList", "/"),
    (f"{MICROSOFT}LastKeywordXMP", "/"),
)
PRIVATE: Final = frozenset({"darktable", "_digikam_internal_tags_"})
"""Lower-case roots of keywords that programs use internally."""

REGIONS: Final = (
    (f"{MWG}RegionList", f"{MWG}Name", f"{MWG}Type"),
    (f"{MICROSOFT_REGIONS}Regions", f"{MICROSOFT_REGION}PersonDisplayName", ""),
)
"""Lists of regions of the picture, and their properties that hold the name and the kind."""

COORDINATE: Final = re.compile(
    r"\s*(?P<degrees>-?\d{1,3}(?:\.\d+)?)"
    r"(?:,(?P<minutes>\d{1,2}(?:\.\d+)?)(?:,(?P<seconds>\d{1,2}(?:\.\d+)?))?)?"
    r"(?P<side>[NSEWnsew]?)\s*",
    re.ASCII,
)


USED: Final = tuple(
    name.strip("{}").encode()
    for name in (
        *(DC, XMP, EXIF, PHOTOSHOP, LIGHTROOM, DIGIKAM),
        *(IPTC, MICROSOFT, MICROSOFT_REGIONS, MWG),
    )
)
"""The namespaces of what is read."""

DECLARATION: Final = b"xmlns"
LONGEST_DECLARATION: Final = 200
MOST_DECLARATIONS: Final = 1000


def may_describe(document: bytes) -> bool:
    """Return whether a document in UTF-8 declares any namespace that `read_xmp` uses.

    This is much faster than parsing it: phones write megabytes of depth maps as XMP.
    """
    at = -1
    for _ in range(MOST_DECLARATIONS):
        at = document.find(DECLARATION, at + 1)
        if at < 0:
            return False
        declared = document[at : at + LONGEST_DECLARATION]
        if any(name in declared for name in USED):
            return True
    return True


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
    documents = [*root.iter(f"{RDF}RDF")]
    if not documents:
        raise ValueError("it is XML, but not XMP")
    # those further inside describe other pictures, such as the parts of a montage
    about = [item for document in documents for item in document.findall(f"{RDF}Description")]
    paths = tuple(dict.fromkeys(_paths(about)))
    flat = (line(text) for text in _values(about, f"{DC}subject"))
    # of hierarchical ones the last level, as in the flat list
    tags = distinct((*flat, *(path[-1] for path in paths)))
    if len(tags) > MOST_KEYWORDS:
        raise ValueError(f"more than {MOST_KEYWORDS:,} keywords")
    return Metadata(
        title=line(_text(about, f"{DC}title")) or line(_text(about, f"{PHOTOSHOP}Headline")),
        description=prose(_text(about, f"{DC}description")),
        author=", ".join(distinct(line(name) for name in _values(about, f"{DC}creator"))),
        date=_date(about),
        tags=tags,
        keyword_paths=tuple(path for path in paths if len(path) > 1),
        rating=_rating(about),
        people=distinct(_people(root, about)),
        position=_position(about),
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


def _paths(about: list[Element]) -> Iterator[tuple[str, ...]]:
    """Yield the levels of each hierarchical keyword."""
    for name, separator in PATHS:
        for path in _values(about, name):
            steps = tuple(step for part in path.split(separator) if (step := line(part)))
            if steps and steps[0].lower() not in PRIVATE:
                yield steps


def _people(root: Element, about: list[Element]) -> Iterator[str]:
    """Yield the names of people: those of faces marked in the picture, then of others in it."""
    for regions, name, kind in REGIONS:
        for bag in root.iter(regions):
            for region in bag.findall(f"*/{RDF}li"):
                if _property(region, kind).strip().lower() in {"", "face"}:
                    yield line(_property(region, name))
    for text in _values(about, f"{IPTC}PersonInImage"):
        yield line(text)


def _property(item: Element, name: str) -> str:
    """Return a property of a structure in any of its notations, empty if it has none."""
    for holder in (item, *item.findall(f"{RDF}Description")) if name else ():
        if text := holder.get(name) or holder.findtext(name):
            return text
    return ""


def _position(about: list[Element]) -> Position | None:
    latitude, longitude = (
        next((_degrees(text) for text in _values(about, f"{EXIF}GPS{axis}")), None)
        for axis in ("Latitude", "Longitude")
    )
    return position(latitude, longitude)


def _degrees(text: str) -> float | None:
    """Return the degrees of a coordinate such as `52,30.5N`, `52,30,30N` or `52.5`."""
    match = COORDINATE.fullmatch(text)
    if match is None:
        return None
    degrees = float(match["degrees"])
    degrees += float(match["minutes"] or 0) / 60 + float(match["seconds"] or 0) / 3600
    return -degrees if match["side"].upper() in {"S", "W"} else degrees


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
