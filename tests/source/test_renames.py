"""Rules that change the names of albums."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.errors import UsageError
from bulkup.source.renames import read_rename


@pytest.mark.parametrize(
    ("rule", "name", "renamed"),
    [
        (r"^(\d{4})_(\d\d)_=>\1-\2 ", "2019_05_Rome", "2019-05 Rome"),
        (r"^\d{4} - (?P<rest>.*)$=>\g<rest>", "2019 - Rome", "Rome"),
        (r"(_\d+)?$=>", "Rome_2", "Rome"),
        ("_=> ", "a_b_c", "a b c"),
        ("(?i)rome=>Roma", "ROME rome", "Roma Roma"),
        ("=>=>→", "a=>b", "a→b"),
        ("^DCIM$=>", "DCIM", ""),
        ("^(a|b)+$=>x", "abba", None),
        ("🙂=>:)", "Sun 🙂", "Sun :)"),
        ("[[]=>x", "a[b", "axb"),
        (r"[^]+*?]+$=>", "a]bc", "a]"),
    ],
)
def test_matches_are_replaced(rule: str, name: str, renamed: str | None) -> None:
    if renamed is None:
        with pytest.raises(UsageError):
            read_rename(rule, flag="--rename-album")
        return
    assert read_rename(rule, flag="--rename-album")(name) == renamed


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("2019", "is not a rule"),
        ("", "is not a rule"),
        ("=>x", "is not a rule"),
        ("a=>" + "x" * 2000, "is not a rule"),
        ("(=>x", "unterminated"),
        (r"(a)=>\2", "invalid group reference"),
        (r"a=>\g<b>", "unknown group name"),
        ("a{99999999999999999999}=>", "too large"),
        ("(" * 400 + ")" * 400 + "=>", ""),
    ],
)
def test_what_is_no_rule_is_refused_with_a_hint(rule: str, message: str) -> None:
    if not message:
        assert read_rename(rule, flag="--rename-album")("a") == "a"
        return
    with pytest.raises(UsageError, match=message) as caught:
        read_rename(rule, flag="--rename-album")
    assert "=>" in caught.value.hint


EVIL = [
    *("(a+)+$", "(a*)*b", "(a|a)*b", "(a|ab)*c", "([a-z]+)*1", "(a?){25}a{25}", "(?:a+)+?b"),
    *("(.*a){12}", "((a+)b?)+c", "(x+x+)+y", "a*a*a*a*a*a*b", "a?" * 40 + "a" * 40, "(a{1,9})+b"),
    *(r"(a+)\1*\1*\1*b", ".*.*.*.*=", "(?=(a+))+b", "((a)|b)*c", "(?P<x>a|b)*c"),
]


@pytest.mark.parametrize("pattern", EVIL)
def test_a_rule_that_could_take_forever_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="very long") as caught:
        read_rename(f"{pattern}=>", flag="--rename-album")
    assert "repeats" in caught.value.hint


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(\d+)-(\d+)-(\d+)[ _]?(.*)$",
        r"(\d{4})[-_](\d\d)[-_](\d\d)",
        r"^\s+|\s+$",
        r"^(Trip|Holiday) to (.+)$",
        r" \((copy|\d+)\)$",
        r"(?<=\d)_(?=\d)",
        "(ab){2}c",
    ],
)
def test_usual_rules_are_taken(pattern: str) -> None:
    read_rename(f"{pattern}=>x", flag="--rename-album")


PIECES = [*"ab.-()[]|*+?^$\\", "{2}", "{1,}", "(?:", "(?P<n>", r"\d", r"\1", "[^a]", "x", "_"]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.sampled_from("ab-1"))
def test_no_rule_that_is_taken_takes_long_for_a_usual_name(pattern: str, letter: str) -> None:
    try:
        rename = read_rename(f"{pattern}=>", flag="--rename-album")
    except UsageError:
        return
    for name in (letter * 40 + "!", "ab" * 20 + "!"):
        assert len(rename(name)) <= len(name)  # or the test times out
