"""Views side by side: lines that a thread writes, and what becomes of one that can't go on."""

import errno
from contextlib import suppress
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from threading import Event as Flag
from typing import Self

import pytest

from bulkup.errors import UsageError
from bulkup.events import Event, Retrying, RunFailed, RunFinished
from bulkup.output import sinks
from bulkup.output.files import JsonReport
from bulkup.output.options import OutputOptions
from bulkup.output.outputs import others_for
from bulkup.output.plain import LogReport, PlainReport
from bulkup.output.sinks import LineWriter, Outputs
from bulkup.output.text import console_for
from tests.support.sample_run import RUN, ManualClock, failure

FAILED = failure(Path("a\nb.jpg"), reason="it is empty", hint="Look at it.")


class FullDisk(StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class Stalled(StringIO):
    """Takes the first line, and no other one before `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = Flag()

    def write(self, text: str) -> int:
        self.go.wait(10)
        return super().write(text)


class Kept:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.ended = False

    def emit(self, event: Event) -> None:
        self.told.append(event)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended = True


class Unopened(Kept):
    async def __aenter__(self) -> Self:
        raise UsageError("it can't be begun", hint="")


def noon() -> datetime:
    return datetime(2024, 7, 1, 12, tzinfo=UTC)


def screen(stream: StringIO) -> PlainReport:
    return PlainReport(console_for(stream), clock=ManualClock())


async def test_a_full_disk_is_told_by_the_next_line_or_by_the_end() -> None:
    lines = LineWriter(FullDisk())
    lines.put("a\n")
    with pytest.raises(OSError, match="No space"):
        await lines.close()
    with pytest.raises(OSError, match="No space"):
        lines.put("b\n")


async def test_a_reader_who_does_not_read_is_given_up_before_memory_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sinks, "MAX_WAITING", 10)
    stream = Stalled()
    lines = LineWriter(stream)
    for n in range(11):
        lines.put(f"{n}\n")
    with suppress(BlockingIOError):  # unless the first one is on its way already
        lines.put("11\n")
    with pytest.raises(BlockingIOError, match="10 lines are queued"):
        lines.put("12\n")
    stream.go.set()
    await lines.close()
    assert stream.getvalue().startswith("0\n1\n")


async def test_a_view_that_fails_is_named_once_and_the_others_go_on() -> None:
    shown, kept = StringIO(), Kept()
    seen = screen(shown)
    broken = JsonReport(LineWriter(FullDisk()), wall_clock=noon)
    async with Outputs(seen, {"--log-file": broken, "--json": kept}) as views:
        views.emit(RUN)
        views.emit(FAILED)
        views.emit(RunFinished(seconds=1))
    assert shown.getvalue().count("--log-file is incomplete: No space left on device") == 1
    assert kept.told == [RUN, FAILED, RunFinished(seconds=1)]
    assert kept.ended
    assert seen.state.failed == 1


async def test_where_one_view_can_not_begin_those_that_have_begun_are_ended() -> None:
    kept, unopened = Kept(), Unopened()
    with pytest.raises(UsageError):
        async with Outputs(screen(StringIO()), {"a": kept, "b": unopened}):
            pass
    assert (kept.ended, unopened.ended) == (True, False)


async def test_a_log_has_a_line_with_its_time_for_whatever_happens() -> None:
    stream = StringIO()
    async with LogReport(LineWriter(stream), wall_clock=noon, clock=ManualClock()) as log:
        log.emit(RUN)
        log.emit(Retrying(path=Path("a.jpg"), reason="the line broke", attempt=1, after_s=2))
        log.emit(FAILED)
        log.emit(RunFailed(reason="the server is gone", hint="Start it."))
        log.emit(RunFailed(reason="it is gone", hint=""))
    told = [
        line.partition("2024-07-01 12:00:00+00:00 ")[2] for line in stream.getvalue().splitlines()
    ]
    where = "Holidays (album 9) at https://photos.example.org"
    assert told[:6] == [
        f"{where}: uploadAsync, 8 at once, Piwigo 14.5.0",
        "again   a.jpg: the line broke; in 2 s",
        r"failed  a\nb.jpg: it is empty (Look at it.)",
        "run failed: the server is gone (Start it.)",
        "run failed: it is gone",
        f"Not finished after 0 s: {where}",
    ]
    assert not [line for line in told if line.endswith(" ")]


def test_a_file_that_can_not_be_written_is_told_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--log-file .* can't be written: No such file"):
        others_for(OutputOptions(log_file=tmp_path / "none" / "a.log"))
