"""`bulkup refresh`: metadata follows its sources, and what was edited in the gallery stays."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy
from typing import Literal

import pytest

import bulkup as api
from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import PASSWORD, Ended, account, bulkup, has_rows, one_photo, send
from tests.support.embedded import FOLDER
from tests.support.galleries import calls, only_photo, tags_of
from tests.support.photos import write_photo, write_position, write_xmp
from tests.support.runs import FOUR_METHODS

OLD = {"title": "Low tide", "description": "At <the> sea", "author": "Zoë", "date": "2001-02-03"}
NEW = {"title": "High “tide”", "description": "two\nlines & more", "author": "Ann", "date": "2005"}
SENT = {"pwg.images.upload", "pwg.images.uploadAsync", "pwg.images.addChunk"}


@pytest.fixture(params=["13.8.0", "16.4.0"])
async def box(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """Run a sandbox of an old and a new release."""
    async with Sandbox(admin=("admin", PASSWORD), version=request.param) as running:
        yield running


@pytest.fixture
async def photo(box: Sandbox, photos: Path) -> Path:
    """Return a photo that was uploaded with the old texts, and has the new ones now."""
    photo = photos / "a.jpg"
    write_xmp(photo, "sea", "rocks", **OLD)
    assert (await send(box, photos)).code == 0
    assert texts(box) == ("Low tide", at_sea(box), "Zoë", "2001-02-03 00:00:00", {"sea", "rocks"})
    write_xmp(photo, "sea", "sand", **NEW)
    return photo


def at_sea(box: Sandbox) -> str:
    return "At < the> sea" if box.gallery.release.major < 14 else "At <the> sea"


def texts(box: Sandbox) -> tuple[str | None, str | None, str | None, str | None, set[str]]:
    photo = only_photo(box)
    return photo.name, photo.comment, photo.author, photo.date_creation, tags_of(box, photo)


CHANGED = ("High “tide”", "two\nlines & more", "Ann", "2005-01-01 00:00:00", {"sea", "sand"})


async def refresh(box: Sandbox, photo: Path, *flags: str) -> Ended:
    """Run the command, which must never send a photo nor what is right already."""
    since = len(box.requests)
    ended = await bulkup("refresh", photo.parent, *flags, **account(box))
    assert not SENT & calls(box, since=since).keys()
    return ended


async def test_everything_that_bulkup_set_follows_its_sources(box: Sandbox, photo: Path) -> None:
    before = texts(box)
    ended = await refresh(box, photo, "--dry-run", "-v")
    assert texts(box) == before
    assert ended.code == 0
    assert "title “Low tide” → “High “tide””" in ended.err
    assert "tags “rocks, sea” → “sea, sand”" in ended.err
    assert has_rows(ended, "1 +to change")
    ended = await refresh(box, photo, "--album", "1", "--json")
    assert ended.code == 0
    assert texts(box) == CHANGED
    events = [json.loads(line) for line in ended.out.splitlines()]
    (event,) = [event for event in events if event["event"] == "photo_refreshed"]
    assert event["changes"]["author"] == ["Zoë", "Ann"]
    assert event["kept"] == {}
    since = len(box.requests)
    ended = await refresh(box, photo)
    assert "pwg.images.setInfo" not in calls(box, since=since)
    assert has_rows(ended, "0 +changed", "1 +unchanged")


async def test_what_was_edited_in_the_gallery_stays_unless_it_is_to_be_overwritten(
    box: Sandbox, photo: Path
) -> None:
    stored = only_photo(box)
    stored.name, stored.author = "Edited", ""
    (rocks,) = [tag.id for tag in box.gallery.tags.values() if tag.name == "rocks"]
    write_xmp(photo, "rocks", "sand", **NEW)
    stored.tags.discard(rocks)
    for _ in range(2):
        ended = await refresh(box, photo, "-v")
        assert ended.code == 0
        assert texts(box) == ("Edited", *CHANGED[1:4], {"sand"})
        assert "title “Edited” kept, not “High “tide””" in ended.err
        assert has_rows(ended, "1 +kept")
    assert (await refresh(box, photo, "--overwrite")).code == 0
    assert texts(box) == (*CHANGED[:4], {"rocks", "sand"})


async def test_without_a_record_only_empty_values_are_filled(box: Sandbox, photo: Path) -> None:
    stored = only_photo(box)
    stored.name, stored.author, stored.date_creation = "a", None, None  # the name of the file
    ended = await refresh(box, photo, "--no-ledger")
    title, _, author, date, _ = CHANGED
    assert texts(box) == (title, at_sea(box), author, date, {"sea", "rocks"})
    assert has_rows(ended, "1 +changed", "1 +kept")
    assert (await refresh(box, photo, "--no-ledger", "--overwrite")).code == 0
    assert texts(box) == (*CHANGED[:4], {"sea", "rocks", "sand"})


async def test_a_file_whose_metadata_was_changed_inside_it_is_known_by_the_ledger(
    box: Sandbox, photo: Path
) -> None:
    write_photo(photo, "a", exif="2003:04:05 06:07:08")
    write_xmp(photo, title="New")
    assert (await refresh(box, photo)).code == 0
    assert texts(box)[0] == "New"
    assert texts(box)[3] == "2003-04-05 06:07:08"
    assert has_rows(await refresh(box, photo), "0 +changed")


async def test_photos_that_are_missing_or_elsewhere_are_named(box: Sandbox, photo: Path) -> None:
    one_photo(photo.parent, "new.jpg")
    other = box.gallery.add_album("Other").id
    ended = await refresh(box, photo, "--album", str(other))
    assert ended.code == 1
    assert has_rows(ended, "0 +changed", "1 +missing", "1 +not in the album")
    assert texts(box)[0] == "Low tide"
    box.gallery.link(only_photo(box).id, box.gallery.make_album("Below", other))
    assert has_rows(await refresh(box, photo, "--album", str(other)), "1 +changed")


async def test_programs_refresh_too(box: Sandbox, photo: Path, tmp_path: Path) -> None:
    report = await api.refresh(
        [photo],
        account=api.Account(url=box.url, user="admin", password=PASSWORD),
        options=api.RefreshOptions(
            album=1, overwrite=True, ledger=tmp_path / "other", no_sidecars=True, title="{stem}!"
        ),
    )
    assert (report.changed, report.kept, report.ok) == (1, 0, True)
    assert only_photo(box).name == "a!"


async def test_lost_answers_and_refusals_lose_nothing(
    box: Sandbox, photo: Path, no_pauses: None
) -> None:
    """… a change whose answer was lost is asked again, and is not taken for an edit."""
    del no_pauses
    for method in ("pwg.images.setInfo", "pwg.images.getInfo"):
        box.faults.add(Fault("answer-lost", method, 1))
        box.faults.add(Fault("empty-500-before", method, 2))
    assert (await refresh(box, photo)).code == 0
    assert texts(box) == CHANGED
    for nth in (1, 2):
        box.faults.add(Fault("empty-500-before", "pwg.images.setInfo", nth))
    write_xmp(photo, "sea", **OLD)
    ended = await refresh(box, photo, "--retries", "1")
    assert ended.code == 1
    assert has_rows(ended, "1 +failed")
    assert (await refresh(box, photo)).code == 0
    assert texts(box)[0] == "Low tide"


async def test_a_gallery_without_the_methods_is_refused_before_anything_is_read(
    photos: Path,
) -> None:
    async with Sandbox(admin=("admin", PASSWORD), only=FOUR_METHODS) as box:
        ended = await bulkup("refresh", photos, **account(box))
        assert ended.code == 3
        assert "does not let this account change the metadata of photos" in ended.err


async def test_privacy_levels_follow_a_table_and_a_flag(
    box: Sandbox, photo: Path, tmp_path: Path
) -> None:
    table = tmp_path / "levels.csv"

    async def by_table(level: str, *flags: str) -> Ended:
        table.write_text(f"path,level\n{photo.name},{level}\n")
        ended = await refresh(box, photo, "--metadata", str(table), *flags)
        assert ended.code == 0
        return ended

    stored = only_photo(box)
    planned = await by_table("4", "-n", "-v")
    assert "level “0” → “4”" in planned.err
    assert stored.level == 0
    for level in ("4", "0", "8", "2"):
        await by_table(level)
        assert stored.level == int(level)
    stored.level = 4
    assert has_rows(await by_table("0"), "1 +kept")
    assert has_rows(await refresh(box, photo), "1 +unchanged")
    assert has_rows(await refresh(box, photo, "--level", "8"), "1 +kept")
    assert stored.level == 4
    await by_table("0", "--overwrite")
    assert stored.level == 0
    await by_table("2", "--level", "8")
    assert stored.level == 8
    assert (await refresh(box, photo, "--level", "3")).code == 2


async def test_a_level_set_by_the_upload_is_no_edit(box: Sandbox, photos: Path) -> None:
    assert (await send(box, photos, "--level", "4")).code == 0
    await refresh(box, photos / "a.jpg", "--level", "2")
    assert only_photo(box).level == 2


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
async def test_positions_follow_their_sources(photos: Path, version: str) -> None:
    photo = photos / "a.jpg"
    write_position(photo, "45,24N", "0,0W")
    async with Sandbox(admin=("admin", PASSWORD), version=version, map_plugin="new") as box:
        assert (await send(box, photos)).code == 0
        write_position(photo, "45,24N", "0,30W")
        await refresh(box, photo)
        assert only_photo(box).position == ("45.400000", "-0.500000")
        stored = only_photo(box)
        stored.position = None  # as if the plugin had come later
        planned = await refresh(box, photo, "-n", "-v")
        assert "position “” → “45.400000, -0.500000”" in planned.err
        assert only_photo(box).position is None
        await refresh(box, photo)
        write_position(photo, "46,24N", "0,0E")
        await refresh(box, photo)
        assert only_photo(box).position == ("46.400000", "0.000000")
        assert has_rows(await refresh(box, photo), "1 +unchanged")
        stored.position = ("1.000000", "2.000000")  # as moved in the gallery
        assert has_rows(await refresh(box, photo), "1 +kept")
        assert only_photo(box).position == ("1.000000", "2.000000")
        await refresh(box, photo, "--no-ledger", "--overwrite")
        assert only_photo(box).position == ("46.400000", "0.000000")


@pytest.mark.parametrize("plugin", ["", "old"])
async def test_positions_that_the_gallery_does_not_take_are_counted(
    photos: Path, plugin: Literal["", "old"]
) -> None:
    write_position(photos / "a.jpg", "45,24N", "0,30W")
    async with Sandbox(admin=("admin", PASSWORD), map_plugin=plugin) as box:
        assert (await send(box, photos)).code == 0
        for _ in range(2):
            ended = await refresh(box, photos / "a.jpg")
            assert "1 photo has a position (GPS) that the gallery did not take" in ended.err
            assert has_rows(ended, "0 +changed", "1 +unchanged")


async def test_a_position_that_the_gallery_has_read_itself_is_no_edit(tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "photo.jpg"
    photo.parent.mkdir()
    copy(FOLDER / "photo.jpg", photo)
    write_position(photo, "1,0N", "2,0E")
    async with Sandbox(admin=("admin", PASSWORD), map_plugin="new") as box:
        assert (await send(box, photo.parent)).code == 0
        assert has_rows(await refresh(box, photo), "0 +changed", "1 +unchanged")
        await refresh(box, photo, "--overwrite")
        assert only_photo(box).position == ("1.000000", "2.000000")
