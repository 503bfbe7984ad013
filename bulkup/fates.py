"""What becomes of a file in a run, as values: those `events` that are the last word on it.

Knows no server and no disk. `md5` is in hex, empty where it is not known; `albums` are those that
the photo is in, as far as the run knows; sizes are in bytes.
"""

from dataclasses import dataclass
from pathlib import Path

from bulkup.kinds import SkipReason, Verdict


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
