"""What the user wants photos to be called, over what their sidecars say."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.errors import UsageError
from bulkup.source.metadata import FIELDS, Labels, Metadata, Moment, Template

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


def test_what_a_sidecar_tells_fills_the_fields_and_names_need_not_be_utf8() -> None:
    told = Metadata(title="Low tide", date=Moment("2019-07-01 14:03:22"))
    assert applied(told, title="{date} {year} {title}").title == "2019-07-01 2019 Low tide"
    assert applied(title="{stem}", path=Path("/x/caf\udce9.jpg")).title == "caf?"


@pytest.mark.parametrize(
    "template", ["{number}", "{}", "{0}", "{stem.upper}", "{stem[0]}", "{stem!r}", "{stem:>9}"]
)
def test_a_field_that_there_is_not_is_named(template: str) -> None:
    with pytest.raises(UsageError, match="--title knows no field") as caught:
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


def test_flags_win_over_sidecars_and_tags_add_up() -> None:
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


def test_texts_of_flags_are_tidied() -> None:
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
def test_whether_there_is_anything_to_give(labels: Labels, *, anything: bool) -> None:
    assert bool(labels) is anything
