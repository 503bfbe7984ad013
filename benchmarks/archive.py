"""Archives to measure with: many files of one size and different contents, made quickly."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bulkup.engine.ledger_port import Entry, State
from bulkup.store.ledger import SqliteLedger

HEAD = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100")
NUMBER = 8
FOLDER = 1000
BATCH = 10_000


@dataclass(frozen=True)
class Archive:
    """Files of one size below a folder, a thousand per subfolder."""

    folder: Path
    count: int
    size: int

    @cached_property
    def rest(self) -> bytes:
        """The content of each file after its start."""
        length = self.size - len(start_of(0))
        return (bytes(range(256)) * (length // 256 + 1))[:length]

    @property
    def total(self) -> int:
        """The size of all files in bytes."""
        return self.count * self.size

    def path(self, number: int) -> Path:
        """Return the path of a file by its number, from 0."""
        return self.folder / f"{number // FOLDER:04}" / f"IMG_{number:07}.jpg"

    def paths(self) -> Iterator[Path]:
        """Yield all files."""
        return map(self.path, range(self.count))

    def names(self) -> bytes:
        """Return all paths, each followed by a NUL, for xargs."""
        return b"".join(bytes(path) + b"\0" for path in self.paths())


@contextmanager
def archive(*, count: int, size: int, sparse: bool = False) -> Iterator[Archive]:
    """Write files that start as a JPEG and with their number; `sparse`: the rest is a hole."""
    with tempfile.TemporaryDirectory(prefix="bulkup-") as folder:
        made = Archive(Path(folder), count, size)
        for number, path in enumerate(made.paths()):
            if number % FOLDER == 0:
                path.parent.mkdir()
            with path.open("wb") as file:
                if sparse:
                    file.write(start_of(number))
                    file.truncate(size)
                else:
                    file.write(start_of(number) + made.rest)
        yield made


def sums(made: Archive) -> list[str]:
    """Return the MD5 of each file in hex; the archive must not be sparse."""
    contents = (start_of(number) + made.rest for number in range(made.count))
    return [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in contents]


def start_of(number: int) -> bytes:
    """Return how a file starts."""
    return HEAD + number.to_bytes(NUMBER, "big")


async def record(
    made: Archive, md5s: Sequence[str], *, file: Path, url: str, per_album: int
) -> None:
    """Write a ledger with all files as uploaded: ids from 1, `per_album` photos per album."""
    async with SqliteLedger(file, server=url) as ledger:
        for start in range(0, made.count, BATCH):
            numbers = range(start, min(start + BATCH, made.count))
            await ledger.record([_entry(made, number, md5s, per_album) for number in numbers])


def _entry(made: Archive, number: int, md5s: Sequence[str], per_album: int) -> Entry:
    path = made.path(number)
    return Entry(
        path=path,
        size=made.size,
        mtime_ns=path.stat().st_mtime_ns,
        md5=md5s[number],
        state=State.DONE,
        image_id=number + 1,
        albums=frozenset({1 + number // per_album}),
    )
