"""The page of the HTML report: its figures and charts. Needs the extra `report`."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree import ElementTree as ET

import pygal
from jinja2 import Environment, PackageLoader, StrictUndefined
from pygal.style import Style

from bulkup import __version__
from bulkup.events import FileStays, PhotoChecked, PhotoFailed, RunStarted, SkipReason
from bulkup.output.html import ReportModel
from bulkup.output.phrases import SKIPPED, VERDICTS, manner, title, types_words, verdict_words
from bulkup.output.samples import Sizes, Timeline
from bulkup.output.state import RunState
from bulkup.output.text import clock_text, count_text, printable, rate_text, size_text, time_text

WIDTH: Final = 560
HEIGHT: Final = 250
LABELS: Final = 6
ROUND_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600)
SVG: Final = "{http://www.w3.org/2000/svg}"

# for plug-ins that are not used; Python warns of its kind at every import that fails
sys.meta_path[:] = [each for each in sys.meta_path if type(each) is not pygal.PluginImportFixer]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its heading, and what it shows in a sentence."""

    title: str
    words: str
    svg: str


Values = Sequence[float | None]


def over_time(timeline: Timeline, elapsed_s: float, *, checked: bool) -> list[Chart]:
    """Return what went on in a run of so many seconds.

    `checked` tells that photos were compared and not sent.
    """
    buckets, lengths_s = timeline.buckets, timeline.lengths_s(elapsed_s)
    charts = [
        _line(
            timeline,
            "Throughput",
            "bytes a second that were compared" if checked else "bytes a second that went out",
            {"": [b.sent / length_s for b, length_s in zip(buckets, lengths_s, strict=True)]},
            text=rate_text,
        ),
        _line(
            timeline,
            "Photos a second",
            "photos that were checked" if checked else "photos that the server finished",
            {"": [b.done / length_s for b, length_s in zip(buckets, lengths_s, strict=True)]},
            text=_number,
            colour=1,
        ),
    ]
    if any(bucket.finished for bucket in buckets):
        mean: Values = [b.finish_s / b.finished if b.finished else None for b in buckets]
        slowest: Values = [b.slowest_s if b.finished else None for b in buckets]
        charts.append(
            _line(
                timeline,
                "Time to finish a photo",
                "from the first byte of its last chunk to the server's answer",
                {"mean": mean, "slowest": slowest},
                text=_seconds,
                colour=2,
            )
        )
    if any(bucket.finishing for bucket in buckets):
        charts.append(
            _line(
                timeline,
                "Finishing at once",
                "photos that the server may work on at once, and at most",
                {
                    "now": [bucket.finishing or None for bucket in buckets],
                    "at most": [bucket.ceiling or None for bucket in buckets],
                },
                text=_number,
                colour=4,
            )
        )
    if len({bucket.chunk_size for bucket in buckets if bucket.chunk_size}) > 1:
        charts.append(
            _line(
                timeline,
                "Chunk size",
                "the size of one request",
                {"": [bucket.chunk_size or None for bucket in buckets]},
                text=size_text,
                colour=5,
            )
        )
    return charts


def of_sizes(sizes: Sizes) -> Chart | None:
    """Return how many photos are of about which size, None where there are none."""
    steps = sizes.steps()
    if not steps:
        return None
    chart = _new(pygal.Bar, text=_count, colour=3)
    chart.x_labels = [_about(low) for low, _, _ in steps]
    chart.x_labels_major = [_about(low) for low, _, _ in steps[:: len(steps) // 7 + 1]]
    chart.show_minor_x_labels = False
    chart.spacing = 8
    chart.add("", [count for _, _, count in steps])
    return Chart("Sizes", "photos from about this size on", _svg(chart, "Sizes of the photos"))


def of_outcomes(counts: Sequence[tuple[str, int, str]]) -> Chart | None:
    """Return what became of the files: words, how many, and the name of a colour."""
    counts = [each for each in counts if each[1]]
    if not counts:
        return None
    chart = _new(pygal.HorizontalBar, text=_count, colour=0)
    chart.height = max(HEIGHT, 60 + 44 * len(counts))
    chart.x_labels = [f"{words} · {count:,}" for words, count, _ in reversed(counts)]
    chart.spacing = 12
    chart.add(
        "",
        [
            {"value": count, "style": f"fill: var(--{colour}); stroke: none"}
            for _, count, colour in reversed(counts)
        ],
    )
    return Chart("Outcomes", "what became of the files", _svg(chart, "Outcomes"))


def _line(
    timeline: Timeline,
    title: str,
    words: str,
    lines: dict[str, Values],
    *,
    text: Callable[[float], str],
    colour: int = 0,
) -> Chart:
    chart = _new(pygal.Line, text=text, colour=colour, solid=False)
    chart.show_dots = len(timeline.buckets) < 3
    chart.fill = len(lines) == 1
    chart.show_legend = len(lines) > 1
    chart.allow_interruptions = False
    chart.x_labels = times = _times(timeline)
    chart.x_labels_major = [time for time in times if time]
    chart.show_minor_x_labels = False
    for name, values in lines.items():
        chart.add(name, list(values))
    return Chart(title, words, _svg(chart, f"{title}: {words}"))


def _times(timeline: Timeline) -> list[str]:
    """Return a label for each bucket: round times for a few, nothing for the others."""
    labels = [""] * len(timeline.buckets)
    whole_s = len(labels) * timeline.width_s
    step_s = next((step for step in ROUND_S if whole_s / step <= LABELS), ROUND_S[-1])
    step_s *= max(1, math.ceil(whole_s / step_s / LABELS))
    for number in range(int(whole_s / step_s) + 1):
        index = round(number * step_s / timeline.width_s)
        if index < len(labels):
            labels[index] = clock_text(number * step_s)
    return labels


def _new(kind: Any, *, text: Callable[[float], str], colour: int, solid: bool = True) -> Any:  # noqa: ANN401 (untyped)
    colours = tuple(f"var(--line-{(colour + number) % 6})" for number in range(6))
    return kind(
        width=WIDTH,
        height=HEIGHT,
        js=(),
        pretty_print=False,
        show_legend=False,
        legend_at_bottom=True,
        legend_box_size=12,
        include_x_axis=True,
        min_scale=3,
        max_scale=5,
        margin=4,
        margin_right=16,
        truncate_label=-1,
        truncate_legend=-1,
        value_formatter=lambda value: "" if value is None else text(value),
        no_data_text="nothing happened",
        style=Style(
            background="transparent",
            plot_background="transparent",
            foreground="var(--soft)",
            foreground_strong="var(--ink)",
            foreground_subtle="var(--soft)",
            guide_stroke_color="var(--edge)",
            major_guide_stroke_color="var(--edge)",
            guide_stroke_dasharray="none",
            major_guide_stroke_dasharray="none",
            opacity=".9" if solid else ".15",
            opacity_hover="1" if solid else ".3",
            colors=colours,
            value_colors=colours,
            font_family="inherit",
            label_font_size=14,
            major_label_font_size=14,
            legend_font_size=14,
            no_data_font_size=14,
        ),
    )


def _svg(chart: Any, words: str) -> str:  # noqa: ANN401 (untyped)
    """Return the picture without scripts, which it does not need."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{SVG}script", "script"}:
                parent.remove(child)
    root.set("role", "img")
    root.set("aria-label", words)
    return ET.tostring(root, encoding="unicode")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else ""


def _seconds(value: float) -> str:
    return time_text(value) if value >= 60 else f"{value:.3g} s"


def _about(size: int) -> str:
    """Return a round size with no more digits than it has: 200 kB."""
    number, _, unit = size_text(size).partition(" ")
    return f"{float(number):g} {unit}"


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


def page(story: ReportModel, *, table: str) -> str:
    """Return the page; `table` is a name for a report with every file."""
    state, run = story.state, story.state.run
    if run is None:
        raise ValueError("a run that has not begun has no page")
    environment = Environment(
        loader=PackageLoader("bulkup", "output"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    groups = list(grouped([*state.failures, *state.bad_checks, *state.staying]))
    if end := state.run_failed:
        groups.insert(0, Group("ended", "bad", printable(end.reason), printable(end.hint)))
    kept = len(state.failures) + len(state.bad_checks) + len(state.staying)
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
        more=state.failed + state.bad_verdicts + state.stays - kept,
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
    open_end = state.incomplete
    if state.interrupted:
        return "Stopped", "warn"
    if state.ended is None or open_end:
        return "Not finished", "warn"
    amiss = state.failed + state.bad_verdicts + state.astray
    if amiss:
        return f"Done, {amiss:,} amiss" if state.verdicts else f"Done, {amiss:,} failed", "bad"
    return "Done", "good"


def headline(state: RunState, run: RunStarted) -> str:
    """Return what the run has come to, in one sentence."""
    photos = count_text(state.photos, "photo")
    if not state.found:
        return "No files were found"
    if run.task == "verify":
        there = state.verdicts.total() - state.bad_verdicts
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
    open_end = state.incomplete
    for count, figure in (
        (state.replaced, Figure(f"{state.replaced:,}", "replaced", "of the uploaded", "good")),
        (state.present, Figure(f"{state.present:,}", "already there", linked)),
        (state.failed, Figure(f"{state.failed:,}", "failed", "see below", "bad")),
        (open_end, Figure(f"{open_end:,}", "unfinished", "run again to go on", "warn")),
        (state.stays, Figure(f"{state.stays:,}", "not put away", "see below", "warn")),
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


def charts(story: ReportModel, run: RunStarted) -> list[Chart]:
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
