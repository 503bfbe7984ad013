"""What can happen to files at the end of a run, as values: those `events` that tell where they go.

Knows no disk. An event is emitted after the file has gone, or is sure to stay.
"""

from dataclasses import dataclass
from pathlib import Path


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
