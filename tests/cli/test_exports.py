"""Uploading and verifying exports of other services with their albums and metadata."""

import shutil
from pathlib import Path

from bulkup.sandbox import Sandbox
from tests.source.test_exports import SAMPLES
from tests.support.archives import write_zip
from tests.support.commands import has_rows, send
from tests.support.galleries import albums_of, calls, changes, tags_of, uploads
from tests.support.photos import write_files

LUNCH, OTHER = "lunch_23425673160_o.jpg", "5301234567_abcdef0123_o.png"


def flickr(folder: Path) -> list[Path]:
    """Write a Flickr export as zip archives: two with photos, one with the account data."""
    photos = write_files(folder / "unpacked", LUNCH, OTHER)
    data = {path.name: path.read_bytes() for path in (SAMPLES / "flickr").iterdir()}
    return [
        write_zip(folder / "data-download-1.zip", {LUNCH: photos[LUNCH]}),
        write_zip(folder / "data-download-2.zip", {OTHER: photos[OTHER]}),
        write_zip(folder / "7215_part1.zip", data),
    ]


async def test_a_flickr_export_arrives_with_its_albums_and_is_complete_after_one_run(
    box: Sandbox, tmp_path: Path
) -> None:
    parts = flickr(tmp_path)
    understood = (
        "2 +in Flickr +2 with metadata, 2 albums: .*Rome & around",
        "2 +in zip archives +2 archives$",
    )
    ended = await send(box, *parts, "--dry-run")
    assert ended.code == 0
    assert has_rows(ended, *understood)
    assert not changes(box).keys() - {"pwg.images.uploadCompleted"}

    ended = await send(box, *parts)
    assert ended.code == 0
    assert " in Flickr" not in ended.err
    assert has_rows(await send(box, *parts, "--dry-run"), *understood)
    assert albums_of(box) == {
        "Sandbox": [OTHER, LUNCH],
        "Sandbox/Best of 2015/16": [LUNCH],
        "Sandbox/Rome & around": [OTHER, LUNCH],
    }
    comments = {album.name: album.comment for album in box.gallery.albums.values()}
    assert comments["Rome & around"] == "A week"
    (lunch,) = [photo for photo in box.gallery.photos.values() if photo.file == LUNCH]
    assert lunch.name == 'Lunch "al dente" �'
    assert {photo.file: photo.level for photo in box.gallery.photos.values()} == {
        LUNCH: 0,
        OTHER: 8,
    }
    assert lunch.date_creation == "2015-12-12 13:11:14"
    assert tags_of(box, lunch) == {"rome", "Ada Lovelace"}

    ended = await send(box, "verify", *parts)
    assert ended.code == 0
    sent, before = uploads(box), len(box.requests)
    ended = await send(box, *parts)
    assert ended.code == 0
    assert uploads(box) == sent
    asked = calls(box, since=before)
    assert not asked.keys() & {"pwg.images.setCategory", "pwg.categories.add"}


async def test_deleted_photos_of_icloud_stay_away_and_hidden_ones_hidden(
    box: Sandbox, tmp_path: Path
) -> None:
    shutil.copytree(SAMPLES / "icloud", tmp_path / "in")
    write_files(tmp_path / "in/Part 1 of 2/Photos", "IMG_0002.JPG", "IMG_0003.JPG")
    write_files(tmp_path / "in/Part 1 of 2/Recently Deleted", "IMG_0009.JPG")
    write_files(tmp_path / "in/Part 2 of 2/Photos", "IMG_0005.JPG")
    ended = await send(box, tmp_path / "in", "--dry-run")
    assert has_rows(ended, "4 +in iCloud +.*2 left out: deleted, 1 album: Été à la mer$")
    ended = await send(box, tmp_path / "in", "--json")
    assert ended.code == 0
    assert ended.out.count('"reason": "trashed"') == 2
    assert albums_of(box) == {
        "Sandbox": ["IMG_0002.JPG", "IMG_0005.JPG"],
        "Sandbox/Été à la mer": ["IMG_0005.JPG"],
    }
    levels = {photo.file: photo.level for photo in box.gallery.photos.values()}
    assert levels == {"IMG_0002.JPG": 8, "IMG_0005.JPG": 0}
    ended = await send(box, "verify", tmp_path / "in")
    assert ended.code == 0
    await send(box, tmp_path / "in", "--takeout-skip", "none")
    assert len(box.gallery.photos) == 4


async def test_the_albums_of_an_export_are_ignored_on_request(
    box: Sandbox, tmp_path: Path
) -> None:
    ended = await send(box, *flickr(tmp_path), "--no-sidecars")
    assert ended.code == 0
    assert albums_of(box) == {"Sandbox": [OTHER, LUNCH]}


async def test_broken_lists_are_named_once_and_the_photos_are_uploaded(
    box: Sandbox, tmp_path: Path
) -> None:
    write_files(tmp_path / "in/photos", LUNCH, OTHER)
    shutil.copytree(SAMPLES / "flickr", tmp_path / "in/data")
    (tmp_path / "in/data/albums.json").write_bytes(b"{")
    ended = await send(box, tmp_path / "in")
    assert ended.code == 0
    assert ended.err.count("albums.json is ignored: it is not JSON") == 1
    assert len(albums_of(box)["Sandbox"]) == 2


async def test_photos_are_in_the_albums_of_their_rows_in_a_table(
    box: Sandbox, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    write_files(folder, "a.jpg", "b.jpg")
    table = tmp_path / "table.csv"
    table.write_text("path,albums\na.jpg,Alps;Best/2019\nb.jpg,Alps\n", "utf-8")
    for _ in range(2):
        ended = await send(box, folder, "--metadata", table, "--dry-run")
        assert has_rows(ended, "2 +in the table +2 with metadata, 2 albums: Alps, Best / 2019$")
        ended = await send(box, folder, "--metadata", table)
        assert ended.code == 0
        assert albums_of(box) == {
            "Sandbox": ["a.jpg", "b.jpg"],
            "Sandbox/Alps": ["a.jpg", "b.jpg"],
            "Sandbox/Best": [],
            "Sandbox/Best/2019": ["a.jpg"],
        }
