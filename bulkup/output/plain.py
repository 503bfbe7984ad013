"""Plain text, a line per event: for pipes, logs, quiet runs and the log file."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from bulkup.events import (
    Event,
    FileStays,
    Interrupted,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoChecked,
    PhotoFailed,
    RunFailed,
    RunStarted,
)
from bulkup.output.phrases import (
    FAINT,
    announce,
    bytes_words,
    count_words,
    limits_words,
    manner,
    outage_words,
    pace_words,
    photos_words,
    summary,
    title,
)
from bulkup.output.sinks import Clock, LineWriter, Periodic, Sleep, WallClock
from bulkup.output.state import RunState
from bulkup.output.text import clock_text, percent, printable

SELDOM = ((60.0, 1), (600.0, 6))
"""So long into a run the figures come every so many times `every_s` …"""

MOST_SELDOM = 12
"""… and from then on every so many: a log that is read the morning after should be short."""


class PlainReport:
    """Writes lines to the console: open it with `async with`, hand events to `emit`.

    The figures come every `every_s` seconds at first and every minute in the end, whether
    something happens or not.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Clock,
        every_s: float = 5.0,
        sleep: Sleep = asyncio.sleep,
        verbose: bool = False,
    ) -> None:
        self.state = RunState()
        self._console = console
        self._clock = clock
        self._verbose = verbose
        self._every_s = every_s
        self._due = 0.0
        self._ticks = Periodic(self._speak_if_due, every_s=every_s, sleep=sleep)

    async def __aenter__(self) -> Self:
        self._ticks.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            write(self._console, *summary(self.state))
        finally:
            self._ticks.stop()

    def emit(self, event: Event) -> None:
        """Take in an event; write the line it is worth."""
        now = self._clock()
        self.state.apply(event, now)
        if isinstance(event, RunStarted):
            write(self._console, Text(title(event)), Text(manner(event), FAINT))
            self._due = now + self._every_s
        elif line := announce(event, verbose=self._verbose, retries=True):
            write(self._console, line)
        self._speak_if_due()

    def _speak_if_due(self) -> None:
        now = self._clock()
        if self.state.started is None or self.state.ended is not None or now < self._due:
            return
        elapsed_s = self.state.elapsed_s(now)
        times = next((times for until, times in SELDOM if elapsed_s < until), MOST_SELDOM)
        self._due = now + times * self._every_s
        write(self._console, figures(self.state, now))


def figures(state: RunState, now: float) -> Text:
    """Return where the run stands, in one line."""
    share = percent(state.reached_size, state.goal_size)
    return Text.assemble(
        (f"[{clock_text(state.elapsed_s(now))}] ", FAINT),
        f"{share}%, " if state.scan_ended else "",
        ", ".join([photos_words(state), bytes_words(state), *pace_words(state, now)]),
        *((f", {words}", FAINT) for words in limits_words(state)),
        *((f", {words}", style) for words, style in count_words(state)),
        (f". {outage}" if (outage := outage_words(state, now)) else "", "yellow"),
    )


def say(console: Console, words: str, *, at: str) -> None:
    """Write a line that belongs to no run, with the time of day."""
    write(console, Text.assemble((f"[{at}] ", FAINT), printable(words)))


def write(console: Console, *lines: Text) -> None:
    """Write the lines whole, however long, in the characters that the console's stream has.

    Where nobody reads any more, or the log's disk is full, they are lost, and the run goes on.
    """
    for line in lines:
        known = line.plain.encode(console.encoding, "backslashreplace").decode(console.encoding)
        with suppress(OSError):
            console.print(line if known == line.plain else Text(known), soft_wrap=True)


WRONG = PhotoFailed | PhotoChecked | FileStays | OutageBegan | OutageEnded | Interrupted | Noticed


class SilentReport:
    """Says nothing, and knows in the end what became of the run, for its exit code."""

    def __init__(self, *, clock: Clock) -> None:
        self.state = RunState()
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say nothing."""

    def emit(self, event: Event) -> None:
        """Take in an event."""
        self.state.apply(event, self._clock())


class QuietReport(SilentReport):
    """Writes failures, outages, warnings and, however the run ended, the summary."""

    def __init__(self, console: Console, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._console = console

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        write(self._console, *summary(self.state))

    def emit(self, event: Event) -> None:
        """Take in an event; write its line if it tells of something wrong."""
        super().emit(event)
        if isinstance(event, WRONG) and (line := announce(event)):
            write(self._console, line)


class LogReport:
    """Writes lines such as `2026-11-23 20:15:00 uploaded a.jpg`; each photo gets one.

    `wall_clock` returns aware times; they stand there as they are. `clock` is in seconds.
    """

    def __init__(self, lines: LineWriter, *, wall_clock: WallClock, clock: Clock) -> None:
        self._lines = lines
        self._wall_clock = wall_clock
        self._clock = clock
        self._state = RunState()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for line in summary(self._state):
                self._write(line.plain)
        finally:
            await self._lines.close()

    def emit(self, event: Event) -> None:
        """Write what the event is worth. Raises `OSError` where that fails."""
        self._state.apply(event, self._clock())
        match event:
            case RunStarted():
                self._write(f"{title(event)}: {manner(event)}")
            case RunFailed():
                hint = f" ({printable(event.hint)})" if event.hint else ""
                self._write(f"impossible: {printable(event.reason)}{hint}")
            case _:
                if line := announce(event, verbose=True):
                    self._write(line.plain)

    def _write(self, words: str) -> None:
        time = self._wall_clock().isoformat(sep=" ", timespec="seconds")
        self._lines.put(f"{time} {words}".rstrip() + "\n")
