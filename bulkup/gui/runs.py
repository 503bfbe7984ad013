"""The runs of the pages: an upload or a verification in the background, and what came of it."""

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.api import UploadOptions, upload, verify
from bulkup.app.settings import Account, default_ledger
from bulkup.engine.ports import Stop
from bulkup.errors import BulkupError, UsageError
from bulkup.events import ArrangementDiffers, Event, Interrupted, PhotoFailed, RunFailed
from bulkup.gui.draft import Draft, command_text, verify_options
from bulkup.output import listings
from bulkup.output.files import CSV, TableReport
from bulkup.output.html import HtmlReport
from bulkup.output.monitor.server import Monitor
from bulkup.output.outputs import local_time
from bulkup.output.sinks import Outputs, Report, StateReport
from bulkup.output.state import RunState
from bulkup.store.run_history import HistoryFilter, OpenFailure, PastRun, open_history

COUNTS: Final = (*listings.COUNTS, "skipped")
"""The counts that the pages show, by their names in the ledger, in this order."""

NOTES: Final = 100


class Run(ABC):
    """A run over the photos of a draft: call it once, as the task of a `Job`.

    `running` is whether it does; `aborted` is set to end it without finishing the photos in
    flight. Its `state` stays when it has ended.
    """

    def __init__(self, account: Account, draft: Draft) -> None:
        self.draft = draft
        self.stop = Stop()
        self.running = True
        self.aborted = False
        self._account = account
        self._screen = StateReport(clock=time.monotonic)

    @property
    def state(self) -> RunState:
        """What has happened so far."""
        return self._screen.state

    def emit(self, event: Event) -> None:
        """Apply an event."""
        self._screen.emit(event)

    def interrupted(self) -> None:
        """Note that the user ends it."""
        if not self.state.interrupted:
            self.emit(Interrupted())

    async def __call__(self) -> None:
        """Run it. Raises `BulkupError`."""
        try:
            async with self._reporting():
                try:
                    await self._work()
                except BulkupError as error:
                    self.emit(RunFailed(reason=error.message, hint=error.hint, code=error.code))
                    raise
        finally:
            self.running = False

    @asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        yield

    @abstractmethod
    async def _work(self) -> None:
        """Do the work. Raises `BulkupError`."""


class UploadRun(Run):
    """An upload, which the `monitor` shows; `only` chooses among the files, None takes all.

    When it ends, its reports are files in the folder, unless they are `unwritable`.
    """

    def __init__(
        self,
        account: Account,
        draft: Draft,
        *,
        folder: Path,
        monitor: Monitor,
        only: Collection[Path] | None = None,
    ) -> None:
        super().__init__(account, draft)
        self.unwritable = ""
        self._folder = folder
        self._monitor = monitor
        self._only = only
        self._outputs: Outputs | None = None
        self._failed: list[str] = []  # as texts: paths take several times the memory

    def emit(self, event: Event) -> None:
        """Apply an event, show it, and note it in the reports."""
        (self._outputs or self._screen).emit(event)
        self._monitor.emit(event)
        if isinstance(event, PhotoFailed):
            self._failed.append(str(event.path))

    def failed(self) -> set[Path]:
        """Return all files that have failed."""
        return set(map(Path, self._failed))

    @asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            self._monitor.begin()
            stack.callback(self._monitor.end)
            html, table = report_files(self._folder)
            command = command_text(self.draft.arguments())
            files: dict[str, Report] = {
                "the HTML report": HtmlReport(
                    html, command=command, clock=time.monotonic, wall_clock=local_time
                ),
                "the CSV report": TableReport(table, CSV, clock=time.monotonic),
            }
            try:
                make = partial(self._folder.mkdir, parents=True, exist_ok=True)
                await to_thread.run_sync(make)
                outputs = await stack.enter_async_context(Outputs(self._screen, files))
            except (UsageError, OSError) as error:
                self.unwritable = str(error)
                outputs = await stack.enter_async_context(Outputs(self._screen, {}))
            self._outputs = outputs
            yield

    async def _work(self) -> None:
        await upload(
            self.draft.paths,
            account=self._account,
            options=replace(self.draft.options, dry_run=False),
            on_event=self.emit,
            stop=self.stop,
            only=self._only,
        )


class VerifyRun(Run):
    """A verification of what the draft uploads. `notes` are the first ones about albums."""

    def __init__(self, account: Account, draft: Draft) -> None:
        super().__init__(account, draft)
        self.notes: list[ArrangementDiffers] = []

    def emit(self, event: Event) -> None:
        """Apply an event."""
        super().emit(event)
        if isinstance(event, ArrangementDiffers) and len(self.notes) < NOTES:
            self.notes.append(event)

    async def _work(self) -> None:
        await verify(
            self.draft.paths,
            account=self._account,
            options=verify_options(self.draft.options),
            on_event=self.emit,
            stop=self.stop,
        )


def report_files(folder: Path) -> tuple[Path, Path]:
    """Return the files of the reports in HTML and CSV."""
    return folder / "gui-report.html", folder / "gui-report.csv"


def ledger_of(options: UploadOptions) -> Path:
    """Return the ledger file, also for uploads without one: others have used it."""
    return Path(options.ledger or default_ledger())


def last_upload(options: UploadOptions, url: str) -> PastRun | None:
    """Return the last upload to a gallery, None if the ledger knows none."""
    with suppress(BulkupError), open_history(ledger_of(options)) as history:
        runs = history.recent(url=url, task="upload", most=1)
        return runs[0] if runs else None
    return None


def open_failures(
    options: UploadOptions, url: str, *, most: int | None = None
) -> list[OpenFailure]:
    """Return the first failures at a gallery that no later run has resolved."""
    with suppress(BulkupError), open_history(ledger_of(options)) as history:
        return list(islice(history.failures(HistoryFilter(url)), most))
    return []
