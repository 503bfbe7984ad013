"""The report of every file as a table: CSV for spreadsheets, JSON lines for programs.

Knows rows and how each is written. Rows are written as the outcomes come, in a thread, so that
memory stays flat and the event loop is never held up; an interrupted run leaves what is known.
"""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from anyio import CancelScope, to_thread

from bulkup.events import Event, RunStarted
from bulkup.report.draft import Draft
from bulkup.report.lines import LineWriter
from bulkup.report.records import Row, Rows
from bulkup.report.text import printable, unicode_text
from bulkup.report.ticks import Clock

SCHEMA: Final = 1
COLUMNS: Final = tuple(field.name for field in fields(Row))
FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]")
"""What spreadsheets would take for a formula."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a table begins, and how a row is written."""

    head: str
    line: Callable[[Row], str]


class TableReport:
    """Writes a row for every file: open it with `async with`, hand events to `emit`.

    The file takes its place at the end, if the run began at all. To open it raises `UsageError`
    where that is impossible. What goes wrong later is raised as `OSError`.
    """

    def __init__(self, path: Path, form: Format, *, clock: Clock) -> None:
        self._draft = Draft(path)
        self._form = form
        self._clock = clock
        self._rows = Rows()
        self._lines: LineWriter | None = None  # until it is opened
        self._begun = False

    async def __aenter__(self) -> Self:
        file = await to_thread.run_sync(self._draft.open, self._form.head)
        self._lines = LineWriter(file, owned=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lines is None:
            return
        try:
            await self._lines.close()
            end = self._draft.keep if self._begun else self._draft.discard
            with CancelScope(shield=True):
                await to_thread.run_sync(end)
        except OSError as failure:
            raise self._draft.failure(failure) from None

    def emit(self, event: Event) -> None:
        """Take in an event; write the row that it completes. Raises `OSError` where that fails."""
        self._begun = self._begun or isinstance(event, RunStarted)
        row = self._rows.take(event, self._clock())
        if row is not None and self._lines is not None:
            try:
                self._lines.put(self._form.line(row))
            except OSError as failure:
                raise self._draft.failure(failure) from None


def csv_line(row: Row) -> str:
    """Return a row as comma-separated values, as RFC 4180 has them.

    What a spreadsheet would take for a formula gets an apostrophe before it. Line ends stay, in
    quotes; other characters that show nothing or steer something are escaped.
    """
    return _csv(
        [
            _cell(row.path),
            row.md5,
            str(row.size),
            row.outcome,
            "" if row.image_id is None else str(row.image_id),
            " ".join(map(str, row.albums)),
            str(row.tries),
            "" if row.seconds is None else f"{row.seconds:.3f}",
            _cell(row.reason),
            _cell(row.hint),
        ]
    )


def json_line(row: Row) -> str:
    """Return a row as one JSON object, in ASCII; what is not Unicode is escaped."""
    values = {"schema": SCHEMA, **{name: getattr(row, name) for name in COLUMNS}}
    seconds = None if row.seconds is None else round(row.seconds, 3)
    texts = {name: unicode_text(str(values[name])) for name in ("path", "reason", "hint")}
    return json.dumps(values | texts | {"md5": row.md5 or None, "seconds": seconds}) + "\n"


def _csv(values: list[str]) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()


def _cell(text: str | Path) -> str:
    lines = "\n".join(map(printable, str(text).split("\n")))
    return f"'{lines}" if FORMULA.match(lines) else lines


CSV: Final = Format("\ufeff" + _csv(list(COLUMNS)), csv_line)
"""With the mark by which spreadsheets know UTF-8: read it as `utf-8-sig`."""

JSONL: Final = Format("", json_line)
