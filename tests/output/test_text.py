from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bulkup.output.text import (
    brief_text,
    clip,
    clock_text,
    count_text,
    estimate_text,
    fit,
    percent,
    printable,
    shorten,
    size_text,
    time_text,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 日本 👍.jpg", "Größe 日本 👍.jpg"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("a\x1b[2Jb\nc\td\x9b", r"a\x1b[2Jb\nc\td\x9b"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("bad\udcff", r"bad\xff"),
        ("lone\ud800", r"lone\ud800"),
        ("line\u2028end\u2029", r"line\u2028end\u2029"),
        ("tag\U000e0041", r"tag\U000e0041"),
        (Path("dir") / "soft\xadhyphen", str(Path("dir") / r"soft\xadhyphen")),
    ],
)
def test_what_could_steer_a_terminal_is_shown_escaped(text: str | Path, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None, categories=None), max_size=50))
def test_printable_text_is_safe_and_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert "\x1b" not in shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("width", "shown"), [(12, "abcdefghij.k"), (11, "abc…fghij.k"), (2, "…k"), (1, "…"), (0, "")]
)
def test_a_long_name_keeps_both_ends(width: int, shown: str) -> None:
    assert shorten("abcdefghij.k", width) == shown


@given(st.text(max_size=30).map(printable), st.integers(1, 40))
def test_a_fitted_name_is_never_wider_than_its_column(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_an_accent_is_not_left_without_its_letter() -> None:
    assert shorten("abcdefe\u0301x", 2) == "…x"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (99_960, "100 kB"),
        (999_600, "1.00 MB"),
        (1_234_567_890, "1.23 GB"),
        (5e18, "5,000 PB"),
    ],
)
def test_sizes_have_three_digits(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3905, "1 h 5 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_times_have_two_units(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_a_clock_shows_hours_once_there_are_some() -> None:
    assert [clock_text(s) for s in (5.9, 754, 3723)] == ["0:05", "12:34", "1:02:03"]


def test_one_photo_is_no_plural() -> None:
    shown = [count_text(1, "photo"), count_text(1204, "photo"), count_text(2, "retry", "retries")]
    assert shown == ["1 photo", "1,204 photos", "2 retries"]


def test_a_hundred_percent_means_all() -> None:
    assert [percent(999, 1000), percent(1000, 1000), percent(0, 0)] == [99, 100, 100]


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
