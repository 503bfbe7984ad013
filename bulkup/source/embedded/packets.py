"""Finds XMP, IPTC and EXIF data in photo files, reading only the parts that hold it.

JPEG, TIFF (with DNG and other RAW files of that structure), PNG, WebP, HEIC and AVIF.
"""

import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bulkup.source.embedded.iptc import find_iptc
from bulkup.source.embedded.tiff import Exif, Tiff, read_exif
from bulkup.source.files import OpenFile
from bulkup.source.xmp import may_describe

HEAD: Final = 64 * 1024
"""Bytes of the first read of a file: they usually hold all metadata of a JPEG."""

BUDGET: Final = 16 * 1024 * 1024
"""Maximum number of bytes read from a file, and decompressed if it is read in order."""

LARGEST: Final = 8 * 1024 * 1024
"""Maximum size of an XMP document or a block of IPTC data in bytes."""

MOST_PARTS: Final = 10_000
"""Maximum number of segments, chunks, boxes or items of a file that are looked at."""

MOST_DOCUMENTS: Final = 16
"""Maximum number of XMP documents of a file; those of HEIC may be about parts of the picture."""


class FileType(StrEnum):
    """The structure of a photo file."""

    JPEG = "jpeg"
    TIFF = "tiff"
    PNG = "png"
    WEBP = "webp"
    HEIF = "heif"


@dataclass(slots=True)
class Packets:
    """The metadata in a file of this type: XMP and IPTC not yet parsed, the main document first.

    Of several EXIF blocks the first counts.
    """

    type: FileType
    xmp: list[bytes] = field(default_factory=list)
    iptc: bytes = b""
    exif: Exif = field(default_factory=Exif)

    def add_xmp(self, document: bytes) -> None:
        """Add an XMP document, unless there are too many."""
        if len(self.xmp) < MOST_DOCUMENTS:
            self.xmp.append(document)

    def add_exif(self, data: bytes) -> None:
        """Add an EXIF block; do nothing if it is malformed."""
        if self.exif != Exif():
            return
        data = data.removeprefix(EXIF_MARK)
        with suppress(ValueError):
            self.exif = read_exif(Tiff(lambda offset, size: data[offset : offset + size]))


class _OverBudget(Exception):
    """More of the file would have to be read than is permitted."""


class _Parts:
    """Reads parts of a file, most of them from its first bytes. Raises `_OverBudget`."""

    def __init__(self, file: OpenFile) -> None:
        self.size = file.size
        self._file = file
        self._head = file.read(min(HEAD, file.size), offset=0)
        self._left = BUDGET
        self._reads = MOST_PARTS
        self._at = len(self._head)

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from an offset on, fewer at the end of the file."""
        size = min(size, self.size - offset)
        if size <= 0 or offset < 0:
            return b""
        if offset + size <= len(self._head):
            return self._head[offset : offset + size]
        cost = size
        if self._file.in_order:  # what lies between has to be decompressed, too
            cost = offset + size - (self._at if offset >= self._at else 0)
        self._left -= cost
        self._reads -= 1
        if min(self._left, self._reads) < 0:
            raise _OverBudget
        self._at = offset + size
        return self._file.read(size, offset=offset)


Find = Callable[[_Parts, Packets], None]


def find_packets(file: OpenFile) -> Packets | None:
    """Return the metadata in a photo file, None if it is none of the known types.

    What is malformed, larger than permitted, or too far inside a compressed file is left out.
    Raises as reading the file does.
    """
    parts = _Parts(file)
    start = parts.read(0, 16)
    for kind, pattern, find in TYPES:
        if re.match(pattern, start, re.DOTALL):
            packets = Packets(kind)
            with suppress(_OverBudget):  # what was found so far counts
                find(parts, packets)
            return packets
    return None


def _number(data: bytes, at: int, size: int) -> int:
    """Return a big-endian number. Raises `ValueError` beyond the end of the data."""
    if len(data) < at + size:
        raise ValueError("cut off")
    return int.from_bytes(data[at : at + size], "big")


EXIF_MARK: Final = b"Exif\0\0"
XMP_MARK: Final = b"http://ns.adobe.com/xap/1.0/\0"
MORE_XMP_MARK: Final = b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP_MARK: Final = b"Photoshop 3.0\0"
APP1, APP13, SCAN, END = 0xE1, 0xED, 0xDA, 0xD9


def _find_in_jpeg(parts: _Parts, packets: Packets) -> None:
    """Walk the segments before the picture."""
    more: defaultdict[bytes, dict[int, bytes]] = defaultdict(dict)
    resources, kept = [], 0
    try:
        for marker, data in _segments(parts):
            kept += len(data)
            if kept > LARGEST:
                break
            if marker == APP13 and data.startswith(PHOTOSHOP_MARK):
                resources.append(data.removeprefix(PHOTOSHOP_MARK))
            elif data.startswith(EXIF_MARK):
                packets.add_exif(data)
            elif data.startswith(XMP_MARK) and not packets.xmp:
                packets.add_xmp(data.removeprefix(XMP_MARK))
            elif data.startswith(MORE_XMP_MARK) and len(data) >= len(MORE_XMP_MARK) + 40:
                guid, size, offset, text = _more_xmp(data.removeprefix(MORE_XMP_MARK))
                more[guid + size].setdefault(offset, text)
    finally:
        packets.iptc = find_iptc(b"".join(resources))
        for document in _extensions(packets.xmp, more):
            packets.add_xmp(document)


def _segments(parts: _Parts) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment that may hold metadata."""
    at = 2
    for _ in range(MOST_PARTS):
        head = parts.read(at, 4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in {SCAN, END}:
            return
        if head[1] == 0xFF:  # a fill byte
            at += 1
            continue
        size = max(2, int.from_bytes(head[2:], "big"))
        if head[1] in {APP1, APP13}:
            yield head[1], parts.read(at + 4, size - 2)
        at += 2 + size


def _more_xmp(data: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Return id, size, offset and text of a part of a document that fits into no segment."""
    return data[:32], data[32:36], int.from_bytes(data[36:40], "big"), data[40:]


def _extensions(
    main: Sequence[bytes], more: Mapping[bytes, Mapping[int, bytes]]
) -> Iterator[bytes]:
    """Yield the complete document that the main one refers to, if it says anything of use."""
    for key, texts in more.items():
        document = b"".join(texts[offset] for offset in sorted(texts))
        whole = len(document) == int.from_bytes(key[32:], "big")
        if whole and main and key[:32] in main[0]:
            if may_describe(document):
                yield document
            return


XMP_TAG, IPTC_TAG, RESOURCES_TAG = 700, 33723, 34377


def _find_in_tiff(parts: _Parts, packets: Packets) -> None:
    """Read the values in the order in which they are stored."""
    try:
        tiff = Tiff(parts.read)
    except ValueError:
        return
    main = tiff.directory()
    wanted = [tag for tag in (XMP_TAG, IPTC_TAG, RESOURCES_TAG) if tag in main]
    packets.exif = read_exif(tiff, main)
    for tag in sorted(wanted, key=lambda tag: tiff.place(main[tag])):
        value = tiff.value(main[tag], limit=LARGEST)
        if tag == XMP_TAG:
            packets.add_xmp(value)
        elif tag == IPTC_TAG:
            # Photoshop stores it as 32-bit numbers, and some swap their bytes
            packets.iptc = value if value[:1] == b"\x1c" or value[3:4] != b"\x1c" else _swap(value)
        elif not packets.iptc:
            packets.iptc = find_iptc(value)


def _swap(data: bytes) -> bytes:
    words = len(data) // 4
    return struct.pack(f">{words}I", *struct.unpack_from(f"<{words}I", data))


PNG_XMP_MARK: Final = b"XML:com.adobe.xmp\0"
PROFILE_MARK: Final = b"Raw profile type "
MOST_TEXTS: Final = 8
"""Maximum number of texts with metadata in a PNG: each may be decompressed."""


def _find_in_png(parts: _Parts, packets: Packets) -> None:
    at, texts = 8, 0
    for _ in range(MOST_PARTS):
        head = parts.read(at, 8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        size = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf" and size <= LARGEST:
            packets.add_exif(parts.read(at + 8, size))
        elif head[4:] in {b"iTXt", b"zTXt", b"tEXt"} and size <= LARGEST and texts < MOST_TEXTS:
            start = parts.read(at + 8, min(size, len(PNG_XMP_MARK)))
            if start.startswith((PNG_XMP_MARK, PROFILE_MARK)):
                texts += 1
                _add_png_text(parts.read(at + 8, size), packets)
        at += 12 + size


def _add_png_text(data: bytes, packets: Packets) -> None:
    """Add what is in a chunk of text; do nothing if it is malformed or too large.

    After large XMP documents, there are no more: compressed ones can be tiny in the file.
    """
    if sum(map(len, packets.xmp)) > LARGEST // 2:
        return
    if match := re.match(PNG_XMP_MARK + rb"([\0\1])\0[^\0]*\0[^\0]*\0", data):
        text = data[match.end() :]
        packets.add_xmp(text if match[1] == b"\0" else _inflated(text))
    elif match := re.match(PROFILE_MARK + rb"(xmp|iptc|exif|APP1)\0(\0)?", data):
        # ImageMagick writes the name, the size, and the content in hexadecimal digits
        text = data[match.end() :]
        lines = (text if match[2] is None else _inflated(text)).split(b"\n", 3)
        try:
            content = bytes.fromhex(lines[3].decode("ascii"))
        except (IndexError, ValueError):
            return
        if match[1] == b"iptc":
            packets.iptc = packets.iptc or find_iptc(content) or content
        elif match[1] == b"xmp" or content.startswith(XMP_MARK):
            packets.add_xmp(content.removeprefix(XMP_MARK))
        else:
            packets.add_exif(content)


def _inflated(data: bytes) -> bytes:
    """Return decompressed data, empty if it is malformed or too large."""
    inflater = zlib.decompressobj()
    with suppress(zlib.error):
        text = inflater.decompress(data, LARGEST)
        return text if inflater.eof else b""
    return b""


def _find_in_webp(parts: _Parts, packets: Packets) -> None:
    at = 12
    for _ in range(MOST_PARTS):
        head = parts.read(at, 8)
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:], "little")
        if size <= LARGEST and head[:4] == b"EXIF":
            packets.add_exif(parts.read(at + 8, size))
        elif size <= LARGEST and head[:4] == b"XMP " and not packets.xmp:
            packets.add_xmp(parts.read(at + 8, size))
        at += 8 + size + size % 2


def _find_in_heif(parts: _Parts, packets: Packets) -> None:
    """Read the items that the `meta` box lists; their data may be anywhere in the file."""
    meta = b""
    for kind, start, size in _boxes(parts.read, 0, parts.size):
        if kind == b"meta" and size <= LARGEST:
            meta = parts.read(start, size)
            break

    def read(offset: int, size: int) -> bytes:
        return meta[offset : offset + size]

    boxes = {kind: (start, size) for kind, start, size in _boxes(read, 4, len(meta))}
    if not {b"iinf", b"iloc"} <= boxes.keys():
        return
    idat = boxes.get(b"idat", (0, 0))[0]
    try:
        names = dict(_items(read(*boxes[b"iinf"])))
        places = _places(read(*boxes[b"iloc"]), names)
    except ValueError:
        return
    for item in sorted(places, key=lambda item: places[item][1][:1]):
        inside, extents = places[item]
        if sum(size for _, size in extents) > LARGEST:
            continue
        source = (lambda at, size: read(idat + at, size)) if inside else parts.read
        data = b"".join(source(at, size) for at, size in extents)
        if names[item] == b"Exif":
            packets.add_exif(data[4 + int.from_bytes(data[:4], "big") :])
        else:
            packets.add_xmp(data)


def _boxes(
    read: Callable[[int, int], bytes], at: int, end: int
) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and size of the content of each box."""
    for _ in range(MOST_PARTS):
        head = read(at, 16)
        if at + 8 > end or len(head) < 8:
            return
        size, start = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - at
        if size < start:
            return
        yield head[4:8], at + start, size - start
        at += size


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the ids and types of the items that hold metadata. Raises `ValueError`."""
    start = 6 if _number(data, 0, 1) == 0 else 8

    def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    for kind, at, size in _boxes(read, start, len(data)):
        entry = read(at, size)
        version = _number(entry, 0, 1)
        if kind != b"infe" or version not in {2, 3}:
            continue
        wide = 2 if version == 2 else 4
        rest = entry[4 + wide + 2 :]
        if rest.startswith(b"Exif"):
            yield _number(entry, 4, wide), b"Exif"
        elif rest.startswith(b"mime") and rest[4:].split(b"\0", 2)[1:2] == [XMP_TYPE]:
            yield _number(entry, 4, wide), b"XMP"


XMP_TYPE: Final = b"application/rdf+xml"


def _places(
    data: bytes, wanted: Mapping[int, bytes]
) -> dict[int, tuple[bool, list[tuple[int, int]]]]:
    """Return offsets and sizes of the parts of each wanted item.

    They are in the `idat` box, or otherwise in the file. Raises `ValueError`.
    """
    version, sizes = _number(data, 0, 1), _number(data, 4, 2)
    offset_size, length_size, base_size, index_size = (sizes >> by & 15 for by in (12, 8, 4, 0))
    index_size = index_size if version else 0
    wide = 4 if version >= 2 else 2
    at = 6 + wide
    places: dict[int, tuple[bool, list[tuple[int, int]]]] = {}
    left = MOST_PARTS
    for _ in range(_number(data, 6, wide)):
        item = _number(data, at, wide)
        at += wide
        method = _number(data, at, 2) & 15 if version else 0
        at += 4 if version else 2
        base = _number(data, at, base_size)
        count = _number(data, at + base_size, 2)
        at += base_size + 2
        left -= 1 + count
        if left < 0:
            raise ValueError("too many parts")
        extents = []
        for _ in range(count):
            at += index_size
            offset = base + _number(data, at, offset_size)
            extents.append((offset, _number(data, at + offset_size, length_size)))
            at += offset_size + length_size
        if item in wanted and method in {0, 1}:
            places.setdefault(item, (method == 1, extents))
    return places


TYPES: Final[Sequence[tuple[FileType, bytes, Find]]] = (
    (FileType.JPEG, rb"\xff\xd8\xff", _find_in_jpeg),
    (FileType.TIFF, rb"II\*\0|MM\0\*", _find_in_tiff),
    (FileType.PNG, rb"\x89PNG\r\n\x1a\n", _find_in_png),
    (FileType.WEBP, rb"RIFF.{4}WEBP", _find_in_webp),
    (FileType.HEIF, rb".{4}ftyp(?:hei|hev|mif|msf|avi)", _find_in_heif),
)
