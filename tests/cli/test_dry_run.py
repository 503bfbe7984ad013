"""`--dry-run` tells what would be done and changes nothing; `bulkup albums` shows them."""

import json
import re
from pathlib import Path
from random import Random

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, bulkup, one_photo, send
from tests.support.runs import make_archive, picture

CHANGING = re.compile(r"upload|add|set|delete|Lounge|Completed", re.IGNORECASE)


def changes(box: Sandbox) -> list[str]:
    """Return the requests so far that may have changed the gallery."""
    asked = {request.method for request in box.requests}
    return [method for method in asked if CHANGING.search(method)]


async def test_a_dry_run_tells_the_plan_and_changes_nothing(box: Sandbox, tmp_path: Path) -> None:
    archive, file = tmp_path / "photos", tmp_path / "ledger.sqlite"
    make_archive(archive, count=12, names=4)
    (archive / "notes.txt").write_text("no photo")
    (archive / "folder 00" / "broken.jpg").write_bytes(b"")
    planned = await send(box, archive, "--tree", "--dry-run", "-v", "--ledger", file)
    assert not changes(box)
    assert not box.gallery.photos
    assert len(box.gallery.albums) == 1
    done = await send(box, archive, "--tree", "--ledger", file)
    assert len(box.gallery.photos) == 12
    again = await send(box, archive, "--tree", "-n", "--ledger", file)
    assert planned.code == done.code == again.code == 1  # for the broken one
    assert "dry run, nothing is changed" in planned.err
    assert re.search(r"^ +12 +new +.* to send, about ", planned.err, re.MULTILINE)
    assert re.search(r"^ +4 +albums +to be made", planned.err, re.MULTILINE)
    assert re.search(r"^ +1 +left out by rule +1 \.?txt", planned.err, re.MULTILINE)
    assert "the file is empty" in planned.err
    assert len(re.findall(r"^new +.*IMG_\d{4}\.jpg", planned.err, re.MULTILINE)) == 12
    assert re.search(r"^ +4 +albums +made", done.err, re.MULTILINE)
    assert re.search(r"^ +0 +new ", again.err, re.MULTILINE)
    assert re.search(r"^ +12 +already there", again.err, re.MULTILINE)


async def test_a_dry_run_tells_of_links_and_of_albums_that_are_missing(tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3)
    async with Sandbox(admin=("admin", PASSWORD), albums=("Here",)) as box:
        await send(box, tmp_path, "--no-ledger")
        before = len(box.requests)
        linked = await send(
            box, tmp_path, "-n", "--no-ledger", album="New/Deep", create_albums="1"
        )
        refused = await send(box, tmp_path, "-n", "--no-ledger", album="New")
        asked = {request.method for request in list(box.requests)[before:]}
        assert not [method for method in asked if CHANGING.search(method)]
        assert len(box.gallery.albums) == 1
    assert re.search(r"3 +already there +3 of them to be put into their album", linked.err)
    assert "Deep (new album)" in linked.err
    assert refused.code == 3
    assert "no album “New”" in refused.err


async def test_a_single_album_is_told_as_one(box: Sandbox, tmp_path: Path) -> None:
    one_photo(tmp_path)
    planned = await send(box, tmp_path, "--tree", "-n", "--no-ledger")
    done = await send(box, tmp_path, "--tree", "--no-ledger")
    assert re.search(r"^ +1 +album +to be made$", planned.err, re.MULTILINE)
    assert re.search(r"^ +1 +album +made$", done.err, re.MULTILINE)


async def test_albums_are_shown_as_a_tree_with_numbers_and_counts(tmp_path: Path) -> None:
    make_archive(tmp_path / "2019", count=3, names=1)
    async with Sandbox(admin=("admin", PASSWORD), albums=("Trips",)) as box:
        await send(box, tmp_path / "2019", "--tree", "--private", "--no-ledger")
        ended = await bulkup("albums", url=box.url, user="admin", password=PASSWORD)
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0] == ["1", "Trips", "0", "photos"]
    assert lines[1][1:] == ["2019", "0", "photos,", "private"]
    assert sorted(line[1:5] for line in lines[2:]) == [
        ["folder", f"0{number}", "1", "photo,"] for number in range(3)
    ]
    indents = [len(re.sub(r"^ *\d+", "", line)) for line in ended.out.splitlines()]
    assert len(lines) == 5
    assert indents[2] == indents[3] == indents[4]


async def test_it_tells_of_changes_and_formats_and_forgets_nothing(tmp_path: Path) -> None:
    folder, ledger = tmp_path / "photos", tmp_path / "ledger.sqlite"
    folder.mkdir()
    photo, raw = one_photo(folder), folder / "a.nef"
    raw.write_bytes(b"raw")
    flags = ("--ledger", ledger, "--update", "--raw-as-format")
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef"]) as box:
        foreseen = await send(box, folder, *flags, "--dry-run", "-v")
        assert not box.gallery.photos
        assert not box.gallery.buffers
        assert re.search(rf"^new +{photo} ", foreseen.err, re.MULTILINE)
        assert re.search(rf"^format +{raw} \(3 B\) of a.jpg$", foreseen.err, re.MULTILINE)
        assert re.search(r"^ +1 +new .* to send in all, about ", foreseen.err, re.MULTILINE)
        assert re.search(r"^ +1 +formats ", foreseen.err, re.MULTILINE)
        await send(box, folder, *flags)
        there = await send(box, folder, *flags, "--dry-run")
        assert re.search(r"^ +0 +new ", there.err, re.MULTILINE)
        assert re.search(r"^ +2 +already there", there.err, re.MULTILINE)
        assert "formats" not in there.err
        photo.write_bytes(photo.read_bytes() + b"more")
        before = box.gallery.photos[1].md5
        foreseen = await send(box, folder, *flags, "--dry-run", "-v")
        assert foreseen.code == 0
        assert box.gallery.photos[1].md5 == before
        assert re.search(rf"^replace +{photo} .* in photo 1$", foreseen.err, re.MULTILINE)
        assert re.search(r"^ +0 +new ", foreseen.err, re.MULTILINE)
        assert re.search(r"^ +1 +to replace ", foreseen.err, re.MULTILINE)
        assert re.search(r"^ +1 +formats ", foreseen.err, re.MULTILINE)
        assert (await send(box, folder, *flags)).code == 0
        assert box.gallery.photos[1].md5 != before
        (row,) = box.gallery.formats.of(1)
        assert row.content is not None
        assert row.content.read() == b"raw"


@pytest.mark.parametrize(
    ("taken", "words"),
    [(None, "enable_formats"), (["cr2", "psd"], "authorized extensions: cr2, psd")],
)
async def test_formats_that_the_gallery_would_refuse_are_told_with_the_reason(
    tmp_path: Path, taken: list[str] | None, words: str
) -> None:
    for name in ("a.jpg", "b.jpg"):
        one_photo(tmp_path, name)
    for name in ("a.nef", "b.nef", "b.psd"):
        (tmp_path / name).write_bytes(b"raw")
    async with Sandbox(admin=("admin", PASSWORD), formats=taken) as box:
        foreseen = await send(box, tmp_path, "--no-ledger", "--raw-as-format", "--dry-run")
        assert not box.gallery.photos
        assert not box.gallery.buffers
        done = await send(box, tmp_path, "--no-ledger", "--raw-as-format")
    assert foreseen.code == done.code == 1
    refused = 2 if taken else 3
    assert re.search(rf"^ +{refused} +refused$", foreseen.err, re.MULTILINE)
    assert re.search(rf"^ +{refused} +failed$", done.err, re.MULTILINE)
    named = re.findall(r"^refused: .*/(\w\.\w+)$", foreseen.err, re.MULTILINE)
    assert set(named) == set(re.findall(r"^failed: .*/(\w\.\w+)$", done.err, re.MULTILINE))
    assert words in foreseen.err


async def test_of_two_files_for_one_format_the_second_is_refused_beforehand(
    tmp_path: Path,
) -> None:
    one_photo(tmp_path)
    (tmp_path / "a.NEF").write_bytes(b"raw")
    (tmp_path / "a.nef").write_bytes(b"another")
    flags = ("--raw-as-format", "--no-ledger", "-c", "1")
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef"]) as box:
        foreseen = await send(box, tmp_path, *flags, "--dry-run")
        done = await send(box, tmp_path, *flags)
        again = await send(box, tmp_path, *flags, "--dry-run")
    assert foreseen.code == done.code == 1
    for ended in (foreseen, done):
        assert re.search(r"/a\.nef\n +another file is the .nef of a.jpg already", ended.err)
    assert re.search(r"^ +1 +formats ", foreseen.err, re.MULTILINE)
    assert str(2**31) not in foreseen.err
    assert re.search(r"^ +2 +already there", again.err, re.MULTILINE)


async def test_an_album_that_is_yet_to_be_made_has_a_name_and_no_number(
    box: Sandbox, tmp_path: Path
) -> None:
    flags = (one_photo(tmp_path), "--no-ledger", "--create-albums", "--dry-run", "--json")
    ended = await send(box, *flags, album="Trips/May")
    assert len(box.gallery.albums) == 1
    assert "May (new album) at http" in ended.err
    assert str(2**31) not in ended.err
    started = next(event for event in map(json.loads, ended.out.splitlines()) if "user" in event)
    assert started["album"] is None
    assert started["album_name"] == "May"


async def test_a_photo_that_lies_elsewhere_now_is_not_foreseen_to_be_replaced(
    box: Sandbox,
    tmp_path: Path,
) -> None:
    folder, ledger = tmp_path / "photos", tmp_path / "ledger.sqlite"
    folder.mkdir()
    moved, copied = one_photo(folder, "a.jpg"), one_photo(folder, "b.jpg")
    flags = ("--ledger", ledger, "--update", "-v")
    await send(box, folder, *flags)
    moved.rename(folder / "z.jpg")
    (folder / "copy.jpg").write_bytes(copied.read_bytes())
    moved.write_bytes(picture(Random(7), size=3000))
    copied.write_bytes(picture(Random(8), size=3000))
    foreseen = await send(box, folder, *flags, "--dry-run")
    await send(box, folder, *flags)
    assert len(box.gallery.photos) == 4
    assert re.search(rf"^new +{moved} ", foreseen.err, re.MULTILINE)
    assert re.search(rf"^new +{copied} ", foreseen.err, re.MULTILINE)
    assert re.search(r"^ +2 +new ", foreseen.err, re.MULTILINE)
    assert re.search(r"^ +2 +already there", foreseen.err, re.MULTILINE)
