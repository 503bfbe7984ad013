"""One JSON object an event, one event a line, for programs and for the record.

Knows a stream and a wall clock. Each line is flushed: what is read is what has happened.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

from bulkup.events import SCHEMA, Event, PhotoProgress, to_json

WallClock = Callable[[], datetime]


class JsonReport:
    """Writes events to the stream as JSON lines; `PhotoProgress` only `with_progress`.

    `wall_clock` returns aware times. Lines are ASCII, so they pass through any stream unchanged.
    """

    def __init__(
        self, stream: TextIO, *, wall_clock: WallClock, with_progress: bool = False
    ) -> None:
        self._stream = stream
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
        self._stream.flush()

    def emit(self, event: Event) -> None:
        """Write the event."""
        if isinstance(event, PhotoProgress) and not self._with_progress:
            return
        time = self._wall_clock().astimezone(UTC).isoformat(timespec="milliseconds")
        line = {"schema": SCHEMA, "time": time.replace("+00:00", "Z"), **to_json(event)}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
