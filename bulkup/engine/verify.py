"""Verifies an archive against the gallery: present, in its album, stored unchanged."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from bulkup.engine.albums import AlbumResolver
from bulkup.engine.arrange import Marks
from bulkup.engine.arrange_options import NOTHING, Arrangement
from bulkup.engine.context import RunContext
from bulkup.engine.executor import Executor
from bulkup.engine.gallery_port import Access
from bulkup.engine.job import Job
from bulkup.engine.members import AlbumMembers, IdSet, MembersByAlbum, list_members
from bulkup.engine.read import ArchivePlan, examine
from bulkup.engine.recorder import NO_FAILURE, OutcomeGuard, checked, record_hashed
from bulkup.engine.verify_arrangement import ArrangementVerifier
from bulkup.errors import (
    BulkupError,
    FormatRefused,
    NotOffered,
    PhotoError,
    PhotoGone,
    RunError,
    Transient,
    count_text,
)
from bulkup.errors import gallery as gallery_failures
from bulkup.events import Noticed, RunFinished, Verdict
from bulkup.source.pairing import original_of
from bulkup.source.photos import Photo, ending_of

LacksPosition = Callable[[int, Photo], Awaitable[bool | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(ArchivePlan):
    """What to verify, and how much of it at once.

    `concurrency` is the number of stored files that the server reads at once; with `quick` it
    reads none. With `private`, the albums of the photos must be private, and be seen by those of
    `access` alone, if that is given. With `repeat_links`, links to photos are in the albums of
    their own folders. `lacks_position` returns whether a photo lacks the position of its sources,
    None if that is unknown; without it, positions are not verified. `arrangement` is the order and
    the cover that the albums of the photos have to have, with the `marks` of a table.
    """

    concurrency: int = 4
    quick: bool = False
    private: bool = False
    access: Access | None = None
    repeat_links: bool = False
    lacks_position: LacksPosition | None = None
    arrangement: Arrangement = NOTHING
    marks: Marks | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Whether a local photo is in all its albums, None if unknown; `error` says why it has none.

    `album` is the first one of which that is not certain.
    """

    job: Job
    in_album: bool | None
    album: int = 0
    error: PhotoError | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """A photo in the gallery, and the placements of the local files with its MD5."""

    photo_id: int
    placements: Sequence[Placement]

    @property
    def jobs(self) -> Sequence[Job]:
        """The local files."""
        return [placement.job for placement in self.placements]


async def run(
    plan: Plan,
    context: RunContext,
    *,
    album_resolver: AlbumResolver | None,
    executor: Executor,
) -> None:
    """Emit a verdict on every photo of the plan.

    `album_resolver`, which must not create albums, returns the albums that a photo has to be in;
    None accepts any place in the gallery. Raises `RunError` where the run can't continue; files
    without a verdict are then emitted as unfinished.
    """
    began, emit = context.clock(), context.emit
    arrangement = ArrangementVerifier(
        plan.arrangement,
        context,
        marks=plan.marks,
        private=plan.private,
        access=plan.access,
    )
    guard = OutcomeGuard(arrangement.emit)
    context = replace(context, emit=guard.emit)
    verifier = Verifier(
        context,
        album_resolver=album_resolver,
        quick=plan.quick,
        lacks_position=plan.lacks_position,
    )
    try:
        await examine(
            plan,
            context,
            locate=verifier.locate,
            compare=verifier.compare,
            unreadable=verifier.unreadable,
            executor=executor,
            repeat_links=plan.repeat_links,
        )
        await arrangement.run(album_resolver.albums.used if album_resolver else {})
        verifier.remark()
    finally:
        guard.close()
    emit(RunFinished(seconds=context.clock() - began))


class Verifier:
    """Verifies the photos of one run.

    Files that an upload would have to check again are recorded as only hashed.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        album_resolver: AlbumResolver | None,
        quick: bool,
        lacks_position: LacksPosition | None = None,
    ) -> None:
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._emit = context.emit
        self._album_resolver = album_resolver
        self._quick = quick
        self._members = MembersByAlbum(self._list_members)
        self._lacks_position = lacks_position
        self._converted = self._attached = self._unknown_positions = 0
        self._equal = IdSet()  # photos compared: equal files share one, to be read only once

    def unreadable(self, photo: Photo, error: PhotoError) -> None:
        """Emit the verdict on a file that can't be read."""
        self._emit(checked(Job(photo, md5=""), Verdict.FAILED, error.failure))

    async def locate(self, jobs: Sequence[Job]) -> list[Located]:
        """Return the photos that the server has; emit the verdict on the other files."""
        known = await self._ledger.look_up([job.photo.path for job in jobs])
        formats = {path: entry for path, entry in known.items() if entry.is_format}
        new = [job for job in jobs if job.fresh and job.photo.path not in formats]
        await record_hashed(new, self._ledger)  # formats stay recorded as such
        md5s = list(dict.fromkeys(job.md5 for job in jobs))
        try:
            async with self._recovery.proving("find", *(job.photo.path for job in jobs)):
                found = await self._recovery.run(lambda: self._gallery.find(md5s))
        except BulkupError as error:
            self._fail(jobs, error)
            return []
        absent = [job for job in jobs if found.get(job.md5, 0) is None]
        await self._missing([job for job in absent if job.photo.path not in formats])
        for job in absent:
            if entry := formats.get(job.photo.path):
                photo_id = entry.image_id or 0
                kind = gallery_failures.FORMAT_CHANGED
                if entry.md5 == job.md5:
                    kind = gallery_failures.UNASKED_FORMAT
                self._emit(checked(job, Verdict.UNKNOWN, kind(photo=photo_id), photo_id=photo_id))
        for job in jobs:
            if job.md5 not in found:
                self._emit(checked(job, Verdict.UNKNOWN, gallery_failures.NAMELESS()))
        located: dict[int, list[Placement]] = {}
        for placement in await self._placements(
            [job for job in jobs if found.get(job.md5)], found
        ):
            located.setdefault(found[placement.job.md5] or 0, []).append(placement)
        return [Located(photo_id, placements) for photo_id, placements in located.items()]

    async def _placements(
        self, jobs: Sequence[Job], found: Mapping[str, int | None]
    ) -> list[Placement]:
        """Return whether photos that the server has are in their albums."""
        if self._album_resolver is None:
            return [Placement(job, in_album=True) for job in jobs]
        placements = []
        unlisted: dict[int, BulkupError] = {}
        paths = await self._album_resolver.paths_of([job.photo.path for job in jobs])
        for job, further_paths in zip(jobs, paths, strict=True):
            try:
                async with self._recovery.proving("album", job.photo.path):
                    album, further = await self._album_resolver.all_of(
                        job.photo.path, further_paths
                    )
            except PhotoError as error:
                placements.append(Placement(job, in_album=False, error=error))
                continue
            except BulkupError as error:
                self._fail([job], error)
                continue
            meant = replace(job, album=album, further=further)
            try:
                placements.append(await self._placement(meant, found[job.md5] or 0, unlisted))
            except BulkupError as error:
                self._fail([meant], error)
        return placements

    async def _placement(
        self, job: Job, photo_id: int, unlisted: dict[int, BulkupError]
    ) -> Placement:
        """Return whether a photo is in the albums that its file is meant for.

        `unlisted` are the albums that could not be listed, so that the server is asked once.
        """
        unknown = None
        for album in job.wanted:
            if album in unlisted:
                raise unlisted[album]
            try:
                there = await self._is_in(album, job, photo_id)
            except BulkupError as error:
                unlisted[album] = error
                raise
            if there is False:
                return Placement(job, in_album=False, album=album)
            if there is None:
                unknown = unknown or album
        return Placement(job, in_album=None if unknown else True, album=unknown or job.album)

    async def _is_in(self, album: int, job: Job, photo_id: int) -> bool | None:
        """Return whether a photo is in an album, None if unknown."""
        members = await self._members.of(album)
        if not members.listed:
            return None
        if photo_id in members.photos:
            return True
        if self._gallery.moderated:
            # the ledger knows where this account sent a photo that is now hidden
            if photo_id == job.sent_as and album in job.albums:
                return True
            if await self._is_hidden(photo_id):
                return None
        return False

    async def _is_hidden(self, photo_id: int) -> bool:
        """Return whether the gallery does not show a photo that it has to this account."""
        try:
            await self._recovery.run(lambda: self._gallery.identity(photo_id))
        except (NotOffered, PhotoError, Transient):
            return True
        return False

    async def compare(self, located: Located) -> None:
        """Compare the stored file of a photo, and emit the verdict on its local files."""
        photo_id, jobs = located.photo_id, located.jobs
        try:
            async with self._recovery.proving("compare", *(job.photo.path for job in jobs)):
                same = await self._is_same(photo_id, jobs[0])
                lacking = {job for job in jobs if await self._lacks_original(job, photo_id)}
                unplaced = {job for job in jobs if await self._is_unplaced(job, photo_id)}
        except PhotoGone:
            await self._missing(jobs)
            return
        except BulkupError as error:
            self._fail(jobs, error, photo_id=photo_id)
            return
        if same is False:  # no upload would repair that
            await record_hashed(jobs, self._ledger)
            for job in jobs:
                differing = gallery_failures.DIFFERING(photo=photo_id)
                self._emit(checked(job, Verdict.DIFFERING, differing, photo_id=photo_id))
            return
        for placement in located.placements:
            if placement.job in lacking:
                failure = gallery_failures.LACKS_ORIGINAL(photo=photo_id)
                self._emit(checked(placement.job, Verdict.MISSING, failure, photo_id=photo_id))
            else:
                await self._judge(
                    placement,
                    photo_id,
                    compared=same is not None,
                    unplaced=placement.job in unplaced,
                )

    async def _is_same(self, photo_id: int, job: Job) -> bool | None:
        """Return whether the stored file is the local one, None where the server can't tell."""
        if self._quick or photo_id in self._equal:
            return True
        same = await self._recovery.run(
            lambda: self._gallery.check(photo_id, job.md5), path=job.photo.path
        )
        if same:
            self._equal.add(photo_id)
        return same

    async def _lacks_original(self, job: Job, photo_id: int) -> bool:
        """Return whether a converted photo has lost its own file, which was attached to it.

        As far as the gallery can tell; the ledger then forgets the file, to be attached again.
        """
        photo = job.photo
        if not photo.convert:
            return False
        original = original_of(photo)
        path = original.recorded_as
        entry = (await self._ledger.look_up([path])).get(path)
        attached = entry is not None and entry.attached_to(photo_id, photo)
        if attached and not self._quick:
            with suppress(FormatRefused, NotOffered):
                await self._recovery.run(lambda: self._gallery.check_format(path.name))
                identity = await self._recovery.run(lambda: self._gallery.identity(photo_id))
                endings = await self._recovery.run(
                    lambda: self._gallery.formats_of(photo_id, identity.file)
                )
                if endings is not None and ending_of(path) not in endings:
                    await self._ledger.forget([path])
                    return True
        self._converted += 1
        self._attached += attached
        return False

    async def _is_unplaced(self, job: Job, photo_id: int) -> bool:
        """Return whether a photo lacks the position that the sources of its file have."""
        if self._lacks_position is None:
            return False
        ask = partial(self._lacks_position, photo_id, job.photo)
        unplaced = await self._recovery.run(ask, path=job.photo.path)
        self._unknown_positions += unplaced is None
        return unplaced is True

    def remark(self) -> None:
        """Emit how many positions are unknown, and how many photos are converted ones."""
        if count := self._unknown_positions:
            has = count_text(count, "photo has", "photos have")
            self._emit(
                Noticed(
                    message=f"{has} a position (GPS) that could not be checked",
                    hint="Positions are checked where the gallery's plugin OpenStreetMap is "
                    "active, with an administrator's account.",
                )
            )
        if count := self._converted:
            self._emit(
                Noticed(
                    message=f"{count:,} of the photos are JPEGs made from their files; "
                    f"the files themselves are attached to {self._attached:,} of them",
                    hint="Piwigo does not report how it stores formats.",
                )
            )

    async def _judge(
        self, placement: Placement, photo_id: int, *, compared: bool, unplaced: bool
    ) -> None:
        """Emit the verdict on a file whose photo is not known to differ."""
        job, error = placement.job, placement.error
        verdict, failure = Verdict.UNKNOWN, NO_FAILURE
        if placement.in_album is False:
            await record_hashed([job], self._ledger)
            verdict = Verdict.NOT_IN_ALBUM
            failure = gallery_failures.ELSEWHERE(photo=photo_id, album=placement.album)
            if error:
                failure = gallery_failures.NO_PLACE(
                    photo=photo_id, reason=error.message, remedy=error.hint
                )
        elif not compared:
            failure = gallery_failures.UNREAD(photo=photo_id)
        elif placement.in_album is None:
            kind = gallery_failures.UNLISTED
            if self._gallery.moderated:
                kind = gallery_failures.HIDDEN
            failure = kind(photo=photo_id, album=placement.album)
        elif unplaced:
            verdict, failure = Verdict.UNPLACED, gallery_failures.UNPLACED(photo=photo_id)
        else:
            verdict = Verdict.PRESENT
        self._emit(checked(job, verdict, failure, photo_id=photo_id))

    async def _missing(self, jobs: Sequence[Job]) -> None:
        await record_hashed(jobs, self._ledger, gone=True)
        for job in jobs:
            self._emit(checked(job, Verdict.MISSING, gallery_failures.MISSING()))

    def _fail(
        self, jobs: Sequence[Job], error: BulkupError, *, photo_id: int | None = None
    ) -> None:
        if isinstance(error, RunError):
            raise error
        failure = gallery_failures.UNCHECKED(reason=error.message, remedy=error.hint)
        for job in jobs:
            self._emit(checked(job, Verdict.FAILED, failure, photo_id=photo_id))

    async def _list_members(self, album: int) -> AlbumMembers | None:
        """Return the members of an album, None where the server does not list them."""
        return await self._recovery.run(lambda: list_members(self._gallery, album))
