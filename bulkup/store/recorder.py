"""Saves the history of a run while it lasts."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio import CancelScope

from bulkup import events
from bulkup.errors import BulkupError, one_error
from bulkup.store.ledger import SqliteLedger
from bulkup.store.run_history import Ending, Failure, RunInfo

SAVE_S: Final = 5.0
"""The longest time between two updates of the counts while events arrive, in seconds."""


class RunRecorder:
    """Passes the events of one run on, and saves its history."""

    def __init__(
        self, ledger: SqliteLedger, info: RunInfo, emit: events.Emit, *, clock: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._info = info
        self._emit = emit
        self._clock = clock
        self._tally = events.Tally()
        self._failed: dict[Path, Failure] = {}
        self._resolved: set[Path] = set()
        self._changed = anyio.Event()
        self._run = self._open = 0
        self._saved = clock()

    @property
    def finished(self) -> bool:
        """Whether the run is complete."""
        return self._tally.seconds is not None

    async def begin(self) -> None:
        """Save the start. Raises `RunError`."""
        self._run, self._open = await self._ledger.write_history(
            lambda history: history.begin(self._info)
        )

    async def save_changes(self) -> None:
        """Save changes until cancelled. Raises `RunError`."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            await self._save()

    async def end(self, ending: Ending, *, error: str = "", roots: Sequence[Path] = ()) -> None:
        """Save the end. Raises `RunError`."""
        await self._save()
        await self._ledger.write_history(
            lambda history: history.end(self._run, ending, error=error, roots=roots)
        )

    def emit(self, event: events.Event) -> None:
        """Count an event, and pass it on."""
        self._tally.add(event)
        match event:
            case (
                events.PhotoUploaded()
                | events.PhotoPresent()
                | events.PhotoChecked(verdict=events.Verdict.PRESENT)
                | events.PhotoRefreshed()
            ):
                self._resolve(event.path)
            case events.FileSkipped(
                reason=events.SkipReason.TYPE
            ):  # it is no longer to be uploaded
                self._resolve(event.path)
            case events.PhotoFailed():
                self._fail(event)
            case events.PhotoChecked() if event.verdict is not events.Verdict.UNKNOWN:
                self._fail(event)
        if self._clock() - self._saved >= SAVE_S:
            self._changed.set()
        self._emit(event)

    def _fail(self, event: events.PhotoFailed | events.PhotoChecked) -> None:
        if "dry-run" in self._info.task:
            return  # nothing was sent
        self._resolved.discard(event.path)
        self._failed[event.path] = Failure(
            code=event.code, reason=event.reason, hint=event.hint, size=event.size
        )
        self._open += 1
        self._changed.set()

    def _resolve(self, path: Path) -> None:
        if self._open and "dry-run" not in self._info.task:
            self._failed.pop(path, None)
            self._resolved.add(path)
            self._changed.set()

    async def _save(self) -> None:
        failed, resolved = self._failed, self._resolved
        self._failed, self._resolved = {}, set()
        self._saved = self._clock()
        with CancelScope(shield=True):  # otherwise these changes would be lost
            await self._ledger.write_history(
                lambda history: history.update(
                    self._run,
                    album=self._info.album,
                    counts=counts_of(self._tally),
                    failed=failed,
                    resolved=resolved,
                )
            )


def counts_of(tally: events.Tally) -> Mapping[str, int]:
    """Return the counts of a run by their names in the ledger, without zeros."""
    counts = Counter(
        found=tally.found,
        uploaded=tally.uploaded,
        uploaded_bytes=tally.uploaded_size,
        replaced=tally.replaced,
        present=tally.present,
        changed=tally.changed,
        kept=tally.kept,
        unchanged=tally.refreshed - tally.changed,
        linked=tally.linked,
        new=tally.new,
        skipped=tally.skipped,
        failed=tally.failed,
        unfinished=tally.unfinished,
        moved=tally.moved,
        not_moved=tally.not_moved,
    )
    counts[events.Verdict.NOT_IN_ALBUM.value] = tally.not_in_album
    counts.update({verdict.value: count for verdict, count in tally.verdicts.items()})
    return +counts


@asynccontextmanager
async def record_run(
    ledger: SqliteLedger,
    started: events.RunStarted,
    *,
    roots: Sequence[Path],
    emit: events.Emit,
    interrupted: Callable[[], bool],
    clock: Callable[[], float],
) -> AsyncIterator[events.Emit]:
    """Save the history of a run; yield the function to which it emits its events.

    Failures of earlier runs below the `roots` are resolved if their files are gone. Raises
    `RunError` if the history can't be saved.
    """
    info = RunInfo(task=started.task, album=started.album or 0, album_name=started.album_name)
    recorder = RunRecorder(ledger, info, emit, clock=clock)
    await recorder.begin()
    ending, error = Ending.FAILED, ""
    try:
        async with one_error(), anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.save_changes)
            yield recorder.emit
            tasks.cancel_scope.cancel()
        if recorder.finished:
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
            await _end(recorder, ending, error=error, roots=roots)


async def _end(
    recorder: RunRecorder, ending: Ending, *, error: str, roots: Sequence[Path]
) -> None:
    try:
        await recorder.end(ending, error=error, roots=roots if ending is Ending.DONE else ())
    except BulkupError:
        if not error:  # otherwise the ledger itself probably ended the run
            raise
