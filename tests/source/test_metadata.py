"""Texts and dates of photos, and the labels that users set for them."""

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.errors import UsageError
from bulkup.source.metadata import (
    FIELDS,
    Labels,
    Metadata,
    Moment,
    Template,
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
def test_an_invalid_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{4}[:-][0-9]{2}[:-][0-9]{2}[T ][0-9:.Z+-]*"))
def test_every_parsed_date_exists(text: str) -> None:
    if date := parse_date(text):
        assert datetime.fromisoformat(date.text).isoformat(sep=" ") == date.text


@given(st.datetimes())
def test_a_moment_is_what_a_database_can_store(date: datetime) -> None:
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
def test_a_date_agrees_within_the_leeway(days: int, other: str, *, same: bool) -> None:
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
def test_texts_are_normalized(text: str, one: str, many: str) -> None:
    assert line(text) == one
    assert prose(text) == many


def test_tags_are_compared_without_case() -> None:
    assert distinct(["Sea", "", "sun", "SEA", "Sun "]) == ("Sea", "sun", "Sun ")


@pytest.mark.parametrize(
    ("rating", "tag"), [(-1, ""), (0, ""), (1, "★"), (4, "★★★★"), (9, "★★★★★")]
)
def test_a_rating_is_a_tag_of_stars(rating: int, tag: str) -> None:
    assert stars(rating) == tag


def test_the_first_metadata_wins_and_tags_are_joined() -> None:
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


def test_merging_with_nothing_changes_nothing() -> None:
    something = Metadata(title="T", author="A", rating=2)
    assert Metadata().over(something) == something == something.over(Metadata())


# labels


PATH = Path("/photos/2019 Sea & sun/IMG_1.jpg")
MODIFIED = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)


def applied(told: Metadata | None = None, *, path: Path = PATH, **labels: object) -> Metadata:
    if isinstance(title := labels.get("title"), str):
        labels["title"] = Template(title, flag="--title")
    return Labels(**labels).apply(told or Metadata(), path=path, modified=MODIFIED)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("template", "title"),
    [
        ("{stem}", "IMG_1"),
        ("{name}", "IMG_1.jpg"),
        ("{folder}", "2019 Sea & sun"),
        ("{date}", "2020-05-06"),
        ("{year}", "2020"),
        ("{title}", "IMG_1"),
        ("{folder} – {stem} ({year})", "2019 Sea & sun – IMG_1 (2020)"),
        ("{{{stem}}}", "{IMG_1}"),
        ("as it is", "as it is"),
        (" ", ""),
        ("", ""),
    ],
)
def test_templates(template: str, title: str) -> None:
    assert applied(title=template).title == title


def test_a_sidecar_fills_the_fields_and_names_need_not_be_utf8() -> None:
    told = Metadata(title="Low tide", date=Moment("2019-07-01 14:03:22"))
    assert applied(told, title="{date} {year} {title}").title == "2019-07-01 2019 Low tide"
    assert applied(title="{stem}", path=Path("/x/caf\udce9.jpg")).title == "caf?"


@pytest.mark.parametrize(
    "template", ["{number}", "{}", "{0}", "{stem.upper}", "{stem[0]}", "{stem!r}", "{stem:>9}"]
)
def test_an_unknown_field_is_named(template: str) -> None:
    with pytest.raises(UsageError, match="--title has no field") as caught:
        Template(template, flag="--title")
    assert all(f"{{{field}}}" in caught.value.hint for field in FIELDS)


@pytest.mark.parametrize("template", ["{", "}", "{stem", "stem}", "{{stem}"])
def test_braces_must_match(template: str) -> None:
    with pytest.raises(UsageError, match="braces"):
        Template(template, flag="--title")


@given(st.text())
def test_any_text_is_a_template_or_a_usage_error(text: str) -> None:
    try:
        filled = Template(text, flag="--title").fill(dict.fromkeys(FIELDS, ""))
    except UsageError:
        return
    assert filled == text or set(text) & set("{}")


def test_labels_win_over_sidecars_and_tags_are_joined() -> None:
    told = Metadata(title="T", description="D", tags=("sea",), rating=3, people=("Anna",))
    assert applied(told) == told
    assert applied(
        told, title="{stem}", tags=("Sea", "mine"), author="Me", comment="C"
    ) == replace(told, title="IMG_1", description="C", author="Me", tags=("Sea", "mine"))


def test_ratings_and_people_become_tags_when_asked_for() -> None:
    told = Metadata(tags=("sea",), rating=4, people=("Anna",))
    assert applied(told).tags == ("sea",)
    assert applied(told, rating_as_tag=True).tags == ("sea", "★★★★")
    assert applied(told, people_as_tags=True).tags == ("sea", "Anna")
    assert applied(rating_as_tag=True).tags == ()


def test_texts_of_labels_are_normalized() -> None:
    metadata = applied(author=" Me ", comment="a\r\nb ", tags=(" e\u0301 ",), title="{stem}\n")
    assert metadata == Metadata(title="IMG_1", description="a\nb", author="Me", tags=("é",))


@pytest.mark.parametrize(
    ("labels", "anything"),
    [
        (Labels(), True),
        (Labels(sidecars=False), False),
        (Labels(sidecars=False, rating_as_tag=True), False),
        (Labels(sidecars=False, tags=("a",)), True),
        (Labels(sidecars=False, author="a"), True),
        (Labels(sidecars=False, comment="a"), True),
        (Labels(sidecars=False, title=Template("{stem}", flag="--title")), True),
    ],
)
def test_whether_any_metadata_is_set(labels: Labels, *, anything: bool) -> None:
    assert bool(labels) is anything
