"""The albums of a gallery as lines: each below the one that it lies in.

Knows numbers, names and parents; not where they come from.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.text import Text

from bulkup.report.text import count_text, printable
from bulkup.report.words import FAINT


class Album(Protocol):
    """What is shown of an album; `parent` 0: at the top."""

    @property
    def album_id(self) -> int:
        """Its number."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def parent(self) -> int:
        """The number of the album that it lies in."""

    @property
    def photos(self) -> int:
        """How many photos lie in it itself."""

    @property
    def private(self) -> bool:
        """Whether not everybody may see it."""


def tree(albums: Sequence[Album]) -> Iterator[Text]:
    """Yield a line for each album; those whose parent is not there stand at the top."""
    there = {album.album_id for album in albums}
    below: dict[int, list[Album]] = {}
    for album in albums:
        parent = album.parent if album.parent in there else 0
        below.setdefault(parent, []).append(album)
    width = max((len(str(number)) for number in there), default=1)
    left = [(album, 0) for album in reversed(below.get(0, []))]
    while left:
        album, depth = left.pop()
        left += [(inner, depth + 1) for inner in reversed(below.get(album.album_id, []))]
        note = f"  {count_text(album.photos, 'photo')}" + (", private" if album.private else "")
        yield Text.assemble(
            (f"{album.album_id:>{width}}", "bold"),
            "  " * (depth + 1),
            printable(album.name),
            (note, FAINT),
        )
