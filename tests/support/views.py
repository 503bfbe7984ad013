"""Views that write plain text to a stream, with a clock and a sleep that the test drives."""

from io import StringIO

from bulkup.events import Event
from bulkup.output.plain import PlainReport, QuietReport
from bulkup.output.text import console_for
from tests.support.sample_run import ManualClock


class Shown:
    """A plain or a quiet report, and what it has written."""

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
        """Let the events happen, now or at another time, and return all lines so far."""
        self.clock.now = self.clock.now if at is None else at
        for event in events:
            self.report.emit(event)
        return self.lines

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()
