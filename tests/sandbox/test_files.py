"""Recognition of picture files by their headers, and the date of their EXIF block."""

import struct
from pathlib import Path

import pytest

from bulkup.sandbox.files import Picture, sniff
from tests.support.embedded import FOLDER as EMBEDDED
from tests.support.embedded import iptc, jpeg_with_iptc
from tests.support.gallery_client import JPEG
from tests.support.photos import with_exif

PAYLOADS = Path(__file__).parents[1] / "contract/transcripts/payloads"
SIZE = (640 - 1).to_bytes(3, "little") + (480 - 1).to_bytes(3, "little")
BITS = struct.pack("<I", (640 - 1) | (480 - 1) << 14)
MADE = {
    "exif.jpg": JPEG[:2] + b"\xff\xe1" + struct.pack(">H", 60_000) + bytes(59_998) + JPEG[2:],
    "lossless.webp": b"RIFF" + bytes(4) + b"WEBPVP8L" + bytes(4) + b"\x2f" + BITS + bytes(9),
    "extended.webp": b"RIFF" + bytes(4) + b"WEBPVP8X" + bytes(8) + SIZE,
}


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("a.jpg", Picture("image/jpeg", "jpg", 64, 48)),
        ("header-only.jpg", Picture("image/jpeg")),
        ("exif.jpg", Picture("image/jpeg", "jpg", 64, 48)),
        ("a.png", Picture("image/png", "png", 32, 24)),
        ("a.gif", Picture("image/gif", "gif", 32, 24)),
        ("a.webp", Picture("image/webp", "webp", 32, 24)),
        ("lossless.webp", Picture("image/webp", "webp", 640, 480)),
        ("extended.webp", Picture("image/webp", "webp", 640, 480)),
        ("a.tif", Picture("image/tiff", "", 24, 24)),
        ("a.bmp", Picture("image/bmp")),
        ("fake.heic", Picture("image/heic")),
        ("fake.mp4", Picture("video/mp4")),
        ("fake.svg", Picture("image/svg+xml", "", 8, 8)),
        ("text.txt", Picture("text/plain")),
        ("zero.bin", Picture("application/x-empty")),
    ],
)
def test_a_file_is_what_its_first_bytes_show(name: str, picture: Picture) -> None:
    assert sniff(MADE.get(name) or (PAYLOADS / name).read_bytes()) == picture


def test_a_date_of_exif_counts_if_a_calendar_has_it() -> None:
    whole = with_exif(JPEG, b"2019:07:01 14:03:22\0")
    assert sniff(whole).taken == "2019-07-01 14:03:22"
    for date in (b"2012:03:32 10:20:30\0", b"    :  :     :  :  \0", b"2019\0"):
        assert sniff(with_exif(JPEG, date)).taken is None
    # a photo that ends in its EXIF block
    assert {sniff(whole[:length]).taken for length in range(80)} == {None}


def test_texts_of_iptc_are_read_from_jpegs_and_dates_also_from_tiffs_as_php_reads_them() -> None:
    jpeg, tiff = (sniff((EMBEDDED / f"photo.{kind}").read_bytes()) for kind in ("jpg", "tif"))
    assert {number: jpeg.iptc[number] for number in (5, 25, 80, 120)} == {
        5: ("IPTC title é",),
        25: ("sea", "iptc only ü"),
        80: ("Bea",),
        120: ("IPTC caption",),
    }
    assert not tiff.iptc
    assert jpeg.taken == tiff.taken == "2018-01-02 03:04:05"
    guessed = sniff(jpeg_with_iptc(iptc("\0Œuf", encoding="cp1252", declared=False)))
    assert guessed.iptc == {5: ("Œuf",)}
