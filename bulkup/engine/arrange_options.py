"""What to arrange at the end of a run. Imports little: the command line needs it for --help."""

from dataclasses import dataclass
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


NOTHING: Final = Arrangement(cover="none")
