from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.output.live import Columns, bar, row
from bulkup.output.state import FileInReading, PhotoInFlight
from bulkup.output.text import brief_text, clip, estimate_text
from tests.support.sample_run import HOSTILE, at

NAME = "IMG_20190704_123456.jpg"


def photo(name: str = NAME, *, sent: int = 5_000_000) -> PhotoInFlight:
    return PhotoInFlight(at(name), 10_000_000, attempt=1, started=0.0, moved=5.0, sent=sent)


def shown(what: PhotoInFlight | FileInReading, *, now: float = 5.0, width: int = 99) -> str:
    return row(what, now, Columns.within(width)).plain


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (40, "IMG_…123456.jpg  10.0 MB  1.00 MB/s"),
        (59, "IMG_2…_123456.jpg  ━━━━━━━╸───────  10.0 MB  1.00 MB/s"),
        (79, "IMG_20190704_123456.jpg    ━━━━━━━━━━╸──────────   50%  10.0 MB  1.00 MB/s"),
        (99, f"2019/{NAME}    ━━━━━━━━━━━━╸────────────   50%  10.0 MB  1.00 MB/s  sending"),
        (
            139,
            f"2019/{NAME:<43}{'━' * 19}{'─' * 19}   50%  5.00 MB of 10.0 MB  1.00 MB/s  sending",
        ),
    ],
)
def test_the_narrower_a_row_the_less_it_tells(width: int, line: str) -> None:
    assert shown(photo(), width=width) == line


def test_a_row_says_what_goes_on_with_its_photo_and_for_how_long() -> None:
    it = photo()
    assert shown(it).endswith("1.00 MB/s  sending")
    assert shown(it, now=9.0).endswith("1.00 MB/s  waiting 4 s")
    it.finishing_since = 9.0
    assert shown(it, now=9.9).endswith("finishing")
    assert shown(it, now=15.0).endswith("finishing 6 s")
    it.attempt, it.finishing_since = 2, None
    assert shown(it).endswith("try 2")


def test_a_photo_in_trouble_says_why_and_when_it_is_tried_again() -> None:
    it = photo()
    it.trouble, it.again_at = "the server answered 503 [red]\x1b[2J", 17.0
    line = shown(it, now=9.0)
    assert "  the server answered 503…  " in line
    assert line.endswith("again in 8 s")
    assert shown(it, now=16.5).endswith("again")


def test_a_file_that_is_read_says_so() -> None:
    line = shown(FileInReading(at("film.mp4"), 4_000_000_000, since=1.0))
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
    bars = [bar(part, 1000, 4, style="").plain for part in (0, 130, 999, 1000)]
    assert bars == ["────", "╸───", "━━━╸", "━━━━"]


@pytest.mark.parametrize(
    ("seconds", "brief", "estimate"),
    [
        (0.4, "0 s", "1 s"),
        (59.2, "59 s", "1 min"),
        (61, "1 min", "1 min 10 s"),
        (605, "10 min", "11 min"),
        (3_599, "59 min", "1 h"),
        (7_300, "2 h", "2 h 5 min"),
        (200_000, "2 d", "2 d 7 h"),
    ],
)
def test_times_in_rows_are_brief_and_estimates_no_finer_than_they_can_be(
    seconds: float, brief: str, estimate: str
) -> None:
    assert (brief_text(seconds), estimate_text(seconds)) == (brief, estimate)


@pytest.mark.parametrize(
    ("width", "text"), [(0, ""), (1, "…"), (4, "日…"), (5, "日本…"), (9, "日本語 x")]
)
def test_clipped_text_keeps_its_beginning(width: int, text: str) -> None:
    assert clip("日本語 x", width) == text
