"""Texts and dates as everything else may rely on them."""

import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.source.metadata import (
    Metadata,
    Moment,
    distinct,
    line,
    moment,
    parse_date,
    prose,
    stars,
)


@pytest.mark.parametrize(
    ("text", "date", "leeway"),
    [
        ("2021-08-14T18:03:27.45", "2021-08-14 18:03:27", timedelta(0)),
        ("2021:08:14 18:03:27.000", "2021-08-14 18:03:27", timedelta(0)),
        ("2021-08-14T18:03:27+02:00", "2021-08-14 18:03:27", timedelta(0)),
        ("2021-08-14T18:03:27Z", "2021-08-14 18:03:27", timedelta(0)),
        ("2021-08-14 18:03:27 -0330", "2021-08-14 18:03:27", timedelta(0)),
        ("2021-08-14T00:00", "2021-08-14 00:00:00", timedelta(0)),
        (" 2021-08-14\n", "2021-08-14 00:00:00", timedelta(days=1)),
        ("2021-08", "2021-08-01 00:00:00", timedelta(days=31)),
        ("1950", "1950-01-01 00:00:00", timedelta(days=366)),
        ("2020-02-29T23:59:59", "2020-02-29 23:59:59", timedelta(0)),
    ],
)
def test_dates_are_read_as_programs_write_them(text: str, date: str, leeway: timedelta) -> None:
    assert parse_date(text) == Moment(date, leeway)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2021-02-29",
        "2021-13-01",
        "2021-08-14T24:00:00",
        "2021-08-14T18:60",
        "0999-12-31",
        "20210814",
        "２０２１",
        "2021-08-14T18:03:27 in the evening",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{4}[:-][0-9]{2}[:-][0-9]{2}[T ][0-9:.Z+-]*"))
def test_every_date_is_one_that_a_calendar_has(text: str) -> None:
    if date := parse_date(text):
        assert datetime.fromisoformat(date.text).isoformat(sep=" ") == date.text


@given(st.datetimes())
def test_a_moment_drops_what_a_database_does_not_hold(date: datetime) -> None:
    made = moment(date)
    assert (made is None) == (date.year < 1000)
    assert made is None or made.text == f"{date:%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("days", "other", "same"),
    [
        (0, "2020-01-01 12:00:00", True),
        (0, "2020-01-01 12:00:01", False),
        (1, "2020-01-01 12:00:00", True),
        (1, "2020-01-02 12:00:00", True),
        (1, "2019-12-31 12:00:00", True),
        (1, "2020-01-02 12:00:01", False),
        (1, "2019-12-31 11:59:59", False),
        (1, "0000-00-00 00:00:00", False),
        (1, "", False),
    ],
)
def test_a_date_within_the_leeway_says_the_same(days: int, other: str, *, same: bool) -> None:
    date = Moment("2020-01-01 12:00:00", timedelta(days))
    assert date.agrees_with(other) is same


@pytest.mark.parametrize(
    ("tidy", "unwanted", "kept"),
    [(line, {"Cc", "Cs", "Zl", "Zp"}, ""), (prose, {"Cc", "Cs"}, "\n")],
)
@given(text=st.text())
def test_a_text_is_in_nfc_without_controls_and_only_prose_keeps_its_lines(
    tidy: Callable[[str], str], unwanted: set[str], kept: str, text: str
) -> None:
    made = tidy(text)
    assert made == made.strip() == tidy(made)
    assert unicodedata.is_normalized("NFC", made)
    assert not any(unicodedata.category(c) in unwanted for c in made if c not in kept)


@pytest.mark.parametrize(
    ("text", "one", "many"),
    [
        ("  Low tide\r\n at  noon\t", "Low tide at  noon", "Low tide\n at  noon"),
        ("e\u0301te\u0301", "été", "été"),
        ("a\x00b\x1fc", "a b c", "a b c"),
        ("<3 & \"quotes\" 'n' \\ 🗼", "<3 & \"quotes\" 'n' \\ 🗼", "<3 & \"quotes\" 'n' \\ 🗼"),
        ("x\udcffy", "x?y", "x?y"),
        ("a\ufffeb\U0001ffffc", "a b c", "a b c"),
    ],
)
def test_texts_stay_as_they_are_written(text: str, one: str, many: str) -> None:
    assert line(text) == one
    assert prose(text) == many


def test_tags_are_told_apart_without_their_case() -> None:
    assert distinct(["Sea", "", "sun", "SEA", "Sun "]) == ("Sea", "sun", "Sun ")


@pytest.mark.parametrize(
    ("rating", "tag"), [(-1, ""), (0, ""), (1, "★"), (4, "★★★★"), (9, "★★★★★")]
)
def test_a_rating_is_a_tag_of_stars(rating: int, tag: str) -> None:
    assert stars(rating) == tag


def test_what_stands_above_wins_and_tags_add_up() -> None:
    above = Metadata(title="Mine", tags=("sea", "sun"), date=Moment("2020-01-01 00:00:00"))
    below = Metadata(
        title="Theirs", description="said", tags=("Sea", "sand"), rating=3, people=("Anna",)
    )
    assert above.over(below) == Metadata(
        title="Mine",
        description="said",
        date=Moment("2020-01-01 00:00:00"),
        tags=("sea", "sun", "sand"),
        rating=3,
        people=("Anna",),
    )


def test_nothing_over_something_is_that() -> None:
    something = Metadata(title="T", author="A", rating=2)
    assert Metadata().over(something) == something == something.over(Metadata())
