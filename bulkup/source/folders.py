"""What is known of folders by the names of their files, kept while their files are visited."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from bulkup.source import zips
from bulkup.source.files import folder_version, list_folder

T = TypeVar("T")


class FolderCache(Generic[T]):
    """Makes a value from the listing of a folder, again only when the folder has changed.

    The values of the last `most` folders are kept. A folder in several zip archives, the `parts`
    of one tree, is one folder; archives are not expected to change. Methods may be called in
    several threads.
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
            return inside[1], None
        return folder, folder_version(folder)
