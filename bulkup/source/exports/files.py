"""Finds and reads the files of exports that say something of photos in other folders."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from bulkup.source import zips
from bulkup.source.files import FolderCache, read_file

T = TypeVar("T")
K = TypeVar("K")

AlbumPath = tuple[str, ...]
"""The names of an album and those above it, the topmost first."""

LISTINGS: Final = 8
NEIGHBOURS: Final = 4096
"""Folders of photos whose neighbours are remembered."""

MOST_FOLDERS: Final = 200
"""A folder with more folders in it is no export, which has few."""

Problem = tuple[Path, str]
"""A file that can't be used, and why."""


class ExportFiles:
    """Lists folders and reads files; call it in worker threads.

    `parts` are the zip archives of one tree. Files that can't be used are kept until
    `take_problems`. `comments` are the descriptions of the albums that were read.
    """

    def __init__(self, parts: Sequence[Path] = ()) -> None:
        self._parts = parts
        self._names = FolderCache(lambda listing: listing.keys(), parts=None, most=LISTINGS)
        self._around = lru_cache(maxsize=NEIGHBOURS)(self._find_around)
        self._problems: dict[Path, str] = {}
        self._lock = Lock()
        self.comments: dict[AlbumPath, str] = {}

    def names(self, folder: Path) -> Collection[str]:
        """Return the names of the files in a folder, none if it can't be read."""
        try:
            return self._names.of(folder)
        except OSError:
            return ()

    def has(self, folder: Path, *, ending: str) -> bool:
        """Return whether a folder has a file whose name ends like this."""
        return any(name.endswith(ending) for name in self.names(folder))

    def around(self, folder: Path) -> Sequence[Path]:
        """Return where other files of an export with photos in this folder may be.

        That is the folder itself, the one above and those beside it, and all folders in zip
        archives that are uploaded with it. It is looked for once.
        """
        return self._around(folder)

    def _find_around(self, folder: Path) -> Sequence[Path]:
        inside = (folder, "") if zips.is_zip(folder) else zips.split(folder)
        archives = list(self._parts)
        if inside is not None and inside[0] not in archives:
            archives += zips.parts_with(inside[0])
        above = folder.parent if inside is None else inside[0].parent
        places = [folder, above, *_folders_in(above)]
        for archive in archives:
            places += _folders_of(archive)
        return tuple(dict.fromkeys(places))

    def read(self, path: Path, parse: Callable[[bytes], T], *, limit: int) -> T | None:
        """Return the parsed content of a file of up to `limit` bytes.

        None if it can't be used: `parse` may raise `ValueError` with a reason for the user.
        """
        try:
            return parse(read_file(path, limit=limit))
        except FileNotFoundError:
            return None
        except OSError as error:
            self.add_problem(path, error.strerror or str(error))
        except ValueError as error:
            self.add_problem(path, str(error))
        return None

    def add_problem(self, path: Path, reason: str) -> None:
        """Keep a file that can't be used."""
        with self._lock:
            self._problems.setdefault(path, reason)

    def take_problems(self) -> Iterator[Problem]:
        """Return the files that can't be used, and forget them."""
        if not self._problems:
            return iter(())
        with self._lock:
            problems, self._problems = self._problems, {}
        return iter(problems.items())


def text_of(value: object) -> str:
    """Return a text of a JSON document, empty if it is none."""
    return value if isinstance(value, str) else ""


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, none if it has too many or can't be read."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    found.append(folder / entry.name)
                    if len(found) > MOST_FOLDERS:
                        return []
    except OSError:
        return []
    return sorted(found)


def _folders_of(archive: Path) -> list[Path]:
    """Return the folders with files in a zip archive, none if it can't be read."""
    try:
        return [archive / name for name in zips.open_archive(archive).folders()]
    except (OSError, zips.ZipError):
        return []


def by_photo(albums: Iterable[tuple[AlbumPath, Iterable[K]]]) -> Mapping[K, Sequence[AlbumPath]]:
    """Return the albums of each photo, from the photos of each album.

    Photos in the same albums share the memory for these.
    """
    found: dict[K, list[AlbumPath]] = {}
    for path, photos in albums:
        for photo in photos:
            found.setdefault(photo, []).append(path)
    shared: dict[tuple[AlbumPath, ...], tuple[AlbumPath, ...]] = {}
    by_photo: dict[K, Sequence[AlbumPath]] = {}
    while found:
        photo, paths = found.popitem()
        distinct = tuple(dict.fromkeys(paths))
        by_photo[photo] = shared.setdefault(distinct, distinct)
    return by_photo
