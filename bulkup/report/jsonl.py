"""One JSON object an event, one event a line, for programs and for the record.

Knows where lines go and a wall clock. They are written at once, by a thread.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from bulkup.events import SCHEMA, Event, PhotoProgress
from bulkup.report.lines import LineWriter
from bulkup.report.text import unicode_text

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
