"""Tables of metadata: a row for each photo, found by its path or name."""

import posixpath
import re
import unicodedata
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from json import dumps, loads
from pathlib import Path
from typing import Final

from bulkup.source.cells import (
    COLUMNS,
    TableFile,
    Values,
    columns_of,
    plain,
    read_albums,
    read_cells,
)
from bulkup.source.files import is_gone
from bulkup.source.metadata import Metadata
from bulkup.source.spreadsheets import Row, read_rows
from bulkup.source.zips import is_zip

DRIVE: Final = re.compile(r"[A-Za-z]:/|//")

BLOCK: Final = 64
BLOCK_SIZE: Final = 256 * 1024
"""Rows, and characters, that are compressed together."""

KEPT_BLOCKS: Final = 8
NO_RANK: Final = -1
MOST_PROBLEMS: Final = 10_000
"""Problems that are kept with their lines; others are only counted."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row of a table, or a part of it, is not used."""

    line: int
    path: str
    reason: str


class Table:
    """The rows of a table file, and which photo each is for.

    A row's path is absolute, or relative to one of `roots`, to the folder that one is in, to the
    table's folder or to the current one. A row whose path has no folder, or that of another
    machine, is found by its file name, if no other row and no other photo has it: `count` tells
    the names of photos. Names are compared in NFC, and where this is unambiguous without regard
    to case. Of two rows for one photo, the later one applies.

    Reads the file: create it in a worker thread. Raises `UsageError` if it can't be used.
    """

    def __init__(self, file: TableFile, *, roots: Sequence[Path]) -> None:
        self.file = file
        self.problems: list[RowProblem] = []
        self.problem_count = 0
        self.has_levels = False
        self._ranks = array("i")
        self._covers: set[int] = set()
        self._here = _text(Path.cwd())
        self._set_bases(roots)
        self._rows = _PackedRows()
        self._lines = array("I")
        self._exact = array("q")
        paths, names = array("q"), array("q")
        by_name = array("I")
        for row, written in self._read():
            number = len(self._lines)
            key = self._key(written)
            self._rows.append(row.cells)
            self._lines.append(row.line)
            self._exact.append(hash(key))
            paths.append(_folded_hash(key))
            if "/" not in key or (_is_absolute(key) and not self._is_below_root(key)):
                by_name.append(number)
                names.append(_folded_hash(key.rpartition("/")[2]))
        self._rows.close()
        self._by_path = _Index(paths, range(len(paths)))
        self._by_name = _Index(names, by_name)
        self._photos_named = bytearray(len(names))
        self._replaced = frozenset(self._find_replaced())

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def needs_names(self) -> bool:
        """Whether some rows may be found by file names, which have to be counted first."""
        return bool(self._photos_named)

    def count(self, photo: Path) -> None:
        """Count the name of a photo that may have a row."""
        place, end = self._by_name.range(_folded_hash(_nfc(photo.name)))
        if place < end:
            self._photos_named[place] = min(self._photos_named[place] + 1, 2)

    def rows_of(self, photo: Path) -> Sequence[int]:
        """Return the numbers of the rows for a photo, the one that applies last.

        Reads no files.
        """
        exact: set[int] = set()
        alike: set[int] = set()
        for _, written in self._candidates(photo):
            if rows := self._left(self._by_path.rows(_folded_hash(written))):
                spelled = hash(written)
                exact.update(row for row in rows if self._exact[row] == spelled)
                alike.update(rows if len(rows) == 1 else ())
        return sorted(exact or alike) or self._named(photo.name)

    def metadata_of(self, photo: Path) -> Metadata | None:
        """Return the metadata of a photo, None if it has no row. Call it in a worker thread."""
        cells = self._cells(photo)
        return None if cells is None else read_cells(cells)

    def _cells(self, photo: Path) -> Mapping[str, str] | None:
        """Return the cells of a photo's row by their fields, None if it has no row."""
        rows = self.rows_of(photo)
        if not rows or self._belongs_to_another(rows[-1], photo):
            return None
        return dict(zip(self._fields, self._rows[rows[-1]], strict=True))

    @property
    def has_ranks(self) -> bool:
        """Whether there is a column of ranks."""
        return "rank" in self._fields

    def mark_of(self, photo: Path) -> tuple[int | None, bool]:
        """Return a photo's rank, and whether it is a cover. Reads no files."""
        if not (rows := self.rows_of(photo)):
            return None, False
        rank = self._ranks[rows[-1]]
        return None if rank == NO_RANK else rank, rows[-1] in self._covers

    @property
    def has_albums(self) -> bool:
        """Whether there is a column of albums."""
        return "albums" in self._fields

    def albums_of(self, photo: Path) -> Sequence[Sequence[str]]:
        """Return the albums of a photo, as paths of names. Call it in a worker thread."""
        cells = self._cells(photo)
        return read_albums(cells["albums"]) if cells and self.has_albums else ()

    def row(self, number: int) -> tuple[int, str]:
        """Return the line and the path of a row, as it is written."""
        return self._lines[number], self._rows[number][0]

    def is_ambiguous(self, number: int) -> bool:
        """Return whether a row that is for no photo has a file name that several have."""
        name = _folded_hash(self._key(self._rows[number][0]).rpartition("/")[2])
        place, end = self._by_name.range(name)
        rows = self._by_name.rows(name)
        return number in rows and (end - place > 1 or self._photos_named[place] > 1)

    def is_replaced(self, number: int) -> bool:
        """Return whether a later row has the same path."""
        return number in self._replaced

    def _set_bases(self, roots: Sequence[Path]) -> None:
        """Set the folders that paths may be relative to, and other paths of the same folders."""
        self._roots: list[str] = []
        self._aliases: list[tuple[str, str]] = []
        bases = []
        for root in roots:
            path, real = _nfc(self._absolute(root)), _nfc(_text(root.resolve()))
            folder = root.is_dir() or is_zip(root)
            self._roots += [path, real]
            if path != real:
                self._aliases.append((_inside(path), _inside(real)))
            for each in dict.fromkeys((path, real)):
                bases += [each] * folder + [posixpath.dirname(each)]
        self._folder = _nfc(posixpath.dirname(self._absolute(self.file.path)))
        bases += [self._folder, _nfc(self._here)]
        self._bases = [_inside(base) for base in dict.fromkeys(bases)]

    def _read(self) -> Iterator[tuple[Row, str]]:
        """Yield the rows with a path, cut down to the columns that are used, its path first."""
        path, headings = self.file.path, set(map(plain, self.file.columns.values()))
        known = headings | {name for names in COLUMNS.values() for name in names}
        with closing(read_rows(path, is_column=lambda name: plain(name) in known)) as rows:
            head = next(rows, None)
            places = columns_of([] if head is None else head.cells, self.file)
            self._fields = tuple(places)
            yield from self._used(rows, places)

    def _used(self, rows: Iterator[Row], places: Mapping[str, int]) -> Iterator[tuple[Row, str]]:
        for row in rows:
            cells = [row.cells[at] if at < len(row.cells) else "" for at in places.values()]
            written = cells[0].strip()
            reasons = [row.problem] if row.problem else []
            if not (written or reasons):
                reasons = ["it names no photo"]
            values = Values(dict(zip(places, cells, strict=True)))
            self.has_levels = self.has_levels or bool(values.level)
            for reason in [*reasons, *values.problems]:
                self.problem_count += 1
                if self.problem_count <= MOST_PROBLEMS:
                    self.problems.append(RowProblem(row.line, written, reason))
            if written and not row.problem:
                if values.cover:
                    self._covers.add(len(self._ranks))
                self._ranks.append(NO_RANK if values.rank is None else values.rank)
                yield Row(row.line, cells), written

    def _key(self, written: str) -> str:
        """Return a row's path as `_candidates` has it."""
        key = _nfc(posixpath.normpath(written.strip().replace("\\", "/")))
        if key == ".." or key.startswith("../"):
            key = posixpath.normpath(f"{self._folder}/{key}")
        return key

    def _absolute(self, path: Path) -> str:
        text = _text(path)
        return posixpath.normpath(text if _is_absolute(text) else f"{self._here}/{text}")

    def _is_below_root(self, key: str) -> bool:
        return any(key == root or key.startswith(_inside(root)) for root in self._roots)

    def _candidates(self, photo: Path) -> Iterator[tuple[str, str]]:
        """Yield the paths that a photo's row may have, each with the folder that it is below."""
        path = _nfc(self._absolute(photo))
        names = [real + path[len(here) :] for here, real in self._aliases if path.startswith(here)]
        for name in (path, *names):
            yield "", name
            for base in self._bases:
                if name.startswith(base):
                    yield base, name[len(base) :]

    def _left(self, rows: "array[int]") -> Sequence[int]:
        """Return the rows that no later one of the same path replaces."""
        return [row for row in rows if row not in self._replaced] if self._replaced else rows

    def _named(self, name: str) -> Sequence[int]:
        """Return the row for the only photo of this name."""
        key = _folded_hash(_nfc(name))
        place, end = self._by_name.range(key)
        if place == end or self._photos_named[place] > 1:
            return []
        rows = self._left(self._by_name.rows(key))
        return rows if len(rows) == 1 else []

    def _belongs_to_another(self, number: int, photo: Path) -> bool:
        """Return whether a row is for a file whose name differs from the photo's only in case."""
        key = self._key(self._rows[number][0])
        folded = _folded(key)
        alike = {name: base for base, name in self._candidates(photo) if _folded(name) == folded}
        if not alike or key in alike:
            return False
        other = Path(next(iter(alike.values())) + key)
        return not is_gone(other) and not _is_same(other, photo)

    def _find_replaced(self) -> Iterator[int]:
        """Yield the rows that have the same path as a later one."""
        for rows in self._by_path.repeated():
            seen: set[int] = set()
            for row in reversed(rows):
                if self._exact[row] in seen:
                    yield row
                seen.add(self._exact[row])


class _Index:
    """The numbers of rows by a key, in 12 bytes each."""

    def __init__(self, keys: "array[int]", rows: Sequence[int]) -> None:
        order = sorted(range(len(keys)), key=keys.__getitem__)  # keeps the order of equal ones
        self._keys = array("q", (keys[at] for at in order))
        self._rows = array("I", (rows[at] for at in order))

    def range(self, key: int) -> tuple[int, int]:
        """Return where the rows of a key begin and end."""
        begin = bisect_left(self._keys, key)
        return begin, bisect_right(self._keys, key, begin)

    def rows(self, key: int) -> "array[int]":
        """Return the rows of a key in their order."""
        begin, end = self.range(key)
        return self._rows[begin:end]

    def repeated(self) -> Iterator["array[int]"]:
        """Yield the rows of each key that has several."""
        begin = 0
        for at in range(1, len(self._keys) + 1):
            if at == len(self._keys) or self._keys[at] != self._keys[begin]:
                if at - begin > 1:
                    yield self._rows[begin:at]
                begin = at


class _PackedRows:
    """The texts of rows, compressed: a table may have hundreds of thousands."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._starts = array("I", [0])  # the number of the first row of each block
        self._open: list[Sequence[str]] = []
        self._left = BLOCK_SIZE
        self._unpack = lru_cache(maxsize=KEPT_BLOCKS)(self._unpacked)

    def append(self, cells: Sequence[str]) -> None:
        """Add a row."""
        self._open.append(cells)
        self._left -= sum(map(len, cells))
        if len(self._open) == BLOCK or self._left <= 0:
            self.close()

    def close(self) -> None:
        """Compress the rows that were added last."""
        self._blocks.append(zlib.compress(dumps(self._open).encode(), 1))
        self._starts.append(self._starts[-1] + len(self._open))
        self._open, self._left = [], BLOCK_SIZE

    def __getitem__(self, number: int) -> Sequence[str]:
        block = bisect_right(self._starts, number) - 1
        return self._unpack(block)[number - self._starts[block]]

    def _unpacked(self, block: int) -> Sequence[Sequence[str]]:
        rows: Sequence[Sequence[str]] = loads(zlib.decompress(self._blocks[block]))
        return rows


def _text(path: Path) -> str:
    return str(path).replace("\\", "/")


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or DRIVE.match(path) is not None


def _inside(folder: str) -> str:
    return folder if folder.endswith("/") else f"{folder}/"


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return _nfc(text.casefold())


def _folded_hash(text: str) -> int:
    return hash(_folded(text))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
