"""Files for programs: events as JSON lines, and tables of photos as CSV or JSON lines."""

import csv
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, Final, Self, TextIO

from anyio import CancelScope, to_thread

from bulkup import events
from bulkup.errors import UsageError
from bulkup.output.sinks import Clock, LineWriter, WallClock
from bulkup.output.text import printable, unicode_text


class JsonReport:
    """Writes events as JSON lines, except `PhotoProgress`.

    `wall_clock` returns times with a time zone.
    """

    def __init__(self, lines: LineWriter, *, wall_clock: WallClock) -> None:
        self._lines = lines
        self._wall_clock = wall_clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lines.close()

    def emit(self, event: events.Event) -> None:
        """Write the event. Raises `OSError` if that fails."""
        if isinstance(event, events.PhotoProgress):
            return
        line = {
            "schema": events.SCHEMA,
            "time": utc_text(self._wall_clock()),
            **events.to_dict(event),
        }
        self._lines.put(json_text(line) + "\n")


def json_text(values: Mapping[str, object], *, indent: int | None = None) -> str:
    """Return a JSON object in ASCII, so that it passes through any stream unchanged."""
    return json.dumps(plain(values), indent=indent)


def plain(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return the value for JSON: paths as text, invalid Unicode as backslash escapes."""
    match value:
        case str() | Path():
            return unicode_text(value)
        case Mapping():
            return {unicode_text(str(key)): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return value


def utc_text(time: datetime) -> str:
    """Return a time in UTC: 2024-07-01T12:00:00.005Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class AtomicFile:
    """A file that is named FILE.part until `keep` renames it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")

    def open(self, head: str = "") -> TextIO:
        """Open the file and write its `head`.

        Raises `UsageError` if the file can't be written.
        """
        if self.path.is_dir():
            raise UsageError(f"{self.path} is a folder", hint="--report needs a file name.")
        if not self.path.parent.is_dir():
            raise UsageError(
                f"the folder of the report does not exist: {self.path.parent}",
                hint="Create it first, or give --report another path.",
            )
        try:
            file = self.part.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            file.write(head)
            file.flush()
        except OSError as error:
            with suppress(OSError):
                file.close()  # writes the buffer again, which may fail too
            self.discard()
            raise self._unwritable(error) from None
        return file

    def keep(self) -> None:
        """Rename the complete file. Raises `OSError`."""
        self.part.replace(self.path)

    def discard(self) -> None:
        """Delete the incomplete file."""
        self.part.unlink(missing_ok=True)

    def failure(self, error: OSError) -> OSError:
        """Return an error that also names the incomplete file."""
        return OSError(f"{error.strerror or error}; the incomplete file is {self.part}")

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(
            f"the report {self.path} can't be written: {error.strerror or error}",
            hint="Give --report a path that you can write to.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The outcome of a file; its fields are the columns in their order.

    `size` is in bytes, `md5` in hex, `tries` counts the attempts to send the photo, and `seconds`
    are measured from its first byte sent, None if none was.
    """

    path: Path
    md5: str = ""
    size: int
    outcome: str
    image_id: int | None = None
    albums: tuple[int, ...] = ()
    tries: int = 0
    seconds: float | None = None
    reason: str = ""
    hint: str = ""


class Rows:
    """Turns the events of one run into rows."""

    def __init__(self) -> None:
        self._started: dict[Path, tuple[int, float]] = {}  # attempts, start of the first

    def take(self, event: events.Event, now: float) -> Row | None:
        """Apply an event that happened `now`, in seconds; return the row that it completes."""
        if isinstance(event, events.PhotoStarted):
            _, began = self._started.get(event.path, (0, now))
            self._started[event.path] = (event.attempt, began)
        if not isinstance(event, events.Outcome):
            return None
        tries, began = self._started.pop(event.path, (0, now))
        row = Row(
            path=event.path,
            md5=getattr(event, "md5", ""),
            size=event.size,
            outcome=event.outcome,
            image_id=getattr(event, "image_id", None),
            albums=getattr(event, "albums", ()),
            tries=tries,
            seconds=now - began if tries else None,
            reason=getattr(event, "reason", ""),
            hint=getattr(event, "hint", ""),
        )
        match event:
            case events.PhotoUploaded():
                outcome = "replaced" if event.replaced else row.outcome
                return replace(row, outcome=outcome, tries=event.attempts, seconds=event.seconds)
            case events.PhotoPresent(linked=True):
                return replace(row, outcome="linked")
        return row


ROW_SCHEMA: Final = 1
COLUMNS: Final = tuple(field.name for field in fields(Row))
FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]")
"""Text that spreadsheets would evaluate as a formula."""


@dataclass(frozen=True, slots=True)
class Format:
    """The beginning of a table, and the function that formats a row."""

    head: str
    line: Callable[[Row], str]


class TableReport:
    """Writes a row for every file: open it with `async with`, pass events to `emit`.

    The file gets its name at the end, and only if the run started. Opening raises `UsageError` if
    the file can't be written; later failures raise `OSError`.
    """

    def __init__(self, path: Path, form: Format, *, clock: Clock) -> None:
        self._draft = AtomicFile(path)
        self._form = form
        self._clock = clock
        self._rows = Rows()
        self._lines: LineWriter | None = None  # until it is opened
        self._run_started = False

    async def __aenter__(self) -> Self:
        file = await to_thread.run_sync(self._draft.open, self._form.head)
        self._lines = LineWriter(file, owned=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._lines is None:
            return
        try:
            await self._lines.close()
            end = self._draft.keep if self._run_started else self._draft.discard
            with CancelScope(shield=True):
                await to_thread.run_sync(end)
        except OSError as failure:
            raise self._draft.failure(failure) from None

    def emit(self, event: events.Event) -> None:
        """Apply an event and write the row that it completes. Raises `OSError` if that fails."""
        self._run_started = self._run_started or isinstance(event, events.RunStarted)
        row = self._rows.take(event, self._clock())
        if row is not None and self._lines is not None:
            try:
                self._lines.put(self._form.line(row))
            except OSError as failure:
                raise self._draft.failure(failure) from None


def csv_line(row: Row) -> str:
    """Return a row as comma-separated values by RFC 4180.

    Text that a spreadsheet would evaluate as a formula gets an apostrophe before it. Line ends
    stay, in quotes; other control characters are escaped.
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
    """Return a row as one JSON object."""
    values = {"schema": ROW_SCHEMA, **{name: getattr(row, name) for name in COLUMNS}}
    seconds = None if row.seconds is None else round(row.seconds, 3)
    values |= {"md5": row.md5 or None, "seconds": seconds}
    return json_text(values) + "\n"


def _csv(values: list[str]) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()


def _cell(text: str | Path) -> str:
    lines = "\n".join(map(printable, str(text).split("\n")))
    return f"'{lines}" if FORMULA.match(lines) else lines


CSV: Final = Format("\ufeff" + _csv(list(COLUMNS)), csv_line)
"""Starts with a byte order mark, by which spreadsheets recognise UTF-8: read as `utf-8-sig`."""

JSONL: Final = Format("", json_line)
