"""How every run ends: each found file with one outcome, the run itself with one error.

Knows events and errors, and not what a run does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from bulkup.errors import RunError
from bulkup.events import Emit, Event, Fate, FileFound, PhotoUnfinished


class Unended:
    """Passes events on and keeps which files have no outcome yet: as many as the streams hold."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open: dict[Path, list[int]] = {}  # a list may name a file again

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, FileFound):
            self._open.setdefault(event.path, []).append(event.size)
        elif isinstance(event, Fate):
            sizes = self._open.pop(event.path, [])
            if sizes[1:]:
                self._open[event.path] = sizes[:-1]
        self._emit(event)

    def close(self) -> None:
        """Emit what has no outcome as unfinished."""
        for path, sizes in self._open.items():
            for size in sizes:
                self._emit(PhotoUnfinished(path=path, size=size))
        self._open.clear()


@asynccontextmanager
async def one_error() -> AsyncIterator[None]:
    """Unwrap the group that a task group raises: a bug first, then what ended the run."""
    try:
        yield
    except BaseExceptionGroup as group:
        # who sends to a stage that ends by an error may notice before being cancelled
        _, causes = group.split(anyio.BrokenResourceError)
        run_errors, bugs = (causes or group).split(RunError)
        if bugs is not None or run_errors is None:
            raise
        error: BaseException = run_errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
