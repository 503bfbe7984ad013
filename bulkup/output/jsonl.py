"""Events as JSON, an object a line, written without holding up the run."""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self, TextIO

from anyio import CancelScope, to_thread

from bulkup.events import SCHEMA, Event, PhotoProgress
from bulkup.output.text import unicode_text

MOST_WAITING: Final = 200_000


class LineWriter:
    """Writes lines to a stream, in order; `close` ends it. With `owned`, it closes the stream."""

    def __init__(self, stream: TextIO, *, owned: bool = False) -> None:
        self._stream = stream
        self._owned = owned
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="bulkup-lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Have a line written, that ends as it stands here.

        Raises `OSError` where an earlier one could not be written, or too many are waiting.
        """
        if self._failure is not None:
            raise self._failure
        if self._waiting.qsize() > MOST_WAITING:
            raise BlockingIOError(f"{MOST_WAITING:,} lines wait for whoever is to read them")
        self._waiting.put(line)

    async def close(self) -> None:
        """Write what is left, even under cancellation. Raises `OSError` where that fails."""
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

    `wall_clock` returns aware times. Lines are ASCII, so they pass through any stream unchanged.
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
        """Write the event. Raises `OSError` where that fails."""
        if isinstance(event, PhotoProgress) and not self._with_progress:
            return
        time = self._wall_clock().astimezone(UTC).isoformat(timespec="milliseconds")
        line = {"schema": SCHEMA, "time": time.replace("+00:00", "Z"), **to_json(event)}
        self._lines.put(json.dumps(line) + "\n")


def to_json(event: Event) -> Mapping[str, object]:
    """Return the event as plain JSON values: its kind in snake case, and its fields.

    What is not valid Unicode in a text, as in names of files, stands there as backslash escapes.
    """
    values: dict[str, object] = {"event": kind_of(type(event))}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Path | str):
            value = unicode_text(value)
        values[field.name] = value
    return values


def kind_of(event: type[Event]) -> str:
    """Return the name of a kind of events: photo_uploaded."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", event.__name__).lower()
