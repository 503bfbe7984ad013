"""What the monitor's page shows, as JSON values, and the hub that sends changes to its readers."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from bulkup.events import (
    Event,
    PhotoArrived,
    PhotoFailed,
    PhotoFinished,
    PhotoFinishing,
    PhotoProgress,
    PhotoStarted,
    PhotoUnfinished,
    PhotoUploaded,
    RunFailed,
)
from bulkup.output.live import doing_words
from bulkup.output.phrases import (
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
from bulkup.output.progress import FileInReading, PhotoInFlight
from bulkup.output.samples import History
from bulkup.output.state import RunState
from bulkup.output.text import clock_text, percent, printable, rate_text, size_text

MOST_ROWS: Final = 64
TONES: Final = {"bold red": "bad", "yellow": "warning", "green": "good", "dim": "faint"}

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


LINES_KEPT: Final = 200


class Counts(Protocol):
    """Who counts for `/metrics`."""

    def observe(self, event: Event, *, sent: int, finish_s: float | None) -> None:
        """Count an event by which `sent` bytes went out, and a photo was finished, if any was."""

    def page(
        self, accept: str, state: RunState, now: float, *, finishing: int
    ) -> tuple[bytes, str]:
        """Return the figures of `now` in a form that the asker accepts, and its content type."""


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
        self._probe = Probe()
        self._history = History()
        self._lines: deque[Facts] = deque(maxlen=LINES_KEPT)
        self._lines_so_far = 0

    def emit(self, event: Event) -> None:
        """Take in what has happened. Another run begins with a page of its own."""
        now = self._clock()
        if self._ended:
            self._run += 1
            self._begin()
        sent = self._probe.sent
        finish_s = self._probe.observe(event, self.state)
        self.state.apply(event, now)
        if finish_s is not None:
            self._history.finished(finish_s)
        if self.counts:
            self.counts.observe(event, sent=self._probe.sent - sent, finish_s=finish_s)
        if line := line_of(event):
            at = round(self.state.elapsed_s(now), 1)
            self._lines.append({"at": at, **line})
            self._lines_so_far += 1

    def end(self) -> None:
        """Take the last sample of a run, however it ended."""
        self._ended = True
        self._sample(last=True)

    def close(self) -> None:
        """Nothing more will happen."""
        self._over = True
        self.end()

    def tick(self) -> None:
        """Take the sample of the moment."""
        if not self._ended:
            self._sample()

    def _sample(self, *, last: bool = False) -> None:
        now = self._clock()
        state = self.state
        if state.started is not None:
            self._history.sample(
                state.elapsed_s(now),
                sent=self._probe.sent,
                finishing=self._probe.finishing,
                limit=state.limits.finishing if state.limits else 0,
                most=state.limits.most_finishing if state.limits else 0,
                last=last,
            )

    def message(self, place: Place) -> str:
        """Return as JSON what is to be seen now, with what a reader at this place lacks.

        The place becomes that of the moment.
        """
        anew = place.run != self._run
        if anew:
            place.run, place.edition, place.samples, place.lines = self._run, -1, 0, 0
        samples = self._history.since(place.edition, place.samples)
        fresh = self._history.edition != place.edition
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
        place.edition = self._history.edition
        place.samples = len(self._history.samples)
        place.lines = self._lines_so_far
        return json.dumps(message)

    def figures(self, accept: str) -> tuple[bytes, str] | None:
        """Return the figures for Prometheus and their content type, None where nobody counts."""
        if self.counts is None:
            return None
        return self.counts.page(accept, self.state, self._clock(), finishing=self._probe.finishing)
