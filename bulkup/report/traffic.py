"""What is under way: files that are read, photos that are sent, photos still to be confirmed.

Knows events; no wording and no clock. It holds as much as the run has under way at once.
"""

from dataclasses import dataclass, field
from pathlib import Path

from bulkup.events import PhotoFinishing, PhotoProgress, PhotoStarted, Retrying
from bulkup.report.flight import FileInReading, PhotoInFlight
from bulkup.steps import PhotoArrived, PhotoHashed, PhotoHashing

LONG_S = 0.5  # a file that is read sooner is not worth a row

Movement = (
    PhotoHashing
    | PhotoHashed
    | PhotoStarted
    | PhotoProgress
    | PhotoFinishing
    | Retrying
    | PhotoArrived
)


@dataclass(slots=True)
class Traffic:
    """Files and photos under way, each in order of its first start; `arrived` with their sizes."""

    hashing: dict[Path, FileInReading] = field(default_factory=dict)
    in_flight: dict[Path, PhotoInFlight] = field(default_factory=dict)
    arrived: dict[Path, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that have gone out of photos that have no outcome yet."""
        return sum(photo.sent for photo in self.in_flight.values()) + sum(self.arrived.values())

    def shown(self, now: float) -> dict[Path, PhotoInFlight | FileInReading]:
        """Return what is worth a row now."""
        slow = {path: file for path, file in self.hashing.items() if now - file.since >= LONG_S}
        return {**self.in_flight, **slow}

    def apply(self, event: Movement, now: float) -> int:
        """Take in what happens; return how many bytes went out that had not been counted."""
        match event:
            case PhotoHashing(path=path, size=size):
                self.hashing[path] = FileInReading(path, size, now)
            case PhotoHashed(path=path):
                self.hashing.pop(path, None)
            case PhotoStarted(path=path, size=size, attempt=attempt):
                # Assigning to a key that is there keeps its place: order of first start.
                self.in_flight[path] = PhotoInFlight(
                    path=path, size=size, attempt=attempt, started=now, moved=now
                )
                self.arrived.pop(path, None)
            case PhotoArrived(path=path):
                if photo := self.in_flight.pop(path, None):
                    self.arrived[path] = photo.size
                    return photo.size - photo.sent
            case _:
                if event.path and (photo := self.in_flight.get(event.path)):
                    return _move(photo, event, now)
        return 0

    def end(self, path: Path) -> int:
        """Take out what has its outcome; return how many bytes of it have been counted."""
        self.hashing.pop(path, None)
        arrived = self.arrived.pop(path, 0)
        photo = self.in_flight.pop(path, None)
        return photo.sent if photo else arrived


def _move(
    photo: PhotoInFlight, event: PhotoProgress | PhotoFinishing | Retrying, now: float
) -> int:
    photo.trouble = ""
    match event:
        case Retrying():
            photo.trouble = event.reason
            photo.again_at = now + event.after_s
        case PhotoFinishing():
            photo.finishing_since = now
        case PhotoProgress():
            before = photo.sent
            photo.sent = min(max(event.sent, 0), photo.size)
            photo.moved = now
            return max(0, photo.sent - before)
    return 0
