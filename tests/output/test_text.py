from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bulkup.errors import count_text
from bulkup.output import text
from bulkup.output.text import clip, percent, printable, shorten, size_text, time_text


@pytest.mark.parametrize(
    ("name", "shown"),
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
def test_what_could_steer_a_terminal_is_shown_escaped(name: str | Path, shown: str) -> None:
    assert printable(name) == shown


@given(st.text(st.characters(codec=None, categories=None), max_size=50))
def test_printable_text_is_safe_and_stays_as_it_is(name: str) -> None:
    shown = printable(name)
    shown.encode()
    assert "\x1b" not in shown
    assert printable(shown) == shown


NAME, ACCENT, WIDE = "abcdefghij.k", "abcdefe\u0301x", "日本語 x"


@pytest.mark.parametrize(
    ("cut", "name", "shown"),
    [
        (shorten, NAME, {12: NAME, 11: "abc…fghij.k", 2: "…k", 1: "…", 0: ""}),
        (shorten, ACCENT, {2: "…x"}),  # no accent without its letter
        (clip, WIDE, {0: "", 1: "…", 4: "日…", 5: "日本…", 9: WIDE}),
    ],
)
def test_a_shortened_name_keeps_both_ends_and_a_clipped_text_its_beginning(
    cut: Callable[[str, int], str], name: str, shown: dict[int, str]
) -> None:
    assert {width: cut(name, width) for width in shown} == shown


@given(st.text(max_size=30).map(printable), st.integers(1, 40))
def test_a_fitted_name_is_never_wider_than_its_column(name: str, width: int) -> None:
    assert cell_len(text.fit(name, width)) == width


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        # three digits
        (size_text, {0: "0 B", 999: "999 B", 1000: "1.00 kB", 9_994: "9.99 kB", 9_996: "10.0 kB"}),
        (size_text, {99_960: "100 kB", 999_600: "1.00 MB", 1.234e9: "1.23 GB", 5e18: "5,000 PB"}),
        # two units, or one where it is to be brief
        (time_text, {0.4: "0 s", 59.6: "1 min", 61: "1 min 1 s", 3600: "1 h", 3905: "1 h 5 min"}),
        (time_text, {183_600: "2 d 3 h"}),
        (text.clock_text, {5.9: "0:05", 754: "12:34", 3723: "1:02:03"}),
        (text.brief_text, {0.4: "0 s", 59.2: "59 s", 61: "1 min", 605: "10 min", 3_599: "59 min"}),
        (text.brief_text, {7_300: "2 h", 200_000: "2 d"}),
        # no finer than an estimate can be
        (text.estimate_text, {0.4: "1 s", 59.2: "1 min", 61: "1 min 10 s", 605: "11 min"}),
        (text.estimate_text, {3_599: "1 h", 7_300: "2 h 5 min", 200_000: "2 d 7 h"}),
        (lambda count: count_text(count, "photo"), {1: "1 photo", 1204: "1,204 photos"}),
        (lambda count: count_text(count, "retry", "retries"), {2: "2 retries"}),
        (lambda done: percent(done, 1000), {999: 99, 1000: 100}),  # a hundred means all
        (lambda done: percent(done, 0), {0: 100}),
    ],
)
def test_numbers_are_shown_no_finer_than_people_read_them(
    words: Callable[[float], str | int], texts: dict[float, str | int]
) -> None:
    assert {number: words(number) for number in texts} == texts
