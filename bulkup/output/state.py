"""The state of a run, from its events: counts, photos in flight, what is left."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bulkup.events import (
    AlbumChecked,
    AlbumMade,
    BandwidthChanged,
    ChunkSizeChanged,
    Estimated,
    Event,
    FileFound,
    FilePutAway,
    FileSkipped,
    FileStays,
    Interrupted,
    LimitsChanged,
    OutageBegan,
    OutageEnded,
    PhotoChecked,
    PhotoFailed,
    PhotoNew,
    PhotoPlanned,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    Retrying,
    RunFinished,
    RunStarted,
    ScanFinished,
    SkipReason,
    Verdict,
)
from bulkup.output.progress import Movement, Outage, Pace, PhotoInFlight, Traffic

FAILURES_KEPT = 1000
TYPES_KEPT = 200
OTHER_TYPES = "…"

Ending = PhotoUploaded | PhotoPresent | PhotoNew | PhotoChecked | PhotoFailed | PhotoUnfinished


@dataclass(slots=True)
class RunState:
    """Counts and bytes of a run. `done` is what has its outcome: uploaded, present or failed.

    In a verifying run that is what has its verdict; `amiss` are the first of those that are not
    as they should be. `files` whose type or kind is left out are found, but are no photos:
    `photos` leaves them out, and `goal` what need not be sent. Of what is `new` in a dry run some
    is `to_replace` other files, and some are `new_formats` of photos.
    """

    run: RunStarted | None = None
    started: float | None = None
    ended: float | None = None
    latest: float = 0.0
    scan_ended: bool = False
    interrupted: bool = False
    checked: AlbumChecked | None = None
    estimated: Estimated | None = None
    outage: Outage | None = None
    limits: LimitsChanged | None = None
    chunk_size: int = 0
    bandwidth: int | None = None
    retries: int = 0

    found: int = 0
    uploaded: int = 0
    new: int = 0
    to_replace: int = 0
    new_formats: int = 0
    albums_made: int = 0
    replaced: int = 0
    present: int = 0
    linked: int = 0
    failed: int = 0
    unfinished: int = 0
    skipped_by_reason: Counter[SkipReason] = field(default_factory=Counter)
    skipped_by_type: Counter[str] = field(default_factory=Counter)
    failures: list[PhotoFailed] = field(default_factory=list)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    amiss: list[PhotoChecked] = field(default_factory=list)
    put_away: int = 0
    stay: int = 0
    staying: list[FileStays] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)

    found_size: int = 0
    skipped_size: int = 0
    planned_size: int = 0
    uploaded_size: int = 0
    new_size: int = 0
    present_size: int = 0
    checked_size: int = 0
    done_size: int = 0
    unfinished_size: int = 0

    _pace: Pace = field(default_factory=lambda: Pace(0.0))

    @property
    def skipped(self) -> int:
        """Files left out by rule."""
        return self.skipped_by_reason.total()

    @property
    def photos(self) -> int:
        """Photos found so far."""
        return self.found - self.skipped

    @property
    def photos_size(self) -> int:
        """Bytes of the photos found so far."""
        return max(self.found_size - self.skipped_size, self.done_size + self.unfinished_size)

    @property
    def done(self) -> int:
        """Photos that have their outcome."""
        return self.uploaded + self.new + self.present + self.failed + self.verdicts.total()

    @property
    def bad_verdicts(self) -> int:
        """Checked photos that are not as they should be, or of which that can't be told."""
        return self.verdicts.total() - self.verdicts[Verdict.PRESENT]

    @property
    def astray(self) -> int:
        """Uploaded photos that their album does not show."""
        return self.checked.astray if self.checked else 0

    @property
    def ok(self) -> bool:
        """Whether every photo is as it should be, so that the exit code is 0."""
        problems = self.failed + self.bad_verdicts + self.astray + self.stay
        return not (self.interrupted or problems + self.unfinished + self.pending)

    @property
    def pending(self) -> int:
        """Photos whose outcome is still open."""
        return max(0, self.photos - self.done - self.unfinished)

    @property
    def goal(self) -> int:
        """Photos to be sent, as far as is known by now; where nothing is sent, all photos."""
        return self.photos - (self.present if self._sends else 0)

    @property
    def goal_size(self) -> int:
        """Bytes of those photos."""
        return self.photos_size - (self.present_size if self._sends else 0)

    @property
    def reached(self) -> int:
        """How many of those photos have their outcome."""
        return self.done - (self.present if self._sends else 0)

    @property
    def reached_size(self) -> int:
        """Bytes of those photos that have their outcome, or have gone out."""
        done_size = self.done_size - (self.present_size if self._sends else 0)
        return done_size + self.in_flight_size

    @property
    def _sends(self) -> bool:
        return self.run is None or self.run.task == "upload"

    @property
    def in_flight(self) -> dict[Path, PhotoInFlight]:
        """Photos on their way, in order of their first start."""
        return self.traffic.in_flight

    @property
    def in_flight_size(self) -> int:
        """Bytes that have gone out of photos that have no outcome yet."""
        return self.traffic.size

    @property
    def left_size(self) -> int:
        """Bytes still to go, as far as is known: some of them the server may turn out to have."""
        reached = self.done_size + self.unfinished_size + self.in_flight_size
        return max(0, self.photos_size - reached)

    def elapsed_s(self, now: float) -> float:
        """Return how long the run has been going, or how long it went."""
        if self.started is None:
            return 0.0
        return max(0.0, (now if self.ended is None else self.ended) - self.started)

    def rate(self, now: float) -> float:
        """Return the bytes per second that go out, or are checked, now; sent again counts."""
        return self._pace.rate(now)

    def mean_rate(self, now: float) -> float:
        """Return the bytes per second of the whole run that were sent, or checked, to good."""
        elapsed_s = self.elapsed_s(now)
        size = self.uploaded_size + self.checked_size + self.in_flight_size
        return size / elapsed_s if elapsed_s else 0.0

    def eta_s(self, now: float) -> float | None:
        """Return the seconds that are left at the pace of the last minutes, if that is known."""
        if not self.scan_ended or self.interrupted or self.outage:
            return None
        photos = max(0, self.pending - len(self.traffic.arrived))
        waiting = max(0, photos - len(self.in_flight))
        return self._pace.left_s(now, size=self.left_size, photos=photos, waiting=waiting)

    def apply(self, event: Event, now: float) -> None:
        """Take in what has happened `now`."""
        self.latest = now
        if isinstance(event, Movement):
            self.retries += isinstance(event, Retrying)
            self._pace.passed(self.traffic.apply(event, now), now)
        elif isinstance(event, Ending):
            self._end(event, now)
        else:
            self._run(event, now)

    def _skip(self, event: FileSkipped) -> None:
        self.skipped_by_reason[event.reason] += 1
        self.skipped_size += event.size
        if event.reason is SkipReason.TYPE:
            kind = event.path.suffix.lower()
            if kind not in self.skipped_by_type and len(self.skipped_by_type) >= TYPES_KEPT:
                kind = OTHER_TYPES
            self.skipped_by_type[kind] += 1

    def _end(self, event: Ending, now: float) -> None:
        counted = self.traffic.end(event.path)
        if isinstance(event, PhotoUnfinished):
            self.unfinished += 1
            self.unfinished_size += event.size
            return
        self.done_size += event.size
        if not (self._sends and isinstance(event, PhotoPresent)):
            self._pace.ended(now)
        match event:
            case PhotoUploaded():
                self.uploaded += 1
                self.replaced += event.replaced
                self.uploaded_size += event.size
                self._pace.passed(event.size - counted, now)
            case PhotoNew():
                self.new += 1
                self.new_size += event.size
                self.to_replace += event.replaces is not None
                self.new_formats += event.format_of is not None
            case PhotoPresent():
                self.present += 1
                self.present_size += event.size
                self.linked += event.linked
            case PhotoChecked():
                self.verdicts[event.verdict] += 1
                self.checked_size += event.size
                self._pace.passed(event.size, now)
                if event.verdict is not Verdict.PRESENT and len(self.amiss) < FAILURES_KEPT:
                    self.amiss.append(event)
            case PhotoFailed():
                self.failed += 1
                if len(self.failures) < FAILURES_KEPT:
                    self.failures.append(event)

    def _run(self, event: Event, now: float) -> None:
        match event:
            case RunStarted():
                self.run = event
                self.chunk_size = event.chunk_size
                self.started = now
                self._pace = Pace(now)
            case FileFound():
                self.found += 1
                self.found_size += event.size
            case FileSkipped():
                self._skip(event)
            case PhotoPlanned():
                self.planned_size += event.size
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
            case Interrupted():
                self.interrupted = True
            case AlbumMade():
                self.albums_made += 1
            case Estimated():
                self.estimated = event
            case AlbumChecked():
                self.checked = event
            case FilePutAway():
                self.put_away += 1
            case FileStays():
                self.stay += 1
                if len(self.staying) < FAILURES_KEPT:
                    self.staying.append(event)
            case RunFinished():
                self.ended = now
