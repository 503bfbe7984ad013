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
from bulkup.source.takeout.sidecars import ALBUM_FILES, Album, is_wrapper, states_of
from bulkup.source.takeout.sidecars import read_takeout as read
from tests.support.photos import takeout_album as album
from tests.support.photos import write_album_title
from tests.support.walks import put

FOLDER = Path(__file__).parents[1] / "sidecars/takeout"
DAY = timedelta(days=1)
NO_JSON = [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000, b"<xml/>"]
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


def test_favorites_have_five_stars() -> None:
    assert parsed(favorited=True) == Metadata(rating=5)
    assert parsed(favorited=False) == Metadata()


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
    unknowns: list[object] = [*nowhere, None, [], "48,2"]
    for unknown in unknowns:
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
    with pytest.raises(ValueError, match="more than 200,000 lists and objects"):
        read(b"[" + b"{}," * 200_000 + b"{}]", photo="a.jpg")


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    with suppress(ValueError):
        read(data, photo="a.jpg")


def test_the_states_of_a_photo() -> None:
    def states(**values: object) -> set[str] | None:
        document = {"title": "a", "photoTakenTime": {}} | values
        found = states_of(json.dumps(document).encode())
        return None if found is None else {state.value for state in found}

    assert states() == set()
    assert states(trashed=False, archived="true", inLockedFolder=1) == set()
    assert states(trashed=True, archived=True) == {"trashed", "archived"}
    assert states(inLockedFolder=True, googlePhotosOrigin={"mobileUpload": {}}) == {"locked"}
    assert states(googlePhotosOrigin={"fromPartnerSharing": {}}) == {"partner"}
    assert states(photoTakenTime=None) is None
    assert states_of(b"[]") is None


# albums


DECOMPOSED = unicodedata.normalize("NFD", "métadonnées")  # as some disks spell it


@pytest.mark.parametrize("name", [*ALBUM_FILES, DECOMPOSED, "Metadaten(1)"])
def test_an_album_of_takeout_in_any_language(tmp_path: Path, name: str) -> None:
    assert album(FOLDER) == Album("Sommer am Comer See", "Zwei Wochen im Juli")
    write_album_title(tmp_path, " Alps ", name=f"{name}.json")
    assert album(tmp_path) == Album("Alps")


def test_an_album_file_of_an_unknown_language_is_recognized_in_a_takeout(tmp_path: Path) -> None:
    write_album_title(tmp_path, "Alps", name="metaandmed.json")
    assert album(tmp_path) is None
    for name in ("a.jpg.json", "b.jpg.json"):
        (tmp_path / name).write_text('{"title": "a", "photoTakenTime": {"timestamp": "1"}}')
    (tmp_path / "a.info.json").write_text('{"title": "A video", "formats": []}')
    assert album(tmp_path) == Album("Alps")


OLD_ALBUM = {"albumData": {"title": "Trip to Gdańsk", "description": "", "access": "protected"}}
ENRICHED: dict[str, object] = {
    "title": "Album",
    "description": "Two weeks",
    "enrichments": [
        {"narrativeEnrichment": {"text": "Here is\r\ntext"}},
        {"locationEnrichment": {"location": [{"name": "Saint-Maur", "description": "France"}]}},
        {"locationEnrichment": {"location": [{"name": "Home"}, {}, 7]}},
        *({}, {"narrativeEnrichment": {"text": None}}, {"locationEnrichment": {}}, None),
    ],
    "sharedAlbumComments": [{"liked": True}],
}
DEEP: object = "x"
for _ in range(900):
    DEEP = {"albumData": DEEP}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (OLD_ALBUM, Album("Trip to Gdańsk")),
        (ENRICHED, Album("Album", "Two weeks\nHere is\ntext\nSaint-Maur – France\nHome")),
        ({"title": "A", "enrichments": "none"}, Album("A")),
        (DEEP, None),
    ],
)
def test_albums_as_exports_of_all_years_write_them(
    tmp_path: Path, document: object, expected: Album | None
) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps(document))
    assert album(tmp_path) == expected


def test_the_folder_of_google_photos_is_named_in_any_language() -> None:
    for name in ("Google Photos", "Google Fotos", "Fotky Google", "Google Фото"):
        assert is_wrapper("Takeout", name)
    assert is_wrapper("Takeout")
    assert not is_wrapper("Takeout", "Googles")
    assert not is_wrapper("Photos", "Google Photos")


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
