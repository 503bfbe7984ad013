"""An archive of 500 files is uploaded as a table says, and kept in sync.

The table is data: its titles, albums and dates were written down, not computed by what is tested.
Only the number `n` of a photo is put into its texts.
"""

import hashlib
import io
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, Ended, send
from tests.support.galleries import changes, tags_of
from tests.support.photos import write_album_title, write_takeout, write_xmp

EXIF_IFD, TAKEN = 0x8769, 0x9003
PHOTO, FORMAT, ADD = "pwg.images.uploadAsync", "pwg.images.upload", "pwg.categories.add"


@dataclass(frozen=True, slots=True)
class Row:
    """Photos of a folder: their files, and what the gallery is to show of them."""

    folder: str
    file: str
    count: int
    first: int = 1
    exif: str = ""
    # what the writers of sidecars are given
    xmp: Mapping[str, Any] = field(default_factory=dict)
    takeout: Mapping[str, Any] = field(default_factory=dict)
    raw: str = ""
    copied_to: tuple[str, ...] = ()
    # what is to be shown; by default the file's stem as title, the folder as album
    title: str = ""
    albums: tuple[str, ...] = ()
    date: str | None = None
    author: str | None = None
    comment: str | None = None
    tags: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()


SIX = "Été/Лето/夏/صيف/Θέρος/गर्मी"
CO = f'{SIX}/O\'Neil & "co"'
QUOTES = '“Nº {n}” is "<3" & it\'s \\ fine'
LINES = "First line {n}\nÜber & <über>"
ROME, HOLIDAY = "Takeout/Google Photos/Rome", ("Roman holiday",)
FAMILY = "{n} The whole family in front of the Fontana di"
ARCHIVE = (
    Row("", "Loose {n}.jpg", 5),
    Row("Été", "Café à la plage {n:02}.jpg", 30),
    Row("Été/Лето", "Белое_море_{n:02}.jpg", 30, title="Белое море {n:02}"),
    Row("Été/Лето/夏", "海辺-{n:02}.png", 20),
    Row("Été/Лето/夏/صيف", "بحر {n:02}.jpg", 20),
    Row("Été/Лето/夏/صيف/Θέρος", "Θάλασσα {n:02}.JPG", 20),
    Row(SIX, "समुद्र {n:02}.jpeg", 20),
    Row(CO, 'O\'Neil & "friends" {n:02}.jpg', 20),
    Row(f"{CO}/Sun 🌞", "{n:02} 🌊 wave.jpg", 15, title="{n:02} � wave", albums=(f"{CO}/Sun �",)),
    # decomposed, as on a Mac
    Row(
        "De\u0301cembre", "Noe\u0308l {n}.jpg", 5, title="No\u00ebl {n}", albums=("D\u00e9cembre",)
    ),
    Row(
        *("RAW", "IMG_{n:04}.jpg", 35),
        raw=".NEF",
        exif="2012:03:04 10:20:{n:02}",
        title="IMG {n:04}",
        date="2012-03-04 10:20:{n:02}",
        formats=("nef",),
    ),
    Row(  # the sidecar is named like the RAW
        *("RAW", "DSC_{n:02}.jpg", 5),
        raw=".cr2",
        xmp={
            "name": "DSC_{n:02}.xmp",
            "title": "Developed {n}",
            "date": "2013-04-{n:02}T08:09:10",
        },
        title="Developed {n}",
        date="2013-04-{n:02} 08:09:10",
        formats=("cr2",),
    ),
    Row(
        *("Sidecars", "P{n:03}.jpg", 20),
        exif="1999:01:01 00:00:00",
        xmp={
            "title": QUOTES,
            "description": LINES,
            "author": "Zoë O'Hara",
            "date": "2001-02-{n:02}T11:22:33+05:00",
            "tags": ["sea", "Ärger & Co", "море"],
            "paths": ["Places|Italy|Rome"],
        },
        title=QUOTES,
        date="2001-02-{n:02} 11:22:33",
        author="Zoë O'Hara",
        comment=LINES,
        tags=("sea", "Ärger & Co", "море", "Rome"),
    ),
    Row(
        *(ROME, "IMG_2019{n:04}.jpg", 15),
        takeout={
            "name": "IMG_2019{n:04}.jpg.supplemental-metadata.json",
            "stamp": 1561982602,
            "description": 'Pizza & "gelato" {n}',
        },
        title="IMG 2019{n:04}",
        albums=HOLIDAY,
        date="2019-07-01 12:03:22",
        comment='Pizza & "gelato" {n}',
    ),
    Row(  # the second files of their names
        *(ROME, "IMG_2019{n:04}(1).jpg", 5),
        takeout={
            "name": "IMG_2019{n:04}.jpg(1).json",
            "title": "IMG_2019{n:04}.jpg",
            "stamp": 1562069002,
            "description": "Second {n}",
        },
        title="IMG 2019{n:04}(1)",
        albums=HOLIDAY,
        date="2019-07-02 12:03:22",
        comment="Second {n}",
    ),
    Row(  # Takeout has cut these names and those of the JSONs
        *(ROME, f"{FAMILY} T.jpg", 3),
        takeout={"name": f"{FAMILY} .json", "title": f"{FAMILY} Trevi.jpg", "stamp": 1561982602},
        title=f"{FAMILY} Trevi",
        albums=HOLIDAY,
        date="2019-07-01 12:03:22",
    ),
    Row(
        *("EXIF", "Scan {n:02}.jpg", 29),
        exif="2010:05:{n:02} 01:02:03",
        date="2010-05-{n:02} 01:02:03",
    ),
    Row("Camera A", "IMG_{n:04}.jpg", 30, title="IMG {n:04}"),
    Row("Camera B", "IMG_{n:04}.jpg", 30, title="IMG {n:04}"),
    Row(
        *("Camera B", "Twin {n}.jpg", 15),
        copied_to=("Best of", "Best of/Best"),
        albums=("Camera B", "Best of", "Best of/Best"),
    ),
)
JUNK = (
    *(".DS_Store", "Été/Thumbs.db", "Été/desktop.ini", "RAW/._IMG_0001.jpg", "notes.txt"),
    *("RAW/@eaDir/IMG_0001.jpg/SYNOPHOTO.jpg", ".hidden/secret.jpg", "Camera A/index.html"),
    "Takeout/archive_browser.html",
)
FILES = 500
ALBUMS = frozenset(
    {
        *("", "Été", "Été/Лето", "Été/Лето/夏", "Été/Лето/夏/صيف", "Été/Лето/夏/صيف/Θέρος", SIX),
        *(CO, f"{CO}/Sun �", "D\u00e9cembre", "RAW", "Sidecars"),
        *(*HOLIDAY, "EXIF", "Camera A", "Camera B"),
        *("Best of", "Best of/Best"),
    }
)
ADDED = (
    Row("Camera B", "IMG_{n:04}.jpg", 4, first=31, title="IMG {n:04}"),
    Row(
        *("2024/नया & new", "día_{n}.jpg", 3),
        raw=".dng",
        xmp={"title": "Día {n}", "date": "2024-06-0{n}", "tags": ["sea", "new"]},
        title="Día {n}",
        date="2024-06-0{n} 00:00:00",
        tags=("sea", "new"),
        formats=("dng",),
    ),
)


Shown = dict[str, Any]
"""A photo as a gallery shows it, without its number; albums are paths of names."""


class Archive:
    """The archive on disk, and what is to arrive of it, by MD5."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected: dict[str, Shown] = {}
        self._drawn = count(1)

    def put(self, place: str, content: bytes) -> str:
        """Write a file, and return its MD5."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return hashlib.md5(content).hexdigest()

    def md5(self, place: str) -> str:
        return hashlib.md5((self.folder / place).read_bytes()).hexdigest()

    def move(self, place: str, to: str) -> None:
        (self.folder / to).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / place).rename(self.folder / to)

    def edit(self, place: str, *, exif: str = "") -> tuple[str, str]:
        """Write another picture there, for which the table holds too; return both MD5s."""
        old, new = self.md5(place), self.put(place, self.picture(place, exif=exif))
        self.expected[new] = self.expected.pop(old)
        return old, new

    def also_in(self, place: str, album: str) -> None:
        """Add an album to a photo in the table."""
        self.expected[self.md5(place)]["albums"].add(album)

    def picture(self, place: str, *, exif: str = "") -> bytes:
        """Draw a small picture, another one at every call."""
        number, out, block = next(self._drawn), io.BytesIO(), Image.Exif()
        picture = Image.new("RGB", (16, 12), (number % 256, number // 256, 99))
        if exif:
            block[EXIF_IFD] = {TAKEN: exif}
        if place.endswith(".png"):
            picture.save(out, "PNG")
        else:
            picture.save(out, "JPEG", comment=f"{number}".encode(), exif=block)
        return out.getvalue()

    def write(self, rows: Iterable[Row]) -> None:
        """Write the photos of the rows, their sidecars and RAW files."""
        for row in rows:
            for n in range(row.first, row.first + row.count):
                self._write(row, f"{row.folder}/{row.file.format(n=n)}".removeprefix("/"), n)

    def _write(self, row: Row, place: str, n: int) -> None:
        def filled(texts: Mapping[str, Any]) -> dict[str, Any]:
            return {k: v.format(n=n) if isinstance(v, str) else v for k, v in texts.items()}

        md5 = self.put(place, self.picture(place, exif=row.exif.format(n=n)))
        path = self.folder / place
        for folder in row.copied_to:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.folder / folder)
        formats = {}
        if row.raw:
            raw = self.put(place.removesuffix(path.suffix) + row.raw, f"RAW {place}".encode())
            formats = dict.fromkeys(row.formats, raw)
        if texts := filled(row.xmp):
            write_xmp(path, *texts.pop("tags", ()), **texts)
        if row.takeout:
            write_takeout(path, **filled(row.takeout))
        shown: Shown = {"title": row.title or row.file.rpartition(".")[0]}
        shown |= {"date": row.date, "author": row.author, "comment": row.comment}
        placed = {"albums": set(row.albums or (row.folder,)), "tags": set(row.tags)}
        self.expected[md5] = filled(shown) | placed | {"formats": formats}


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


def shown(box: Sandbox) -> dict[str, Shown]:
    """Return all that the gallery shows, by the MD5 of what it stores."""
    gallery, path = box.gallery, paths(box)
    there = {}
    for photo in gallery.photos.values():
        formats = {}
        for row in gallery.formats.of(photo.id):
            assert row.content is not None
            formats[row.extension] = row.content.md5
        there[gallery.contents[photo.path].md5] = {
            "title": photo.name,
            "albums": {path[number] for number in photo.albums},
            "date": photo.date_creation,
            "author": photo.author,
            "comment": photo.comment,
            "tags": tags_of(box, photo),
            "formats": formats,
        }
    assert len(there) == len(gallery.photos), "a photo is there twice"
    assert len(set(path.values())) == len(path), "an album is there twice"
    return there


async def bring(box: Sandbox, folder: Path, *flags: str) -> tuple[Ended, Counter[str]]:
    """Run the command, and return its end and the requests that may have changed something."""
    before = len(box.requests)
    ended = await send(box, folder, "--tree", "--unwrap", "--raw-as-format", *flags)
    asked = changes(box, since=before)
    # before an album is listed, the lounge is emptied, in which nothing need wait
    assert asked.pop("pwg.images.uploadCompleted", 0) <= 2
    return ended, asked


async def test_an_archive_of_500_files_is_uploaded_and_kept_in_sync(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "Archive")
    archive.write(ARCHIVE)
    for place in JUNK:
        archive.put(place, b"junk")
    write_album_title(archive.folder / ROME, "Roman holiday", "A week in May")
    assert sum(path.is_file() for path in archive.folder.rglob("*")) == FILES
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef", "cr2", "dng"]) as box:
        first, _ = await bring(box, archive.folder)
        assert first.code == 0, first.err
        assert shown(box) == archive.expected
        assert frozenset(paths(box).values()) == ALBUMS
        comments = {album.name: album.comment for album in box.gallery.albums.values()}
        assert comments["Roman holiday"] == "A week in May"
        assert not box.gallery.lounge
        assert not box.gallery.buffers

        was = {photo.md5: photo.id for photo in box.gallery.photos.values()}
        second, changed = await bring(box, archive.folder)
        assert second.code == 0
        assert not changed
        assert shown(box) == archive.expected

        # renamed where it lies, moved elsewhere, a pair renamed, a whole folder renamed
        archive.move("Camera A/IMG_0001.jpg", "Camera A/Harbour.jpg")
        archive.move("Camera A/IMG_0002.jpg", "Moved/IMG_0002.jpg")
        archive.also_in("Moved/IMG_0002.jpg", "Moved")
        archive.move("RAW/IMG_0003.jpg", "RAW/Dawn.jpg")
        archive.move("RAW/IMG_0003.NEF", "RAW/Dawn.NEF")
        archive.move("EXIF", "Scans 2010")
        for path in (archive.folder / "Scans 2010").iterdir():
            archive.also_in(f"Scans 2010/{path.name}", "Scans 2010")
        # edited: a plain one, one with a sidecar, one with a RAW that has to be sent again
        edited = [
            archive.edit("Été/Café à la plage 01.jpg"),
            archive.edit("Sidecars/P001.jpg", exif="2022:02:02 02:02:02"),
            archive.edit("RAW/IMG_0005.jpg", exif="2012:03:04 10:20:05"),
        ]
        # added: beside others, in albums that are new, and a copy of what is there
        archive.write(ADDED)
        archive.put("2024/IMG_0009.jpg", (archive.folder / "Camera A/IMG_0009.jpg").read_bytes())
        archive.also_in("Camera A/IMG_0009.jpg", "2024")

        third, changed = await bring(box, archive.folder, "--update")
        assert third.code == 0, third.err
        assert shown(box) == archive.expected
        assert frozenset(paths(box).values()) == ALBUMS | {
            *("Moved", "Scans 2010", "2024", "2024/नया & new")
        }
        now = {photo.md5: photo.id for photo in box.gallery.photos.values()}
        assert {now[new] for _, new in edited} == {was[old] for old, _ in edited}
        assert len(now) == len(was) + 7
        assert changed[ADD] == 4
        assert changed[PHOTO] == 3 + 7
        assert changed[FORMAT] == 1 + 3 + 1  # the last is the question what it takes
        assert not [name for name in changed if "delete" in name]

        fourth, changed = await bring(box, archive.folder, "--update")
        assert fourth.code == 0
        assert not changed
        assert shown(box) == archive.expected
