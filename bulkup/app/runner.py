"""Runs a use case in front of a user: signals, outputs, the limit of failures, the result."""

import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import anyio
from anyio import CancelScope
from anyio.abc import TaskStatus

from bulkup.engine.ports import Stop
from bulkup.engine.retry import Sleep
from bulkup.errors import BulkupError
from bulkup.events import (
    Emit,
    Event,
    Interrupted,
    Noticed,
    PhotoChecked,
    PhotoFailed,
    RunFailed,
    Verdict,
)
from bulkup.output.doctor import CheckupReport, Tell
from bulkup.output.options import OutputOptions
from bulkup.output.outputs import LongLivedOutputs, others_for, screen_for
from bulkup.output.sinks import Outputs, Report, Screen
from bulkup.output.state import RunState
from bulkup.output.text import console_for


class ErrorLimit:
    """Hands events on to `emit`; at the `most`th failed photo it calls `stop`, and says so.

    `most` None: it never does. `reached` tells whether it did.
    """

    def __init__(self, emit: Emit, *, most: int | None, stop: Callable[[], None]) -> None:
        self.reached = False
        self._emit = emit
        self._most = most
        self._stop = stop
        self._failed = 0

    def emit(self, event: Event) -> None:
        """Hand the event on, and count what failed."""
        self._emit(event)
        match event:
            case PhotoFailed() | PhotoChecked(verdict=Verdict.FAILED):
                self._failed += 1
            case _:
                return
        if self._failed == self._most:
            self.reached = True
            self._stop()
            photos = "1 photo has" if self._most == 1 else f"{self._most:,} photos have"
            self._emit(
                Noticed(
                    message=f"{photos} failed, so no other one is begun (--max-errors)",
                    hint="Photos in flight are finished. Look at the reasons; then the same "
                    "command goes on.",
                )
            )


class Task(Protocol):
    """What a run does, whose settings are given."""

    async def __call__(
        self, *, emit: Emit, stop: Stop, clock: Callable[[], float], sleep: Sleep
    ) -> None:
        """Do it, event by event. Raises `RunError`."""


class Examination(Protocol):
    """What a check-up does, whose settings are given."""

    async def __call__(
        self,
        *,
        tell: Tell,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        """Do it, finding by finding."""


def run_doctor(examination: Examination, *, as_json: bool) -> bool | None:
    """Examine, tell on stdout what is found, and return whether nothing is in the way.

    None: Ctrl-C or SIGTERM ended it; then there is no JSON.
    """
    report = CheckupReport(
        None if as_json else console_for(sys.stdout),
        signs=console_for(sys.stderr),
        clock=time.monotonic,
    )
    try:
        ended = anyio.run(_consult, report, examination)
    finally:
        report.rest()
    if not ended:
        return None
    if as_json:
        sys.stdout.write(report.document() + "\n")
    return report.ok


async def _consult(report: CheckupReport, examination: Examination) -> bool:
    """Return whether it came to its end."""
    ended = False
    async with anyio.create_task_group() as tasks:
        await tasks.start(_abort, tasks.cancel_scope)
        await examination(
            tell=report.tell, clock=time.monotonic, wall_clock=time.time, sleep=anyio.sleep
        )
        ended = True
        tasks.cancel_scope.cancel()
    return ended


async def _abort(
    scope: CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Let a Ctrl-C or SIGTERM abort."""
    with received_signals() as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


@contextmanager
def received_signals() -> Iterator[AsyncIterator[int]]:
    """Lend the SIGINT and SIGTERM that this process receives.

    Python delivers signals to the main thread alone: none comes to a run in another thread.
    """
    if threading.current_thread() is threading.main_thread():
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            yield signals
    else:
        yield _no_signals()


async def _no_signals() -> AsyncIterator[int]:
    await anyio.sleep_forever()
    yield 0


def run_task(task: Task, telling: OutputOptions) -> RunState:
    """Run to the end, tell what is asked for, and return what became of it.

    Raises `RunError`, and `UsageError` where something can't be told as it is asked for.
    """
    screen = screen_for(telling)
    standing = LongLivedOutputs(telling, clock=time.monotonic)
    return anyio.run(_drive, screen, others_for(telling), standing, telling, task)


async def _drive(
    screen: Screen,
    others: Mapping[str, Report],
    standing: LongLivedOutputs,
    telling: OutputOptions,
    task: Task,
) -> RunState:
    stop = Stop()
    failure: BulkupError | None = None
    async with standing, Outputs(screen, {**others, **standing.others(screen.emit)}) as views:
        limit = ErrorLimit(views.emit, most=telling.max_errors, stop=stop.set)
        if standing.greeting is not None:
            views.emit(standing.greeting)
        async with anyio.create_task_group() as tasks:
            await tasks.start(listen, tasks.cancel_scope, stop, views.emit)
            try:
                await task(emit=limit.emit, stop=stop, clock=time.monotonic, sleep=anyio.sleep)
            except BulkupError as error:  # not through the task group, which would wrap it
                failure = error
                views.emit(RunFailed(reason=error.message, hint=error.hint, code=error.code))
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return screen.state


async def listen(
    scope: CancelScope,
    stop: Stop,
    emit: Emit,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Let a first Ctrl-C or SIGTERM drain the run, and a second one abort it."""
    with received_signals() as signals:
        task_status.started()
        asked = False
        async for _ in signals:
            if asked:
                scope.cancel()
                return
            asked = True
            stop.set()
            emit(Interrupted())
