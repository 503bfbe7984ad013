"""What the live view looks like at one moment: the state as lines of a given size.

Pure. Knows the state, widths and colours; no console, no cursor, no clock. A frame never has more
lines than there is room for: what matters least goes first.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.text import Text

from bulkup.events import RunStarted
from bulkup.report.rows import GAP, PERCENT, Columns, bar, row
from bulkup.report.state import RunState
from bulkup.report.text import clip, clock_text, percent, shorten
from bulkup.report.words import (
    FAINT,
    WARNING,
    bytes_words,
    count_words,
    limits_words,
    manner,
    outage_words,
    pace_words,
    photos_words,
    title,
)

WIDEST = 140  # a line that is longer is no longer taken in at a glance
CLOCK = 5
WIDE = 99  # from here on the totals stand in one line
ROOMY = 8  # from so many lines on, one is the header's
SEPARATOR = " · "


def frame(
    state: RunState, now: float, *, width: int, height: int, places: Sequence[Path | None]
) -> list[Text]:
    """Return the lines of the moment: at most `height`, each narrower than `width`.

    `places` says which photo stands in which row, as `arrange` returns it.
    """
    inner = max(1, min(width - 1, WIDEST))
    totals = _totals(state, now, inner, height)
    head = _header(state.run, inner) if state.run else []
    room = height - len(totals)
    rows = _rows(state, now, inner, places, room - (1 if head and height >= ROOMY else 0))
    spare = room - len(rows)
    lines = [*rows, *totals]
    if rows and spare > len(head) + 1:
        lines.insert(len(rows), Text(""))
        lines.insert(0, Text(""))
        spare -= 2
    lines[:0] = head[: max(0, spare)]
    for line in lines:
        line.truncate(inner, overflow="ellipsis")
    return lines


def arrange(
    places: Sequence[Path | None], in_flight: Collection[Path], *, pending: int
) -> list[Path | None]:
    """Return which photo stands in which row: each keeps its place, new ones take the free ones.

    Free places stay open while photos are `pending` that will take them, so that nothing jumps.
    """
    arranged = [path if path in in_flight else None for path in places]
    standing = set(arranged)
    for path in in_flight:
        if path not in standing:
            if None in arranged:
                arranged[arranged.index(None)] = path
            else:
                arranged.append(path)
    while len(arranged) > pending and None in arranged:
        arranged.remove(None)
    return arranged


def _header(run: RunStarted, width: int) -> list[Text]:
    """Return where the photos go and how: in one line where there is room for both."""
    where, how = shorten(title(run), width), manner(run)
    gap = width - cell_len(where) - cell_len(how)
    if gap < len(GAP):
        return [Text(where, "bold"), Text(how, FAINT)]
    return [Text.assemble((where, "bold"), " " * gap, (how, FAINT))]


def _rows(
    state: RunState, now: float, width: int, places: Sequence[Path | None], room: int
) -> list[Text]:
    columns = Columns.within(width)
    under_way = state.traffic.shown(now)
    shown = places if len(places) <= room else places[: max(0, room - 1)]
    rows = [
        row(under_way[path], now, columns) if path in under_way else Text("") for path in shown
    ]
    hidden = sum(path in under_way for path in places[len(shown) :])
    return [*rows, Text(f"… and {hidden:,} more", FAINT)][: max(0, room)] if hidden else rows


def _totals(state: RunState, now: float, width: int, height: int) -> list[Text]:
    """Return the last lines; of more than there is room for, those that matter most."""
    lines: list[tuple[int, Text]] = []
    if outage := outage_words(state, now):
        lines.append((1, Text(clip(outage, width), f"bold {WARNING}")))
    if state.run:
        lines.append((4, _whole(state, now, width)))
        amounts = [Text(photos_words(state), "bold"), Text(bytes_words(state))]
        pace = [Text(words) for words in pace_words(state, now)]
        groups = [amounts + pace] if width >= WIDE else [amounts, pace]
        lines += [
            (2 * rank, Text(SEPARATOR).join(group)) for rank, group in enumerate(groups) if group
        ]
    limits = [] if state.ended else [Text(words, FAINT) for words in limits_words(state)]
    counts = [Text(words, style) for words, style in count_words(state)]
    flowed = _flow([*limits, *counts], width)
    lines += [(3 if index == 0 else 5, line) for index, line in enumerate(flowed)]
    kept = sorted(range(len(lines)), key=lambda index: lines[index][0])[: max(0, height)]
    return [line for index, (_, line) in enumerate(lines) if index in kept]


def _whole(state: RunState, now: float, width: int) -> Text:
    """Return how far the run is, and for how long it has been going."""
    clock = f"{clock_text(state.elapsed_s(now)):>{CLOCK}}"
    length = max(0, width - PERCENT - len(clock) - 2 * len(GAP))
    if not state.scan_ended:  # part of what is not known
        return Text.assemble(("─" * length, FAINT), GAP, " " * PERCENT, GAP, (clock, FAINT))
    done, goal = state.reached_size, state.goal_size
    share = f"{percent(done, goal):>{PERCENT - 1}}%"
    whole = bar(done, goal, length, style="green")
    return Text.assemble(whole, GAP, (share, "bold"), GAP, (clock, FAINT))


def _flow(parts: Sequence[Text], width: int) -> list[Text]:
    """Return the parts in as many lines as it takes."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(SEPARATOR) + part.cell_len <= width:
            lines[-1] = Text(SEPARATOR).join([lines[-1], part])
        else:
            lines.append(part)
    return lines
