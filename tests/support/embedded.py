"""Makers of the metadata inside photo files: IPTC and XMP data, and the segments of a JPEG."""

import struct
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.photos import with_exif
from tests.support.runs import JPEG_HEAD

FOLDER = Path(__file__).parents[1] / "sidecars" / "embedded"
"""Photos of all formats, whose metadata exiftool has written."""

_XMP = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title>
<dc:subject><rdf:Bag>{tags}</rdf:Bag></dc:subject></rdf:Description></rdf:RDF>"""


def xmp(title: str = "", *tags: str) -> bytes:
    """Return an XMP document."""
    items = "".join(f"<rdf:li>{escape(tag)}</rdf:li>" for tag in tags)
    return _XMP.format(title=escape(title), tags=items).encode()


def dataset(record: int, number: int, value: bytes) -> bytes:
    """Return a dataset of IPTC data."""
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def iptc(
    title: str = "",
    *keywords: str,
    description: str = "",
    encoding: str = "utf-8",
    declared: bool = True,
) -> bytes:
    """Return IPTC data, with `declared` with the mark of UTF-8."""
    parts = [dataset(1, 90, b"\x1b%G")] if declared else []
    texts = [(5, title), *((25, keyword) for keyword in keywords), (120, description)]
    parts += [dataset(2, number, text.encode(encoding)) for number, text in texts if text]
    return b"".join(parts)


def resources(data: bytes) -> bytes:
    """Return Photoshop's resources with IPTC data after another one."""
    other = b"8BIM\x04\x25\x03abc" + struct.pack(">I", 3) + b"xyz\0"
    return other + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data


def segment(marker: int, content: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(segments: Iterable[bytes], *, picture: bytes = JPEG_HEAD + b"\xff\xd9") -> bytes:
    """Return a JPEG with these segments in front."""
    return picture[:2] + b"".join(segments) + picture[2:]


def jpeg_with_iptc(data: bytes, *, picture: bytes = JPEG_HEAD + b"\xff\xd9") -> bytes:
    """Return a JPEG with IPTC data."""
    return jpeg([segment(0xED, b"Photoshop 3.0\0" + resources(data))], picture=picture)


def write_jpeg(path: Path, data: bytes, *, exif: bytes = b"") -> None:
    """Write a JPEG with IPTC data, and with `exif` with that date."""
    content = jpeg_with_iptc(data)
    path.write_bytes(with_exif(content, exif) if exif else content)


def xmp_segment(document: bytes) -> bytes:
    """Return the segment of a JPEG with an XMP document."""
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + document)


def more_xmp_segments(document: bytes, *, guid: bytes, size: int = 1000) -> list[bytes]:
    """Return the segments with a document that does not fit into the main one, in any order."""
    head = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">I", len(document))
    starts = range(0, len(document), size)
    return [
        segment(0xE1, head + struct.pack(">I", at) + document[at : at + size])
        for at in reversed(starts)
    ]
