"""Saves the history of a run as its events come."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio import CancelScope

from bulkup.errors import BulkupError, one_error
from bulkup.events import (
    Emit,
    Event,
    FileSkipped,
    PhotoChecked,
    PhotoFailed,
    PhotoPresent,
    PhotoUploaded,
    RunStarted,
    SkipReason,
    Tally,
    Verdict,
)
from bulkup.store.run_history import Ending, Trouble, Undertaking

SAVE_S: Final = 5.0
"""How old what is kept of the numbers may get, in seconds, while something happens."""


class RunStore(Protocol):
    """Where runs are kept. Each method raises `RunError` where that fails."""

    async def begin_run(self, what: Undertaking) -> tuple[int, int]:
        """Keep that a run begins, and return its number and how many failures are open."""

    async def keep_run(
        self,
        run: int,
        *,
        album: int,
        counts: Mapping[str, int],
        failed: Mapping[Path, Trouble],
        mended: Collection[Path],
    ) -> None:
        """Keep how far a run has come."""

    async def end_run(
        self, run: int, ending: Ending, *, error: str, roots: Sequence[Path]
    ) -> None:
        """Keep how a run has ended; failures below the roots whose files are gone are closed."""


class RunRecorder:
    """Passes the events of one run on, and has them kept."""

    def __init__(
        self, book: RunStore, what: Undertaking, emit: Emit, *, clock: Callable[[], float]
    ) -> None:
        self._book = book
        self._what = what
        self._emit = emit
        self._clock = clock
        self._tally = Tally()
        self._failed: dict[Path, Trouble] = {}
        self._mended: set[Path] = set()
        self._news = anyio.Event()
        self._run = self._open = 0
        self._saved = clock()

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return self._tally.seconds is not None

    async def begin(self) -> None:
        """Keep that the run begins. Raises `RunError`."""
        self._run, self._open = await self._book.begin_run(self._what)

    async def keep_on(self) -> None:
        """Keep what happens, until cancelled. Raises `RunError`."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            await self._keep()

    async def end(self, ending: Ending, *, error: str = "", roots: Sequence[Path] = ()) -> None:
        """Keep the end. Raises `RunError`."""
        await self._keep()
        await self._book.end_run(self._run, ending, error=error, roots=roots)

    def emit(self, event: Event) -> None:
        """Take in what has happened, and pass it on."""
        self._tally.add(event)
        match event:
            case PhotoUploaded() | PhotoPresent() | PhotoChecked(verdict=Verdict.PRESENT):
                self._is_well(event.path)
            case FileSkipped(reason=SkipReason.TYPE):  # the user no longer tries to upload it
                self._is_well(event.path)
            case PhotoFailed():
                self._is_amiss(event)
            case PhotoChecked() if event.verdict is not Verdict.UNKNOWN:
                self._is_amiss(event)
        if self._clock() - self._saved >= SAVE_S:
            self._news.set()
        self._emit(event)

    def _is_amiss(self, event: PhotoFailed | PhotoChecked) -> None:
        if self._what.task == "dry-run":
            return  # it has not been tried
        self._mended.discard(event.path)
        self._failed[event.path] = Trouble(
            code=event.code, reason=event.reason, hint=event.hint, size=event.size
        )
        self._open += 1
        self._news.set()

    def _is_well(self, path: Path) -> None:
        if self._open and self._what.task != "dry-run":
            self._failed.pop(path, None)
            self._mended.add(path)
            self._news.set()

    async def _keep(self) -> None:
        failed, mended = self._failed, self._mended
        self._failed, self._mended = {}, set()
        self._saved = self._clock()
        with CancelScope(shield=True):  # or it would be lost
            await self._book.keep_run(
                self._run,
                album=self._what.album,
                counts=_counts(self._tally),
                failed=failed,
                mended=mended,
            )


def _counts(tally: Tally) -> Mapping[str, int]:
    """Return the counts of a run by their names in the ledger; none that is zero."""
    counts = Counter(
        found=tally.found,
        uploaded=tally.uploaded,
        uploaded_bytes=tally.uploaded_size,
        replaced=tally.replaced,
        present=tally.present,
        linked=tally.linked,
        new=tally.new,
        skipped=tally.skipped,
        failed=tally.failed,
        unfinished=tally.unfinished,
        put_away=tally.put_away,
        stays=tally.stays,
        astray=tally.astray,
    )
    counts.update({verdict.value: count for verdict, count in tally.verdicts.items()})
    return +counts


@asynccontextmanager
async def record_run(
    book: RunStore,
    started: RunStarted,
    *,
    roots: Sequence[Path],
    emit: Emit,
    interrupted: Callable[[], bool],
    clock: Callable[[], float],
) -> AsyncIterator[Emit]:
    """Lend who keeps a run and passes its events on. Raises `RunError` where it can't be kept.

    `roots` are what the run walks: of what failed there in earlier runs, and is gone by now,
    nothing is left to do.
    """
    what = Undertaking(task=started.task, album=started.album or 0, album_name=started.album_name)
    chronicle = RunRecorder(book, what, emit, clock=clock)
    await chronicle.begin()
    ending, error = Ending.FAILED, ""
    try:
        async with one_error(), anyio.create_task_group() as tasks:
            tasks.start_soon(chronicle.keep_on)
            yield chronicle.emit
            tasks.cancel_scope.cancel()
        if chronicle.finished:
            ending = Ending.DONE
    except BulkupError as failure:
        error = failure.message
        raise
    except Exception as bug:
        error = type(bug).__name__
        raise
    finally:
        if interrupted() or (ending is Ending.FAILED and not error):
            ending = Ending.INTERRUPTED
        with CancelScope(shield=True):
            await _end(chronicle, ending, error=error, roots=roots)


async def _end(
    chronicle: RunRecorder, ending: Ending, *, error: str, roots: Sequence[Path]
) -> None:
    try:
        await chronicle.end(ending, error=error, roots=roots if ending is Ending.DONE else ())
    except BulkupError:
        if not error:  # otherwise the ledger is what ended the run, most likely
            raise
