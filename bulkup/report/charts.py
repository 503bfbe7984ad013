"""Charts as inline SVG that needs nothing else: no script, no font, colours of the page.

Knows buckets and the library pygal, of which this is the only home. Colours are CSS variables of
the page, so that a chart is right by day and by night.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

import pygal
from pygal.style import Style

from bulkup.report.text import clock_text, rate_text, size_text, time_text
from bulkup.report.timeline import Sizes, Timeline

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
