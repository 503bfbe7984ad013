"""Records outcomes: ledger first, then the event; each file has exactly one outcome."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bulkup.engine.context import RunContext
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Entry, Ledger, State
from bulkup.errors import BulkupError, FailureMessage
from bulkup.events import (
    Emit,
    Event,
    FileFound,
    Outcome,
    PhotoChecked,
    PhotoFailed,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    Verdict,
)
from bulkup.source.photos import Photo

NO_FAILURE: Final = FailureMessage("")
IN_ALBUMS: Final = {Verdict.PRESENT, Verdict.UNPLACED}


class OutcomeGuard:
    """Passes events on, and tracks the files that have no outcome yet (those in the streams)."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open: dict[Path, list[int]] = {}  # a list of files may name one twice

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, FileFound):
            self._open.setdefault(event.path, []).append(event.size)
        elif isinstance(event, Outcome):
            sizes = self._open.pop(event.path, [])
            if sizes[1:]:
                self._open[event.path] = sizes[:-1]
        self._emit(event)

    def close(self) -> None:
        """Emit the files without an outcome as unfinished."""
        for path, sizes in self._open.items():
            for size in sizes:
                self._emit(PhotoUnfinished(path=path, size=size))
        self._open.clear()


@dataclass(frozen=True, slots=True)
class OutcomeRecorder:
    """Records the outcomes of one run; `arrived` is called first for each photo in the gallery."""

    context: RunContext
    arrived: Callable[[Job, int | None], None] = lambda _job, _photo_id: None

    def still_present(self, job: Job) -> None:
        """Emit a photo as present: the ledger says so, and the server does not contradict."""
        self.arrived(job, job.sent_as)
        self.context.emit(present(job, job.sent_as))

    async def present(
        self,
        arrived: Sequence[tuple[Job, int]],
        *,
        linked: Collection[int] = frozenset(),
        state: State = State.DONE,
    ) -> None:
        """Record photos that were not sent; those `linked` were newly added to their albums."""
        await self._arrived(arrived, state)
        for job, photo_id in arrived:
            self.context.emit(present(job, photo_id, linked=photo_id in linked))

    async def uploaded(self, arrived: Sequence[tuple[Job, PhotoUploaded]]) -> None:
        """Record photos that were sent, and confirmed as far as the server can tell."""
        sent = [(replace(job, compared=True), event.image_id) for job, event in arrived]
        await self._arrived(sent, State.SENT)
        if written := {event.image_id: job.written for job, event in arrived if job.written}:
            await self.context.ledger.record_written(written)
        for _, event in arrived:
            self.context.emit(event)

    async def failed(self, jobs: Sequence[Job], error: BulkupError) -> None:
        """Record photos that failed, with the reason.

        A changed file keeps its entry: another run has to know which photo it was.
        """
        new = [
            _entry(
                job,
                State.FAILED,
                image_id=job.sent_as,
                albums=job.albums,
                error=error.message,
            )
            for job in jobs
            if job.was is None
        ]
        if new:
            await self.context.ledger.record(new)
        for job in jobs:
            self.context.emit(failure(job.photo, error, md5=job.md5))

    async def _arrived(self, arrived: Sequence[tuple[Job, int]], state: State) -> None:
        if arrived:
            await self.context.ledger.record(
                [
                    _entry(job, state, image_id=photo_id, albums=job.all_albums)
                    for job, photo_id in arrived
                ]
            )
        for job, photo_id in arrived:
            self.arrived(job, photo_id)


async def record_hashed(jobs: Sequence[Job], ledger: Ledger, *, gone: bool = False) -> None:
    """Record MD5s and photo ids, so that the server is asked for the photos again.

    A changed file keeps its entry. With `gone`, photo ids are dropped.
    """
    new = [
        _entry(job, State.HASHED, image_id=None if gone else job.sent_as)
        for job in jobs
        if job.was is None
    ]
    if new:
        await ledger.record(new)


def present(job: Job, photo_id: int | None, *, linked: bool = False) -> PhotoPresent:
    """Return the event of a photo that is in its albums without having been sent."""
    return PhotoPresent(
        path=job.photo.path,
        size=job.photo.size,
        image_id=photo_id,
        linked=linked,
        md5=job.md5,
        albums=job.all_albums,
    )


def failure(photo: Photo, error: BulkupError, *, md5: str = "") -> PhotoFailed:
    """Return the event of a failed photo."""
    return PhotoFailed(
        path=photo.path,
        size=photo.size,
        reason=error.message,
        hint=error.hint,
        code=error.code,
        md5=md5,
    )


def checked(
    job: Job, verdict: Verdict, failed: FailureMessage = NO_FAILURE, *, photo_id: int | None = None
) -> PhotoChecked:
    """Return the event of the verdict on a photo; `failed` is what is wrong with it."""
    return PhotoChecked(
        path=job.photo.path,
        size=job.photo.size,
        verdict=verdict,
        image_id=photo_id,
        reason=failed.message,
        hint=failed.hint,
        code=failed.code,
        md5=job.md5,
        albums=job.wanted if job.album and verdict in IN_ALBUMS else (),
    )


def _entry(
    job: Job,
    state: State,
    *,
    image_id: int | None = None,
    albums: Collection[int] = frozenset(),
    error: str = "",
) -> Entry:
    return Entry(
        path=job.photo.path,
        size=job.photo.size,
        mtime_ns=job.photo.mtime_ns,
        md5=job.md5,
        state=state,
        image_id=image_id,
        albums=frozenset(albums),
        error=error,
        compared=job.compared and image_id is not None,
    )
