"""Headers of picture files."""

import struct
from pathlib import Path

import pytest

from bulkup.sandbox.files import Picture, sniff

PAYLOADS = Path(__file__).parents[1] / "contract/transcripts/payloads"


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("a.jpg", Picture("image/jpeg", "jpg", 64, 48)),
        ("header-only.jpg", Picture("image/jpeg")),
        ("a.png", Picture("image/png", "png", 32, 24)),
        ("a.gif", Picture("image/gif", "gif", 32, 24)),
        ("a.webp", Picture("image/webp", "webp", 32, 24)),
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
    assert sniff((PAYLOADS / name).read_bytes()) == picture


def test_the_size_of_a_jpeg_stands_behind_its_exif_block() -> None:
    jpeg = (PAYLOADS / "a.jpg").read_bytes()
    exif = b"\xff\xe1" + struct.pack(">H", 60_000) + bytes(59_998)
    assert sniff(jpeg[:2] + exif + jpeg[2:]) == Picture("image/jpeg", "jpg", 64, 48)


@pytest.mark.parametrize(
    ("written", "taken"),
    [(b"2012:02:29 10:20:30", "2012-02-29 10:20:30"), (b"2012:03:32 10:20:30", None)],
)
def test_a_date_of_exif_counts_if_a_calendar_has_it(written: bytes, taken: str | None) -> None:
    jpeg = (PAYLOADS / "a.jpg").read_bytes()
    tiff = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    tiff += struct.pack(">HHHIII", 1, 0x9003, 2, 20, 44, 0) + written + b"\0"
    block = b"Exif\0\0" + tiff
    exif = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    assert sniff(jpeg[:2] + exif + jpeg[2:]).taken == taken


def test_the_size_of_a_lossless_webp() -> None:
    bits = (640 - 1) | (480 - 1) << 14
    head = b"RIFF\x00\x00\x00\x00WEBPVP8L\x00\x00\x00\x00\x2f" + struct.pack("<I", bits) + bytes(9)
    assert sniff(head) == Picture("image/webp", "webp", 640, 480)


def test_the_size_of_an_extended_webp() -> None:
    size = (640 - 1).to_bytes(3, "little") + (480 - 1).to_bytes(3, "little")
    head = b"RIFF\x00\x00\x00\x00WEBPVP8X" + bytes(8) + size
    assert sniff(head) == Picture("image/webp", "webp", 640, 480)
