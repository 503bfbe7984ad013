"""What a run is to arrange at its end. Imports little: the command line needs it for --help."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Sort = Literal["none", "name", "date", "table"]
Cover = Literal["auto", "first", "newest", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """What to arrange.

    `sort` orders the photos of each album that got any. `cover` chooses the cover of these albums:
    `auto` takes new photos that a table marks, or that are named cover or folder, `first` and
    `newest` the first by name, or as sorted, and the one with the latest date. With `caddie`, new
    photos are added to the account's caddie, and with `link`, a search for them is created, whose
    URL is reported.
    """

    sort: Sort = "none"
    cover: Cover = "auto"
    caddie: bool = False
    link: bool = False


Marks = Callable[[Path], tuple[int | None, bool]]
"""Returns the rank that a table gives a photo, and whether it marks it as a cover."""

NOTHING: Final = Arrangement(cover="none")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumModel:
    """How an album, 0 for the top level, is shown elsewhere; empty and 0 leave it as it is.

    `photos` returns its photos in their order; may be repeated. `albums` are those inside it, in
    theirs.
    """

    album: int
    photos: Callable[[], Awaitable[Sequence[int]]]
    cover: int = 0
    albums: Sequence[int] = ()


Models = Callable[[], Iterable[AlbumModel]]
"""Returns how the albums of a run are to be shown, at its end."""
