"""The engine's ports and per-run context: gallery, ledger, limiter, transfer, stop."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.pacing import Tail
from bulkup.engine.retry import Recovery
from bulkup.events import Emit
from bulkup.source.photos import Chunk, Photo


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
    PLACES = "places"  # so many photos at once were finished at the best rate
    CHUNK = "chunk"  # a chunk of so many bytes passed, and a larger one did not


class Ledger(Protocol):
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


T = TypeVar("T")


class Receipt(Protocol):
    """What the server said to a chunk."""

    @property
    def held(self) -> frozenset[int]:
        """Which chunks it holds, perhaps from an earlier run."""

    @property
    def photo_id(self) -> int | None:
        """The photo, if that chunk was the last it lacked."""


class Transfer(Protocol):
    """One attempt to send one photo."""

    @property
    def chunks(self) -> Sequence[Chunk]:
        """The photo's chunks, to be sent in this order."""

    @property
    def repeatable(self) -> bool:
        """Whether a chunk may be sent again when nobody knows what became of it."""

    @property
    def alias(self) -> str:
        """The name of ours that the photo travels under, empty if it is the real one."""

    @property
    def remains(self) -> str:
        """The name under which half a photo is left if the attempt fails, empty if none is."""

    async def prepare(self) -> None:
        """Make on the server what the photo needs there. May be repeated."""

    async def send(self, chunk: Chunk, *, progress: Callable[[int], None]) -> Receipt:
        """Send a chunk that is not the last."""

    async def finish(self, chunk: Chunk, *, progress: Callable[[int], None]) -> int:
        """Send the last chunk and return the photo's id."""

    async def settle(self, photo_id: int) -> None:
        """Give the finished photo what it could not be sent with. May be repeated."""


class Server(Protocol):
    """What a photo's journey needs of a server."""

    @property
    def repeats_formats(self) -> bool:
        """Whether a format that is sent again is one format still."""

    def transfer(
        self,
        photo: Photo,
        *,
        md5: str,
        album: int,
        level: int,
        attempt: int,
        otherwise: bool,
        tail: Callable[[int], int],
        chunk_size: int,
        replaces: int | None = None,
        format_of: int | None = None,
    ) -> AbstractAsyncContextManager[Transfer]:
        """Begin an attempt, from 1 on, to send a photo, if `otherwise` in the second best way.

        It `replaces` the file of that photo, which stays the same photo, or is to be another
        format of the photo `format_of`. `tail` tells how many
        bytes of a last chunk of so many are to be one by themselves.
        """

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each MD5, None for absent; one that is missing can't be told."""

    async def sweep(self, name: str) -> None:
        """Remove the half of a photo that is left under a name of ours."""


@dataclass(frozen=True, slots=True)
class Job:
    """A photo to send, with the MD5 of its content, and the album it is for, 0 while unknown.

    `albums` are those that it is known to be in, `sent_as` is the number under which an earlier
    run has sent it, if that is known; `fresh` tells that the MD5 has just been computed, `done`
    that by the ledger nothing is left to do but for an album that is none of `albums`. `was` is
    what the ledger holds of another content that this path had, or of the format that it is,
    `replaces` the photo whose file this one becomes, of the privacy `level` that it keeps.
    `format_of` is the photo that the file is to be another format of.
    """

    photo: Photo
    md5: str
    album: int = 0
    albums: frozenset[int] = frozenset()
    sent_as: int | None = None
    fresh: bool = True
    done: bool = False
    was: Entry | None = None
    replaces: int | None = None
    level: int | None = None
    format_of: int | None = None

    @property
    def held(self) -> bool:
        """Whether the photo needs nothing more, by what the ledger holds."""
        return self.done and self.album in self.albums

    @property
    def all_albums(self) -> tuple[int, ...]:
        """The albums that the photo is in once it has arrived."""
        return tuple(sorted({self.album, *self.albums} - {0}))


class UploadLedger(Protocol):
    """Where names are kept under which half a photo may be left, and what a server bears."""

    async def begin(self, name: str) -> None:
        """Keep a name."""

    async def end(self, name: str) -> None:
        """Forget a name."""

    async def learn(self, fact: Fact, value: int) -> None:
        """Keep what was found out about the server."""


class Place(Protocol):
    """A place among those whose photos the server works on."""

    async def renew(self) -> None:
        """Let others go first before another try, where by now there are too many."""

    async def measure(self, finish: Callable[[], Awaitable[T]]) -> T:
        """Return what one try to finish a photo returns, and take into account how it goes."""


class Limiter(Protocol):
    """What finishes pass."""

    @property
    def tail(self) -> Tail:
        """How much of a photo is left for its finish, by this machine's line."""

    def place(self) -> AbstractAsyncContextManager[Place]:
        """Lend one of the places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What all photos of a run have in common on their way.

    `doubtful` collects the aliases, with their albums, of attempts that may have left a photo that
    nobody wants: a damaged one, or one that was finished after all.
    """

    server: Server
    ledger: UploadLedger
    recovery: Recovery
    limiter: Limiter
    chunk_size: ChunkSize
    emit: Emit
    clock: Callable[[], float]
    level: int
    doubtful: dict[str, int] = field(default_factory=dict)


class Stop:
    """The wish to come to an end: photos in flight are finished, no new one is begun."""

    def __init__(self) -> None:
        self.wanted = False

    def set(self) -> None:
        """Request a graceful stop."""
        self.wanted = True
