"""Brings the metadata of photos in the gallery to what their sources say now; sends no photos."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bulkup.engine.context import RunContext
from bulkup.engine.executor import Executor
from bulkup.engine.gallery_port import MetadataDifference, MetadataRefresher
from bulkup.engine.job import Job
from bulkup.engine.members import IdSet
from bulkup.engine.read import ArchivePlan, examine
from bulkup.engine.recorder import OutcomeGuard, checked, failure, record_hashed
from bulkup.errors import BulkupError, PhotoGone, RunError
from bulkup.errors import gallery as gallery_failures
from bulkup.events import Noticed, PhotoRefreshed, RunFinished, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(ArchivePlan):
    """What to refresh, and how many photos at once.

    `album` is the album that photos have to be in or below, 0 for any. With `overwrite`, values
    that were edited in the gallery are replaced as well; with `dry_run` nothing is changed. A
    `level` above 0 is the privacy level of all photos.
    """

    album: int = 0
    level: int = 0
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file, and the ids under which the gallery may have its photo, each with its MD5 there."""

    job: Job
    ids: Sequence[tuple[int, str]]


async def run(
    plan: Plan,
    context: RunContext,
    *,
    refresher: MetadataRefresher,
    executor: Executor,
    remarks: Callable[[], Iterable[tuple[str, str]]] = lambda: (),
) -> None:
    """Refresh the photos of the plan, and emit for each what was changed and what was kept.

    `remarks` returns notices for the end, each with a hint.

    Raises `RunError` where the run can't continue; files without an outcome are then emitted as
    unfinished.
    """
    began, emit = context.clock(), context.emit
    guard = OutcomeGuard(emit)
    context = replace(context, emit=guard.emit)
    refresh = _Refresh(plan, context, refresher)
    try:
        await examine(
            plan,
            context,
            locate=refresh.locate,
            compare=refresh.refresh,
            unreadable=lambda photo, error: guard.emit(failure(photo, error)),
            executor=executor,
        )
    finally:
        guard.close()
    for message, hint in remarks():
        emit(Noticed(message=message, hint=hint))
    emit(RunFinished(seconds=context.clock() - began))


class _Refresh:
    """Refreshes the photos of one run."""

    def __init__(self, plan: Plan, context: RunContext, refresher: MetadataRefresher) -> None:
        self._plan = plan
        self._context = context
        self._recovery = context.recovery
        self._refresher = refresher
        self._seen = IdSet()  # of equal files, the first one decides

    async def locate(self, jobs: Sequence[Job]) -> list[Candidate]:
        """Return where the photos of files may be, by the ledger and by their MD5."""
        context = self._context
        known = await context.ledger.look_up([job.photo.path for job in jobs])
        formats = {path for path, entry in known.items() if entry.is_format}
        for job in jobs:
            if job.photo.path in formats:  # its metadata is that of its photo
                self._emit_refreshed(job, None)
        jobs = [job for job in jobs if job.photo.path not in formats]
        await record_hashed([job for job in jobs if job.fresh], context.ledger)
        md5s = {job.md5 for job in jobs}
        try:
            async with self._recovery.proving("find", *(job.photo.path for job in jobs)):
                found = await self._recovery.run(lambda: context.gallery.find(md5s))
        except BulkupError as error:
            self._fail(jobs, error)
            return []
        return [
            Candidate(job, list(dict.fromkeys(_ids(job, found.get(job.md5)))))
            for job in sorted(jobs, key=lambda job: job.photo.path)
        ]

    async def refresh(self, candidate: Candidate) -> None:
        """Refresh the photo of a file, and emit the outcome."""
        job, context = candidate.job, self._context
        path = job.photo.path
        try:
            async with self._recovery.proving("refresh", path):
                for photo_id, md5 in candidate.ids:
                    try:
                        await self._refresh_photo(job, photo_id, md5)
                    except PhotoGone:
                        continue
                    return
        except BulkupError as error:
            self._fail([job], error)
            return
        if candidate.ids:
            await record_hashed([job], context.ledger, gone=True)
        context.emit(checked(job, Verdict.MISSING, gallery_failures.MISSING()))

    async def _refresh_photo(self, job: Job, photo_id: int, md5: str) -> None:
        """Refresh a photo. Raises `PhotoGone` where it is not the photo of the file."""
        plan, context, recovery = self._plan, self._context, self._recovery
        path = job.photo.path
        known = (await context.ledger.written([photo_id])).get(photo_id, {})
        difference = await recovery.run(
            lambda: self._refresher.compare(
                photo_id,
                job.photo,
                md5=md5,
                level=plan.level,
                written=known,
                overwrite=plan.overwrite,
            ),
            path=path,
        )
        if plan.album and plan.album not in difference.albums:
            failed = gallery_failures.ELSEWHERE(photo=photo_id, album=plan.album)
            context.emit(checked(job, Verdict.NOT_IN_ALBUM, failed, photo_id=photo_id))
            return
        if photo_id in self._seen:
            self._emit_refreshed(job, photo_id)
            return
        self._seen.add(photo_id)
        if not plan.dry_run:
            if difference.changes:
                await recovery.run(difference.apply, path=path)
            if difference.written != known:
                await context.ledger.record_written({photo_id: difference.written})
        self._emit_refreshed(job, photo_id, difference)

    def _emit_refreshed(
        self, job: Job, photo_id: int | None, difference: MetadataDifference | None = None
    ) -> None:
        self._context.emit(
            PhotoRefreshed(
                path=job.photo.path,
                size=job.photo.size,
                image_id=photo_id,
                changes=difference.changes if difference else {},
                kept=difference.kept if difference else {},
                md5=job.md5,
            )
        )

    def _fail(self, jobs: Sequence[Job], error: BulkupError) -> None:
        if isinstance(error, RunError):
            raise error
        for job in jobs:
            self._context.emit(failure(job.photo, error, md5=job.md5))


def _ids(job: Job, found: int | None) -> Iterator[tuple[int, str]]:
    """Yield the photos that a file may be, each with the MD5 that it then has in the gallery."""
    if job.sent_as is not None and job.was is None:
        yield job.sent_as, job.md5
    if found is not None:
        yield found, job.md5
    if job.was is not None and job.was.image_id is not None:
        yield job.was.image_id, job.was.md5  # only its metadata may have changed
