"""Builds the outputs of a run from their options, and the command line without secrets."""

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TextIO
from urllib.parse import urlsplit, urlunsplit

from rich.console import Console

from bulkup.errors import UsageError
from bulkup.events import Emit, Event, Noticed
from bulkup.output.files import CSV, JSONL, JsonReport, TableReport
from bulkup.output.html import HtmlReport
from bulkup.output.live import LiveReport, suits_live
from bulkup.output.options import OutputOptions
from bulkup.output.plain import LogReport, PlainReport, QuietReport
from bulkup.output.sinks import LineWriter, Report, Screen, StateReport
from bulkup.output.text import console_for

if TYPE_CHECKING:
    from bulkup.output.monitor.server import Monitor
    from bulkup.output.notify import Service

HIDDEN: Final = "…"
SECRET_NAME: Final = re.compile(
    r"password|passphrase|secret|token|key(?!word)|auth|notify|command|header|proxy"
)
FILE: Final = re.compile(r"-(file|path)$")
"""The value of a flag for a file name is not secret."""


def command_line(arguments: Sequence[str]) -> str:
    """Return the command line of these arguments for a shell, without secrets.

    It omits the values of flags whose names suggest a secret, and the user, the password and the
    query of addresses.
    """
    return " ".join(["bulkup", *map(quoted, _shown(arguments))])


def _shown(arguments: Sequence[str]) -> Iterator[str]:
    hide, flags_end = False, False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        is_flag = argument.startswith("--") and not flags_end
        flags_end = flags_end or argument == "--"
        if hide and not is_flag:
            hide = False
            yield HIDDEN
        elif is_flag and SECRET_NAME.search(name) and not FILE.search(name):
            hide = not equals
            yield f"{name}={HIDDEN}" if equals else name
        elif is_flag and equals:
            yield f"{name}={_address(value)}"
        else:
            hide = False
            yield _address(argument)


def _address(text: str) -> str:
    """Return an address without its credentials; any other text unchanged."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return HIDDEN
    query = HIDDEN if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, HIDDEN if parts.fragment else ""))


def quoted(argument: str) -> str:
    r"""Return the argument for a shell; unprintable characters as escapes: $'a\x1b.jpg'."""
    if argument.isprintable():
        return shlex.quote(argument)
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}"
        for byte in os.fsencode(argument)
    )
    return f"$'{escaped}'"


class LongLivedOutputs:
    """The monitor and the notification services, which outlive a run of `bulkup watch`.

    Open it with `async with`; `others` returns its outputs for one run. Once it is open,
    `greeting` contains the address of the monitor, if there is one. `clock` is in seconds.

    The constructor raises `UsageError` if a service is unknown or its library is missing; opening
    raises it if the monitor can't listen on its address.
    """

    def __init__(self, options: OutputOptions, *, clock: Callable[[], float]) -> None:
        self.greeting: Noticed | None = None
        self._clock = clock
        self._monitor: Monitor | None = None
        self._services: list[Service] = []
        if options.listen is not None:
            from bulkup.output.monitor import server  # noqa: PLC0415 (heavy)

            self._monitor = server.Monitor(options.listen, clock=clock)
        if options.notify:
            from bulkup.output import notify  # noqa: PLC0415 (heavy)

            self._services = notify.services(options.notify)

    async def __aenter__(self) -> Self:
        if self._monitor is not None:
            await self._monitor.__aenter__()
            self.greeting = Noticed(
                message=f"the run is shown at {self._monitor.address}", hint=""
            )
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._monitor is not None:
            await self._monitor.__aexit__(*error)

    def others(self, notice: Emit) -> dict[str, Report]:
        """Return the outputs of one run by their flags; failures are emitted to `notice`."""
        others: dict[str, Report] = {}
        if self._monitor is not None:
            others["--monitor"] = _MonitorOfRun(self._monitor, ignore=self.greeting)
        if self._services:
            from bulkup.output.notify import Notifier  # noqa: PLC0415 (heavy)

            others["--notify"] = Notifier(self._services, notice=notice, clock=self._clock)
        return others


class _MonitorOfRun:
    """The monitor as an output of one run: it stays open when the run ends."""

    def __init__(self, monitor: "Monitor", *, ignore: Event | None) -> None:
        self._monitor = monitor
        self._ignore = ignore

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._monitor.end()

    def emit(self, event: Event) -> None:
        if event is not self._ignore:  # readers of the page know its address
            self._monitor.emit(event)


def screen_for(options: OutputOptions, console: Console | None = None) -> Screen:
    """Return the output for the user, on stderr."""
    if options.quiet > 1:
        return StateReport(clock=time.monotonic)
    console = console or console_for(sys.stderr)
    if options.quiet:
        return QuietReport(console, clock=time.monotonic)
    if suits_live(console):
        return LiveReport(console, clock=time.monotonic, verbose=options.verbose)
    return PlainReport(console, clock=time.monotonic, verbose=options.verbose)


def others_for(options: OutputOptions) -> dict[str, Report]:
    """Return the other outputs of the options, by their flags.

    Raises `UsageError` if one can't be opened.
    """
    return dict(_others(options))


def _others(options: OutputOptions) -> Iterator[tuple[str, Report]]:
    if options.json:
        # a separate stream: if the reader is gone, Python must not fail to flush stdout at exit
        stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
        yield "--json", JsonReport(LineWriter(stream, owned=True), wall_clock=local_time)
    if options.log_file is not None:
        lines = LineWriter(_append_to(options.log_file, flag="--log-file"), owned=True)
        if options.log_file.suffix.lower() == ".jsonl":
            yield "--log-file", JsonReport(lines, wall_clock=local_time)
        else:
            yield "--log-file", LogReport(lines, wall_clock=local_time, clock=time.monotonic)
    if options.report is not None:
        yield "--report", _report_for(Path(os.path.expanduser(options.report)))  # noqa: PTH111


def _report_for(path: Path) -> Report:
    """Return the report for this file extension. Raises `UsageError` if a library is missing."""
    match path.suffix.lower():
        case ".csv":
            return TableReport(path, CSV, clock=time.monotonic)
        case ".jsonl":
            return TableReport(path, JSONL, clock=time.monotonic)
    command = command_line(sys.argv[1:])
    return HtmlReport(path, command=command, clock=time.monotonic, wall_clock=local_time)


def _append_to(path: Path, *, flag: str) -> TextIO:
    """Open a file for appending. Raises `UsageError`."""
    try:
        return path.expanduser().open("a", encoding="utf-8", errors="backslashreplace")
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{flag} {path} can't be written: {reason}",
            hint="Name a file in an existing folder that you can write to.",
        ) from None


def local_time() -> datetime:
    """Return the local time with its time zone."""
    return datetime.now().astimezone()
