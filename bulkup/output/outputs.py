"""Builds the outputs of a run from their options; removes secrets from the command they show."""

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TextIO
from urllib.parse import urlsplit, urlunsplit

from rich.console import Console

from bulkup.errors import UsageError
from bulkup.events import Emit, Event, Noticed
from bulkup.output.files import CSV, JSONL, JsonReport, TableReport
from bulkup.output.html import HtmlReport
from bulkup.output.live import LiveReport, suits_live
from bulkup.output.options import OutputOptions
from bulkup.output.plain import LogReport, PlainReport, QuietReport, SilentReport
from bulkup.output.sinks import LineWriter, Report, Screen
from bulkup.output.text import console_for

if TYPE_CHECKING:
    from bulkup.output.monitor.server import Monitor
    from bulkup.output.notify import Service

HIDDEN: Final = "…"
TELLTALE: Final = re.compile(r"password|passphrase|secret|token|key|auth|notify|command|header")
FILE: Final = re.compile(r"-(file|path)$")
"""The name of a file is no secret, whatever lies in it."""


def again(arguments: Sequence[str]) -> str:
    """Return the command of these arguments, as a shell takes it.

    The values of flags that are named like a secret are left out, and of addresses the user, the
    password and the query.
    """
    return " ".join(["bulkup", *map(_quoted, _shown(arguments))])


def _shown(arguments: Sequence[str]) -> Iterator[str]:
    hide, flags_end = False, False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        is_flag = argument.startswith("--") and not flags_end
        flags_end = flags_end or argument == "--"
        if hide and not is_flag:
            hide = False
            yield HIDDEN
        elif is_flag and TELLTALE.search(name) and not FILE.search(name):
            hide = not equals
            yield f"{name}={HIDDEN}" if equals else name
        elif is_flag and equals:
            yield f"{name}={_address(value)}"
        else:
            hide = False
            yield _address(argument)


def _address(text: str) -> str:
    """Return an address without what could let somebody in; anything else as it is."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return HIDDEN
    query = HIDDEN if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, HIDDEN if parts.fragment else ""))


def _quoted(argument: str) -> str:
    r"""Return the argument for a shell; what can't be seen in it as escapes: $'a\x1b.jpg'."""
    if argument.isprintable():
        return shlex.quote(argument)
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}"
        for byte in os.fsencode(argument)
    )
    return f"$'{escaped}'"


class LongLivedOutputs:
    """Open with `async with`; `others` are its views of one run. `clock` in seconds.

    Once it is open, `greeting` says where the monitor is, if there is one.

    Raises `UsageError` where a service is none or its library is missing; opening does where the
    monitor can't have its address.
    """

    def __init__(self, telling: OutputOptions, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._monitor = _monitor_for(telling, clock)
        self._services = _services_for(telling)
        self.greeting: Noticed | None = None

    async def __aenter__(self) -> Self:
        if self._monitor is not None:
            await self._monitor.__aenter__()
            self.greeting = Noticed(
                message=f"the run is shown at {self._monitor.address}", hint=""
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._monitor is not None:
            await self._monitor.__aexit__(kind, error, trace)

    def others(self, notice: Emit) -> dict[str, Report]:
        """Return the views of one run, by the flag that asks; `notice` hears what fails."""
        others: dict[str, Report] = {}
        if self._monitor is not None:
            others["--monitor"] = _Lent(self._monitor, deaf_to=self.greeting)
        if self._services:
            from bulkup.output.notify import Notifier  # noqa: PLC0415 (heavy)

            others["--notify"] = Notifier(self._services, notice=notice, clock=self._clock)
        return others


def _monitor_for(telling: OutputOptions, clock: Callable[[], float]) -> "Monitor | None":
    if telling.listen is None:
        return None

    from bulkup.output.monitor.server import Monitor  # noqa: PLC0415 (heavy)

    return Monitor(telling.listen, clock=clock)


def _services_for(telling: OutputOptions) -> "list[Service]":
    if not telling.notify:
        return []

    from bulkup.output.notify import services  # noqa: PLC0415 (heavy)

    return services(telling.notify)


class _Lent:
    """The monitor as a view of one run: it stays open when the run ends."""

    def __init__(self, monitor: "Monitor", *, deaf_to: Event | None) -> None:
        self._monitor = monitor
        self._deaf_to = deaf_to

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._monitor.end()

    def emit(self, event: Event) -> None:
        if event is not self._deaf_to:  # whoever looks on has found it
            self._monitor.emit(event)


def screen_for(telling: OutputOptions, console: Console | None = None) -> Screen:
    """Return the view that somebody looks at, on stderr."""
    if telling.quiet > 1:
        return SilentReport(clock=time.monotonic)
    console = console or console_for(sys.stderr)
    if telling.quiet:
        return QuietReport(console, clock=time.monotonic)
    if suits_live(console):
        return LiveReport(console, clock=time.monotonic, verbose=telling.verbose)
    return PlainReport(console, clock=time.monotonic, verbose=telling.verbose)


def others_for(telling: OutputOptions) -> dict[str, Report]:
    """Return the other views that are asked for, by the flag that asks.

    Raises `UsageError` where one can't be begun.
    """
    return dict(_others(telling))


def _others(telling: OutputOptions) -> Iterator[tuple[str, Report]]:
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
