"""What a run remembers of photos: the form of an entry, and remembering nothing.

Knows photos, and no file format: that is the ledger's matter.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bulkup.photos import Photo


class State(StrEnum):
    """How far a photo has come."""

    HASHED = "hashed"  # its MD5 is known, and its number if an earlier run sent it
    SENT = "sent"  # this run has sent it; whether the album shows it comes out at the end
    DONE = "done"  # it is in its albums, under its name, as far as this server can tell
    FAILED = "failed"
    FORMAT = "format"  # it is attached to the photo of this number as another format of it
    GIVEN_UP = "given-up"  # so it was, and is to be again: that photo gets another file


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one photo, as it was at `size` and `mtime_ns`."""

    path: Path
    size: int
    mtime_ns: int
    md5: str
    state: State
    image_id: int | None = None
    albums: frozenset[int] = frozenset()
    error: str = ""

    def is_of(self, photo: Photo) -> bool:
        """Tell whether the file has not been touched since."""
        return (self.size, self.mtime_ns) == (photo.size, photo.mtime_ns)

    @property
    def is_format(self) -> bool:
        """Whether it is no photo of its own, but belongs to the one of its number."""
        return self.state in {State.FORMAT, State.GIVEN_UP}


class Fact(StrEnum):
    """What a run finds out about a server that the next one need not."""

    WORKERS = "workers"  # so many PHP workers at least were seen at work at once
    FINISHING = "finishing"  # at most so many photos may be finished at once: more froze it
    CHUNK = "chunk"  # a chunk of so many bytes passed, and a larger one did not


class Memory(Protocol):
    """What a run needs to remember by."""

    async def look_up(self, paths: Sequence[Path]) -> Mapping[Path, Entry]:
        """Return what is known of these paths."""

    async def files_of(self, image_ids: Collection[int]) -> Sequence[Entry]:
        """Return what is known of all files that these photos were made of, or are equal to."""

    async def record(self, entries: Sequence[Entry]) -> None:
        """Replace what is known of these paths."""

    async def forget(self, paths: Sequence[Path]) -> None:
        """Know nothing of these paths any more."""

    async def settle(self) -> None:
        """Take everything that is `SENT` for `DONE`; without that, another run asks again."""

    async def remains(self) -> Sequence[str]:
        """Return the names under which a server may hold half a photo of an earlier run."""

    async def begin(self, name: str) -> None:
        """Keep a name until `end`, because half a photo may be left under it."""

    async def end(self, name: str) -> None:
        """Forget a name: nothing is left under it."""

    async def facts(self, *, max_age_s: float) -> Mapping[Fact, int]:
        """Return what was found out about the server, no longer ago than that."""

    async def learn(self, fact: Fact, value: int) -> None:
        """Keep what was found out about the server just now."""


class NoLedger:
    """Remembers no photos: every run asks the server about everything."""

    def __init__(self) -> None:
        self._remains: set[str] = set()
        self._facts: dict[Fact, int] = {}

    async def look_up(self, paths: Sequence[Path]) -> Mapping[Path, Entry]:
        """Return nothing."""
        del paths
        return {}

    async def files_of(self, image_ids: Collection[int]) -> Sequence[Entry]:
        """Return nothing."""
        del image_ids
        return ()

    async def record(self, entries: Sequence[Entry]) -> None:
        """Forget at once."""

    async def forget(self, paths: Sequence[Path]) -> None:
        """Do nothing: nothing was kept."""

    async def settle(self) -> None:
        """Do nothing: nothing was kept."""

    async def remains(self) -> Sequence[str]:
        """Return the names of this run under which half a photo may be left."""
        return sorted(self._remains)

    async def begin(self, name: str) -> None:
        """Keep a name until `end`."""
        self._remains.add(name)

    async def end(self, name: str) -> None:
        """Forget a name."""
        self._remains.discard(name)

    async def facts(self, *, max_age_s: float) -> Mapping[Fact, int]:
        """Return what this run has found out."""
        del max_age_s
        return dict(self._facts)

    async def learn(self, fact: Fact, value: int) -> None:
        """Keep it for this run."""
        self._facts[fact] = value
