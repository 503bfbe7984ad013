"""Which album a photo goes to, by its place in the archive: pure, names only.

Knows paths and names, and no server.
"""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bulkup.albums import ROOT
from bulkup.errors import PhotoError


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

    def names(self, photo: Path) -> tuple[str, ...]:
        """Return the names of the albums below `base` on the way to a photo's.

        Raises `PhotoError` where it would belong to no album.
        """
        names = tuple(map(self._name, self._folders(photo))) if self.tree else ()
        if not names and self.base == ROOT:
            raise PhotoError(
                "it lies in no folder that could be an album",
                hint="Give --album for what lies at the top.",
            )
        return names

    def _folders(self, photo: Path) -> tuple[str, ...]:
        for folder in (photo, *photo.parents):
            if (root := self._real.get(folder)) is not None:
                if folder == photo:
                    return ()  # a file that was named itself
                inner = photo.parent.relative_to(folder).parts
                return inner if self.unwrap or not root.name else (root.name, *inner)
        # from a list of files: the folders are those of its line
        return tuple(part for part in photo.parent.parts if part not in {photo.anchor, ".."})

    def _name(self, folder: str) -> str:
        name = unicodedata.normalize("NFC", folder.encode("utf-8", "replace").decode())
        if self.spaces:
            name = name.replace("_", " ")
        return name.strip() or "_"
