r"""A block of lines at the end of a terminal's output that is painted over in place.

Knows a console and the cursor, nothing of what the lines say. Each frame is one write: the cursor
goes up, every line is written over the old one, what is left over is erased. So nothing flickers,
and between two frames the cursor stands visible below the block: even after a `kill -9` the
terminal is as it was.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

HOLD, RELEASE = "\x1b[?2026h", "\x1b[?2026l"  # terminals that know it show a frame at once
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
CLIP, WRAP = "\x1b[?7l", "\x1b[?7h"  # a line wider than was thought must not become two
ERASE_REST_OF_LINE, ERASE_BELOW = "\x1b[K", "\x1b[J"
# from the cursor on, but never "below" from the first cell of all: tmux keeps a screen that is
# erased so in its history
WIPE = f"{ERASE_REST_OF_LINE}\x1b7\x1b[B\r{ERASE_BELOW}\x1b8"


def rows_taken(widths: Sequence[int], columns: int) -> int:
    """Return how many rows lines of these widths take on a terminal that became `columns` wide.

    Terminals wrap what was written for a wider window.
    """
    return sum(max(1, -(-width // max(1, columns))) for width in widths)


class Canvas:
    """Paints lines over those it painted before; `above` scrolls away for good."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths: list[int] = []

    def paint(self, lines: Sequence[Text], *, above: Sequence[Text] = ()) -> None:
        """Show the lines in place of the last ones, after the lines `above` them."""
        climb = rows_taken(self._widths, self._console.width)
        # what became wrapped, or is not written over from its beginning to its end, is erased
        anew = bool(above) or not lines or climb != len(self._widths)
        self._console.print(_Painting(lines, above, climb=climb, anew=anew), crop=False)
        self._widths = [line.cell_len for line in lines]

    def clear(self) -> None:
        """Take the block away: what is printed next stands where it began."""
        self.paint(())


class _Painting:
    """One frame as rich renders it: text in the console's colours between cursor movements."""

    def __init__(
        self, lines: Sequence[Text], above: Sequence[Text], *, climb: int, anew: bool
    ) -> None:
        self._lines = lines
        self._above = above
        self._climb = climb
        self._anew = anew

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        endless = options.update(no_wrap=True, overflow="ignore")
        yield _control(HOLD + HIDE + "\r" + (f"\x1b[{self._climb}A" if self._climb else ""))
        if self._anew and self._climb:
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
