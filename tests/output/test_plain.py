import asyncio
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from anyio import wait_all_tasks_blocked
from rich.console import Console

from bulkup.events import (
    AlbumChecked,
    AlbumMade,
    BandwidthChanged,
    ChunkSizeChanged,
    Event,
    FileFound,
    FileSkipped,
    FileStays,
    Interrupted,
    LimitsChanged,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoPlanned,
    PhotoPresent,
    PhotoUnfinished,
    Retrying,
    RunFinished,
    RunStarted,
    ScanFinished,
    SkipReason,
    Verdict,
)
from bulkup.output.phrases import ALLOWED_BY, FAILURES_SHOWN, TYPES_SHOWN, summary
from bulkup.output.plain import PlainReport
from bulkup.output.state import RunState
from bulkup.output.text import console_for
from tests.support.sample_run import (
    CHECK,
    RUN,
    ManualClock,
    at,
    checked,
    failure,
    found,
    uploaded,
)

EXPORT = "export it again"


class Coordinator:
    """A plain report on a stream, with a clock and a sleep that the test drives."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stream = StringIO()
        self.report = PlainReport(
            console_for(self.stream), clock=self.clock, every_s=5.0, sleep=self.clock.sleep
        )

    def emit(self, *events: Event) -> None:
        for event in events:
            self.report.emit(event)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def closing(*events: Event, seconds: float = 10.0, run: RunStarted = RUN) -> list[str]:
    state = RunState()
    state.apply(run, 0.0)
    for event in (*events, RunFinished(seconds=seconds)):
        state.apply(event, seconds)
    return [line.plain for line in summary(state)]


def test_a_run_opens_with_where_and_how() -> None:
    coordinator = Coordinator()
    coordinator.emit(RUN)
    assert coordinator.lines == [
        "Holidays (album 9) at https://photos.example.org",
        "uploadAsync, 8 at once, Piwigo 14.5.0",
    ]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (failure("1.jpg", hint=EXPORT), "failed  /photos/2019/1.jpg: no image (export it again)"),
        (failure("1.jpg"), "failed  /photos/2019/1.jpg: no image"),
        (OutageBegan(reason="502"), "away    502; waiting until the server answers"),
        (OutageEnded(seconds=63.0), "back    the server answers after 1 min 3 s"),
        (Noticed(message="old Piwigo", hint="update"), "note    old Piwigo (update)"),
        (Retrying(path=None, reason="lost", attempt=1, after_s=2.0), "again   lost; in 2 s"),
        (
            Interrupted(),
            "stop    photos in flight are finished, no new one is begun; Ctrl-C again aborts",
        ),
    ],
)
def test_what_must_be_seen_has_its_own_line(event: Event, line: str) -> None:
    coordinator = Coordinator()
    coordinator.emit(event)
    assert coordinator.lines == [line]


def retry(name: str = "1.jpg", *, after_s: float = 2.0) -> Retrying:
    return Retrying(path=at(name), reason="lost", attempt=1, after_s=after_s)


@pytest.mark.parametrize("event", [ScanFinished(), *found("1.jpg"), retry(after_s=0.0)])
def test_what_goes_well_has_none(event: Event) -> None:
    coordinator = Coordinator()
    coordinator.emit(RUN, event)
    assert len(coordinator.lines) == 2


def test_a_photos_wait_for_another_try_has_its_line() -> None:
    coordinator = Coordinator()
    coordinator.emit(retry())
    assert coordinator.lines == ["again   /photos/2019/1.jpg: lost; in 2 s"]


def test_the_figures_come_with_an_event_once_they_are_due() -> None:
    coordinator = Coordinator()
    coordinator.emit(RUN, *found("a.jpg", size=3_000_000), *found("b.jpg", size=1_000_000))
    coordinator.clock.now = 5.0
    coordinator.emit(uploaded("b.jpg", 1_000_000), ScanFinished())
    assert coordinator.lines[2:] == [
        "[0:05] 1 of 2 photos so far, 1.00 MB of 4.00 MB, 200 kB/s (mean 200 kB/s), still looking"
    ]


def test_the_figures_tell_the_limits_in_force() -> None:
    coordinator = Coordinator()
    coordinator.emit(BandwidthChanged(limit=500_000), RUN, ScanFinished())
    coordinator.emit(
        LimitsChanged(finishing=2, most_finishing=8), ChunkSizeChanged(chunk_size=4_000_000)
    )
    coordinator.clock.now = 5.0
    coordinator.emit(*found("a.jpg"))
    assert coordinator.lines[2].endswith(", finishing 2/8, chunk 4.00 MB, limit 500 kB/s")
    coordinator.clock.now = 10.0
    coordinator.emit(BandwidthChanged(limit=None))
    assert coordinator.lines[3].endswith(", finishing 2/8, chunk 4.00 MB")


def test_photos_that_are_there_already_are_not_counted_as_to_be_sent() -> None:
    coordinator = Coordinator()
    coordinator.emit(RUN, *found("a.jpg", "b.jpg", "c.jpg", size=1_000_000), ScanFinished())
    for name in ("a.jpg", "b.jpg"):
        coordinator.emit(PhotoPresent(path=at(name), size=1_000_000, image_id=1, linked=False))
    coordinator.clock.now = 5.0
    coordinator.emit(PhotoPlanned(path=at("c.jpg"), size=1_000_000))
    assert coordinator.lines[2] == (
        "[0:05] 0%, 0 of 1 photo, 0 B of 1.00 MB, 0 B/s (mean 0 B/s), 2 already there"
    )


async def test_the_figures_of_a_long_run_come_more_and_more_seldom() -> None:
    coordinator = Coordinator()
    async with coordinator.report:
        coordinator.emit(RUN)
        for now in range(5, 1005, 5):
            await coordinator.clock.wake(at=float(now))
        told = [line.split("]")[0] for line in coordinator.lines[2:]]
    assert told[:13] == [f"[0:{second:02}" for second in range(5, 60, 5)] + ["[1:00", "[1:30"]
    assert told[-4:] == ["[13:00", "[14:00", "[15:00", "[16:00"]


def test_after_the_scan_the_figures_tell_the_share_and_the_time_left() -> None:
    coordinator = Coordinator()
    coordinator.emit(RUN, *found("a.jpg", size=3_000), *found("b.jpg", size=1_000), ScanFinished())
    coordinator.clock.now = 5.0
    coordinator.emit(uploaded("b.jpg", 1_000))
    assert coordinator.lines[2:] == [
        "[0:05] 25%, 1 of 2 photos, 1.00 kB of 4.00 kB, 200 B/s (mean 200 B/s), about 15 s left"
    ]


async def test_the_figures_come_also_while_nothing_happens() -> None:
    coordinator = Coordinator()
    async with coordinator.report:
        coordinator.emit(RUN, OutageBegan(reason="502 Bad Gateway."))
        await coordinator.clock.wake(at=5.0)
        await coordinator.clock.wake(at=10.0)
    assert coordinator.clock.slept[:2] == [5.0, 5.0]
    away = " The server has been away for {} s: 502 Bad Gateway. Waiting."
    figures = "0 of 0 photos so far, 0 B of 0 B, 0 B/s (mean 0 B/s), still looking."
    assert coordinator.lines[3:5] == [
        f"[0:05] {figures}{away.format(5)}",
        f"[0:10] {figures}{away.format(10)}",
    ]


async def test_no_figures_come_before_the_run_or_after_it() -> None:
    coordinator = Coordinator()
    async with coordinator.report:
        await coordinator.clock.wake(at=5.0)
        assert coordinator.lines == []
        coordinator.emit(RUN, RunFinished(seconds=0.0))
        await coordinator.clock.wake(at=50.0)
        assert len(coordinator.lines) == 2


async def test_the_summary_stands_at_the_end_also_after_an_error() -> None:
    coordinator = Coordinator()

    async def run() -> None:
        async with coordinator.report:
            coordinator.emit(RUN, FileFound(path=Path("a.jpg"), size=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run()
    assert coordinator.lines[2:] == [
        "Not finished after 0 s: Holidays (album 9) at https://photos.example.org",
        "          0  uploaded",
        "          1  unfinished        run the same command again to go on",
    ]


async def test_nothing_goes_on_after_the_report_is_closed() -> None:
    coordinator = Coordinator()
    before = asyncio.all_tasks()
    async with coordinator.report:
        await wait_all_tasks_blocked()
        assert len(asyncio.all_tasks()) == len(before) + 1
    await wait_all_tasks_blocked()
    assert asyncio.all_tasks() == before


async def test_a_bug_in_the_periodic_line_is_not_lost() -> None:
    coordinator = Coordinator()
    coordinator.stream.close()
    coordinator.report.state.apply(RUN, 0.0)
    with pytest.raises(ValueError, match="closed file"):
        async with coordinator.report:
            await coordinator.clock.wake(at=5.0)


def test_a_pipe_gets_no_escape_sequence_and_no_wrapped_line() -> None:
    coordinator = Coordinator()
    name = "x" * 240 + "[red]\x1b[31m\n\u202e.jpg"
    coordinator.emit(failure(name, reason="no\nimage"))
    shown = "x" * 240 + r"[red]\x1b[31m\n\u202e.jpg"
    assert coordinator.lines == [f"failed  /photos/2019/{shown}: no\\nimage"]


def test_a_stream_that_lacks_a_character_gets_its_escape() -> None:
    raw = BytesIO()
    stream = TextIOWrapper(raw, encoding="latin-1", newline="\n")
    report = PlainReport(console_for(stream), clock=lambda: 0.0)
    report.emit(Noticed(message="Größe 日", hint=""))
    stream.flush()
    assert raw.getvalue().decode("latin-1") == "note    Größe \\u65e5\n"


def test_a_terminal_gets_colours_and_none_under_no_color() -> None:
    shown = []
    for environ in ({}, {"NO_COLOR": "1"}):
        stream = StringIO()
        console = Console(
            file=stream, force_terminal=True, color_system="standard", _environ=environ
        )
        PlainReport(console, clock=lambda: 0.0).emit(OutageBegan(reason="502"))
        shown.append("\x1b[33m" in stream.getvalue())
    assert shown == [True, False]


def test_the_summary_of_a_run_that_never_began_is_empty() -> None:
    assert summary(RunState()) == []


def test_the_summary_tells_what_became_of_every_file() -> None:
    lines = closing(
        *found("a.jpg", "b.jpg", "c.jpg", size=1_000_000),
        uploaded("a.jpg", 1_000_000),
        PhotoPresent(path=at("b.jpg"), size=1_000_000, image_id=1, linked=True),
        PhotoPresent(path=at("c.jpg"), size=1_000_000, image_id=1, linked=False),
        AlbumChecked(verified=3, unverified=0, relinked=0),
    )
    assert lines == [
        "Done after 10 s: Holidays (album 9) at https://photos.example.org",
        "          1  uploaded          1.00 MB at 100 kB/s on average",
        "          2  already there     1 of them put into the album now",
        "          3  verified          the server has the same bytes",
    ]


def test_the_summary_tells_what_was_left_out_and_why() -> None:
    names = ["a.MOV", "b.mov", "c.cr2", "d", "e.\x1b"]
    lines = closing(
        *(FileSkipped(path=Path(name), reason=SkipReason.TYPE) for name in names),
        FileSkipped(path=Path("Thumbs.db"), reason=SkipReason.JUNK),
        FileSkipped(path=Path("link"), reason=SkipReason.SYMLINK),
        FileSkipped(path=Path("a.jpg.xmp"), reason=SkipReason.SIDECAR),
    )
    types = r"2 .mov, 1 without an ending, 1 .\x1b, 1 .cr2: types this gallery does not take"
    assert lines[2:] == [
        "          1  left out by rule  made by systems and cameras: Thumbs.db and the like",
        "          1  left out by rule  symbolic links",
        "          1  left out by rule  no photos, but what tells of them: .xmp, .json",
        f"          5  left out by rule  {types}",
        f"             {ALLOWED_BY}",
    ]


def test_the_summary_tells_what_was_not_chosen() -> None:
    reasons = [SkipReason.EXCLUDED, SkipReason.SIZE, SkipReason.AGE, SkipReason.REPEATED]
    lines = closing(*(FileSkipped(path=Path("a.jpg"), reason=reason) for reason in reasons))
    assert lines[2:] == [
        "          1  left out by rule  not chosen by the patterns; a folder counts as one",
        "          1  left out by rule  smaller or larger than chosen",
        "          1  left out by rule  older or newer than chosen",
        "          1  left out by rule  the same files once more: linked, or named twice",
    ]


def test_the_summary_names_the_commonest_types_and_counts_the_others() -> None:
    skipped = [
        FileSkipped(path=Path(f"x.{number:03}"), reason=SkipReason.TYPE) for number in range(300)
    ]
    (line,) = [line for line in closing(*skipped) if "types this" in line]
    assert f"{300 - TYPES_SHOWN} of other types:" in line


def test_the_summary_names_the_first_failures_with_reason_and_hint() -> None:
    lines = closing(failure("1.jpg", hint=EXPORT), failure("2.jpg"))
    assert lines[2:] == [
        "          2  failed",
        "",
        "failed: /photos/2019/1.jpg",
        "  no image",
        "  export it again",
        "",
        "failed: /photos/2019/2.jpg",
        "  no image",
    ]


def test_the_summary_counts_the_failures_it_does_not_name() -> None:
    lines = closing(*(failure(f"{number}.jpg") for number in range(FAILURES_SHOWN + 3)))
    assert lines[-1] == "… and 3 more failed"


def test_an_interrupted_run_tells_how_to_go_on() -> None:
    lines = closing(
        FileFound(path=Path("a.jpg"), size=1),
        Interrupted(),
        PhotoUnfinished(path=Path("a.jpg"), size=1),
    )
    assert lines[0].startswith("Stopped after 10 s")
    assert lines[2:] == ["          1  unfinished        run the same command again to go on"]


def test_the_summary_tells_what_the_last_look_could_not_verify_or_had_to_mend() -> None:
    lines = closing(AlbumChecked(verified=0, unverified=4, relinked=2))
    assert lines[2:] == [
        "          4  not verified      this server could not tell",
        "          2  put back          they had lost their album",
    ]


def test_the_summary_tells_of_one_as_of_one() -> None:
    lines = closing(
        AlbumMade(album=7, name="May", parent=None),
        FileStays(path=Path("a.jpg"), reason="it is in use", hint=""),
        AlbumChecked(verified=1, unverified=0, relinked=1),
    )
    assert "          1  album             made" in lines
    assert "          1  put back          it had lost its album" in lines
    assert "          1  not put away      this file is where it was" in lines


# a run that only checks


def test_a_check_opens_as_one() -> None:
    coordinator = Coordinator()
    coordinator.emit(CHECK)
    assert coordinator.lines == [
        "Holidays (album 9) at https://photos.example.org",
        "check only (checkFiles), 8 at once, Piwigo 14.5.0",
    ]


def test_a_check_of_the_whole_gallery_names_no_album() -> None:
    coordinator = Coordinator()
    coordinator.emit(replace(CHECK, album=None, album_name=""))
    assert coordinator.lines[0] == "https://photos.example.org"


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (Verdict.MISSING, "missing /photos/2019/1.jpg: it is not there (Upload again.)"),
        (
            Verdict.NOT_IN_ALBUM,
            "not in the album /photos/2019/1.jpg: it is not there (Upload again.)",
        ),
        (Verdict.DIFFERING, "differing /photos/2019/1.jpg: it is not there (Upload again.)"),
        (Verdict.UNKNOWN, "unknown /photos/2019/1.jpg: it is not there (Upload again.)"),
        (Verdict.FAILED, "failed  /photos/2019/1.jpg: it is not there (Upload again.)"),
    ],
)
def test_what_is_amiss_has_its_own_line(verdict: Verdict, line: str) -> None:
    coordinator = Coordinator()
    coordinator.emit(checked("1.jpg", verdict))
    assert coordinator.lines == [line]


def test_the_figures_of_a_check_count_the_verdicts() -> None:
    coordinator = Coordinator()
    coordinator.emit(CHECK, *(FileFound(path=at(f"{n}.jpg"), size=1_000_000) for n in range(4)))
    coordinator.emit(ScanFinished(), checked("0.jpg", Verdict.PRESENT))
    coordinator.clock.now = 5.0
    coordinator.emit(checked("1.jpg"))
    assert coordinator.lines[-1] == (
        "[0:05] 50%, 2 of 4 photos, 2.00 MB of 4.00 MB, 400 kB/s (mean 400 kB/s), about 5 s left, "
        "1 present, 1 missing"
    )


def test_the_summary_of_a_check_counts_the_verdicts_and_names_what_is_amiss() -> None:
    lines = closing(
        *(checked(f"{number}.jpg", Verdict.PRESENT) for number in range(59)),
        checked("60.jpg"),
        checked("61.jpg", Verdict.NOT_IN_ALBUM),
        FileSkipped(path=Path("link"), reason=SkipReason.SYMLINK),
        run=CHECK,
    )
    assert lines == [
        "Done after 10 s: Holidays (album 9) at https://photos.example.org",
        "  Checked 61 photos: 59 present, 1 missing, 1 not in the album",
        "          1  left out by rule  symbolic links",
        "",
        "missing: /photos/2019/60.jpg",
        "  it is not there",
        "  Upload again.",
        "",
        "not in the album: /photos/2019/61.jpg",
        "  it is not there",
        "  Upload again.",
    ]


def test_the_summary_of_a_check_counts_what_it_does_not_name() -> None:
    lines = closing(*(checked(f"{number}.jpg") for number in range(FAILURES_SHOWN + 3)), run=CHECK)
    assert lines[-1] == "… and 3 more amiss"


def test_a_check_of_nothing_says_so() -> None:
    lines = closing(ScanFinished(), run=CHECK)
    assert lines[1:] == ["  There was nothing to check: no files were found. Check the path."]
