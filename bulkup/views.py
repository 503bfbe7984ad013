"""The views of a run that the user asked for.

Knows what there is to look at and to write to, and nothing of runs.
"""

import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

from bulkup.again import again
from bulkup.errors import UsageError
from bulkup.report import (
    CSV,
    JSONL,
    Console,
    HtmlReport,
    JsonReport,
    LineWriter,
    LiveReport,
    LogReport,
    PlainReport,
    QuietReport,
    Report,
    Screen,
    SilentReport,
    TableReport,
    console_for,
    suits_live,
)
from bulkup.settings import Telling


def screen_for(telling: Telling, console: Console | None = None) -> Screen:
    """Return the view that somebody looks at, on stderr."""
    if telling.quiet > 1:
        return SilentReport(clock=time.monotonic)
    console = console or console_for(sys.stderr)
    if telling.quiet:
        return QuietReport(console, clock=time.monotonic)
    if suits_live(console):
        return LiveReport(console, clock=time.monotonic, verbose=telling.verbose)
    return PlainReport(console, clock=time.monotonic, verbose=telling.verbose)


def others_for(telling: Telling) -> dict[str, Report]:
    """Return the other views that are asked for, by the flag that asks.

    Raises `UsageError` where one can't be begun.
    """
    return dict(_others(telling))


def _others(telling: Telling) -> Iterator[tuple[str, Report]]:
    if telling.json:
        # a stream of its own: where nobody reads any more, Python has nothing to flush at its end
        stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
        yield "--json", JsonReport(LineWriter(stream, owned=True), wall_clock=local_time)
    if telling.log_file is not None:
        lines = LineWriter(_opened(telling.log_file, flag="--log-file"), owned=True)
        if telling.log_file.suffix.lower() == ".jsonl":
            yield "--log-file", JsonReport(lines, wall_clock=local_time)
        else:
            yield "--log-file", LogReport(lines, wall_clock=local_time, clock=time.monotonic)
    if telling.report is not None:
        yield "--report", _report_on(Path(os.path.expanduser(telling.report)))  # noqa: PTH111


def _report_on(path: Path) -> Report:
    """Return the report of this ending. Raises `UsageError` where its libraries are missing."""
    match path.suffix.lower():
        case ".csv":
            return TableReport(path, CSV, clock=time.monotonic)
        case ".jsonl":
            return TableReport(path, JSONL, clock=time.monotonic)
    command = again(sys.argv[1:])
    return HtmlReport(path, again=command, clock=time.monotonic, wall_clock=local_time)


def _opened(path: Path, *, flag: str) -> TextIO:
    """Open a file to write behind what it holds. Raises `UsageError`."""
    try:
        return path.expanduser().open("a", encoding="utf-8", errors="backslashreplace")
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{flag} {path} can't be written: {reason}",
            hint="Name a file in a folder that is there and yours.",
        ) from None


def local_time() -> datetime:
    """Return the time of day here, with its zone."""
    return datetime.now().astimezone()
