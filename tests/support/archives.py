"""Writers of zip archives, intact and hostile."""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path


def write_zip(
    path: Path, contents: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED
) -> Path:
    """Write an archive with these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, (2019, 7, 1, 12, 0, 0)), content, method)
    return path


def patch_headers(path: Path, *, offset: int, value: bytes, member: int = 0) -> None:
    """Overwrite bytes of a member's entry in the directory at the end of an archive."""
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(member + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    data[at + offset : at + offset + len(value)] = value
    path.write_bytes(data)


FLAGS, METHOD, CRC, SIZE, LOCAL = 8, 10, 16, 24, 42
"""Offsets of fields in an entry."""


def number(value: int, *, size: int = 4) -> bytes:
    """Return a number as archives store it."""
    return struct.pack("<I" if size == 4 else "<H", value)
