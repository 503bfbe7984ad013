"""The state of a run, from its events: the tally, photos in flight, rates and the time left."""

from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bulkup import events

WINDOW_SAMPLES = 100  # a window keeps at most this many samples
MIN_SPAN_S = 1.0  # a rate over less time than this would fluctuate


class Meter:
    """Counts bytes from `started` on and returns the rate over the last `window_s` seconds."""

    def __init__(self, started: float, *, window_s: float) -> None:
        self._started = started
        self._window_s = window_s
        self._total = 0
        self._total_before = 0  # the total at the start of the window
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, size: int, now: float) -> None:
        """Count `size` more bytes as of `now`."""
        self._total += size
        if self._samples and now - self._samples[-1][0] < self._window_s / WINDOW_SAMPLES:
            self._samples[-1] = (self._samples[-1][0], self._total)
        else:
            self._samples.append((now, self._total))
        self._drop_old(now)

    def rate(self, now: float) -> float:
        """Return the bytes per second of the window that ends `now`."""
        self._drop_old(now)
        covered_s = min(self._window_s, now - self._started)
        return (self._total - self._total_before) / max(covered_s, MIN_SPAN_S)

    def _drop_old(self, now: float) -> None:
        while self._samples and self._samples[0][0] <= now - self._window_s:
            _, self._total_before = self._samples.popleft()


RATE_WINDOW_S = 10.0
LEFT_WINDOW_S = 60.0
PHOTOS_WINDOW_S = 180.0
SOON_S = 3.0  # an estimate from less time than this would fluctuate


class Pace:
    """Measures the rates of bytes and photos from `now` on, and estimates the time left."""

    def __init__(self, now: float) -> None:
        self._rate = Meter(now, window_s=RATE_WINDOW_S)
        self.restart(now)

    def restart(self, now: float) -> None:
        """Estimate the time left from what happens from now on, for example after an outage."""
        self._restarted = now
        self._sizes = Meter(now, window_s=LEFT_WINDOW_S)
        self._photos = Meter(now, window_s=PHOTOS_WINDOW_S)

    def passed(self, size: int, now: float) -> None:
        """Count bytes that were sent or verified."""
        self._rate.add(size, now)
        self._sizes.add(size, now)

    def ended(self, now: float) -> None:
        """Count a photo that has its outcome."""
        self._photos.add(1, now)

    def rate(self, now: float) -> float:
        """Return the bytes per second of the last seconds."""
        return self._rate.rate(now)

    def left_s(self, now: float, *, size: int, photos: int, waiting: int) -> float | None:
        """Return the seconds for the bytes and photos that are left, None if that is unknown.

        `waiting` of the photos have not been started.
        """
        since_s = now - self._restarted
        if since_s < SOON_S:
            return None
        by_photos = _divided(photos, self._photos.rate(now))
        if by_photos is None and (not size or (waiting and since_s < LEFT_WINDOW_S)):
            return None  # bytes alone do not show how long the server's processing takes
        by_size = _divided(size, self._sizes.rate(now))
        if by_size is None:
            return None
        return max(by_size, by_photos or 0.0)


def _divided(amount: int, rate: float) -> float | None:
    if not amount:
        return 0.0
    return amount / rate if rate else None


@dataclass(frozen=True, slots=True)
class FileBeingHashed:
    """A file that is being read for its MD5."""

    path: Path
    size: int
    since: float


@dataclass(slots=True)
class PhotoInFlight:
    """A photo that is being sent; `started` is when its current attempt began.

    Its last byte so far was sent at `moved`, finishing began at `finishing_since`. `trouble` is
    why it waits, until it is tried again at `again_at`.
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
        """Whether it counts against the finishing limit."""
        return self.finishing_since is not None

    @property
    def rate(self) -> float | None:
        """Bytes per second from its start to its last byte so far, None if that is too short."""
        seconds = self.moved - self.started
        return self.sent / seconds if self.sent and seconds >= 0.5 else None


@dataclass(frozen=True, slots=True)
class Outage:
    """The server is unavailable."""

    reason: str
    since: float


LONG_S = 0.5  # a file that is read in less time gets no row

ActivityEvent = (
    events.PhotoHashing
    | events.PhotoHashed
    | events.PhotoStarted
    | events.PhotoProgress
    | events.PhotoFinishing
    | events.Retrying
    | events.PhotoArrived
)


@dataclass(slots=True)
class ActiveFiles:
    """Files being read and photos being sent, in order of first start.

    `arrived` holds the sizes of photos that the server processed but that have no outcome yet.
    """

    hashing: dict[Path, FileBeingHashed] = field(default_factory=dict)
    in_flight: dict[Path, PhotoInFlight] = field(default_factory=dict)
    arrived: dict[Path, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes sent of photos that have no outcome yet."""
        return sum(photo.sent for photo in self.in_flight.values()) + sum(self.arrived.values())

    def shown(self, now: float) -> dict[Path, PhotoInFlight | FileBeingHashed]:
        """Return the files and photos that get a row."""
        slow = {path: file for path, file in self.hashing.items() if now - file.since >= LONG_S}
        return {**self.in_flight, **slow}

    def apply(self, event: ActivityEvent, now: float) -> int:
        """Apply an event; return how many bytes were sent since the last one."""
        match event:
            case events.PhotoHashing(path=path, size=size):
                self.hashing[path] = FileBeingHashed(path, size, now)
            case events.PhotoHashed(path=path):
                self.hashing.pop(path, None)
            case events.PhotoStarted(path=path, size=size, attempt=attempt):
                # assigning to an existing key keeps its position: the order of the first start
                self.in_flight[path] = PhotoInFlight(
                    path=path, size=size, attempt=attempt, started=now, moved=now
                )
                self.arrived.pop(path, None)
            case events.PhotoArrived(path=path):
                if photo := self.in_flight.pop(path, None):
                    self.arrived[path] = photo.size
                    return photo.size - photo.sent
            case _:
                if event.path and (photo := self.in_flight.get(event.path)):
                    return _apply_to(photo, event, now)
        return 0

    def end(self, path: Path) -> int:
        """Remove a photo with its outcome; return how many bytes of it were counted."""
        self.hashing.pop(path, None)
        arrived = self.arrived.pop(path, 0)
        photo = self.in_flight.pop(path, None)
        return photo.sent if photo else arrived


def _apply_to(
    photo: PhotoInFlight,
    event: events.PhotoProgress | events.PhotoFinishing | events.Retrying,
    now: float,
) -> int:
    photo.trouble = ""
    match event:
        case events.Retrying():
            photo.trouble = event.reason
            photo.again_at = now + event.after_s
        case events.PhotoFinishing():
            photo.finishing_since = now
        case events.PhotoProgress():
            before = photo.sent
            photo.sent = min(max(event.sent, 0), photo.size)
            photo.moved = now
            return max(0, photo.sent - before)
    return 0


FAILURES_KEPT = 1000
TYPES_KEPT = 200
OTHER_TYPES = "…"

T = TypeVar("T")


@dataclass(slots=True)
class RunState(events.Tally):
    """What the outputs show of a run: its tally and its current activity; times by its clock.

    `failures`, `bad_checks` and `unmoved` are the first 1,000 of their kind. `sent_size` counts
    bytes that were sent again, too.
    """

    run: events.RunStarted | None = None
    started: float | None = None
    ended: float | None = None
    latest: float = 0.0
    paused: bool = False
    scan_ended: bool = False
    estimated: events.Estimated | None = None
    takeout: events.TakeoutRead | None = None
    outage: Outage | None = None
    limits: events.LimitsChanged | None = None
    chunk_size: int = 0
    bandwidth: int | None = None
    sent_size: int = 0
    whole_zips: int = 0
    skipped_by_type: Counter[str] = field(default_factory=Counter)
    sources: list[events.SourceRead] = field(default_factory=list)
    failures: list[events.PhotoFailed] = field(default_factory=list)
    bad_checks: list[events.PhotoChecked] = field(default_factory=list)
    unmoved: list[events.FileNotMoved] = field(default_factory=list)
    active: ActiveFiles = field(default_factory=ActiveFiles)
    _pace: Pace = field(default_factory=lambda: Pace(0.0))

    @property
    def photos_size(self) -> int:
        """Bytes of the photos found so far."""
        return max(self.found_size - self.skipped_size, self.done_size + self.unfinished_size)

    @property
    def goal(self) -> int:
        """Photos to be sent, as far as known; where nothing is sent, all photos."""
        return self.photos - (self.present if self._sends else 0)

    @property
    def goal_size(self) -> int:
        """Bytes of those photos."""
        return self.photos_size - (self.present_size if self._sends else 0)

    @property
    def reached(self) -> int:
        """How many of those photos have an outcome."""
        return self.done - (self.present if self._sends else 0)

    @property
    def reached_size(self) -> int:
        """Bytes of those photos that have an outcome or have been sent."""
        done_size = self.done_size - (self.present_size if self._sends else 0)
        return done_size + self.in_flight_size

    @property
    def _sends(self) -> bool:
        return self.run is None or self.run.task == "upload"

    @property
    def in_flight(self) -> dict[Path, PhotoInFlight]:
        """Photos being sent, in order of their first start."""
        return self.active.in_flight

    @property
    def finishing(self) -> int:
        """Photos whose last chunk is being sent or processed by the server."""
        return sum(photo.finishing for photo in self.in_flight.values())

    @property
    def in_flight_size(self) -> int:
        """Bytes sent of photos that have no outcome yet."""
        return self.active.size

    @property
    def left_size(self) -> int:
        """Bytes still to send, as far as known; the server may turn out to have some of them."""
        reached = self.done_size + self.unfinished_size + self.in_flight_size
        return max(0, self.photos_size - reached)

    def elapsed_s(self, now: float) -> float:
        """Return how long the run has lasted."""
        if self.started is None:
            return 0.0
        return max(0.0, (now if self.ended is None else self.ended) - self.started)

    def rate(self, now: float) -> float:
        """Return the bytes per second sent or verified now; bytes sent again count."""
        return self._pace.rate(now)

    def mean_rate(self, now: float) -> float:
        """Return the bytes per second of the whole run; bytes sent again do not count."""
        elapsed_s = self.elapsed_s(now)
        size = self.uploaded_size + self.checked_size + self.in_flight_size
        return size / elapsed_s if elapsed_s else 0.0

    def eta_s(self, now: float) -> float | None:
        """Return the seconds left at the rate of the last minutes, None if that is unknown."""
        if not self.scan_ended or self.interrupted or self.paused or self.outage:
            return None
        photos = max(0, self.pending - len(self.active.arrived))
        waiting = max(0, photos - len(self.in_flight))
        return self._pace.left_s(now, size=self.left_size, photos=photos, waiting=waiting)

    def apply(self, event: events.Event, now: float) -> None:
        """Apply an event that happened `now`."""
        self.latest = now
        self.add(event)
        if isinstance(event, ActivityEvent):
            self._send(self.active.apply(event, now), now)
        elif isinstance(event, events.Outcome):
            self._end(event, now)
        else:
            self._change(event, now)

    def _send(self, size: int, now: float) -> None:
        size = max(0, size)  # sending a part again takes none back
        self.sent_size += size
        self._pace.passed(size, now)

    def _end(self, event: events.Outcome, now: float) -> None:
        counted = self.active.end(event.path)
        if not isinstance(event, events.FileSkipped | events.PhotoUnfinished) and not (
            self._sends and isinstance(event, events.PhotoPresent)
        ):
            self._pace.ended(now)
        if isinstance(event, events.PhotoNew | events.PhotoUploaded):
            self.whole_zips += event.path.suffix.lower() == ".zip"
        match event:
            case events.PhotoUploaded():
                self._send(event.size - counted, now)
            case events.PhotoChecked():
                self._pace.passed(event.size, now)
                if event.verdict is not events.Verdict.PRESENT:
                    _keep(self.bad_checks, event)
            case events.PhotoFailed():
                _keep(self.failures, event)
            case events.FileSkipped(reason=events.SkipReason.TYPE):
                kind = event.path.suffix.lower()
                if kind not in self.skipped_by_type and len(self.skipped_by_type) >= TYPES_KEPT:
                    kind = OTHER_TYPES
                self.skipped_by_type[kind] += 1

    def _change(self, event: events.Event, now: float) -> None:
        match event:
            case events.RunStarted():
                self.run = event
                self.chunk_size = event.chunk_size
                self.started = now
                self._pace = Pace(now)
            case events.ScanFinished():
                self.scan_ended = True
            case events.OutageBegan():
                self.outage = Outage(event.reason, now)
            case events.OutageEnded():
                self.outage = None
                self._pace.restart(now)
            case events.Paused():
                self.paused = True
            case events.Resumed():
                self.paused = False
                self._pace.restart(now)
            case events.Interrupted():
                self.paused = False
            case events.LimitsChanged():
                self.limits = event
            case events.BandwidthChanged():
                self.bandwidth = event.limit
            case events.ChunkSizeChanged():
                self.chunk_size = event.chunk_size
            case events.Estimated():
                self.estimated = event
            case events.TakeoutRead():
                self.takeout = event
            case events.SourceRead():
                self.sources.append(event)
            case events.FileNotMoved():
                _keep(self.unmoved, event)
            case events.RunFinished():
                self.ended = now


def _keep(kept: list[T], event: T) -> None:
    if len(kept) < FAILURES_KEPT:
        kept.append(event)
