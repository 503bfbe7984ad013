"""What the monitor's page shows, as JSON values, and the messages for each reader."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bulkup.events import Event, Interrupted, PhotoFinished, RunFailed
from bulkup.output import phrases
from bulkup.output.live import activity_words
from bulkup.output.phrases import TONES
from bulkup.output.samples import Sampler
from bulkup.output.state import FileBeingHashed, PhotoInFlight, RunState
from bulkup.output.text import clock_text, percent, printable, rate_text, size_text

if TYPE_CHECKING:
    from bulkup.output.monitor.metrics import Metrics

MAX_ROWS: Final = 64

Phase = Literal["connecting", "running", "paused", "stopping", "outage", "ended", "failed"]
Facts = Mapping[str, object]

RUNNING: Final = {
    "upload": "uploading",
    "verify": "checking",
    "dry-run": "dry run",
    "refresh": "refreshing",
    "refresh-dry-run": "dry run",
}
PHASES: Final[Mapping[Phase, tuple[str, str]]] = {
    "connecting": ("connecting", ""),
    "running": ("running", ""),
    "paused": ("paused", "warning"),
    "stopping": ("stopping", "warning"),
    "outage": ("server unavailable", "warning"),
    "failed": ("failed", "bad"),
}


def phase_of(state: RunState) -> Phase:
    """Return the phase of a run."""
    if state.ended is not None:
        return "ended"
    if state.outage:
        return "outage"
    if state.run is None:
        return "connecting"
    if state.interrupted:
        return "stopping"
    return "paused" if state.paused else "running"


def facts(state: RunState, now: float, *, ended: bool = False) -> Facts:
    """Return everything to show `now`; with `ended`, the run is over, however it ended."""
    phase = phase_of(state)
    if ended and phase != "ended":
        phase = "failed" if state.run is None else "ended"
    over = phase in {"ended", "failed"}
    photos = list(state.active.shown(now).values())
    words, tone = _phase_words(phase, state)
    return {
        "phase": phase,
        "phase_words": words,
        "tone": tone,
        "title": phrases.title(state.run) if state.run else "",
        "manner": phrases.manner(state.run) if state.run else "",
        "share": percent(state.reached_size, state.goal_size) if state.scan_ended else None,
        "photos": phrases.photos_words(state) if state.run else "",
        "bytes": phrases.bytes_words(state) if state.run else "",
        "rate": "" if over or not state.run else rate_text(state.rate(now)),
        "left": "" if over else _left(state, now),
        "mean": rate_text(state.mean_rate(now)) if state.uploaded else "",
        "elapsed": clock_text(state.elapsed_s(now)) if state.run else "",
        "limits": [] if over else phrases.limits_words(state),
        "counts": [
            {"words": words, "tone": TONES.get(style, "")}
            for words, style in phrases.count_words(state)
        ],
        "outage": phrases.outage_words(state, now),
        "in_flight": [] if over else [_row(photo, now) for photo in photos[:MAX_ROWS]],
        "hidden": 0 if over else max(0, len(photos) - MAX_ROWS),
        "summary": "\n".join(line.plain for line in phrases.summary(state)) if over else "",
    }


def _phase_words(phase: Phase, state: RunState) -> tuple[str, str]:
    """Return the text of a phase, and its tone."""
    if phase == "running" and state.run:
        return RUNNING[state.run.task], ""
    if phase == "ended":
        words = "stopped" if state.interrupted else "ended"
        return words, "good" if state.ok else "warning"
    return PHASES[phase]


def _left(state: RunState, now: float) -> str:
    """Return the time left, or why it is unknown."""
    if state.run is None:
        return ""
    words = phrases.pace_words(state, now)
    return " · ".join(words[1:] if state.run.task in {"upload", "verify"} else words)


def _row(photo: PhotoInFlight | FileBeingHashed, now: float) -> Facts:
    doing, style = activity_words(photo, now)
    sent, trouble, rate = 0, "", None
    if isinstance(photo, PhotoInFlight):
        sent, trouble, rate = photo.sent, photo.trouble, photo.rate
    if doing == "sending":
        doing = rate_text(rate) if rate is not None else ""
    return {
        "path": printable(photo.path),
        "name": printable(photo.path.name),
        "folder": printable(photo.path.parent.name),
        "size": size_text(photo.size),
        "share": percent(sent, photo.size),
        "pace": doing,
        "tone": TONES.get(style, ""),
        "trouble": printable(trouble),
    }


def line_of(event: Event) -> Facts | None:
    """Return the line for an event, None if it has none."""
    if isinstance(event, RunFailed):
        what, hint = printable(event.reason), printable(event.hint)
        return {"kind": "failed", "tone": "bad", "what": what, "hint": hint}
    line = phrases.event_line(event)
    if line is None:
        return None
    tone = TONES.get(line.style, "")
    # no page has the terminal's keys
    what = phrases.DRAINING if isinstance(event, Interrupted) else line.what
    return {"kind": line.word, "tone": tone, "what": what, "hint": line.hint}


LINES_KEPT: Final = 200


@dataclass(slots=True)
class Cursor:
    """What a reader has received: the run, the edition and number of samples, and lines."""

    run: int = -1
    edition: int = -1
    samples: int = 0
    lines: int = 0


class Hub:
    """Keeps the state to show; `clock` is in seconds, `metrics` None without their library."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.metrics: Metrics | None = None
        self._clock = clock
        self._run = 0
        self._over = False
        self._begin()

    def _begin(self) -> None:
        self.state = RunState()
        self._ended = False
        self._sampler = Sampler(self.state)
        self._lines: deque[Facts] = deque(maxlen=LINES_KEPT)
        self._lines_so_far = 0

    def begin(self) -> None:
        """Start a new page if the last run has ended."""
        if self._ended:
            self._run += 1
            self._begin()

    def emit(self, event: Event) -> None:
        """Apply an event. After the end of a run it starts a new page."""
        now = self._clock()
        self.begin()
        self._sampler.advance(now)
        sent = self.state.sent_size
        self.state.apply(event, now)
        if isinstance(event, PhotoFinished):
            self._sampler.finished(event.seconds)
        if self.metrics:
            self.metrics.observe(event, sent=self.state.sent_size - sent)
        if line := line_of(event):
            at = round(self.state.elapsed_s(now), 1)
            self._lines.append({"at": at, **line})
            self._lines_so_far += 1

    def end(self) -> None:
        """End a run, and take its last sample."""
        self._ended = True
        self._sampler.advance(self._clock(), last=True)

    def close(self) -> None:
        """Mark that no other run follows."""
        self._over = True
        self.end()

    def tick(self) -> None:
        """Take the samples that are due."""
        if not self._ended:
            self._sampler.advance(self._clock())

    def message(self, cursor: Cursor) -> str:
        """Return the state as JSON, with the samples and lines after the cursor, and move it."""
        new_run = cursor.run != self._run
        if new_run:
            cursor.run, cursor.edition, cursor.samples, cursor.lines = self._run, -1, 0, 0
        samples = self._sampler.since(cursor.edition, cursor.samples)
        fresh = self._sampler.edition != cursor.edition
        missing = min(self._lines_so_far - cursor.lines, len(self._lines))
        lines = list(self._lines)[len(self._lines) - missing :]
        message = {
            **facts(self.state, self._clock(), ended=self._ended),
            "over": self._over,
            "new_run": new_run,  # earlier lines belong to another run
            "fresh": fresh,  # earlier samples are replaced
            "samples": [[round(value, 4) for value in sample] for sample in samples],
            "lines": lines,
            "lines_so_far": self._lines_so_far,
        }
        cursor.edition = self._sampler.edition
        cursor.samples = len(self._sampler.samples)
        cursor.lines = self._lines_so_far
        return json.dumps(message)

    def metrics_page(self, accept: str) -> tuple[bytes, str] | None:
        """Return the metrics and their content type, None without their library."""
        if self.metrics is None:
            return None
        return self.metrics.page(accept, self.state, self._clock())
