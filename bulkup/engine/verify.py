"""Verifies an archive against the gallery: present, in its album, stored unchanged."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from bulkup.engine.albums import AlbumMembers, AlbumResolver, IdSet, MembersByAlbum, list_members
from bulkup.engine.pipeline import batches, read_archive
from bulkup.engine.ports import Job, RunContext, Stop
from bulkup.engine.recorder import OutcomeGuard, record_hashed
from bulkup.errors import BulkupError, FailureMessage, PhotoError, PhotoGone, RunError
from bulkup.errors import gallery as gallery_failures
from bulkup.errors.groups import one_error
from bulkup.events import PhotoChecked, RunFinished, Verdict
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.photos import Photo
from bulkup.source.scan import find

WELL = FailureMessage("")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts of one run; `photo_id` is the server's photo of all the jobs."""

    context: RunContext

    def unreadable(self, photo: Photo, error: PhotoError) -> None:
        """Tell of a photo that can't be read."""
        self._tell_one(photo, Verdict.FAILED, error.failure)

    def present(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos with which all is well."""
        self._tell(jobs, Verdict.PRESENT, photo_id=photo_id)

    async def missing(self, jobs: Sequence[Job]) -> None:
        """Tell of photos that the gallery does not have."""
        await record_hashed(jobs, self.context.ledger, gone=True)
        self._tell(
            jobs,
            Verdict.MISSING,
            gallery_failures.MISSING(),
        )

    async def elsewhere(self, job: Job, photo_id: int, *, lacks: PhotoError | None = None) -> None:
        """Tell of a photo that its album does not show, or why it has none."""
        await record_hashed([job], self.context.ledger)
        told = gallery_failures.ELSEWHERE(photo=photo_id, album=job.album)
        if lacks:
            told = gallery_failures.NO_PLACE(
                photo=photo_id, reason=lacks.message, remedy=lacks.hint
            )
        self._tell(
            [job],
            Verdict.NOT_IN_ALBUM,
            told,
            photo_id=photo_id,
        )

    async def differing(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos of which the gallery stores other bytes: no upload would mend that."""
        await record_hashed(jobs, self.context.ledger)
        self._tell(
            jobs,
            Verdict.DIFFERING,
            gallery_failures.DIFFERING(photo=photo_id),
            photo_id=photo_id,
        )

    def a_format(self, job: Job, photo_id: int, *, same: bool) -> None:
        """Tell of a file that became a format of a photo, `same` if it is what was sent."""
        told = gallery_failures.UNASKED_FORMAT if same else gallery_failures.FORMAT_CHANGED
        self._tell([job], Verdict.UNKNOWN, told(photo=photo_id), photo_id=photo_id)

    def nameless(self, jobs: Sequence[Job]) -> None:
        """Tell of photos that this server can't be asked for."""
        self._tell(
            jobs,
            Verdict.UNKNOWN,
            gallery_failures.NAMELESS(),
        )

    def unread(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos whose stored file this server can't compare."""
        self._tell(
            jobs,
            Verdict.UNKNOWN,
            gallery_failures.UNREAD(photo=photo_id),
            photo_id=photo_id,
        )

    def unlisted(self, job: Job, photo_id: int) -> None:
        """Tell of a photo in a gallery that does not list its albums."""
        self._tell(
            [job],
            Verdict.UNKNOWN,
            gallery_failures.UNLISTED(photo=photo_id, album=job.album),
            photo_id=photo_id,
        )

    def failed(
        self, jobs: Sequence[Job], error: BulkupError, *, photo_id: int | None = None
    ) -> None:
        """Tell of photos about which the question failed."""
        self._tell(
            jobs,
            Verdict.FAILED,
            gallery_failures.UNCHECKED(reason=error.message, remedy=error.hint),
            photo_id=photo_id,
        )

    def _tell(
        self,
        jobs: Sequence[Job],
        verdict: Verdict,
        told: FailureMessage = WELL,
        *,
        photo_id: int | None = None,
    ) -> None:
        for job in jobs:
            self._tell_one(
                job.photo,
                verdict,
                told,
                photo_id=photo_id,
                md5=job.md5,
                albums=(job.album,) if job.album and verdict is Verdict.PRESENT else (),
            )

    def _tell_one(
        self,
        photo: Photo,
        verdict: Verdict,
        told: FailureMessage,
        *,
        photo_id: int | None = None,
        md5: str = "",
        albums: tuple[int, ...] = (),
    ) -> None:
        self.context.emit(
            PhotoChecked(
                path=photo.path,
                size=photo.size,
                verdict=verdict,
                image_id=photo_id,
                reason=told.message,
                hint=told.hint,
                code=told.code,
                md5=md5,
                albums=albums,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to look for where, and how much at once.

    `concurrency` is the number of stored files that the server reads at once; `quick` leaves that
    out. `hashing` is the number of threads that read the archive, `endings` None takes every file.
    """

    roots: Sequence[Path]
    filters: Filters = EVERYTHING
    concurrency: int = 4
    quick: bool = False
    hashing: int = 2
    endings: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Whether a local photo is in its album; None: nobody tells. `lacks` says why it has none."""

    job: Job
    shown: bool | None
    lacks: PhotoError | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """A photo of the server, and the places of the local ones of its MD5."""

    photo_id: int
    places: Sequence[Placement]

    @property
    def jobs(self) -> Sequence[Job]:
        """The local photos."""
        return [place.job for place in self.places]


async def run(plan: Plan, context: RunContext, *, album_resolver: AlbumResolver | None) -> None:
    """Emit a verdict on every photo of the plan.

    `album_resolver`, which must not create albums, returns the album that a photo has to be in;
    None accepts any place in the gallery. Raises `RunError` where the run can't continue; files
    without a verdict are then emitted as unfinished.
    """
    began, emit = context.clock(), context.emit
    guard = OutcomeGuard(emit)
    context = replace(context, emit=guard.emit)
    verdicts = Verdicts(context)
    verifier = Verifier(
        context, verdicts=verdicts, album_resolver=album_resolver, quick=plan.quick
    )
    located_in, located = anyio.create_memory_object_stream[Located](plan.concurrency)
    try:
        async with one_error(), anyio.create_task_group() as tasks:
            with located:
                jobs = read_archive(
                    find(plan.roots, plan.filters, endings=plan.endings),
                    context,
                    tasks=tasks,
                    hashing=plan.hashing,
                    unreadable=verdicts.unreadable,
                )
                tasks.start_soon(locate_stage, jobs, located_in, verifier, context)
                for _ in range(plan.concurrency):
                    tasks.start_soon(compare_stage, located.clone(), verifier, context.stop)
    finally:
        guard.close()
    emit(RunFinished(seconds=context.clock() - began))


async def locate_stage(
    jobs: MemoryObjectReceiveStream[Job],
    out: MemoryObjectSendStream[Located],
    verifier: "Verifier",
    context: RunContext,
) -> None:
    """Pass on the photos that the server has."""
    async with jobs, out:

        async def locate(batch: list[Job]) -> list[Located]:
            return [] if context.stop.wanted else list(await verifier.locate(batch))

        async for found in batches(
            jobs, locate, sleep=context.recovery.sleep, clock=context.clock
        ):
            for located in found:
                await out.send(located)


async def compare_stage(
    located: MemoryObjectReceiveStream[Located], verifier: "Verifier", stop: Stop
) -> None:
    """Have photo after photo compared, one at a time."""
    async with located:
        async for photo in located:
            if not stop.wanted:
                await verifier.compare(photo)


class Verifier:
    """Asks one server about the photos of one run."""

    def __init__(
        self,
        context: RunContext,
        *,
        verdicts: Verdicts,
        album_resolver: AlbumResolver | None,
        quick: bool,
    ) -> None:
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._verdicts = verdicts
        self._destinations = album_resolver
        self._quick = quick
        self._shown = MembersByAlbum(self._look)
        self._equal = IdSet()  # twins share a photo: the server need not read it for each

    async def locate(self, jobs: Sequence[Job]) -> list[Located]:
        """Return what the server has of these photos; the verdict on the others is given."""
        known = await self._ledger.look_up([job.photo.path for job in jobs])
        formats = {path: entry for path, entry in known.items() if entry.is_format}
        new = [job for job in jobs if job.fresh and job.photo.path not in formats]
        await record_hashed(new, self._ledger)  # and which files are formats stays known
        md5s = list(dict.fromkeys(job.md5 for job in jobs))
        try:
            found = await self._recovery.run(lambda: self._gallery.find(md5s))
        except BulkupError as error:
            self._fail(jobs, error)
            return []
        absent = [job for job in jobs if found.get(job.md5, 0) is None]
        await self._verdicts.missing([job for job in absent if job.photo.path not in formats])
        for job in absent:
            if entry := formats.get(job.photo.path):
                self._verdicts.a_format(job, entry.image_id or 0, same=entry.md5 == job.md5)
        self._verdicts.nameless([job for job in jobs if job.md5 not in found])
        located: dict[int, list[Placement]] = {}
        for place in await self._places([job for job in jobs if found.get(job.md5)], found):
            located.setdefault(found[place.job.md5] or 0, []).append(place)
        return [Located(photo_id, places) for photo_id, places in located.items()]

    async def _places(
        self, jobs: Sequence[Job], found: Mapping[str, int | None]
    ) -> list[Placement]:
        """Return whether photos that the server has are in their albums."""
        if self._destinations is None:
            return [Placement(job, shown=True) for job in jobs]
        places = []
        by_album: dict[int, list[Job]] = {}
        for job in jobs:
            try:
                album = await self._destinations.of(job.photo.path)
            except PhotoError as error:
                places.append(Placement(job, shown=False, lacks=error))
            else:
                by_album.setdefault(album, []).append(replace(job, album=album))
        for album, inside in by_album.items():
            try:
                shown = await self._shown.of(album)
            except BulkupError as error:
                self._fail(inside, error)
                continue
            for job in inside:
                there = (found[job.md5] or 0) in shown.photos
                places.append(Placement(job, shown=there if shown.listed else None))
        return places

    async def compare(self, located: Located) -> None:
        """Compare the stored file of a photo, and give the verdict."""
        photo_id, jobs = located.photo_id, located.jobs
        try:
            same = await self._is_same(located)
        except PhotoGone:
            await self._verdicts.missing(jobs)
        except BulkupError as error:
            self._fail(jobs, error, photo_id=photo_id)
        else:
            if same is False:
                await self._verdicts.differing(jobs, photo_id)
                return
            for place in located.places:
                await self._judge(place, photo_id, read=same is not None)

    async def _judge(self, place: Placement, photo_id: int, *, read: bool) -> None:
        """Give the verdict on a photo of which the server is not known to have other bytes."""
        job = place.job
        if place.shown is False:
            await self._verdicts.elsewhere(job, photo_id, lacks=place.lacks)
        elif not read:
            self._verdicts.unread([job], photo_id)
        elif place.shown is None:
            self._verdicts.unlisted(job, photo_id)
        else:
            self._verdicts.present([job], photo_id)

    async def _is_same(self, located: Located) -> bool | None:
        photo_id, job = located.photo_id, located.places[0].job
        if self._quick or photo_id in self._equal:
            return True
        same = await self._recovery.run(
            lambda: self._gallery.check(photo_id, job.md5), path=job.photo.path
        )
        if same:
            self._equal.add(photo_id)
        return same

    async def _look(self, album: int) -> AlbumMembers | None:
        """Return what an album shows; None where nobody tells."""
        return await self._recovery.run(lambda: list_members(self._gallery, album))

    def _fail(
        self, jobs: Sequence[Job], error: BulkupError, *, photo_id: int | None = None
    ) -> None:
        if isinstance(error, RunError):
            raise error
        self._verdicts.failed(jobs, error, photo_id=photo_id)
