"""What is going on at a moment of a run: a file being read, a photo on its way, a server away.

Knows no events and no wording. Times are in seconds of the run's clock.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileInReading:
    """A file that is read for its MD5."""

    path: Path
    size: int
    since: float


@dataclass(slots=True)
class PhotoInFlight:
    """A photo on its way; `started` is when its present attempt began, `trouble` why it waits.

    Its last byte so far went out at `moved`, its finish began at `finishing_since`, and after
    trouble it is tried again at `again_at`.
    """

    path: Path
    size: int
    attempt: int
    started: float
    moved: float
    sent: int = 0
    finishing_since: float | None = None
    trouble: str = ""
    again_at: float = 0.0

    @property
    def finishing(self) -> bool:
        """Whether it holds one of the places for finishing."""
        return self.finishing_since is not None

    @property
    def rate(self) -> float | None:
        """Bytes per second from its start to its last byte so far, None where it is too soon."""
        seconds = self.moved - self.started
        return self.sent / seconds if self.sent and seconds >= 0.5 else None


@dataclass(frozen=True, slots=True)
class Outage:
    """The server is away."""

    reason: str
    since: float
