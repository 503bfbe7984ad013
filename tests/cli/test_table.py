"""Metadata from a table: what arrives in the gallery, and what is reported."""

import json
import re
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from bulkup.sandbox.accounts import Permission
from bulkup.sandbox.gallery import StoredPhoto
from tests.support.archives import write_zip
from tests.support.commands import PASSWORD, send
from tests.support.galleries import (
    albums_of,
    calls,
    changes,
    only_photo,
    tags_of,
    uploads,
)
from tests.support.photos import write_files, write_photo, write_xmp


def write_csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), "utf-8")
    return path


def by_file(box: Sandbox) -> dict[str, StoredPhoto]:
    return {photo.file: photo for photo in box.gallery.photos.values()}


@pytest.mark.parametrize("method", ["async", "upload", "legacy"])
async def test_a_row_is_stronger_than_a_sidecar_and_weaker_than_a_flag(
    box: Sandbox, tmp_path: Path, method: str
) -> None:
    write_photo(photo := tmp_path / "a.jpg", 1, exif="2019:07:01 14:03:22")
    write_xmp(photo, "sea", title="of XMP", description="of XMP", author="of XMP", date="2001")
    table = write_csv(
        tmp_path / "t.csv",
        "path,title,author,date,tags,level",
        "a.jpg,of the table,of the table,1999-12-31 23:59,sun,4",
    )
    ended = await send(
        box, photo, "--metadata", table, "--author", "of the flag", "--method", method
    )
    assert ended.code == 0
    found = only_photo(box)
    assert (found.name, found.comment, found.author) == ("of the table", "of XMP", "of the flag")
    assert (found.date_creation, found.level) == ("1999-12-31 23:59:00", 4)
    assert tags_of(box, found) == {"sea", "sun"}


async def test_rows_and_photos_that_do_not_match_are_counted_and_named(
    box: Sandbox, tmp_path: Path
) -> None:
    write_files(root := tmp_path / "photos", "1/a.jpg", "1/c.jpg", "2/a.jpg", "2/b.jpg", "2/d.txt")
    table = write_csv(
        tmp_path / "t.csv",
        "path,title,level,date",
        *("1/a.jpg,one,1,", "b.jpg,two,friends,yesterday", "a.jpg,by name,,", "2/d.txt,text,,"),
        *("1/none.jpg,none,,", "1/a.jpg,later,,"),
    )
    log = tmp_path / "log.jsonl"
    notices = (
        "1 entry of the table",
        "line 3: date “yesterday”",
        "no photo matches 1 row",
        "several photos or rows have the file name in 1 row",
        "later rows for the same photos replace 1 row",
        "has no row for 2 photos",
    )
    for dry in ("--dry-run", "--no-ledger"):
        ended = await send(box, root, "--metadata", table, "--log-file", log, dry)
        assert ended.code == 0
        assert [words for words in notices if words not in ended.err.replace("\n", " ")] == []
    events = [json.loads(text) for text in log.read_text("utf-8").splitlines()]
    named = [
        (event["line"], Path(event["path"]).name)
        for event in events
        if event["event"] == "table_mismatch"
    ]
    half = [(3, "b.jpg"), (None, "a.jpg"), (None, "c.jpg")]
    half += [(2, "a.jpg"), (4, "a.jpg"), (6, "none.jpg")]
    assert sorted(named, key=str) == sorted(half * 2, key=str)
    found = by_file(box)
    assert (found["b.jpg"].name, found["b.jpg"].level) == ("two", 2)
    assert found["c.jpg"].name == "c"
    assert {photo.name for photo in box.gallery.photos.values()} == {"later", "two", "a", "c"}

    sent, asked = uploads(box), calls(box)["pwg.images.setInfo"]
    ended = await send(box, root, "--metadata", write_csv(table, "path,title", "b.jpg,changed"))
    assert (uploads(box), calls(box)["pwg.images.setInfo"]) == (sent, asked)
    assert by_file(box)["b.jpg"].name == "two"


async def test_photos_in_archives_have_rows_and_a_list_of_files_too(
    box: Sandbox, tmp_path: Path
) -> None:
    contents = write_files(tmp_path / "loose", "a.jpg", "b.jpg")
    archive = write_zip(
        tmp_path / "part.zip", {"Trip 🙂/c.jpg": b"", "Trip 🙂/d.jpg": contents["a.jpg"] + b"d"}
    )
    table = write_csv(
        tmp_path / "t.csv", "Photo;Name", "part.zip/Trip 🙂/d.jpg;D", "loose/a.jpg;A", "b.jpg;B"
    )
    flags = ("--metadata", table, "--metadata-map", "path=Photo", "--metadata-map", "title=name")
    listed = "".join(f"{tmp_path}/loose/{name}\n" for name in ("a.jpg", "b.jpg"))
    ended = await send(box, archive, *flags, "--files-from", "-", "--level", "8", given=listed)
    assert ended.code == 1  # an empty file
    assert {photo.name for photo in by_file(box).values()} == {"D", "A", "B"}
    assert {photo.level for photo in by_file(box).values()} == {8}


async def test_photos_are_in_the_albums_of_their_rows_too(box: Sandbox, tmp_path: Path) -> None:
    write_files(root := tmp_path / "photos", "2019/a.jpg", "2019/b.jpg", "2020/c.jpg")
    table = write_csv(
        tmp_path / "t.csv", "path,albums", "a.jpg,Best of; Best of/2019 ;", "b.jpg,Rome / Day 1"
    )
    into = (root, "--tree", "--unwrap", "--metadata", table)
    planned = await send(box, *into, "-n", "-v")
    assert sorted(re.findall(r"(?m)^album +(.*)$", planned.err)) == [
        *("2019", "2019", "2020", "Best of", "Day 1", "Rome")
    ]
    assert (await send(box, *into)).code == 0
    expected = {
        "Sandbox": [],
        "Sandbox/2019": ["a.jpg", "b.jpg"],
        "Sandbox/2020": ["c.jpg"],
        "Sandbox/Best of": ["a.jpg"],
        "Sandbox/Best of/2019": ["a.jpg"],
        "Sandbox/Rome": [],
        "Sandbox/Rome/Day 1": ["b.jpg"],
    }
    assert albums_of(box) == expected
    assert (await send(box, "verify", *into)).code == 0

    sent, asked = uploads(box), len(box.requests)
    assert (await send(box, *into)).code == 0
    assert not changes(box, since=asked).keys() - {"pwg.images.uploadCompleted"}
    write_csv(table, "path,albums", "c.jpg,Best of")  # a new row adds an album and sends nothing
    assert (await send(box, "verify", *into)).code == 1
    assert (await send(box, *into)).code == 0
    assert albums_of(box) == expected | {"Sandbox/Best of": ["a.jpg", "c.jpg"]}
    assert uploads(box) == sent
    ended = await send(box, "verify", root, "--metadata", table, album="")
    assert (ended.code, "no album is to be checked" in ended.err) == (2, True)


async def test_a_table_that_can_not_be_used_is_reported_before_anything_is_sent(
    box: Sandbox, photos: Path, tmp_path: Path
) -> None:
    table = write_csv(tmp_path / "t.csv", "path,heading", "a.jpg,A")
    wrong = (
        ("--metadata", tmp_path / "none.csv"),
        ("--metadata", table),
        ("--metadata", table, "--metadata-map", "title=Title"),
        ("--metadata", table, "--metadata-map", "heading=title"),
        ("--metadata-map", "title=heading"),
        ("--sort", "table"),
        ("--sort", "table", "--metadata", table, "--metadata-map", "title=heading"),
    )
    for flags in wrong:
        ended = await send(box, photos, *flags)
        assert ended.code == 2, flags
        assert ended.err.count("\n") >= 2  # with a hint
    assert not uploads(box)


async def test_levels_need_an_account_that_may_set_them(photos: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", "path,level", "a.jpg,8")
    members = Sandbox(
        admin=("root", "rootsecret"), users={"admin": PASSWORD}, community=[Permission()]
    )
    async with members as box:
        ended = await send(box, photos, "--metadata", table)
        assert ended.code == 3
        assert "privacy level" in ended.err
        assert not uploads(box)


async def test_folders_become_tags_also_beside_a_table(box: Sandbox, tmp_path: Path) -> None:
    write_files(root := tmp_path / "photos", "a.jpg", "New_York/Tag/b.jpg", "New_York/tag/c.jpg")
    inside = {"Takeout/Google Photos/Trip/d.jpg": (root / "a.jpg").read_bytes() + b"d"}
    archive = write_zip(tmp_path / "takeout.zip", inside)
    table = write_csv(root / "t.csv", "path,tags", "b.jpg,sea;new york", "a.jpg,")
    flags = ("--folder-as-tag", "--metadata", table, "--tree", "--underscores-to-spaces")
    ended = await send(box, root, archive, *flags)
    assert ended.code == 0
    tags = {file: tags_of(box, photo) for file, photo in by_file(box).items()}
    assert {file: {tag.lower() for tag in names} for file, names in tags.items()} == {
        "a.jpg": set(),
        "b.jpg": {"sea", "new york", "tag"},
        "c.jpg": {"new york", "tag"},
        "d.jpg": {"trip"},
    }
