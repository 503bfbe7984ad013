"""The live view: a row with a bar for every photo in flight, redrawn in place.

Knows a terminal, and clock and sleep as given; what it shows comes from `frame` and `words`. All
drawing happens in the event loop: at most eight times a second, and only if something changed.
"""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bulkup.events import Event
from bulkup.report.canvas import Canvas
from bulkup.report.frame import arrange, frame
from bulkup.report.plain import write
from bulkup.report.state import RunState
from bulkup.report.summary import summary
from bulkup.report.ticks import Clock, Sleep, Ticks
from bulkup.report.words import INDENT, announce

REDRAW_EVERY_S = 0.125
STALE_AFTER_S = 1.0  # times and rates go on while nothing happens


def suits_live(console: Console) -> bool:
    """Tell whether lines can be drawn over on this console, with the characters of the bars.

    What takes colours is not always a terminal: FORCE_COLOR wants them in a pipe as well.
    """
    return (
        console.is_terminal
        and console.file.isatty()
        and not console.is_dumb_terminal
        and not console.legacy_windows
        and console.encoding.startswith("utf")
    )


class LiveReport:
    """Shows a run on a terminal: open it with `async with`, hand events to `emit`.

    However the block is left, the terminal is its old self, and the summary stands there.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        verbose: bool = False,
    ) -> None:
        self.state = RunState()
        self._console = console
        self._canvas = Canvas(console)
        self._clock = clock
        self._verbose = verbose
        self._ticks = Ticks(self.redraw, every_s=REDRAW_EVERY_S, sleep=sleep)
        self._places: list[Path | None] = []
        self._above: list[Text] = []
        self._changed = False
        self._drawn: tuple[float, int, int] | None = None

    async def __aenter__(self) -> Self:
        self._ticks.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._canvas.clear()
            write(self._console, *self._take_above(), *summary(self.state))
        finally:
            self._ticks.stop()

    def emit(self, event: Event) -> None:
        """Take in an event; it is seen with the next frame."""
        self.state.apply(event, self._clock())
        self._changed = True
        if line := announce(event, verbose=self._verbose):
            self._above.append(line)

    def redraw(self) -> None:
        """Draw the next frame, if it would look different."""
        now = self._clock()
        width, height = self._console.size
        if self._drawn and not self._changed:
            then, *size = self._drawn
            if now - then < STALE_AFTER_S and size == [width, height]:
                return
        state = self.state
        shown = state.traffic.shown(now)
        self._places = arrange(self._places, shown, pending=state.pending)
        lines = frame(state, now, width=width, height=height - 1, places=self._places)
        self._canvas.paint(lines, above=self._take_above())
        self._changed = False
        self._drawn = (now, width, height)

    def _take_above(self) -> list[Text]:
        """Return what is to scroll away, wrapped between words."""
        above = [part for line in self._above for part in wrapped(self._console, line)]
        self._above.clear()
        return above


def wrapped(console: Console, line: Text) -> list[Text]:
    """Return a line in as many as the console needs, all but the first indented."""
    width = console.width - INDENT
    if cell_len(line.plain) <= console.width or width < INDENT:
        return [line]
    first, *others = line[INDENT:].wrap(console, width, overflow="fold")
    return [line[:INDENT] + first, *(Text(" " * INDENT) + other for other in others)]
