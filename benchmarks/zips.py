"""Zip archives as they are: the memory of a run over 20 GB, and the speed beside folders.

The 20 GB are sparse archives with stored videos, which are read and sent in full. For the speed,
the same photos are uploaded in turn from folders and from archives that store them, as Google
Takeout does. The fastest upload of each counts: other programs can only slow one down.
"""

import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from archive import Archive, archive, start_of
from frame import Figure, Missing, Weighed, bulkup, main
from hosting import Host
from memory import figure

PARTS = 10
VIDEOS = 20
VIDEO = 1_000_000_000
ROUNDS = 5
COUNT = 150
SIZE = 4_000_000
LEAST = 0.9

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
NOON, DAY = 12 << 11, (2019 - 1980) << 9 | 7 << 5 | 1
ZEROS = bytes(16 * 2**20)


async def figures() -> AsyncIterator[Figure]:
    """Upload the archives."""
    if sys.platform != "linux":
        raise Missing("no /proc on this system")
    total = VIDEOS * VIDEO // 10**9
    yield figure(f"memory: {PARTS} zip archives of {total} GB", await large())
    seconds: dict[str, list[float]] = {"folders": [], "archives": []}
    with archive(count=COUNT, size=SIZE) as photos, stored(photos) as parts:
        for _ in range(ROUNDS):
            seconds["folders"].append((await upload([photos.folder], count=COUNT)).seconds)
            seconds["archives"].append((await upload(parts, count=COUNT)).seconds)
    folders, archives = (photos.total / 1e6 / min(each) for each in seconds.values())
    yield Figure(
        f"zip archives, {COUNT} photos of 4 MB, beside folders",
        f"≥ {LEAST} × the speed",
        f"{archives / folders:.2f} × ({archives:.0f} and {folders:.0f} MB/s)",
        archives >= LEAST * folders,
    )


async def large() -> Weighed:
    """Return the cost of a run over 20 GB."""
    with tempfile.TemporaryDirectory(prefix="bulkup-") as folder:
        parts = [Path(folder) / f"part-{part:02}.zip" for part in range(PARTS)]
        for part, path in enumerate(parts):
            write_sparse(path, range(part, VIDEOS, PARTS))
        return await upload(parts, "--method", "upload", count=VIDEOS)


async def upload(paths: Sequence[Path], *flags: str, count: int) -> Weighed:
    """Return the cost of uploading so many photos. Raises `RuntimeError`."""
    async with Host() as host:
        url = await host.start({})
        more = ("--album", "1", "--finishing", "4", "--no-ledger", *flags)
        cost = await bulkup(*paths, *more, url=url)
        if (stats := await host.stop()).once != count:
            raise RuntimeError(f"{stats.once} photos arrived")
    return cost


@contextmanager
def stored(photos: Archive) -> Iterator[list[Path]]:
    """Write an archive's files to two zip archives."""
    with tempfile.TemporaryDirectory(prefix="bulkup-") as folder:
        parts = [Path(folder) / f"part-{part}.zip" for part in range(2)]
        for part, path in enumerate(parts):
            with zipfile.ZipFile(path, "w") as file:
                for number in range(part, photos.count, len(parts)):
                    photo = photos.path(number)
                    file.write(photo, photo.relative_to(photos.folder))
        yield parts


def write_sparse(path: Path, numbers: Sequence[int]) -> None:
    """Write a zip archive of stored videos, of which all but the start is a hole."""
    directory = b""
    with path.open("wb") as file:
        for number in numbers:
            name, start, offset = f"VID_{number:04}.jpg".encode(), start_of(number), file.tell()
            about = (20, 0, 0, NOON, DAY, _crc(start, VIDEO), VIDEO, VIDEO, len(name), 0)
            file.write(LOCAL.pack(b"PK\3\4", *about) + name + start)
            file.seek(VIDEO - len(start), 1)
            directory += CENTRAL.pack(b"PK\1\2", 20, *about, 0, 0, 0, 0, offset) + name
        begin = file.tell()
        end = (0, 0, len(numbers), len(numbers), len(directory), begin, 0)
        file.write(directory + END.pack(b"PK\5\6", *end))


def _crc(start: bytes, size: int) -> int:
    """Return the CRC-32 of a start, followed by zeros up to a size."""
    crc, left = zlib.crc32(start), size - len(start)
    while left:
        crc = zlib.crc32(ZEROS[:left], crc)
        left -= min(left, len(ZEROS))
    return crc


if __name__ == "__main__":
    main(figures, about=__doc__)
