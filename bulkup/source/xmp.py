"""XMP sidecars and packets."""

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from bulkup.source.metadata import MOST_STARS, Metadata, Moment, distinct, line, parse_date, prose

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
