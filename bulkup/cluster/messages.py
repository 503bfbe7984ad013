"""What coordinator and workers send each other: invitations, orders and outcomes.

All of it is pickled, as everything in Dask is: whoever can connect to the scheduler can run code
on all of its machines anyway. Nothing contains a `Path`, which only the same kind of system can
unpickle.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from bulkup.app.executor import RunSettings
from bulkup.errors import UsageError
from bulkup.events import PhotoUploaded
from bulkup.source.files import absolute
from bulkup.source.metadata import Metadata
from bulkup.source.zone import Transitions

BEAT_S: Final = 2.0
LEASE_S: Final = 8.0
"""A worker keeps sending for this long after its last answered heartbeat …"""

GONE_S: Final = 12.0
"""… and counts as lost after this long without a message, which is later in any case."""


PEM_FILES: Final = ("ca_cert", "client_cert", "client_key")
"""Fields of `Account` that name files: workers get the contents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a worker needs to take part in the run of this name.

    `topic` is where the coordinator listens. Without `trusted`, the account in `settings` has no
    secrets: the worker takes them from its environment. `files` are the contents of the account's
    `PEM_FILES`. `zone` is the coordinator's time zone.
    """

    run: str
    version: str
    topic: str
    settings: RunSettings
    trusted: bool
    files: Mapping[str, str] = field(repr=False)
    zone: Transitions


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One photo of a batch: to upload, or only to fingerprint if it has no `job`.

    `path` is the file's path on the worker, `folder` the name of its folder on the coordinator.
    `job` are the fields of a `Job` except for the photo. `stated` is what the coordinator knows of
    the photo, besides its sidecars. `changed`: the file has changed since its
    MD5 was computed. `lost`: a lost worker may have uploaded the photo.
    """

    number: int
    path: str
    size: int
    mtime_ns: int
    folder: str
    job: Mapping[str, str | int | frozenset[int] | None] = field(default_factory=dict)
    stated: Metadata | None = None
    changed: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of an order: an MD5 and perhaps an event, or an error, or why it is `unseen`.

    `content` is the size and modification time (ns) of a file that changed meanwhile. `written` is
    the metadata that was set, `remarks` are those of the worker so far, each with a hint.
    """

    number: int
    content: tuple[int, int] | None = None
    md5: str = ""
    event: PhotoUploaded | None = None
    written: Mapping[str, str] = field(default_factory=dict)
    doubtful: Mapping[str, int] = field(default_factory=dict)
    error: Exception | None = None
    unseen: str = ""
    remarks: Sequence[tuple[str, str]] = ()


HINT: Final = "Give the folder here and there, such as --map /mnt/nas1=/volume1/photos."


class PathMap:
    """Maps folders of this machine to their paths on the workers.

    `texts` are `HERE=THERE`. Raises `UsageError` for any other form.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._folder = os.getcwd()  # noqa: PTH109 (once: it may be deleted later)
        self._pairs = sorted((_pair(text) for text in texts), key=_depth, reverse=True)

    def there(self, path: Path) -> str:
        """Return a file's path on the workers; the deepest mapped folder decides."""
        full = Path(os.path.normpath(Path(self._folder, path)))  # resolves .., keeps links
        for here, there in self._pairs:
            if full.is_relative_to(here):
                rest = full.relative_to(here)
                windows = "\\" in there and "/" not in there
                return str((PureWindowsPath if windows else PurePosixPath)(there, *rest.parts))
        return str(full)


def _pair(text: str) -> tuple[Path, str]:
    here, sign, there = text.partition("=")
    if not (sign and here.strip() and there.strip()):
        raise UsageError(f"--map “{text}” does not name two folders", hint=HINT)
    return Path(absolute(here)), there


def _depth(pair: tuple[Path, str]) -> int:
    return len(pair[0].parts)
