"""Photo files: fingerprint (MD5), chunks, and detection of changes."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BufferedIOBase
from pathlib import Path
from typing import Final

import aiofiles
import anyio
from aiofiles.threadpool import wrap
from aiofiles.threadpool.binary import AsyncBufferedIOBase
from anyio import to_thread

from bulkup.errors import PhotoChanged, PhotoError
from bulkup.errors import local as local_failures
from bulkup.source.files import PIECE, opened

BLOCK: Final = 4096
"""Piwigo reads an uploaded chunk in blocks of this many bytes (`pwg.images.upload`)."""

# glibc gives freed memory back to the system beyond twice the size of the largest block freed so
# far. This one is never touched, so it takes no memory; without it, each piece is read into new
# pages, and page faults take a fifth of the processor time of sending. The price is that every
# thread that reads keeps the memory of the few pieces it once held together.
bytes(8 * PIECE)


def ending_of(path: Path) -> str:
    """Return the ending of a file's name in lower case, without its dot."""
    return path.suffix[1:].lower()


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo file with its size in bytes and modification time when it was last checked.

    `same_as` is another path of a file that was found twice. With `convert`, the photo is sent as
    a JPEG, which `content` holds while it is sent, and whose length is then the `size`.
    """

    path: Path
    size: int
    mtime_ns: int
    same_as: Path | None = field(default=None, compare=False)
    convert: bool = field(default=False, compare=False)
    content: Path | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The name of the file that is sent."""
        return f"{self.path.stem}.jpg" if self.convert else self.path.name


@dataclass(frozen=True, slots=True)
class Chunk:
    """`length` bytes of a photo from `offset`, chunk number `index` (from 0) of `count`."""

    index: int
    count: int
    offset: int
    length: int


async def fingerprint(photo: Photo) -> tuple[Photo, str]:
    """Return the photo with its current size and time, and its MD5 in lower-case hex.

    Raises `PhotoError` if the file is empty or can't be read, and `PhotoChanged` if it changes
    while it is read.
    """
    return await to_thread.run_sync(_fingerprint, photo, abandon_on_cancel=True)


def _fingerprint(photo: Photo) -> tuple[Photo, str]:
    with opened(photo.path) as file:
        now = replace(photo, size=file.size, mtime_ns=file.mtime_ns)
        md5 = file.md5()
        file.check(now.size, now.mtime_ns)
    if not now.size:
        raise PhotoError(local_failures.EMPTY())
    return now, md5


def plan_chunks(
    size: int, *, chunk_size: int, tail: Callable[[int], int] = lambda _: 0
) -> tuple[Chunk, ...]:
    """Split `size` bytes into chunks of `chunk_size`, rounded down to whole blocks, at least one.

    `tail` takes the size of the last chunk and returns how many of its bytes are to be a chunk of
    their own. No chunk is 1 byte longer than a multiple of 4096 (except for a file of one byte):
    `pwg.images.upload` would drop its last byte if that is an ASCII `0` (seen on Piwigo 13 to 17).
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

    The file is compared with `photo` after each read. Raises `PhotoChanged` if it differs and
    `PhotoError` if it can't be read.
    """
    file: AsyncBufferedIOBase = wrap(_ChunkFile(photo, chunk, digest))
    left = chunk.length
    while left:
        piece = await file.read(min(PIECE, left))
        left -= len(piece)
        yield piece


class _ChunkFile(BufferedIOBase):
    """A chunk as a binary file, which aiofiles reads in a thread.

    Each read opens the photo, checks it and closes it again. So a photo that is replaced or
    removed between two reads is noticed, a cancelled read leaves no file open, and a read costs
    one switch to a thread instead of four (open, read, stat, close). It takes as few system calls
    as possible: after each one, the thread competes with the event loop for the interpreter.
    """

    def __init__(self, photo: Photo, chunk: Chunk, digest: "hashlib._Hash | None") -> None:
        self._photo = photo
        self._offset = chunk.offset
        self._digest = digest

    def read(self, size: int, /) -> bytes:  # type: ignore[override] # never the whole file
        """Return the next `size` bytes. Raises as `read_chunk` does."""
        content = self._photo.content
        with opened(content or self._photo.path) as file:
            piece = file.read(size, offset=self._offset)
            if content is None:
                file.check(self._photo.size, self._photo.mtime_ns)
        if len(piece) < size:
            raise (PhotoError if content else PhotoChanged)(local_failures.SHORTER())
        self._offset += size
        if self._digest is not None:
            self._digest.update(piece)
        return piece


@asynccontextmanager
async def writable(file: Path) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """Open a new file for writing. Raises `PhotoError` where that fails."""

    def failure(error: OSError) -> PhotoError:
        reason = error.strerror or str(error)
        return PhotoError(local_failures.CANT_WRITE(place=file.parent.parent, reason=reason))

    try:
        with anyio.CancelScope(shield=True):  # the thread would open it all the same
            output = await aiofiles.open(file, "wb")
    except OSError as error:
        raise failure(error) from None

    async def write(piece: bytes) -> None:
        try:
            await output.write(piece)
        except OSError as error:
            raise failure(error) from None

    try:
        yield write
    except BaseException:
        with anyio.CancelScope(shield=True), suppress(OSError):
            await output.close()
        raise
    try:
        with anyio.CancelScope(shield=True):  # it would not be closed if no thread is free yet
            await output.close()
    except OSError as error:
        raise failure(error) from None
