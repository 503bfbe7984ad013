"""The HTML report: collects events during a run and writes one self-contained page at its end.

Needs the extra `report`.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self, TextIO

from anyio import CancelScope, to_thread

from bulkup import __version__, events
from bulkup.errors import UsageError, count_text
from bulkup.output import phrases
from bulkup.output.files import AtomicFile
from bulkup.output.phrases import SKIPPED, TONES, VERDICTS
from bulkup.output.samples import Sampler, Sizes
from bulkup.output.sinks import Clock
from bulkup.output.state import RunState
from bulkup.output.text import clock_text, printable, rate_text, size_text, time_text

NEEDED: Final = ("jinja2",)
NOTES_KEPT: Final = 100
MAX_SAMPLES: Final = 80
INTERVAL_S: Final = 0.25
"""The first interval between samples; short, so that a short run has charts too."""

SIZE_LABELS: Final = 7


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened `at_s` seconds after the start."""

    at_s: float
    message: str
    hint: str = ""


class HtmlReport:
    """Collects what the page shows: open it with `async with`, pass events to `emit`.

    `command` is the command line without its secrets. The constructor raises `UsageError` if a
    library is missing, and opening raises it if the file can't be written. Closing raises
    `OSError`. A run that does not start leaves no page.
    """

    def __init__(
        self,
        path: Path,
        *,
        command: str,
        clock: Clock,
        wall_clock: Callable[[], datetime],
    ) -> None:
        if not all(map(find_spec, NEEDED)):
            raise UsageError(
                "--report with .html needs a library that is not installed",
                hint="pip install 'bulkup[report]'; .csv and .jsonl need none.",
            )
        self.command = command
        self.began = wall_clock()
        self.state = RunState()
        self.sampler = Sampler(self.state, most=MAX_SAMPLES, every_s=INTERVAL_S)
        self.sizes = Sizes()
        self.notes: list[Note] = []
        self.notes_count = 0
        self._draft = AtomicFile(path)
        self._clock = clock
        self._wall_clock = wall_clock
        self._file: TextIO | None = None  # until it is opened

    async def __aenter__(self) -> Self:
        self._file = await to_thread.run_sync(self._draft.open)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._file is not None:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._end, self._file)

    def emit(self, event: events.Event) -> None:
        """Apply an event."""
        now = self._clock()
        self.sampler.advance(now)
        self.state.apply(event, now)
        match event:
            case events.RunStarted():
                self.began = self._wall_clock()
            case events.PhotoFinished():
                self.sampler.finished(event.seconds)
            case events.Noticed():
                self._note(now, event.message, event.hint)
            case events.ArrangementDiffers():
                self._note(now, event.reason, event.hint)
            case events.OutageBegan():
                self._note(now, f"the server was unavailable: {event.reason}")
        if (
            isinstance(event, events.Outcome)
            and not isinstance(event, events.FileSkipped)
            and event.size
        ):
            self.sizes.add(event.size)

    def _note(self, now: float, message: str, hint: str = "") -> None:
        if self.state.run is None:
            return
        self.notes_count += 1
        if len(self.notes) < NOTES_KEPT:
            self.notes.append(Note(self.state.elapsed_s(now), message, hint))

    def _end(self, file: TextIO) -> None:
        """Write the page. Raises `OSError`."""
        run = self.state.run
        if run is None:
            file.close()
            self._draft.discard()
            return
        self.sampler.advance(self.state.latest, last=True)
        text = page(self, run, table=self._draft.path.with_suffix(".csv").name)
        try:
            with file:
                file.write(text)
            self._draft.keep()
        except OSError as failure:
            raise self._draft.failure(failure) from None


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its noun, a detail, and a tone, which is the name of a colour."""

    number: str
    noun: str
    more: str = ""
    tone: str = "calm"


@dataclass(slots=True)
class Group:
    """The files that failed for one reason, and what to do."""

    word: str
    tone: str
    reason: str
    hint: str
    paths: list[str] = field(default_factory=list)


def page(report: HtmlReport, run: events.RunStarted, *, table: str) -> str:
    """Return the page; `table` is a file name for a report with every file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 (an extra)

    environment = Environment(
        loader=PackageLoader("bulkup", "output/pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    state = report.state
    groups = list(grouped([*state.failures, *state.bad_checks, *state.unmoved]))
    if end := state.run_failed:
        groups.insert(0, Group("ended", "bad", printable(end.reason), printable(end.hint)))
    kept = len(state.failures) + len(state.bad_checks) + len(state.unmoved)
    began = report.began.astimezone()
    return environment.get_template("report.html").render(
        version=__version__,
        status=status(state),
        headline=headline(state, run),
        where=phrases.title(run),
        manner=phrases.manner(run),
        user=printable(run.user),
        began=began.strftime("%Y-%m-%d %H:%M"),
        zone=began.strftime("%Z"),
        took=time_text(state.elapsed_s(state.latest)),
        figures=figures(state, run),
        groups=groups,
        more=state.failed + state.bad_verdicts + state.not_moved - kept,
        table=printable(table),
        skipped=list(skipped(state)),
        notes=[
            (clock_text(note.at_s), printable(note.message), printable(note.hint))
            for note in report.notes
        ],
        more_notes=report.notes_count - len(report.notes),
        command=report.command,
        sends=run.task == "upload",
        count_text=count_text,
        **charts(report),
    )


def charts(report: HtmlReport) -> Mapping[str, object]:
    """Return the figures of the charts, and the style and script that draw them."""
    folder = files("bulkup.output") / "pages"
    script = (folder / "charts.js").read_text(encoding="utf-8") + (
        'new RunCharts(document.getElementById("charts"), { live: false })'
        '.show(JSON.parse(document.getElementById("samples").textContent));\n'
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shown = list(outcomes(report.state))
    sizes = report.sizes.steps()
    most = max((count for _, _, count in sizes), default=1)
    moved = any(sample.rate or sample.pace for sample in report.sampler.samples)
    return {
        "style": (folder / "charts.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": f"sha256-{digest}",
        "outcomes": shown,
        "most_outcomes": max((count for _, count, _ in shown), default=1),
        "sizes": [
            (_round_size(low), count, round(100 * count / most, 1)) for low, _, count in sizes
        ],
        "size_labels": len(sizes) // SIZE_LABELS + 1,
        "samples": [
            [round(value, 4) for value in sample] for sample in report.sampler.samples if moved
        ],
    }


def status(state: RunState) -> tuple[str, str]:
    """Return how the run ended in one to three words, and a tone."""
    if state.interrupted:
        return "Stopped", "warning"
    if state.ended is None or state.incomplete:
        return "Not finished", "warning"
    if problems := state.failed + state.bad_verdicts + state.not_in_album + state.misarranged:
        word = "with problems" if state.verdicts else "failed"
        return f"Done, {problems:,} {word}", "bad"
    return "Done", "good"


def headline(state: RunState, run: events.RunStarted) -> str:
    """Return the result of the run in one sentence."""
    photos = count_text(state.photos, "photo")
    if not state.found:
        return "No files were found"
    if run.task == "verify":
        there = state.verdicts.total() - state.bad_verdicts
        return f"{there:,} of {photos} are present and intact"
    if run.task in phrases.REFRESHING:
        words = "would be changed" if run.task in phrases.DRY_RUNS else "were changed"
        return f"{state.changed:,} of {photos} {words}"
    if run.task == "dry-run":
        return f"{state.new:,} of {photos} would be sent"
    there = state.uploaded + state.present
    if there == state.photos == 1:
        return "The photo is in the gallery"
    if there == state.photos:
        return f"All {photos} are in the gallery"
    return f"{there:,} of {photos} are in the gallery"


def figures(state: RunState, run: events.RunStarted) -> list[Figure]:
    """Return the numbers at the top of the page, without zeros except for the first."""
    if run.task == "verify":
        shown = [
            Figure(words.partition(" ")[0], words.partition(" ")[2], tone=TONES[style])
            for words, style in phrases.verdict_words(state)
        ]
    elif run.task in phrases.REFRESHING:
        shown = [Figure(f"{state.changed:,}", "changed", "", "good")]
        shown.append(Figure(f"{state.refreshed - state.changed:,}", "unchanged", "", "calm"))
        if state.kept:
            shown.append(Figure(f"{state.kept:,}", "kept", "edited in the gallery", "warning"))
    elif run.task == "dry-run":
        plan = state.estimated
        longest_s = max(plan.sending_s, plan.finishing_s) if plan else 0.0
        about = f"about {time_text(longest_s)}" if plan else ""
        more = ", ".join(filter(None, [size_text(state.new_size), about]))
        shown = [Figure(f"{state.new:,}", "to be sent", more, "good")]
        if read := state.takeout:
            shown.append(Figure(f"{read.photos:,}", "in a Takeout", phrases.takeout_words(read)))
        for source in state.sources:
            words = phrases.source_words(source)
            shown.append(Figure(f"{source.photos:,}", f"in {source.source}", words))
    else:
        more = size_text(state.uploaded_size)
        shown = [Figure(f"{state.uploaded:,}", "uploaded", more, "good")]
    linked = f"{state.linked:,} added to the album" if state.linked else ""
    for count, noun, more, tone in (
        (state.replaced, "replaced", "of the uploaded", "good"),
        (state.present, "already there", linked, "calm"),
        (state.without_json, "without JSON", phrases.WITHOUT_JSON, "warning"),
        (state.failed, "failed", "see below", "bad"),
        (state.incomplete, "unfinished", "run again to continue", "warning"),
        (state.not_moved, "not moved", "see below", "warning"),
        (state.moved, "moved", "", "good"),
        (state.skipped, "skipped by rule", "", "faint"),
        (state.retries, "retries", "", "faint"),
    ):
        if count:
            shown.append(Figure(f"{count:,}", noun, more, tone))
    if state.uploaded:
        rate = rate_text(state.mean_rate(state.latest))
        elapsed_s = state.elapsed_s(state.latest)
        pace = f"{state.uploaded / elapsed_s:.2g} photos/s" if elapsed_s else ""
        shown.append(Figure(rate, "on average", pace, "faint"))
    return shown


def outcomes(state: RunState) -> Iterator[tuple[str, int, str]]:
    """Yield the outcomes that occurred: words, count and tone."""
    counts = [
        ("uploaded", state.uploaded, "good"),
        ("new", state.new, "good"),
        ("already there", state.present, "calm"),
        ("changed", state.changed, "good"),
        ("unchanged", state.refreshed - state.changed, "calm"),
        *(
            (words, state.verdicts[each], TONES[style])
            for each, (words, style) in VERDICTS.items()
        ),
        ("failed", state.failed, "bad"),
        ("unfinished", state.unfinished, "warning"),
        ("skipped", state.skipped, "faint"),
    ]
    yield from (each for each in counts if each[1])


def grouped(
    problems: Sequence[events.PhotoFailed | events.PhotoChecked | events.FileNotMoved],
) -> Iterator[Group]:
    """Yield the files with problems by their reason, the most frequent first."""
    groups: dict[tuple[str, str, str], Group] = {}
    for file in problems:
        word, tone = "failed", "bad"
        if isinstance(file, events.FileNotMoved):
            word, tone = "stays", "warning"
        elif isinstance(file, events.PhotoChecked):
            word, style = VERDICTS[file.verdict]
            tone = TONES[style]
        group = groups.setdefault(
            (word, file.reason, file.hint),
            Group(word, tone, printable(file.reason), printable(file.hint)),
        )
        group.paths.append(printable(file.path))
    yield from sorted(groups.values(), key=lambda group: -len(group.paths))


def skipped(state: RunState) -> Iterator[tuple[str, str]]:
    """Yield how many files each rule skipped, and the rule."""
    for reason in events.SkipReason:
        if count := state.skipped_by_reason[reason]:
            yield f"{count:,}", SKIPPED.get(reason) or phrases.types_words(state)


def _round_size(size: int) -> str:
    """Return a round size without trailing zeros: 200 kB."""
    number, _, unit = size_text(size).partition(" ")
    return f"{float(number):g} {unit}"
