"""Zip archives as folders: their members, and reading these without unpacking the archive.

The path of a member is the path of its archive, then its name: `photos.zip/2019/a.jpg`.
"""

import os
import re
import stat
import struct
import zipfile
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import FileIO
from itertools import accumulate, count, pairwise
from pathlib import Path
from threading import Lock
from typing import Final

from bulkup.errors import FailureMessage, PhotoError
from bulkup.errors import local as local_failures

SUFFIX: Final = ".zip"
SECOND_NS: Final = 10**9
LOCAL_HEADER: Final = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field
INPUT: Final = 64 * 1024
"""Bytes of compressed data per read."""

STREAMS: Final = 128
"""Decompressors that are kept between reads; each takes about 100 kB."""

DIRECTORY: Final = 64 * 1024**2
"""Maximum size of the list of files in an archive: half a million, which take 400 MB to read."""

BOMB_SIZE: Final = 64 * 1024**2
BOMB_RATIO: Final = 100
"""A larger member that is compressed more than this is no photo."""

UTF8: Final = 0x800
UNICODE_PATH: Final = 0x7075
"""The extra field with a member's name in UTF-8: a version, the CRC-32 of its name, the copy."""

ENCRYPTED: Final = 0x1
NUMBERED: Final = re.compile(r"(?P<export>.*[^\d-])[\d-]*\d", re.DOTALL)
"""The name of a part of an export without `.zip`, such as `takeout-20240501T120000Z-1-003`."""

DOS: Final = 0


class ZipError(ValueError):
    """A file is not an intact zip archive, with a reason for the user."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its size, what identifies its content, and where that is.

    `mtime_ns` is its date, taken as UTC, with its CRC-32 in the fraction of the second: a member
    whose content changes has another one, although a program may have kept its date. `problem` is
    why it can't be read.
    """

    name: str
    size: int
    crc: int
    mtime_ns: int
    header: int
    packed: int
    method: int
    is_link: bool = False
    problem: FailureMessage | None = None

    @property
    def is_compressed(self) -> bool:
        """Whether it can only be read in order."""
        return self.method != zipfile.ZIP_STORED


_Packed = struct.Struct("<QqQQIHB")


class _Listing:
    """The members of one folder in name order, packed into 100 bytes each.

    Names are in UTF-8, which sorts like text.
    """

    def __init__(self, members: Iterable[tuple[bytes, bytes]]) -> None:
        ordered = sorted(members)
        self._names = b"".join(name for name, _ in ordered)
        self._ends = array("Q", accumulate(len(name) for name, _ in ordered))
        self._data = b"".join(data for _, data in ordered)

    def __len__(self) -> int:
        return len(self._ends)

    def name(self, index: int) -> bytes:
        """Return the name of a member."""
        return self._names[self._ends[index - 1] if index else 0 : self._ends[index]]

    def data(self, index: int) -> bytes:
        """Return what is stored of a member."""
        return self._data[index * _Packed.size : (index + 1) * _Packed.size]

    def find(self, name: bytes) -> bytes | None:
        """Return what is stored of the member of this name, None if there is none."""
        index = bisect_left(range(len(self)), name, key=self.name)
        return self.data(index) if index < len(self) and self.name(index) == name else None


NO_MEMBERS: Final = _Listing(())


class Archive:
    """The members of one zip archive, by folder and name.

    They are kept packed: a Takeout has hundreds of thousands.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._problems = {each.name: each.problem for each in members if each.problem}
        folders: dict[str, list[tuple[bytes, bytes]]] = {}
        for member in members:
            folder, _, name = member.name.rpartition("/")
            packed = _Packed.pack(
                member.size,
                member.mtime_ns,
                member.header,
                member.packed,
                member.crc,
                member.method,
                member.is_link,
            )
            folders.setdefault(folder, []).append((_encoded(name), packed))
        self._folders = {folder: _Listing(inside) for folder, inside in folders.items()}

    def find(self, name: str) -> Member | None:
        """Return the member of this name, None if there is none."""
        folder, _, last = name.rpartition("/")
        data = self._folders.get(folder, NO_MEMBERS).find(_encoded(last))
        return None if data is None else self._member(name, data)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, itself named without a slash at its end."""
        listing = self._folders.get(folder, NO_MEMBERS)
        return [_decoded(listing.name(index)) for index in range(len(listing))]

    def folders(self) -> list[str]:
        """Return the names of the folders with files in them, empty for the archive itself."""
        return list(self._folders)

    def inside(self, folder: str) -> Iterator[Member]:
        """Yield the members in a folder in name order."""
        listing = self._folders.get(folder, NO_MEMBERS)
        for index in range(len(listing)):
            name = _decoded(listing.name(index))
            yield self._member(f"{folder}/{name}" if folder else name, listing.data(index))

    def _member(self, name: str, data: bytes) -> Member:
        size, mtime_ns, header, packed, crc, method, is_link = _Packed.unpack(data)
        problem = self._problems.get(name)
        return Member(name, size, crc, mtime_ns, header, packed, method, bool(is_link), problem)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")


def is_zip(path: Path) -> bool:
    """Return whether a path is a zip archive, by its name and being a file."""
    return path.suffix.lower() == SUFFIX and path.is_file()


def only_zips(paths: Iterable[Path]) -> list[Path]:
    """Return those paths that are zip archives."""
    return [path for path in paths if is_zip(path)]


def parts_with(archive: Path) -> tuple[Path, ...]:
    """Return an archive and the other parts of its export, which lie beside it.

    Their names differ only in the numbers at the end.
    """
    parts = {archive}
    if match := NUMBERED.fullmatch(archive.stem):
        with suppress(OSError):
            for name in os.listdir(archive.parent):  # noqa: PTH208 (other files are many)
                other = NUMBERED.fullmatch(name[: -len(SUFFIX)])
                if other and other["export"] == match["export"]:
                    parts |= {*only_zips([archive.with_name(name)])}
    return tuple(sorted(parts))


def split(path: Path) -> tuple[Path, str] | None:
    """Return the archive that a path leads into, and the name in it; None for other paths."""
    text = str(path)
    end = text.lower().find(SUFFIX + os.sep) + len(SUFFIX)
    if (known := _known.get(text[:end])) and text[end : end + 1] == os.sep:
        return known, text[end + 1 :].replace(os.sep, "/")
    if SUFFIX not in text.lower():
        return None
    for archive in reversed(path.parents):
        if is_zip(archive):
            return archive, path.relative_to(archive).as_posix()
    return None


_known: dict[str, Path] = {}
_archives: dict[Path, tuple[tuple[int, int], Archive]] = {}
_lock = Lock()


def open_archive(path: Path) -> Archive:
    """Return the members of an archive, read again only when it has changed.

    Call in a worker thread. Raises `OSError`, and `ZipError` if it is not an intact archive.
    """
    status = path.stat()
    version = (status.st_size, status.st_mtime_ns)
    with _lock:
        known = _archives.get(path)
        if known is None or known[0] != version:
            known = version, Archive(_members(path))
            _archives[path] = known
            _known[str(path)] = path
    return known[1]


class _Bounded(FileIO):
    """A file of which no more is read at once than the largest directory of an archive."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes. Raises `ZipError` if these are too many."""
        if size is not None and size > DIRECTORY:
            mb = DIRECTORY // 1024**2
            raise ZipError(f"the list of its files is larger than {mb} MB; make several archives")
        return super().read(size)


def _infos(path: Path) -> tuple[list[zipfile.ZipInfo], int]:
    """Return the entries of an archive, and where its data ends."""
    try:
        with _Bounded(path) as bounded, zipfile.ZipFile(bounded) as file:
            infos = [info for info in file.infolist() if not info.orig_filename.endswith("/")]
            return infos, file.start_dir
    except ZipError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        raise ZipError(str(error)) from None


def _members(path: Path) -> list[Member]:
    infos, start = _infos(path)
    ends = _Ends(infos, start)
    members: dict[str, Member] = {}
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))
    infos.reverse()
    while infos:  # each takes much memory, so none stays
        info = infos.pop()
        member = _member(info, ends.of(info.header_offset))
        first = members.get(member.name)
        if first is not None:
            if (first.crc, first.size, first.problem) == (member.crc, member.size, None):
                continue  # the same content twice
            names = _numbered(member.name, numbers[member.name])
            name = next(name for name in names if name not in members)
            problem = member.problem or local_failures.ZIP_TWICE(name=member.name)
            member = replace(member, name=name, problem=problem)
        members[member.name] = member
    return list(members.values())


def _numbered(name: str, numbers: Iterable[int]) -> Iterator[str]:
    """Yield the name with each number before its extension, by which its type is known."""
    stem, ending = os.path.splitext(name)  # noqa: PTH122 (a name, not a path)
    return (f"{stem} ({number}){ending}" for number in numbers)


class _Ends:
    """Where the data that begins at each header has to end: at the next one."""

    def __init__(self, infos: Sequence[zipfile.ZipInfo], start: int) -> None:
        offsets = array("q", sorted(info.header_offset for info in infos))
        self._offsets = offsets
        self._shared = {one for one, other in pairwise(offsets) if one == other}
        self._start = start

    def of(self, offset: int) -> int:
        """Return the end; where two members share their data, it is at once."""
        if offset in self._shared:
            return offset
        index = bisect_right(self._offsets, offset)
        return self._offsets[index] if index < len(self._offsets) else self._start


def _member(info: zipfile.ZipInfo, end: int) -> Member:
    name, valid = _name(info)
    mode = info.external_attr >> 16
    return Member(
        name,
        size=info.file_size,
        crc=info.CRC,
        mtime_ns=_seconds(info) * SECOND_NS + info.CRC % SECOND_NS,
        header=max(0, info.header_offset),
        packed=info.compress_size,
        method=info.compress_type,
        is_link=stat.S_ISLNK(mode) and info.create_system != DOS,
        problem=_problem(info, end) if valid else local_failures.ZIP_NAME(name=_shown(info)),
    )


def _seconds(info: zipfile.ZipInfo) -> int:
    try:
        return int(datetime(*info.date_time, tzinfo=UTC).timestamp())
    except ValueError:  # month 0, second 62 …
        return 0


def _problem(info: zipfile.ZipInfo, end: int) -> FailureMessage | None:
    if info.flag_bits & ENCRYPTED:
        return local_failures.ZIP_ENCRYPTED()
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return local_failures.ZIP_METHOD(method=info.compress_type)
    begin = info.header_offset
    if begin < 0 or begin + LOCAL_HEADER.size + info.compress_size > end:
        return local_failures.ZIP_OVERLAP()
    if info.file_size > max(BOMB_SIZE, BOMB_RATIO * info.compress_size):
        return local_failures.ZIP_BOMB(size=info.file_size, packed=info.compress_size)
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        return local_failures.ZIP_DAMAGED()
    return None


def _name(info: zipfile.ZipInfo) -> tuple[str, bool]:
    """Return a member's name, and whether it is a path inside the archive.

    Without a flag for UTF-8, programs write names in encodings of their own; the standard one is
    code page 437. Most are in UTF-8 all the same, or there is a copy in UTF-8.
    """
    name = _shown(info)
    parts = [part for part in name.split("/") if part != "."]
    if "\0" not in name and {"", ".."}.isdisjoint(parts) and not re.match("[A-Za-z]:", name):
        return "/".join(parts), True
    safe = [part.replace("\0", "_") for part in parts if part]
    return "/".join("(..)" if part == ".." else part for part in safe) or "_", False


def _shown(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        with suppress(ValueError):
            raw = name.encode("cp437")
            name = (_utf8_name(info.extra, raw) or raw).decode()
    if info.create_system == DOS and "/" not in name:
        name = name.replace("\\", "/")
    return name


def _utf8_name(extra: bytes, raw: bytes) -> bytes | None:
    """Return the copy of a name in UTF-8 in an extra field, if it is of this name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and field[1:5] == struct.pack("<I", zlib.crc32(raw)):
            return field[5:]
    return None


class _Inflater:
    """Decompresses a member in order."""

    def __init__(self, member: Member, begin: int) -> None:
        self.position = 0
        self._next = begin
        self._left = member.packed
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, descriptor: int, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end of the data. Raises `zlib.error`."""
        pieces = []
        while size and not self._zlib.eof:
            data = self._zlib.unconsumed_tail
            if not data and self._left:
                os.lseek(descriptor, self._next, os.SEEK_SET)
                data = os.read(descriptor, min(INPUT, self._left))
                self._next += len(data)
                self._left -= len(data)
            piece = self._zlib.decompress(data, size)
            if not piece and not data:
                break
            pieces.append(piece)
            size -= len(piece)
            self.position += len(piece)
        return b"".join(pieces)


_inflaters: OrderedDict[tuple[Path, str], _Inflater] = OrderedDict()


def read_member(
    archive: Path, member: Member, descriptor: int, *, offset: int, size: int
) -> bytes:
    """Return `size` bytes of a member's content from `offset` on, fewer at its end.

    `descriptor` is the open archive. A compressed member is decompressed in order: reads that go
    on where the last one ended are fast, others begin again. Raises `OSError`, and `PhotoError`
    where the member can't be read.
    """
    size = max(0, min(size, member.size - offset))
    if not member.is_compressed:
        seek_member(member, descriptor, offset=offset)
        return os.read(descriptor, size)
    key = (archive, member.name)
    with _lock:
        inflater = _inflaters.pop(key, None)
    if inflater is None or inflater.position > offset:
        inflater = _Inflater(member, seek_member(member, descriptor))
    try:
        while inflater.position < offset:
            if not inflater.read(descriptor, min(INPUT, offset - inflater.position)):
                return b""
        data = inflater.read(descriptor, size)
    except zlib.error:
        raise PhotoError(local_failures.ZIP_DAMAGED()) from None
    if inflater.position < member.size and data:
        with _lock:
            _inflaters[key] = inflater
            while len(_inflaters) > STREAMS:
                _inflaters.popitem(last=False)
    return data


def seek_member(member: Member, descriptor: int, *, offset: int = 0) -> int:
    """Go to a member's data, or `offset` bytes further; return where that is in the archive.

    The data is after the member's own header, whose length only that tells. Raises `PhotoError`
    where the member can't be read.
    """
    if member.problem is not None:
        raise PhotoError(member.problem)
    os.lseek(descriptor, member.header, os.SEEK_SET)
    header = os.read(descriptor, LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise PhotoError(local_failures.ZIP_DAMAGED())
    _, name, extra = LOCAL_HEADER.unpack(header)
    begin = member.header + LOCAL_HEADER.size + int(name) + int(extra) + offset
    return os.lseek(descriptor, begin, os.SEEK_SET)
