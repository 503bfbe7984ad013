"""Reads IPTC data (IIM), as photo files hold it in Photoshop's resources or by itself."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bulkup.source.metadata import Metadata, Moment, distinct, line, parse_date, prose

MOST_RESOURCES: Final = 1000
MOST_DATASETS: Final = 2000
IPTC_RESOURCE: Final = 0x0404
SIGNATURES: Final = frozenset({b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa"})
MARK: Final = 0x1C

CHARSET, TITLE, KEYWORD, DATE, TIME = (1, 90), (2, 5), (2, 25), (2, 55), (2, 60)
AUTHOR, HEADLINE, DESCRIPTION = (2, 80), (2, 105), (2, 120)
UTF8: Final = b"\x1b%G"
FULL: Final = 64
"""Bytes of a keyword from which on programs may have truncated it."""


@dataclass(frozen=True, slots=True)
class IptcData:
    """The fields of a block of IPTC data.

    `certain` is whether the encoding is known; otherwise, texts that are not ASCII may be wrong.
    """

    metadata: Metadata
    headline: str = ""
    certain: bool = True


def find_iptc(resources: bytes) -> bytes:
    """Return the IPTC data among Photoshop's resources, empty if there is none."""
    at = 0
    for _ in range(MOST_RESOURCES):
        if resources[at : at + 4] not in SIGNATURES:
            return b""
        head = resources[at + 4 : at + 7]
        size_at = at + 6 + _even(head[2] + 1 if len(head) == 3 else 0)
        size = resources[size_at : size_at + 4]
        if len(size) < 4:
            return b""
        start, length = size_at + 4, int.from_bytes(size, "big")
        if int.from_bytes(head[:2], "big") == IPTC_RESOURCE:
            return resources[start : start + length]
        at = start + _even(length)
    return b""


def _even(number: int) -> int:
    return number + number % 2


def read_iptc(data: bytes) -> IptcData:
    """Parse IPTC data; what is cut off or malformed is left out."""
    fields: defaultdict[tuple[int, int], list[bytes]] = defaultdict(list)
    for name, value in _datasets(data):
        fields[name].append(value)
    declared = fields[CHARSET][:1] == [UTF8]
    certain = True

    def texts(name: tuple[int, int]) -> Iterator[str]:
        nonlocal certain
        for value in fields[name]:
            try:
                yield value.decode()
            except UnicodeDecodeError:
                certain = certain and declared  # then, a character was cut in half
                # what Windows programs write; Piwigo guesses the same
                yield value.decode("utf-8" if declared else "cp1252", "replace")

    def first(name: tuple[int, int]) -> str:
        return next(iter(texts(name)), "")

    headline = line(first(HEADLINE))
    metadata = Metadata(
        title=line(first(TITLE)),
        description=prose(first(DESCRIPTION)),
        author=", ".join(distinct(map(line, texts(AUTHOR)))),
        date=_date(first(DATE), first(TIME)),
        tags=distinct(map(line, texts(KEYWORD))),
    )
    return IptcData(metadata, headline, certain)


def _datasets(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield record and number of each dataset with its value."""
    at = data.find(MARK)
    for _ in range(MOST_DATASETS):
        if at < 0 or data[at : at + 1] != bytes([MARK]) or at + 5 > len(data):
            return
        record, number, size = struct.unpack_from(">BBH", data, at + 1)
        at += 5
        if size & 0x8000:  # a longer one, whose size follows
            length = size & 0x7FFF
            size = int.from_bytes(data[at : at + length], "big") if length <= 4 else len(data)
            at += length
        if at + size > len(data):
            return
        yield (record, number), data[at : at + size]
        at += size


def _date(day: str, time: str) -> Moment | None:
    """Return the date of `20210814` and `180327+0200`, of which the time may be missing."""
    if len(day) != 8:
        return None
    text = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    timed = f"{text}T{time[:2]}:{time[2:4]}:{time[4:6]}"
    return parse_date(timed) or parse_date(text)
