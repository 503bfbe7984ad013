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
    two people do; archives are not expected to change. Methods may be called in several threads.
    """

    def __init__(
        self, make: Callable[[Mapping[str, Path]], T], *, parts: Sequence[Path] = (), most: int
    ) -> None:
        self._make = make
        self._parts = parts
        self._part_set = frozenset(parts)
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[object, T]] = OrderedDict()
        self._lock = Lock()
        self._is_shared = lru_cache(maxsize=FOLDERS)(self._agree)

    def of(self, folder: Path) -> T:
        """Return the value of a folder. Raises `OSError`."""
        key, version = self._identify(folder)
        with self._lock:
            if (kept := self._kept.get(key)) is not None and kept[0] == version:
                self._kept.move_to_end(key)
                return kept[1]
        value = self._make(list_folder(folder, self._parts))
        with self._lock:
            self._kept[key] = version, value
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value

    def _identify(self, folder: Path) -> tuple[Hashable, object]:
        """Return what identifies a folder, and what changes with its files."""
        inside = (folder, "") if zips.is_zip(folder) else zips.split(folder)
        if inside is not None and inside[0] in self._part_set:
            return (inside[1] if self._is_shared(inside[1]) else inside), None
        return folder, folder_version(folder)

    def _agree(self, folder: str) -> bool:
        """Return whether sidecars of one name are equal in all parts that have this folder."""
        first: dict[str, zips.Archive] = {}
        for part in self._parts:
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
