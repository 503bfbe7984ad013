"""An archive of 500 files, and the table of what a gallery is to show of it.

The table is data: its titles, albums and dates were written down, not computed by what is tested.
Only the number `n` of a photo is put into its texts.
"""

import hashlib
import io
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from tests.support.photos import write_album_title, write_takeout, write_xmp

EXIF_IFD, TAKEN = 0x8769, 0x9003


@dataclass(frozen=True, slots=True)
class Xmp:
    """An XMP sidecar; `{n}` is the number of its photo."""

    name: str
    title: str
    date: str
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Takeout:
    """A JSON of Google Takeout; `{n}` is the number of its photo."""

    name: str
    title: str
    stamp: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Photos of a folder: their files, and what the gallery is to show of them."""

    folder: str
    file: str
    count: int
    first: int = 1
    exif: str = ""
    xmp: Xmp | None = None
    takeout: Takeout | None = None
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

    def places(self) -> list[tuple[int, str]]:
        """Return each number with the path of the photo in the archive."""
        return [
            (n, f"{self.folder}/{self.file.format(n=n)}".removeprefix("/"))
            for n in range(self.first, self.first + self.count)
        ]


SIX = "Été/Лето/夏/صيف/Θέρος/गर्मी"
CO = f'{SIX}/O\'Neil & "co"'
QUOTES = '“Nº {n}” is "<3" & it\'s \\ fine'
LINES = "First line {n}\nÜber & <über>"
ROME, HOLIDAY = "Takeout/Google Photos/Rome", ("Takeout/Google Photos/Roman holiday",)
FAMILY = "{n} The whole family in front of the Fontana di"
ROWS = (
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
        xmp=Xmp("DSC_{n:02}.xmp", "Developed {n}", "2013-04-{n:02}T08:09:10"),
        title="Developed {n}",
        date="2013-04-{n:02} 08:09:10",
        formats=("cr2",),
    ),
    Row(
        *("Sidecars", "P{n:03}.jpg", 20),
        exif="1999:01:01 00:00:00",
        xmp=Xmp(
            *("P{n:03}.jpg.xmp", QUOTES, "2001-02-{n:02}T11:22:33+05:00", LINES, "Zoë O'Hara"),
            tags=("sea", "Ärger & Co", "море"),
            paths=("Places|Italy|Rome",),
        ),
        title=QUOTES,
        date="2001-02-{n:02} 11:22:33",
        author="Zoë O'Hara",
        comment=LINES,
        tags=("sea", "Ärger & Co", "море", "Rome"),
    ),
    Row(
        *(ROME, "IMG_2019{n:04}.jpg", 15),
        takeout=Takeout(
            "IMG_2019{n:04}.jpg.supplemental-metadata.json",
            *("IMG_2019{n:04}.jpg", 1561982602, 'Pizza & "gelato" {n}'),
        ),
        title="IMG 2019{n:04}",
        albums=HOLIDAY,
        date="2019-07-01 12:03:22",
        comment='Pizza & "gelato" {n}',
    ),
    Row(  # the second files of their names
        *(ROME, "IMG_2019{n:04}(1).jpg", 5),
        takeout=Takeout(
            *("IMG_2019{n:04}.jpg(1).json", "IMG_2019{n:04}.jpg", 1562069002, "Second {n}")
        ),
        title="IMG 2019{n:04}(1)",
        albums=HOLIDAY,
        date="2019-07-02 12:03:22",
        comment="Second {n}",
    ),
    Row(  # Takeout has cut these names and those of the JSONs
        *(ROME, f"{FAMILY} T.jpg", 3),
        takeout=Takeout(f"{FAMILY} .json", f"{FAMILY} Trevi.jpg", 1561982602),
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
        *(CO, f"{CO}/Sun �", "D\u00e9cembre", "RAW", "Sidecars", "Takeout"),
        *("Takeout/Google Photos", *HOLIDAY, "EXIF", "Camera A", "Camera B"),
        *("Best of", "Best of/Best"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A photo as a gallery shows it, without its number; albums are paths of names."""

    title: str
    albums: frozenset[str]
    date: str | None = None
    author: str | None = None
    comment: str | None = None
    tags: frozenset[str] = frozenset()
    formats: Mapping[str, str] | None = None


class Archive:
    """The archive on disk, and what is to arrive of it, by MD5."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected: dict[str, Arrived] = {}
        self._written = 0

    def write(self, rows: Collection[Row] = ROWS) -> None:
        """Write the photos of the rows, their sidecars and RAW files."""
        for row in rows:
            for n, place in row.places():
                self._write(row, n, place)

    def write_junk(self) -> None:
        for place in JUNK:
            self.put(place, b"junk")
        write_album_title(
            self.folder / "Takeout/Google Photos/Rome", "Roman holiday", "A week in May"
        )

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
        """Write another picture there, and return both MD5s."""
        return self.md5(place), self.put(place, self.picture(place, exif=exif))

    def picture(self, place: str, *, exif: str = "") -> bytes:
        """Draw a small picture, another one at every call."""
        self._written += 1
        number = self._written
        colour = (number % 256, number // 256, 99)
        out = io.BytesIO()
        if place.endswith(".png"):
            Image.new("RGB", (16, 12), colour).save(out, "PNG")
        else:
            block = Image.Exif()
            if exif:
                block[EXIF_IFD] = {TAKEN: exif}
            picture = Image.new("RGB", (16, 12), colour)
            picture.save(out, "JPEG", comment=f"{number}".encode(), exif=block)
        return out.getvalue()

    def _write(self, row: Row, n: int, place: str) -> None:
        md5 = self.put(place, self.picture(place, exif=row.exif.format(n=n)))
        path = self.folder / place
        for folder in row.copied_to:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.folder / folder)
        formats = {}
        if row.raw:
            raw = self.put(place.removesuffix(path.suffix) + row.raw, f"RAW {place}".encode())
            formats = dict.fromkeys(row.formats, raw)
        if xmp := row.xmp:
            texts = ("title", "description", "author", "date")
            filled = {text: getattr(xmp, text).format(n=n) for text in texts}
            write_xmp(path, *xmp.tags, paths=xmp.paths, name=xmp.name.format(n=n), **filled)
        if takeout := row.takeout:
            write_takeout(
                path,
                stamp=takeout.stamp,
                title=takeout.title.format(n=n),
                description=takeout.description.format(n=n),
                name=takeout.name.format(n=n),
            )
        self.expected[md5] = Arrived(
            title=(row.title or row.file.rpartition(".")[0]).format(n=n),
            albums=frozenset(row.albums or (row.folder,)),
            date=row.date and row.date.format(n=n),
            author=row.author,
            comment=row.comment and row.comment.format(n=n),
            tags=frozenset(row.tags),
            formats=formats,
        )

    def becomes(self, was: str, now: str) -> None:
        """Change the MD5 of a photo in the table."""
        self.expected[now] = self.expected.pop(was)

    def also_in(self, md5: str, *albums: str) -> None:
        """Add albums to a photo in the table."""
        entry = self.expected[md5]
        self.expected[md5] = replace(entry, albums=entry.albums | set(albums))
