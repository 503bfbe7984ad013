"""Finds the files to upload below folders, in zip archives, and in a list of paths."""

import errno
import os
import re
import shlex
import stat
from collections import defaultdict, deque
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Iterator,
    Sequence,
)
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeGuard

from anyio import to_thread

from bulkup.errors import FailureKind, FailureMessage, UsageError
from bulkup.errors import local as local_failures
from bulkup.events import SkipReason
from bulkup.source import zips
from bulkup.source.files import SIDECARS
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.path_list import read_list
from bulkup.source.photos import Photo, ending_of

BATCH: Final = 64


def check_roots(roots: Sequence[Path], filters: Filters = EVERYTHING) -> list[Path]:
    """Return the roots without those that are inside another one.

    Raises `UsageError` if one does not exist.
    """
    for root in roots:
        try:
            root.stat()
        except OSError as error:
            if archive := next(filter(zips.is_zip, root.parents), None):
                place = re.sub(r"([\\*?\[])", r"\\\1", root.relative_to(archive).as_posix())
                words = f"{shlex.quote(str(archive))} --include {shlex.quote(f'/{place}')}"
                raise UsageError(
                    f"{root} is inside a zip archive",
                    hint=f"Give the archive, and choose in it: {words}",
                ) from None
            raise UsageError(
                f"{root}: {error.strerror}", hint="Give an existing folder or photo."
            ) from None
    resolved = [root.resolve() for root in roots]
    return [
        root
        for i, root in enumerate(roots)
        if not any(
            _is_walked_from(other, resolved[i], filters) and (resolved[i] != other or j < i)
            for j, other in enumerate(resolved)
            if i != j
        )
    ]


def may_reach(root: Path, path: Path, filters: Filters, *, is_folder: bool = True) -> bool:
    """Return whether a scan of the root may find a file, or files in a folder, existing or not."""
    if not path.is_relative_to(root):
        return False
    names = path.relative_to(root).parts
    places = ["/".join(names[:depth]) + "/" for depth in range(1, len(names) + 1)]
    if places and not is_folder:
        places[-1] = places[-1].removesuffix("/")
    return not any(map(filters.is_junk, names)) and not any(map(filters.excludes, places))


def _is_walked_from(root: Path, path: Path, filters: Filters) -> bool:
    """Return whether a scan of the root includes everything at a path below it.

    It does not look into zip archives, which have to be given themselves.
    """
    if path != root and zips.is_zip(path):
        return False
    is_folder = path.is_dir()
    if not may_reach(root, path, filters, is_folder=is_folder):
        return False
    place = path.relative_to(root).as_posix() + "/" * is_folder
    return path == root or filters.patterns.decision(place) is not False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or a whole folder, that is excluded by a rule."""

    path: Path
    size: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that can't be read, and why.

    `reason` is the system's, of which `kind` makes a message, or the whole message.
    """

    path: Path
    reason: str | FailureMessage
    kind: FailureKind = local_failures.UNSEEN

    @property
    def failure(self) -> FailureMessage:
        """The message of the failure."""
        if isinstance(self.reason, FailureMessage):
            return self.reason
        return self.kind(reason=self.reason)

    @property
    def reason_text(self) -> str:
        """The reason alone."""
        return self.reason if isinstance(self.reason, str) else self.reason.message


Found = Photo | Skipped | Unreadable


async def find(
    roots: Sequence[Path],
    filters: Filters = EVERYTHING,
    *,
    endings: Collection[str] | None,
    only: Callable[[Found], bool] | None = None,
    convert: Collection[str] = (),
    repeat_links: bool = False,
) -> AsyncGenerator[Sequence[Found], None]:
    """Yield what `scan` finds below the roots, then the files of the list, in batches.

    `only` returns whether to yield an item. Files with an ending in `convert` are photos to be
    converted. With `repeat_links`, links to photos that were found
    already are yielded as such, instead of skipped. Raises `RunError` if the list can't be read.
    """

    def chosen(batch: Sequence[Found]) -> Sequence[Found]:
        return batch if only is None else [found for found in batch if only(found)]

    twice = (
        filters.listing or filters.follow_symlinks or (filters.patterns.rules and len(roots) > 1)
    )
    walk = Walk(
        filters,
        endings=endings,
        convert=convert,
        seen=Seen() if twice else None,
        repeat_links=repeat_links,
    )
    for archive in await to_thread.run_sync(zips.only_zips, roots):
        await to_thread.run_sync(_open_archive, archive, abandon_on_cancel=True)
        yield []  # reading large archives takes long: let a stop come between them
    found = walk.over(roots)
    while batch := await to_thread.run_sync(lambda: list(islice(found, BATCH))):
        yield chosen(batch)
    if filters.listing is not None:
        async with aclosing(read_list(filters.listing)) as lists:
            async for paths in lists:
                for start in range(0, max(1, len(paths)), BATCH):
                    some = paths[start : start + BATCH]
                    yield chosen(await to_thread.run_sync(walk.named, some))


def _open_archive(archive: Path) -> None:
    """Read the directory of an archive, which is kept; the scan reports what fails."""
    with suppress(OSError, zips.ZipError):
        zips.open_archive(archive)


def scan(
    roots: Sequence[Path], filters: Filters = EVERYTHING, *, endings: Collection[str] | None
) -> Iterator[Found]:
    """Yield everything below the roots, depth first in name order, targets of links last.

    `endings` are the lower-case file endings that the server accepts, without a dot; None is all.
    """
    return Walk(filters, endings=endings).over(roots)


class Seen:
    """The files found so far, a bit for each inode number where these are dense."""

    def __init__(self) -> None:
        self._bits: dict[tuple[int, int], int] = {}
        self._names: set[str] = set()

    def add(self, path: Path, status: os.stat_result) -> bool:
        """Add a file, and return whether it is new."""
        if status.st_nlink > 1 or not status.st_ino:
            name = os.path.realpath(path)  # users see each hard link as a file
            new = name not in self._names
            self._names.add(name)
            return new
        key, bit = (status.st_dev, status.st_ino >> 8), 1 << (status.st_ino & 255)
        bits = self._bits.get(key, 0)
        self._bits[key] = bits | bit
        return not bits & bit


_Number = tuple[int, int]


@dataclass(slots=True)
class _Folder:
    """A folder during the walk, with the names still to visit.

    `numbers` identify its parent folders and itself, as far as known; `has_links` is set once a
    link was found in it.
    """

    path: Path
    place: str
    names: Iterator[str]
    numbers: tuple[_Number, ...]
    has_links: bool = False


class Walk:
    """Finds and classifies files; one that `seen` contains is skipped.

    With `repeat_links`, a link to such a file is a photo too.
    """

    def __init__(
        self,
        filters: Filters,
        *,
        endings: Collection[str] | None,
        convert: Collection[str] = (),
        seen: Seen | None = None,
        repeat_links: bool = False,
    ) -> None:
        self._repeat_links = repeat_links
        self._linked: dict[str, Path] = {}  # where the targets of links were found first
        self._filters = filters
        self._endings = endings
        self._convert = convert
        self._seen = seen

    def over(self, roots: Sequence[Path]) -> Iterator[Found]:
        """Yield what is below the roots. A root is included whatever its name.

        Zip archives come first, as one tree. Links are followed at the end, so that a file counts
        where it really is.
        """
        linking: deque[_Folder] = deque()
        archives = zips.only_zips(roots)
        yield from self._in_zips(archives)
        for root in roots:
            status = _look(root, follow=True)
            if root in archives:
                continue
            if _is_folder(status):
                yield from self._below(root, "", status, linking=linking)
            else:
                yield self._classify(root, root.name, status)
        while linking:
            yield from self._follow_links(linking.popleft(), linking)

    def named(self, paths: Sequence[Path]) -> list[Found]:
        """Classify the paths of a list."""
        here = Path.cwd()
        return [self._classify_path(path, here) for path in paths]

    def _classify_path(self, path: Path, here: Path) -> Found:
        place = _place(path, here)
        if any(self._filters.is_junk(name) for name in place.split("/") if name != ".."):
            return Skipped(path, 0, SkipReason.JUNK)
        if (inside := zips.split(path)) is not None:
            return self._classify_in_zip(path, place, *inside)
        status = _look(path, follow=True)
        if isinstance(status, OSError):
            return Unreadable(path, _reason(status), local_failures.NOT_THERE)
        if _is_folder(status):
            return Unreadable(path, "it is a folder", local_failures.IS_FOLDER)
        return self._classify(path, place, status)

    def _classify_in_zip(self, path: Path, place: str, archive: Path, name: str) -> Found:
        try:
            member = zips.open_archive(archive).find(name)
        except OSError as error:
            return Unreadable(path, _reason(error))
        except zips.ZipError as error:
            return Unreadable(path, str(error), local_failures.ZIP_BROKEN)
        if member is None:
            return Unreadable(path, "it is not in the archive", local_failures.NOT_THERE)
        return self._classify_member(path, place, member)

    def _below(
        self,
        top: Path,
        place: str,
        top_status: os.stat_result,
        *,
        linking: deque[_Folder],
        above: tuple[_Number, ...] = (),
    ) -> Iterator[Found]:
        """Yield what is below a folder, whose parent folders are `above`.

        Folders with links to follow are added to `linking`.
        """
        folders: list[_Folder] = []
        if obstacle := self._enter(top, place, top_status, folders, above):
            yield obstacle
        while folders:
            folder = folders[-1]
            name = next(folder.names, None)
            if name is None:
                folders.pop()
                continue
            path, place = folder.path / name, folder.place + name
            if self._filters.is_junk(name):
                yield Skipped(path, 0, SkipReason.JUNK)
                continue
            status = _look(path, follow=False)
            if self._filters.follow_symlinks and _is_link(status):
                if not folder.has_links:
                    folder.has_links = True
                    linking.append(folder)
            elif not _is_folder(status):
                yield self._classify(path, place, status)
            elif obstacle := self._enter(path, f"{place}/", status, folders, folder.numbers):
                yield obstacle

    def _follow_links(self, folder: _Folder, linking: deque[_Folder]) -> Iterator[Found]:
        """Yield the targets of the links in a folder, which is listed again: few have any."""
        try:
            names = sorted(os.listdir(folder.path))  # noqa: PTH208 (see `_enter`)
        except OSError as error:
            yield Unreadable(folder.path, _reason(error))
            return
        for name in names:
            path, place = folder.path / name, folder.place + name
            if self._filters.is_junk(name) or not _is_link(_look(path, follow=False)):
                continue
            status = _look(path, follow=True)
            if _is_folder(status):
                above = folder.numbers
                yield from self._below(path, f"{place}/", status, linking=linking, above=above)
            else:
                yield self._classify_link(path, self._classify(path, place, status), status)

    def _classify_link(self, path: Path, found: Found, status: os.stat_result | OSError) -> Found:
        """Return a link to a file as a photo although the file was found already, if asked to."""
        if not self._repeat_links or isinstance(status, OSError):
            return found
        repeated = isinstance(found, Skipped) and found.reason is SkipReason.REPEATED
        if repeated or isinstance(found, Photo):
            real = os.path.realpath(path)
            other = self._linked.setdefault(real, Path(real) if repeated else path)
            if repeated:
                return self._photo(path, status.st_size, status.st_mtime_ns, same_as=other)
        return found

    def _enter(
        self,
        path: Path,
        place: str,
        status: os.stat_result,
        folders: list[_Folder],
        above: tuple[_Number, ...],
    ) -> Found | None:
        """Add a folder to those to walk, or return why it is skipped."""
        if place and self._filters.excludes(place):
            return Skipped(path, 0, SkipReason.EXCLUDED)
        number = (status.st_dev, status.st_ino) if status.st_ino else None
        if number and self._filters.follow_symlinks and number in above:
            return Skipped(path, 0, SkipReason.REPEATED)
        try:
            names = iter(sorted(os.listdir(path)))  # noqa: PTH208 (names alone take a tenth of the memory)
        except OSError as error:
            return Unreadable(path, _reason(error))
        folders.append(_Folder(path, place, names, (*above, number) if number else above))
        return None

    def _in_zips(self, archives: Sequence[Path]) -> Iterator[Found]:
        """Yield the members of zip archives, or why one can't be read.

        They come folder by folder, so that the sidecars of a folder, which are spread over all
        parts of an export, are looked for once.
        """
        folders = defaultdict[str, list[tuple[Path, zips.Archive]]](list)
        for archive in archives:
            try:
                opened = zips.open_archive(archive)
                for folder in opened.folders():
                    folders[folder].append((archive, opened))
            except OSError as error:
                yield Unreadable(archive, _reason(error))
            except zips.ZipError as error:
                yield Unreadable(archive, str(error), local_failures.ZIP_BROKEN)
        for folder in sorted(folders, key=lambda folder: folder.split("/")):
            for archive, opened in folders[folder]:
                for member in opened.inside(folder):
                    path = archive / member.name
                    if any(map(self._filters.is_junk, member.name.split("/"))):
                        yield Skipped(path, member.size, SkipReason.JUNK)
                    else:
                        yield self._classify_member(path, member.name, member)

    def _classify_member(self, path: Path, place: str, member: zips.Member) -> Found:
        if self._filters.excludes(place):
            return Skipped(path, member.size, SkipReason.EXCLUDED)
        if member.is_link:
            return Skipped(path, 0, SkipReason.SYMLINK)
        found = self._classify_file(path, member.size, member.mtime_ns)
        if isinstance(found, Photo) and member.problem is not None:
            return Unreadable(path, member.problem)
        return found

    def _classify(self, path: Path, place: str, status: os.stat_result | OSError) -> Found:
        if self._filters.excludes(place):
            size = 0 if isinstance(status, OSError) else status.st_size
            return Skipped(path, size, SkipReason.EXCLUDED)
        if isinstance(status, OSError):
            if isinstance(status, FileNotFoundError) and path.is_symlink():
                return Unreadable(path, "broken link", local_failures.DANGLING)
            return Unreadable(path, _reason(status))
        if stat.S_ISLNK(status.st_mode):
            return Skipped(path, 0, SkipReason.SYMLINK)
        if not stat.S_ISREG(status.st_mode):
            return Skipped(path, 0, SkipReason.SPECIAL)
        found = self._classify_file(path, status.st_size, status.st_mtime_ns)
        if (
            isinstance(found, Photo)
            and self._seen is not None
            and not self._seen.add(path, status)
        ):
            return Skipped(path, status.st_size, SkipReason.REPEATED)
        return found

    def _classify_file(self, path: Path, size: int, mtime_ns: int) -> Photo | Skipped:
        if reason := self._filters.skip_reason(size=size, mtime_ns=mtime_ns):
            return Skipped(path, size, reason)
        if path.suffix.lower() in SIDECARS:
            return Skipped(path, size, SkipReason.SIDECAR)
        if self._endings is not None and ending_of(path) not in self._endings:
            return Skipped(path, size, SkipReason.TYPE)
        return self._photo(path, size, mtime_ns)

    def _photo(self, path: Path, size: int, mtime_ns: int, same_as: Path | None = None) -> Photo:
        convert = bool(self._convert) and ending_of(path) in self._convert
        return Photo(path, size, mtime_ns, same_as=same_as, convert=convert)


def _look(path: Path, *, follow: bool) -> os.stat_result | OSError:
    try:
        return path.stat(follow_symlinks=follow)
    except OSError as error:
        return error
    except ValueError:  # a name from a binary file given as a list
        return OSError(errno.EINVAL, "its name contains a NUL")


def _is_folder(status: os.stat_result | OSError) -> TypeGuard[os.stat_result]:
    return isinstance(status, os.stat_result) and stat.S_ISDIR(status.st_mode)


def _is_link(status: os.stat_result | OSError) -> bool:
    return isinstance(status, os.stat_result) and stat.S_ISLNK(status.st_mode)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _place(path: Path, here: Path) -> str:
    """Return the path of a listed file relative to the current folder, or else to its root."""
    if path.is_relative_to(here):
        path = path.relative_to(here)
    return path.relative_to(path.anchor).as_posix()
