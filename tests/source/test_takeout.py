"""Takeout: the names of its files, truncated and numbered, and their content."""

import json
import os
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.source.metadata import Metadata, Moment
from bulkup.source.takeout import ALBUM_FILES, EDITED, LONGEST, SUFFIX, Album, names_for
from bulkup.source.takeout import read_takeout as read
from bulkup.source.takeout import takeout_album as album
from tests.support.photos import write_album_title
from tests.support.walks import put

FOLDER = Path(__file__).parents[1] / "sidecars/takeout"
DAY = timedelta(days=1)
LONG = "Urlaub in Knaufspesch in der Schneifel (38).JPG"
LONGER = "D7157814-D2D5-4A62-AFCE-9CF465CB7D66.jpeg"


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-meta.json"),
        ("IMG_1.jpg", "IMG_1.jpg.suppl.json"),
        ("IMG_1.jpg", "IMG_1.jpg.s.json"),
        ("IMG_1.jpg", "IMG_1.jpg..json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-me(2).json"),
        ("IMG_1(2).jpg", "IMG_1(2).jpg.json"),
        ("IMG_1-EDITED.JPG", "IMG_1.JPG.json"),
        ("IMG_1(2)-edited.jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2)-edited.jpg", "IMG_1(2).jpg.json"),
        (LONG, "Urlaub in Knaufspesch in der Schneifel (38).JP.json"),
        (LONGER, "D7157814-D2D5-4A62-AFCE-9CF465CB7D66.jpeg.supp.json"),
        ("Screenshot_20220207_102421_com.snapchat.androi.jpg",
         "Screenshot_20220207_102421_com.snapchat.androi.json"),
        ("no ending", "no ending.json"),
        (".jpg", ".jpg.json"),
    ],
)  # fmt: skip
def test_the_json_of_a_photo(photo: str, name: str) -> None:
    assert name in names_for(photo)


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        ("IMG_1.jpg", "IMG_1.jpg(2).json"),
        ("IMG_1.jpg", "IMG_1.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplementary.json"),
        ("IMG_1.jpg", "IMG_10.jpg.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(3).json"),
        ("IMG_1-edited.jpg", "IMG_1.png.json"),
        ("-edited.jpg", ".jpg.json"),
        ("unedited.jpg", "un.jpg.json"),
    ],
)
def test_the_json_of_another_photo(photo: str, name: str) -> None:
    assert name not in names_for(photo)


def test_a_photos_own_name_comes_before_that_of_the_original() -> None:
    names = list(names_for("IMG_1(2)-edited.jpg"))
    assert names.index("IMG_1(2)-edited.jpg.json") < names.index("IMG_1(2).jpg.json")
    assert names.index("IMG_1(2).jpg.json") < names.index("IMG_1.jpg(2).json")


stems = st.text(st.characters(blacklist_characters="/\0.()", codec="utf-8"), min_size=1)


@given(
    stem=stems,
    ending=st.sampled_from([".jpg", ".HEIC", ".png"]),
    number=st.integers(1, 99) | st.none(),
    edited=st.sampled_from(["", *EDITED]),
    old=st.booleans(),
)
def test_any_name_that_google_uses_is_found(
    stem: str, ending: str, *, number: int | None, edited: str, old: bool
) -> None:
    count = f"({number})" if number else ""
    original = stem + ending
    given_name = f"{(original + ('' if old else SUFFIX))[:LONGEST]}{count}.json"
    assert given_name in names_for(f"{stem}{edited}{count}{ending}")


@given(st.text(max_size=80))
def test_the_names_are_few_and_each_is_named_once(photo: str) -> None:
    names = list(names_for(photo))
    assert len(set(names)) == len(names) <= 200
    assert all(name.endswith(".json") for name in names)


NAME = "IMG_20190701_140322.jpg"


def test_a_json_of_takeout() -> None:
    data = (FOLDER / f"{NAME}.supplemental-metadata.json").read_bytes()
    assert read(data, photo=NAME, zone=UTC) == Metadata(
        description='Mittag am See\nmit Blick auf die Alpen & "Pizza"',
        date=Moment("2019-07-01 12:03:22", DAY),
        people=("Anna", "Jürgen"),
    )


def told(photo: str = "a.jpg", *, zone: tzinfo = UTC, **values: object) -> Metadata | None:
    document = {"title": photo, "photoTakenTime": {"timestamp": "0"}} | values
    return read(json.dumps(document).encode(), photo=photo, zone=zone)


def test_a_date_is_converted_to_the_users_zone() -> None:
    metadata = told(zone=timezone(timedelta(hours=2)), photoTakenTime={"timestamp": "1561982602"})
    assert metadata == Metadata(date=Moment("2019-07-01 14:03:22", DAY))


@pytest.mark.parametrize(
    ("stamp", "date"),
    [
        ("1561982602", "2019-07-01 12:03:22"),
        (1561982602, "2019-07-01 12:03:22"),
        ("-1000000000", "1938-04-24 22:13:20"),
        ("0", None),
        ("", None),
        ("999999999999", None),
        ("-99999999999", None),
        ("soon", None),
        ("1" * 5000, None),
        (None, None),
    ],
)
def test_time_stamps(stamp: object, date: str | None) -> None:
    metadata = told(photoTakenTime={"timestamp": stamp})
    assert metadata == Metadata(date=Moment(date, DAY) if date else None)


@pytest.mark.parametrize(
    ("photo", "title", "expected"),
    [
        ("IMG_1.jpg", "IMG_1.jpg", ""),
        ("IMG_1.jpg", "IMG_1.HEIC", ""),
        ("IMG_1(2).jpg", "IMG_1.jpg", ""),
        ("IMG_1-edited.jpg", "IMG_1.jpg", ""),
        ("It_s me.jpg", "It's me.jpg", "It's me"),
        (f"{'x' * 47}.jpg", f"{'x' * 60}.jpg", "x" * 60),
        ("a.jpg", "Dr. Smith at home", "Dr. Smith at home"),
        ("e\u0301te\u0301.jpg", "été.jpg", ""),
        ("a.jpg", "", ""),
        ("a.jpg", "  ", ""),
    ],
)
def test_a_title_is_more_than_the_file_name(photo: str, title: str, expected: str) -> None:
    metadata = told(photo, title=title)
    assert metadata is not None
    assert metadata.title == expected


@pytest.mark.parametrize("people", [None, "Anna", [], [1, {}, {"name": 7}, {"name": " "}]])
def test_people_of_an_unknown_form_are_ignored(people: object) -> None:
    assert told(people=people) == Metadata()


@pytest.mark.parametrize("document", [{}, [], 1, None, {"title": "x"}, {"photoTakenTime": {}}])
def test_other_json_is_not_takeout(document: object) -> None:
    assert read(json.dumps(document).encode(), photo="a.jpg") is None


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000, b"<xml/>"])
def test_invalid_json_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(ValueError, match=re.escape("it is not JSON: ")):
        read(data, photo="a.jpg")


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    with suppress(ValueError):
        read(data, photo="a.jpg")


# albums


DECOMPOSED = unicodedata.normalize("NFD", "métadonnées.json")  # as some disks spell it


@pytest.mark.parametrize("name", [*ALBUM_FILES, DECOMPOSED])
def test_an_album_of_takeout_in_any_language(tmp_path: Path, name: str) -> None:
    assert album(FOLDER) == Album("Sommer am Comer See", "Zwei Wochen im Juli")
    write_album_title(tmp_path, " Alps ", name=name)
    assert album(tmp_path) == Album("Alps")


LARGE = b'{"title": "Alps"' + b" " * 2**20 + b"}"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000, LARGE])
def test_a_broken_album_file_is_reported_unless_another_is_valid(
    tmp_path: Path, content: bytes
) -> None:
    path = put(tmp_path / "metadata.json", content)
    reason = "it is larger than 1 MB" if content is LARGE else "it is not JSON: "
    with pytest.raises(ValueError, match=re.escape(f"{path}: {reason}")):
        album(tmp_path)
    write_album_title(tmp_path, "Alps", name="Metadaten.json")
    assert album(tmp_path) == Album("Alps")


@pytest.mark.parametrize("content", ["[]", "{}", '{"title": ""}', '{"title": 1}',
    '{"title": "a.jpg", "photoTakenTime": {"timestamp": "1"}}'])  # fmt: skip
def test_a_file_without_an_album(tmp_path: Path, content: str) -> None:
    (tmp_path / "metadata.json").write_text(content, encoding="utf-8")
    assert album(tmp_path) is None


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.parent.rmdir()])
def test_anything_but_a_file_has_no_album(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "folder" / "metadata.json"
    path.parent.mkdir()
    make(path)
    assert album(path.parent) is None
