"""The events of a run, their JSON form, and the tally that counts them.

Events are frozen values that the engine emits and the outputs consume. Paths name files, sizes are
in bytes, times in seconds.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, get_args

SCHEMA: Final = 1
"""Version of the JSON form. It changes only when a field or an event changes its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The log-in and the album were checked; the scan begins. `chunk_size` in bytes.

    A verify or refresh run sends no photos: `chunk_size` is 0, `method` is the API method that
    decides, and `album` is None if the photos may be anywhere in the gallery. In a dry run an
    album that does not exist yet has a name and no number.
    """

    url: str
    version: str
    user: str
    album: int | None
    album_name: str
    method: str
    concurrency: int
    chunk_size: int
    task: Literal["upload", "verify", "dry-run", "refresh", "refresh-dry-run"] = "upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFound:
    """The scan found a file. `size` in bytes, 0 if it is unknown."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFinished:
    """The scan is complete: the totals no longer change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonMissing:
    """A photo in a folder of a Google Takeout has no JSON file.

    Its description, and where Google knew more than the photo, its date and place are unknown.
    """

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoutRead:
    """The scan has read a Google Takeout; photos that earlier runs uploaded count in a dry run.

    `photos` are all others, `without_json` those of them that have no JSON file. `edited` photos
    and `live` ones (the videos of live photos) share that of another photo. `photos_missing` are
    JSON files without a photo; of these, `photos_nowhere` have it in no other folder either, and
    `folders_incomplete` are the first folders with such files. `albums` folders have a title;
    `titles` are the first ones.
    """

    photos: int
    without_json: int
    photos_missing: int
    photos_nowhere: int
    edited: int
    live: int
    trashed: int
    locked: int
    archived: int
    partner: int
    albums: int
    titles: tuple[str, ...] = ()
    folders_incomplete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRead:
    """The scan of a dry run has read a source: an export by its service, zip archives, the table.

    Of its `photos`, `described` are those of which it tells something, `deleted` those that are
    left out because they were deleted. They are in `albums` of it; `titles` are the first ones.
    """

    source: str
    photos: int
    described: int
    deleted: int
    archives: int
    albums: int
    titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoPlanned:
    """The photo will be sent: as a new one, or to replace photo `replaces`. `size` in bytes."""

    path: Path
    size: int
    replaces: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoStarted:
    """The first byte of the photo is about to be sent. `attempt` counts from 1."""

    path: Path
    size: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoProgress:
    """`sent` bytes of the photo are sent; fewer than before if a part is sent again."""

    path: Path
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFinishing:
    """The last chunk of the photo is being sent; the photo counts against the finishing limit."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFinished:
    """The server processed the photo in `seconds`, from the first byte of its last chunk."""

    path: Path
    seconds: float


class SkipReason(StrEnum):
    """The rule that skips a file. A skipped file is not an error."""

    JUNK = "junk"  # made by systems and cameras: Thumbs.db, @eaDir, ._IMG_1.jpg …
    EXCLUDED = "excluded"  # by --include, --exclude or --exclude-from
    SIZE = "size"  # outside --min-size and --max-size
    AGE = "age"  # outside --newer-than and --older-than
    REPEATED = "repeated"  # the same file, found a second time by another path
    SYMLINK = "symlink"
    SPECIAL = "special"  # a pipe, a socket, a device
    SIDECAR = "sidecar"  # metadata of a photo: .xmp, .json
    TYPE = "type"  # the server does not accept files with this extension
    TRASHED = "trashed"  # in the trash of Google Photos, iCloud or Immich, by the export
    LOCKED = "locked"  # in the locked folder of Google Photos
    ARCHIVED = "archived"  # archived in Google Photos
    PARTNER = "partner"  # shared by a partner in Google Photos
    EDITED = "edited"  # an edited version from Google Photos; its original is in the folder
    ORIGINALS = "originals"  # the original of an edited version that is in the folder
    LIVE = "live"  # the video of a live photo that is in the folder
    PHOTO_MISSING = "photo-missing"  # a JSON file of a Takeout whose photo is not in the folder


class Verdict(StrEnum):
    """The result of verifying a photo."""

    PRESENT = "present"  # in the gallery, in the album if one was named, and byte for byte equal
    MISSING = "missing"
    NOT_IN_ALBUM = "not-in-album"  # in other albums of the gallery
    DIFFERING = "differing"  # the stored file does not match the MD5 in the gallery
    UNPLACED = "unplaced"  # all is well, except that it lacks the position that its sources have
    UNKNOWN = "unknown"  # this server can't tell
    FAILED = "failed"  # the file can't be read, or the request failed


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoUploaded:
    """The server has the photo. `md5` in hex, `seconds` measured from the first byte sent.

    `replaced` is true if the photo existed before, with another file.
    """

    path: Path
    size: int
    md5: str
    image_id: int
    attempts: int
    seconds: float
    replaced: bool = False
    albums: tuple[int, ...] = ()
    outcome: ClassVar = "uploaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoPresent:
    """The server already had the photo; `linked` is true if it was added to the album now."""

    path: Path
    size: int
    image_id: int | None
    linked: bool
    md5: str = ""
    albums: tuple[int, ...] = ()
    outcome: ClassVar = "present"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoNew:
    """A dry run found a file that an upload would send.

    It would replace photo `replaces`, become another format of the file `format_of`, or be a new
    photo.
    """

    path: Path
    size: int
    replaces: int | None = None
    format_of: Path | None = None
    md5: str = ""
    outcome: ClassVar = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoChecked:
    """A verify run checked the photo. `reason` and `hint` are set unless it is `present`."""

    path: Path
    size: int
    verdict: Verdict
    image_id: int | None
    reason: str
    hint: str
    code: str = ""
    md5: str = ""
    albums: tuple[int, ...] = ()

    @property
    def outcome(self) -> str:
        """The verdict as a word."""
        return self.verdict.value


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRefreshed:
    """A refresh run compared the photo's metadata with that of its file.

    `changes` are the values in the gallery that were replaced, or in a dry run would be, each with
    the new one, by the name of the field. `kept` are those that were edited in the gallery, each
    with the file's.
    """

    path: Path
    size: int
    image_id: int | None
    changes: Mapping[str, tuple[str, str]]
    kept: Mapping[str, tuple[str, str]]
    md5: str = ""

    @property
    def outcome(self) -> str:
        """The result as a word."""
        return "changed" if self.changes else "kept" if self.kept else "unchanged"

    @property
    def reason(self) -> str:
        """What differs, in words."""
        words = [f"{name} “{old}” → “{new}”" for name, (old, new) in self.changes.items()]
        words += [f"{name} “{old}” kept, not “{new}”" for name, (old, new) in self.kept.items()]
        return "; ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSkipped:
    """A rule skips the file, or a folder as a whole. `size` as the scan found it."""

    path: Path
    reason: SkipReason
    size: int = 0
    outcome: ClassVar = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFailed:
    """The photo is not on the server: why, and what to do. `code` names the kind of failure."""

    path: Path
    size: int
    reason: str
    hint: str
    code: str = ""
    md5: str = ""
    outcome: ClassVar = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoUnfinished:
    """The run ended before the photo was uploaded."""

    path: Path
    size: int
    outcome: ClassVar = "unfinished"


Outcome = (
    PhotoUploaded
    | PhotoPresent
    | PhotoNew
    | PhotoChecked
    | PhotoRefreshed
    | FileSkipped
    | PhotoFailed
    | PhotoUnfinished
)
"""The last event of a file. Each file found has exactly one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """A request failed and is tried again in `after_s` seconds.

    `path` is None if it concerns no photo.

    `attempt` counts from 1.
    """

    path: Path | None
    reason: str
    attempt: int
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageBegan:
    """The server is unavailable: nothing is sent until it answers again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageEnded:
    """The server answers again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumMade:
    """An album was created; `parent` is None at the top level."""

    album: int
    name: str
    parent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """The number of photos that may finish at once changed, or the highest it may become."""

    finishing: int
    most_finishing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSizeChanged:
    """Photos that start from now on are sent in chunks of `chunk_size` bytes."""

    chunk_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something that the user should know; the run continues."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMismatch:
    """A row of the `--metadata` table that is not used as it is, or a photo without one, and why.

    `line` is where the row begins in the table, None for a photo without a row. `path` is as in
    the table, or that of the photo.
    """

    line: int | None
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The user asked to stop: photos in flight are finished, no other photo is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The user paused the run: photos in flight are finished, no other photo is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The paused run continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumChecked:
    """The final check of the gallery: `verified` photos have the right MD5 there.

    `unverified` photos can't be checked on this server, `relinked` photos were missing from their
    album and were added again, `not_in_album` photos could not be added to it. `unapproved` photos
    are hidden until an administrator approves them.
    """

    verified: int
    unverified: int
    relinked: int
    not_in_album: int = 0
    unapproved: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrangementDiffers:
    """How an album is shown, or to whom, is not as `bulkup verify` was asked, or is unknown.

    `album` is None where this is so of all albums, or of those at the top level.
    """

    album: int | None
    reason: str
    hint: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A dry run's estimate of the upload: time to send, and the server's time to process."""

    sending_s: float
    finishing_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMoved:
    """The gallery has the photo, and its file was moved to `where`, or to the trash if None."""

    path: Path
    where: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNotMoved:
    """The photo is uploaded, but its file could not be moved: why, and what to do.

    `code` names the kind of failure.
    """

    path: Path
    reason: str
    hint: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoHashing:
    """The photo is being read for its MD5. `size` in bytes."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoHashed:
    """The photo has been read: `md5` in hex."""

    path: Path
    md5: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoArrived:
    """The server processed the photo; its content is not confirmed yet."""

    path: Path
    image_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthChanged:
    """The upload rate is now limited to `limit` bytes per second, or unlimited if None."""

    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The run is complete after `seconds`; nothing is in flight."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """The run can't start or continue: why, and what to do. `code` names the kind of failure."""

    reason: str
    hint: str
    code: str = ""


Event = (
    RunStarted
    | FileFound
    | ScanFinished
    | JsonMissing
    | TakeoutRead
    | SourceRead
    | PhotoPlanned
    | PhotoStarted
    | PhotoProgress
    | PhotoFinishing
    | PhotoFinished
    | Outcome
    | Retrying
    | OutageBegan
    | OutageEnded
    | AlbumMade
    | LimitsChanged
    | ChunkSizeChanged
    | Noticed
    | TableMismatch
    | Interrupted
    | Paused
    | Resumed
    | AlbumChecked
    | ArrangementDiffers
    | Estimated
    | FileMoved
    | FileNotMoved
    | PhotoHashing
    | PhotoHashed
    | PhotoArrived
    | BandwidthChanged
    | RunFinished
    | RunFailed
)
Emit = Callable[[Event], None]


def discard(_: Event) -> None:
    """Discard the event."""


@dataclass(slots=True)
class Tally:
    """Counts of a run, taken from its events; sizes in bytes.

    A refresh run compares `refreshed` photos: `changed` ones had metadata to replace, `kept` ones
    metadata that was edited in the gallery.

    `linked` photos are part of the `present` ones, `replaced` of the `uploaded` ones, `to_replace`
    and `new_formats` of the `new` ones. `verified`, `unverified`, `relinked`, `not_in_album` and
    `unapproved` are the figures of `AlbumChecked`. `misarranged` counts `ArrangementDiffers`.
    Photos `without_json` are in a Google Takeout, which has no JSON file for them. `seconds` is
    None until the run is complete.
    """

    found: int = 0
    uploaded: int = 0
    replaced: int = 0
    present: int = 0
    linked: int = 0
    new: int = 0
    to_replace: int = 0
    new_formats: int = 0
    refreshed: int = 0
    changed: int = 0
    kept: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    skipped_by_reason: Counter[SkipReason] = field(default_factory=Counter)
    failed: int = 0
    unfinished: int = 0
    moved: int = 0
    not_moved: int = 0
    albums_made: int = 0
    verified: int = 0
    unverified: int = 0
    relinked: int = 0
    not_in_album: int = 0
    unapproved: int = 0
    misarranged: int = 0
    without_json: int = 0
    retries: int = 0
    interrupted: bool = False
    run_failed: RunFailed | None = None
    seconds: float | None = None

    found_size: int = 0
    uploaded_size: int = 0
    present_size: int = 0
    new_size: int = 0
    checked_size: int = 0
    skipped_size: int = 0
    done_size: int = 0
    unfinished_size: int = 0

    @property
    def skipped(self) -> int:
        """Files skipped by rule."""
        return self.skipped_by_reason.total()

    @property
    def photos(self) -> int:
        """Files found so far that no rule skips."""
        return self.found - self.skipped

    @property
    def done(self) -> int:
        """Photos with an outcome other than unfinished."""
        there = self.present + self.refreshed
        return self.uploaded + self.new + there + self.failed + self.verdicts.total()

    @property
    def pending(self) -> int:
        """Photos without an outcome."""
        return max(0, self.photos - self.done - self.unfinished)

    @property
    def incomplete(self) -> int:
        """Photos left unfinished, or still without an outcome."""
        return self.unfinished + self.pending

    @property
    def bad_verdicts(self) -> int:
        """Checked photos whose verdict is not `present`."""
        return self.verdicts.total() - self.verdicts[Verdict.PRESENT]

    @property
    def problems(self) -> int:
        """Photos, files and albums that need the user's attention."""
        return (
            self.failed + self.bad_verdicts + self.not_in_album + self.not_moved + self.misarranged
        )

    @property
    def ok(self) -> bool:
        """Whether the run completed without any problem: the exit code is 0."""
        return not (self.interrupted or self.run_failed or self.problems or self.incomplete)

    def add(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, PhotoProgress):
            return  # by far the most frequent one
        match event:
            case FileFound():
                self.found += 1
                self.found_size += event.size
            case FileSkipped():
                self.skipped_by_reason[event.reason] += 1
                self.skipped_size += event.size
            case PhotoUnfinished():
                self.unfinished += 1
                self.unfinished_size += event.size
            case PhotoRefreshed():
                self.done_size += event.size
                self.checked_size += event.size
                self.refreshed += 1
                self.changed += bool(event.changes)
                self.kept += bool(event.kept)
            case PhotoUploaded() | PhotoPresent() | PhotoNew() | PhotoChecked() | PhotoFailed():
                self.done_size += event.size
                self._add_photo(event)
            case FileMoved():
                self.moved += 1
            case FileNotMoved():
                self.not_moved += 1
            case AlbumMade():
                self.albums_made += 1
            case AlbumChecked():
                self.verified += event.verified
                self.unverified += event.unverified
                self.relinked += event.relinked
                self.not_in_album += event.not_in_album
                self.unapproved += event.unapproved
            case ArrangementDiffers():
                self.misarranged += 1
            case JsonMissing():
                self.without_json += 1
            case Retrying():
                self.retries += 1
            case Interrupted():
                self.interrupted = True
            case RunFailed():
                self.run_failed = event
            case RunFinished():
                self.seconds = event.seconds

    def _add_photo(
        self, event: PhotoUploaded | PhotoPresent | PhotoNew | PhotoChecked | PhotoFailed
    ) -> None:
        match event:
            case PhotoUploaded():
                self.uploaded += 1
                self.uploaded_size += event.size
                self.replaced += event.replaced
            case PhotoPresent():
                self.present += 1
                self.present_size += event.size
                self.linked += event.linked
            case PhotoNew():
                self.new += 1
                self.new_size += event.size
                self.to_replace += event.replaces is not None
                self.new_formats += event.format_of is not None
            case PhotoChecked():
                self.verdicts[event.verdict] += 1
                self.checked_size += event.size
            case PhotoFailed():
                self.failed += 1


NAMES: Final[Mapping[type[Event], str]] = {
    kind: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(Event)
}
"""The names of the events in JSON: photo_uploaded for `PhotoUploaded`."""


def to_dict(event: Event) -> dict[str, Any]:
    """Return the event as plain values: its name as `event`, and its fields; paths as text."""
    values: dict[str, Any] = {"event": NAMES[type(event)]}
    for each in fields(event):
        value = getattr(event, each.name)
        values[each.name] = str(value) if isinstance(value, Path) else value
    return values
