"""A run in front of somebody: signals, the view that suits the output, the last word.

Knows signals and views, and nothing of what the run does.
"""

import signal
import sys
import time
from collections.abc import Callable
from typing import Protocol

import anyio
from anyio import CancelScope
from anyio.abc import TaskStatus

from bulkup.errors import BulkupError
from bulkup.events import Emit, Interrupted
from bulkup.recovery import Sleep
from bulkup.report import LiveReport, PlainReport, RunState, console_for, suits_live
from bulkup.stages import Stop


class Task(Protocol):
    """What a run does, whose settings are given."""

    async def __call__(
        self, *, emit: Emit, stop: Stop, clock: Callable[[], float], sleep: Sleep
    ) -> None:
        """Do it, event by event. Raises `RunError`."""


def drive(task: Task) -> RunState:
    """Run to the end and return what became of it. Raises `RunError`."""
    console = console_for(sys.stderr)
    report: LiveReport | PlainReport
    if suits_live(console):
        report = LiveReport(console, clock=time.monotonic)
    else:
        report = PlainReport(console, clock=time.monotonic)
    return anyio.run(_drive, report, task)


async def _drive(report: LiveReport | PlainReport, task: Task) -> RunState:
    stop = Stop()
    failure: BulkupError | None = None
    async with report, anyio.create_task_group() as tasks:
        await tasks.start(_listen, tasks.cancel_scope, stop, report.emit)
        try:
            await task(emit=report.emit, stop=stop, clock=time.monotonic, sleep=anyio.sleep)
        except BulkupError as error:  # not through the task group, which would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return report.state


async def _listen(
    scope: CancelScope,
    stop: Stop,
    emit: Emit,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Let a first Ctrl-C or SIGTERM drain the run, and a second one abort it."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if stop.wanted:
                scope.cancel()
                return
            stop.set()
            emit(Interrupted())
