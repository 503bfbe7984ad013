"""Text for terminals: printable names, widths, sizes, rates, durations."""

import re
import unicodedata
from math import ceil
from pathlib import Path
from typing import TextIO

from rich.cells import cell_len, get_character_cell_size, set_cell_size
from rich.console import Console

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, surrogate, line ends
UNITS = ("kB", "MB", "GB", "TB", "PB")


def printable(text: str | Path) -> str:
    r"""Return the text with each character that controls a terminal escaped: \n, \x1b, \u202e.

    A byte of a file name that is not valid Unicode becomes \xff.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        _escaped(each) if unicodedata.category(each) in HARMFUL else each for each in text
    )


def unicode_text(text: str | Path) -> str:
    """Return the text with invalid Unicode as backslash escapes."""
    return re.sub(r"[\ud800-\udfff]", lambda each: _escaped(each[0]), str(text))


def _escaped(character: str) -> str:
    """Return a character as a backslash escape, a surrogate-escaped byte as that byte."""
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def shorten(text: str, width: int) -> str:
    """Return the text in at most `width` cells, cut in the first half if it is longer."""
    if cell_len(text) <= width:
        return text
    if width < 2:
        return "…"[:width]
    head = (width - 1) // 3
    end = _take(text[::-1], width - 1 - head)[::-1]
    while end and get_character_cell_size(end[0]) == 0:  # an accent without its letter
        end = end[1:]
    return set_cell_size(_take(text, head) + "…" + end, width).rstrip()


def clip(text: str, width: int) -> str:
    """Return the text in at most `width` cells, cut at its end if it is longer."""
    if cell_len(text) <= width:
        return text
    return (_take(text, width - 1).rstrip() + "…")[: max(0, width)]


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return the text in exactly `width` cells, shortened or padded."""
    text = shorten(text, width)
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def _take(text: str, width: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += get_character_cell_size(character)
        if taken > width:
            return text[:index]
    return text


def size_text(size: float) -> str:
    """Return a size in bytes with three digits: 87 B, 1.23 MB, 45.6 MB, 789 MB."""
    if round(size) < 1000:
        return f"{round(size)} B"
    for unit in UNITS:
        size /= 1000
        for digits, bound in ((2, 9.995), (1, 99.95), (0, 999.5)):
            if size < bound:
                return f"{size:.{digits}f} {unit}"
    return f"{size:,.0f} {UNITS[-1]}"


def rate_text(rate: float) -> str:
    """Return bytes per second."""
    return f"{size_text(rate)}/s"


def time_text(seconds: float) -> str:
    """Return a duration in its two largest units: 45 s, 12 min 5 s, 1 h 5 min, 2 d 3 h."""
    rest = round(seconds)
    days, rest = divmod(rest, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(
        f"{count} {unit}" for index, (count, unit) in enumerate(parts[:2]) if count or not index
    )


def brief_text(seconds: float) -> str:
    """Return a duration in its largest unit, rounded down: 45 s, 12 min, 3 h, 2 d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def estimate_text(seconds: float) -> str:
    """Return a duration rounded up as an estimate: 45 s, 3 min 20 s, 25 min."""
    for grain, bound in ((1, 60), (10, 600), (60, 3_600)):
        if seconds < bound:
            return time_text(max(1, ceil(seconds / grain)) * grain)
    return time_text(ceil(seconds / 300) * 300)


def clock_text(seconds: float) -> str:
    """Return a duration as on a stopwatch: 0:05, 12:34, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(part: float, whole: float) -> int:
    """Return the part in percent, rounded down, so that 100 means all; 100 if the whole is 0."""
    return 100 if part >= whole else int(100 * part / whole)


def console_for(stream: TextIO) -> Console:
    """Return a console on the stream. It uses colours only on terminals, and not with NO_COLOR."""
    return Console(file=stream, highlight=False, markup=False, emoji=False)
