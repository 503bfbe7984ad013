"""The tree of albums with Piwigo's ranks.

It knows ids, names and order, and must not know photos, users or HTTP.
"""

import re
from dataclasses import dataclass


@dataclass(slots=True)
class Album:
    """One album. `uppercats` is the path of ids from the root, as "1,2,5"."""

    id: int
    name: str
    parent: int | None = None
    status: str = "public"
    comment: str | None = None
    uppercats: str = ""
    rank: int = 0
    global_rank: str = ""
    representative: int | None = None

    @property
    def path(self) -> list[int]:
        """The ids from the root down to this album."""
        return [int(i) for i in self.uppercats.split(",") if i]

    @property
    def order(self) -> list[int]:
        """Where it stands among all albums."""
        return [int(part or -1) for part in self.global_rank.split(".")]


def add_album(
    albums: dict[int, Album],
    name: str,
    *,
    number: int,
    parent: int | None = None,
    status: str = "public",
    comment: str | None = None,
    last: bool = False,
) -> Album:
    """Put an album under its parent. A parent that does not exist makes a broken path."""
    above = albums.get(parent or 0)
    ranks = [a.rank for a in albums.values() if a.parent == parent]
    album = Album(
        number,
        name,
        parent=above.id if above else None,
        status="private" if above and above.status == "private" else status,
        comment=comment,
        uppercats=f"{above.uppercats if above else ''},{number}" if parent else str(number),
        rank=max(ranks, default=-1) + 1 if last else 0,
    )
    albums[number] = album
    rank_albums(albums)
    return album


def rank_albums(albums: dict[int, Album]) -> None:
    """Rank the albums under each parent anew, and write the path of these numbers."""
    counted: dict[int | None, int] = {}
    for album in sorted(albums.values(), key=lambda a: (a.rank, a.name)):
        album.rank = counted[album.parent] = counted.get(album.parent, 0) + 1
    for album in albums.values():
        album.global_rank = re.sub(
            r"\d+", lambda m: str(albums[int(m[0])].rank), album.uppercats.replace(",", ".")
        )


def subtree(albums: dict[int, Album], number: int) -> list[Album]:
    """Give an album and all below it."""
    return [a for a in albums.values() if number in a.path]


def fullname(albums: dict[int, Album], album: Album, *, separator: str = " / ") -> str:
    """Give the names from the root down; an unknown id of the path is an empty name."""
    ids = [int(i) if i else 0 for i in album.uppercats.split(",")]
    return separator.join(albums[i].name if i in albums else "" for i in ids)
