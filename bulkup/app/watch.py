"""The `watch` use case: upload batch after batch of what arrives, until Ctrl-C."""

import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import anyio
from anyio import CancelScope, to_thread

from bulkup.app.runner import ErrorLimit, stop_on_signal
from bulkup.engine.context import Stop
from bulkup.engine.retry import Sleep
from bulkup.errors import BulkupError, ServerUnavailable, count_text, one_error
from bulkup.events import Emit, Event, Interrupted, Noticed, RunFailed, RunStarted
from bulkup.output.options import OutputOptions
from bulkup.output.outputs import LongLivedOutputs, others_for, screen_for
from bulkup.output.plain import say
from bulkup.output.sinks import Outputs, Report
from bulkup.output.text import console_for
from bulkup.source.filters import Filters
from bulkup.source.photos import Photo
from bulkup.source.scan import Found
from bulkup.source.watch import Watch

T = TypeVar("T")
AGAIN_S: Final = 60.0
MOST_AGAIN_S: Final = 960.0


class Upload(Protocol):
    """An upload run with its settings, for some of the files."""

    async def __call__(self, *, only: Callable[[Found], bool], emit: Emit, stop: Stop) -> None:
        """Run it. Raises `BulkupError`."""


class WatchLoop:
    """Uploads what arrives, batch after batch.

    `emit` is for the signal handler, which also sets `stop`. `say` and `warn` print messages
    between runs; warnings also if the run is quiet.
    """

    def __init__(
        self,
        watch: Watch,
        upload: Upload,
        *,
        open_outputs: Callable[[], Report],
        say: Callable[[str], None],
        warn: Callable[[str], None],
        sleep: Sleep,
        max_errors: int | None = None,
    ) -> None:
        self.stop = Stop()
        self.limit = ErrorLimit(self.emit, most=max_errors, stop=self.stop.set)
        self._watch = watch
        self._upload = upload
        self._open_outputs = open_outputs
        self._say = say
        self._warn = warn
        self._sleep = sleep
        self._outputs: Report | None = None
        self._idle = CancelScope()
        self._begun = False

    def emit(self, event: Event) -> None:
        """Pass an event on to the outputs; between runs, an interrupt ends the wait."""
        self._begun = self._begun or isinstance(event, RunStarted)
        self._watch.observe(event)
        if self._outputs is not None:
            self._outputs.emit(event)
        elif isinstance(event, Interrupted):
            self._idle.cancel()

    async def run(self, *, greeting: Noticed | None = None) -> None:
        """Upload batch after batch until a stop is requested. Raises `BulkupError`.

        Once a run has begun, neither the failure of a later one nor an unavailable server ends
        the loop.
        """
        self._say(f"watching {', '.join(map(str, self._watch.roots))}; Ctrl-C ends it")
        if greeting is not None:
            self._warn(greeting.message)
        failures = 0
        while not self.stop.wanted:
            batch = await self._unless_stopped(self._watch.arrivals)
            if batch is None:
                return
            self._say(f"{count_text(len(batch), 'file has', 'files have')} arrived")
            error = await self._run_batch(batch)
            self._watch.end(batch, whole=error is None and not self.stop.wanted)
            failures = failures + 1 if error else 0
            if error is not None:
                if not self._begun and not isinstance(error, ServerUnavailable):
                    raise error
                pause_s = min(AGAIN_S * 2 ** min(failures - 1, 10), MOST_AGAIN_S)
                self._warn(f"{error.message}; trying again in {pause_s / 60:.0f} min")
                await self._unless_stopped(partial(self._sleep, pause_s))

    async def _unless_stopped(self, wait: Callable[[], Awaitable[T]]) -> T | None:
        """Return the result of `wait`, None if a stop is requested meanwhile."""
        with CancelScope() as self._idle:
            return None if self.stop.wanted else await wait()
        return None

    async def _run_batch(self, batch: Mapping[Path, Photo]) -> BulkupError | None:
        """Upload a batch; return the error that ended the run early, if any."""
        async with self._open_outputs() as outputs:
            self._outputs = outputs
            try:
                await self._upload(
                    only=partial(_is_unchanged, batch),
                    emit=self.limit.emit,
                    stop=self.stop,
                )
            except BulkupError as error:
                self.emit(RunFailed(reason=error.message, hint=error.hint, code=error.code))
                return error
            finally:
                self._outputs = None
        return None


def _is_unchanged(batch: Mapping[Path, Photo], found: Found) -> bool:
    """Return whether a file belongs to the batch and is unchanged since it settled."""
    photo = batch.get(found.path)
    return photo is not None and (photo == found or not isinstance(found, Photo))


def watch_folders(
    roots: Sequence[Path],
    upload: Upload,
    *,
    filters: Filters,
    formats: bool,
    settle_s: float,
    poll: bool,
    options: OutputOptions,
) -> bool:
    """Watch folders until Ctrl-C or SIGTERM; return whether too many failed photos ended it.

    Raises `BulkupError`.
    """
    console = console_for(sys.stderr)
    long_lived = LongLivedOutputs(options, clock=time.monotonic)

    def print_unless(message: str, *, quiet: int) -> None:
        if options.quiet < quiet:
            say(console, message, at=time.strftime("%H:%M:%S"))

    def open_outputs() -> Outputs:
        screen = screen_for(options, console)
        return Outputs(screen, {**others_for(options), **long_lived.others(screen.emit)})

    async def run() -> bool:
        watch = await to_thread.run_sync(
            lambda: Watch(
                roots,
                filters,
                formats=formats,
                settle_s=settle_s,
                poll=poll,
                clock=time.monotonic,
                sleep=anyio.sleep,
            )
        )
        failure: BulkupError | None = None
        loop = WatchLoop(
            watch,
            upload,
            open_outputs=open_outputs,
            say=partial(print_unless, quiet=1),
            warn=partial(print_unless, quiet=2),
            sleep=anyio.sleep,
            max_errors=options.max_errors,
        )
        async with long_lived, one_error(), anyio.create_task_group() as tasks:
            await tasks.start(stop_on_signal, tasks.cancel_scope, loop.stop, loop.emit)
            tasks.start_soon(watch.listen)
            try:
                await loop.run(greeting=long_lived.greeting)
            except BulkupError as error:  # not through the task group, which would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return loop.limit.reached

    return anyio.run(run)
