"""A run put in words and pictures for a page.

Knows the story, the charts and the library jinja2, of which this is the only home. All texts pass
through `printable`, and the template escapes every one of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from bulkup import __version__
from bulkup.departures import FileStays
from bulkup.events import PhotoChecked, PhotoFailed, RunStarted
from bulkup.kinds import SkipReason
from bulkup.report.charts import Chart, of_outcomes, of_sizes, over_time
from bulkup.report.state import RunState
from bulkup.report.story import Story
from bulkup.report.summary import SKIPPED, types_words
from bulkup.report.text import clock_text, count_text, printable, rate_text, size_text, time_text
from bulkup.report.words import VERDICTS, manner, title, verdict_words

Amiss = PhotoFailed | PhotoChecked | FileStays
TONES: Final = {"green": "good", "bold red": "bad", "yellow": "warn", "": "calm", "dim": "soft"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number worth seeing, with its noun, something more, and the name of its colour."""

    number: str
    noun: str
    more: str = ""
    tone: str = "calm"


@dataclass(slots=True)
class Group:
    """What is amiss for one reason: the paths of the files, and what to do."""

    word: str
    tone: str
    reason: str
    hint: str
    paths: list[str] = field(default_factory=list)


def page(story: Story, *, table: str) -> str:
    """Return the page; `table` is a name for a report with every file."""
    state, run = story.state, story.state.run
    if run is None:
        raise ValueError("a run that has not begun has no page")
    environment = Environment(
        loader=PackageLoader("bulkup", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    groups = list(grouped([*state.failures, *state.amiss, *state.staying]))
    if end := story.failed:
        groups.insert(0, Group("ended", "bad", printable(end.reason), printable(end.hint)))
    kept = len(state.failures) + len(state.amiss) + len(state.staying)
    began = story.began.astimezone()
    return environment.get_template("page.html").render(
        version=__version__,
        status=status(state),
        headline=headline(state, run),
        where=title(run),
        manner=manner(run),
        user=printable(run.user),
        began=began.strftime("%Y-%m-%d %H:%M"),
        zone=began.strftime("%Z"),
        took=time_text(state.elapsed_s(state.latest)),
        figures=figures(state, run),
        charts=charts(story, run),
        groups=groups,
        more=state.failed + state.amiss_count + state.stay - kept,
        table=printable(table),
        skipped=list(left_out(state)),
        notes=[
            (clock_text(note.at - (state.started or 0)), printable(note.message), note.hint)
            for note in story.notes
        ],
        more_notes=story.notes_count - len(story.notes),
        again=story.again,
        sends=run.task == "upload",
        printable=printable,
        count_text=count_text,
    )


def status(state: RunState) -> tuple[str, str]:
    """Return how the run ended, in a word or two, and the name of a colour."""
    open_end = state.unfinished + state.pending
    if state.interrupted:
        return "Stopped", "warn"
    if state.ended is None or open_end:
        return "Not finished", "warn"
    amiss = state.failed + state.amiss_count + (state.checked.astray if state.checked else 0)
    if amiss:
        return f"Done, {amiss:,} amiss" if state.verdicts else f"Done, {amiss:,} failed", "bad"
    return "Done", "good"


def headline(state: RunState, run: RunStarted) -> str:
    """Return what the run has come to, in one sentence."""
    photos = count_text(state.photos, "photo")
    if not state.found:
        return "No files were found"
    if run.task == "verify":
        there = state.verdicts.total() - state.amiss_count
        return f"{there:,} of {photos} are there as they should be"
    if run.task == "dry-run":
        return f"{state.new:,} of {photos} would be sent"
    there = state.uploaded + state.present
    if there == state.photos == 1:
        return "The one photo is in the gallery"
    if there == state.photos:
        return f"All {photos} are in the gallery"
    return f"{there:,} of {photos} are in the gallery"


def figures(state: RunState, run: RunStarted) -> list[Figure]:
    """Return the numbers that come first, nothing that is zero but the first."""
    if run.task == "verify":
        shown = [
            Figure(words.partition(" ")[0], words.partition(" ")[2], tone=TONES[style])
            for words, style in verdict_words(state)
        ]
    elif run.task == "dry-run":
        plan = state.estimated
        longest_s = max(plan.sending_s, plan.finishing_s) if plan else 0.0
        about = f"about {time_text(longest_s)}" if plan else ""
        more = ", ".join(filter(None, [size_text(state.new_size), about]))
        shown = [Figure(f"{state.new:,}", "to be sent", more, "good")]
    else:
        more = size_text(state.uploaded_size)
        shown = [Figure(f"{state.uploaded:,}", "uploaded", more, "good")]
    linked = f"{state.linked:,} put into the album" if state.linked else ""
    open_end = state.unfinished + state.pending
    for count, figure in (
        (state.replaced, Figure(f"{state.replaced:,}", "replaced", "of the uploaded", "good")),
        (state.present, Figure(f"{state.present:,}", "already there", linked)),
        (state.failed, Figure(f"{state.failed:,}", "failed", "see below", "bad")),
        (open_end, Figure(f"{open_end:,}", "unfinished", "run again to go on", "warn")),
        (state.stay, Figure(f"{state.stay:,}", "not put away", "see below", "warn")),
        (state.put_away, Figure(f"{state.put_away:,}", "put away", tone="good")),
        (state.skipped, Figure(f"{state.skipped:,}", "left out by rule", tone="soft")),
        (state.retries, Figure(f"{state.retries:,}", "retries", tone="soft")),
    ):
        if count:
            shown.append(figure)
    if state.uploaded:
        rate = rate_text(state.mean_rate(state.latest))
        elapsed_s = state.elapsed_s(state.latest)
        pace = f"{state.uploaded / elapsed_s:.2g} photos/s" if elapsed_s else ""
        shown.append(Figure(rate, "on average", pace, "soft"))
    return shown


def charts(story: Story, run: RunStarted) -> list[Chart]:
    """Return the pictures; a dry run has none over time, as nothing goes out."""
    state = story.state
    verdicts = [
        (words, state.verdicts[verdict], TONES[style])
        for verdict, (words, style) in VERDICTS.items()
    ]
    outcomes = of_outcomes(
        [
            ("uploaded", state.uploaded, "good"),
            ("new", state.new, "good"),
            ("already there", state.present, "calm"),
            *verdicts,
            ("failed", state.failed, "bad"),
            ("unfinished", state.unfinished, "warn"),
            ("left out", state.skipped, "soft"),
        ]
    )
    over: list[Chart] = []
    if any(bucket.sent or bucket.done for bucket in story.timeline.buckets):
        over = over_time(
            story.timeline, state.elapsed_s(state.latest), checked=run.task == "verify"
        )
    return [chart for chart in (outcomes, of_sizes(story.sizes), *over) if chart]


def grouped(files: Sequence[Amiss]) -> Iterator[Group]:
    """Yield what is amiss by its reason, the most frequent first."""
    groups: dict[tuple[str, str, str], Group] = {}
    for file in files:
        word, tone = "failed", "bad"
        if isinstance(file, FileStays):
            word, tone = "stays", "warn"
        elif isinstance(file, PhotoChecked):
            word, style = VERDICTS[file.verdict]
            tone = TONES[style]
        group = groups.setdefault(
            (word, file.reason, file.hint),
            Group(word, tone, printable(file.reason), printable(file.hint)),
        )
        group.paths.append(printable(file.path))
    yield from sorted(groups.values(), key=lambda group: -len(group.paths))


def left_out(state: RunState) -> Iterator[tuple[str, str]]:
    """Yield how many files were left out, and by which rule."""
    for reason in SkipReason:
        if count := state.skipped_by_reason[reason]:
            yield f"{count:,}", SKIPPED.get(reason) or types_words(state)
