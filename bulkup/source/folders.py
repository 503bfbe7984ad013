"""What is known of folders by the names of their files, kept while their files are visited."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Final, Generic, TypeVar

from bulkup.source import zips
from bulkup.source.files import folder_version, list_folder
from bulkup.source.photos import SIDECARS

T = TypeVar("T")

ENDINGS: Final = tuple(SIDECARS)
FOLDERS: Final = 10_000
"""Folders in zip archives of which it is kept whether the archives agree."""


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
            if name.lower().endswith(ENDINGS):
                other = first.setdefault(name, archive)
                if other is not archive and _differs(f"{folder}/{name}", other, archive):
                    return False
    return True


def _differs(name: str, *archives: zips.Archive) -> bool:
    """Return whether the content of a member is not the same in both archives."""
    one, other = (archive.find(name.removeprefix("/")) for archive in archives)
    return one is not None and other is not None and one.crc != other.crc
