"""Local files: the walk over an archive, the fingerprint of a photo, its chunks and their bytes.

Knows the disk and nothing of any server. A file is never held whole in memory, a tree never
listed whole, and whatever blocks runs in a worker thread.
"""

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.errors import PhotoChanged, PhotoError, UsageError
from bulkup.events import SkipReason

BLOCK: Final = 4096
"""Piwigo reads an uploaded chunk in blocks of this many bytes (`pwg.images.upload`)."""

PIECE: Final = 256 * 1024
"""Bytes read from a file at once."""

JUNK: Final = frozenset(
    {
        "@eadir", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot",
        "$recycle.bin", "__macosx", "lost+found", "system volume information",
        "thumbs.db", "ehthumbs.db", "desktop.ini",
    }
)  # fmt: skip
"""Lower-case names of what systems leave beside photos, as does every name with a dot first."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A file to bring to the server, as it was when last looked at; `size` in bytes."""

    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or a whole junk folder, that is left out by rule."""

    path: Path
    size: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that the walk can't look into, and the system's reason."""

    path: Path
    reason: str


Found = Photo | Skipped | Unreadable


@dataclass(frozen=True, slots=True)
class Chunk:
    """`length` bytes of a photo from `offset` on, the `index`-th of `count` from 0."""

    index: int
    count: int
    offset: int
    length: int


def check_roots(roots: Sequence[Path]) -> list[Path]:
    """Return the roots without those that the walk over another one comes to anyway.

    Raises `UsageError` where one is not there.
    """
    for root in roots:
        try:
            root.stat()
        except OSError as error:
            raise UsageError(
                f"{root}: {error.strerror}", hint="Give a folder or a photo that is there."
            ) from None
    resolved = [root.resolve() for root in roots]
    return [
        root
        for i, root in enumerate(roots)
        if not any(
            _is_walked_from(other, resolved[i]) and (resolved[i] != other or j < i)
            for j, other in enumerate(resolved)
            if i != j
        )
    ]


def _is_walked_from(root: Path, path: Path) -> bool:
    """Tell whether the path lies below the root, and in no junk folder there."""
    return path.is_relative_to(root) and not any(map(is_junk, path.relative_to(root).parts))


def scan(roots: Sequence[Path], *, endings: Collection[str] | None) -> Iterator[Found]:
    """Walk the roots depth first in name order and yield whatever lies there, one at a time.

    `endings` are the lower-case file endings that the server takes, without a dot; None takes all.
    Symbolic links below a root are not followed, so there can be no loops.
    """
    for root in roots:
        if not root.is_dir():
            yield _judge(root, follow=True, endings=endings)
            continue
        folders = [(root, iter([""]))]
        while folders:
            folder, names = folders[-1]
            name = next(names, None)
            if name is None:
                folders.pop()
                continue
            path = folder / name
            if name and is_junk(name):
                yield Skipped(path, 0, SkipReason.JUNK)
            elif not name or _is_folder(path):
                try:
                    folders.append((path, iter(sorted(os.listdir(path)))))  # noqa: PTH208 (names alone take a tenth of the memory)
                except OSError as error:
                    yield Unreadable(path, error.strerror or str(error))
            else:
                yield _judge(path, follow=False, endings=endings)


def is_junk(name: str) -> bool:
    """Tell whether a file or folder of this name is no photo of anybody's."""
    return name.startswith(".") or name.lower() in JUNK


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _judge(path: Path, *, follow: bool, endings: Collection[str] | None) -> Found:
    try:
        status = path.stat() if follow else path.lstat()
    except OSError as error:
        return Unreadable(path, error.strerror or str(error))
    if stat.S_ISLNK(status.st_mode):
        return Skipped(path, 0, SkipReason.SYMLINK)
    if not stat.S_ISREG(status.st_mode):
        return Skipped(path, 0, SkipReason.SPECIAL)
    if endings is not None and path.suffix[1:].lower() not in endings:
        return Skipped(path, status.st_size, SkipReason.TYPE)
    return Photo(path, status.st_size, status.st_mtime_ns)


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
        raise PhotoError("the file is empty", hint="Look for an intact copy, or remove the file.")
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
    """Yield the bytes of a chunk, some hundred kB at a time, and feed them to `digest`.

    After the last byte of the chunk is read and before it is yielded, the file is compared with
    `photo`. Raises `PhotoChanged` if it is another one now, `PhotoError` if it can't be read.
    """
    offset, end = chunk.offset, chunk.offset + chunk.length
    while offset < end:
        length = min(PIECE, end - offset)
        piece = await to_thread.run_sync(_read_piece, photo, offset, length, digest)
        offset += len(piece)
        yield piece


def _read_piece(photo: Photo, offset: int, length: int, digest: "hashlib._Hash | None") -> bytes:
    with _reading(photo) as file:
        file.seek(offset)
        piece = file.read(length)
        _check_unchanged(photo, file.fileno())
    if len(piece) < length:
        raise PhotoChanged("the file became shorter while it was read")
    if digest is not None:
        digest.update(piece)
    return piece


@contextmanager
def _reading(photo: Photo) -> Iterator[FileIO]:
    try:
        with FileIO(photo.path, opener=_opener) as file:
            yield file
    except FileNotFoundError:
        raise PhotoError(
            "the file has vanished", hint="If it was moved, run again on its new place."
        ) from None
    except OSError as error:
        raise PhotoError(
            f"the file can't be read: {error.strerror or error}",
            hint="Check its permissions and the disk.",
        ) from None


def _opener(path: str, flags: int) -> int:
    # a pipe that took the photo's place would make an ordinary open wait for its writer
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_unchanged(photo: Photo, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if (status.st_size, status.st_mtime_ns) != (photo.size, photo.mtime_ns):
        raise PhotoChanged(
            "the file changes while it is read", hint="Wait until it is complete, then run again."
        )
