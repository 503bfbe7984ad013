"""The interface of outputs, several outputs as one, a redraw timer, and a writer thread."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from queue import SimpleQueue
from typing import Final, Protocol, Self, TextIO

from anyio import CancelScope, to_thread

from bulkup.events import Event, Noticed
from bulkup.output.state import RunState

Clock = Callable[[], float]
WallClock = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]


class Periodic:
    """Calls `tick` every `every_s` seconds between `start` and `stop`."""

    def __init__(self, tick: Callable[[], None], *, every_s: float, sleep: Sleep) -> None:
        self._tick = tick
        self._every_s = every_s
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start a task in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Stop the task. Raises the exception that `tick` raised, which is a bug."""
        task, self._task = self._task, None
        if task is None or task.cancel() or task.cancelled():
            return
        task.result()

    async def _run(self) -> None:
        while True:
            await self._sleep(self._every_s)
            self._tick()


class Report(Protocol):
    """An output of a run. If `emit` raises `OSError`, the output gets no more events."""

    def emit(self, event: Event) -> None:
        """Apply an event."""

    async def __aenter__(self) -> Self:
        """Open the output."""

    async def __aexit__(self, *_: object) -> None:
        """Write the end of the output and close it, however the run ended."""


class Screen(Report, Protocol):
    """The output for the user, which also keeps the state of the run."""

    @property
    def state(self) -> RunState:
        """The state of the run."""


class StateReport:
    """An output that keeps the state of the run, and shows nothing; others are based on it."""

    def __init__(self, *, clock: Clock) -> None:
        self.state = RunState()
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Show nothing."""

    def emit(self, event: Event) -> None:
        """Apply an event."""
        self.state.apply(event, self._clock())


class Outputs:
    """A screen, and other outputs by their flags, as one output.

    The screen closes last, so that it can show which other output failed.
    """

    def __init__(self, screen: Screen, others: Mapping[str, Report]) -> None:
        self._screen = screen
        self._others = others
        self._opened: dict[str, Report] = {}
        self._given_up: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._screen.__aenter__()
        try:
            for name, view in self._others.items():
                await view.__aenter__()
                self._opened[name] = view
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            for name, view in self._opened.items():
                try:
                    await view.__aexit__(*error)
                except OSError as failure:
                    self._give_up(name, failure)
        finally:
            await self._screen.__aexit__(*error)

    def emit(self, event: Event) -> None:
        """Pass the event to each output."""
        self._screen.emit(event)
        for name, view in self._opened.items():
            if name not in self._given_up:
                try:
                    view.emit(event)
                except OSError as failure:
                    self._give_up(name, failure)

    def _give_up(self, name: str, failure: OSError) -> None:
        """Stop using an output that failed, and notify the user once."""
        if name not in self._given_up:
            self._given_up.add(name)
            self._screen.emit(
                Noticed(
                    message=f"{name} is incomplete: {failure.strerror or failure}",
                    hint="The upload is not affected.",
                )
            )


MAX_WAITING: Final = 200_000


class LineWriter:
    """Writes lines to a stream in order, in a separate thread, so that the run never waits.

    With `owned`, `close` closes the stream too.
    """

    def __init__(self, stream: TextIO, *, owned: bool = False) -> None:
        self._stream = stream
        self._owned = owned
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="bulkup-lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue a line, which includes its line end.

        Raises `OSError` if an earlier line could not be written, or if too many are queued.
        """
        if self._failure is not None:
            raise self._failure
        if self._waiting.qsize() > MAX_WAITING:
            raise BlockingIOError(f"{MAX_WAITING:,} lines are queued: the reader is too slow")
        self._waiting.put(line)

    async def close(self) -> None:
        """Write what is queued, even if cancelled. Raises `OSError` if that fails."""
        self._waiting.put(None)
        with CancelScope(shield=True):
            await to_thread.run_sync(self._thread.join)
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        try:
            while (line := self._waiting.get()) is not None:
                self._stream.write(line)
                if self._waiting.empty():
                    self._stream.flush()
        except OSError as error:
            self._failure = error
        finally:
            self._end()

    def _end(self) -> None:
        try:
            if self._owned:
                self._stream.close()
            else:
                self._stream.flush()
        except OSError as error:
            self._failure = self._failure or error
