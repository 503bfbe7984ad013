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
    ("texts", "date", "days"),
    [
        (["2021-08-14T18:03:27.45", "2021:08:14 18:03:27.000"], "2021-08-14 18:03:27", 0),
        (["2021-08-14T18:03:27+02:00", "2021-08-14T18:03:27Z"], "2021-08-14 18:03:27", 0),
        (["2021-08-14 18:03:27 -0330"], "2021-08-14 18:03:27", 0),
        (["2021-08-14T00:00"], "2021-08-14 00:00:00", 0),
        (["2020-02-29T23:59:59"], "2020-02-29 23:59:59", 0),
        ([" 2021-08-14\n"], "2021-08-14 00:00:00", 1),
        (["2021-08"], "2021-08-01 00:00:00", 31),
        (["1950"], "1950-01-01 00:00:00", 366),
    ],
)
def test_dates_are_read_as_programs_write_them(texts: list[str], date: str, days: int) -> None:
    assert {parse_date(text) for text in texts} == {Moment(date, timedelta(days))}


def test_an_invalid_date_is_none() -> None:
    for text in (
        *("", "yesterday", "0000:00:00 00:00:00", "    :  :     :  :  ", "20210814", "２０２１"),
        *("2021-02-29", "2021-13-01", "2021-08-14T24:00:00", "2021-08-14T18:60", "0999-12-31"),
        "2021-08-14T18:03:27 in the evening",
    ):
        assert parse_date(text) is None, text


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{4}[:-][0-9]{2}[:-][0-9]{2}[T ][0-9:.Z+-]*"))
def test_every_parsed_date_exists(text: str) -> None:
    if date := parse_date(text):
        assert datetime.fromisoformat(date.text).isoformat(sep=" ") == date.text


@given(st.datetimes())
def test_a_moment_is_what_a_database_can_store(date: datetime) -> None:
    made = moment(date)
    assert (made is None) == (date.year < 1000)
    assert made is None or made.text == f"{date:%Y-%m-%d %H:%M:%S}"


def test_a_date_agrees_within_the_leeway() -> None:
    exact, inexact = (Moment("2020-01-01 12:00:00", timedelta(days)) for days in (0, 1))
    assert exact.agrees_with("2020-01-01 12:00:00")
    assert not exact.agrees_with("2020-01-01 12:00:01")
    for other in ("2020-01-01 12:00:00", "2020-01-02 12:00:00", "2019-12-31 12:00:00"):
        assert inexact.agrees_with(other), other
    nothing = ("0000-00-00 00:00:00", "")
    for other in ("2020-01-02 12:00:01", "2019-12-31 11:59:59", *nothing):
        assert not inexact.agrees_with(other), other


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


def test_tags_are_compared_without_case_and_a_rating_is_a_tag_of_stars() -> None:
    assert distinct(["Sea", "", "sun", "SEA", "Sun "]) == ("Sea", "sun", "Sun ")
    assert [stars(rating) for rating in (-1, 0, 1, 4, 9)] == ["", "", "★", "★★★★", "★★★★★"]


def test_the_first_metadata_wins_and_tags_are_joined() -> None:
    date = Moment("2020-01-01 00:00:00")
    above = Metadata(title="Mine", tags=("sea", "sun"), date=date)
    below = Metadata(title="Theirs", description="said", tags=("Sea", "sand"), rating=3)
    both = replace(above, description="said", tags=("sea", "sun", "sand"), rating=3)
    assert above.over(replace(below, people=("Anna",))) == replace(both, people=("Anna",))
    assert Metadata().over(below) == below == below.over(Metadata())


# labels


PATH = Path("/photos/2019 Sea & sun/IMG_1.jpg")
MODIFIED = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)


def applied(sidecar: Metadata | None = None, *, path: Path = PATH, **labels: object) -> Metadata:
    if isinstance(title := labels.get("title"), str):
        labels["title"] = Template(title, flag="--title")
    return Labels(**labels).apply(sidecar or Metadata(), path=path, modified=MODIFIED)  # type: ignore[arg-type]


TITLES = {
    "{stem}": "IMG_1",
    "{name}": "IMG_1.jpg",
    "{folder}": "2019 Sea & sun",
    "{date}": "2020-05-06",
    "{year}": "2020",
    "{title}": "IMG_1",
    "{folder} – {stem} ({year})": "2019 Sea & sun – IMG_1 (2020)",
    "{{{stem}}}": "{IMG_1}",
    "as it is": "as it is",
    " ": "",
    "": "",
}


def test_a_template_is_filled_from_the_path_the_time_and_a_sidecar() -> None:
    assert {template: applied(title=template).title for template in TITLES} == TITLES
    sidecar = Metadata(title="Low tide", date=Moment("2019-07-01 14:03:22"))
    assert applied(sidecar, title="{date} {year} {title}").title == "2019-07-01 2019 Low tide"
    assert applied(title="{stem}", path=Path("/x/caf\udce9.jpg")).title == "caf?"  # no UTF-8


def test_an_unknown_field_is_named_and_braces_must_match() -> None:
    fields = ("{number}", "{}", "{0}", "{stem.upper}", "{stem[0]}", "{stem!r}", "{stem:>9}")
    for template in fields:
        with pytest.raises(UsageError, match="--title has no field") as caught:
            Template(template, flag="--title")
        assert all(f"{{{field}}}" in caught.value.hint for field in FIELDS)
    for template in ("{", "}", "{stem", "stem}", "{{stem}"):
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
    sidecar = Metadata(title="T", description="D", tags=("sea",), rating=4, people=("Anna",))
    assert applied(sidecar) == sidecar
    labelled = applied(sidecar, title="{stem}", tags=("Sea", "mine"), author="Me", comment="C")
    assert labelled == replace(
        sidecar, title="IMG_1", description="C", author="Me", tags=("Sea", "mine")
    )
    assert applied(sidecar, rating_as_tag=True).tags == ("sea", "★★★★")
    assert applied(sidecar, people_as_tags=True).tags == ("sea", "Anna")
    assert applied(rating_as_tag=True).tags == ()
    metadata = applied(author=" Me ", comment="a\r\nb ", tags=(" e\u0301 ",), title="{stem}\n")
    assert metadata == Metadata(title="IMG_1", description="a\nb", author="Me", tags=("é",))


def test_whether_any_metadata_is_set() -> None:
    template = Template("{stem}", flag="--title")
    nothing = Labels(sidecars=False, embedded=False)
    assert Labels()
    assert replace(nothing, tags=("a",))
    assert replace(nothing, author="a")
    assert replace(nothing, comment="a")
    assert replace(nothing, title=template)
    assert not nothing
    assert not Labels(sidecars=False, embedded=False, rating_as_tag=True)
