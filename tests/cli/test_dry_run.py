"""`--dry-run` reports what an upload would do; `bulkup albums` lists albums."""

import hashlib
import json
import re
from pathlib import Path

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, bulkup, has_rows, one_photo, send
from tests.support.galleries import changes
from tests.support.photos import write_files, write_photo
from tests.support.runs import make_archive


async def test_it_reports_photos_links_and_albums_and_changes_nothing(
    box: Sandbox, tmp_path: Path
) -> None:
    archive, file = tmp_path / "photos", tmp_path / "ledger.sqlite"
    make_archive(archive, count=12, names=4)
    write_files(archive, "notes.txt")
    (archive / "folder 00" / "broken.jpg").touch()
    planned = await send(box, archive, "--tree", "--dry-run", "-v", "--ledger", file)
    assert not changes(box)
    assert not box.gallery.photos
    assert len(box.gallery.albums) == 1
    done = await send(box, archive, "--tree", "--ledger", file)
    assert len(box.gallery.photos) == 12
    again = await send(box, archive, "--tree", "-n", "--ledger", file)
    before, flags = len(box.requests), (archive, "-n", "--no-ledger", "--json")
    linked = await send(box, *flags, album="New/Deep", create_albums="1")
    refused = await send(box, *flags, album="New")
    assert not changes(box, since=before)
    assert len(box.gallery.albums) == 5
    # for the broken one
    assert planned.code == done.code == again.code == linked.code == 1
    assert "dry run, nothing is changed" in planned.err
    assert has_rows(planned, "12 +new +.* to send, about ", "4 +albums +to be created")
    assert has_rows(planned, r"1 +skipped by rule +1 \.?txt")
    assert "the file is empty" in planned.err
    assert len(re.findall(r"^new +.*IMG_\d{4}\.jpg", planned.err, re.MULTILINE)) == 12
    assert has_rows(done, "4 +albums +created")
    assert has_rows(again, "0 +new ", "12 +already there")
    assert has_rows(linked, "12 +already there +12 of them to be added to their album")
    assert "Deep (new album) at http" in linked.err
    assert str(2**31) not in linked.err
    started = next(event for event in map(json.loads, linked.out.splitlines()) if "user" in event)
    assert (started["album"], started["album_name"]) == (None, "Deep")
    assert refused.code == 3
    assert "no album “New”" in refused.err


async def test_copies_that_are_found_much_later_are_not_new(box: Sandbox, tmp_path: Path) -> None:
    files = [f"{number}.jpg" for number in range(80)]
    for name, content in write_files(tmp_path / "year", *files).items():
        (path := tmp_path / "album" / name).parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    await send(box, tmp_path / "year" / "0.jpg")
    flat = (tmp_path / "year", tmp_path / "album", "--no-ledger")
    for flags, there in (
        (flat, "81 +already there$"),
        ((*flat, "--tree"), "81 +already there +81 of them to be added to their album"),
    ):
        foreseen = await send(box, *flags, "--dry-run")
        assert has_rows(foreseen, "79 +new ", there), foreseen.err


async def test_albums_are_shown_as_a_tree_with_numbers_and_counts(tmp_path: Path) -> None:
    make_archive(tmp_path / "2019", count=3, names=1)
    async with Sandbox(admin=("admin", PASSWORD), albums=("Trips",)) as box:
        await send(box, tmp_path / "2019", "--tree", "--private", "--no-ledger")
        ended = await bulkup("albums", url=box.url, user="admin", password=PASSWORD)
    assert ended.code == 0
    top, made, *below = ended.out.splitlines()
    assert top.split() == ["1", "Trips", "0", "photos"]
    assert made.split()[1:] == ["2019", "0", "photos,", "private"]
    assert sorted(re.sub(r"^\d", "N", line) for line in below) == [
        f"N      folder 0{number}  1 photo, private" for number in range(3)
    ]


async def test_it_reports_replacements_and_formats(photos: Path, tmp_path: Path) -> None:
    photo, raw = photos / "a.jpg", photos / "a.nef"
    raw.write_bytes(b"raw")
    flags = (photos, "--ledger", tmp_path / "ledger.sqlite", "--update", "--raw-as-format")
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef"]) as box:
        foreseen = await send(box, *flags, "--dry-run", "-v")
        assert not box.gallery.photos
        assert not box.gallery.buffers
        assert re.search(rf"^new +{photo} ", foreseen.err, re.MULTILINE)
        assert re.search(rf"^format +{raw} \(3 B\) of a.jpg$", foreseen.err, re.MULTILINE)
        assert has_rows(foreseen, "1 +new .* to send in all, about ", "1 +formats ")
        await send(box, *flags)
        there = await send(box, *flags, "--dry-run")
        assert has_rows(there, "0 +new ", "2 +already there")
        assert "formats" not in there.err
        photo.write_bytes(photo.read_bytes() + b"more")
        before = box.gallery.photos[1].md5
        foreseen = await send(box, *flags, "--dry-run", "-v")
        assert foreseen.code == 0
        assert box.gallery.photos[1].md5 == before
        assert re.search(rf"^replace +{photo} .* in photo 1$", foreseen.err, re.MULTILINE)
        assert has_rows(foreseen, "0 +new ", "1 +to replace ", "1 +formats ")
        assert (await send(box, *flags)).code == 0
        assert box.gallery.photos[1].md5 != before


async def test_formats_that_would_be_refused_are_reported_with_the_reason(tmp_path: Path) -> None:
    write_files(tmp_path, "a.jpg", "b.jpg", "a.nef", "b.nef", "b.psd")
    flags = (tmp_path, "--no-ledger", "--raw-as-format")
    for taken, refused, words in (
        (None, 3, "enable_formats"),
        (["cr2", "psd"], 2, "authorized extensions: cr2, psd"),
    ):
        async with Sandbox(admin=("admin", PASSWORD), formats=taken) as box:
            foreseen = await send(box, *flags, "--dry-run")
            assert not box.gallery.photos
            assert not box.gallery.buffers
            done = await send(box, *flags)
        assert foreseen.code == done.code == 1
        assert has_rows(foreseen, f"{refused} +refused$")
        assert has_rows(done, f"{refused} +failed$")
        named = re.findall(r"^refused: .*/(\w\.\w+)$", foreseen.err, re.MULTILINE)
        assert set(named) == set(re.findall(r"^failed: .*/(\w\.\w+)$", done.err, re.MULTILINE))
        assert words in foreseen.err


async def test_the_second_of_two_files_for_one_format_is_predicted_to_fail(tmp_path: Path) -> None:
    write_files(tmp_path / "in one", "a.jpg", "a.NEF", "a.nef")
    flags = (tmp_path / "in one", "--tree", "--raw-as-format", "--no-ledger", "-c", "1")
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef"]) as box:
        foreseen = await send(box, *flags, "--dry-run")
        done = await send(box, *flags)
        again = await send(box, *flags, "--dry-run")
    assert foreseen.code == done.code == 1
    for ended in (foreseen, done):
        assert re.search(r"/a\.nef\n +another file is already the .nef of a.jpg", ended.err)
    assert has_rows(foreseen, "1 +album +to be created$", "1 +formats ")
    assert has_rows(done, "1 +album +created$")
    assert has_rows(again, "2 +already there")
    assert str(2**31) not in foreseen.err


async def test_photos_with_a_wrong_md5_are_foreseen(box: Sandbox, photos: Path) -> None:
    path = one_photo(photos, "b.jpg")
    theirs = await box.gallery.synchronise("theirs.jpg", b"theirs", 1)
    box.gallery.set_md5(theirs, hashlib.md5(path.read_bytes()).hexdigest())
    (photos / "twin.jpg").write_bytes(path.read_bytes())
    flags = (photos, "--no-ledger", "--confirm-present")
    foreseen = await send(box, *flags, "--dry-run")
    assert not changes(box)
    box.gallery.detect_duplicates = False
    done = await send(box, *flags)
    assert has_rows(foreseen, "2 +new ", "1 +already there")
    assert has_rows(done, "2 +uploaded ", "1 +already there")


async def test_a_moved_photo_is_not_replaced(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    moved, copied = photos / "a.jpg", one_photo(photos, "b.jpg")
    flags = (photos, "--ledger", tmp_path / "ledger.sqlite", "--update", "-v")
    await send(box, *flags)
    moved.rename(photos / "z.jpg")
    (photos / "copy.jpg").write_bytes(copied.read_bytes())
    for seed, path in enumerate((moved, copied)):
        write_photo(path, seed)
    foreseen = await send(box, *flags, "--dry-run")
    await send(box, *flags)
    assert len(box.gallery.photos) == 4
    for path in (moved, copied):
        assert re.search(rf"^new +{path} ", foreseen.err, re.MULTILINE)
    assert has_rows(foreseen, "2 +new ", "2 +already there")
