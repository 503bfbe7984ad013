"""What goes on between the outcomes, for those who look on: a file is read, a photo has arrived.

Knows nothing; part of `events`, which says what holds for all of them.
"""

from dataclasses import dataclass
from pathlib import Path


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
