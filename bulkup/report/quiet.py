"""The quiet views: only what is wrong, and the summary; or nothing at all.

Knows a console to write to, and the clock as given.
"""

from types import TracebackType
from typing import Self

from rich.console import Console

from bulkup.departures import FileStays
from bulkup.events import (
    Event,
    Interrupted,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoChecked,
    PhotoFailed,
)
from bulkup.report.plain import write
from bulkup.report.state import RunState
from bulkup.report.summary import summary
from bulkup.report.ticks import Clock
from bulkup.report.words import announce

WRONG = PhotoFailed | PhotoChecked | FileStays | OutageBegan | OutageEnded | Interrupted | Noticed


class SilentReport:
    """Says nothing, and knows in the end what became of the run, for its exit code."""

    def __init__(self, *, clock: Clock) -> None:
        self.state = RunState()
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say nothing."""

    def emit(self, event: Event) -> None:
        """Take in an event."""
        self.state.apply(event, self._clock())


class QuietReport(SilentReport):
    """Writes failures, outages, warnings and, however the run ended, the summary."""

    def __init__(self, console: Console, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._console = console

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        write(self._console, *summary(self.state))

    def emit(self, event: Event) -> None:
        """Take in an event; write its line if it tells of something wrong."""
        super().emit(event)
        if isinstance(event, WRONG) and (line := announce(event)):
            write(self._console, line)
