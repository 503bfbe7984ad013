"""Plain text, a line per event: for pipes, logs, quiet runs and the log file."""

import asyncio
from contextlib import suppress
from typing import Final, Self

from rich.console import Console
from rich.text import Text

from bulkup import events
from bulkup.output import phrases
from bulkup.output.phrases import FAINT
from bulkup.output.sinks import Clock, LineWriter, Periodic, Sleep, StateReport, WallClock
from bulkup.output.state import RunState
from bulkup.output.text import clock_text, percent, printable

EVERY_S: Final = 5.0
INTERVALS: Final = ((60.0, 1), (600.0, 6))
"""Pairs of a time since the start, in seconds, and the progress line's interval until then, in
multiples of `EVERY_S`."""

LAST_INTERVAL: Final = 12
"""The interval for the rest of the run, so that the log of a long run is short."""


class PlainReport(StateReport):
    """Writes lines to the console: open it with `async with`, pass events to `emit`.

    A progress line is written every 5 seconds at first and every minute later, even if nothing
    happens.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        verbose: bool = False,
    ) -> None:
        super().__init__(clock=clock)
        self._console = console
        self._verbose = verbose
        self._due = 0.0
        self._ticks = Periodic(self._write_if_due, every_s=EVERY_S, sleep=sleep)

    async def __aenter__(self) -> Self:
        self._ticks.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            write(self._console, *phrases.summary(self.state))
        finally:
            self._ticks.stop()

    def emit(self, event: events.Event) -> None:
        """Apply an event and write its line."""
        super().emit(event)
        if isinstance(event, events.RunStarted):
            write(self._console, Text(phrases.title(event)), Text(phrases.manner(event), FAINT))
            self._due = self.state.latest + EVERY_S
        elif line := phrases.event_text(event, verbose=self._verbose, retries=True):
            write(self._console, line)
        self._write_if_due()

    def _write_if_due(self) -> None:
        now = self._clock()
        if self.state.started is None or self.state.ended is not None or now < self._due:
            return
        elapsed_s = self.state.elapsed_s(now)
        times = next((times for until, times in INTERVALS if elapsed_s < until), LAST_INTERVAL)
        self._due = now + times * EVERY_S
        write(self._console, figures(self.state, now))


def figures(state: RunState, now: float) -> Text:
    """Return the progress line."""
    share = percent(state.reached_size, state.goal_size)
    return Text.assemble(
        (f"[{clock_text(state.elapsed_s(now))}] ", FAINT),
        f"{share}%, " if state.scan_ended else "",
        ", ".join(
            [
                phrases.photos_words(state),
                phrases.bytes_words(state),
                *phrases.pace_words(state, now),
            ]
        ),
        *((f", {words}", FAINT) for words in phrases.limits_words(state)),
        *((f", {words}", style) for words, style in phrases.count_words(state)),
        (f". {outage}" if (outage := phrases.outage_words(state, now)) else "", "yellow"),
    )


def say(console: Console, words: str, *, at: str) -> None:
    """Write a line that is not part of a run, with the time of day `at`."""
    write(console, Text.assemble((f"[{at}] ", FAINT), printable(words)))


def write(console: Console, *lines: Text) -> None:
    """Write lines without wrapping them, with characters that the stream can't encode escaped.

    If the reader is gone or the disk is full, the lines are lost and the run continues.
    """
    for line in lines:
        known = line.plain.encode(console.encoding, "backslashreplace").decode(console.encoding)
        with suppress(OSError):
            console.print(line if known == line.plain else Text(known), soft_wrap=True)


PROBLEMS = (
    events.PhotoFailed
    | events.PhotoChecked
    | events.FileNotMoved
    | events.ArrangementDiffers
    | events.OutageBegan
    | events.OutageEnded
    | events.Interrupted
    | events.Noticed
)


class QuietReport(StateReport):
    """Writes failures, outages, warnings and, however the run ended, the summary."""

    def __init__(self, console: Console, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._console = console

    async def __aexit__(self, *_: object) -> None:
        write(self._console, *phrases.summary(self.state))

    def emit(self, event: events.Event) -> None:
        """Apply an event and write its line if it is a problem."""
        super().emit(event)
        if isinstance(event, PROBLEMS) and (line := phrases.event_text(event)):
            write(self._console, line)


class LogReport(StateReport):
    """Writes lines such as `2026-11-23 20:15:00 uploaded a.jpg`; each photo gets one.

    `wall_clock` returns times with a time zone, which are written in that zone. `clock` is in
    seconds.
    """

    def __init__(self, lines: LineWriter, *, wall_clock: WallClock, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._lines = lines
        self._wall_clock = wall_clock

    async def __aexit__(self, *_: object) -> None:
        try:
            for line in phrases.summary(self.state):
                self._write(line.plain)
        finally:
            await self._lines.close()

    def emit(self, event: events.Event) -> None:
        """Write the line for an event. Raises `OSError` if that fails."""
        super().emit(event)
        match event:
            case events.RunStarted():
                self._write(f"{phrases.title(event)}: {phrases.manner(event)}")
            case events.RunFailed():
                hint = f" ({printable(event.hint)})" if event.hint else ""
                self._write(f"run failed: {printable(event.reason)}{hint}")
            case _:
                if line := phrases.event_text(event, verbose=True):
                    self._write(line.plain)

    def _write(self, words: str) -> None:
        time = self._wall_clock().isoformat(sep=" ", timespec="seconds")
        self._lines.put(f"{time} {words}".rstrip() + "\n")
