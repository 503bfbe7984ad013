"""Reports in lines, plain and quiet: what is said at once, now and then, and in the end."""

import asyncio
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from anyio import wait_all_tasks_blocked
from rich.console import Console

from bulkup import events
from bulkup.events import Event, OutageBegan, RunFinished, ScanFinished, SkipReason, Verdict
from bulkup.output.phrases import ALLOWED_BY, FAILURES_SHOWN, SKIPPED, TYPES_SHOWN, summary
from bulkup.output.plain import PlainReport, QuietReport
from bulkup.output.sinks import StateReport
from bulkup.output.state import RunState
from bulkup.output.text import console_for
from tests.support import sample_run
from tests.support.sample_run import CHECK, RUN, at, checked, failing, failure, found, present

M = 1_000_000
WHERE = "Holidays (album 9) at https://photos.example.org"
TYPE = SkipReason.TYPE
BOTH = [PlainReport, QuietReport]
PRESENT = Verdict.PRESENT
CHECKING = "check only (checkFiles), 8 at once, Piwigo 14.5.0"
AMISS = "/photos/2019/1.jpg: it is not there (Upload again.)"


class Shown:
    """A plain or quiet report that writes to a string, with a manual clock."""

    def __init__(self, kind: type[PlainReport] | type[QuietReport] = PlainReport) -> None:
        self.clock = sample_run.ManualClock()
        self.stream = StringIO()
        console = console_for(self.stream)
        self.report = (
            PlainReport(console, clock=self.clock, sleep=self.clock.sleep)
            if issubclass(kind, PlainReport)
            else kind(console, clock=self.clock)
        )

    def emit(self, *history: Event, at: float | None = None) -> list[str]:
        """Emit events, now or at another time; return all lines so far."""
        self.clock.now = self.clock.now if at is None else at
        for event in history:
            self.report.emit(event)
        return self.lines

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def closing(*history: Event, run: events.RunStarted = RUN) -> list[str]:
    state = sample_run.state_after(run)
    for event in (*history, RunFinished(seconds=10.0)):
        state.apply(event, 10.0)
    return [line.plain for line in summary(state)]


def retry(*, after_s: float = 2.0) -> events.Retrying:
    return events.Retrying(path=at("1.jpg"), reason="lost", attempt=1, after_s=after_s)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("event", "line"),
    [
        (failure("1.jpg", hint="redo it"), "failed  /photos/2019/1.jpg: no image (redo it)"),
        (failure("1.jpg"), "failed  /photos/2019/1.jpg: no image"),
        (OutageBegan(reason="502"), "outage  502; waiting for the server"),
        (events.OutageEnded(seconds=63.0), "back    the server answers again after 1 min 3 s"),
        (events.Noticed(message="old Piwigo", hint="update"), "note    old Piwigo (update)"),
        (
            events.Interrupted(),
            "stop    photos in flight are finished, no new one is started; Ctrl-C again aborts",
        ),
        (checked("1.jpg"), f"missing {AMISS}"),
        (checked("1.jpg", Verdict.NOT_IN_ALBUM), f"not in the album {AMISS}"),
        (checked("1.jpg", Verdict.DIFFERING), f"differing {AMISS}"),
        (checked("1.jpg", Verdict.UNKNOWN), f"unknown {AMISS}"),
        (checked("1.jpg", Verdict.FAILED), f"failed  {AMISS}"),
    ],
)
def test_what_is_wrong_is_said_at_once(
    kind: type[PlainReport | QuietReport], event: Event, line: str
) -> None:
    assert Shown(kind).emit(event) == [line]


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (RUN, [WHERE, "uploadAsync, 8 at once, Piwigo 14.5.0"]),
        (CHECK, [WHERE, CHECKING]),
        (replace(CHECK, album=None, album_name=""), ["https://photos.example.org", CHECKING]),
        (ScanFinished(), []),
        (*found("1.jpg"), []),
        (retry(after_s=0.0), []),
        (retry(), ["again   /photos/2019/1.jpg: lost; in 2 s"]),
        (replace(retry(), path=None), ["again   lost; in 2 s"]),
    ],
)
def test_a_run_opens_with_where_and_how_and_a_new_try_has_a_line_but_not_what_goes_well(
    event: Event, lines: list[str]
) -> None:
    assert Shown().emit(event) == lines


# the figures


@pytest.mark.parametrize(
    ("history", "last", "figures"),
    [
        (
            [RUN, *found("a.jpg", size=3 * M), *found("b.jpg", size=M)],
            sample_run.uploaded("b.jpg", M),
            "1 of 2 photos so far, 1.00 MB of 4.00 MB, 200 kB/s (mean 200 kB/s), still scanning",
        ),
        (
            [RUN, *found("a.jpg", size=3_000), *found("b.jpg", size=1_000), ScanFinished()],
            sample_run.uploaded("b.jpg", 1_000),
            "25%, 1 of 2 photos, 1.00 kB of 4.00 kB, 200 B/s (mean 200 B/s), about 15 s left",
        ),
        (
            [RUN, *found("a.jpg", "b.jpg", size=M), present("a.jpg", size=M), ScanFinished()],
            events.PhotoPlanned(path=at("b.jpg"), size=M),
            "0%, 0 of 1 photo, 0 B of 1.00 MB, 0 B/s (mean 0 B/s), 1 already there",
        ),
        (
            [CHECK, *found("0", "1", "2", "3", size=M), checked("0", PRESENT), ScanFinished()],
            checked("1"),
            (
                "50%, 2 of 4 photos, 2.00 MB of 4.00 MB, 400 kB/s (mean 400 kB/s), "
                "about 5 s left, 1 present, 1 missing"
            ),
        ),
    ],
)
def test_the_figures_come_with_an_event_once_they_are_due_with_the_share_after_the_scan(
    history: list[Event], last: Event, figures: str
) -> None:
    there = Shown()
    there.emit(*history)
    assert there.emit(last, at=5.0)[-1] == f"[0:05] {figures}"


def test_the_figures_tell_the_limits_in_force() -> None:
    there = Shown()
    there.emit(events.BandwidthChanged(limit=500_000), RUN)
    there.emit(events.LimitsChanged(finishing=2, most_finishing=8))
    there.emit(events.ChunkSizeChanged(chunk_size=4 * M))
    (line,) = there.emit(*found("a.jpg"), at=5.0)[2:]
    assert line.endswith(", finishing 2/8, chunk 4.00 MB, limit 500 kB/s")
    assert there.emit(events.BandwidthChanged(limit=None), at=10.0)[3].endswith(", chunk 4.00 MB")


async def test_the_figures_of_a_long_run_come_more_and_more_seldom() -> None:
    there = Shown()
    async with there.report:
        there.emit(RUN)
        for now in range(5, 1005, 5):
            await there.clock.wake(at=float(now))
        reported = [line.split("]")[0] for line in there.lines[2:]]
    assert reported[:13] == [f"[0:{second:02}" for second in range(5, 60, 5)] + ["[1:00", "[1:30"]
    assert reported[-4:] == ["[13:00", "[14:00", "[15:00", "[16:00"]


async def test_the_figures_come_also_while_nothing_happens_but_only_in_the_run() -> None:
    there = Shown()
    async with there.report:
        await there.clock.wake(at=5.0)
        assert there.lines == []
        there.emit(RUN, OutageBegan(reason="502 Bad Gateway."))
        await there.clock.wake(at=10.0)
        await there.clock.wake(at=15.0)
        lines = there.emit(RunFinished(seconds=10.0))
        await there.clock.wake(at=50.0)
        assert there.lines == lines
    assert there.clock.slept[:2] == [5.0, 5.0]
    figures = "0 of 0 photos so far, 0 B of 0 B, 0 B/s (mean 0 B/s), still scanning."
    assert lines[3:] == [
        f"[0:05] {figures} The server has been unavailable for 5 s: 502 Bad Gateway. Waiting.",
        f"[0:10] {figures} The server has been unavailable for 10 s: 502 Bad Gateway. Waiting.",
    ]


async def test_nothing_goes_on_after_the_report_is_closed() -> None:
    before = asyncio.all_tasks()
    async with Shown().report:
        await wait_all_tasks_blocked()
        assert len(asyncio.all_tasks()) == len(before) + 1
    await wait_all_tasks_blocked()
    assert asyncio.all_tasks() == before


async def test_a_bug_in_the_periodic_line_is_not_lost() -> None:
    there = Shown()
    there.stream.close()
    there.report.state.apply(RUN, 0.0)
    with pytest.raises(ValueError, match="closed file"):
        async with there.report:
            await there.clock.wake(at=5.0)


# quiet and silent


async def test_of_a_run_that_goes_well_a_quiet_report_says_only_the_summary() -> None:
    there = Shown(QuietReport)
    async with there.report:
        there.emit(RUN, *sample_run.starting("1.jpg"), ScanFinished(), retry())
        there.emit(events.PhotoFinishing(path=at("1.jpg")), checked("2.jpg", PRESENT))
        assert there.emit(sample_run.uploaded("1.jpg"), RunFinished(seconds=1.0)) == []
    assert there.lines[0] == f"Done after 0 s: {WHERE}"


@pytest.mark.parametrize("kind", BOTH)
async def test_the_summary_stands_at_the_end_also_after_an_error(
    kind: type[PlainReport | QuietReport],
) -> None:
    there = Shown(kind)

    async def run() -> None:
        async with there.report:
            there.emit(RUN, *found("a.jpg"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run()
    assert there.lines[-3:] == [
        f"Not finished after 0 s: {WHERE}",
        "          0  uploaded",
        "          1  unfinished        run the same command again to continue",
    ]


async def test_a_silent_run_says_nothing_and_knows_how_it_ended(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with StateReport(clock=lambda: 0.0) as report:
        for event in (RUN, *failing("1.jpg"), OutageBegan(reason="502"), RunFinished(seconds=1.0)):
            report.emit(event)
    assert (report.state.failed, capfd.readouterr()) == (1, ("", ""))


# streams


def test_a_pipe_gets_no_escape_sequence_and_no_wrapped_line() -> None:
    name = "x" * 240 + "[red]\x1b[31m\n\u202e.jpg"
    shown = "x" * 240 + r"[red]\x1b[31m\n\u202e.jpg"
    lines = Shown().emit(failure(name, reason="no\nimage"))
    assert lines == [f"failed  /photos/2019/{shown}: no\\nimage"]


def test_a_stream_that_lacks_a_character_gets_its_escape() -> None:
    raw = BytesIO()
    stream = TextIOWrapper(raw, encoding="latin-1", newline="\n")
    report = PlainReport(console_for(stream), clock=lambda: 0.0)
    report.emit(events.Noticed(message="Größe 日", hint=""))
    stream.flush()
    assert raw.getvalue().decode("latin-1") == "note    Größe \\u65e5\n"


def test_a_terminal_gets_colours_and_none_under_no_color() -> None:
    shown = []
    for environ in ({}, {"NO_COLOR": "1"}):
        console = Console(
            file=StringIO(), force_terminal=True, color_system="standard", _environ=environ
        )
        with console.capture() as captured:
            PlainReport(console, clock=lambda: 0.0).emit(OutageBegan(reason="502"))
        shown.append("\x1b[33m" in captured.get())
    assert shown == [True, False]


# the summary


def test_the_summary_shows_what_became_of_every_file_and_why() -> None:
    lines = closing(
        *found("a.jpg", "b.jpg", "c.jpg", "d.jpg", size=M),
        sample_run.uploaded("a.jpg", M),
        present("b.jpg", size=M, linked=True),
        present("c.jpg", size=M),
        *(events.FileSkipped(path=at("x"), reason=reason) for reason in set(SkipReason) - {TYPE}),
        *(sample_run.skipped(name) for name in ("a.MOV", "b.mov", "c.cr2", "d", "e.\x1b")),
        failure("1.jpg", hint="export it again"),
        failure("2.jpg"),
        events.Interrupted(),
        sample_run.unfinished("d.jpg"),
        events.AlbumMade(album=7, name="May", parent=None),
        events.AlbumChecked(verified=3, unverified=4, relinked=2),
        events.FileNotMoved(path=Path("a.jpg"), reason="it is in use", hint=""),
    )
    types = r"2 .mov, 1 without an extension, 1 .\x1b, 1 .cr2: types this gallery does not accept"
    assert lines == [
        f"Stopped after 10 s: {WHERE}",
        "          1  uploaded          1.00 MB at 100 kB/s on average",
        "          2  already there     1 of them added to the album now",
        "          1  album             created",
        "          1  skipped by rule   made by systems and cameras: Thumbs.db and the like",
        "          1  skipped by rule   excluded by patterns; a folder counts once",
        "          1  skipped by rule   outside --min-size and --max-size",
        "          1  skipped by rule   outside --newer-than and --older-than",
        "          1  skipped by rule   the same file again: linked, or listed twice",
        "          1  skipped by rule   symbolic links",
        "          1  skipped by rule   pipes, sockets and devices",
        "          1  skipped by rule   metadata of photos: .xmp, .json",
        f"          5  skipped by rule   {types}",
        f"             {ALLOWED_BY}",
        "          1  skipped by rule   in the trash of Google Photos, iCloud or Immich",
        "          1  skipped by rule   in the locked folder of Google Photos",
        "          1  skipped by rule   archived in Google Photos",
        "          1  skipped by rule   shared by a partner in Google Photos",
        "          1  skipped by rule   edited versions; the originals stay",
        "          1  skipped by rule   originals; the edited versions stay",
        "          1  skipped by rule   videos of live photos",
        f"          1  photos missing    {SKIPPED[SkipReason.PHOTO_MISSING]}",
        "          2  failed",
        "          1  unfinished        run the same command again to continue",
        "          3  verified          the server has the same bytes",
        "          4  not verified      this server can't tell",
        "          2  added again       they were no longer in the album",
        "          1  not moved         the files are where they were",
        "",
        "failed: /photos/2019/1.jpg",
        "  no image",
        "  export it again",
        "",
        "failed: /photos/2019/2.jpg",
        "  no image",
        "",
        "stays: a.jpg",
        "  it is in use",
    ]


def test_the_summary_counts_what_it_does_not_name() -> None:
    many = [f"{number}.jpg" for number in range(FAILURES_SHOWN + 3)]
    assert closing(*map(failure, many))[-1] == "… and 3 more failed"
    assert closing(*map(checked, many), run=CHECK)[-1] == "… and 3 more with problems"
    lines = closing(*(sample_run.skipped(f"x.{number:03}") for number in range(300)))
    assert f", {300 - TYPES_SHOWN} of other types: " in lines[-2]


def test_the_summary_of_a_check_counts_the_verdicts_and_names_what_is_amiss() -> None:
    lines = closing(
        *(checked(f"{number}.jpg", PRESENT) for number in range(59)),
        checked("60.jpg"),
        checked("61.jpg", Verdict.NOT_IN_ALBUM),
        events.FileSkipped(path=Path("link"), reason=SkipReason.SYMLINK),
        run=CHECK,
    )
    assert lines == [
        f"Done after 10 s: {WHERE}",
        "  Checked 61 photos: 59 present, 1 missing, 1 not in the album",
        "          1  skipped by rule   symbolic links",
        "",
        "missing: /photos/2019/60.jpg",
        "  it is not there",
        "  Upload again.",
        "",
        "not in the album: /photos/2019/61.jpg",
        "  it is not there",
        "  Upload again.",
    ]


def test_a_check_of_nothing_says_so_and_a_run_that_never_began_says_nothing() -> None:
    lines = closing(ScanFinished(), run=CHECK)
    assert lines[1:] == ["  There was nothing to check: no files were found. Check the path."]
    assert summary(RunState()) == []
