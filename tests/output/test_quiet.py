from io import StringIO

import pytest

from bulkup.events import (
    Event,
    Interrupted,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoFinishing,
    Retrying,
    RunFinished,
    ScanFinished,
    Verdict,
)
from bulkup.output.plain import QuietReport, SilentReport
from bulkup.output.text import console_for
from tests.support.sample_run import RUN, at, checked, failing, failure, starting, uploaded


class Coordinator:
    """A quiet report on a stream."""

    def __init__(self) -> None:
        self.stream = StringIO()
        self.report = QuietReport(console_for(self.stream), clock=lambda: 0.0)

    def emit(self, *events: Event) -> None:
        for event in events:
            self.report.emit(event)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (failure("1.jpg"), "failed  /photos/2019/1.jpg: no image"),
        (checked("1.jpg"), "missing /photos/2019/1.jpg: it is not there (Upload again.)"),
        (Noticed(message="old Piwigo", hint="Update."), "note    old Piwigo (Update.)"),
        (OutageBegan(reason="502"), "away    502; waiting until the server answers"),
        (OutageEnded(seconds=63.0), "back    the server answers after 1 min 3 s"),
        (
            Interrupted(),
            "stop    photos in flight are finished, no new one is begun; Ctrl-C again aborts",
        ),
    ],
)
def test_what_is_wrong_is_said_at_once(event: Event, line: str) -> None:
    coordinator = Coordinator()
    coordinator.emit(RUN, event)
    assert coordinator.lines == [line]


async def test_of_a_run_that_goes_well_there_is_only_the_summary() -> None:
    coordinator = Coordinator()
    async with coordinator.report:
        coordinator.emit(RUN, *starting("1.jpg"), ScanFinished())
        coordinator.emit(Retrying(path=at("1.jpg"), reason="lost", attempt=1, after_s=2.0))
        coordinator.emit(PhotoFinishing(path=at("1.jpg")), checked("2.jpg", Verdict.PRESENT))
        coordinator.emit(uploaded("1.jpg"), RunFinished(seconds=1.0))
        assert coordinator.lines == []
    assert (
        coordinator.lines[0] == "Done after 0 s: Holidays (album 9) at https://photos.example.org"
    )


async def test_the_summary_stands_there_also_after_an_error() -> None:
    coordinator = Coordinator()

    async def run() -> None:
        async with coordinator.report:
            coordinator.emit(RUN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run()
    assert coordinator.lines[0].startswith("Not finished after 0 s")


async def test_a_silent_run_says_nothing_and_knows_how_it_ended(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with SilentReport(clock=lambda: 0.0) as report:
        for event in (RUN, *failing("1.jpg"), OutageBegan(reason="502"), RunFinished(seconds=1.0)):
            report.emit(event)
    assert (report.state.failed, capfd.readouterr()) == (1, ("", ""))
