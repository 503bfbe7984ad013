"""JSON for programs: its encoding, and events as one object a line, written by a thread."""

import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self, TextIO

from anyio import CancelScope, to_thread

from bulkup.events import SCHEMA, Event, PhotoProgress, to_dict
from bulkup.output.text import unicode_text

MAX_WAITING: Final = 200_000


class LineWriter:
    """Writes lines to a stream in order, in a thread of its own, so that the run never waits.

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


WallClock = Callable[[], datetime]


class JsonReport:
    """Writes events as JSON lines; `PhotoProgress` only `with_progress`.

    `wall_clock` returns aware times.
    """

    def __init__(
        self, lines: LineWriter, *, wall_clock: WallClock, with_progress: bool = False
    ) -> None:
        self._lines = lines
        self._wall_clock = wall_clock
        self._with_progress = with_progress

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._lines.close()

    def emit(self, event: Event) -> None:
        """Write the event. Raises `OSError` if that fails."""
        if isinstance(event, PhotoProgress) and not self._with_progress:
            return
        line = {"schema": SCHEMA, "time": utc_text(self._wall_clock()), **to_dict(event)}
        self._lines.put(json_text(line) + "\n")


def json_text(values: Mapping[str, object], *, indent: int | None = None) -> str:
    """Return a JSON object in ASCII, so that it passes through any stream unchanged."""
    return json.dumps(plain(values), indent=indent)


def plain(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a value as JSON has it: paths as text, invalid Unicode as backslash escapes."""
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
