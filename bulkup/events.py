"""Every event of a run, in the order in which they happen: frozen values that outputs consume.

Fields name files by path; sizes are in bytes, times in seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePutAway:
    """The gallery surely has the photo, and its file lies elsewhere now; `where` None: trashed."""

    path: Path
    where: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStays:
    """A file of a photo that arrived was to be put away and is where it was: why, what to do.

    `code` names the class of the failure.
    """

    path: Path
    reason: str
    hint: str
    code: str = ""


Departure = FilePutAway | FileStays


class SkipReason(StrEnum):
    """Why a file is left out by rule; nothing is wrong with it."""

    JUNK = "junk"  # made by systems and cameras: Thumbs.db, @eaDir, ._IMG_1.jpg …
    EXCLUDED = "excluded"  # by the user's patterns
    SIZE = "size"  # not of the size that is wanted
    AGE = "age"  # not of the time that is wanted
    REPEATED = "repeated"  # the same file was found before, in another way
    SYMLINK = "symlink"
    SPECIAL = "special"  # a pipe, a socket, a device
    SIDECAR = "sidecar"  # it tells of a photo beside it: .xmp, .json
    TYPE = "type"  # the server does not take files with this ending


class Verdict(StrEnum):
    """What a look at the gallery says of a photo."""

    PRESENT = "present"  # in the gallery, in the album if one was named, and byte for byte
    MISSING = "missing"
    NOT_IN_ALBUM = "not-in-album"  # the gallery has it elsewhere
    DIFFERING = "differing"  # the stored file is not what its MD5 in the gallery says
    UNKNOWN = "unknown"  # this server can't tell
    FAILED = "failed"  # the file can't be read, or the question failed


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSkipped:
    """A found file (or a folder, as one) is left out by rule. `size` as it was found."""

    path: Path
    reason: SkipReason
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoPresent:
    """The server has the photo already; `linked` tells that it was put into the album now."""

    path: Path
    size: int
    image_id: int | None
    linked: bool
    md5: str = ""
    albums: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoUploaded:
    """The server has the photo: `md5` in hex, `seconds` from its first byte on.

    `replaced` tells that the photo was there before, with another file.
    """

    path: Path
    size: int
    md5: str
    image_id: int
    attempts: int
    seconds: float
    replaced: bool = False
    albums: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFailed:
    """The photo is not on the server, and why, and what to do; `code` names the failure."""

    path: Path
    size: int
    reason: str
    hint: str
    code: str = ""
    md5: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoUnfinished:
    """The run ended before the photo's turn or in the middle of it."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoNew:
    """A dry run says that the file would be sent.

    For the photo that it `replaces`, as another format of the file `format_of`, or as a new photo.
    """

    path: Path
    size: int
    replaces: int | None = None
    format_of: Path | None = None
    md5: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoChecked:
    """A verifying run has a verdict on the photo; if it is amiss, why, and what to do."""

    path: Path
    size: int
    verdict: Verdict
    image_id: int | None
    reason: str
    hint: str
    code: str = ""
    md5: str = ""
    albums: tuple[int, ...] = ()


Fate = (
    PhotoUploaded
    | PhotoPresent
    | PhotoNew
    | PhotoChecked
    | FileSkipped
    | PhotoFailed
    | PhotoUnfinished
)


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
    """The server has finished the photo; that it has the right bytes is still to be confirmed."""

    path: Path
    image_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthChanged:
    """No more than `limit` bytes a second go out from now on; None: as many as the line takes."""

    limit: int | None


Step = PhotoHashing | PhotoHashed | PhotoArrived | BandwidthChanged


SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """Log-in and album are checked; the walk begins. `chunk_size` in bytes.

    A verifying run sends nothing: `chunk_size` is 0, `method` is the question that decides, and
    `album` is None where the photos may be anywhere in the gallery. In a dry run an album that is
    yet to be made has a name and no number.
    """

    url: str
    version: str
    user: str
    album: int | None
    album_name: str
    method: str
    concurrency: int
    chunk_size: int
    task: Literal["upload", "verify", "dry-run"] = "upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFound:
    """The walk came across a file. `size` in bytes, 0 where it can't be told."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFinished:
    """Every file has been found: totals are final from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoPlanned:
    """The photo will be sent, or its file, for the photo that it `replaces`. `size` in bytes."""

    path: Path
    size: int
    replaces: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoStarted:
    """The photo's first byte is about to go out, at its `attempt`, from 1."""

    path: Path
    size: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoProgress:
    """`sent` bytes of the photo have gone out; less than before where something is sent again."""

    path: Path
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFinishing:
    """The photo holds one of the places for finishing: its last chunk goes out."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFinished:
    """The server has made a photo of it; `seconds` from the first byte of its last chunk on."""

    path: Path
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """Something did not work and is tried again in `after_s` seconds; `path` None: no photo's."""

    path: Path | None
    reason: str
    attempt: int
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageBegan:
    """The server is away: nothing is sent until it answers again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageEnded:
    """The server answers again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """So many photos may be finished at once now, and at most, by what is known of the server."""

    finishing: int
    most_finishing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSizeChanged:
    """Photos begun from now on are cut into chunks of `chunk_size` bytes."""

    chunk_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumMade:
    """The gallery has a new album; `parent` None: at the top."""

    album: int
    name: str
    parent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something that the user should know and that stops nothing."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The user asked to stop: photos in flight are finished, no new one is begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumChecked:
    """The end of a run looked at the server: `verified` photos have the right MD5 there.

    `unverified` could not be told by this server, `relinked` had lost their album and got it back,
    `astray` are there and could not be put into it.
    """

    verified: int
    unverified: int
    relinked: int
    astray: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A dry run says how long what is new would take: to send it, and for the server's work."""

    sending_s: float
    finishing_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """Nothing is in flight any more."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """The run is impossible, or can't go on: why, and what to do; `code` names the failure."""

    reason: str
    hint: str
    code: str = ""


Event = (
    RunStarted
    | FileFound
    | ScanFinished
    | PhotoPlanned
    | PhotoStarted
    | PhotoProgress
    | PhotoFinishing
    | PhotoFinished
    | Fate
    | Retrying
    | OutageBegan
    | OutageEnded
    | AlbumMade
    | LimitsChanged
    | ChunkSizeChanged
    | Noticed
    | Interrupted
    | AlbumChecked
    | Estimated
    | Departure
    | Step
    | RunFinished
    | RunFailed
)
Emit = Callable[[Event], None]
