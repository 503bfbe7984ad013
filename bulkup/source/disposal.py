"""Moves files away, or into the trash, without overwriting or losing anything."""

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
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.photos import Photo
from bulkup.source.scan import may_come_to

PIECE: Final = 1024 * 1024
MOST_NUMBERED: Final = 9999


class Mover:
    """Moves files below a folder, to where they lay below their root.

    What was named in a list has no root: it keeps its path below the current folder, or its whole
    one where it lies elsewhere. Raises `UsageError` where the folder can't take them, or the next
    run would find them there.
    """

    def __init__(
        self, folder: Path, *, roots: Sequence[Path], filters: Filters = EVERYTHING
    ) -> None:
        for root in roots:
            if may_come_to(root.resolve(), _as_below(root, folder.resolve()), filters):
                raise UsageError(
                    f"--after move:{folder} lies inside {root}",
                    hint="The next run would find the photos there. Give a folder outside of it, "
                    "or a hidden one, whose name begins with a dot.",
                )
        there = folder if folder.exists() else folder.parent
        if not there.is_dir():
            raise UsageError(f"--after move:{folder}: {there} is no folder", hint="Make it first.")
        if not os.access(there, os.W_OK):
            raise UsageError(
                f"--after move:{folder}: {there} may not be written to", hint="Permit it."
            )
        self._folder = folder
        self._roots = frozenset(roots)

    def put(self, photo: Photo) -> Path:
        """Move the file and return its new place.

        A file of its name stays: if it has the same content, this one is removed instead of
        moved, otherwise it gets a number. Raises `PhotoError`, the file being where it was.
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
        path, folder = _absolute(path), _absolute(self._folder)
        if path.is_relative_to(folder):
            raise PhotoError(local_failures.THERE_ALREADY(folder=folder))
        here = Path.cwd()
        return self._folder / path.relative_to(here if path.is_relative_to(here) else path.anchor)


class Trash:
    """Puts files into the system's trash. Raises `UsageError` where nobody knows how."""

    def __init__(self) -> None:
        try:
            from send2trash import send2trash  # noqa: PLC0415 (not everybody has it)
        except ImportError:
            raise UsageError(
                "--after trash needs a library that is not installed: send2trash",
                hint="Install it with: pip install 'bulkup[trash]'",
            ) from None
        self._throw: Callable[[Path], None] = send2trash

    def put(self, photo: Photo) -> None:
        """Put the file there. Raises `PhotoError`, the file being where it was."""
        check_untouched(photo)
        try:
            self._throw(photo.path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise PhotoError(local_failures.CANT_TRASH(reason=reason)) from None


def check_untouched(photo: Photo) -> None:
    """Raise `PhotoError` where the file may not be removed, or is not as it was."""
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


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (links are kept as they are named)


def _as_below(root: Path, folder: Path) -> Path:
    """Return a folder as a path below the root if it is there, be it by another mount."""
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
    """Make an empty file, and tell whether there was none: nobody else takes the name then."""
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def _move(photo: Photo, claimed: Path) -> None:
    """Move the file over an empty one of ours, which is removed where that fails."""
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
    """Remove a file that has its equal elsewhere. Raises `PhotoError` where that may be itself."""
    if photo.path.samefile(equal) or _is_one_folder(photo.path.parent, equal.parent):
        raise PhotoError(local_failures.SAME_FILE(other=equal))
    _flush(equal)
    check_untouched(photo)
    photo.path.unlink()


def _is_one_folder(folder: Path, other: Path) -> bool:
    """Tell whether what is in one folder is in the other, also where their numbers differ.

    A network drive or a file system of a program has others at each of its mounts, but a new name
    shows in both.
    """
    with NamedTemporaryFile(dir=folder, prefix=".bulkup-") as probe:
        return os.path.lexists(other / Path(probe.name).name)


def _copy(photo: Photo, claimed: Path) -> None:
    """Copy the file over an empty one of ours, at once and whole, flushed, and compared."""
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
    """Tell whether both files have the same bytes. Raises `PhotoError` where they are one file."""
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
    """Have a file, or the names in a folder, written to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
