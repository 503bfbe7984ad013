"""An archive of 500 files is uploaded as a table says, and kept in sync."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, Ended, send
from tests.support.galleries import changes
from tests.support.whole_archive import ALBUMS, FILES, ROWS, Archive, Arrived, Row, Xmp

PHOTO, FORMAT, ADD = "pwg.images.uploadAsync", "pwg.images.upload", "pwg.categories.add"
FLAGS = ("--tree", "--unwrap", "--raw-as-format")
ADDED = (
    Row("Camera B", "IMG_{n:04}.jpg", 4, first=31, title="IMG {n:04}"),
    Row(
        *("2024/नया & new", "día_{n}.jpg", 3),
        raw=".dng",
        xmp=Xmp("día_{n}.jpg.xmp", "Día {n}", "2024-06-0{n}", tags=("sea", "new")),
        title="Día {n}",
        date="2024-06-0{n} 00:00:00",
        tags=("sea", "new"),
        formats=("dng",),
    ),
)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Takeout's dates, which are in UTC, stay as they are."""
    monkeypatch.setenv("TZ", "UTC")


def paths(box: Sandbox) -> dict[int, str]:
    """Return the albums as paths below the one that everything goes to."""
    albums = box.gallery.albums
    return {
        number: "/".join(albums[above].name for above in album.path[1:])
        for number, album in albums.items()
    }


def shown(box: Sandbox) -> dict[str, Arrived]:
    """Return all that the gallery shows, by the MD5 of what it stores."""
    gallery, path = box.gallery, paths(box)
    there = {}
    for photo in gallery.photos.values():
        formats = {}
        for row in gallery.formats.of(photo.id):
            assert row.content is not None
            formats[row.extension] = row.content.md5
        there[gallery.contents[photo.path].md5] = Arrived(
            title=photo.name,
            albums=frozenset(path[number] for number in photo.albums),
            date=photo.date_creation,
            author=photo.author,
            comment=photo.comment,
            tags=frozenset(gallery.tags[number].name for number in photo.tags),
            formats=formats,
        )
    assert len(there) == len(gallery.photos), "a photo is there twice"
    assert len(set(path.values())) == len(path), "an album is there twice"
    return there


def numbers(box: Sandbox) -> dict[str, int]:
    return {photo.md5: photo.id for photo in box.gallery.photos.values()}


async def bring(
    box: Sandbox, folder: Path, *flags: str, update: bool = False
) -> tuple[Ended, Counter[str]]:
    """Run the command, and return its end and the requests that may have changed something."""
    before = len(box.requests)
    ended = await send(box, folder, *FLAGS, *flags, *(["--update"] if update else []))
    asked = changes(box, since=before)
    # before an album is listed, the lounge is emptied, in which nothing need wait
    assert asked.pop("pwg.images.uploadCompleted", 0) <= 2
    return ended, asked


def differences(there: dict[str, Arrived], wanted: dict[str, Arrived]) -> Sequence[object]:
    """Return what differs, a few of it, to be read where the test fails."""
    return [
        (wanted.get(md5), there.get(md5))
        for md5 in (wanted | there)
        if wanted.get(md5) != there.get(md5)
    ][:5]


async def test_an_archive_of_500_files_is_uploaded_and_kept_in_sync(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "Archive")
    archive.write(ROWS)
    archive.write_junk()
    assert sum(path.is_file() for path in archive.folder.rglob("*")) == FILES
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef", "cr2", "dng"]) as box:
        first, _ = await bring(box, archive.folder)
        assert first.code == 0, first.err
        assert not differences(shown(box), archive.expected)
        assert frozenset(paths(box).values()) == ALBUMS
        comments = {album.name: album.comment for album in box.gallery.albums.values()}
        assert comments["Roman holiday"] == "A week in May"
        assert not box.gallery.lounge
        assert not box.gallery.buffers

        was = numbers(box)
        second, changed = await bring(box, archive.folder)
        assert second.code == 0
        assert not changed
        assert not differences(shown(box), archive.expected)

        # renamed where it lies, moved elsewhere, a pair renamed, a whole folder renamed
        archive.move("Camera A/IMG_0001.jpg", "Camera A/Harbour.jpg")
        archive.move("Camera A/IMG_0002.jpg", "Moved/IMG_0002.jpg")
        archive.also_in(archive.md5("Moved/IMG_0002.jpg"), "Moved")
        archive.move("RAW/IMG_0003.jpg", "RAW/Dawn.jpg")
        archive.move("RAW/IMG_0003.NEF", "RAW/Dawn.NEF")
        archive.move("EXIF", "Scans 2010")
        for path in (archive.folder / "Scans 2010").iterdir():
            archive.also_in(archive.md5(f"Scans 2010/{path.name}"), "Scans 2010")
        # edited: a plain one, one with a sidecar, one with a RAW that has to be sent again
        edited = [
            archive.edit("Été/Café à la plage 01.jpg"),
            archive.edit("Sidecars/P001.jpg", exif="2022:02:02 02:02:02"),
            archive.edit("RAW/IMG_0005.jpg", exif="2012:03:04 10:20:05"),
        ]
        for old, new in edited:
            archive.becomes(old, new)
        # added: beside others, in albums that are new, and a copy of what is there
        archive.write(ADDED)
        archive.put("2024/IMG_0009.jpg", (archive.folder / "Camera A/IMG_0009.jpg").read_bytes())
        archive.also_in(archive.md5("Camera A/IMG_0009.jpg"), "2024")

        third, changed = await bring(box, archive.folder, update=True)
        assert third.code == 0, third.err
        assert not differences(shown(box), archive.expected)
        assert frozenset(paths(box).values()) == ALBUMS | {
            *("Moved", "Scans 2010", "2024", "2024/नया & new")
        }
        now = numbers(box)
        assert {now[new] for _, new in edited} == {was[old] for old, _ in edited}
        assert len(now) == len(was) + 7
        assert changed[ADD] == 4
        assert changed[PHOTO] == 3 + 7
        assert changed[FORMAT] == 1 + 3 + 1  # the last is the question what it takes
        assert not [name for name in changed if "delete" in name]

        fourth, changed = await bring(box, archive.folder, update=True)
        assert fourth.code == 0
        assert not changed
        assert not differences(shown(box), archive.expected)
