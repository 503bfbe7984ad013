"""What is kept of past runs, as values: the runs themselves, and the failures that are open.

Knows nothing of where that is kept, nor of how it is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Ending(StrEnum):
    """How a run ended."""

    DONE = "done"
    INTERRUPTED = "interrupted"  # by Ctrl-C or SIGTERM
    FAILED = "failed"  # something ended it before its end
    OPEN = ""  # it goes on, or its process died


@dataclass(frozen=True, slots=True, kw_only=True)
class Undertaking:
    """What a run is about; `album` 0: none is named."""

    task: str
    album: int
    album_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A photo's failure, and what to do; `code` names its kind. `size` in bytes."""

    code: str
    reason: str
    hint: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFailure:
    """A failure that no later run has mended; `at` in seconds since 1970."""

    url: str
    album: int
    path: Path
    trouble: Trouble
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run, and what became of it; times in seconds since 1970.

    `seen` is its last sign of life: its end, where it came to one. `counts` tells how many photos
    had each outcome. `going_on` tells that it has not ended and its process lives.
    """

    what: Undertaking
    began: float
    seen: float
    ending: Ending
    error: str
    counts: Mapping[str, int]
    going_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumHistory:
    """What is known of an album: files brought to it, its last run of each task, what is open.

    `album` 0 is what no run named an album for. `size` in bytes; `failures` counts what is open,
    of which the first ones are `examples`.
    """

    album: int
    name: str
    files: int
    size: int
    runs: Sequence[PastRun]
    failures: int
    examples: Sequence[OpenFailure]


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryHistory:
    """What is known of a gallery; files in several of its albums count once here."""

    url: str
    files: int
    size: int
    failures: int
    albums: Sequence[AlbumHistory]
