"""The live view on a terminal: a frame that is redrawn in place.

It does not use `rich.live`, which hides the cursor between frames: after a kill it stays hidden.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from bulkup.events import Event, RunStarted
from bulkup.output import phrases
from bulkup.output.phrases import FAINT, GOOD, INDENT, WARNING
from bulkup.output.plain import write
from bulkup.output.sinks import Clock, Periodic, Sleep, StateReport
from bulkup.output.state import FileBeingHashed, PhotoInFlight, RunState
from bulkup.output.text import (
    brief_text,
    clip,
    clock_text,
    fit,
    percent,
    printable,
    rate_text,
    shorten,
    size_text,
)

GAP = "  "
PERCENT = 4
SIZE = 7
AMOUNT = 18
RATE = 9
DOING = 14
PERCENT_FROM, RATE_FROM, AMOUNT_FROM = 70, 94, 118  # widths of the row in cells
PARENT_FROM = 28  # width of the name from which the folder is shown too
IDLE_S = 2.0  # a photo of which nothing was sent for this time is waiting

HALF = "╸"
SENDING = "cyan"


@dataclass(frozen=True, slots=True)
class Columns:
    """The widths of the columns in cells; 0 for a column that is left out."""

    name: int
    bar: int
    percent: int
    amount: int
    rate: int

    @classmethod
    def within(cls, width: int) -> "Columns":
        """Return the columns of a row of this width."""
        share = PERCENT if width >= PERCENT_FROM else 0
        amount = AMOUNT if width >= AMOUNT_FROM else SIZE
        rate = RATE if width >= RATE_FROM else 0
        others = [column for column in (share, amount, rate, DOING) if column]
        room = width - sum(others) - len(GAP) * len(others)
        if room < 20:
            return cls(name=max(room, 4), bar=0, percent=share, amount=amount, rate=rate)
        name = max(12, (room - len(GAP)) * 55 // 100)
        bar = room - len(GAP) - name
        return cls(name=name, bar=bar, percent=share, amount=amount, rate=rate)


def row(photo: PhotoInFlight | FileBeingHashed, now: float, columns: Columns) -> Text:
    """Return the row of a photo; a long name is cut in the middle."""
    name = photo.path.name
    if columns.name >= PARENT_FROM and photo.path.parent.name:
        name = f"{photo.path.parent.name}/{name}"
    sent = photo.sent if isinstance(photo, PhotoInFlight) else 0
    rate = photo.rate if isinstance(photo, PhotoInFlight) else None
    pace = rate_text(rate) if rate is not None else ""
    doing, style = activity_words(photo, now)
    if doing == "sending" and not columns.rate and pace:
        doing = pace
    parts: list[str | Text | tuple[str, str]] = [fit(printable(name), columns.name)]
    if columns.bar:
        parts += [GAP, _progress(photo, columns.bar)]
    if columns.percent:
        parts += [GAP, f"{percent(sent, photo.size):>{columns.percent - 1}}%"]
    amount = size_text(photo.size)
    if columns.amount > SIZE:
        amount = f"{size_text(sent)} of {amount}"
    parts += [GAP, (fit(amount, columns.amount, right=True), FAINT)]
    if columns.rate:
        parts += [GAP, (fit(pace, columns.rate, right=True), "" if doing == "sending" else FAINT)]
    parts += [GAP, (fit(doing, DOING), style)]
    line = Text.assemble(*parts)
    line.rstrip()
    return line


def bar(part: float, whole: float, width: int, *, style: str) -> Text:
    """Return a progress bar that is readable without colours."""
    halves = 2 * width if part >= whole else int(2 * width * part / whole)
    filled = "━" * (halves // 2) + HALF * (halves % 2)
    return Text.assemble((filled, style), ("─" * (width - len(filled)), FAINT))


def _progress(photo: PhotoInFlight | FileBeingHashed, width: int) -> Text:
    """Return the progress of a photo, or why it waits."""
    if isinstance(photo, FileBeingHashed):
        return Text("─" * width, FAINT)
    if photo.trouble:
        return Text(fit(clip(printable(photo.trouble), width), width), WARNING)
    style = GOOD if photo.finishing else SENDING
    return bar(photo.sent, photo.size, width, style=style)


def activity_words(photo: PhotoInFlight | FileBeingHashed, now: float) -> tuple[str, str]:
    """Return what is being done with a photo and for how long, with a style."""
    if isinstance(photo, FileBeingHashed):
        return f"hashing {brief_text(now - photo.since)}", FAINT
    if photo.trouble:
        rest_s = photo.again_at - now
        return (f"again in {brief_text(rest_s)}" if rest_s >= 1 else "again"), WARNING
    if photo.finishing_since is not None:
        since_s = now - photo.finishing_since
        return (f"finishing {brief_text(since_s)}" if since_s >= 1 else "finishing"), GOOD
    idle_s = now - photo.moved
    if idle_s >= IDLE_S:
        return f"waiting {brief_text(idle_s)}", FAINT
    return ("sending", "") if photo.attempt == 1 else (f"try {photo.attempt}", WARNING)


MAX_WIDTH = 140  # longer lines are hard to read
CLOCK = 5
ONE_LINE_FROM = 99  # width from which the totals are in one line
HEADER_FROM = 8  # height from which one line is reserved for the header
SEPARATOR = " · "


def frame(
    state: RunState, now: float, *, width: int, height: int, slots: Sequence[Path | None]
) -> list[Text]:
    """Return the lines of a frame: at most `height`, each narrower than `width`.

    `slots` holds the photo of each row, as `arrange` returns it.
    """
    inner = max(1, min(width - 1, MAX_WIDTH))
    totals = _totals(state, now, inner, height)
    head = _header(state.run, inner) if state.run else []
    room = height - len(totals)
    rows = _rows(state, now, inner, slots, room - (1 if head and height >= HEADER_FROM else 0))
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
    slots: Sequence[Path | None], in_flight: Collection[Path], *, pending: int
) -> list[Path | None]:
    """Return the photo of each row: photos keep their row, new ones take free rows.

    Free rows stay while `pending` photos will take them, so that the rows do not move.
    """
    arranged = [path if path in in_flight else None for path in slots]
    shown = set(arranged)
    for path in in_flight:
        if path not in shown:
            if None in arranged:
                arranged[arranged.index(None)] = path
            else:
                arranged.append(path)
    while len(arranged) > pending and None in arranged:
        arranged.remove(None)
    return arranged


def _header(run: RunStarted, width: int) -> list[Text]:
    """Return the album and the method, in one line if they fit."""
    where, how = shorten(phrases.title(run), width), phrases.manner(run)
    gap = width - cell_len(where) - cell_len(how)
    if gap < len(GAP):
        return [Text(where, "bold"), Text(how, FAINT)]
    return [Text.assemble((where, "bold"), " " * gap, (how, FAINT))]


def _rows(
    state: RunState, now: float, width: int, slots: Sequence[Path | None], room: int
) -> list[Text]:
    columns = Columns.within(width)
    under_way = state.active.shown(now)
    shown = slots if len(slots) <= room else slots[: max(0, room - 1)]
    rows = [
        row(under_way[path], now, columns) if path in under_way else Text("") for path in shown
    ]
    hidden = sum(path in under_way for path in slots[len(shown) :])
    return [*rows, Text(f"… and {hidden:,} more", FAINT)][: max(0, room)] if hidden else rows


def _totals(state: RunState, now: float, width: int, height: int) -> list[Text]:
    """Return the last lines; if they do not fit, the most important ones."""
    lines: list[tuple[int, Text]] = []
    if outage := phrases.outage_words(state, now):
        lines.append((1, Text(clip(outage, width), f"bold {WARNING}")))
    if state.run:
        lines.append((4, _whole(state, now, width)))
        amounts = [Text(phrases.photos_words(state), "bold"), Text(phrases.bytes_words(state))]
        pace = [Text(words) for words in phrases.pace_words(state, now)]
        groups = [amounts + pace] if width >= ONE_LINE_FROM else [amounts, pace]
        lines += [
            (2 * rank, Text(SEPARATOR).join(group)) for rank, group in enumerate(groups) if group
        ]
    limits = [] if state.ended else [Text(words, FAINT) for words in phrases.limits_words(state)]
    counts = [Text(words, style) for words, style in phrases.count_words(state)]
    flowed = _flow([*limits, *counts], width)
    lines += [(3 if index == 0 else 5, line) for index, line in enumerate(flowed)]
    kept = sorted(range(len(lines)), key=lambda index: lines[index][0])[: max(0, height)]
    return [line for index, (_, line) in enumerate(lines) if index in kept]


def _whole(state: RunState, now: float, width: int) -> Text:
    """Return the progress bar of the run, and for how long it has lasted."""
    clock = f"{clock_text(state.elapsed_s(now)):>{CLOCK}}"
    length = max(0, width - PERCENT - len(clock) - 2 * len(GAP))
    if not state.scan_ended:  # the total is unknown
        return Text.assemble(("─" * length, FAINT), GAP, " " * PERCENT, GAP, (clock, FAINT))
    done, goal = state.reached_size, state.goal_size
    share = f"{percent(done, goal):>{PERCENT - 1}}%"
    whole = bar(done, goal, length, style="green")
    return Text.assemble(whole, GAP, (share, "bold"), GAP, (clock, FAINT))


def _flow(parts: Sequence[Text], width: int) -> list[Text]:
    """Return the parts in as few lines as possible."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(SEPARATOR) + part.cell_len <= width:
            lines[-1] = Text(SEPARATOR).join([lines[-1], part])
        else:
            lines.append(part)
    return lines


HOLD, RELEASE = "\x1b[?2026h", "\x1b[?2026l"  # synchronized output: no half-drawn frames
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
CLIP, WRAP = "\x1b[?7l", "\x1b[?7h"  # a line that is wider than computed must not wrap
ERASE_REST_OF_LINE, ERASE_BELOW = "\x1b[K", "\x1b[J"
# erases from the cursor on, but never "below" from the first cell of the screen: tmux would copy
# the erased screen to its history
WIPE = f"{ERASE_REST_OF_LINE}\x1b7\x1b[B\r{ERASE_BELOW}\x1b8"


def rows_taken(widths: Sequence[int], columns: int) -> int:
    """Return how many rows lines of these widths take on a terminal of `columns` cells.

    Terminals wrap existing lines when the window becomes narrower.
    """
    return sum(max(1, -(-width // max(1, columns))) for width in widths)


class Canvas:
    """Paints lines over those it painted before; lines `above` them scroll away."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths: list[int] = []

    def paint(self, lines: Sequence[Text], *, above: Sequence[Text] = ()) -> None:
        """Replace the last lines, and insert lines `above` them."""
        climb = rows_taken(self._widths, self._console.width)
        # erase lines that were wrapped, or that the new ones do not cover
        erase = bool(above) or not lines or climb != len(self._widths)
        self._console.print(_Painting(lines, above, climb=climb, erase=erase), crop=False)
        self._widths = [line.cell_len for line in lines]

    def clear(self) -> None:
        """Erase the lines: the next output begins at their position."""
        self.paint(())


class _Painting:
    """One frame as rich renders it: text in the console's colours between cursor movements."""

    def __init__(
        self, lines: Sequence[Text], above: Sequence[Text], *, climb: int, erase: bool
    ) -> None:
        self._lines = lines
        self._above = above
        self._climb = climb
        self._erase = erase

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        endless = options.update(no_wrap=True, overflow="ignore")
        yield _control(HOLD + HIDE + "\r" + (f"\x1b[{self._climb}A" if self._climb else ""))
        if self._erase and self._climb:
            yield _control(WIPE)
        for line in self._above:
            yield from _text(console, endless, line)
            yield Segment.line()
        yield _control(CLIP)
        for line in self._lines:
            yield from _text(console, endless, line)
            yield _control(ERASE_REST_OF_LINE)
            yield Segment.line()
        yield _control((ERASE_BELOW if self._lines else "") + WRAP + SHOW + RELEASE)


def _text(console: Console, options: ConsoleOptions, line: Text) -> Iterator[Segment]:
    for segment in console.render(line, options):
        if segment.text != "\n":
            yield segment


def _control(codes: str) -> Segment:
    return Segment(codes, None, ())


REDRAW_EVERY_S = 0.125
STALE_AFTER_S = 1.0  # times and rates change even if nothing happens


def suits_live(console: Console) -> bool:
    """Return whether the console can redraw lines and has the characters of the bars.

    `is_terminal` is not enough: with FORCE_COLOR it is true for a pipe, too.
    """
    return (
        console.is_terminal
        and console.file.isatty()
        and not console.is_dumb_terminal
        and not console.legacy_windows
        and console.encoding.startswith("utf")
    )


class LiveReport(StateReport):
    """Shows a run on a terminal: open it with `async with`, pass events to `emit`.

    However the block ends, the terminal is restored and shows the summary.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        verbose: bool = False,
    ) -> None:
        super().__init__(clock=clock)
        self._console = console
        self._canvas = Canvas(console)
        self._verbose = verbose
        self._ticks = Periodic(self.redraw, every_s=REDRAW_EVERY_S, sleep=sleep)
        self._slots: list[Path | None] = []
        self._above: list[Text] = []
        self._changed = False
        self._drawn: tuple[float, int, int] | None = None

    async def __aenter__(self) -> Self:
        self._ticks.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            self._canvas.clear()
            write(self._console, *self._take_above(), *phrases.summary(self.state))
        finally:
            self._ticks.stop()

    def emit(self, event: Event) -> None:
        """Apply an event; the next frame shows it."""
        super().emit(event)
        self._changed = True
        if line := phrases.event_text(event, verbose=self._verbose):
            self._above.append(line)

    def redraw(self) -> None:
        """Draw the next frame if it differs."""
        now = self._clock()
        width, height = self._console.size
        if self._drawn and not self._changed:
            then, *size = self._drawn
            if now - then < STALE_AFTER_S and size == [width, height]:
                return
        state = self.state
        shown = state.active.shown(now)
        self._slots = arrange(self._slots, shown, pending=state.pending)
        lines = frame(state, now, width=width, height=height - 1, slots=self._slots)
        self._canvas.paint(lines, above=self._take_above())
        self._changed = False
        self._drawn = (now, width, height)

    def _take_above(self) -> list[Text]:
        """Return the lines to scroll away, wrapped between words."""
        above = [part for line in self._above for part in wrapped(self._console, line)]
        self._above.clear()
        return above


def wrapped(console: Console, line: Text) -> list[Text]:
    """Return a line wrapped to the console's width, with a hanging indent."""
    width = console.width - INDENT
    if cell_len(line.plain) <= console.width or width < INDENT:
        return [line]
    first, *others = line[INDENT:].wrap(console, width, overflow="fold")
    return [line[:INDENT] + first, *(Text(" " * INDENT) + other for other in others)]
