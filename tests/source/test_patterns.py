"""Patterns: what they match, which one decides, and which folders are entered."""

import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.errors import UsageError
from bulkup.source.filters import Patterns, read_flag, read_lines


def patterns(*flags: str) -> Patterns:
    """Return what `+raw/` (an --include) and `-raw/` (an --exclude) on a command line mean."""
    rules = [
        read_flag(
            flag[1:], take=flag[0] == "+", flag="--include" if flag[0] == "+" else "--exclude"
        )
        for flag in flags
    ]
    return Patterns(tuple(rules), only=flags[:1] != () and flags[0][0] == "+")


def lines(text: str) -> Patterns:
    return Patterns(tuple(read_lines(text, file="ignored")))


@pytest.mark.parametrize(
    ("pattern", "matched", "not_matched"),
    [
        ("a.jpg", ["a.jpg", "x/a.jpg", "a.jpg/b.png"], ["b.jpg", "xa.jpg", "a.jpgx"]),
        ("*.jpg", ["a.jpg", "x/y/a.jpg", ".jpg"], ["a.JPG", "a.jpgx"]),
        ("raw/", ["raw/a", "x/raw/y/a"], ["raw", "x/raw", "xraw/a"]),
        ("/raw", ["raw", "raw/a"], ["x/raw"]),
        ("/raw/", ["raw/a"], ["raw", "x/raw/a"]),
        ("x/raw", ["x/raw", "x/raw/a"], ["y/x/raw", "x/y/raw"]),
        ("x/*", ["x/a", "x/y/a"], ["y/x/a"]),
        ("x/*.jpg", ["x/a.jpg"], ["x/y/a.jpg"]),
        ("x/**/raw", ["x/raw", "x/y/z/raw/a"], ["raw", "y/x/raw"]),
        ("**/raw/x", ["raw/x", "y/raw/x/z"], ["raw/y/x"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "y/x"]),
        ("**", ["a", "x/a"], []),
        ("*", ["a", "x/a"], []),
        ("IMG_000?.jpg", ["IMG_0001.jpg"], ["IMG_00012.jpg"]),
        ("IMG_[0-4]*", ["IMG_1.jpg"], ["IMG_5.jpg"]),
        ("[!a]*.jpg", ["b.jpg"], ["a.jpg"]),
        ("*.[jJ][pP][gG]", ["a.jpg", "a.JPG", "a.Jpg"], ["a.png"]),
        (r"\*.jpg", ["*.jpg"], ["a.jpg"]),
        (r"\!best", ["!best", "!best/a"], ["best"]),
        ("#recycle", ["#recycle/a"], ["recycle/a"]),
        ("a ", ["a ", "x/a "], ["a"]),
        (r"a\ ", ["a "], ["a"]),
        ("a\n", ["a\n"], ["a"]),
        ("a\nb*", ["a\nb.jpg"], ["a"]),
        ("*.jpg", ["x\ny/a\nb.jpg", "\n.jpg"], ["a.jpg\n"]),
        ("*b", ["\nb", "a\n/b"], ["b\n"]),
        ("*", ["\n", "\n/\n"], []),
        ("📷*", ["📷.jpg", "x/📷📷/a"], ["x📷"]),
        ("?.jpg", ["📷.jpg", "é.jpg", "e\u0301.jpg"], ["ab.jpg"]),
        ("été/", ["e\u0301te\u0301/a"], ["ete/a"]),
        ("e\u0301te\u0301/", ["été/a"], ["ete/a"]),
        (os.fsdecode(b"\xff*"), [os.fsdecode(b"\xff\xfe.jpg")], [os.fsdecode(b"\xfe.jpg")]),
        ("*.jpg", [os.fsdecode(b"\xff\xfe.jpg")], []),
        ("[[x]", ["[", "x"], ["y"]),
        ("[a&&b]", ["a", "&"], ["c"]),
        ("C:", ["C:"], ["C"]),
    ],
)
def test_a_pattern_matches_by_the_rules_of_git(
    pattern: str, matched: list[str], not_matched: list[str]
) -> None:
    excluding = patterns(f"-{pattern}")
    assert [path for path in matched if excluding.take(path)] == []
    assert [path for path in not_matched if not excluding.take(path)] == []


@pytest.mark.parametrize(
    ("flags", "taken", "left_out"),
    [
        (["-*.png"], ["a.jpg"], ["a.png"]),
        (["+*.jpg"], ["a.jpg", "x/a.jpg"], ["a.png"]),
        (["+*.jpg", "+*.png"], ["a.jpg", "a.png"], ["a.tif"]),
        (["+*.jpg", "-raw/"], ["x/a.jpg"], ["raw/a.jpg", "a.png"]),
        (["-raw/", "+*.jpg"], ["raw/a.jpg", "a.png"], ["raw/a.png"]),
        (["-*", "+*.jpg"], ["x/a.jpg"], ["a.png"]),
        (["-*", "+best/"], ["best/a", "x/best/y/a"], ["a", "x/a"]),
        (["-Trips/", "+Trips/best/"], ["Trips/best/a", "a"], ["Trips/a"]),
        (["-Trips/", "+Trips/best/", "-*.tif"], ["Trips/best/a"], ["Trips/best/a.tif", "a.tif"]),
        (["+best/"], ["best/a"], ["a"]),
        ([], ["a"], []),
    ],
)
def test_the_last_pattern_that_matches_decides(
    flags: list[str], taken: list[str], left_out: list[str]
) -> None:
    chosen = patterns(*flags)
    assert [path for path in taken if not chosen.take(path)] == []
    assert [path for path in left_out if chosen.take(path)] == []


@pytest.mark.parametrize(
    ("flags", "entered", "not_entered"),
    [
        (["-raw/"], ["x/", "rawx/"], ["raw/", "x/raw/", "raw/x/"]),
        (["-*.jpg"], ["x/"], ["x.jpg/"]),
        (["-raw/", "+*.jpg"], ["raw/", "x/raw/"], []),
        (["+*.jpg", "-raw/"], ["x/"], ["raw/"]),
        (["-raw/", "+/best/"], ["best/"], ["raw/"]),
        (["-Trips/", "+Trips/2019/best/"], ["Trips/", "Trips/2019/"], ["Trips/2018/", "x/Trips/"]),
        (["-Trips/", "+Trips/*/best/"], ["Trips/", "Trips/2018/"], ["Trips/2018/x/"]),
        (["-Trips/", "+Trips/**/best/"], ["Trips/2018/x/y/"], ["x/Trips/"]),
        (["-Trips/", "+Trips/**"], ["Trips/", "Trips/x/"], []),
        (["-Trips/", "+Trips/a.jpg"], ["Trips/"], ["Trips/x/", "Trips/x/y/"]),
        (["+/Trips/2019/"], ["Trips/", "Trips/2019/", "Trips/2019/x/"], ["x/", "Trips/x/"]),
        (["+Trips/*.jpg"], ["Trips/"], ["Trips/x/", "x/"]),
        (["+raw"], ["x/", "raw/"], []),
        (["-*", "+été/a/"], ["e\u0301te\u0301/"], ["a/"]),
    ],
)
def test_a_folder_is_entered_only_if_something_in_it_may_be_taken(
    flags: list[str], entered: list[str], not_entered: list[str]
) -> None:
    chosen = patterns(*flags)
    assert [folder for folder in entered if not chosen.enter(folder)] == []
    assert [folder for folder in not_entered if chosen.enter(folder)] == []


names = st.sampled_from(["a", "b", "ab", "a.b", "é"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
parts = st.sampled_from(["a", "b", "?", "*", "a*", "*b", "**", "[ab]", "[!a]", "é"])
globs = st.builds(
    lambda lead, middle, end: lead + "/".join(middle) + end,
    st.sampled_from(["", "/"]),
    st.lists(parts, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
)
flags = st.builds(lambda sign, glob: sign + glob, st.sampled_from("+-"), globs)


@given(flags=st.lists(flags, max_size=5), path=paths)
def test_every_folder_on_the_way_to_what_is_taken_is_entered(flags: list[str], path: str) -> None:
    chosen = patterns(*flags)
    names = path.split("/")
    if chosen.take(path):
        for depth in range(1, len(names)):
            assert chosen.enter("/".join(names[:depth]) + "/")


@given(glob=globs, path=paths)
def test_what_matches_a_folder_matches_all_below_it(glob: str, path: str) -> None:
    excluding = patterns(f"-{glob}")
    if not excluding.take(f"{path}/"):
        assert not excluding.take(f"{path}/x")
        assert not excluding.enter(f"{path}/")


@given(text=st.text(), path=st.text(min_size=1))
def test_any_text_is_a_pattern_or_a_usage_error(text: str, path: str) -> None:
    for take in (True, False):
        with suppress(UsageError):
            chosen = Patterns((read_flag(text, take=take, flag="--exclude"),), only=take)
            chosen.take(path)
            chosen.enter(f"{path}/")
    with suppress(UsageError):
        lines(text).take(path)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["", "/", "//", "a//b", "./raw", "../raw", "raw/.", "a/../b"], "matches nothing"),
        (["[z-a]", "a\\", "x/[9-0]/y"], "--exclude “.*” is not a valid pattern"),
    ],
)
def test_invalid_patterns_and_those_that_match_nothing_are_refused(
    texts: list[str], words: str
) -> None:
    for text in texts:
        with pytest.raises(UsageError, match=words):
            patterns(f"-{text}")


@pytest.mark.parametrize(("sign", "other"), [("-", "--include"), ("+", "--exclude")])
def test_a_leading_exclamation_mark_is_refused_as_ambiguous(sign: str, other: str) -> None:
    with pytest.raises(UsageError, match="could mean two things") as caught:
        patterns(f"{sign}!raw")
    assert other in caught.value.hint


# files of patterns


def test_a_file_of_patterns_is_read_like_a_gitignore() -> None:
    chosen = lines("# comment\r\n\r\n   \n*.tif\r\nraw/  \n!raw/best.tif\n\\#1\n\\!x\n!!y\nz\\ \n")
    taken = ["a.jpg", "raw/best.tif", "# comment", "x", "!y", "z"]
    left_out = ["a.tif", "raw/a.jpg", "#1", "!x", "z "]
    assert [path for path in taken if not chosen.take(path)] == []
    assert [path for path in left_out if chosen.take(path)] == []


def test_an_invalid_line_is_named_and_an_empty_file_includes_everything() -> None:
    with pytest.raises(UsageError, match=r"ignored, line 2, “./b” matches nothing"):
        lines("a\n./b\n")
    assert lines("").take("a")
    assert lines("\n\n").enter("a/")
