"""Runs a use case for a user: signals, outputs, the limit of failures, the result."""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

import anyio
from anyio import CancelScope
from anyio.abc import TaskStatus

from bulkup.engine.context import Stop
from bulkup.errors import BulkupError, count_text
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
from bulkup.output.doctor import DoctorReport
from bulkup.output.findings import OnFinding
from bulkup.output.options import OutputOptions
from bulkup.output.outputs import LongLivedOutputs, others_for, screen_for
from bulkup.output.sinks import Outputs, Report, Screen
from bulkup.output.state import RunState
from bulkup.output.text import console_for

SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)


class ErrorLimit:
    """Passes events on to `emit`; calls `stop`, and emits a notice, at the `most`-th failed photo.

    `most` None sets no limit. `reached` is whether the limit was reached.
    """

    def __init__(self, emit: Emit, *, most: int | None, stop: Callable[[], None]) -> None:
        self.reached = False
        self._emit = emit
        self._most = most
        self._stop = stop
        self._failed = 0

    def emit(self, event: Event) -> None:
        """Pass an event on, and count failures."""
        self._emit(event)
        match event:
            case PhotoFailed() | PhotoChecked(verdict=Verdict.FAILED):
                self._failed += 1
            case _:
                return
        if self._failed == self._most:
            self.reached = True
            self._stop()
            photos = count_text(self._most, "photo has", "photos have")
            self._emit(
                Noticed(
                    message=f"{photos} failed, so no other photo is started (--max-errors)",
                    hint="Photos in flight are finished. Look at the reasons, then run the same "
                    "command again to continue.",
                )
            )


class Task(Protocol):
    """A use case with its settings."""

    async def __call__(self, *, emit: Emit, stop: Stop) -> None:
        """Run it. Raises `RunError`."""


class Examination(Protocol):
    """The doctor with its settings."""

    async def __call__(self, *, on_finding: OnFinding) -> None:
        """Run it."""


def run_task(task: Task, options: OutputOptions) -> RunState:
    """Run a task to its end with the outputs of the options, and return the final state.

    Raises `RunError`, and `UsageError` where an output can't be opened.
    """
    screen = screen_for(options)
    long_lived = LongLivedOutputs(options, clock=time.monotonic)
    return anyio.run(_run_task, task, screen, others_for(options), long_lived, options.max_errors)


async def _run_task(
    task: Task,
    screen: Screen,
    others: Mapping[str, Report],
    long_lived: LongLivedOutputs,
    max_errors: int | None,
) -> RunState:
    stop = Stop()
    failure: BulkupError | None = None
    async with (
        long_lived,
        Outputs(screen, {**others, **long_lived.others(screen.emit)}) as outputs,
    ):
        limit = ErrorLimit(outputs.emit, most=max_errors, stop=stop.set)
        if long_lived.greeting is not None:
            outputs.emit(long_lived.greeting)
        async with anyio.create_task_group() as tasks:
            await tasks.start(stop_on_signal, tasks.cancel_scope, stop, outputs.emit)
            try:
                await task(emit=limit.emit, stop=stop)
            except BulkupError as error:  # not through the task group, which would wrap it
                failure = error
                outputs.emit(RunFailed(reason=error.message, hint=error.hint, code=error.code))
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return screen.state


def run_doctor(examination: Examination, *, as_json: bool) -> bool | None:
    """Run the doctor, print its findings on stdout, and return whether it found no problem.

    None if Ctrl-C or SIGTERM ended it; then no JSON is printed.
    """
    report = DoctorReport(
        None if as_json else console_for(sys.stdout),
        progress=console_for(sys.stderr),
        clock=time.monotonic,
    )
    try:
        completed = anyio.run(_run_doctor, report, examination)
    finally:
        report.clear_progress()
    if not completed:
        return None
    if as_json:
        sys.stdout.write(report.document() + "\n")
    return report.ok


async def _run_doctor(report: DoctorReport, examination: Examination) -> bool:
    """Return True if it ran to its end, False if it was interrupted."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(_cancel_on_signal, tasks.cancel_scope)
        await examination(on_finding=report.add)
        tasks.cancel_scope.cancel()
        return True
    return False


async def stop_on_signal(
    scope: CancelScope,
    stop: Stop,
    emit: Emit,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Stop the run gracefully at the first Ctrl-C or SIGTERM, cancel it at the second."""
    with received_signals() as signals:
        task_status.started()
        interrupted = False
        async for _ in signals:
            if interrupted:
                scope.cancel()
                return
            interrupted = True
            stop.set()
            emit(Interrupted())


async def _cancel_on_signal(
    scope: CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with received_signals() as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


@contextmanager
def received_signals() -> Iterator[AsyncIterator[int]]:
    """Yield the Ctrl-C and SIGTERM that this process receives, on Windows Ctrl-Break, too.

    Python delivers signals only to the main thread: a run in another thread gets none. The loop's
    own handlers wake it for a signal at any moment, even as it begins to wait. Windows has none
    (nor `anyio.open_signal_receiver`, which uses them), but there each signal wakes the loop.
    """
    received: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    of_loop = sys.platform != "win32"

    def deliver(number: int, _: object) -> None:
        loop.call_soon_threadsafe(received.put_nowait, number)

    async def signals() -> AsyncIterator[int]:
        while True:
            yield await received.get()

    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS if in_main}
    for number in before:
        if of_loop:
            loop.add_signal_handler(number, received.put_nowait, number)
        else:
            signal.signal(number, deliver)
    try:
        yield signals()
    finally:
        for number, handler in before.items():
            if of_loop:
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
