"""A row for each photo under way: its name, a bar, how much of it, how fast, and what it does.

Knows one photo at a time, widths and colours. The narrower the row, the fewer columns it has.
"""

from dataclasses import dataclass

from rich.text import Text

from bulkup.report.flight import FileInReading, PhotoInFlight
from bulkup.report.text import brief_text, clip, fit, percent, printable, rate_text, size_text
from bulkup.report.words import FAINT, GOOD, WARNING

GAP = "  "
PERCENT = 4
SIZE = 7
AMOUNT = 18
RATE = 9
DOING = 14
PERCENT_FROM, RATE_FROM, AMOUNT_FROM = 70, 94, 118  # cells of the row
PARENT_FROM = 28  # cells of the name from which on the folder is shown too
IDLE_S = 2.0  # a photo of which nothing went out for so long waits

HALF = "╸"
SENDING = "cyan"


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide the columns are in cells; 0 for one that is left out."""

    name: int
    bar: int
    percent: int
    amount: int
    rate: int

    @classmethod
    def within(cls, width: int) -> "Columns":
        """Share out the width of a row."""
        share = PERCENT if width >= PERCENT_FROM else 0
        amount = AMOUNT if width >= AMOUNT_FROM else SIZE
        rate = RATE if width >= RATE_FROM else 0
        others = [column for column in (share, amount, rate, DOING) if column]
        room = width - sum(others) - len(GAP) * len(others)
        if room < 20:
            return cls(name=max(room, 4), bar=0, percent=share, amount=amount, rate=rate)
        name = max(12, (room - len(GAP)) * 55 // 100)
        bar = room - len(GAP) - name
        return cls(name=name, bar=bar, percent=share, amount=amount, rate=rate)


def row(photo: PhotoInFlight | FileInReading, now: float, columns: Columns) -> Text:
    """Return the row of a photo; of a name both ends stay."""
    name = photo.path.name
    if columns.name >= PARENT_FROM and photo.path.parent.name:
        name = f"{photo.path.parent.name}/{name}"
    sent = photo.sent if isinstance(photo, PhotoInFlight) else 0
    rate = photo.rate if isinstance(photo, PhotoInFlight) else None
    pace = rate_text(rate) if rate is not None else ""
    doing, style = doing_words(photo, now)
    if doing == "sending" and not columns.rate and pace:
        doing = pace
    parts: list[str | Text | tuple[str, str]] = [fit(printable(name), columns.name)]
    if columns.bar:
        parts += [GAP, _way(photo, columns.bar)]
    if columns.percent:
        parts += [GAP, f"{percent(sent, photo.size):>{columns.percent - 1}}%"]
    amount = size_text(photo.size)
    if columns.amount > SIZE:
        amount = f"{size_text(sent)} of {amount}"
    parts += [GAP, (fit(amount, columns.amount, right=True), FAINT)]
    if columns.rate:
        parts += [GAP, (fit(pace, columns.rate, right=True), "" if doing == "sending" else FAINT)]
    parts += [GAP, (fit(doing, DOING), style)]
    line = Text.assemble(*parts)
    line.rstrip()
    return line


def bar(part: float, whole: float, width: int, *, style: str) -> Text:
    """Return a bar that is full when all is done; it reads without colours too."""
    halves = 2 * width if part >= whole else int(2 * width * part / whole)
    filled = "━" * (halves // 2) + HALF * (halves % 2)
    return Text.assemble((filled, style), ("─" * (width - len(filled)), FAINT))


def _way(photo: PhotoInFlight | FileInReading, width: int) -> Text:
    """Return how far a photo is, or why it gets no further."""
    if isinstance(photo, FileInReading):
        return Text("─" * width, FAINT)
    if photo.trouble:
        return Text(fit(clip(printable(photo.trouble), width), width), WARNING)
    style = GOOD if photo.finishing else SENDING
    return bar(photo.sent, photo.size, width, style=style)


def doing_words(photo: PhotoInFlight | FileInReading, now: float) -> tuple[str, str]:
    """Return what goes on with a photo, and for how long."""
    if isinstance(photo, FileInReading):
        return f"hashing {brief_text(now - photo.since)}", FAINT
    if photo.trouble:
        rest_s = photo.again_at - now
        return (f"again in {brief_text(rest_s)}" if rest_s >= 1 else "again"), WARNING
    if photo.finishing_since is not None:
        since_s = now - photo.finishing_since
        return (f"finishing {brief_text(since_s)}" if since_s >= 1 else "finishing"), GOOD
    idle_s = now - photo.moved
    if idle_s >= IDLE_S:
        return f"waiting {brief_text(idle_s)}", FAINT
    return ("sending", "") if photo.attempt == 1 else (f"try {photo.attempt}", WARNING)
