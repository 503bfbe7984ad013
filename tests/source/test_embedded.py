"""Metadata inside photo files: all formats, encodings and parts, and what is malformed."""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulkup.source.embedded import Embedded, packets, read_embedded
from bulkup.source.files import opened
from bulkup.source.metadata import LONGEST_TEXT, Iptc, Metadata, Moment
from tests.support.archives import write_zip
from tests.support.embedded import (
    FOLDER,
    dataset,
    iptc,
    jpeg,
    jpeg_with_iptc,
    more_xmp_segments,
    resources,
    segment,
    xmp,
    xmp_segment,
)
from tests.support.photos import with_exif

SAMPLES = sorted(path.name for path in FOLDER.iterdir())
TAKEN = Moment("2018-01-02 03:04:05")
PNG = b"\x89PNG\r\n\x1a\n"
LITTLE = b"II*\0\x08\0\0\0"


def read(path: Path) -> Embedded:
    with opened(path) as file:
        return read_embedded(file)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return tmp_path / "a.jpg"


def read_bytes(photo: Path, content: bytes) -> Metadata:
    photo.write_bytes(content)
    found = read(photo)
    assert not found.reasons
    return found.metadata


@pytest.mark.parametrize("name", SAMPLES)
def test_all_formats_on_disk_and_in_zips(tmp_path: Path, name: str) -> None:
    kind = name.rpartition(".")[2]
    with_iptc = kind in {"jpg", "tif"}  # exiftool writes it into these
    dated = kind in {"jpg", "tif"}  # PHP reads the date of these itself
    expected = Metadata(
        title="Low tide é “x” <b>",
        description="two\nlines & more",
        author="Zoë",
        date=None if dated else TAKEN,
        tags=("sea", "Rome", "日本", *(["iptc only ü"] if with_iptc else [])),
        keyword_paths=(("Places", "Italy", "Rome"),),
        rating=4,
        people=("Anna",),
        position=(-48.25, -2.5),
        iptc=Iptc(
            title="IPTC title é",
            description="IPTC caption",
            keywords=("sea", "iptc only ü"),
            dated=True,
        )
        if kind == "jpg"
        else None,
        exif_date=TAKEN if dated else None,
        exif_position=dated,
    )
    content = (FOLDER / name).read_bytes()
    assert read(FOLDER / name) == Embedded(expected, [])
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        archive = write_zip(tmp_path / f"{method}.zip", {name: content}, method=method)
        assert read(archive / name) == Embedded(expected, [])
        with opened(archive / name) as file:  # and the photo can be read afterwards
            assert file.read(len(content), offset=0) == content


def test_iptc_in_all_encodings(photo: Path) -> None:
    for encoding, declared in (("utf-8", True), ("utf-8", False), ("cp1252", False)):
        data = iptc("Été “x”", "Œuf", description="a\nb", encoding=encoding, declared=declared)
        found = Iptc(title="Été “x”", description="a\nb", keywords=("Œuf",))
        assert read_bytes(photo, jpeg_with_iptc(data)) == Metadata(
            title="Été “x”", description="a\nb", tags=("Œuf",), iptc=found
        )


def test_fields_of_iptc(photo: Path) -> None:
    data = dataset(2, 105, b"Headline") + dataset(2, 80, b"Ann") + dataset(2, 80, b"Ben")
    data += dataset(2, 55, b"20210814") + dataset(2, 60, b"180327+0200")
    date = Moment("2021-08-14 18:03:27")
    read = read_bytes(photo, jpeg_with_iptc(data))
    assert read == Metadata(title="Headline", author="Ann, Ben", date=date, iptc=Iptc(dated=True))
    data = dataset(2, 55, b"20211332") + dataset(2, 105, b"H") + dataset(2, 5, b"\0 T\n2 ")
    assert read_bytes(photo, jpeg_with_iptc(data)).title == "T 2"
    long = b"\x1c\x02\x78\x80\x04" + struct.pack(">I", 40_000) + b"x" * 40_000
    assert read_bytes(photo, jpeg_with_iptc(long)).description == "x" * 40_000


def test_worse_copies_of_keywords_are_left_out(photo: Path) -> None:
    full = "é" * 40
    parts = [
        xmp_segment(xmp("", full, "café")),
        segment(0xED, b"Photoshop 3.0\0" + resources(iptc("", full[:32], "only here"))),
    ]
    assert read_bytes(photo, jpeg(parts)).tags == (full, "café", "only here")
    guessed = iptc("", "café", "ascii", encoding="mac-roman", declared=False)
    parts[1] = segment(0xED, b"Photoshop 3.0\0" + resources(guessed))
    assert read_bytes(photo, jpeg(parts)).tags == (full, "café", "ascii")


def test_data_in_several_segments(photo: Path) -> None:
    guid = b"0123456789ABCDEF0123456789ABCDEF"
    main = xmp("T") + b"<!-- " + guid + b" -->"
    more = more_xmp_segments(xmp("", *(f"tag {n}" for n in range(99))), guid=guid)
    split = resources(iptc("", description="d" * 900))
    two = [segment(0xED, b"Photoshop 3.0\0" + half) for half in (split[:500], split[500:])]
    found = read_bytes(photo, jpeg([xmp_segment(main), *more, b"\xff", *two]))
    assert (found.title, len(found.tags), found.description) == ("T", 99, "d" * 900)
    for broken in (more[1:], more_xmp_segments(xmp("", "a"), guid=guid[::-1])):
        assert read_bytes(photo, jpeg([xmp_segment(main), *broken])) == Metadata(title="T")


def test_the_date_of_a_jpeg_is_left_to_the_gallery_unless_it_can_not_be_read(photo: Path) -> None:
    dated = (
        xmp("T")
        .replace(b"<dc:title>", b"<dc:title>")
        .replace(
            b"xmlns:dc=",
            b'e:DateTimeOriginal="2001-02-03T04:05:06" '
            b'xmlns:e="http://ns.adobe.com/exif/1.0/" xmlns:dc=',
        )
    )
    content = jpeg([xmp_segment(dated)])
    assert read_bytes(photo, content).date == Moment("2001-02-03 04:05:06")
    found = read_bytes(photo, with_exif(content, b"2018:01:02 03:04:05\0"))
    assert (found.date, found.exif_date) == (None, TAKEN)
    found = read_bytes(photo, with_exif(content, b"0000:00:00 00:00:00\0"))
    assert (found.date, found.exif_date) == (Moment("2001-02-03 04:05:06"), None)


def directory(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return a little-endian directory of tags, types, counts and values of four bytes."""
    packed = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + packed + bytes(4)


def test_a_rating_and_an_artist_of_exif_stand_in_and_bad_values_do_not(photo: Path) -> None:
    artist = (0x13B, 2, 4, b"Ann\0")
    for rating, stars in ((4, 4), (99, 0)):
        block = LITTLE + directory(artist, (0x4746, 3, 1, struct.pack("<HH", rating, 0)))
        found = read_bytes(photo, jpeg([segment(0xE1, b"Exif\0\0" + block)]))
        assert found == Metadata(author="Ann", rating=stars)
    everywhere = struct.pack("<I", 2**32 - 1)
    for hostile in (
        directory((0x8769, 4, 1, struct.pack("<I", 8)), (0x8825, 4, 1, struct.pack("<I", 8))),
        directory((0x13B, 2, 2**32 - 1, everywhere), (0x8769, 4, 1, everywhere)),
        directory((2, 5, 3, everywhere)) * 9,
        b"\xff\xff",
    ):
        assert read_bytes(photo, jpeg([segment(0xE1, b"Exif\0\0" + LITTLE + hostile)])) == (
            Metadata()
        )


def test_iptc_of_tiff_files_in_any_form(photo: Path) -> None:
    data = iptc("Title", "one")
    data += bytes(-len(data) % 4)
    swapped = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    for tag, kind, value in (
        (33723, 7, data),
        (33723, 4, swapped),
        (34377, 1, resources(data)),
    ):
        count = len(value) // 4 if kind == 4 else len(value)
        content = LITTLE + directory((tag, kind, count, struct.pack("<I", 26))) + value
        assert read_bytes(photo, content) == Metadata(title="Title", tags=("one",))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + bytes(4)


def profiles(kind: bytes, mark: bytes, squeeze: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Yield metadata in PNG as ImageMagick writes it."""
    exif = b"Exif\0\0" + LITTLE + directory((0x4746, 3, 1, struct.pack("<HH", 4, 0)))
    for name, data in (
        (b"xmp", xmp("T", "a")),
        (b"iptc", resources(iptc("", "own"))),
        (b"exif", exif),
    ):
        text = b"\n%s\n%8d\n%s\n" % (name, len(data), data.hex("\n", 36).encode())
        yield chunk(kind, b"Raw profile type " + name + mark + squeeze(text))
    yield chunk(kind, b"Raw profile type xmp" + mark + squeeze(b"\nxmp\n1\nno digits"))


def test_compressed_xmp_of_png_and_a_bomb(photo: Path) -> None:
    head = b"XML:com.adobe.xmp\0\1\0\0\0"
    picture = chunk(b"IDAT", bytes(9000)) * 20
    text = chunk(b"iTXt", head + zlib.compress(xmp("T")))
    assert read_bytes(photo, PNG + picture + text + chunk(b"IEND", b"")).title == "T"
    for kind, mark, squeeze in ((b"zTXt", b"\0\0", zlib.compress), (b"tEXt", b"\0", bytes)):
        found = read_bytes(photo, PNG + b"".join(profiles(kind, mark, squeeze)))
        assert (found.title, found.tags, found.rating) == ("T", ("a", "own"), 4)
    bomb = chunk(b"iTXt", head + zlib.compress(bytes(packets.LARGEST + 1), 9))
    photo.write_bytes(PNG + bomb * 9)
    assert read(photo).metadata == Metadata()
    large = [xmp("T" * (packets.LARGEST * 3 // 4), tag) for tag in "ab"]
    texts = b"".join(chunk(b"iTXt", head + zlib.compress(document)) for document in large)
    found = read_bytes(photo, PNG + texts)
    assert (found.tags, len(found.title)) == (("a",), LONGEST_TEXT)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def heif(document: bytes, *, version: int = 1, count: int = 1) -> bytes:
    """Return a HEIF file whose XMP item is inside its `meta` box."""
    entry = box(b"infe", b"\2\0\0\0\0\1\0\0mime\0application/rdf+xml\0")
    half = len(document) // 2
    places = struct.pack(">BxxxBBH", version, 0x44, 0, count)
    places += struct.pack(">HHHH4I", 1, 1, 0, 2, 0, half, half, len(document) - half)
    meta = box(b"iinf", b"\0\0\0\0\0\1" + entry) + box(b"iloc", places) + box(b"idat", document)
    return box(b"ftyp", b"mif1\0\0\0\0") + box(b"meta", bytes(4) + meta)


def test_items_of_heif_inside_its_list(photo: Path) -> None:
    assert read_bytes(photo, heif(xmp("T"))) == Metadata(title="T")
    assert read_bytes(photo, heif(xmp("T"), count=9)) == Metadata()  # the list is cut off


def test_what_is_malformed_is_named_and_the_rest_used(photo: Path) -> None:
    broken = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<no xml")
    photo.write_bytes(jpeg([broken, segment(0xED, b"Photoshop 3.0\0" + resources(iptc("T")))]))
    found = read(photo)
    assert found.metadata.title == "T"
    assert len(found.reasons) == 1
    assert "it is not XML" in found.reasons[0]


@pytest.mark.parametrize("content", [b"", b"no photo", b"\xff\xd8\xff", PNG, LITTLE, b"RIFF"])
def test_other_files_have_no_metadata(photo: Path, content: bytes) -> None:
    assert read_bytes(photo, content) == Metadata()


def test_a_compressed_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    far = packets.BUDGET + packets.HEAD
    tiff = b"II*\0" + struct.pack("<I", far) + bytes(far - 8)
    tiff += directory((0x13B, 2, 4, b"Ann\0"))
    archive = write_zip(tmp_path / "a.zip", {"a.tif": tiff}, method=zipfile.ZIP_DEFLATED)
    assert read(archive / "a.tif").metadata == Metadata()
    (tmp_path / "a.tif").write_bytes(tiff)
    assert read(tmp_path / "a.tif").metadata == Metadata(author="Ann")
