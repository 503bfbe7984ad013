"""The live view: a row with a bar for every photo in flight, redrawn in place.

Knows a terminal, and clock and sleep as given; what it shows comes from `frame` and `words`. All
drawing happens in the event loop: at most eight times a second, and only if something changed.
"""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from bulkup.events import Event
from bulkup.report.canvas import Canvas
from bulkup.report.frame import arrange, frame
from bulkup.report.plain import write
from bulkup.report.state import RunState
from bulkup.report.summary import summary
from bulkup.report.ticks import Clock, Sleep, Ticks
from bulkup.report.words import announce

REDRAW_EVERY_S = 0.125
STALE_AFTER_S = 1.0  # times and rates go on while nothing happens


def suits_live(console: Console) -> bool:
    """Tell whether lines can be drawn over on this console, with the characters of the bars."""
    return (
        console.is_terminal
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
            write(self._console, *self._above, *summary(self.state))
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
        self._places = arrange(self._places, state.in_flight, pending=state.pending)
        lines = frame(state, now, width=width, height=height - 1, places=self._places)
        self._canvas.paint(lines, above=self._above)
        self._above.clear()
        self._changed = False
        self._drawn = (now, width, height)
