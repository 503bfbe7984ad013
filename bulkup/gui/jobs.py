"""Tasks that run in the background while pages are shown."""

import logging
from collections.abc import Awaitable, Callable

from anyio import CancelScope, Event
from anyio.abc import TaskGroup

from bulkup.errors import BulkupError, UsageError


class Job:
    """A task in the background, of which one runs at a time; a new one replaces it.

    `error` is why the last one failed.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self.error: BulkupError | None = None
        self._tasks = tasks
        self._scope: CancelScope | None = None
        self._ended = Event()

    @property
    def running(self) -> bool:
        """Whether the task runs."""
        return self._scope is not None

    def start(self, task: Callable[[], Awaitable[None]]) -> None:
        """Start a task; cancel the one that runs."""
        self.cancel()
        self.error, self._scope, self._ended = None, CancelScope(), Event()
        self._tasks.start_soon(self._run, task, self._scope, self._ended)

    def cancel(self) -> None:
        """Cancel the task that runs."""
        if self._scope is not None:
            self._scope.cancel()
            self._scope = None

    def abort(self) -> None:
        """Cancel the task that runs; it is running until it has cleaned up."""
        if self._scope is not None:
            self._scope.cancel()

    async def wait(self) -> None:
        """Wait for the end of the task that runs."""
        if self.running:
            await self._ended.wait()

    async def _run(
        self, task: Callable[[], Awaitable[None]], scope: CancelScope, ended: Event
    ) -> None:
        error: BulkupError | None = None
        try:
            with scope:
                await task()
        except Exception as fault:  # noqa: BLE001 (the page shows it)
            error = failure_of(fault)
        finally:
            if self._scope is scope:  # no other task has replaced it
                self._scope, self.error = None, error
            ended.set()


def failure_of(fault: Exception) -> BulkupError:
    """Return the error that a page shows for an exception; log one that is a fault of bulkup."""
    if isinstance(fault, BulkupError):
        return fault
    logging.getLogger(__name__).error("a task has failed", exc_info=fault)
    return UsageError(
        f"this is a fault of bulkup: {fault!r}",
        hint="The terminal in which it runs shows the details: please report them.",
    )
