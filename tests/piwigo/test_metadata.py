"""Photo metadata as Piwigo can store it, and what is still to be set."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.piwigo.metadata import (
    COMMENT_SIZE,
    LINE,
    Details,
    MetadataWriter,
    cut,
    cut_bytes,
    details_of,
    escape_tags,
    title_of,
    to_set,
    without_emoji,
)
from bulkup.piwigo.protocol import Offer
from bulkup.sandbox import php
from bulkup.source.metadata import Iptc, Metadata, Moment

ALIAS = f"bulkup-{'0' * 24}"
DATE = Moment("2020-01-02 03:04:05")
DETAILS = Details(title="T", comment="C", author="A", date=DATE)
RAW = {"name": "a ", "name_raw": "a <b>", "comment_raw": "c <d>"}
STORED = {"name": "T", "comment": "C", "author": "A", "date_creation": DATE.text}


def set_fields(
    details: Details,
    stored: Mapping[str, object] | None = None,
    *,
    tag_ids: tuple[int, ...] = (),
    file: str = "",
    strips: bool = False,
) -> dict[str, str]:
    fields = to_set(details, tag_ids=tag_ids, stored=stored or {}, file=file, strips=strips)
    assert len(dict(fields)) == len(fields)
    return dict(fields)


# what can be held


def test_ordinary_texts_are_unchanged() -> None:
    title, text, tags = 'O\'Neil & "friends" <3 \\ é', "two\nlines <b>bold</b>", ("a, b", "★★★★")
    same = {"title": title, "author": "Zoë", "date": DATE, "tags": tags}
    original = Metadata(**same, description=text, rating=3, people=("Anna",))  # type: ignore[arg-type]
    assert details_of(original) == Details(**same, comment=text)  # type: ignore[arg-type]


def test_emoji_are_replaced_and_noted() -> None:
    text = "a 🗼"
    texts = (Metadata(title=text), Metadata(description=text), Metadata(author=text))
    for original in (*texts, Metadata(tags=(text,))):
        details = details_of(original)
        held = {details.title, details.comment, details.author, *details.tags} - {""}
        assert held == {"a �"}
        assert (details.replaced, details.cut) == (True, False)


def test_long_texts_are_truncated_and_noted_and_tags_escaped() -> None:
    assert details_of(Metadata(title="x" * 255)) == Details(title="x" * 255)
    assert details_of(Metadata(title="x" * 256)) == Details(title="x" * 254 + "…", cut=True)
    assert details_of(Metadata(author="é" * 300)).author == "é" * 254 + "…"
    assert details_of(Metadata(description="x" * 65536)).comment == "x" * 65532 + "…"
    assert details_of(Metadata(tags=("x" * 256,))) == Details(tags=("x" * 254 + "…",), cut=True)
    tags = details_of(Metadata(tags=("I <3 you", "i < 3 you", "a < b"))).tags
    assert tags == ("I < 3 you", "a < b")


lines = st.text(max_size=LINE + 9)


@given(st.builds(Metadata, title=lines, description=lines, author=lines, tags=st.tuples(lines)))
def test_any_metadata_becomes_storable(metadata: Metadata) -> None:
    details = details_of(metadata)
    for text in (details.title, details.author, *details.tags):
        assert len(text) <= LINE
        assert text == without_emoji(text)
    assert len(details.comment.encode("utf-8", "surrogatepass")) <= COMMENT_SIZE
    assert bool(details) is any((*details.tags, details.title, details.comment, details.author))


@given(text=st.text(st.characters(codec="utf-8")), size=st.integers(3, 60))
def test_a_text_is_cut_to_so_many_bytes_or_characters(text: str, size: int) -> None:
    in_bytes, in_characters = cut_bytes(text, size=size), cut(text, characters=size - 2)
    assert len(in_bytes.encode()) <= size
    assert len(in_characters) <= size - 2
    for made in (in_bytes, in_characters):
        assert made == text or made.endswith("…")


@given(st.text(st.sampled_from("<>/ab!? \n'\"")))
def test_escaped_tags_survive_the_removal_of_html(text: str) -> None:
    plain = escape_tags(text)
    assert php.strip_tags(plain) == plain
    assert plain.replace(" ", "") == text.replace(" ", "")


def test_which_metadata_depends_on_what_the_gallery_reads() -> None:
    near = Moment(DATE.text, timedelta(days=1))
    original = [Details(date=near), Details(tags=("a",), embedded_keywords=True)]
    assert all(details.depends for details in original)
    plain = [Details(), Details(date=DATE), Details(tags=("a",))]
    plain.append(Details(title="T", embedded_keywords=True))
    assert not any(details.depends for details in plain)


# what is to be set


@pytest.mark.parametrize(
    ("details", "stored", "tag_ids", "fields"),
    [
        (DETAILS, {}, (2, 1), STORED | {"tag_ids": "1,2"}),
        (DETAILS, STORED | {"tags": [{"id": 1}, {"id": "2"}]}, (1, 2), {}),
        (DETAILS, dict.fromkeys(STORED, "IPTC") | {"date_creation": "1999-01-01"}, (), STORED),
        (Details(), STORED, (), {}),
        (Details(title="a <b>", comment="c <d>"), RAW, (), {}),  # the raw text is compared
        (Details(), {"tags": [{"id": 7}]}, (9, 7, 8), {"tag_ids": "8,9"}),
    ],
    ids=["all", "all is there", "read out of the file", "nothing", "raw", "missing tags"],
)
def test_only_missing_fields_are_set(
    details: Details,
    stored: Mapping[str, object],
    tag_ids: tuple[int, ...],
    fields: dict[str, str],
) -> None:
    assert set_fields(details, stored, tag_ids=tag_ids) == fields


def test_an_inexact_date_does_not_replace_one_within_its_leeway() -> None:
    details = Details(date=Moment("2020-01-01 00:00:00", timedelta(days=366)))
    for kept in ("2020-01-01 12:00:00", "2020-06-30 00:00:00", "2021-01-01 00:00:00"):
        assert set_fields(details, {"date_creation": kept}) == {}, kept
    for other in ("2021-03-01 00:00:00", "2018-12-01 00:00:00", None):
        fields = set_fields(details, {"date_creation": other})
        assert fields == {"date_creation": "2020-01-01 00:00:00"}, other


@pytest.mark.parametrize(
    ("title", "stored", "name"),
    [
        *(("", {"name": ALIAS}, {"name": "a b"}), ("", {}, {"name": "a b"})),
        ("", {"name": "IPTC"}, {}),  # read out of the file, it stays
        *(("T", {"name": name}, {"name": "T"}) for name in (ALIAS, "IPTC", "")),
    ],
)
def test_a_temporary_name_is_replaced_by_the_real_ones(
    title: str, stored: Mapping[str, object], name: dict[str, str]
) -> None:
    fields = set_fields(Details(title=title), stored, file="a_b.jpg")
    assert fields == {"file": "a_b.jpg"} | name


def test_html_is_kept_off_file_names_everywhere_and_off_texts_where_a_server_removes_it() -> None:
    details = Details(title="I <3 you", comment="x" * 65534 + "<", author="<" * 255)
    fields = set_fields(details, strips=True)
    assert fields["name"] == "I < 3 you"
    assert len(fields["comment"]) <= COMMENT_SIZE
    assert len(fields["author"]) <= LINE
    assert set_fields(details)["name"] == "I <3 you"
    file = "a <b>.jpg"
    assert set_fields(Details(), file=file) == {"file": "a < b>.jpg", "name": "a <b>"}
    assert set_fields(Details(), file=file, strips=True)["name"] == "a < b>"
    long = set_fields(Details(), file="<" * 251 + ".jpg")["file"]
    assert (len(long), long[-4:]) == (255, ".jpg")


@given(file=st.text(min_size=1), title=st.text())
def test_setting_twice_sets_nothing(file: str, title: str) -> None:
    details = Details(title=title)
    fields = set_fields(details, {"name": ALIAS}, file=file)
    assert fields["name"] == (title or title_of(file))
    assert set_fields(details, fields) == {}


# what the gallery reads out of the file itself


IPTC = Iptc(title="T", description="D", keywords=("sea", "St. Moritz", "a<b"))
FOUND = Metadata(
    title="T", description="D", author="A", tags=("Sea", "St. Moritz", "a<b", "mine"), iptc=IPTC
)
ALL = dict.fromkeys(("title", "description", "keywords"), True)


def test_what_the_gallery_has_read_itself_is_not_set_again() -> None:
    details = details_of(FOUND, reads=ALL)
    assert (details.title, details.own_title, details.comment) == ("", "T", "")
    assert details.tags == ("St. Moritz", "a< b", "mine")  # it takes these apart
    assert details.depends
    assert set_fields(details, file="a.jpg")["name"] == "T"
    others = replace(FOUND, title="Other", description="Other", tags=("sea",))
    details = details_of(others, reads=ALL)
    assert (details.title, details.comment, details.tags) == ("Other", "Other", ())
    assert not details.depends
    html = Iptc(title="T <b>", description="D <b>")
    details = details_of(Metadata(title="T <b>", description="D <b>", iptc=html), reads=ALL)
    assert (details.title, details.comment) == ("T <b>", "D <b>")


def test_what_the_gallery_does_not_read_is_sent_along() -> None:
    details = details_of(FOUND, reads=dict.fromkeys(ALL, False))
    assert (details.title, details.comment) == ("T", "D")
    assert not details.depends
    assert dict(details.inline_fields((1, 2)))["tag_ids"] == "1,2"


def test_the_time_of_a_photo_is_kept_where_the_gallery_may_read_a_mere_day() -> None:
    taken = Metadata(exif_date=DATE, iptc=Iptc(title="T", dated=True))
    assert details_of(taken).date == details_of(taken, reads={"title": True}).date == DATE
    assert details_of(taken, reads=dict.fromkeys(ALL, False)).date is None
    assert details_of(replace(taken, iptc=Iptc(title="T"))).date is None


def test_while_it_is_unknown_the_first_photos_show_it() -> None:
    assert details_of(FOUND).iptc == IPTC
    assert details_of(FOUND, reads={"title": False, "keywords": False}).iptc == IPTC
    assert details_of(FOUND).depends
    assert not details_of(Metadata(iptc=IPTC)).depends  # nothing is to be set


@pytest.mark.parametrize(
    ("stored", "reads"),
    [
        ({"name": ALIAS, "comment": None, "tags": []}, dict.fromkeys(ALL, False)),
        ({"name": "t", "comment": "D", "tags": [{"id": 1}]}, ALL),
        (
            {"name": "another", "comment": "", "tags": []},
            {"description": False, "keywords": False},
        ),
        ({"name": ALIAS}, {"title": False}),
    ],
)
def test_what_a_new_photo_shows(stored: Mapping[str, object], reads: Mapping[str, bool]) -> None:
    writer = MetadataWriter(Offer("", "", "", frozenset(), None, 1))
    details = details_of(FOUND)
    assert writer.learn(details, {**stored, "file": "a.jpg"}) == {}  # it is not a new one
    assert writer.learn(details, {**stored, "file": ALIAS}) == reads
    assert writer.learn(details, {**stored, "file": ALIAS}) == {}
    assert writer.reads == reads
