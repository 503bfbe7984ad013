"""The engine's ports (gallery, ledger, limiter) and what the parts of a run share."""

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Final, Protocol, TypeVar

import anyio

from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.pacing import Tail
from bulkup.engine.retry import Recovery
from bulkup.events import Emit
from bulkup.source.photos import Chunk, Photo

T = TypeVar("T")


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
    PROOF = "proof"  # a list of this many MD5s kept a worker busy while workers were proven
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


@dataclass(frozen=True, slots=True)
class Job:
    """A file on its way through the pipeline, with the MD5 of its content.

    `album` is the album it is meant for, 0 while unknown, and `further` are those besides it.
    `albums` are those that the ledger knows it to be in. `sent_as` is the photo id under which an
    earlier run sent it, if known. `fresh` means that the MD5 has just been computed, `done` that
    the ledger knows of nothing left to do, except for albums that are not among `albums`. `was` is
    the ledger's entry of another content that this path had, or of the format that the file is.
    `replaces` is the photo whose file this one replaces, keeping its privacy `level`. `format_of`
    is the photo that gets the file as another format. `compared`: `sent_as` is known to be stored
    with this content. `differs` is a photo of the same MD5, according to the gallery, whose stored
    file is another one. `written` is the metadata that was set when the file was sent.
    `unarranged` is what an earlier run has left to be arranged.
    """

    photo: Photo
    md5: str
    album: int = 0
    further: frozenset[int] = frozenset()
    albums: frozenset[int] = frozenset()
    sent_as: int | None = None
    fresh: bool = True
    done: bool = False
    was: Entry | None = None
    replaces: int | None = None
    level: int | None = None
    format_of: int | None = None
    compared: bool = False
    differs: int | None = None
    written: Mapping[str, str] = field(default_factory=dict, hash=False)
    unarranged: Unarranged = Unarranged.NOTHING

    @property
    def complete(self) -> bool:
        """Whether the file needs nothing more, according to the ledger."""
        return self.done and self.albums.issuperset(self.wanted)

    @property
    def wanted(self) -> tuple[int, ...]:
        """The albums that it is meant for."""
        return (self.album, *sorted(self.further - {self.album}))

    @property
    def all_albums(self) -> tuple[int, ...]:
        """The albums that the photo is in once it has been uploaded."""
        return tuple(sorted({self.album, *self.further, *self.albums} - {0}))


class AlbumInfo(Protocol):
    """An album as the gallery lists it."""

    @property
    def album_id(self) -> int:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name, as listed."""

    @property
    def parent(self) -> int:
        """The id of its parent album, 0 at the top level."""

    @property
    def private(self) -> bool:
        """Whether only some groups and users see it."""


class AlbumPhoto(Protocol):
    """A photo in an album."""

    @property
    def photo_id(self) -> int:
        """Its id."""

    @property
    def file(self) -> str:
        """Its file name in the gallery."""

    @property
    def date(self) -> str:
        """When it was taken, or else added, as the gallery writes dates; empty if unknown."""


class AlbumDisplay(Protocol):
    """How an album is shown."""

    @property
    def by_rank(self) -> bool:
        """Whether its photos are shown by rank, as far as known."""

    @property
    def other_order(self) -> str:
        """The order of its photos as SQL; empty if that is by rank, or unknown."""

    @property
    def cover(self) -> int:
        """The photo shown as its cover, 0 if unknown."""

    @property
    def order_page(self) -> str:
        """The URL of the page that changes its order."""


class Access(Protocol):
    """The access of some groups and users to private albums."""

    async def load(self) -> None:
        """Ask who has access to which album; the other methods need it. May be repeated."""

    def missing(self, album: int) -> Sequence[str]:
        """Return the names of those who have no access to a private album."""

    def strangers(self, album: int) -> Sequence[str]:
        """Return the names of others who have access, except administrators."""

    async def give(self, album: int) -> None:
        """Give them access to a private album, and to the private ones above it."""


class PhotoIdentity(Protocol):
    """The properties of a photo in the gallery that replacing its file depends on."""

    @property
    def md5(self) -> str:
        """The MD5 of its file, empty where the gallery has not computed it."""

    @property
    def level(self) -> int:
        """Its privacy level."""

    @property
    def file(self) -> str:
        """Its file name in the gallery."""


class GalleryReader(Protocol):
    """Read access to a gallery: nothing here changes it."""

    @property
    def md5s_reliable(self) -> bool:
        """Whether `find` never returns the photo of another file, as far as the version tells."""

    @property
    def replaces(self) -> bool:
        """Whether a photo can get another file and keep its id."""

    @property
    def takes_formats(self) -> bool:
        """Whether files can be attached to photos as further formats."""

    @property
    def moderated(self) -> bool:
        """Whether photos may be hidden from the account until an administrator approves them.

        The account can then change only its own photos.
        """

    async def check_album(self, album: int) -> None:
        """Raise `PhotoError` if the account may not upload to an album."""

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the photo id of each MD5, None if absent.

        MD5s that the server can't look up are missing in the result.
        """

    async def check(self, photo_id: int, md5: str) -> bool | None:
        """Return whether a photo's stored file has this MD5, None where the server can't tell.

        The server reads the whole file. Raises `PhotoGone`.
        """

    async def shrunk(self, photo_id: int, photo: Photo) -> bool:
        """Return whether a photo's file may be this one, made smaller. Raises `PhotoGone`."""

    async def identity(self, photo_id: int) -> PhotoIdentity:
        """Return MD5, level and file name of a photo. Raises `PhotoGone` and `NotOffered`."""

    async def alias(self, photo_id: int) -> str:
        """Return the temporary name that an upload gave a photo, empty if it has its own."""

    async def albums(self) -> Sequence[AlbumInfo]:
        """Return all albums. Raises `NotOffered` where the server does not list them."""

    async def album_name(self, album: int) -> str:
        """Return an album's name, empty where the server can't tell. Raises `RunError`."""

    def album_keys(self, name: str) -> Sequence[str]:
        """Return the spellings under which `albums` may list this name, the likeliest first."""

    def members(self, album: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield id and alias (as `alias` returns it) of an album's photos, newest first.

        Raises `NotOffered`.
        """

    def album_photos(self, album: int) -> AsyncGenerator[AlbumPhoto, None]:
        """Yield an album's photos in their present order. Raises `NotOffered`."""

    async def album_displays(self) -> Mapping[int, AlbumDisplay]:
        """Return how each album is shown. Raises `NotOffered`."""

    async def has_format(self, photo_id: int, file: str) -> bool | None:
        """Return whether a photo has a format of this file name.

        None where its format with that extension is, or may be, another file.
        """

    async def formats_of(self, photo_id: int, file: str) -> Collection[str] | None:
        """Return the extensions of a photo's formats, None where the server can't tell."""

    async def check_format(self, file: str) -> None:
        """Raise `FormatRefused` if the gallery does not accept a file of this name as a format."""

    async def line_speed(self) -> float | None:
        """Return the upload speed of the connection in bytes a second, None if unknown."""


class GalleryWriter(GalleryReader, Protocol):
    """A gallery whose albums and photos can be changed, except for sending files."""

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Create an album and return its id. Raises `PhotoError` where it is refused."""

    async def set_album_name(self, album: int, name: str) -> None:
        """Set the exact name of a newly created album, as far as the server can store it."""

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Add photos to an album; they stay in their other albums. Raises `NotOffered`."""

    async def unlink(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Take photos out of an album. Raises `NotOffered`."""

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Give an uploaded photo its real file name, title and other metadata."""

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Move finished photos out of the lounge into their albums (seen on Piwigo 13 to 17)."""

    async def report(self, photo_ids: Collection[int], *, album: int) -> Collection[int]:
        """Tell administrators of new photos where they approve them; return those that wait."""

    async def set_order(
        self, photo_ids: Sequence[int], *, album: int, present: Sequence[int] = ()
    ) -> None:
        """Rank all photos of an album in this order. Raises `NotOffered`.

        `present` is their present order by rank, empty if unknown.
        """

    async def set_album_order(self, albums: Sequence[int]) -> None:
        """Put all albums of one parent into this order. Raises `NotOffered`."""

    async def set_cover(self, photo_id: int, *, album: int) -> None:
        """Make a photo the cover of an album. Raises `NotOffered`."""

    async def add_to_caddie(self, photo_ids: Sequence[int]) -> None:
        """Add photos to the caddie of the account. Raises `NotOffered`."""

    async def link_to_new(self, albums: Sequence[int]) -> str:
        """Return the URL of a search for photos added in the last day, empty if unknown.

        It is limited to these albums, if there are any. Raises `NotOffered`.
        """

    async def remove(self, photo_id: int) -> None:
        """Delete a photo that this run has uploaded. Raises `NotOffered`."""


class Receipt(Protocol):
    """The server's answer to a chunk."""

    @property
    def held(self) -> frozenset[int]:
        """The indexes of the chunks that the server holds, perhaps from an earlier run."""

    @property
    def photo_id(self) -> int | None:
        """The id of the photo, if this was the last chunk that was missing."""


class Transfer(Protocol):
    """One attempt to send one photo."""

    @property
    def chunks(self) -> Sequence[Chunk]:
        """The photo's chunks, to be sent in this order."""

    @property
    def repeatable(self) -> bool:
        """Whether a chunk may be sent again when its answer was lost."""

    @property
    def alias(self) -> str:
        """The temporary file name that the photo is sent under, empty if it is the real one."""

    @property
    def remains(self) -> str:
        """The name under which the server keeps a partly sent photo, empty if it keeps none."""

    @property
    def written(self) -> Mapping[str, str]:
        """The metadata of the photo that was set, by the names of its fields."""

    async def prepare(self) -> None:
        """Create on the server what the photo refers to (tags). May be repeated."""

    async def send(self, chunk: Chunk, *, progress: Callable[[int], None]) -> Receipt:
        """Send a chunk that is not the last; `progress` gets the bytes sent so far."""

    async def finish(self, chunk: Chunk, *, progress: Callable[[int], None]) -> int:
        """Send the last chunk and return the photo's id."""

    async def settle(self, photo_id: int) -> Mapping[str, bool]:
        """Set what could not be sent along with the finished photo. May be repeated.

        Return whether the gallery reads kinds of IPTC texts itself, if the photo has shown it.
        """


class PhotoSender(Protocol):
    """The part of a gallery that uploading a photo needs.

    Separate from `GalleryWriter`, because a dry run has none.
    """

    @property
    def repeats_formats(self) -> bool:
        """Whether sending a format again replaces it, rather than adding a second one."""

    def sent_to(self, job: Job) -> Collection[int]:
        """Return the albums that a photo gets by being sent; it has to be added to the others."""

    def transfer(
        self,
        job: Job,
        *,
        level: int,
        attempt: int,
        fallback: bool,
        chunk_size: int,
        tail: Callable[[int], int],
    ) -> AbstractAsyncContextManager[Transfer]:
        """Begin the `attempt`-th attempt, from 1, to send the file of a job.

        `fallback` uses the second best upload method. `tail` returns how many bytes of a last
        chunk, given its size, are to be sent as a chunk of their own.
        """

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the photo id of each MD5, as `GalleryReader.find`."""

    async def sweep(self, name: str) -> None:
        """Delete a partly sent photo that the server keeps under this name."""


class MetadataDifference(Protocol):
    """How a photo's metadata in the gallery differs from that of its file; maps are by field."""

    @property
    def changes(self) -> Mapping[str, tuple[str, str]]:
        """The values to be replaced, each with the new one."""

    @property
    def kept(self) -> Mapping[str, tuple[str, str]]:
        """The values that were edited in the gallery, each with that of the file."""

    @property
    def written(self) -> Mapping[str, str]:
        """The metadata that bulkup has set, after `apply`."""

    @property
    def albums(self) -> Collection[int]:
        """The albums of the photo, and those above them."""

    async def apply(self) -> None:
        """Change the photo. May be repeated."""


class MetadataRefresher(Protocol):
    """The part of a gallery that refreshing the metadata of photos needs."""

    async def compare(
        self,
        photo_id: int,
        photo: Photo,
        *,
        md5: str,
        level: int,
        written: Mapping[str, str],
        overwrite: bool,
    ) -> MetadataDifference:
        """Return how the metadata of a photo differs.

        A `level` above 0 is the privacy level that it should have. A value in the gallery that is
        neither `written` by bulkup nor empty stays, unless with `overwrite`. Raises `PhotoGone`
        where there is no such photo, or it has another MD5.
        """


class Slot(Protocol):
    """One of the slots for photos that the server finishes at once."""

    async def renew(self) -> None:
        """Queue again before another try, if the limit was lowered meanwhile."""

    async def measure(self, finish: Callable[[], Awaitable[T]]) -> T:
        """Return the result of one try to finish a photo, and feed its duration to the pacing."""


class Limiter(Protocol):
    """Limits how many photos are finished at once."""

    @property
    def tail(self) -> Tail:
        """How much of a photo is left for its finish, given this machine's connection."""

    def slot(self, job: Job, *, alias: str) -> AbstractAsyncContextManager[Slot]:
        """Wait for a free slot and hold it while the photo of a job is finished.

        `alias` is the temporary name that it is sent under. If a worker of a cluster is lost, its
        coordinator has to know both.
        """


class Stop:
    """A request to end the run gracefully: photos in flight are finished, no new one is begun.

    While it is paused, no new one is begun either, until `resume`, or `set` ends the run. Files
    are still read ahead, as far as the streams between the stages hold them.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._resumed: anyio.Event | None = None  # while paused

    def set(self) -> None:
        """Request a graceful stop."""
        self.wanted = True
        self.resume()

    @property
    def paused(self) -> bool:
        """Whether the run is paused."""
        return self._resumed is not None

    def pause(self) -> None:
        """Begin no new photo until `resume`; call it, and that, in the event loop of the run."""
        if not self.wanted and self._resumed is None:
            self._resumed = anyio.Event()

    def resume(self) -> None:
        """Go on after `pause`."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.set()

    async def may_begin(self) -> bool:
        """Wait while paused; return whether a photo may be begun."""
        while self._resumed is not None:
            await self._resumed.wait()
        return not self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What all parts of one run share; `recovery` also has its `sleep` function."""

    gallery: GalleryWriter
    recovery: Recovery
    ledger: Ledger
    emit: Emit
    stop: Stop
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadContext:
    """What the uploads of all photos of one run share; on a cluster each worker has its own.

    `level` is the privacy level of new photos. `doubtful` collects the temporary names, with their
    albums, of attempts that may have left an unwanted photo in the gallery: a damaged one, or one
    that was finished after all.
    """

    gallery: PhotoSender
    ledger: UploadLedger
    recovery: Recovery
    limiter: Limiter
    chunk_size: ChunkSize
    emit: Emit
    clock: Callable[[], float]
    level: int
    doubtful: dict[str, int] = field(default_factory=dict)
