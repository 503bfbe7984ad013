"""A Google Takeout arrives from its archives as a table says, and what is amiss is reported."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bulkup.sandbox import Sandbox
from bulkup.source.sidecars import Sidecars
from tests.support.commands import PASSWORD, Ended, has_rows, send
from tests.support.galleries import tags_of, uploads
from tests.support.takeouts import FILE_TYPES, TRASH, Shown, write_takeout

FLAGS = ("--tree", "--people-as-tags", "--json")


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Takeout's dates, which are in UTC, stay as they are."""
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
async def gallery() -> AsyncIterator[Sandbox]:
    """Run a sandbox that takes videos and HEIC files too."""
    async with Sandbox(admin=("admin", PASSWORD), file_types=FILE_TYPES) as running:
        yield running


def shown(box: Sandbox) -> dict[str, Shown]:
    """Return what a gallery shows, by the MD5 of what it stores."""
    albums = box.gallery.albums
    there = {
        box.gallery.contents[photo.path].md5: Shown(
            title=photo.name or "",
            albums=frozenset(albums[number].name for number in photo.albums),
            date=photo.date_creation,
            comment=photo.comment,
            tags=frozenset(tags_of(box, photo)),
        )
        for photo in box.gallery.photos.values()
    }
    assert len(there) == len(box.gallery.photos), "a photo is there twice"
    return there


def events(ended: Ended, name: str) -> list[dict[str, Any]]:
    """Return the events of a name."""
    lines = map(json.loads, ended.out.splitlines())
    return [line for line in lines if line["event"] == name]


def skipped(ended: Ended, reason: str) -> set[Path]:
    return {
        Path(line["path"]) for line in events(ended, "file_skipped") if line["reason"] == reason
    }


@pytest.mark.parametrize("many", [12, pytest.param(1130, marks=pytest.mark.chaos)])
async def test_a_takeout_arrives_as_the_table_says_and_a_second_run_reads_no_photo(
    gallery: Sandbox, tmp_path: Path, many: int
) -> None:
    takeout = write_takeout(tmp_path, many=many)
    count = len(takeout.positions)
    planned = ("--dry-run", "--no-ledger", "--log-file", tmp_path / "log.txt")
    foreseen = await send(gallery, *takeout.archives, *FLAGS, *planned, album="")
    assert not gallery.gallery.photos
    assert has_rows(
        foreseen,
        f"{count:,} +in a Takeout +{count - 3:,} with JSON, 3 without JSON, "
        "3 edited, 1 video of a live photo, 4 trashed, 1 locked, 1 archived, 1 of a partner$",
        '4 +album titles +The "Alps" & more/1, The "Alps" & more/1, Fotos von 2018, Party 🎉$',
        "4 +skipped by rule +in the trash",
        "5 +photos missing ",
        "2 +found nowhere +of the photos missing, those of: ",
        "3 +without JSON ",
    )
    log = (tmp_path / "log.txt").read_text("utf-8")
    assert all(f"no json {path} has no JSON file" in log for path in takeout.without_json)
    assert all(f"skip    {path} (photo-missing)" in log for path in takeout.photos_missing)
    first = await send(gallery, *takeout.archives, *FLAGS, album="")
    assert first.code == 0, first.err
    assert shown(gallery) == takeout.photos
    albums = {album.name: album.comment or "" for album in gallery.gallery.albums.values()}
    assert albums == takeout.albums | {"Sandbox": ""}
    for ended in (foreseen, first):
        assert ended.code == 0
        for reason in ("trashed", "locked", "archived", "partner", "edited"):
            assert len(skipped(ended, reason)) == takeout.skipped[reason]
        assert skipped(ended, "photo-missing") == takeout.photos_missing
        missing = {Path(line["path"]) for line in events(ended, "json_missing")}
        assert missing == takeout.without_json
    told = " ".join(event["message"] for event in events(first, "noticed"))
    assert told.count("share one album") == told.count("the sidecar") == 1
    assert "broken.jpg.supplemental-metadata.json is ignored: it is not JSON" in told

    sent = uploads(gallery)
    second = await send(gallery, *takeout.archives, *FLAGS, album="")
    assert second.code == 0
    assert uploads(gallery) == sent
    assert not events(second, "photo_hashing")
    assert shown(gallery) == takeout.photos
    assert len(skipped(second, "trashed")) == takeout.skipped["trashed"]
    planned_again = await send(gallery, *takeout.archives, *FLAGS, "--dry-run", album="")
    assert has_rows(planned_again, f"{count:,} +in a Takeout +{count - 3:,} with JSON, 3 without")
    assert len(events(planned_again, "source_read")) == 1

    verified = await send(gallery, "verify", *takeout.archives, "--tree", album="")
    assert verified.code == 0, verified.err


async def test_what_is_left_out_is_chosen(gallery: Sandbox, tmp_path: Path) -> None:
    takeout = write_takeout(tmp_path, many=1)
    folder = takeout.unpack(tmp_path / "unpacked")
    counts = Counter({"edited": 3, "originals": 3, "live": 1, "archived": 1, "partner": 1})
    counts += takeout.skipped
    for kinds, source in (
        ("none", [folder]),
        ("edited, Live", takeout.archives),
        ("originals,archived,partner", [folder, "--no-sidecars"]),
    ):
        flags = ("--tree", "--json", "--takeout-skip", kinds, "--no-ledger", "--dry-run")
        ended = await send(gallery, *source, *flags, album="")
        assert ended.code == 0
        found = {kind: len(skipped(ended, kind)) for kind in counts}
        assert found == {kind: counts[kind] * (kind in kinds.lower()) for kind in counts}
        told = [*events(ended, "json_missing"), *skipped(ended, "photo-missing")]
        assert bool(told) == ("--no-sidecars" not in source)
    for kinds, words in (
        *(("trash", "“trash”"), ("", "“”"), ("none,live", "“none”")),
        ("edited,originals", "both edited versions and their originals"),
    ):
        refused = await send(gallery, folder, "--takeout-skip", kinds)
        assert refused.code == 2
        assert words in refused.err


async def test_formats_of_photos_that_are_left_out_are_left_out(tmp_path: Path) -> None:
    takeout = write_takeout(tmp_path, many=1)
    raw = takeout.unpack(tmp_path) / TRASH / "TRASH_1.mp4"
    raw.write_bytes(b"video")
    types = FILE_TYPES[:-2]
    async with Sandbox(admin=("admin", PASSWORD), formats=["mp4"], file_types=types) as box:
        ended = await send(box, raw.parent, "--raw-as-format", "--json")
    assert ended.code == 0
    assert skipped(ended, "trashed") == set(raw.parent.glob("TRASH_*.[jm]p[g4]"))


async def test_the_places_are_those_of_the_table(tmp_path: Path) -> None:
    takeout = write_takeout(tmp_path)
    sidecars = Sidecars(parts=takeout.archives)
    read = {path: sidecars.read(path)[0].position for path in takeout.positions}
    assert read == takeout.positions
