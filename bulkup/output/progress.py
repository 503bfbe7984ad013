"""Rates and progress: how fast bytes and photos go, and how long the rest will take."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from bulkup.events import (
    PhotoArrived,
    PhotoFinishing,
    PhotoHashed,
    PhotoHashing,
    PhotoProgress,
    PhotoStarted,
    Retrying,
)

GRAINS = 100  # a window is told this finely: what comes within one grain counts as one
SHORTEST_S = 1.0  # a rate over less time than this would only jump


class Meter:
    """Counts bytes from `started` on and tells the rate over the last `window_s` seconds."""

    def __init__(self, started: float, *, window_s: float) -> None:
        self._started = started
        self._window_s = window_s
        self._total = 0
        self._total_before = 0  # what had passed when the window begins
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, size: int, now: float) -> None:
        """Count `size` more bytes as of `now`."""
        self._total += size
        if self._samples and now - self._samples[-1][0] < self._window_s / GRAINS:
            self._samples[-1] = (self._samples[-1][0], self._total)
        else:
            self._samples.append((now, self._total))
        self._forget(now)

    def rate(self, now: float) -> float:
        """Return the bytes per second of the window that ends `now`."""
        self._forget(now)
        covered_s = min(self._window_s, now - self._started)
        return (self._total - self._total_before) / max(covered_s, SHORTEST_S)

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][0] <= now - self._window_s:
            _, self._total_before = self._samples.popleft()


RATE_WINDOW_S = 10.0
LEFT_WINDOW_S = 60.0
PHOTOS_WINDOW_S = 180.0
SOON_S = 3.0  # what is estimated from less than this would only jump


class Pace:
    """Counts what goes out and what comes to its end, from `now` on."""

    def __init__(self, now: float) -> None:
        self._rate = Meter(now, window_s=RATE_WINDOW_S)
        self.restart(now)

    def restart(self, now: float) -> None:
        """Estimate from now on: what was before, such as an outage, tells nothing."""
        self._restarted = now
        self._sizes = Meter(now, window_s=LEFT_WINDOW_S)
        self._photos = Meter(now, window_s=PHOTOS_WINDOW_S)

    def passed(self, size: int, now: float) -> None:
        """Count bytes that were sent or verified."""
        self._rate.add(size, now)
        self._sizes.add(size, now)

    def ended(self, now: float) -> None:
        """Count a photo that nothing more is done for."""
        self._photos.add(1, now)

    def rate(self, now: float) -> float:
        """Return the bytes per second of the last seconds."""
        return self._rate.rate(now)

    def left_s(self, now: float, *, size: int, photos: int, waiting: int) -> float | None:
        """Return the seconds that so many bytes and photos take, None where that can't be told.

        `waiting` of the photos have not been begun.
        """
        since_s = now - self._restarted
        if since_s < SOON_S:
            return None
        by_photos = _divided(photos, self._photos.rate(now))
        if by_photos is None and (not size or (waiting and since_s < LEFT_WINDOW_S)):
            return None  # bytes alone don't tell what the server's work takes
        by_size = _divided(size, self._sizes.rate(now))
        if by_size is None:
            return None
        return max(by_size, by_photos or 0.0)


def _divided(amount: int, rate: float) -> float | None:
    if not amount:
        return 0.0
    return amount / rate if rate else None


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
