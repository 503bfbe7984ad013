"""A hostile Google Takeout in three zip archives, and a table of what is to arrive of it.

The table is data: its titles, dates, places and albums were written down from what is known of
Takeouts, not computed by what is tested. `{n}` in a text is the number of a file of its row.
"""

import hashlib
import json
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.support.runs import picture

TOP = "Takeout/Google Fotos"
PARTS = 3
FILE_TYPES = ("jpg", "jpeg", "png", "heic", "mp4", "mov")
"""What the gallery has to accept."""

FULL = ".supplemental-metadata.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a gallery shows of a photo; `albums` are paths of names."""

    title: str
    albums: frozenset[str]
    date: str | None = None
    comment: str | None = None
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Files of a folder, with their JSON files, and what is to arrive of them.

    Files of the same `content` and number are equal; by default a row has its own. `part` and
    `json_part` are the archives of the first one; the next ones are in the next archives.
    """

    folder: str
    file: str
    json: str = ""  # the name of its JSON file, or what follows the file's name, or none
    count: int = 1
    content: str = ""
    part: int = 0
    json_part: int = 0
    # in the JSON file
    name: str = ""  # the title in Google Photos, if that is not the file's name
    fields: Mapping[str, Any] = field(default_factory=dict)
    # what arrives, or why nothing does
    title: str = ""
    date: str | None = None
    comment: str | None = None
    tags: tuple[str, ...] = ()
    position: tuple[float, float] | None = None
    skipped: str = ""
    without_json: bool = False
    also_in: tuple[str, ...] = ()  # folders with only its JSON file


@dataclass(frozen=True, slots=True)
class AlbumRow:
    """A folder with its title; `file` is the name of the file that has it, in a part."""

    folder: str
    album: str
    file: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    part: int = 0
    comment: str = ""


def taken(stamp: int, **fields: object) -> dict[str, object]:
    """Return the fields of a JSON file: the time in seconds since 1970, and others."""
    return {"photoTakenTime": {"timestamp": str(stamp), "formatted": "?"}} | fields


def place(latitude: float, longitude: float) -> dict[str, float]:
    return {"latitude": latitude, "longitude": longitude, "altitude": 0.0, "latitudeSpan": 0.0}


NOON, NOON_TEXT = 1561982602, "2019-07-01 12:03:22"
ZERO = place(0.0, 0.0)
YEAR, OLD = "Fotos von 2019", "Fotos von 2018"
ALPS, ALPS_2, PARTY, TRASH = "Alps", "Alps(1)", "Party _", "Papierkorb"
LONG = "Urlaub in Knaufspesch in der Schneifel (38)"
FACES = "😀😃😄😁😆😅😂🤣🥲☺️😊😇🙂🙃😉😌😍🥰😘😗😙😚😋"  # 46 characters for Google
BOXES = "�" * 9 + "☺️" + "�" * 14  # as MySQL's utf8 stores it
CUT = "A walk around the lake with all of us and the"  # 45 characters

ALBUMS = (
    AlbumRow(YEAR, YEAR),
    AlbumRow(OLD, OLD, "Metadaten.json", {"title": OLD}, part=2),
    AlbumRow(
        *(ALPS, 'The "Alps" & more/1', "Metadaten.json"),
        {"title": 'The "Alps" & more/1', "description": "Two weeks"},
        part=2,  # none of its photos is there
        comment="Two weeks",
    ),
    AlbumRow(
        *(ALPS_2, 'The "Alps" & more/1', "Metadaten(1).json"),
        {"albumData": {"title": 'The "Alps" & more/1', "description": ""}},
        part=1,
    ),
    AlbumRow(PARTY, "Party �", "metaandmed.json", {"title": "Party 🎉", "access": ""}, part=1),
    AlbumRow("Ohne Titel", "Ohne Titel", "Metadaten.json", {"title": ""}),
    AlbumRow(TRASH, ""),
    AlbumRow("Archiv", "Archiv"),
    AlbumRow("E\u0301te\u0301", "Été", "Metadaten.json", {"title": ""}),
)


def rows(many: int) -> Sequence[Row]:
    """Return the table, with so many ordinary photos."""
    return (
        # many with copies in two albums of one title, and in the folder of another year
        *(
            Row(
                folder=folder,
                file="IMG_2019{n:04}.jpg",
                json=FULL,
                count=count,
                content="ordinary",
                part=part,
                json_part=part + 1,  # never with its photo
                fields=taken(
                    NOON,
                    description='Pizza & "gelato"\n{n}',
                    geoData=ZERO,
                    geoDataExif=place(45.9, -9.2),
                    people=[{"name": "Zoë"}, {"name": "O'Hara"}],
                ),
                title="IMG 2019{n:04}",
                date=NOON_TEXT,
                comment='Pizza & "gelato"\n{n}',
                tags=("Zoë", "O'Hara"),
                position=(45.9, -9.2),
            )
            for folder, part, count in (
                *((YEAR, 0, many), (ALPS, 1, many // 4)),
                *((ALPS_2, 2, many // 3), (OLD, 0, many // 6)),
            )
        ),
        Row(
            folder=YEAR,
            file="DSC_1.JPG",
            json="DSC_1.JPG.json",
            fields=taken(NOON, geoData=place(1.5, 2.5), geoDataExif=place(7, 7)),
            title="DSC 1",
            date=NOON_TEXT,
            position=(1.5, 2.5),
        ),
        Row(
            folder=YEAR,
            file="DSC_1({n}).JPG",
            json="DSC_1.JPG.supplemental-metadata({n}).json",
            count=3,
            name="DSC_1.JPG",
            fields=taken(NOON + 60, description="Number {n}"),
            title="DSC 1({n})",
            date="2019-07-01 12:04:22",
            comment="Number {n}",
        ),
        Row(  # cut after 46 characters, and the photo's own name too
            folder=ALPS,
            file=f"{LONG}.JPG",
            json=f"{LONG}.JP.json",
            json_part=1,
            fields=taken(NOON),
            title=LONG,
            date=NOON_TEXT,
        ),
        Row(
            folder=YEAR,
            file=f"{CUT} d.jpg",
            json=f"{CUT} .json",
            name=f"{CUT} dog.jpg",
            fields=taken(NOON),
            title=f"{CUT} dog",
            date=NOON_TEXT,
        ),
        Row(
            folder=YEAR,
            file=f"{CUT} d({{n}}).jpg",
            json=f"{CUT} ({{n}}).json",
            name=f"{CUT} ducks.jpg",
            fields=taken(NOON),
            title=f"{CUT} ducks",
            date=NOON_TEXT,
        ),
        Row(
            folder=PARTY,
            file=f"{FACES}😛.jpg",
            json=f"{FACES}.json",
            name=f"{FACES}😛.jpg",
            part=2,
            fields=taken(NOON),
            title=BOXES,
            date=NOON_TEXT,
        ),
        Row(
            folder=PARTY,
            file='"Nº 1" it\'s <3 & 100%.jpg',
            json=FULL,
            part=1,
            fields=taken(NOON),
            title='"Nº 1" it\'s <3 & 100%',
            date=NOON_TEXT,
        ),
        Row(  # its title in Google Photos has characters that no file name has, and no extension
            folder="Ohne Titel",
            file="27_06_12 - 2.jpg",
            json="27_06_12 - 2.json",
            name="27/06/12 - 2",
            fields=taken(NOON),
            title="27/06/12 - 2",
            date=NOON_TEXT,
        ),
        Row(  # decomposed, as from a Mac
            folder="E\u0301te\u0301",
            file="Noe\u0308l.jpg",
            json="Noël.jpg.supplemental-metadata.json",
            fields=taken(NOON, description="Décembre"),
            title="Noël",
            date=NOON_TEXT,
            comment="Décembre",
        ),
        # edited versions and the videos of live photos have the JSON file of another file
        Row(
            folder=YEAR,
            file="EDIT_{n}.jpg",
            json=FULL,
            count=2,
            fields=taken(NOON, description="Before and after {n}"),
            title="EDIT {n}",
            date=NOON_TEXT,
            comment="Before and after {n}",
        ),
        Row(
            folder=YEAR,
            file="EDIT_{n}-bearbeitet.jpg",
            count=2,
            title="EDIT {n}-bearbeitet",
            date=NOON_TEXT,
            comment="Before and after {n}",
        ),
        Row(
            folder=YEAR,
            file="LIVE_1.HEIC",
            json="LIVE_1.HEIC.supplemental-metad.json",
            fields=taken(NOON, description="Alive"),
            title="LIVE 1",
            date=NOON_TEXT,
            comment="Alive",
        ),
        Row(
            folder=YEAR,
            file="LIVE_1.MP4",
            part=2,
            title="LIVE 1",
            date=NOON_TEXT,
            comment="Alive",
        ),
        # without JSON, with a broken one, and JSON files without their photo
        Row(
            folder=YEAR,
            file="WhatsApp {n}.jpg",
            count=3,
            title="WhatsApp {n}",
            without_json=True,
        ),
        Row(
            folder=YEAR,
            file="broken.jpg",
            json=FULL,
            fields={"": "broken"},
            title="broken",
        ),
        Row(folder=YEAR, file="", json="gone.jpg.supplemental-metadata.json", fields=taken(NOON)),
        Row(folder=ALPS, file="", json="gone too.jpg(1).json", fields=taken(NOON)),
        # in two albums with its JSON file alone
        Row(
            folder=YEAR,
            file="BESIDE_1.jpg",
            json=FULL,
            part=1,
            fields=taken(NOON),
            title="BESIDE 1",
            date=NOON_TEXT,
            also_in=(ALPS, "Archiv"),
        ),
        Row(
            folder=ALPS,
            file="",
            json="BESIDE_1.jpg.supplemental-metadata(1).json",
            name="BESIDE_1.jpg",
            fields=taken(NOON),
        ),
        Row(
            folder="Archiv",
            file="",
            json="BESIDE_1.jpg.json",
            name="BESIDE_1.jpg",
            part=2,
            fields=taken(NOON),
        ),
        Row(
            folder=PARTY,  # of another photo of this name
            file="",
            json="BESIDE_1.jpg.json",
            name="BESIDE_1.jpg",
            fields=taken(NOON + 1),
        ),
        # what Google Photos does not show, and what others have taken
        Row(
            folder=TRASH,
            file="TRASH_{n}.jpg",
            json=FULL,
            count=3,
            fields=taken(NOON, trashed=True),
            skipped="trashed",
        ),
        Row(folder=TRASH, file="TRASH_1-bearbeitet.jpg", skipped="trashed"),
        Row(
            folder=YEAR,
            file="SECRET.jpg",
            json=FULL,
            json_part=2,
            fields=taken(NOON, inLockedFolder=True),
            skipped="locked",
        ),
        Row(
            folder="Archiv",
            file="ARCHIVED.jpg",
            json=FULL,
            fields=taken(NOON, archived=True),
            title="ARCHIVED",
            date=NOON_TEXT,
        ),
        Row(
            folder=YEAR,
            file="PARTNER.jpg",
            json=FULL,
            fields=taken(NOON, googlePhotosOrigin={"fromPartnerSharing": {}}),
            title="PARTNER",
            date=NOON_TEXT,
        ),
    )


OTHERS = {
    "Takeout/archive_browser.html": b"<html>",
    f"{TOP}/print-subscriptions.json": b'{"subscriptions": []}',
    f"{TOP}/shared_album_comments.json": b'{"comments": [{"text": "Nice"}]}',
    f"{TOP}/user-generated-memory-titles.json": b'["A title"]',
}
"""Files that belong to no photo."""


@dataclass(slots=True)
class Takeout:
    """A Takeout's archives, and what is to arrive: photos by MD5, albums, and other outcomes.

    `positions` are those of files, `files` the contents by the path in the archives.
    """

    archives: list[Path]
    photos: dict[str, Shown] = field(default_factory=dict)
    albums: dict[str, str] = field(default_factory=dict)
    positions: dict[Path, tuple[float, float] | None] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    without_json: set[Path] = field(default_factory=set)
    photos_missing: set[Path] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)

    def unpack(self, folder: Path) -> Path:
        """Write all files to a folder, and return that of Google Photos."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / TOP


def write_takeout(folder: Path, *, many: int = 12, size: int = 700) -> Takeout:
    """Write the archives, with so many ordinary photos of so many bytes, and return the table."""
    takeout = Takeout([folder / f"takeout-20190801T000000Z-00{n + 1}.zip" for n in range(PARTS)])
    titles = {row.folder: row.album for row in ALBUMS}
    zips = [
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if part == 1 else zipfile.ZIP_STORED)
        for part, path in enumerate(takeout.archives)
    ]

    def put(name: str, content: bytes, part: int) -> Path:
        takeout.files[name] = content
        zips[part % PARTS].writestr(_Member(name, (2019, 8, 1, 0, 0, 0)), content)
        return takeout.archives[part % PARTS] / name

    for each in ALBUMS:
        if each.album:
            takeout.albums[each.album] = takeout.albums.get(each.album) or each.comment
        if each.file:
            put(f"{TOP}/{each.folder}/{each.file}", _document(each.document), each.part)
    for name, content in OTHERS.items():
        put(name, content, 0)
    for row in rows(many):
        for n in range(1, row.count + 1):
            where = f"{TOP}/{row.folder}"
            file = row.file.format(n=n)
            if row.json:
                name = row.json.format(n=n)
                name = file + name if name.startswith(".") else name
                path = put(f"{where}/{name}", _json(row, file, n), row.json_part + n - 1)
                if not row.file:
                    takeout.photos_missing.add(path)
                    continue
            seed = f"{row.content or row.file} {n}"
            content = picture(Random(seed), size=size)
            path = put(f"{where}/{file}", content, row.part + n - 1)
            takeout.positions[path] = row.position
            if row.without_json:
                takeout.without_json.add(path)
            if row.skipped:
                takeout.skipped[row.skipped] += 1
                continue
            md5 = hashlib.md5(content).hexdigest()
            first = takeout.photos.get(md5)
            takeout.photos[md5] = Shown(
                title=row.title.format(n=n),
                albums=frozenset(
                    {
                        *(titles[folder] for folder in (row.folder, *row.also_in)),
                        *(first.albums if first else ()),
                    }
                ),
                date=row.date,
                comment=row.comment and row.comment.format(n=n),
                tags=frozenset(row.tags),
            )
    for archive in zips:
        archive.close()
    return takeout


class _Member(zipfile.ZipInfo):
    """A member whose name is in UTF-8 without a flag that says so, as some programs write it."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 (zipfile's name)
        return self.filename.encode(), self.flag_bits


def _json(row: Row, file: str, n: int) -> bytes:
    if "" in row.fields:
        return b'{"title": "broken.jpg", "photoTakenTime": {"timesta'
    fields = {
        key: value.format(n=n) if isinstance(value, str) else value
        for key, value in row.fields.items()
    }
    title = row.name or unicodedata.normalize("NFC", file) or row.json
    return _document({"title": title, "description": "", "imageViews": "7"} | fields)


def _document(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=2).encode()
