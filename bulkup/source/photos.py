"""A photo as a file: its fingerprint (MD5), its chunks, and whether it changed meanwhile."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedIOBase, FileIO
from pathlib import Path
from typing import Final

from aiofiles.threadpool import wrap
from aiofiles.threadpool.binary import AsyncBufferedIOBase
from anyio import to_thread

from bulkup.errors import PhotoChanged, PhotoError
from bulkup.errors import local as local_failures

BLOCK: Final = 4096
"""Piwigo reads an uploaded chunk in blocks of this many bytes (`pwg.images.upload`)."""

PIECE: Final = 512 * 1024
"""Bytes read from a file at once."""


SIDECARS: Final = frozenset({".xmp", ".json"})
"""Lower-case endings of what lies beside photos and tells of them."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A file to bring to the server, as it was when last looked at; `size` in bytes."""

    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """`length` bytes of a photo from `offset` on, the `index`-th of `count` from 0."""

    index: int
    count: int
    offset: int
    length: int


async def fingerprint(photo: Photo) -> tuple[Photo, str]:
    """Return the photo as it is now and the MD5 of its content in lower-case hex.

    Raises `PhotoError` where the file is empty or can't be read, and `PhotoChanged` where it
    changes while it is read.
    """
    return await to_thread.run_sync(_fingerprint, photo, abandon_on_cancel=True)


def _fingerprint(photo: Photo) -> tuple[Photo, str]:
    with _reading(photo) as file:
        before = os.fstat(file.fileno())
        md5 = hashlib.file_digest(file, "md5").hexdigest()
        now = replace(photo, size=before.st_size, mtime_ns=before.st_mtime_ns)
        _check_unchanged(now, file.fileno())
    if not now.size:
        raise PhotoError(local_failures.EMPTY())
    return now, md5


def plan_chunks(
    size: int, *, chunk_size: int, tail: Callable[[int], int] = lambda _: 0
) -> tuple[Chunk, ...]:
    """Cut `size` bytes into chunks of `chunk_size`, rounded down to whole blocks, one at least.

    `tail` tells how many bytes of a last chunk of so many are to be a chunk by themselves. No
    chunk has a length of 1 modulo 4096 (but for a file of one byte): of such a chunk
    `pwg.images.upload` loses the last byte where that is an ASCII `0` (piwigo-api.md, 3.1).
    """
    step = max(BLOCK, chunk_size // BLOCK * BLOCK)
    bounds = [*range(0, size, step), size] if size else [0, 0]
    last = bounds[-1] - bounds[-2]
    if 0 < (short := tail(last)) < last and (head := (last - short) // BLOCK * BLOCK):
        bounds.insert(-1, bounds[-2] + head)
    if size > 1 and (bounds[-1] - bounds[-2]) % BLOCK == 1:
        if len(bounds) > 2:
            bounds[-2] -= 1
        else:
            bounds.insert(1, size - 2)
    count = len(bounds) - 1
    return tuple(Chunk(i, count, bounds[i], bounds[i + 1] - bounds[i]) for i in range(count))


async def read_chunk(
    photo: Photo, chunk: Chunk, *, digest: "hashlib._Hash | None" = None
) -> AsyncIterator[bytes]:
    """Yield the bytes of a chunk, up to `PIECE` at a time, and add them to `digest`.

    Each piece is yielded only after the file was found to be still that `photo`. Raises
    `PhotoChanged` if it is not, and `PhotoError` if it can't be read.
    """
    file: AsyncBufferedIOBase = wrap(_ChunkFile(photo, chunk, digest))
    left = chunk.length
    while left:
        piece = await file.read(min(PIECE, left))
        left -= len(piece)
        yield piece


class _ChunkFile(BufferedIOBase):
    """A chunk as a binary file, for aiofiles, which reads it in a thread.

    Each read opens the photo, checks it and closes it again. So a photo that is replaced or
    removed between two reads is noticed, a cancelled read leaves no file open, and a piece costs
    one switch to a thread instead of four (open, read, stat, close).
    """

    def __init__(self, photo: Photo, chunk: Chunk, digest: "hashlib._Hash | None") -> None:
        self._photo = photo
        self._offset = chunk.offset
        self._digest = digest

    def read(self, size: int, /) -> bytes:  # type: ignore[override] # never the whole file
        """Return the next `size` bytes. Raises as `read_chunk` does."""
        with _reading(self._photo) as file:
            file.seek(self._offset)
            piece = file.read(size)
            _check_unchanged(self._photo, file.fileno())
        if len(piece) < size:
            raise PhotoChanged(local_failures.SHORTER())
        self._offset += size
        if self._digest is not None:
            self._digest.update(piece)
        return piece


@contextmanager
def _reading(photo: Photo) -> Iterator[FileIO]:
    try:
        with FileIO(photo.path, opener=_opener) as file:
            yield file
    except FileNotFoundError:
        raise PhotoError(local_failures.VANISHED()) from None
    except OSError as error:
        raise PhotoError(local_failures.UNREADABLE(reason=error.strerror or error)) from None


def _opener(path: str, flags: int) -> int:
    # a pipe that took the photo's place would make an ordinary open wait for its writer
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_unchanged(photo: Photo, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if (status.st_size, status.st_mtime_ns) != (photo.size, photo.mtime_ns):
        raise PhotoChanged(local_failures.CHANGING())
