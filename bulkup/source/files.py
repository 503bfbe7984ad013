"""Reads files and lists folders by their paths, whether on disk or in a zip archive."""

import hashlib
import json
import os
import stat
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Final, Generic, Protocol, TypeVar

from bulkup.errors import PhotoChanged, PhotoError
from bulkup.errors import local as local_failures
from bulkup.source import zips
from bulkup.source.metadata import line

PIECE: Final = 512 * 1024
"""Bytes per read of a file."""

BUFFER: Final = 256 * 1024
"""Bytes per read where a file is only hashed."""

SIDECARS: Final = frozenset({".xmp", ".json"})
"""Lower-case file name endings of sidecars."""

LARGEST_SIDECAR: Final = 8 * 1024 * 1024
"""Maximum size of a sidecar in bytes; Lightroom masks can take several megabytes."""

MOST_CONTAINERS: Final = 200_000
"""Maximum number of lists and objects in a JSON document: each takes far more memory than its
text."""

FOLDERS: Final = 10_000
"""Folders in zip archives of which it is kept whether the archives agree."""

T = TypeVar("T")

_FLAGS: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0)


def open_at_once(path: str | Path, flags: int = _FLAGS) -> int:
    """Open a file as `os.open` does, but if it is a pipe, without waiting for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class OpenFile(Protocol):
    """An open file with its size in bytes and its modification time when it was opened.

    `in_order` is whether reading from an offset takes as long as reading all that is before it.
    Methods raise `OSError`, and `PhotoError` with the reason where the file can't be read.
    """

    size: int
    mtime_ns: int
    in_order: bool

    def read(self, size: int, *, offset: int) -> bytes:
        """Return `size` bytes from `offset` on, fewer at the end of the file."""

    def md5(self) -> str:
        """Return the MD5 of the whole content in lower-case hex."""

    def check(self, size: int, mtime_ns: int) -> None:
        """Raise `PhotoChanged` if the file has another size or time now."""


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """Open a file. Raises `PhotoError` where that fails, as does an `OSError` in the body."""
    try:
        inside = zips.split(path)
        descriptor = open_at_once(path if inside is None else inside[0])
        try:
            yield _DiskFile(descriptor) if inside is None else _ZipFile(*inside, descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise PhotoError(local_failures.VANISHED()) from None
    except zips.ZipError as error:
        raise PhotoError(local_failures.ZIP_BROKEN(reason=error)) from None
    except OSError as error:
        raise PhotoError(local_failures.UNREADABLE(reason=error.strerror or error)) from None


class _DiskFile:
    """A file on disk."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self.size, self.mtime_ns = status.st_size, status.st_mtime_ns
        self.in_order = False

    def read(self, size: int, *, offset: int) -> bytes:
        if offset:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
        return os.read(self._descriptor, size)

    def md5(self) -> str:
        with FileIO(self._descriptor, closefd=False) as file:
            return hashlib.file_digest(file, "md5").hexdigest()

    def check(self, size: int, mtime_ns: int) -> None:
        status = os.fstat(self._descriptor)
        if (status.st_size, status.st_mtime_ns) != (size, mtime_ns):
            raise PhotoChanged(local_failures.CHANGING())


class _ZipFile:
    """A member of a zip archive."""

    def __init__(self, archive: Path, name: str, descriptor: int) -> None:
        self._archive = archive
        self._name = name
        self._descriptor = descriptor
        self._members = zips.open_archive(archive)
        self._member = self._find()
        self.size, self.mtime_ns = self._member.size, self._member.mtime_ns
        self.in_order = self._member.is_compressed

    def _find(self) -> zips.Member:
        member = self._members.find(self._name)
        if member is None:
            raise FileNotFoundError
        return member

    def read(self, size: int, *, offset: int) -> bytes:
        return zips.read_member(
            self._archive, self._member, self._descriptor, offset=offset, size=size
        )

    def md5(self) -> str:
        """Return the MD5; raises `PhotoError` where the archive's own sum (CRC-32) differs."""
        md5, crc, size = hashlib.md5(usedforsecurity=False), 0, 0
        for piece in self._pieces():
            md5.update(piece)
            crc = zlib.crc32(piece, crc)
            size += len(piece)
        if (size, crc) != (self.size, self._member.crc):
            raise PhotoError(local_failures.ZIP_DAMAGED())
        return md5.hexdigest()

    def _pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the content; pieces of a stored one share a buffer, so that it stays in cache."""
        if self.in_order:
            offset = 0
            while piece := self.read(PIECE, offset=offset):
                offset += len(piece)
                yield piece
            return
        buffer, left = memoryview(bytearray(BUFFER)), self.size
        zips.seek_member(self._member, self._descriptor)
        with FileIO(self._descriptor, closefd=False) as file:
            while left and (count := file.readinto(buffer[:left])):
                left -= count
                yield buffer[:count]

    def check(self, size: int, mtime_ns: int) -> None:
        member = self._member
        if (members := zips.open_archive(self._archive)) is not self._members:
            self._members = members
            member = self._find()
        if (member.size, member.mtime_ns) != (size, mtime_ns):
            raise PhotoChanged(local_failures.CHANGING())


def version(path: Path) -> tuple[int, int]:
    """Return size and modification time of a file, as `OpenFile` has them. Raises `OSError`."""
    if (inside := zips.split(path)) is None:
        status = path.stat()
        return status.st_size, status.st_mtime_ns
    try:
        member = zips.open_archive(inside[0]).find(inside[1])
    except zips.ZipError as error:
        raise OSError(str(error)) from None
    if member is None:
        raise FileNotFoundError(f"{path} is not in the archive")
    return member.size, member.mtime_ns


def on_disk(path: Path) -> Path:
    """Return the file on disk that holds a file: its zip archive, or itself."""
    inside = zips.split(path)
    return path if inside is None else inside[0]


def absolute(path: Path | str) -> str:
    """Return an absolute path without `..` that keeps links; paths' own methods are far slower."""
    return os.path.abspath(path)  # noqa: PTH100


def is_file(path: Path) -> bool:
    """Return whether a listed path is a regular file, and not a folder or a pipe."""
    return path.is_file() or zips.split(path) is not None


def is_gone(path: Path) -> bool:
    """Return whether there is no file at a path."""
    if os.path.lexists(path):
        return False
    try:
        version(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def folder_version(folder: Path) -> object:
    """Return a value that changes when files are added to a folder or removed.

    Raises `OSError`.
    """
    return tuple(place.stat().st_mtime_ns for place, _ in _places(folder, ()))


def list_folder(folder: Path, parts: Sequence[Path] = ()) -> Mapping[str, Path]:
    """Return where each file in a folder lies, by the files' names.

    On disk, folders are among them. A folder in one of several zip archives, the `parts` of one
    tree, has the files that it has in all of them, the folder's own first. Raises `OSError`.
    """
    found: dict[str, Path] = {}
    for place, inner in _places(folder, parts):
        if inner is None:
            found.update(dict.fromkeys(os.listdir(place), place))  # noqa: PTH208 (paths take ten times the memory)
            continue
        try:
            names = zips.open_archive(place).names(inner)
        except zips.ZipError:
            continue  # the scan reports it
        where = place / inner
        for name in names:
            found.setdefault(name, where)
    return found


def _places(folder: Path, parts: Sequence[Path]) -> list[tuple[Path, str | None]]:
    """Return the folder, or the archives with the name that it has in them."""
    if zips.is_zip(folder):
        inside: tuple[Path, str] | None = (folder, "")
    else:
        inside = zips.split(folder)
    if inside is None:
        return [(folder, None)]
    archive, inner = inside
    return [(part, inner) for part in (archive, *(part for part in parts if part != archive))]


def read_file(path: Path, *, limit: int) -> bytes:
    """Return the whole content of a file.

    Raises `OSError`, or `ValueError` with a reason for the user if it is larger than `limit` bytes
    or can't be read.
    """
    if zips.split(path) is not None:
        try:
            with opened(path) as file:
                size = file.size
                data = file.read(limit + 1, offset=0) if size <= limit else b""
        except PhotoError as error:
            raise ValueError(error.message) from None
    else:
        with open(path, "rb", opener=open_at_once) as file_on_disk:
            if not stat.S_ISREG(os.fstat(file_on_disk.fileno()).st_mode):
                raise ValueError("it is not a file")
            data = file_on_disk.read(limit + 1)
            size = len(data)
    if size > limit:
        raise ValueError(f"it is larger than {limit // 1024**2} MB")
    return data


def read_json(data: bytes) -> object:
    """Parse JSON. Raises `ValueError` with a reason for the user."""
    if data.count(b"{") + data.count(b"[") > MOST_CONTAINERS:
        raise ValueError(f"it has more than {MOST_CONTAINERS:,} lists and objects")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {line(str(error))}") from None


class FolderCache(Generic[T]):
    """Makes a value from the listing of a folder, again only when the folder has changed.

    The values of the last `most` folders are kept. A folder in several zip archives, the `parts`
    of one tree, is one folder, unless they have different sidecars of one name, as the exports of
    two people do; archives are not expected to change. The parts of another archive are those
    beside it. With None, each archive is by itself. Methods may be called in several threads.
    """

    def __init__(
        self,
        make: Callable[[Mapping[str, Path]], T],
        *,
        parts: Sequence[Path] | None = (),
        most: int,
    ) -> None:
        self._make = make
        self._parts = None if parts is None else tuple(parts)
        self._part_set = frozenset(parts or ())
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[object, T]] = OrderedDict()
        self._lock = Lock()
        self._parts_with = lru_cache(maxsize=FOLDERS)(zips.parts_with)
        self._is_shared = lru_cache(maxsize=FOLDERS)(_agree)

    def of(self, folder: Path) -> T:
        """Return the value of a folder. Raises `OSError`."""
        parts = self._parts_of(folder)
        key, version = self._identify(folder, parts)
        with self._lock:
            if (kept := self._kept.get(key)) is not None and kept[0] == version:
                self._kept.move_to_end(key)
                return kept[1]
        value = self._make(list_folder(folder, parts))
        with self._lock:
            self._kept[key] = version, value
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value

    def _parts_of(self, folder: Path) -> tuple[Path, ...]:
        """Return the archives that have the same folders as the one with this folder."""
        inside = _inside(folder)
        if inside is None or self._parts is None:
            return ()
        return self._parts if inside[0] in self._part_set else self._parts_with(inside[0])

    def _identify(self, folder: Path, parts: tuple[Path, ...]) -> tuple[Hashable, object]:
        """Return what identifies a folder, and what changes with its files."""
        inside = _inside(folder)
        if inside is not None and parts:
            shared = self._is_shared(inside[1], parts)
            return ((parts, inside[1]) if shared else inside), None
        return folder, folder_version(folder)


def _inside(folder: Path) -> tuple[Path, str] | None:
    """Return the archive that a folder is in, or is itself, and its name there."""
    return (folder, "") if zips.is_zip(folder) else zips.split(folder)


def _agree(folder: str, parts: Sequence[Path]) -> bool:
    """Return whether sidecars of one name are equal in all parts that have this folder."""
    first: dict[str, zips.Archive] = {}
    for part in parts:
        try:
            archive = zips.open_archive(part)
        except (OSError, zips.ZipError):
            continue  # the scan reports it
        for name in archive.names(folder):
            if name.lower().endswith(tuple(SIDECARS)):
                other = first.setdefault(name, archive)
                if other is not archive and _differs(f"{folder}/{name}", other, archive):
                    return False
    return True


def _differs(name: str, *archives: zips.Archive) -> bool:
    """Return whether the content of a member is not the same in both archives."""
    one, other = (archive.find(name.removeprefix("/")) for archive in archives)
    return one is not None and other is not None and one.crc != other.crc
