"""Moves uploaded files to a folder or the trash, without overwriting or losing anything."""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from anyio import from_thread

from bulkup.errors import PhotoChanged, PhotoError, UsageError
from bulkup.errors import local as local_failures
from bulkup.source import zips
from bulkup.source.files import absolute
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.photos import Photo
from bulkup.source.scan import may_reach

PIECE: Final = 1024 * 1024
MOST_NUMBERED: Final = 9999


class Mover:
    """Moves files to a folder, with their paths relative to their root.

    A file from a list has no root: it keeps its path relative to the current folder, or its
    absolute one if it is elsewhere. Raises `UsageError` if the folder is not usable, or if the
    next run would find the files there.
    """

    def __init__(
        self, folder: Path, *, roots: Sequence[Path], filters: Filters = EVERYTHING
    ) -> None:
        for root in roots:
            if may_reach(root.resolve(), _as_below(root, folder.resolve()), filters):
                raise UsageError(
                    f"--after move:{folder} lies inside {root}",
                    hint="The next run would find the photos there. Use a folder outside of it, "
                    "or a hidden one, whose name begins with a dot.",
                )
        there = folder if folder.exists() else folder.parent
        if not there.is_dir():
            raise UsageError(
                f"--after move:{folder}: {there} is not a folder", hint="Create it first."
            )
        if not os.access(there, os.W_OK):
            raise UsageError(
                f"--after move:{folder}: {there} is not writable", hint="Change its permissions."
            )
        self._folder = folder
        self._roots = frozenset(roots)

    def put(self, photo: Photo) -> Path:
        """Move the file and return its new path.

        An existing file of that name is kept: if it has the same content, this one is deleted,
        otherwise it is moved under a numbered name. Raises `PhotoError` and leaves the file in
        place.
        """
        check_untouched(photo)
        place = target = self._target(photo.path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            for place in _numbered(target):
                if _claim(place):
                    _move(photo, place)
                    return place
                if _is_equal(photo.path, place):
                    _remove(photo, place)
                    return place
        except OSError as error:
            reason = error.strerror or str(error)
            raise PhotoError(local_failures.CANT_MOVE(place=place, reason=reason)) from None
        raise PhotoError(local_failures.NAMES_USED_UP(target=target))

    def _target(self, path: Path) -> Path:
        if path in self._roots:
            return self._folder / path.name
        root = next((folder for folder in path.parents if folder in self._roots), None)
        if root is not None:
            return self._folder / path.relative_to(root)
        path, folder = Path(absolute(path)), Path(absolute(self._folder))
        if path.is_relative_to(folder):
            raise PhotoError(local_failures.THERE_ALREADY(folder=folder))
        here = Path.cwd()
        return self._folder / path.relative_to(here if path.is_relative_to(here) else path.anchor)


class Trash:
    """Moves files to the system's trash. Raises `UsageError` if the library is not installed."""

    def __init__(self) -> None:
        try:
            from send2trash import send2trash  # noqa: PLC0415 (optional)
        except ImportError:
            raise UsageError(
                "--after trash needs a library that is not installed: send2trash",
                hint="Install it with: pip install 'bulkup[trash]'",
            ) from None
        self._send2trash: Callable[[Path], None] = send2trash

    def put(self, photo: Photo) -> None:
        """Move the file to the trash. Raises `PhotoError` and leaves the file in place."""
        check_untouched(photo)
        try:
            self._send2trash(photo.path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise PhotoError(local_failures.CANT_TRASH(reason=reason)) from None


def check_untouched(photo: Photo) -> None:
    """Raise `PhotoError` if the file may not be removed, or has changed."""
    if zips.split(photo.path) is not None:
        raise PhotoError(local_failures.IN_ARCHIVE())
    try:
        status = photo.path.lstat()
    except OSError as error:
        raise PhotoError(local_failures.OUT_OF_SIGHT(reason=error.strerror or error)) from None
    if not stat.S_ISREG(status.st_mode):
        raise PhotoError(local_failures.IS_LINK())
    if (status.st_size, status.st_mtime_ns) != (photo.size, photo.mtime_ns):
        raise PhotoChanged(local_failures.CHANGED_SINCE())
    if not os.access(photo.path.parent, os.W_OK):
        raise PhotoError(local_failures.FOLDER_PROTECTED())


def _as_below(root: Path, folder: Path) -> Path:
    """Return a folder as a path below the root, also if it is mounted elsewhere."""
    for above in (folder, *folder.parents):
        with suppress(OSError):
            if above.samefile(root):
                return root.resolve() / folder.relative_to(above)
    return folder


def _numbered(target: Path) -> Iterator[Path]:
    yield target
    for number in count(2):
        if number > MOST_NUMBERED:
            return
        yield target.with_name(f"{target.stem} ({number}){target.suffix}")


def _claim(place: Path) -> bool:
    """Create an empty file, which reserves the name; return False if it exists."""
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def _move(photo: Photo, claimed: Path) -> None:
    """Move the file over the reserved empty one, which is deleted on failure."""
    try:
        photo.path.replace(claimed)
    except OSError as error:
        try:
            if error.errno != errno.EXDEV:
                raise
            _copy(photo, claimed)
        except BaseException:
            claimed.unlink()
            raise
        photo.path.unlink()
        return
    status = claimed.stat()
    if (status.st_size, status.st_mtime_ns) != (photo.size, photo.mtime_ns):
        raise PhotoChanged(local_failures.CHANGED_LATE(place=claimed))


def _remove(photo: Photo, equal: Path) -> None:
    """Delete a file that has an equal copy. Raises `PhotoError` if both may be the same file."""
    if photo.path.samefile(equal) or _is_one_folder(photo.path.parent, equal.parent):
        raise PhotoError(local_failures.SAME_FILE(other=equal))
    _flush(equal)
    check_untouched(photo)
    photo.path.unlink()


def _is_one_folder(folder: Path, other: Path) -> bool:
    """Return whether two paths are the same folder, even with different inode numbers.

    A network or FUSE file system has other numbers at each mount, but a new file shows in both.
    """
    with NamedTemporaryFile(dir=folder, prefix=".bulkup-") as probe:
        return os.path.lexists(other / Path(probe.name).name)


def _copy(photo: Photo, claimed: Path) -> None:
    """Copy the file over the reserved empty one: atomically, flushed, and compared."""
    with NamedTemporaryFile(dir=claimed.parent, prefix=".bulkup-", delete=False) as copy:
        half = Path(copy.name)
        try:
            with photo.path.open("rb") as file:
                while piece := file.read(PIECE):
                    from_thread.check_cancelled()
                    copy.write(piece)
            copy.flush()
            with suppress(OSError):  # some file systems keep no permissions
                shutil.copystat(photo.path, half)
            os.fsync(copy.fileno())
            _check_equal(photo.path, half)
            check_untouched(photo)
            copy.close()
            half.replace(claimed)
        except BaseException:
            copy.close()
            half.unlink()
            raise
    _flush(claimed.parent)


def _check_equal(path: Path, copy: Path) -> None:
    if not _is_equal(path, copy):
        raise PhotoError(local_failures.COPY_DIFFERS(folder=copy.parent))


def _is_equal(path: Path, other: Path) -> bool:
    """Return whether two files have equal content. Raises `PhotoError` if both are the same."""
    status, seen = path.stat(), other.lstat()
    if os.path.samestat(status, seen):
        raise PhotoError(local_failures.SAME_FILE(other=other))
    if not stat.S_ISREG(seen.st_mode) or status.st_size != seen.st_size:
        return False
    with path.open("rb") as file, other.open("rb") as second:
        while piece := file.read(PIECE):
            from_thread.check_cancelled()
            if piece != second.read(PIECE):
                return False
        return not second.read(1)


def _flush(path: Path) -> None:
    """Flush a file, or a folder's entries, to disk, if the system can."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
