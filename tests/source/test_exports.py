"""What exports of other services say of photos: Flickr, iCloud, Picasa and PhotoPrism."""

import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest

from bulkup.source.exports import Exports, flickr, icloud, photoprism, picasa
from bulkup.source.metadata import Metadata, Moment
from bulkup.source.takeout.sidecars import ZONES, Album

SAMPLES = Path(__file__).parents[1] / "sidecars"
FLICKR = SAMPLES / "flickr"


def touch(*photos: Path) -> None:
    for photo in photos:
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(b"x")


def problems(exports: Exports) -> list[tuple[str, str]]:
    return [(path.name, reason) for path, reason in exports.take_problems()]


LUNCH = Metadata(
    title='Lunch "al dente" 🍝',
    description="In <i>Trastevere</i>\nwith Ada & Grace",
    date=Moment("2015-12-12 13:11:14"),
    tags=("rome", "Ada Lovelace"),
    position=(41.8895, -12.4693),
)
ROME, BEST = ("Rome & around",), ("Best of 2015/16",)


@pytest.mark.parametrize(
    ("photos", "data"),
    [
        pytest.param("photos", "photos", id="in one folder"),
        pytest.param("data-download-1", "7215_part1", id="beside each other"),
        pytest.param("photos", ".", id="above the photos"),
    ],
)
def test_flickr_has_its_data_in_other_folders(tmp_path: Path, photos: str, data: str) -> None:
    folder = tmp_path / photos
    touch(folder / "lunch_23425673160_o.jpg", folder / "5301234567_abcdef0123_o.png")
    shutil.copytree(FLICKR, tmp_path / data, dirs_exist_ok=True)
    exports = Exports()
    assert exports.metadata(folder / "lunch_23425673160_o.jpg") == LUNCH
    assert list(exports.albums(folder / "lunch_23425673160_o.jpg")) == [ROME, BEST]
    assert (exports.comment(ROME), exports.comment(BEST)) == ("A week", "")
    untitled = folder / "5301234567_abcdef0123_o.png"
    assert exports.metadata(untitled) == Metadata(level=8)
    assert list(exports.albums(untitled)) == [ROME]
    assert not list(exports.albums(folder / "IMG_20190704_120000.jpg"))
    assert not problems(exports)


def test_flickr_has_its_data_in_another_archive(tmp_path: Path) -> None:
    parts = [tmp_path / "data-download-1.zip", tmp_path / "7215_part1.zip"]
    with zipfile.ZipFile(parts[0], "w") as archive:
        archive.writestr("video_23425673160.mp4", b"x")
    with zipfile.ZipFile(parts[1], "w") as archive:
        for path in FLICKR.iterdir():
            archive.write(path, path.name)
    for exports in (Exports(parts=parts), Exports(parts=parts[::-1])):
        video = parts[0] / "video_23425673160.mp4"
        assert exports.metadata(video) == LUNCH
        assert list(exports.albums(video)) == [ROME, BEST]


@pytest.mark.parametrize(
    ("geo", "position"),
    [
        ('{"latitude": "41889500", "longitude": "12469300"}', (41.8895, 12.4693)),
        ('[{"latitude": "41.8895", "longitude": "-12.4693"}]', (41.8895, -12.4693)),
        ('[{"latitude": 0, "longitude": 0}]', None),
        ('[{"latitude": "91000000", "longitude": "0"}]', None),
        ('[{"latitude": "north"}]', None),
        ("[[]]", None),
        ("null", None),
    ],
)
def test_flickr_writes_places_in_millionths_of_degrees(
    geo: str, position: tuple[float, float] | None
) -> None:
    data = f'{{"id": "12345", "name": "x", "geo": {geo}, "tags": [7, {{"tag": 7}}]}}'
    found = flickr.read_photo(data.encode(), number="12345")
    assert found == Metadata(title="x", position=position)
    assert flickr.read_photo(data.encode(), number="1234") is None


def test_icloud_has_tables_in_the_folders_of_photos_and_of_albums(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "icloud", tmp_path, dirs_exist_ok=True)
    first, second = tmp_path / "Part 1 of 2/Photos", tmp_path / "Part 2 of 2/Photos"
    exports = Exports(zone=UTC)
    assert exports.metadata(first / "img_0001.heic") == Metadata(
        date=Moment("2022-06-04 12:11:00", ZONES), rating=5
    )
    assert list(exports.albums(first / "IMG_0001.HEIC")) == [("Été à la mer",)]
    assert list(exports.albums(second / "IMG_0005.JPG")) == [("Été à la mer",)]
    assert exports.metadata(first / "IMG_0002.JPG").level == 8
    assert exports.metadata(first / "IMG_0004.JPG").date == Moment("2024-02-29 00:00:00", ZONES)
    for other in (first / "IMG_0005.JPG", tmp_path / "IMG_0001.HEIC"):
        assert exports.metadata(other) == Metadata()
        assert not list(exports.albums(other))
    assert not problems(exports)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Saturday June 4,2022 12:11 AM GMT", "2022-06-04 00:11:00"),
        ("Sunday December 31, 2023 11:30 PM GMT", "2023-12-31 23:30:00"),
        ("Friday October 06,2023 15:04 PM GMT", "2023-10-06 15:04:00"),
        ("Friday October 36,2023 1:04 PM GMT", None),
        ("Freitag Oktober 6,2023 1:04 PM GMT", None),
        ("Friday October 06,2023 99:99 PM GMT", None),
        ("", None),
    ],
)
def test_icloud_writes_dates_in_words(text: str, date: str | None) -> None:
    assert icloud.read_date(text, zone=UTC) == (Moment(date, ZONES) if date else None)


def test_picasa_has_one_file_for_each_folder(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "picasa", tmp_path, dirs_exist_ok=True)
    exports = Exports()
    assert exports.metadata(tmp_path / "Trip/a.jpg") == Metadata(
        description="The beach, at last",
        tags=("sun", "sand"),
        rating=5,
        people=("Ada Lovelace", "Grace Hopper"),
        position=(41.8895, -12.4693),
    )
    assert list(exports.albums(tmp_path / "Trip/A.JPG")) == [("Best of",)]
    assert exports.metadata(tmp_path / "Trip/b.jpg") == Metadata(level=8)
    assert exports.metadata(tmp_path / "Trip/c.jpg") == Metadata()
    assert exports.title(tmp_path / "Trip") == Album("Trip to Rome!", "Four days\nin May")
    assert exports.title(tmp_path) is None
    assert not problems(exports)


def test_picasa_wrote_in_the_encoding_of_windows(tmp_path: Path) -> None:
    (tmp_path / "Picasa.ini").write_bytes("[é.jpg]\ncaption=Été &#233;\n[x\n]\n=".encode("cp1252"))
    assert Exports().metadata(tmp_path / "É.jpg").description == "Été é"


def test_photoprism_has_its_files_in_its_storage(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "photoprism", tmp_path, dirs_exist_ok=True)
    lunch = tmp_path / "originals/2019/20190704_120000_ABCD1234.jpg"
    touch(lunch)
    exports = Exports(zone=UTC)
    expected = Metadata(
        title='Lunch: "al dente"',
        description="In Trastevere\nwith Ada",
        author="Grace Hopper",
        date=Moment("2019-07-04 12:00:00"),
        tags=(
            "a long list of keywords which goes on beyond the eightieth column",
            *("food", "rome"),
        ),
        rating=5,
        position=(41.8895, 12.4693),
    )
    assert exports.metadata(lunch) == expected
    assert list(exports.albums(lunch)) == [("Best of: 2019/20",)]
    made_up = lunch.with_name("20190705_080000_ABCD1235.raw.jpg")
    assert exports.metadata(made_up) == Metadata(
        date=Moment("2019-07-05 06:00:00", ZONES), level=8
    )
    assert not list(exports.albums(made_up))
    assert exports.metadata(lunch.with_name("other.jpg")) == Metadata()
    assert not problems(exports)
    beside = tmp_path / "copy" / lunch.name
    touch(beside)
    shutil.copy(tmp_path / "storage/sidecar/2019" / f"{lunch.stem}.yml", beside.parent)
    assert exports.metadata(beside) == expected


def test_immich_is_read_from_what_immich_go_archives(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "immich", tmp_path, dirs_exist_ok=True)
    photo = tmp_path / "2023/2023-10/example.jpg"
    exports = Exports(zone=UTC)
    assert exports.metadata(photo) == Metadata(
        description="Golden Gate\nBridge",
        date=Moment("2023-10-01 12:34:56", ZONES),
        tags=("San Francisco", "bridge"),
        keyword_paths=(("USA", "California", "San Francisco"),),
        rating=4,
        position=(37.7749, -122.4194),
    )
    assert list(exports.albums(photo)) == [("San Francisco Trip",), ("Best of 2023/24",)]
    assert exports.comment(("San Francisco Trip",)) == "Photos from my trip"
    assert not exports.is_deleted(photo)
    trashed, other = photo.with_name("trashed.jpg.JSON"), photo.with_name("other.jpg.JSON")
    trashed.write_text('{"fileName": "", "trashed": true, "rating": 9, "tags": 7, "albums": [7]}')
    other.write_text('{"trashed": true, "albums": [{"title": "x"}]}')
    loved = photo.with_name("loved.jpg")
    loved.with_name("loved.jpg.JSON").write_text('{"fileName": "", "favorited": true}')
    assert exports.metadata(loved) == Metadata(rating=5)
    assert exports.is_deleted(photo.with_name("trashed.jpg"))
    assert not exports.is_deleted(photo.with_name("other.jpg"))
    for name in ("trashed.jpg", "other.jpg", "no.jpg"):
        assert exports.metadata(photo.with_name(name)) == Metadata()
        assert not list(exports.albums(photo.with_name(name)))
    assert not problems(exports)


@pytest.mark.parametrize(
    ("file", "content", "photo", "reason"),
    [
        ("albums.json", b"[", "x_12345_o.jpg", "it is not JSON"),
        ("albums.json", b"[]" * 200_001, "x_12345_o.jpg", "lists and objects"),
        ("photo_12345.json", b"\xff", "x_12345_o.jpg", "it is not JSON"),
        ("Photo Details.csv", b"a,b\nc,d", "x.jpg", "no column imgName"),
        ("Photo Details.csv", b'imgName\n"' + b"x" * 200_000, "x.jpg", "not a table"),
        ("Photo Details.csv", b"imgName\n" + b"a\n" * 11, "x.jpg", "10 rows"),
        (".picasa.ini", b"\n" * 500_001, "x.jpg", "500,000 lines"),
        (".picasa.ini", b"[a]\n" * 3 + b"x" * 17_000_000, "x.jpg", "larger than 16 MB"),
        ("contacts.xml", b"<!DOCTYPE x>", "face.jpg", "XML entities"),
        ("contacts.xml", b"<contacts>", "face.jpg", "not XML"),
        ("x.yml", b"UID: abc\nTitle: *x", "x.jpg", "it has aliases"),
        ("x.yml", b"UID: abc\nTitle: " + b"[" * 50, "x.jpg", "nested too deeply"),
        ("x.yml", b'UID: abc\nTitle: "', "x.jpg", "it is not YAML"),
    ],
)
def test_what_can_not_be_used_is_named_once(
    tmp_path: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    content: bytes,
    photo: str,
    reason: str,
) -> None:
    monkeypatch.setattr(icloud, "MOST_ROWS", 10)
    folder = tmp_path / "export" / "part"
    folder.mkdir(parents=True)
    (folder / file).write_bytes(content)
    if file == "contacts.xml":
        (folder / ".picasa.ini").write_bytes(b"[face.jpg]\nfaces=rect64(1),a\nstar=yes")
    exports = Exports()
    for _ in range(2):
        assert exports.metadata(folder / photo) in (Metadata(), Metadata(rating=5))
        assert not list(exports.albums(folder / photo))
    (problem,) = problems(exports)
    assert problem[0] == file
    assert reason in problem[1]


def albums_of_flickr(data: bytes) -> object:
    return flickr.read_albums(data)[0]


@pytest.mark.parametrize(
    ("read", "document"),
    [
        (albums_of_flickr, b'{"albums": [{"title": "", "photos": [1]}, {"title": 7}, 7]}'),
        (albums_of_flickr, b'{"albums": [{"title": "x", "photos": [0, "", null, {}]}]}'),
        (icloud.read_details, b""),
        (icloud.read_album, b"imgName\n\n"),
        (photoprism.read_album, b"UID: a\nType: album\nTitle: x\n"),
        (photoprism.read_album, b"UID: a\nType: month\nTitle: x\nPhotos:\n- UID: b\n"),
        (photoprism.read_album, b"Type: album\nTitle: x\nDeletedAt: 2020\nPhotos:\n- UID: b\n"),
        (picasa.read_contacts, b"<contacts><contact name='x'/></contacts>"),
    ],
)
def test_what_says_nothing_is_no_problem(read: Callable[[bytes], object], document: bytes) -> None:
    assert not read(document)
