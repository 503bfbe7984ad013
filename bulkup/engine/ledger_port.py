"""The port of the ledger: what the engine stores and looks up of files, albums and a server."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Final, Protocol

from bulkup.source.photos import Photo


class State(StrEnum):
    """How far a file has got, as stored in the ledger."""

    HASHED = "hashed"  # its MD5 is known, and its photo id if an earlier run sent it
    SENT = "sent"  # sent by this run; whether its album shows it is checked at the end
    DONE = "done"  # in its albums, under its name, as far as this server can tell
    FAILED = "failed"
    FORMAT = "format"  # attached as another format to the photo of this id
    GIVEN_UP = "given-up"  # was such a format, and is to be sent again: its photo gets a new file


class Unarranged(IntEnum):
    """What is still to be arranged for a photo, as stored in the ledger; the larger one counts."""

    NOTHING = 0
    ADDED = 1  # it was in the gallery, and is in more albums
    SENT = 2  # it was sent, or was about to be


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the ledger: what is known of a file that had this `size` and `mtime_ns`.

    `compared`: photo `image_id` is known to be stored with this content, because it was sent from
    here, or because the server compared its file. `unarranged` is read, and written only by
    `Ledger.plan_photos` and `Ledger.arranged`.
    """

    path: Path
    size: int
    mtime_ns: int
    md5: str
    state: State
    image_id: int | None = None
    albums: frozenset[int] = frozenset()
    error: str = ""
    compared: bool = False
    unarranged: Unarranged = Unarranged.NOTHING

    def is_of(self, photo: Photo) -> bool:
        """Return whether the file is unchanged since this entry was written."""
        return (self.size, self.mtime_ns) == (photo.size, photo.mtime_ns)

    def attached_to(self, photo_id: int, photo: Photo) -> bool:
        """Return whether the file, unchanged since, is attached to this photo as a format."""
        return self.state is State.FORMAT and self.image_id == photo_id and self.is_of(photo)

    @property
    def is_format(self) -> bool:
        """Whether the file is not a photo of its own but a format of photo `image_id`."""
        return self.state in {State.FORMAT, State.GIVEN_UP}


class Fact(StrEnum):
    """A property of a server that a run measured and the next run can reuse."""

    WORKERS = "workers"  # at least this many PHP workers were busy at the same time
    FINISHING = "finishing"  # more photos than this finished at once froze the server
    PLACES = "places"  # finishing this many photos at once gave the best throughput
    FINISH_MS = "finish-ms"  # finishing a photo alone took this many milliseconds
    UNPROVEN = "unproven"  # this many PHP workers could not be proven
    CHUNK = "chunk"  # a chunk of this many bytes passed, and a larger one did not
    # 1: the gallery reads this kind of IPTC texts from the files itself, 0: it does not
    IPTC_TITLE = "iptc-title"
    IPTC_DESCRIPTION = "iptc-description"
    IPTC_KEYWORDS = "iptc-keywords"


IPTC_FACTS: Final = {
    "title": Fact.IPTC_TITLE,
    "description": Fact.IPTC_DESCRIPTION,
    "keywords": Fact.IPTC_KEYWORDS,
}
"""The facts about IPTC texts by the names of their kinds."""


class UploadLedger(Protocol):
    """The part of the ledger that uploading a photo needs; workers of a cluster implement it."""

    async def begin(self, name: str) -> None:
        """Store a name under which the server may keep a partly sent photo, until `end`."""

    async def end(self, name: str) -> None:
        """Remove a name: the server keeps nothing under it any more."""

    async def learn(self, fact: Fact, value: int) -> None:
        """Store a fact about the server, with the present time."""


class Ledger(UploadLedger, Protocol):
    """What earlier runs, and this one, know about local files and one server."""

    async def look_up(self, paths: Sequence[Path]) -> Mapping[Path, Entry]:
        """Return the entries of these paths."""

    async def files_of(self, image_ids: Collection[int]) -> Sequence[Entry]:
        """Return the entries of all files that belong to these photos, formats included."""

    async def record(self, entries: Sequence[Entry]) -> None:
        """Insert entries, replacing earlier ones of the same paths."""

    async def forget(self, paths: Sequence[Path]) -> None:
        """Delete the entries of these paths."""

    async def written(self, image_ids: Collection[int]) -> Mapping[int, Mapping[str, str]]:
        """Return the metadata that bulkup set for these photos, by the names of its fields."""

    async def record_written(self, written: Mapping[int, Mapping[str, str]]) -> None:
        """Store metadata that was set, by photo; other fields of a photo keep their values."""

    async def settle(self) -> None:
        """Turn each `SENT` entry into `DONE`; otherwise the next run asks the server again."""

    async def plan_photos(self, paths: Sequence[Path], unarranged: Unarranged) -> None:
        """Note, before it is done, that the photos of entries are added to albums, or sent.

        They have to be arranged, by another run if this one is killed.
        """

    async def plan_album(self, parent: int, name: str) -> None:
        """Note, before it is done, that an album is created, and has to be put in order."""

    async def planned_albums(self) -> Collection[tuple[int, str]]:
        """Return parent and name of the albums that have to be put in order."""

    async def arranged(
        self, photo_ids: Iterable[int], albums: Collection[tuple[int, str]]
    ) -> None:
        """Note that these photos are arranged, and these albums in order."""

    async def remains(self) -> Sequence[str]:
        """Return the names that were begun and not ended, by earlier runs too."""

    async def facts(self, *, max_age_s: float) -> Mapping[Fact, int]:
        """Return the facts about the server that are no older than `max_age_s` seconds."""

    async def ages_s(self) -> Mapping[Fact, float]:
        """Return how many seconds ago each fact was found, as far as that is known."""


class NoLedger:
    """A ledger that stores no files: every run asks the server about each of them."""

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
        """Store nothing."""

    async def forget(self, paths: Sequence[Path]) -> None:
        """Do nothing."""

    async def written(self, image_ids: Collection[int]) -> Mapping[int, Mapping[str, str]]:
        """Return nothing."""
        del image_ids
        return {}

    async def record_written(self, written: Mapping[int, Mapping[str, str]]) -> None:
        """Store nothing."""

    async def settle(self) -> None:
        """Do nothing."""

    async def plan_photos(self, paths: Sequence[Path], unarranged: Unarranged) -> None:
        """Store nothing."""

    async def plan_album(self, parent: int, name: str) -> None:
        """Store nothing."""

    async def planned_albums(self) -> Collection[tuple[int, str]]:
        """Return nothing."""
        return ()

    async def arranged(
        self, photo_ids: Iterable[int], albums: Collection[tuple[int, str]]
    ) -> None:
        """Do nothing."""

    async def remains(self) -> Sequence[str]:
        """Return the names of this run that were begun and not ended."""
        return sorted(self._remains)

    async def begin(self, name: str) -> None:
        """Keep a name in memory until `end`."""
        self._remains.add(name)

    async def end(self, name: str) -> None:
        """Remove a name."""
        self._remains.discard(name)

    async def facts(self, *, max_age_s: float) -> Mapping[Fact, int]:
        """Return the facts of this run."""
        del max_age_s
        return dict(self._facts)

    async def ages_s(self) -> Mapping[Fact, float]:
        """Return nothing."""
        return {}

    async def learn(self, fact: Fact, value: int) -> None:
        """Keep a fact in memory."""
        self._facts[fact] = value
