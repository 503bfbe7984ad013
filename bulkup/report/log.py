"""A log of a run: a line for what happens, with its time, for whoever looks later.

Knows where lines go and a wall clock.
"""

from types import TracebackType
from typing import Self

from bulkup.events import Event, RunFailed, RunStarted
from bulkup.report.jsonl import WallClock
from bulkup.report.lines import LineWriter
from bulkup.report.state import RunState
from bulkup.report.summary import summary
from bulkup.report.text import printable
from bulkup.report.ticks import Clock
from bulkup.report.words import announce, manner, title


class LogReport:
    """Writes lines such as `2026-11-23 20:15:00 uploaded a.jpg`; each photo gets one.

    `wall_clock` returns aware times; they stand there as they are. `clock` is in seconds.
    """

    def __init__(self, lines: LineWriter, *, wall_clock: WallClock, clock: Clock) -> None:
        self._lines = lines
        self._wall_clock = wall_clock
        self._clock = clock
        self._state = RunState()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for line in summary(self._state):
                self._write(line.plain)
        finally:
            await self._lines.close()

    def emit(self, event: Event) -> None:
        """Write what the event is worth. Raises `OSError` where that fails."""
        self._state.apply(event, self._clock())
        match event:
            case RunStarted():
                self._write(f"{title(event)}: {manner(event)}")
            case RunFailed():
                hint = f" ({printable(event.hint)})" if event.hint else ""
                self._write(f"impossible: {printable(event.reason)}{hint}")
            case _:
                if line := announce(event, verbose=True):
                    self._write(line.plain)

    def _write(self, words: str) -> None:
        time = self._wall_clock().isoformat(sep=" ", timespec="seconds")
        self._lines.put(f"{time} {words}".rstrip() + "\n")
