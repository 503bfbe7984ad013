"""What a run's state does not keep: bytes as they go out, and what the server works on.

Knows events and the state before each of them. Memory is bounded by the photos in flight.
"""

from pathlib import Path

from bulkup.events import (
    Event,
    PhotoFailed,
    PhotoFinished,
    PhotoFinishing,
    PhotoProgress,
    PhotoStarted,
    PhotoUnfinished,
    PhotoUploaded,
)
from bulkup.report import RunState
from bulkup.steps import PhotoArrived


class Probe:
    """Counts the bytes that went out, those that went again too, and photos being finished."""

    def __init__(self) -> None:
        self.sent = 0
        self._finishing: set[Path] = set()

    @property
    def finishing(self) -> int:
        """How many photos the server works on."""
        return len(self._finishing)

    def observe(self, event: Event, before: RunState) -> float | None:
        """Take in an event, with the state `before` it; return the seconds of a finish, if any."""
        match event:
            case PhotoProgress():
                photo = before.in_flight.get(event.path)
                self.sent += max(0, event.sent - photo.sent) if photo else 0
            case PhotoFinishing():
                self._finishing.add(event.path)
            case PhotoArrived() | PhotoUploaded():
                photo = before.in_flight.get(event.path)
                self.sent += max(0, photo.size - photo.sent) if photo else 0
                self._finishing.discard(event.path)
            case PhotoFinished():
                self._finishing.discard(event.path)
                return event.seconds
            case PhotoStarted() | PhotoFailed() | PhotoUnfinished():
                self._finishing.discard(event.path)
            case _:
                pass
        return None
