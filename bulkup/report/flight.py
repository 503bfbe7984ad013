"""What is going on at a moment of a run: a photo on its way, a server that is away.

Knows no events and no wording.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class PhotoInFlight:
    """A photo on its way; `started` is when its present attempt began, `trouble` why it waits."""

    path: Path
    size: int
    attempt: int
    started: float
    sent: int = 0
    finishing: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Outage:
    """The server is away."""

    reason: str
    since: float
