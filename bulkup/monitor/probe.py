"""What a run's state does not keep: bytes as they go out, and how long each finish took.

Knows events and the state before each of them. Memory is bounded by the photos in flight.
"""

from pathlib import Path

from bulkup.events import (
    Event,
    PhotoFailed,
    PhotoFinishing,
    PhotoProgress,
    PhotoStarted,
    PhotoUnfinished,
    PhotoUploaded,
)
from bulkup.report import RunState


class Probe:
    """Counts the bytes that went out, those that went again too, and times finishes."""

    def __init__(self) -> None:
        self.sent = 0
        self._finishing_since: dict[Path, float] = {}

    def observe(self, event: Event, before: RunState, now: float) -> float | None:
        """Take in an event, with the state `before` it; return the seconds of a finish, if any."""
        match event:
            case PhotoProgress():
                photo = before.in_flight.get(event.path)
                self.sent += max(0, event.sent - photo.sent) if photo else 0
            case PhotoFinishing():
                self._finishing_since.setdefault(event.path, now)
            case PhotoUploaded():
                photo = before.in_flight.get(event.path)
                self.sent += max(0, event.size - photo.sent) if photo else 0
                since = self._finishing_since.pop(event.path, None)
                return None if since is None else now - since
            case PhotoStarted() | PhotoFailed() | PhotoUnfinished():
                self._finishing_since.pop(event.path, None)
            case _:
                pass
        return None
