"""A run's state as plain JSON values: what the page shows, in the words of the live view.

Pure. Knows the state and the report's words. Every text that comes from outside is `printable`.
"""

from collections.abc import Mapping
from typing import Final, Literal

from bulkup.events import Event, RunFailed
from bulkup.report import RunState, summary
from bulkup.report.flight import FileInReading, PhotoInFlight
from bulkup.report.rows import doing_words
from bulkup.report.text import clock_text, percent, printable, rate_text, size_text
from bulkup.report.words import (
    bytes_words,
    count_words,
    limits_words,
    manner,
    outage_words,
    pace_words,
    photos_words,
    remark,
    title,
)

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
        astray = state.checked.astray if state.checked else 0
        amiss = state.failed + state.amiss_count + state.unfinished + state.pending
        return "ended", "warning" if amiss + astray + state.stay else "good"
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
