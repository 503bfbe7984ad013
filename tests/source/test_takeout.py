"""Takeout: the names of its files, truncated and numbered, and their content."""

import json
import os
import re
import unicodedata
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
NO_JSON = [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000, b"<xml/>"]
LONG = "Urlaub in Knaufspesch in der Schneifel (38).JPG"
LONGER = "D7157814-D2D5-4A62-AFCE-9CF465CB7D66.jpeg"
EDITED_2 = "IMG_1(2)-edited.jpg"
SNAPCHAT = "Screenshot_20220207_102421_com.snapchat.androi"


@pytest.mark.parametrize(
    ("photo", "its", "of_others"),
    [
        (
            "IMG_1.jpg",
            [f"IMG_1.jpg.{end}json" for end in ("", "supplemental-meta.", "suppl.", "s.", ".")],
            [f"IMG_1{end}.json" for end in (".jpg(2)", "", ".jpg.supplementary", "0.jpg")],
        ),
        (
            "IMG_1(2).jpg",
            ["IMG_1.jpg.supplemental-me(2).json", "IMG_1(2).jpg.json"],
            ["IMG_1.jpg(3).json"],
        ),
        ("IMG_1-EDITED.JPG", ["IMG_1.JPG.json"], ["IMG_1.png.json"]),
        ("-edited.jpg", [], [".jpg.json"]),
        ("unedited.jpg", [], ["un.jpg.json"]),
        (EDITED_2, [f"{EDITED_2}.json", "IMG_1.jpg(2).json", "IMG_1(2).jpg.json"], []),
        (LONG, ["Urlaub in Knaufspesch in der Schneifel (38).JP.json"], []),
        (LONGER, ["D7157814-D2D5-4A62-AFCE-9CF465CB7D66.jpeg.supp.json"], []),
        (f"{SNAPCHAT}.jpg", [f"{SNAPCHAT}.json"], []),
        ("no ending", ["no ending.json"], []),
        (".jpg", [".jpg.json"], []),
    ],
)
def test_a_photo_has_the_json_of_its_name_and_not_that_of_another(
    photo: str, its: list[str], of_others: list[str]
) -> None:
    names = set(names_for(photo))
    assert names >= set(its)
    assert not names & set(of_others)


def test_a_photos_own_name_comes_before_that_of_the_original() -> None:
    names = list(names_for(EDITED_2))
    places = [names.index(f"{name}.json") for name in (EDITED_2, "IMG_1(2).jpg", "IMG_1.jpg(2)")]
    assert places == sorted(places)


stems = st.text(st.characters(blacklist_characters="/\0.()", codec="utf-8"), min_size=1)


@given(
    stem=stems,
    ending=st.sampled_from([".jpg", ".HEIC", ".png"]),
    number=st.integers(1, 99) | st.none(),
    edited=st.sampled_from(["", *EDITED]),
    old=st.booleans(),
    photo=st.text(max_size=80),
)
def test_any_name_that_google_uses_is_among_few(
    stem: str, ending: str, *, number: int | None, edited: str, old: bool, photo: str
) -> None:
    count = f"({number})" if number else ""
    original = stem + ending
    given_name = f"{(original + ('' if old else SUFFIX))[:LONGEST]}{count}.json"
    assert given_name in names_for(f"{stem}{edited}{count}{ending}")
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
        position=(45.9, 9.2),
    )


def parsed(photo: str = "a.jpg", *, zone: tzinfo = UTC, **values: object) -> Metadata | None:
    document = {"title": photo, "photoTakenTime": {"timestamp": "0"}} | values
    return read(json.dumps(document).encode(), photo=photo, zone=zone)


NO_STAMPS = ["0", "", "999999999999", "-99999999999", "soon", "1" * 5000, None]


@pytest.mark.parametrize(
    ("stamps", "date", "hours"),
    [
        (["1561982602", 1561982602], "2019-07-01 12:03:22", 0),
        (["1561982602"], "2019-07-01 14:03:22", 2),
        (["-1000000000"], "1938-04-24 22:13:20", 0),
        (NO_STAMPS, None, 0),
    ],
)
def test_a_time_stamp_is_a_date_in_the_users_zone(
    stamps: list[object], date: str | None, hours: int
) -> None:
    zone, expected = timezone(timedelta(hours=hours)), Moment(date, DAY) if date else None
    for stamp in stamps:
        assert parsed(zone=zone, photoTakenTime={"timestamp": stamp}) == Metadata(date=expected)


@pytest.mark.parametrize(
    ("photo", "titles", "expected"),
    [
        ("IMG_1.jpg", ["IMG_1.jpg", "IMG_1.HEIC", "", "  "], ""),
        ("IMG_1(2).jpg", ["IMG_1.jpg"], ""),
        ("IMG_1-edited.jpg", ["IMG_1.jpg"], ""),
        ("e\u0301te\u0301.jpg", ["été.jpg"], ""),
        ("It_s me.jpg", ["It's me.jpg"], "It's me"),
        (f"{'x' * 47}.jpg", [f"{'x' * 60}.jpg"], "x" * 60),
        ("a.jpg", ["Dr. Smith at home"], "Dr. Smith at home"),
    ],
)
def test_a_title_is_more_than_the_file_name(photo: str, titles: list[str], expected: str) -> None:
    assert {parsed(photo, title=title) for title in titles} == {Metadata(title=expected)}


def place(latitude: object, longitude: object) -> dict[str, object]:
    return {"latitude": latitude, "longitude": longitude, "altitude": 90.25}


def test_the_place_is_that_of_google_or_else_that_of_the_photo() -> None:
    nowhere = [place(0.0, 0.0), place(91, 0), place(1, -180.1), place("1", "2"), place(None, 1)]
    nowhere += [place(float("nan"), 1.0), place(1.0, float("inf")), place(10**400, 1), {}]
    known = Metadata(position=(48.7981917, -2.5))
    for unknown in [*nowhere, None, [], "48,2"]:
        assert parsed(geoData=unknown, geoDataExif=place(48.7981917, -2.5)) == known
        assert parsed(geoData=unknown, geoDataExif=unknown) == Metadata()
    assert parsed(geoData=place(0, 7), geoDataExif=place(1, 1)) == Metadata(position=(0.0, 7.0))


def test_what_is_not_takeout_is_ignored_and_what_is_no_json_refused_with_a_reason() -> None:
    for people in (None, "Anna", [], [1, {}, {"name": 7}, {"name": " "}]):
        assert parsed(people=people) == Metadata()
    documents: list[object] = [{}, [], 1, None, {"title": "x"}, {"photoTakenTime": {}}]
    for document in documents:
        assert read(json.dumps(document).encode(), photo="a.jpg") is None
    for data in NO_JSON:
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


@pytest.mark.parametrize("content", [*NO_JSON, LARGE])
def test_a_broken_album_file_is_reported_unless_another_is_valid(
    tmp_path: Path, content: bytes
) -> None:
    path = put(tmp_path / "metadata.json", content)
    reason = "it is larger than 1 MB" if content is LARGE else "it is not JSON: "
    with pytest.raises(ValueError, match=re.escape(f"{path}: {reason}")):
        album(tmp_path)
    write_album_title(tmp_path, "Alps", name="Metadaten.json")
    assert album(tmp_path) == Album("Alps")


def test_other_files_have_no_album(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    photo = '{"title": "a.jpg", "photoTakenTime": {"timestamp": "1"}}'
    for content in ("[]", "{}", '{"title": ""}', '{"title": 1}', photo):
        path.write_text(content, encoding="utf-8")
        assert album(tmp_path) is None
    os.mkfifo(put(tmp_path / "a/x").with_name(path.name))
    (tmp_path / "b" / path.name).mkdir(parents=True)
    for folder in ("a", "b", "nowhere"):
        assert album(tmp_path / folder) is None
