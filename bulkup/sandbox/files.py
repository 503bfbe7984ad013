"""Files: pictures and their types, stored contents, upload buffers, formats."""

import asyncio
import hashlib
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from bulkup.sandbox import php
from bulkup.sandbox.php import Died, Refusal
from bulkup.sandbox.versions import PICTURE_TYPES

# enough for the EXIF block of a JPEG, which comes before its dimensions
HEAD_BYTES = 256 * 1024
_INLINE_BYTES = 64 * 1024
_SIDES = (b"width", b"height")


@dataclass(frozen=True, slots=True)
class Picture:
    """The type of a file; `kind` is empty if PHP does not recognise a picture.

    `taken` is the date of its EXIF block, as the database writes it, and `position` its latitude
    and longitude. `iptc` are the texts of its
    IPTC data by dataset, those of record 2 only.
    """

    mime: str
    kind: str = ""
    width: int | None = None
    height: int | None = None
    taken: str | None = None
    iptc: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    position: tuple[str, str] | None = None


def sniff(head: bytes) -> Picture:
    """Return the type of a file, judging by its first bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        size = _jpeg_size(head)
        if size is None:
            return Picture("image/jpeg")
        tiff = head[head.find(b"Exif\0\0") + 6 :] if b"Exif\0\0" in head else b""
        iptc = _iptc(_photoshop(head))
        return Picture("image/jpeg", "jpg", *size, _taken(tiff), iptc, _position(tiff))
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
    """Read the size from the first directory, if it is near the start."""
    size = {tag: value for tag, _, value in _directory(head, _number(head, 4, "I"))}
    return Picture("image/tiff", "", size.get(256), size.get(257), _taken(head))


def _photoshop(head: bytes) -> bytes:
    """Return the first APP13 segment of a JPEG, as PHP's `getimagesize` does."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] != 0xDA:
        size = int.from_bytes(head[at + 2 : at + 4], "big")
        if head[at + 1] == 0xED:
            return head[at + 4 : at + 2 + size]
        at += 2 + size
    return b""


def _iptc(block: bytes) -> dict[int, tuple[str, ...]]:
    """Read the datasets as PHP's `iptcparse` and Piwigo do: what is not UTF-8 is Windows-1252."""
    found: dict[int, tuple[str, ...]] = {}
    at = next(
        (i for i in range(len(block) - 1) if block[i] == 0x1C and block[i + 1] in {1, 2}), -1
    )
    while at >= 0 and at + 5 <= len(block) and block[at] == 0x1C:
        record, number, size = block[at + 1], block[at + 2], block[at + 3 : at + 5]
        at, length = at + 5, int.from_bytes(size, "big")
        value = block[at : at + length].lstrip(b"\0").replace(b"\0", b" ")
        at += length
        if record == 2:
            try:
                text = value.decode()
            except UnicodeDecodeError:
                text = value.decode("cp1252", "replace")
            found[number] = (*found.get(number, ()), text)
    return found


def _taken(tiff: bytes) -> str | None:
    """Read DateTimeOriginal from the EXIF directory."""
    for tag, _, below in _directory(tiff, _number(tiff, 4, "I")):
        if tag == 0x8769:
            for tag_below, count, at in _directory(tiff, below):
                if tag_below == 0x9003 and count == 20:
                    text = tiff[at : at + 19].decode("latin-1")
                    return _date(text)
    return None


def _position(tiff: bytes) -> tuple[str, str] | None:
    """Read latitude and longitude from the GPS directory."""
    for tag, _, below in _directory(tiff, _number(tiff, 4, "I")):
        if tag == 0x8825:
            gps = {tag: value for tag, _, value in _directory(tiff, below)}
            if gps.keys() >= {1, 2, 3, 4}:
                return _degrees(tiff, gps[2], gps[1]), _degrees(tiff, gps[4], gps[3])
    return None


def _degrees(tiff: bytes, at: int, side: int) -> str:
    parts = [_number(tiff, at + 4 * i, "I") for i in range(6)]
    value = sum(parts[2 * i] / (parts[2 * i + 1] or 1) / 60**i for i in range(3))
    south_or_west = {ord("S"), ord("W")} & set(side.to_bytes(4, "big"))
    return coordinate(-value if south_or_west else value)


def coordinate(value: float) -> str:
    """Return a coordinate as the database writes it."""
    return f"{value:.6f}"


def _date(text: str) -> str | None:
    """Return a date as the database writes it, None for an invalid one."""
    try:
        date = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - no zone
    except ValueError:
        return None
    return date.strftime("%Y-%m-%d %H:%M:%S")


def _directory(tiff: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield tag, count and value of each entry; the value of most types is an offset."""
    for start in range(at + 2, min(at + 2 + 12 * _number(tiff, at, "H"), len(tiff) - 11), 12):
        short = _number(tiff, start + 2, "H") == 3
        yield (
            _number(tiff, start, "H"),
            _number(tiff, start + 4, "I"),
            _number(tiff, start + 8, "H" if short else "I"),
        )


def _number(tiff: bytes, at: int, form: str) -> int:
    """Read a number in the byte order of the block; 0 beyond its end."""
    part = tiff[at : at + struct.calcsize(form)]
    order = "<" if tiff[:2] == b"II" else ">"
    return int(struct.unpack(order + form, part)[0]) if len(part) == struct.calcsize(form) else 0


_MIME = {
    "jpg": {"image/jpeg"},
    "jpeg": {"image/jpeg"},
    "png": {"image/png"},
    "gif": {"image/gif"},
    "webp": {"image/webp"},
    "tif": {"image/tiff"},
    "tiff": {"image/tiff"},
    "svg": {"image/svg+xml"},
    "heic": {"image/heic", "image/heif"},
    "mp4": {"video/mp4"},
    "mpg": {"video/mpeg"},
    "mp3": {"audio/mpeg"},
    "ogg": {"audio/ogg"},
    "avi": {"video/x-msvideo"},
    "pdf": {"application/pdf"},
    "zip": {"application/zip"},
}


def accept(picture: Picture, *, file: str, allowed: tuple[str, ...], major: int) -> str:
    """Return the extension to store a file under. Raises `Refusal` or `Died`."""
    extension = php.extension(file)
    if major >= 17:
        return _by_name(picture, file=file, extension=extension, allowed=allowed)
    if picture.kind and (picture.kind != "webp" or major >= 14):
        return picture.kind
    if set(allowed) <= set(PICTURE_TYPES):
        raise Died("forbidden file type")
    if major >= 16 and picture.mime == "image/svg+xml" and extension != "svg":
        raise _mismatch(picture, file=file, extension=extension)
    if extension not in allowed:
        raise Died("unexpected file type")
    return extension


def _by_name(picture: Picture, *, file: str, extension: str, allowed: tuple[str, ...]) -> str:
    if extension not in allowed:
        raise Refusal(415, "forbidden file type")
    if picture.mime not in _MIME.get(extension, {picture.mime}):
        raise _mismatch(picture, file=file, extension=extension)
    return "jpg" if extension == "jpeg" else extension


def _mismatch(picture: Picture, *, file: str, extension: str) -> Refusal:
    return Refusal(
        415,
        f'File extension "{extension}" for file "{file}" does not match '
        f'file MIME type "{picture.mime}"',
    )


Keep = Literal["memory", "files", "sums"]


class Content:
    """A file that grows: its size, MD5 and first bytes, and all bytes if they are kept."""

    def __init__(self, path: Path | None = None, *, in_memory: bool = False) -> None:
        self.path = path
        self.size = 0
        self.head = b""
        self._data = bytearray() if in_memory else None
        self._sum = hashlib.md5()
        self._written = False
        self._sealed: Picture | None = None
        self._turn = asyncio.Lock()

    @property
    def md5(self) -> str:
        """The MD5 of all bytes so far."""
        return self._sum.hexdigest()

    async def append(self, data: bytes) -> None:
        """Append bytes; concurrent calls are carried out one after the other."""
        async with self._turn:
            if self.path is None and len(data) <= _INLINE_BYTES:
                self._append(data)  # faster than using a thread
            else:
                await asyncio.to_thread(self._append, data)

    async def append_all(self, other: "Content") -> None:
        """Append the bytes of another file."""
        await self.append(
            other.read() if other.path is None else await asyncio.to_thread(other.read)
        )

    def _append(self, data: bytes) -> None:
        self._written = True
        self._sum.update(data)
        self.size += len(data)
        self.head += data[: HEAD_BYTES - len(self.head)]
        if self._data is not None:
            self._data += data
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(data)

    @property
    def picture(self) -> Picture:
        """The type according to the first bytes; a file that was never written has none."""
        if self._sealed is not None:
            return self._sealed
        return sniff(self.head) if self._written else Picture("")

    def seal(self) -> None:
        """Keep the type instead of the first bytes; nothing more will be appended."""
        self._sealed, self.head = self.picture, b""

    @property
    def kept(self) -> bool:
        """Whether the bytes can be read."""
        return self._data is not None or self.path is not None

    def read(self) -> bytes:
        """Return all bytes. This may read a file: call it in a thread."""
        if self._data is not None:
            return bytes(self._data)
        if self.path is not None:
            return self.path.read_bytes()
        raise LookupError("this sandbox keeps only MD5s")

    async def move(self, path: Path) -> None:
        """Move the file, if it is one."""
        if self.path is not None:
            self.path = await asyncio.to_thread(_rename, self.path, path)

    async def remove(self) -> None:
        """Delete the file, if it is one."""
        if self.path is not None:
            await asyncio.to_thread(self.path.unlink, missing_ok=True)


class Buffers:
    """The folder upload/buffer: files by name."""

    def __init__(self, folder: Path, *, keep: Keep) -> None:
        self.contents: dict[str, Content] = {}
        self.folder = folder
        self._keep = keep
        self._count = 0

    async def open(self, name: str, *, truncate: bool = False, needed: bool = False) -> Content:
        """Open a buffer for appending; `needed` if its bytes will be read again."""
        if truncate:
            await self.remove(name)
        if name not in self.contents:
            self.contents[name] = self._create(needed=needed)
        return self.contents[name]

    def _create(self, *, needed: bool) -> Content:
        if self._keep == "memory":
            return Content(in_memory=True)
        if self._keep == "sums" and not needed:
            return Content()
        # a new name each time: a removal may still be running
        self._count += 1
        return Content(self.folder / "buffer" / str(self._count))

    def take(self, name: str) -> Content:
        """Remove a buffer from the folder; the caller moves or removes its file."""
        return self.contents.pop(name)

    async def remove(self, name: str) -> None:
        """Delete a buffer, if it exists."""
        if content := self.contents.pop(name, None):
            await content.remove()


def _rename(old: Path, new: Path) -> Path:
    new.parent.mkdir(parents=True, exist_ok=True)
    old.touch()
    return old.replace(new)


@dataclass(slots=True)
class Row:
    """A row of the table of formats; `content` is None if its file was deleted."""

    extension: str
    content: Content | None


class Formats:
    """The formats of photos; `allowed` holds their extensions, None if formats are disabled.

    Before Piwigo 16 a format that is sent again replaces the file but gets a second row.
    """

    def __init__(self, allowed: Sequence[str] | None, *, major: int) -> None:
        self.allowed = allowed
        self._doubles = major < 16
        self._rows: dict[int, list[Row]] = {}

    def of(self, photo_id: int) -> list[Row]:
        """Return the rows of a photo."""
        return self._rows.get(photo_id, [])

    def add(self, photo_id: int, extension: str, content: Content) -> str:
        """Add a file as a format of a photo; return the status that Piwigo reports."""
        rows = self._rows.setdefault(photo_id, [])
        known = [row for row in rows if row.extension == extension]
        for row in known:
            row.content = content
        if not known or self._doubles:
            rows.append(Row(extension, content))
        return "update" if known else "add"

    async def lose_files(self, photo_id: int) -> None:
        """Delete the files but not the rows, as when the file of a photo is replaced."""
        for row in self.of(photo_id):
            if row.content is not None:
                await row.content.remove()
            row.content = None

    def forget(self, photo_id: int) -> None:
        """Delete the rows of a deleted photo."""
        self._rows.pop(photo_id, None)
