"""Reads the header of a file: which picture it is, how large, and the MIME type it shows.

It knows picture formats as PHP's getimagesize and fileinfo do, and must not know the gallery.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

# Enough for the EXIF block of a JPEG, behind which its size stands.
HEAD_BYTES = 256 * 1024
_SIDES = (b"width", b"height")


@dataclass(frozen=True, slots=True)
class Picture:
    """What a file is. `kind` is empty when PHP would not recognise a web picture.

    `taken` is the date that its EXIF block gives, as a database writes it.
    """

    mime: str
    kind: str = ""
    width: int | None = None
    height: int | None = None
    taken: str | None = None


def sniff(head: bytes) -> Picture:
    """Recognise a file by its first bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        size = _jpeg_size(head)
        return Picture("image/jpeg", "jpg", *size, _taken(head)) if size else Picture("image/jpeg")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        if len(head) < 24:
            return Picture("image/png")
        return Picture("image/png", "png", *struct.unpack(">II", head[16:24]))
    if head[:6] in {b"GIF87a", b"GIF89a"} and len(head) >= 10:
        return Picture("image/gif", "gif", *struct.unpack("<HH", head[6:10]))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        size = _webp_size(head)
        return Picture("image/webp", "webp", *size) if size else Picture("image/webp")
    if head[:4] in {b"II*\x00", b"MM\x00*"}:
        return _tiff(head)
    if head[:2] == b"BM":
        return Picture("image/bmp")
    if head[4:8] == b"ftyp":
        return Picture("image/heic" if head[8:12] in {b"heic", b"heix", b"mif1"} else "video/mp4")
    if b"<svg" in head[:1024]:
        return Picture("image/svg+xml", "", *_svg_size(head))
    return Picture(_mime_of_rest(head))


def _svg_size(head: bytes) -> tuple[int | None, int | None]:
    width, height = (re.search(rb'<svg[^>]*\s%s="(\d+)' % side, head) for side in _SIDES)
    return int(width[1]) if width else None, int(height[1]) if height else None


def _mime_of_rest(head: bytes) -> str:
    if not head:
        return "application/x-empty"
    return "application/octet-stream" if b"\x00" in head[:1024] else "text/plain"


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    if len(head) < 30:
        return None
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8X":
        return (
            int.from_bytes(head[24:27], "little") + 1,
            int.from_bytes(head[27:30], "little") + 1,
        )
    return None


def _tiff(head: bytes) -> Picture:
    """Read the size from the first directory, which is near the start or out of reach."""
    size = {tag: value for tag, _, value in _directory(head, _number(head, 4, "I"))}
    return Picture("image/tiff", "", size.get(256), size.get(257))


def _taken(head: bytes) -> str | None:
    """Read DateTimeOriginal from the directory that the first one of the EXIF block names."""
    tiff = head[head.find(b"Exif\0\0") + 6 :] if b"Exif\0\0" in head else b""
    for tag, _, below in _directory(tiff, _number(tiff, 4, "I")):
        if tag == 0x8769:
            for tag_below, count, at in _directory(tiff, below):
                if tag_below == 0x9003 and count == 20:
                    text = tiff[at : at + 19].decode("latin-1")
                    return _date(text)
    return None


def _date(text: str) -> str | None:
    """Write a date as a database does, which takes none that no calendar has."""
    try:
        date = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - no zone
    except ValueError:
        return None
    return date.strftime("%Y-%m-%d %H:%M:%S")


def _directory(tiff: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield tag, count and value of each entry; of most kinds the value is where it stands."""
    for start in range(at + 2, min(at + 2 + 12 * _number(tiff, at, "H"), len(tiff) - 11), 12):
        short = _number(tiff, start + 2, "H") == 3
        yield (
            _number(tiff, start, "H"),
            _number(tiff, start + 4, "I"),
            _number(tiff, start + 8, "H" if short else "I"),
        )


def _number(tiff: bytes, at: int, form: str) -> int:
    """Read a number in the byte order that the block begins with; 0 beyond its end."""
    part = tiff[at : at + struct.calcsize(form)]
    order = "<" if tiff[:2] == b"II" else ">"
    return int(struct.unpack(order + form, part)[0]) if len(part) == struct.calcsize(form) else 0
