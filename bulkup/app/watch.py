"""The `watch` use case: upload batch after batch of what arrives, until Ctrl-C."""

import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio import CancelScope, to_thread

from bulkup.app.runner import ErrorLimit, listen
from bulkup.engine.ports import Stop
from bulkup.engine.retry import Sleep
from bulkup.errors import BulkupError, ServerUnavailable, one_error
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

AGAIN_S: Final = 60.0
MOST_AGAIN_S: Final = 960.0


class Upload(Protocol):
    """A run for some files, whose other settings are given."""

    async def __call__(
        self,
        *,
        only: Callable[[Found], bool],
        emit: Emit,
        stop: Stop,
        clock: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        """Do it, event by event. Raises `BulkupError`."""


class WatchLoop:
    """Brings what arrives; `emit` is for whoever hears the signals, and `stop` what they set.

    `tell` hears what goes on between runs, `warn` what should be known also of a quiet one.
    """

    def __init__(
        self,
        watch: Watch,
        bring: Upload,
        *,
        open_view: Callable[[], Report],
        tell: Callable[[str], None],
        warn: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Sleep,
        max_errors: int | None = None,
    ) -> None:
        self.stop = Stop()
        self.limit = ErrorLimit(self.emit, most=max_errors, stop=self.stop.set)
        self._watch = watch
        self._bring = bring
        self._open_view = open_view
        self._tell = tell
        self._warn = warn
        self._clock = clock
        self._sleep = sleep
        self._view: Report | None = None
        self._idle = CancelScope()
        self._begun = False

    def emit(self, event: Event) -> None:
        """Hand an event to the view; while there is none, the wish to stop ends the waiting."""
        self._begun = self._begun or isinstance(event, RunStarted)
        self._watch.observe(event)
        if self._view is not None:
            self._view.emit(event)
        elif isinstance(event, Interrupted):
            self._idle.cancel()

    async def attend(self, *, greeting: Noticed | None = None) -> None:
        """Bring batch after batch until somebody wishes to stop. Raises `BulkupError`.

        Once a run has begun, no failure of a later one ends it, nor does a server that is away.
        """
        self._tell(f"watching {', '.join(map(str, self._watch.roots))}; Ctrl-C ends it")
        if greeting is not None:
            self._warn(greeting.message)
        failures = 0
        while not self.stop.wanted:
            batch = await self._waited_for(self._watch.arrivals)
            if batch is None:
                return
            self._tell(f"{len(batch):,} {'file has' if len(batch) == 1 else 'files have'} arrived")
            error = await self._run(batch)
            self._watch.end(batch, whole=error is None and not self.stop.wanted)
            failures = failures + 1 if error else 0
            if error is not None:
                if not self._begun and not isinstance(error, ServerUnavailable):
                    raise error
                pause_s = min(AGAIN_S * 2 ** min(failures - 1, 10), MOST_AGAIN_S)
                self._warn(f"{error.message}; trying again in {pause_s / 60:.0f} min")
                await self._waited_for(partial(self._rest, pause_s))

    async def _rest(self, seconds: float) -> Mapping[Path, Photo]:
        await self._sleep(seconds)
        return {}

    async def _waited_for(
        self, what: Callable[[], Awaitable[Mapping[Path, Photo]]]
    ) -> Mapping[Path, Photo] | None:
        """Return what is waited for, None where somebody wished to stop meanwhile."""
        with CancelScope() as self._idle:
            return None if self.stop.wanted else await what()
        return None

    async def _run(self, batch: Mapping[Path, Photo]) -> BulkupError | None:
        """Return what ended the run before its end, if anything did."""
        async with self._open_view() as view:
            self._view = view
            try:
                await self._bring(
                    only=partial(_is_still, batch),
                    emit=self.limit.emit,
                    stop=self.stop,
                    clock=self._clock,
                    sleep=self._sleep,
                )
            except BulkupError as error:
                self.emit(RunFailed(reason=error.message, hint=error.hint, code=error.code))
                return error
            finally:
                self._view = None
        return None


def _is_still(batch: Mapping[Path, Photo], found: Found) -> bool:
    """Tell whether this belongs to the batch, and looks as it did when it was still."""
    photo = batch.get(found.path)
    return photo is not None and (photo == found or not isinstance(found, Photo))


def attend(
    roots: Sequence[Path],
    bring: Upload,
    *,
    filters: Filters,
    formats: bool,
    settle_s: float,
    poll: bool,
    telling: OutputOptions,
) -> bool:
    """Watch folders until Ctrl-C or SIGTERM, or until too many photos failed: return whether so.

    Raises `BulkupError` where that is impossible.
    """
    console = console_for(sys.stderr)
    standing = LongLivedOutputs(telling, clock=time.monotonic)

    def tell(words: str, *, unless: int) -> None:
        """Say so, unless the run is as quiet as that."""
        if telling.quiet < unless:
            say(console, words, at=time.strftime("%H:%M:%S"))

    def open_view() -> Outputs:
        screen = screen_for(telling, console)
        return Outputs(screen, {**others_for(telling), **standing.others(screen.emit)})

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
        attendant = WatchLoop(
            watch,
            bring,
            open_view=open_view,
            tell=partial(tell, unless=1),
            warn=partial(tell, unless=2),
            clock=time.monotonic,
            sleep=anyio.sleep,
            max_errors=telling.max_errors,
        )
        async with standing, one_error(), anyio.create_task_group() as tasks:
            await tasks.start(listen, tasks.cancel_scope, attendant.stop, attendant.emit)
            tasks.start_soon(watch.listen)
            try:
                await attendant.attend(greeting=standing.greeting)
            except BulkupError as error:  # not through the task group, which would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return attendant.limit.reached

    return anyio.run(run)
