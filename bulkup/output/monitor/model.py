"""What the monitor's page shows, as JSON values, and the hub that sends changes to its readers."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from bulkup.events import Event, PhotoFinished, RunFailed
from bulkup.output.live import doing_words
from bulkup.output.phrases import (
    TONES,
    bytes_words,
    count_words,
    limits_words,
    manner,
    outage_words,
    pace_words,
    photos_words,
    remark,
    summary,
    title,
)
from bulkup.output.samples import Sampler
from bulkup.output.state import FileInReading, PhotoInFlight, RunState
from bulkup.output.text import clock_text, percent, printable, rate_text, size_text

MOST_ROWS: Final = 64

Phase = Literal["connecting", "running", "stopping", "away", "ended", "failed"]
Facts = Mapping[str, object]

RUNNING: Final = {"upload": "uploading", "verify": "checking", "dry-run": "dry run"}
PHASES: Final[Mapping[Phase, tuple[str, str]]] = {
    "connecting": ("connecting", ""),
    "running": ("running", ""),
    "stopping": ("stopping", "warning"),
    "away": ("server away", "warning"),
    "failed": ("impossible", "bad"),
}


def phase_of(state: RunState) -> Phase:
    """Return what a run is doing."""
    if state.ended is not None:
        return "ended"
    if state.outage:
        return "away"
    if state.run is None:
        return "connecting"
    return "stopping" if state.interrupted else "running"


def facts(state: RunState, now: float, *, ended: bool = False) -> Facts:
    """Return all that is to be seen `now`; `ended`: nothing more will happen."""
    phase = phase_of(state)
    if ended and phase != "ended":
        phase = "failed" if state.run is None else "ended"
    over = phase in {"ended", "failed"}
    photos = list(state.traffic.shown(now).values())
    words, tone = _phase_words(phase, state)
    return {
        "phase": phase,
        "phase_words": words,
        "tone": tone,
        "title": title(state.run) if state.run else "",
        "manner": manner(state.run) if state.run else "",
        "share": percent(state.reached_size, state.goal_size) if state.scan_ended else None,
        "photos": photos_words(state) if state.run else "",
        "bytes": bytes_words(state) if state.run else "",
        "rate": "" if over or not state.run else rate_text(state.rate(now)),
        "left": "" if over else _left(state, now),
        "mean": rate_text(state.mean_rate(now)) if state.uploaded else "",
        "elapsed": clock_text(state.elapsed_s(now)) if state.run else "",
        "limits": [] if over else limits_words(state),
        "counts": [
            {"words": words, "tone": TONES.get(style, "")} for words, style in count_words(state)
        ],
        "outage": outage_words(state, now),
        "in_flight": [] if over else [_row(photo, now) for photo in photos[:MOST_ROWS]],
        "hidden": 0 if over else max(0, len(photos) - MOST_ROWS),
        "summary": "\n".join(line.plain for line in summary(state)) if over else "",
    }


def _phase_words(phase: Phase, state: RunState) -> tuple[str, str]:
    """Return what a run is doing in a word or two, and how good that is."""
    if phase == "running" and state.run:
        return RUNNING[state.run.task], ""
    if phase == "ended":
        return "ended", "good" if state.ok else "warning"
    return PHASES[phase]


def _left(state: RunState, now: float) -> str:
    """Return how long it will take, or what keeps that from being told."""
    if state.run is None:
        return ""
    words = pace_words(state, now)
    return " · ".join(words if state.run.task == "dry-run" else words[1:])


def _row(photo: PhotoInFlight | FileInReading, now: float) -> Facts:
    doing, style = doing_words(photo, now)
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
    """Return the line that an event is worth, if any."""
    if isinstance(event, RunFailed):
        what, hint = printable(event.reason), printable(event.hint)
        return {"kind": "impossible", "tone": "bad", "what": what, "hint": hint}
    said = remark(event)
    if said is None:
        return None
    tone = TONES.get(said.style, "")
    return {"kind": said.word, "tone": tone, "what": said.what, "hint": said.hint}


LINES_KEPT: Final = 200


class Counts(Protocol):
    """Who counts for `/metrics`."""

    def observe(self, event: Event, *, sent: int) -> None:
        """Count an event by which `sent` bytes were sent."""

    def page(self, accept: str, state: RunState, now: float) -> tuple[bytes, str]:
        """Return the metrics in a format that `accept` names, and their content type."""


@dataclass(slots=True)
class Place:
    """How far a reader has come: in which run, edition of the samples, sample, and line."""

    run: int = -1
    edition: int = -1
    samples: int = 0
    lines: int = 0


class Hub:
    """Keeps what is to be seen; `clock` in seconds, `counts` None while nobody counts."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.counts: Counts | None = None
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

    def emit(self, event: Event) -> None:
        """Take in what has happened. Another run begins with a page of its own."""
        now = self._clock()
        if self._ended:
            self._run += 1
            self._begin()
        self._sampler.advance(now)
        sent = self.state.sent_size
        self.state.apply(event, now)
        if isinstance(event, PhotoFinished):
            self._sampler.finished(event.seconds)
        if self.counts:
            self.counts.observe(event, sent=self.state.sent_size - sent)
        if line := line_of(event):
            at = round(self.state.elapsed_s(now), 1)
            self._lines.append({"at": at, **line})
            self._lines_so_far += 1

    def end(self) -> None:
        """Take the last sample of a run, however it ended."""
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

    def message(self, place: Place) -> str:
        """Return as JSON what is to be seen now, with what a reader at this place lacks.

        The place becomes that of the moment.
        """
        anew = place.run != self._run
        if anew:
            place.run, place.edition, place.samples, place.lines = self._run, -1, 0, 0
        samples = self._sampler.since(place.edition, place.samples)
        fresh = self._sampler.edition != place.edition
        lacking = min(self._lines_so_far - place.lines, len(self._lines))
        lines = list(self._lines)[len(self._lines) - lacking :]
        message = {
            **facts(self.state, self._clock(), ended=self._ended),
            "over": self._over,
            "anew": anew,  # lines that came before are of another run
            "fresh": fresh,  # samples that came before are to be forgotten
            "samples": [[round(value, 4) for value in sample] for sample in samples],
            "lines": lines,
            "lines_so_far": self._lines_so_far,
        }
        place.edition = self._sampler.edition
        place.samples = len(self._sampler.samples)
        place.lines = self._lines_so_far
        return json.dumps(message)

    def figures(self, accept: str) -> tuple[bytes, str] | None:
        """Return the figures for Prometheus and their content type, None where nobody counts."""
        if self.counts is None:
            return None
        return self.counts.page(accept, self.state, self._clock())
