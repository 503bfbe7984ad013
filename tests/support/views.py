"""Plain and quiet reports that write to a string, with a manual clock."""

from io import StringIO

from bulkup.events import Event
from bulkup.output.plain import PlainReport, QuietReport
from bulkup.output.text import console_for
from tests.support.sample_run import ManualClock


class Shown:
    """A plain or quiet report and its output."""

    def __init__(self, kind: type[PlainReport] | type[QuietReport] = PlainReport) -> None:
        self.clock = ManualClock()
        self.stream = StringIO()
        console = console_for(self.stream)
        self.report = (
            PlainReport(console, clock=self.clock, sleep=self.clock.sleep)
            if issubclass(kind, PlainReport)
            else kind(console, clock=self.clock)
        )

    def emit(self, *events: Event, at: float | None = None) -> list[str]:
        """Emit events, now or at another time; return all lines so far."""
        self.clock.now = self.clock.now if at is None else at
        for event in events:
            self.report.emit(event)
        return self.lines

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()
