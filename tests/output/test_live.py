import asyncio
import re
from io import StringIO
from pathlib import Path

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bulkup import events
from bulkup.events import Event, OutageBegan, PhotoFinishing, PhotoProgress, ScanFinished, Verdict
from bulkup.output import live
from bulkup.output.live import Columns, LiveReport, arrange, frame, row, rows_taken, suits_live
from bulkup.output.phrases import manner
from bulkup.output.state import FileBeingHashed, PhotoInFlight
from tests.support import sample_run
from tests.support.sample_run import HOSTILE, RUN, at, checked, failing, found, starting, uploaded
from tests.support.terminal import scrolled, standing


class Display:
    """A live report on a terminal that pyte plays, with a clock and a sleep the test drives."""

    def __init__(self, width: int = 100, height: int = 24, **environ: str) -> None:
        self.clock = sample_run.ManualClock()
        self.tape = _Tape()
        self.console = Console(
            file=self.tape,
            force_terminal=True,
            color_system="standard",
            width=width,
            height=height,
            legacy_windows=False,
            _environ={"TERM": "xterm", **environ},
        )
        self.screen = pyte.HistoryScreen(width, height, history=1000)
        self._terminal = pyte.Stream(self.screen)
        self._played = 0
        self.report = LiveReport(self.console, clock=self.clock, sleep=self.clock.sleep)

    def emit(self, *history: Event) -> None:
        for event in history:
            self.report.emit(event)

    def draw(self, *history: Event, at: float | None = None) -> list[str]:
        """Take in the events, draw, and return what stands on the screen."""
        self.clock.now = self.clock.now if at is None else at
        self.emit(*history)
        self.report.redraw()
        return self.seen

    def resize(self, width: int, height: int) -> None:
        self.console.size = (width, height)
        self.screen.resize(height, width)

    @property
    def seen(self) -> list[str]:
        for text in self.tape.written[self._played :]:
            self._terminal.feed(text.replace("\n", "\r\n"))
        self._played = len(self.tape.written)
        return standing(self.screen)


@pytest.fixture
def display() -> Display:
    return Display()


class _Tape(StringIO):
    """A terminal that keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


SCREENS = {
    60: [
        "Holidays (album 9) at https://photos.example.org",
        "uploadAsync, 8 at once, Piwigo 14.5.0",
        "",
        "one.jpg            ━━━╸───────────  10.0 MB  finishing 1 s",
        "two.jpg            ━━━╸───────────  10.0 MB  500 kB/s",
        "",
        "━━━━━━━━━━━╸──────────────────────────────────   25%   0:06",
        "0 of 2 photos · 5.00 MB of 20.0 MB",
        "833 kB/s (mean 833 kB/s) · about 18 s left",
        "finishing 2/8 · chunk 1.00 MB · limit 500 kB/s",
    ],
    100: [
        f"Holidays (album 9) at https://photos.example.org{'':14}{manner(RUN)}",
        "",
        f"2019/one.jpg{'':20}━━━━━━{'─' * 19}   25%  10.0 MB   500 kB/s  finishing 1 s",
        f"2019/two.jpg{'':20}━━━━━━{'─' * 19}   25%  10.0 MB   500 kB/s  sending",
        "",
        "━" * 21 + "╸" + "─" * 64 + "   25%   0:06",
        "0 of 2 photos · 5.00 MB of 20.0 MB · 833 kB/s (mean 833 kB/s) · about 18 s left",
        "finishing 2/8 · chunk 1.00 MB · limit 500 kB/s",
    ],
}


@pytest.mark.parametrize("width", SCREENS)
def test_a_screen_shows_all_there_is_to_know_in_fewer_lines_the_wider_it_is(width: int) -> None:
    display = Display(width)
    display.draw(RUN, *starting("one.jpg", "two.jpg"), ScanFinished(), at=0.0)
    sent = (PhotoProgress(path=at(name), sent=2_500_000) for name in ("one.jpg", "two.jpg"))
    display.draw(*sent, PhotoFinishing(path=at("one.jpg")), at=5.0)
    display.emit(
        events.LimitsChanged(finishing=2, most_finishing=8), events.BandwidthChanged(limit=500_000)
    )
    assert display.draw(at=6.0) == SCREENS[width]


def test_a_check_counts_and_names_what_is_amiss_and_shows_what_takes_long_to_read() -> None:
    display = Display(width=80)
    names = ("one.jpg", "two.jpg", "three.jpg", "film.mp4")
    display.draw(sample_run.CHECK, *found(*names, size=1_000_000), ScanFinished())
    display.emit(events.PhotoHashing(path=at("film.mp4"), size=1_000_000))
    verdicts = zip(names, (Verdict.PRESENT, Verdict.PRESENT, Verdict.MISSING), strict=False)
    assert display.draw(*(checked(name, verdict) for name, verdict in verdicts), at=6.0) == [
        "missing /photos/2019/three.jpg: it is not there (Upload again.)",
        "Holidays (album 9) at https://photos.example.org",
        "check only (checkFiles), 8 at once, Piwigo 14.5.0",
        "",
        "film.mp4                   ─────────────────────    0%  1.00 MB  hashing 6 s",
        "",
        "━" * 49 + "╸" + "─" * 16 + "   75%   0:06",
        "3 of 4 photos · 3.00 MB of 4.00 MB",
        "500 kB/s (mean 500 kB/s) · about 2 s left",
        "2 present · 1 missing",
    ]


def test_failures_scroll_away_above_and_the_block_stays_one() -> None:
    """No screen is erased from its first cell on: tmux would keep it in its history."""
    display = Display(height=8)
    display.draw(RUN, *starting("one.jpg"))
    for number in range(20):
        display.draw(sample_run.failure(f"{number}.jpg"), at=float(number))
    everything = [*scrolled(display.screen), *display.seen]
    assert [line for line in everything if line.startswith("failed")] == [
        f"failed  /photos/2019/{number}.jpg: no image" for number in range(20)
    ]
    assert sum("━" in line or "─" in line for line in everything) == 2  # one.jpg, and all
    assert not re.search(r"A(\x1b\[K)?\x1b\[0?J", "".join(display.tape.written))


def test_a_notice_before_the_run_is_shown_at_once_and_wrapped_between_words() -> None:
    notice = events.Noticed(message="this server has but a single worker", hint="Ask for more.")
    assert Display(width=40).draw(notice) == [
        "note    this server has but a single",
        "        worker (Ask for more.)",
    ]


def test_the_totals_count_what_else_happened(display: Display) -> None:
    seen = display.draw(
        RUN,
        *starting("one.jpg"),
        *found("a.mov", size=30),
        sample_run.skipped("a.mov"),
        events.Retrying(path=None, reason="lost", attempt=1, after_s=1.0),
        *found("b.jpg"),
        sample_run.present("b.jpg", size=10_000_000),
    )
    assert seen[-2].startswith("0 of 1 photo so far · 0 B of 10.0 MB")
    assert seen[-1] == "1 retry · 1 already there · 1 skipped"


def test_no_time_left_is_reported_once_every_byte_has_gone_out(display: Display) -> None:
    sent = [*starting("one.jpg", sent=10_000_000), PhotoFinishing(path=at("one.jpg"))]
    assert display.draw(RUN, *sent, ScanFinished())[-1].endswith(" · finishing")
    assert display.draw(uploaded("one.jpg"))[-1].endswith("/s)")


def test_a_row_keeps_its_place_while_a_photo_is_left_to_take_a_free_one(
    display: Display,
) -> None:
    waiting = found(*(f"{number}.jpg" for number in range(9)))
    display.draw(RUN, *waiting, *starting("one.jpg", "two.jpg"))
    seen = display.draw(uploaded("one.jpg"))
    assert (seen[2], seen[3].split()[0]) == ("", "2019/two.jpg")
    seen = display.draw(*starting("new.jpg"))
    assert [seen[2].split()[0], seen[3].split()[0]] == ["2019/new.jpg", "2019/two.jpg"]
    one, two, new = Path("1"), Path("2"), Path("3")
    assert arrange([one, two], [two, new], pending=2) == [new, two]
    assert arrange([one, two], [two], pending=5) == [None, two]
    assert arrange([one, two], [two], pending=1) == [two]
    assert arrange([one], [], pending=0) == []


@pytest.mark.parametrize(("height", "line", "more"), [(8, 4, 8), (12, 8, 5)])
def test_what_does_not_fit_is_counted(height: int, line: int, more: int) -> None:
    display = Display(height=height)
    seen = display.draw(RUN, *starting(*(f"{number}.jpg" for number in range(12))))
    assert seen[line] == f"… and {more} more"
    names = [line.split()[0] for line in seen[:line] if line.startswith("2019/")]
    assert names == [f"2019/{number}.jpg" for number in range(12 - more)]
    assert seen[0].startswith("Holidays" if height == 12 else "2019/0.jpg")
    assert scrolled(display.screen) == []


@given(
    width=st.integers(1, 220),
    height=st.integers(0, 30),
    names=st.lists(
        st.text(st.characters(exclude_characters="/\0"), min_size=1) | st.sampled_from(HOSTILE),
        max_size=20,
    ),
    scanned=st.booleans(),
    away=st.booleans(),
)
def test_a_frame_never_exceeds_its_room(
    width: int, height: int, names: list[str], *, scanned: bool, away: bool
) -> None:
    end = [ScanFinished()] if scanned else []
    outage = [OutageBegan(reason="away" * 50)] if away else []
    state = sample_run.state_after(RUN, *failing("x"), *starting(*names), *end, *outage)
    places = arrange([], state.in_flight, pending=state.pending)
    lines = frame(state, 5.0, width=width, height=height, slots=places)
    assert len(lines) <= height
    assert all(line.cell_len < max(width, 2) for line in lines)
    assert not any("\n" in line.plain for line in lines)


def test_with_one_row_it_shows_how_far_the_run_is() -> None:
    outage = OutageBegan(reason="502")
    (line,) = Display(height=2).draw(RUN, *starting("one.jpg"), outage, *failing("x"))
    assert line.startswith("1 of 2 photos")


def test_a_new_size_of_the_window_is_drawn_at_once_over_what_has_wrapped() -> None:
    display = Display(width=100)
    display.draw(RUN, *starting("one.jpg"))
    display.resize(50, 24)
    shown_row = next(line for line in display.draw() if "one.jpg" in line)
    assert shown_row.split() == ["one.jpg", "─" * 10, "10.0", "MB", "sending"]
    assert all(cell_len(line) < 50 for line in display.seen)
    (climbed,) = re.findall(r"\x1b\[(\d+)A\x1b\[K\x1b7", display.tape.written[-1])
    assert int(climbed) == 10  # six lines, of which four were wider than half
    assert rows_taken([0, 10, 11, 20, 21], 10) == 1 + 1 + 2 + 2 + 3


def test_a_frame_is_one_write_that_erases_nothing_it_shows_and_there_is_one_where_it_changes(
    display: Display,
) -> None:
    display.draw(RUN, *starting("one.jpg"))
    frames = []
    for now in (0.0, 0.1, 0.9, 1.0, 1.1):  # nothing changes but time
        display.draw(at=now)
        frames.append(len(display.tape.written))
    assert frames == [1, 1, 1, 2, 2]
    display.draw(PhotoProgress(path=at("one.jpg"), sent=5), at=1.2)
    *_, written = display.tape.written
    assert written.index("\x1b[J") > written.index("one.jpg")
    assert "\x1b[2K" not in written
    assert written.endswith("\x1b[?7h\x1b[?25h\x1b[?2026l")  # lines wrap, a cursor is seen
    assert not display.screen.cursor.hidden
    assert pyte.modes.DECAWM in display.screen.mode


def test_no_color_leaves_no_colour_and_a_bar_that_reads() -> None:
    display = Display(NO_COLOR="1")
    seen = display.draw(RUN, *starting("one.jpg", sent=5_000_000), ScanFinished())
    assert not re.search(r"\x1b\[(\d+;)*[349]\d", "".join(display.tape.written))
    assert any("━─" in line for line in seen)


async def test_the_view_redraws_itself_until_the_summary_comes(display: Display) -> None:
    async with display.report:
        display.emit(RUN, *starting("one.jpg"))
        assert display.seen == []
        await display.clock.wake()
        assert display.seen[0].startswith("Holidays")
        display.emit(*failing("two.jpg"), uploaded("one.jpg"), events.RunFinished(seconds=1.0))
    assert [line for line in display.seen if line] == [
        "failed  /photos/2019/two.jpg: no image",
        "Done after 0 s: Holidays (album 9) at https://photos.example.org",
        "          1  uploaded          10.0 MB at 0 B/s on average",
        "          1  failed",
        "failed: /photos/2019/two.jpg",
        "  no image",
    ]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, asyncio.CancelledError])
async def test_any_end_leaves_a_whole_terminal_and_the_summary(error: type[BaseException]) -> None:
    display = Display()

    async def run() -> None:
        async with display.report:
            display.draw(RUN, *starting("one.jpg"))
            raise error

    with pytest.raises(error):
        await run()
    assert display.seen[0].startswith("Not finished after 0 s")
    assert not display.screen.cursor.hidden
    assert not any("━" in line or "─" in line for line in display.seen)


@pytest.mark.parametrize(
    ("file", "options", "term", "suits"),
    [
        (_Tape(), {"force_terminal": True}, "xterm", True),
        (_Tape(), {"force_terminal": True}, "dumb", False),
        (_Tape(), {"force_terminal": True, "legacy_windows": True}, "xterm", False),
        (StringIO(), {}, "xterm", False),
        (StringIO(), {"force_terminal": True}, "xterm", False),
    ],
)
def test_only_a_capable_terminal_suits_the_live_view(
    file: StringIO, options: dict[str, bool], term: str, *, suits: bool
) -> None:
    options = {"legacy_windows": False} | options
    assert suits_live(Console(file=file, _environ={"TERM": term}, **options)) is suits  # type: ignore[arg-type]


# the row of a photo

LONG = "2019/IMG_20190704_123456.jpg"


def in_flight() -> PhotoInFlight:
    path = Path("/photos", LONG)
    return PhotoInFlight(path, 10_000_000, attempt=1, started=0.0, moved=5.0, sent=5_000_000)


def shown(what: PhotoInFlight | FileBeingHashed, *, now: float = 5.0, width: int = 99) -> str:
    return row(what, now, Columns.within(width)).plain


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (40, "IMG_…123456.jpg  10.0 MB  1.00 MB/s"),
        (59, "IMG_2…_123456.jpg  ━━━━━━━╸───────  10.0 MB  1.00 MB/s"),
        (79, "IMG_20190704_123456.jpg    ━━━━━━━━━━╸──────────   50%  10.0 MB  1.00 MB/s"),
        (99, f"{LONG}    ━━━━━━━━━━━━╸────────────   50%  10.0 MB  1.00 MB/s  sending"),
        (139, f"{LONG:<48}{'━' * 19}{'─' * 19}   50%  5.00 MB of 10.0 MB  1.00 MB/s  sending"),
    ],
)
def test_the_narrower_a_row_the_less_it_shows(width: int, line: str) -> None:
    assert shown(in_flight(), width=width) == line


def test_a_row_says_what_goes_on_with_its_photo_and_for_how_long() -> None:
    it = in_flight()
    assert shown(it).endswith("1.00 MB/s  sending")
    assert shown(it, now=9.0).endswith("1.00 MB/s  waiting 4 s")
    it.finishing_since = 9.0
    assert shown(it, now=9.9).endswith("finishing")
    assert shown(it, now=15.0).endswith("finishing 6 s")
    it.attempt, it.finishing_since = 2, None
    assert shown(it).endswith("try 2")
    it.trouble, it.again_at = "the server answered 503 [red]\x1b[2J", 17.0
    assert re.search("  the server answered 503…  .*again in 8 s$", shown(it, now=9.0))
    assert shown(it, now=16.5).endswith("again")
    line = shown(FileBeingHashed(at("film.mp4"), 4_000_000_000, since=1.0))
    assert line.split() == ["2019/film.mp4", "─" * 25, "0%", "4.00", "GB", "hashing", "4", "s"]


@given(
    name=st.text(st.characters(exclude_characters="/\0"), min_size=1) | st.sampled_from(HOSTILE),
    trouble=st.text(),
    width=st.integers(28, 220),
    seconds=st.floats(0, 1e7),
)
def test_a_row_is_never_wider_than_its_place(
    name: str, trouble: str, width: int, seconds: float
) -> None:
    it = PhotoInFlight(Path("/a") / name, 10**12, attempt=1, started=0.0, moved=seconds)
    it.sent, it.trouble = 10**11, trouble
    line = row(it, seconds, Columns.within(width))
    assert line.cell_len <= width
    assert "\n" not in line.plain


def test_a_bar_is_full_only_when_all_is_done() -> None:
    bars = [live.bar(part, 1000, 4, style="").plain for part in (0, 130, 999, 1000)]
    assert bars == ["────", "╸───", "━━━╸", "━━━━"]
