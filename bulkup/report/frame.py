"""What the live view looks like at one moment: the state as lines of a given size.

Pure. Knows the state, widths and colours; no console, no cursor, no clock. A frame never has more
lines than there is room for: what matters least goes first.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from rich.text import Text

from bulkup.events import RunStarted
from bulkup.report.flight import PhotoInFlight
from bulkup.report.state import RunState
from bulkup.report.text import fit, percent, printable, rate_text, shorten, size_text
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
GAP = "  "
PERCENT = 4
SIZE = 7
PACE = 9
WIDE = 80  # from here on the totals stand in one line
PARENT_FROM = 36  # cells of the name from which on the folder is shown too
SEPARATOR = " · "


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide the two columns are that give way; no bar where there is no room for one."""

    name: int
    bar: int

    @classmethod
    def within(cls, width: int) -> "Columns":
        """Share out the width of a row."""
        room = width - PERCENT - SIZE - PACE - 4 * len(GAP)
        if room < 20:
            return cls(name=max(room + len(GAP), 4), bar=0)
        name = max(12, room * 55 // 100)
        return cls(name=name, bar=room - name)


def frame(
    state: RunState, now: float, *, width: int, height: int, places: Sequence[Path | None]
) -> list[Text]:
    """Return the lines of the moment: at most `height`, each narrower than `width`.

    `places` says which photo stands in which row, as `arrange` returns it.
    """
    inner = max(1, min(width - 1, WIDEST))
    totals = _totals(state, now, inner, height)
    rows = _rows(state, now, inner, places, height - len(totals))
    spare = height - len(totals) - len(rows)
    lines = [*rows, *totals]
    if rows and spare > 2:
        lines.insert(len(rows), Text(""))
        lines.insert(0, Text(""))
        spare -= 2
    if state.run and spare > 0:
        lines.insert(0, _header(state.run, inner))
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


def bar(part: float, whole: float, width: int, *, style: str) -> Text:
    """Return a bar that is full when all is done; it reads without colours too."""
    filled = width if part >= whole else int(width * part / whole)
    return Text.assemble(("━" * filled, style), ("─" * (width - filled), FAINT))


def _header(run: RunStarted, width: int) -> Text:
    how = manner(run)
    where = shorten(title(run), width)
    if cell_len(where) + len(GAP) + cell_len(how) > width:
        return Text(where, "bold")
    return Text.assemble((fit(where, width - cell_len(how)), "bold"), (how, FAINT))


def _rows(
    state: RunState, now: float, width: int, places: Sequence[Path | None], room: int
) -> list[Text]:
    columns = Columns.within(width)
    shown = places
    if len(places) > room:
        shown = [path for path in places if path][: max(0, room - 1)]
    rows = [
        _row(state.in_flight[path], now, columns) if path in state.in_flight else Text("")
        for path in shown
    ]
    hidden = len(places) - len(shown)
    return [*rows, Text(f"… {hidden:,} more on their way", FAINT)][:room] if hidden else rows


def _row(photo: PhotoInFlight, now: float, columns: Columns) -> Text:
    name = photo.path.name
    if columns.name >= PARENT_FROM and photo.path.parent.name:
        name = f"{photo.path.parent.name}/{name}"
    pace, style = _pace(photo, now)
    parts: list[str | Text | tuple[str, str]] = [fit(printable(name), columns.name)]
    if columns.bar:
        parts += [GAP, bar(photo.sent, photo.size, columns.bar, style="cyan")]
    parts += [
        GAP,
        f"{percent(photo.sent, photo.size):>{PERCENT - 1}}%",
        GAP,
        (fit(size_text(photo.size), SIZE, right=True), FAINT),
        GAP,
        (fit(pace, PACE, right=True), style),
    ]
    return Text.assemble(*parts)


def _pace(photo: PhotoInFlight, now: float) -> tuple[str, str]:
    if photo.trouble:
        return "waiting", WARNING
    if photo.finishing:
        return "finishing", "green"
    if photo.attempt > 1:
        return f"try {photo.attempt}", WARNING
    seconds = now - photo.started
    return (rate_text(photo.sent / seconds), "") if seconds >= 1 and photo.sent else ("", "")


def _totals(state: RunState, now: float, width: int, height: int) -> list[Text]:
    """Return the last lines; of more than there is room for, those that matter most."""
    lines: list[tuple[int, Text]] = []
    if outage := outage_words(state, now):
        lines.append((1, Text(shorten(outage, width), f"bold {WARNING}")))
    if state.scan_ended:
        done = state.done_size + state.in_flight_size
        share = f"{percent(done, state.photos_size):>{PERCENT - 1}}%"
        whole = bar(done, state.photos_size, max(0, width - len(share) - len(GAP)), style="green")
        lines.append((4, Text.assemble(whole, GAP, (share, "bold"))))
    if state.run:
        amounts = [photos_words(state), bytes_words(state)]
        pace = pace_words(state, now)
        groups = [amounts + pace] if width >= WIDE else [amounts, pace]
        lines += [(2 * rank, Text(SEPARATOR.join(group))) for rank, group in enumerate(groups)]
    limits = [] if state.ended else [Text(words, FAINT) for words in limits_words(state)]
    if counts := limits + [Text(words, style) for words, style in count_words(state)]:
        lines.append((3, Text(SEPARATOR).join(counts)))
    kept = sorted(rank for rank, _ in lines)[: max(0, height)]
    return [line for rank, line in lines if rank in kept]
