"""Reads the directories of TIFF files and EXIF blocks, which have the same structure."""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bulkup.source.metadata import MAX_STARS, Moment, Position, line, parse_date, position

Read = Callable[[int, int], bytes]
"""Returns bytes from an offset on, given it and their number; fewer at the end of the data."""

MOST_ENTRIES: Final = 1000
LARGEST_TEXT: Final = 4096
SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value by its type."""

SHORT: Final = 3
LONG: Final = 4

ARTIST: Final = 0x13B
RATING: Final = 0x4746
EXIF: Final = 0x8769
GPS: Final = 0x8825
TAKEN: Final = 0x9003
LATITUDE_SIDE, LATITUDE, LONGITUDE_SIDE, LONGITUDE = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a directory: a value, or where it is if it has more than four bytes."""

    kind: int
    size: int
    field: bytes


Directory = Mapping[int, Entry]
"""Entries by their tags."""


class Tiff:
    """A TIFF structure. Raises `ValueError` if the data is not one."""

    def __init__(self, read: Read) -> None:
        header = read(0, 8)
        self._order = {b"II*\0": "<", b"MM\0*": ">"}.get(header[:4], "")
        if not self._order or len(header) < 8:
            raise ValueError("not TIFF")
        self._read = read
        (self._first,) = struct.unpack(f"{self._order}4xI", header)

    def directory(self, at: int | None = None) -> Directory:
        """Return the entries of a directory, by default of the first one; none where it is cut."""
        at = self._first if at is None else at
        start = self._read(at, 2)
        if len(start) < 2:
            return {}
        (count,) = struct.unpack(f"{self._order}H", start)
        table = self._read(at + 2, 12 * min(count, MOST_ENTRIES))
        entries: dict[int, Entry] = {}
        for number in range(len(table) // 12):
            tag, kind, values, field = struct.unpack_from(
                f"{self._order}HHI4s", table, 12 * number
            )
            if size := SIZES.get(kind, 0) * values:
                entries.setdefault(tag, Entry(kind, size, field))
        return entries

    def place(self, entry: Entry) -> int:
        """Return where the value of an entry is, if it is not in the entry itself."""
        return int(struct.unpack(f"{self._order}I", entry.field)[0])

    def value(self, entry: Entry, *, limit: int = LARGEST_TEXT) -> bytes:
        """Return the value of an entry; nothing if it has more bytes than `limit`."""
        if entry.size > limit:
            return b""
        if entry.size <= 4:
            return entry.field[: entry.size]
        return self._read(self.place(entry), entry.size)

    def number(self, entry: Entry) -> int | None:
        """Return an integer, None if the value is another one."""
        form = {SHORT: "H2x", LONG: "I"}.get(entry.kind)
        return int(struct.unpack(self._order + form, entry.field)[0]) if form else None

    def fractions(self, entry: Entry) -> list[float]:
        """Return up to three numbers, each stored as a fraction; fewer if one is invalid."""
        data = self.value(entry)[:24]
        numbers = []
        for above, below in struct.iter_unpack(f"{self._order}II", data[: len(data) // 8 * 8]):
            if not below:
                break
            numbers.append(above / below)
        return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Exif:
    """The EXIF data of a photo, as far as galleries use it; empty values and None are unknown."""

    date: Moment | None = None
    author: str = ""
    rating: int = 0
    position: Position | None = None


def read_exif(tiff: Tiff, main: Directory | None = None) -> Exif:
    """Return the EXIF data in the main directory, which may have been read already, and below."""
    main = tiff.directory() if main is None else main
    below = _below(tiff, main, (EXIF, GPS))
    exif, gps = below.get(EXIF, {}), below.get(GPS, {})
    rating = tiff.number(main[RATING]) if RATING in main else 0
    return Exif(
        date=parse_date(_text(tiff, exif, TAKEN)),
        author=line(_text(tiff, main, ARTIST)),
        rating=rating if rating and 0 < rating <= MAX_STARS else 0,
        position=position(
            _degrees(tiff, gps, LATITUDE, LATITUDE_SIDE),
            _degrees(tiff, gps, LONGITUDE, LONGITUDE_SIDE),
        ),
    )


def _below(tiff: Tiff, main: Directory, tags: Iterable[int]) -> dict[int, Directory]:
    """Return the directories at these tags, read in the order in which they are stored."""
    places = [(tiff.number(main[tag]) or 0, tag) for tag in tags if tag in main]
    return {tag: tiff.directory(at) for at, tag in sorted(places) if at}


def _text(tiff: Tiff, directory: Directory, tag: int) -> str:
    if tag not in directory:
        return ""
    data = tiff.value(directory[tag]).partition(b"\0")[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _degrees(tiff: Tiff, gps: Directory, tag: int, side: int) -> float | None:
    """Return the degrees of a coordinate, None if it is incomplete."""
    numbers = tiff.fractions(gps[tag]) if tag in gps else []
    if not numbers:
        return None
    degrees = sum(number / 60.0**power for power, number in enumerate(numbers))
    return -degrees if _text(tiff, gps, side).strip().upper() in {"S", "W"} else degrees
