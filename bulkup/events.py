"""The closed list of what can happen in a run, as values: screen, log and tests read the same.

Knows no server, no file and no screen. An event is emitted after what it tells has been recorded,
never before. Law of every ended run: after each `FileFound` comes exactly one `Fate` of the same
path. What becomes of files is told apart in `fates`, and imported from here like all events.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bulkup.departures import Departure
from bulkup.fates import (
    Fate,
    FileSkipped,
    PhotoChecked,
    PhotoFailed,
    PhotoNew,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
)
from bulkup.steps import Step

__all__ = [
    "SCHEMA",
    "AlbumChecked",
    "AlbumMade",
    "ChunkSizeChanged",
    "Emit",
    "Estimated",
    "Event",
    "Fate",
    "FileFound",
    "FileSkipped",
    "Interrupted",
    "LimitsChanged",
    "Noticed",
    "OutageBegan",
    "OutageEnded",
    "PhotoChecked",
    "PhotoFailed",
    "PhotoFinished",
    "PhotoFinishing",
    "PhotoNew",
    "PhotoPlanned",
    "PhotoPresent",
    "PhotoProgress",
    "PhotoStarted",
    "PhotoUnfinished",
    "PhotoUploaded",
    "Retrying",
    "RunFailed",
    "RunFinished",
    "RunStarted",
    "ScanFinished",
]

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
