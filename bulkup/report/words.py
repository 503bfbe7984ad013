"""What is said of a run while it goes on: one line for what must be seen, and its figures.

Knows events, the state and colours; not where the words end up. Every text that comes from
outside goes through `printable` and is a `Text`, so that no file name is taken for markup.
"""

from dataclasses import dataclass

from rich.text import Text

from bulkup.departures import FileStays
from bulkup.events import (
    AlbumMade,
    Event,
    FileSkipped,
    Interrupted,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoChecked,
    PhotoFailed,
    PhotoNew,
    PhotoPresent,
    PhotoUploaded,
    Retrying,
    RunStarted,
)
from bulkup.kinds import Verdict
from bulkup.report.state import RunState
from bulkup.report.text import (
    count_text,
    estimate_text,
    printable,
    rate_text,
    size_text,
    time_text,
)

BAD = "bold red"
WARNING = "yellow"
GOOD = "green"
FAINT = "dim"

INDENT = 8  # cells before what a line says, where there is room for the kind of its event

STOPPING = "photos in flight are finished, no new one is begun; Ctrl-C again aborts"

VERDICTS = {
    Verdict.PRESENT: ("present", GOOD),
    Verdict.MISSING: ("missing", BAD),
    Verdict.NOT_IN_ALBUM: ("not in the album", WARNING),
    Verdict.DIFFERING: ("differing", BAD),
    Verdict.UNKNOWN: ("unknown", WARNING),
    Verdict.FAILED: ("failed", BAD),
}


@dataclass(frozen=True, slots=True)
class Remark:
    """What an event is worth to be told: its kind in a word, what happened, and what to do."""

    word: str
    style: str
    what: str
    hint: str


def announce(event: Event, *, verbose: bool = False, retries: bool = False) -> Text | None:
    """Return the line that this event is worth, if any.

    `verbose` gives each photo one, `retries` each photo's wait for another try.
    """
    said = remark(event, verbose=verbose, retries=retries)
    if said is None:
        return None
    line = Text.assemble((f"{said.word:<{INDENT - 1}} ", said.style), said.what)
    return line.append(f" ({said.hint})", FAINT) if said.hint else line


def remark(event: Event, *, verbose: bool = False, retries: bool = False) -> Remark | None:
    """Return what is to be told of an event, if anything; the flags as for `announce`."""
    hint = ""
    match event:
        case PhotoNew() if verbose:
            kind, what = _foreseen(event)
        case PhotoUploaded() if verbose:
            kind, what = ("sent", GOOD), f"{event.path} as photo {event.image_id}"
        case PhotoPresent() if verbose:
            where = f"photo {event.image_id}" if event.image_id else "as an equal one"
            kind = ("link", GOOD) if event.linked else ("there", FAINT)
            what = f"{event.path} ({where})"
        case FileSkipped() if verbose:
            kind, what = ("left", FAINT), f"{event.path} ({event.reason.value})"
        case AlbumMade() if verbose:
            kind, what = ("album", GOOD), event.name
        case PhotoFailed():
            kind, what, hint = ("failed", BAD), f"{event.path}: {event.reason}", event.hint
        case PhotoChecked(verdict=verdict) if verdict is not Verdict.PRESENT:
            kind, what, hint = VERDICTS[verdict], f"{event.path}: {event.reason}", event.hint
        case FileStays():
            kind, what, hint = ("stays", WARNING), f"{event.path}: {event.reason}", event.hint
        case OutageBegan():
            kind, what = ("away", WARNING), f"{event.reason}; waiting until the server answers"
        case OutageEnded():
            kind, what = ("back", GOOD), f"the server answers after {time_text(event.seconds)}"
        case Noticed():
            kind, what, hint = ("note", WARNING), event.message, event.hint
        case Retrying(path=None):
            kind, what = ("again", WARNING), f"{event.reason}; in {time_text(event.after_s)}"
        case Retrying() if verbose or (retries and event.after_s):
            kind = ("again", WARNING)
            what = f"{event.path}: {event.reason}; in {time_text(event.after_s)}"
        case Interrupted():
            kind, what = ("stop", WARNING), STOPPING
        case _:
            return None
    word, style = kind
    return Remark(word, style, printable(what), printable(hint))


def _foreseen(photo: PhotoNew) -> tuple[tuple[str, str], str]:
    """Return what would become of a photo, as `announce` says it."""
    what = f"{photo.path} ({size_text(photo.size)})"
    if photo.replaces is not None:
        return ("replace", GOOD), f"{what} in photo {photo.replaces}"
    if photo.format_of is not None:
        return ("format", GOOD), f"{what} of {photo.format_of.name}"
    return ("new", GOOD), what


def title(run: RunStarted) -> str:
    """Return where the photos go, or are to be."""
    name = printable(run.album_name)
    if run.album is None and not name:
        return printable(run.url)
    number = "new album" if run.album is None else f"album {run.album}"
    album = f"{name} ({number})" if name else number
    return f"{album} at {printable(run.url)}"


def manner(run: RunStarted) -> str:
    """Return how the photos go, or that none goes."""
    method = run.method
    if run.task == "verify":
        method = f"check only ({method})"
    if run.task == "dry-run":
        method = f"dry run, nothing is changed ({method})"
    return f"{printable(method)}, {run.concurrency} at once, Piwigo {printable(run.version)}"


def photos_words(state: RunState) -> str:
    """Return how many photos are done, of those to be sent: '1,204 of 5,310 photos'."""
    so_far = "" if state.scan_ended else " so far"
    return f"{state.reached:,} of {count_text(state.goal, 'photo')}{so_far}"


def bytes_words(state: RunState) -> str:
    """Return how much is done, of what is to be sent: '3.20 GB of 14.1 GB'."""
    return f"{size_text(state.reached_size)} of {size_text(state.goal_size)}"


def pace_words(state: RunState, now: float) -> list[str]:
    """Return the rate now and on average, and the time left where it can be told."""
    words = []
    if state.run is None or state.run.task != "dry-run":
        words.append(f"{rate_text(state.rate(now))} (mean {rate_text(state.mean_rate(now))})")
    eta_s = state.eta_s(now)
    if state.interrupted:
        words.append("stopping")
    elif not state.scan_ended:
        words.append("still looking")
    elif state.pending and eta_s is not None:
        words.append(f"about {estimate_text(eta_s)} left")
    elif state.pending and not state.left_size:
        words.append("finishing")
    return words


def limits_words(state: RunState) -> list[str]:
    """Return what holds the run back: 'finishing 3/6', 'chunk 4.00 MB', 'limit 500 kB/s'."""
    words = []
    if state.limits is not None:
        words.append(f"finishing {state.limits.finishing}/{state.limits.most_finishing}")
        words.append(f"chunk {size_text(state.chunk_size)}")
    if state.bandwidth is not None:
        words.append(f"limit {rate_text(state.bandwidth)}")
    return words


def verdict_words(state: RunState) -> list[tuple[str, str]]:
    """Return how often each verdict was given, each with its style; nothing that is zero."""
    return [
        (f"{count:,} {words}", style)
        for verdict, (words, style) in VERDICTS.items()
        if (count := state.verdicts[verdict])
    ]


def count_words(state: RunState) -> list[tuple[str, str]]:
    """Return what else there is to count, each with its style; nothing that is zero."""
    counts = [
        (state.failed, f"{state.failed:,} failed", BAD),
        (state.retries, count_text(state.retries, "retry", "retries"), WARNING),
        (state.present, f"{state.present:,} already there", ""),
        (state.skipped, f"{state.skipped:,} left out", ""),
    ]
    return verdict_words(state) + [(words, style) for count, words, style in counts if count]


def outage_words(state: RunState, now: float) -> str:
    """Return since when the server is away, or nothing."""
    if not state.outage:
        return ""
    reason = printable(state.outage.reason).rstrip(".")
    return (
        f"The server has been away for {time_text(now - state.outage.since)}: {reason}. Waiting."
    )
