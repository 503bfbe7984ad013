"""The state of a run, from its events: the tally, photos in flight, rates and the time left."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bulkup.events import (
    BandwidthChanged,
    ChunkSizeChanged,
    Estimated,
    Event,
    FileSkipped,
    FileStays,
    LimitsChanged,
    OutageBegan,
    OutageEnded,
    Outcome,
    PhotoChecked,
    PhotoFailed,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    RunFinished,
    RunStarted,
    ScanFinished,
    SkipReason,
    Tally,
    Verdict,
)
from bulkup.output.progress import Movement, Outage, Pace, PhotoInFlight, Traffic

FAILURES_KEPT = 1000
TYPES_KEPT = 200
OTHER_TYPES = "…"

T = TypeVar("T")


@dataclass(slots=True)
class RunState(Tally):
    """What the outputs show of a run: its tally and what is going on; times by the run's clock.

    `failures`, `bad_checks` and `staying` are the first 1,000 of their kind. `sent_size` counts
    bytes that were sent again, too.
    """

    run: RunStarted | None = None
    started: float | None = None
    ended: float | None = None
    latest: float = 0.0
    scan_ended: bool = False
    estimated: Estimated | None = None
    outage: Outage | None = None
    limits: LimitsChanged | None = None
    chunk_size: int = 0
    bandwidth: int | None = None
    sent_size: int = 0
    skipped_by_type: Counter[str] = field(default_factory=Counter)
    failures: list[PhotoFailed] = field(default_factory=list)
    bad_checks: list[PhotoChecked] = field(default_factory=list)
    staying: list[FileStays] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
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
        return self.traffic.in_flight

    @property
    def finishing(self) -> int:
        """Photos whose last chunk is being sent or processed by the server."""
        return sum(photo.finishing for photo in self.in_flight.values())

    @property
    def in_flight_size(self) -> int:
        """Bytes sent of photos that have no outcome yet."""
        return self.traffic.size

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
        if not self.scan_ended or self.interrupted or self.outage:
            return None
        photos = max(0, self.pending - len(self.traffic.arrived))
        waiting = max(0, photos - len(self.in_flight))
        return self._pace.left_s(now, size=self.left_size, photos=photos, waiting=waiting)

    def apply(self, event: Event, now: float) -> None:
        """Apply an event that happened `now`."""
        self.latest = now
        self.add(event)
        if isinstance(event, Movement):
            self._send(self.traffic.apply(event, now), now)
        elif isinstance(event, Outcome):
            self._end(event, now)
        else:
            self._change(event, now)

    def _send(self, size: int, now: float) -> None:
        size = max(0, size)  # sending a part again takes none back
        self.sent_size += size
        self._pace.passed(size, now)

    def _end(self, event: Outcome, now: float) -> None:
        counted = self.traffic.end(event.path)
        if not isinstance(event, FileSkipped | PhotoUnfinished) and not (
            self._sends and isinstance(event, PhotoPresent)
        ):
            self._pace.ended(now)
        match event:
            case PhotoUploaded():
                self._send(event.size - counted, now)
            case PhotoChecked():
                self._pace.passed(event.size, now)
                if event.verdict is not Verdict.PRESENT:
                    _keep(self.bad_checks, event)
            case PhotoFailed():
                _keep(self.failures, event)
            case FileSkipped(reason=SkipReason.TYPE):
                kind = event.path.suffix.lower()
                if kind not in self.skipped_by_type and len(self.skipped_by_type) >= TYPES_KEPT:
                    kind = OTHER_TYPES
                self.skipped_by_type[kind] += 1

    def _change(self, event: Event, now: float) -> None:
        match event:
            case RunStarted():
                self.run = event
                self.chunk_size = event.chunk_size
                self.started = now
                self._pace = Pace(now)
            case ScanFinished():
                self.scan_ended = True
            case OutageBegan():
                self.outage = Outage(event.reason, now)
            case OutageEnded():
                self.outage = None
                self._pace.restart(now)
            case LimitsChanged():
                self.limits = event
            case BandwidthChanged():
                self.bandwidth = event.limit
            case ChunkSizeChanged():
                self.chunk_size = event.chunk_size
            case Estimated():
                self.estimated = event
            case FileStays():
                _keep(self.staying, event)
            case RunFinished():
                self.ended = now


def _keep(kept: list[T], event: T) -> None:
    if len(kept) < FAILURES_KEPT:
        kept.append(event)
