"""The runs of the pages: an upload, a rehearsal or a verification, and what came of it."""

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar, Final

from anyio import to_thread

from bulkup.api import UploadOptions, upload, verify
from bulkup.app.settings import Account, default_ledger
from bulkup.engine.context import Stop
from bulkup.errors import BulkupError, UsageError
from bulkup.events import (
    AlbumMade,
    ArrangementDiffers,
    Event,
    Interrupted,
    Noticed,
    Paused,
    PhotoFailed,
    Resumed,
    RunFailed,
)
from bulkup.gui.draft import Draft, command_text, verify_options
from bulkup.gui.jobs import failure_of
from bulkup.output import listings
from bulkup.output.files import CSV, TableReport
from bulkup.output.html import HtmlReport
from bulkup.output.monitor.server import Monitor
from bulkup.output.outputs import local_time
from bulkup.output.sinks import Outputs, Report, StateReport
from bulkup.output.state import RunState
from bulkup.output.text import estimate_text
from bulkup.store.run_history import HistoryFilter, OpenFailure, PastRun, open_history

COUNTS: Final = (*listings.COUNTS, "skipped")
"""The counts that the pages show, by their names in the ledger, in this order."""

NOTES: Final = 100
ALBUMS: Final = 300
NOTICES: Final = 20


class Run(ABC):
    """A run over the photos of a draft: call it once, as the task of a `Job`.

    `running` is whether it runs; `aborted` is set to end it without finishing the photos in
    flight. Its `state` stays when it has ended. `name` is for messages.
    """

    name: ClassVar[str]

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

    def pause(self) -> None:
        """Begin no other photo."""
        if not self.stop.paused and not self.stop.wanted:
            self.stop.pause()
            self.emit(Paused())

    def resume(self) -> None:
        """Go on after `pause`."""
        if self.stop.paused:
            self.stop.resume()
            self.emit(Resumed())

    def end(self) -> None:
        """End it gracefully."""
        self.stop.set()
        self.interrupted()

    def interrupted(self) -> None:
        """Note that the user ends it."""
        if not self.state.interrupted:
            self.emit(Interrupted())

    async def __call__(self) -> None:
        """Run it; why it failed is in its state."""
        try:
            async with self._reporting():
                try:
                    await self._work()
                except Exception as fault:  # noqa: BLE001 (the page shows it)
                    error = failure_of(fault)
                    self.emit(RunFailed(reason=error.message, hint=error.hint, code=error.code))
        finally:
            self.running = False

    @asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        yield

    @abstractmethod
    async def _work(self) -> None:
        """Do the work. Raises `BulkupError`."""


class ReportedRun(Run):
    """A run whose reports are files in the folder when it ends, unless they are `unwritable`.

    The names of the files begin with `report`.
    """

    report: ClassVar[str]

    def __init__(self, account: Account, draft: Draft, *, folder: Path) -> None:
        super().__init__(account, draft)
        self.unwritable = ""
        self._folder = folder
        self._outputs: Outputs | None = None

    def emit(self, event: Event) -> None:
        """Apply an event, and note it in the reports."""
        (self._outputs or self._screen).emit(event)

    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """Return the arguments of the command that does the same."""

    @asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        html, table = report_files(self._folder, self.report)
        files: dict[str, Report] = {
            "the HTML report": HtmlReport(
                html,
                command=command_text(self.arguments()),
                clock=time.monotonic,
                wall_clock=local_time,
            ),
            "the CSV report": TableReport(table, CSV, clock=time.monotonic),
        }
        async with AsyncExitStack() as stack:
            try:
                make = partial(self._folder.mkdir, parents=True, exist_ok=True)
                await to_thread.run_sync(make)
                outputs = await stack.enter_async_context(Outputs(self._screen, files))
            except (UsageError, OSError) as error:
                self.unwritable = str(error)
                outputs = await stack.enter_async_context(Outputs(self._screen, {}))
            self._outputs = outputs
            yield


class UploadRun(ReportedRun):
    """An upload, which the `monitor` shows; `only` chooses among the files, None takes all."""

    name, report = "an upload", "gui-report"

    def __init__(
        self,
        account: Account,
        draft: Draft,
        *,
        folder: Path,
        monitor: Monitor,
        only: Collection[Path] | None = None,
    ) -> None:
        super().__init__(account, draft, folder=folder)
        self._monitor = monitor
        self._only = only
        self._failed: list[str] = []  # as texts: paths take several times the memory

    def emit(self, event: Event) -> None:
        """Apply an event, show it, and note it in the reports."""
        super().emit(event)
        self._monitor.emit(event)
        if isinstance(event, PhotoFailed):
            self._failed.append(str(event.path))

    def arguments(self) -> Sequence[str]:
        """Return the arguments of the command that does the same."""
        return self.draft.arguments()

    def failed(self) -> set[Path]:
        """Return all files that have failed."""
        return set(map(Path, self._failed))

    @asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        self._monitor.begin()
        try:
            async with super()._reporting():
                yield
        finally:
            self._monitor.end()

    async def _work(self) -> None:
        await upload(
            self.draft.paths,
            account=self._account,
            options=replace(self.draft.options, dry_run=False),
            on_event=self.emit,
            stop=self.stop,
            only=self._only,
        )


class VerifyRun(ReportedRun):
    """A verification of what the draft uploads. `notes` are the first ones about albums."""

    name, report = "a verification", "gui-verification"

    def __init__(self, account: Account, draft: Draft, *, folder: Path) -> None:
        super().__init__(account, draft, folder=folder)
        self.notes: list[ArrangementDiffers] = []

    def emit(self, event: Event) -> None:
        """Apply an event, and note it in the reports."""
        super().emit(event)
        if isinstance(event, ArrangementDiffers) and len(self.notes) < NOTES:
            self.notes.append(event)

    def arguments(self) -> Sequence[str]:
        """Return the arguments of the command that does the same."""
        return self.draft.arguments("verify")

    async def _work(self) -> None:
        await verify(
            self.draft.paths,
            account=self._account,
            options=verify_options(self.draft.options),
            on_event=self.emit,
            stop=self.stop,
        )


class RehearsalRun(Run):
    """A dry run of the upload.

    `albums` are the paths of the first albums to be made, `notices` the first messages with their
    hints.
    """

    name = "a rehearsal"

    def __init__(self, account: Account, draft: Draft) -> None:
        super().__init__(account, draft)
        self.albums: dict[int, str] = {}
        self.notices: dict[str, str] = {}

    def emit(self, event: Event) -> None:
        """Apply an event."""
        super().emit(event)
        if isinstance(event, AlbumMade) and len(self.albums) < ALBUMS:
            above = self.albums.get(event.parent or 0)
            self.albums[event.album] = f"{above} / {event.name}" if above else event.name
        elif isinstance(event, Noticed) and len(self.notices) < NOTICES:
            self.notices.setdefault(event.message, event.hint)

    @property
    def complete(self) -> bool:
        """Whether it ran to its end."""
        return not self.running and self.state.ended is not None and not self.state.interrupted

    @property
    def estimate(self) -> str:
        """How long the upload takes, roughly; empty if that is unknown."""
        plan = self.state.estimated
        return estimate_text(max(plan.sending_s, plan.finishing_s)) if plan else ""

    @property
    def sending_longest(self) -> bool:
        """Whether the connection takes longer than the server."""
        plan = self.state.estimated
        return plan is not None and plan.sending_s > plan.finishing_s

    async def _work(self) -> None:
        await upload(
            self.draft.paths,
            account=self._account,
            options=replace(self.draft.options, dry_run=True),
            on_event=self.emit,
            stop=self.stop,
        )


def report_files(folder: Path, report: str) -> tuple[Path, Path]:
    """Return the files of a report in HTML and CSV."""
    return folder / f"{report}.html", folder / f"{report}.csv"


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
