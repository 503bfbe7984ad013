"""Which folders are albums on the way to a photo, by its place in the archive: pure, names only.

Knows paths and names, and no server.
"""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bulkup.albums import ROOT
from bulkup.errors import PhotoError
from bulkup.failures import local


@dataclass(frozen=True, slots=True)
class Step:
    """A folder that is an album on the way to a photo's, and its name as it is spelled."""

    folder: Path
    spelled: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """How the folders below `roots` become albums below `base`, the gallery's top if `ROOT`.

    Without `tree` all photos go to `base`. `unwrap` leaves out the album of each root itself,
    `spaces` writes blanks for underscores.
    """

    roots: Sequence[Path] = ()
    base: int
    tree: bool = False
    unwrap: bool = False
    spaces: bool = False
    _real: dict[Path, Path] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for root in self.roots:
            plain = root.name not in {"", ".."}
            self._real[root] = root if plain else Path(os.path.abspath(root))  # noqa: PTH100

    def steps(self, photo: Path) -> tuple[Step, ...]:
        """Return the folders that are albums below `base` on the way to a photo's.

        Raises `PhotoError` where it would belong to no album.
        """
        steps = tuple(self._up(photo))[::-1] if self.tree else ()
        if not steps and self.base == ROOT:
            raise PhotoError(local.NO_FOLDER())
        return steps

    def _up(self, photo: Path) -> Iterator[Step]:
        if photo in self._real:
            return  # a file that was named itself
        for folder in photo.parents:
            if (root := self._real.get(folder)) is not None:
                if root.name and not self.unwrap:
                    yield Step(folder, root.name)
                return
            # where no root comes, it is from a list of files: the folders are those of its line
            if folder.name not in {"", ".."}:
                yield Step(folder, folder.name)

    def name(self, folder: str) -> str:
        """Return what the album of a folder of this name is called."""
        name = unicodedata.normalize("NFC", folder.encode("utf-8", "replace").decode())
        if self.spaces:
            name = name.replace("_", " ")
        return name.strip() or "_"
