"""Uploading and verifying photos in zip archives, which may be parts of one export."""

import hashlib
import json
import zipfile
from pathlib import Path
from random import Random

import pytest

from bulkup.sandbox import Sandbox
from tests.support.archives import write_zip
from tests.support.commands import PASSWORD, has_rows, send
from tests.support.galleries import albums_of, attached, calls, uploads
from tests.support.runs import picture, stored_sums
from tests.support.walks import put

TOP = "Takeout/Google Photos"
ALBUM = f"{TOP}/Photos from 2019"


def takeout(folder: Path) -> dict[str, bytes]:
    """Write a Takeout in three parts, none of which is complete; return its photos."""
    photos = {
        name: picture(Random(name), size=9000) for name in ("1.jpg", "2.jpg", "3 🙂.jpg", "4.jpg")
    }
    data = {"title": "1.jpg", "photoTakenTime": {"timestamp": "0"}, "description": "Lunch"}
    part1 = {f"{ALBUM}/1.jpg": photos["1.jpg"], f"{TOP}/Alps/2.jpg": photos["2.jpg"]}
    part2 = {
        f"{ALBUM}/1.jpg.supplemental-metadata.json": json.dumps(data).encode(),
        f"{ALBUM}/3 🙂.jpg": photos["3 🙂.jpg"],
        f"{TOP}/Alps/Metadaten.json": json.dumps({"title": "The Alps/1"}).encode(),
    }
    part3 = {f"{ALBUM}/2.jpg": photos["2.jpg"], f"{TOP}/Alps/4.jpg": photos["4.jpg"]}
    write_zip(folder / "takeout-1.zip", part1)
    write_zip(folder / "takeout-2.zip", part2, method=zipfile.ZIP_DEFLATED)
    write_zip(folder / "takeout-3.zip", part3)
    return photos


async def test_the_parts_of_an_export_are_one_tree(box: Sandbox, tmp_path: Path) -> None:
    photos = takeout(tmp_path)
    parts = [tmp_path / f"takeout-{number}.zip" for number in (1, 2, 3)]
    ended = await send(box, *parts, "--tree", "--chunk-size", "4K", album="")
    assert ended.code == 0
    assert stored_sums(box) == {hashlib.md5(data).hexdigest(): 1 for data in photos.values()}
    assert albums_of(box) == {
        "Sandbox": [],
        "Photos from 2019": ["1.jpg", "2.jpg", "3 �.jpg"],
        "The Alps/1": ["2.jpg", "4.jpg"],
    }
    (lunch,) = [photo for photo in box.gallery.photos.values() if photo.file == "1.jpg"]
    assert lunch.comment == "Lunch"

    sent, asked = uploads(box), calls(box)["pwg.images.exist"]
    ended = await send(box, *parts, "--tree", album="")
    assert ended.code == 0
    assert uploads(box) == sent
    assert calls(box)["pwg.images.exist"] - asked < 2
    ended = await send(box, "verify", *parts, "--tree", album="")
    assert ended.code == 0


async def test_a_broken_part_is_named_and_the_others_are_uploaded(
    box: Sandbox, tmp_path: Path
) -> None:
    takeout(tmp_path)
    broken = tmp_path / "takeout-2.zip"
    broken.write_bytes(broken.read_bytes()[:5000])
    ended = await send(box, *(tmp_path / f"takeout-{number}.zip" for number in (1, 2, 3)))
    assert ended.code == 1
    assert f"failed: {broken}\n" in ended.err
    assert "not an intact zip archive" in ended.err
    assert len(stored_sums(box)) == 3


async def test_photos_are_not_moved_out_of_archives(box: Sandbox, tmp_path: Path) -> None:
    takeout(tmp_path)
    ended = await send(box, tmp_path / "takeout-1.zip", "--after", "trash")
    assert ended.code == 2
    assert "out of a zip archive" in ended.err
    assert not uploads(box)


async def test_failed_members_are_tried_again_by_a_list(box: Sandbox, tmp_path: Path) -> None:
    takeout(tmp_path)
    member = tmp_path / "takeout-3.zip" / TOP / "Alps" / "4.jpg"
    lines = [str(member), str(member.with_name("none.jpg")), str(tmp_path / "takeout-3.zip/x.zip")]
    ended = await send(box, "--files-from", "-", "--tree", given="\n".join(lines), album="")
    assert ended.code == 1
    failed = [line for line in ended.err.splitlines() if line.startswith("failed: ")]
    assert failed == [f"failed: {line}" for line in lines[1:]]
    assert albums_of(box) == {"Sandbox": [], "The Alps/1": ["4.jpg"]}


async def test_listed_members_have_their_json_in_any_part_beside_their_own(
    box: Sandbox, tmp_path: Path
) -> None:
    data = {"title": "1.jpg", "photoTakenTime": {"timestamp": "0"}, "description": "Lunch"}
    name = "takeout-20240501T120000Z-1-{}.zip".format
    photos = {f"{ALBUM}/{name}": picture(Random(name), size=900) for name in ("1.jpg", "2.jpg")}
    json1, json2 = json.dumps(data | {"trashed": True}), json.dumps(data | {"title": "2.jpg"})
    write_zip(tmp_path / name("001"), photos)
    write_zip(tmp_path / name("002"), {f"{ALBUM}/1.jpg.json": json1.encode()})
    write_zip(tmp_path / name("003"), {f"{ALBUM}/2.jpg.json": json2.encode()})
    write_zip(tmp_path / "takeout-20230101T120000Z-1-001.zip", {f"{ALBUM}/2.jpg.json": b"old"})
    listed = "\n".join(str(tmp_path / name("001") / photo) for photo in photos)
    ended = await send(box, "--files-from", "-", "--after", f"move:{tmp_path}", given=listed)
    assert ended.code == 1
    assert [(photo.file, photo.comment) for photo in box.gallery.photos.values()] == [
        ("2.jpg", "Lunch")
    ]
    assert has_rows(ended, "1 +skipped by rule +in the trash")
    assert "it is in a zip archive, which --after" in ended.err


async def test_hints_say_how_to_give_archives(box: Sandbox, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "in" / "a.zip", {"Takeout/1.jpg": b"x"})
    (tmp_path / "in" / "x.tar.gz").write_bytes(b"x")
    (tmp_path / "y.tgz").write_bytes(b"x")
    ended = await send(box, archive / "Takeout")
    assert ended.code == 2
    assert f"{archive} --include /Takeout\n" in ended.err
    ended = await send(box, tmp_path / "in")
    assert "give them as PATHs" in ended.err
    ended = await send(box, tmp_path / "y.tgz")
    assert "tar -xf FILE -C FOLDER" in ended.err
    assert "file_ext" not in ended.err
    archive = write_zip(archive, {"Takeout/1.jpg": picture(Random(1), size=900), "2.jpg": b"y"})
    ended = await send(box, archive, "--include", "/Takeout")
    assert len(stored_sums(box)) == 1


async def test_a_raw_file_becomes_a_format_of_the_photo_in_the_same_archive(
    tmp_path: Path,
) -> None:
    raw = Random("raw").randbytes(5000)
    photo = picture(Random("photo"), size=900)
    archive = write_zip(tmp_path / "photos.zip", {"Alps/a.jpg": photo, "Alps/a.nef": raw})
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef"]) as box:
        ended = await send(box, archive, "--raw-as-format")
        assert ended.code == 0
        assert attached(box) == {"a.jpg": [("nef", raw)]}
        sent = uploads(box)
        ended = await send(box, archive, "--raw-as-format")
        assert ended.code == 0
        assert uploads(box) == sent


async def test_the_exports_of_two_people_keep_their_own_data(box: Sandbox, tmp_path: Path) -> None:
    for who, extra in (("Ann", {"trashed": True}), ("Ben", {})):
        data = {"title": "1.jpg", "photoTakenTime": {"timestamp": "0"}, "description": who}
        contents = {
            f"{ALBUM}/{number}.jpg": picture(Random(f"{who}{number}"), size=900) for number in "12"
        }
        contents[f"{ALBUM}/1.jpg.json"] = json.dumps(data | extra).encode()
        contents[f"{ALBUM}/2.jpg.json"] = json.dumps(data).encode()
        write_zip(tmp_path / f"{who}.zip", contents)
    ended = await send(box, tmp_path / "Ann.zip", tmp_path / "Ben.zip", "--tree", album="")
    assert ended.code == 0
    arrived = [(photo.file, photo.comment) for photo in box.gallery.photos.values()]
    assert sorted(arrived) == [("1.jpg", "Ben"), ("2.jpg", "Ann"), ("2.jpg", "Ben")]


async def test_the_albums_of_an_unpacked_takeout_are_those_of_its_archives(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    takeout(tmp_path / "zips")
    ended = await send(box, *(tmp_path / "zips").iterdir(), "--tree", album="")
    assert ended.code == 0
    albums, sent = albums_of(box), uploads(box)
    for archive in (tmp_path / "zips").iterdir():
        zipfile.ZipFile(archive).extractall(tmp_path / "in")
    inside = tmp_path / "in" / "Takeout"
    for root in (inside.parent, inside, inside / "Google Photos"):
        ended = await send(box, root, "--tree", album="")
        assert ended.code == 0
    monkeypatch.chdir(inside)
    for place in (".", "Google Photos"):
        ended = await send(box, place, "--tree", album="")
        assert ended.code == 0
    monkeypatch.chdir(inside.parent)
    ended = await send(box, "verify", "Takeout", "--tree", album="")
    assert ended.code == 0
    assert (albums_of(box), uploads(box)) == (albums, sent)


async def test_a_folder_that_is_only_called_takeout_becomes_an_album(
    box: Sandbox, tmp_path: Path
) -> None:
    put(tmp_path / "Food" / "Takeout" / "a.jpg", picture(Random(1), size=900))
    ended = await send(box, tmp_path / "Food", "--tree")
    assert ended.code == 0
    assert albums_of(box)["Sandbox/Food/Takeout"] == ["a.jpg"]


async def test_archives_in_folders_that_the_gallery_takes_as_files_are_pointed_out(
    tmp_path: Path,
) -> None:
    takeout(tmp_path / "in")
    async with Sandbox(admin=("admin", PASSWORD), file_types=["jpg", "zip"]) as box:
        for dry_run in (["-n"], []):
            ended = await send(box, tmp_path / "in", "--no-ledger", *dry_run)
            assert has_rows(ended, "3 +zip archives +sent whole, .*: .* give them as PATHs$")
