"""Decides which photos are new: first by the ledger, then by asking the server for their MD5."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from bulkup.engine.albums import AlbumResolver
from bulkup.engine.context import RunContext
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import State, Unarranged
from bulkup.engine.members import AlbumMembers, IdSet, MembersByAlbum, list_members
from bulkup.engine.recorder import OutcomeRecorder, record_hashed
from bulkup.engine.replace import ChangedFiles
from bulkup.errors import (
    BulkupError,
    NotOffered,
    PhotoError,
    PhotoGone,
    RunError,
    one_error,
)
from bulkup.errors import gallery as gallery_failures
from bulkup.events import Noticed, PhotoPlanned

CHANGED_BATCH: Final = 200
CANT_COMPARE: Final = Noticed(
    message="this gallery can't compare its files with local ones: photos that it has are "
    "recognized by their MD5 alone",
    hint="It must offer pwg.images.checkFiles.",
)
CANT_LINK: Final = Noticed(
    message="this gallery can't add photos to further albums: each is only in that of its folder",
    hint="It must offer pwg.images.setCategory or pwg.images.setInfo.",
)
SHRUNK: Final = Noticed(
    message="the gallery stores photos in fewer bytes than the files here have: those of the same "
    "MD5 and name count as present",
    hint="It probably resizes originals. bulkup verify lists such photos.",
)


class Deduplicator:
    """Deduplicates the photos of one run.

    Called by one task at a time, except for `uploaded` and `failed`. Equal photos wait while the
    first of them is in flight, so that each content is sent once.

    `compare_at_once` is how many photos the server compares at once before they count as present,
    None for no comparison. It is not asked about photos sent or compared earlier.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        outcomes: OutcomeRecorder,
        album_resolver: AlbumResolver,
        changed_files: ChangedFiles,
        compare_at_once: int | None = None,
    ) -> None:
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._emit = context.emit
        self._outcomes = outcomes
        self._album_resolver = album_resolver
        self._changed_files = changed_files
        self._changed: list[Job] = []
        self._all_seen = False
        self._in_flight: dict[str, list[Job]] = {}  # the equal photos that wait, by MD5
        self._members = MembersByAlbum(self._list_members)
        self._lounge_emptied = False
        # where the server can't look up MD5s, or nothing is sent, this run keeps its own
        self._no_lookup = False
        self._sent: dict[bytes, int] = {}
        self._planned = defaultdict[int, IdSet](IdSet)  # what albums would get, too
        self._compare_at_once = compare_at_once
        self._right: dict[str, int] = {}  # by MD5, where the server finds another photo first
        self._noticed: set[Noticed] = set()
        self._not_taken = False  # the server takes a file for the photo with its MD5
        self.misplaced: dict[int, set[int]] = {}
        """By album: the photos that files may have been taken for, and that were not in it."""

    async def select(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that have to be sent; emit the outcome of all others.

        Changed files wait for `rest`: their old content may have moved to a file that is read
        later.
        """
        await record_hashed([job for job in jobs if job.fresh], self._ledger)
        if not self._all_seen:
            self._changed += [job for job in jobs if job.was is not None]
            jobs = [job for job in jobs if job.was is None]
        jobs = await self._with_albums(jobs)
        try:
            async with self._recovery.proving("list", *(job.photo.path for job in jobs)):
                jobs = await self._changed_files.decide(jobs)
                jobs = await self._without_complete(jobs)
        except BulkupError as error:
            await self._fail(jobs, error)
            return []
        # before any other await, during which a photo in flight may be finished
        jobs = [job for job in jobs if not self._waits(job)]
        md5s = {job.md5 for job in jobs}
        try:
            async with self._recovery.proving("find", *(job.photo.path for job in jobs)):
                found = await self._recovery.run(lambda: self._gallery.find(md5s))
        except BulkupError as error:
            await self._fail(jobs, error)
            return []
        self._no_lookup = self._no_lookup or not md5s <= found.keys()
        send: list[Job] = []
        present: list[tuple[Job, int]] = []
        for job in jobs:
            photo_id = found.get(job.md5)
            if photo_id is None and job.md5 not in found:
                photo_id = job.sent_as
            if sent := self._right.get(job.md5) or self._sent.get(bytes.fromhex(job.md5)):
                present.append((replace(job, sent_as=sent, compared=True), sent))
            elif self._gallery.moderated and self._is_held(job) and photo_id == job.sent_as:
                self._outcomes.still_present(job)  # the album does not show it before approval
            elif photo_id is not None:
                present.append((job, photo_id))
            else:
                self._plan(job, send)
        present, others = await self._compare(present)
        for job in others:
            if await self._may_send(job):
                self._plan(job, send)
        await self._ledger.plan_photos(
            [job.photo.path for job in send if job.replaces is None], Unarranged.SENT
        )
        await self._complete(present)
        return send

    async def album_of(self, path: Path) -> int:
        """Return the album of a file's folder. Raises `PhotoError` where it has none."""
        return await self._album_resolver.of(path)

    async def _may_send(self, job: Job) -> bool:
        """Return whether a job can be sent; fail it if not.

        The server may take it for the photo of its MD5, and add that one to the album.
        """
        if job.differs is None:
            return True
        try:
            # the Community plugin would hide the photo that the server takes it for
            if self._not_taken or job.was is not None or self._gallery.moderated:
                raise PhotoError(gallery_failures.WRONG_MD5(photo=job.differs))
            members = await self._members.of(job.album)
        except BulkupError as error:
            await self._fail([job], error)
            return False
        if members.listed and job.differs not in members.photos:
            self.misplaced.setdefault(job.album, set()).add(job.differs)
        return True

    def _plan(self, job: Job, send: list[Job]) -> None:
        """Add a job to those to be sent, unless an equal one is in flight."""
        if not self._waits(job):
            self._in_flight[job.md5] = []
            path, size = job.photo.path, job.photo.size
            self._emit(PhotoPlanned(path=path, size=size, replaces=job.replaces))
            send.append(job)

    async def _compare(
        self, found: Sequence[tuple[Job, int]]
    ) -> tuple[list[tuple[Job, int]], list[Job]]:
        """Return the photos found whose stored files are the local ones, and the jobs to send.

        The MD5 that the gallery has of a photo may be that of another one.
        """
        doubtful = {
            (photo_id, job.md5): job
            for job, photo_id in found
            if self._compare_at_once and not (job.compared and job.sent_as == photo_id)
        }
        if not doubtful:
            return [(_known_as(photo_id, job), photo_id) for job, photo_id in found], []
        files = await self._ledger.files_of({photo_id for photo_id, _ in doubtful})
        sure = {(file.image_id, file.md5) for file in files if file.compared}
        answers: dict[tuple[int, str], bool | BulkupError | None] = {}
        limit = anyio.CapacityLimiter(self._compare_at_once or 1)

        async def ask(photo_id: int, job: Job) -> None:
            async with limit:
                answers[photo_id, job.md5] = await self._is_stored(photo_id, job)

        async with one_error(), anyio.create_task_group() as tasks:
            for (photo_id, md5), job in doubtful.items():
                if (photo_id, md5) not in sure:
                    tasks.start_soon(ask, photo_id, job)
        present: list[tuple[Job, int]] = []
        others: list[Job] = []
        for job, photo_id in found:
            match answers.get((photo_id, job.md5), True):
                case None:
                    present.append((_known_as(photo_id, job), photo_id))
                case True:
                    right = self._right.get(job.md5, photo_id)
                    present.append((replace(job, compared=True), right))
                case PhotoGone():
                    others.append(job)
                case BulkupError() as error:
                    await self._fail([job], error)
                case False:
                    others.append(replace(job, differs=photo_id))
        return present, others

    async def _is_stored(self, photo_id: int, job: Job) -> bool | BulkupError | None:
        """Return whether the stored file of a photo is this file, or the error of the question.

        None if the server can't tell.
        """
        gallery, recovery, md5 = self._gallery, self._recovery, job.md5
        try:
            async with recovery.proving("compare", job.photo.path):
                same = await recovery.run(
                    lambda: gallery.check(photo_id, md5), path=job.photo.path
                )
            if same is None:
                self._compare_at_once = None
                self._notice(CANT_COMPARE)
            elif not same and await self._is_other(photo_id, job):
                same = True
            elif not same and await recovery.run(lambda: gallery.shrunk(photo_id, job.photo)):
                self._notice(SHRUNK)
                same = True
        except RunError:
            raise
        except BulkupError as error:
            return error
        return same

    async def _is_other(self, photo_id: int, job: Job) -> bool:
        """Return whether a job is the photo it was sent as, instead of the one found."""
        sent_as = job.sent_as
        if not job.compared or sent_as in {None, photo_id}:
            return False
        with suppress(PhotoGone):
            if await self._recovery.run(lambda: self._gallery.check(sent_as or 0, job.md5)):
                self._right[job.md5] = sent_as or 0
                return True
        return False

    def _notice(self, notice: Noticed) -> None:
        if notice not in self._noticed:
            self._noticed.add(notice)
            self._emit(notice)

    def taken_for_another(self) -> None:
        """Send no more files that the server takes for photos of the same MD5."""
        self._not_taken = True

    def rest(self) -> Iterator[list[Job]]:
        """Yield the changed files in batches for `select`, after all others."""
        self._all_seen = True
        self._changed_files.new_md5s = frozenset(job.md5 for job in self._changed)
        while self._changed:
            batch, self._changed = self._changed[:CHANGED_BATCH], self._changed[CHANGED_BATCH:]
            yield batch

    async def _with_albums(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs with their albums; fail those that can't have one."""
        resolved = [job for job in jobs if job.album]
        # creates albums in order
        new = sorted((job for job in jobs if not job.album), key=lambda job: job.photo.path)
        paths = await self._album_resolver.paths_of([job.photo.path for job in new])
        for job, further_paths in zip(new, paths, strict=True):
            try:
                async with self._recovery.proving("album", job.photo.path):
                    album, further = await self._album_resolver.all_of(
                        job.photo.path, further_paths
                    )
                    await self._recovery.run(partial(self._gallery.check_album, album))
            except BulkupError as error:
                await self._fail([job], error)
            else:
                resolved.append(replace(job, album=album, further=further))
        return resolved

    async def _without_complete(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that still need something, by the ledger and their albums.

        Where the server does not list albums, the ledger decides.
        """
        left: list[Job] = []
        complete: list[Job] = []  # counted once all albums are known: a failure fails all jobs
        for job in jobs:
            there = self._is_held(job) and await self._is_in_albums(job)
            (complete if there else left).append(job)
        for job in complete:
            self._outcomes.still_present(job)
        return left

    async def _is_in_albums(self, job: Job) -> bool:
        """Return whether all albums that a job is meant for show its photo, as far as listed."""
        for album in job.wanted:
            members = await self._members.of(album)
            if members.listed and (job.sent_as or -1) not in members.photos:
                return False
        return True

    def _is_held(self, job: Job) -> bool:
        """Return whether a job needs nothing more, and no comparison, by the ledger."""
        return job.complete and (job.compared or not self._compare_at_once)

    async def uploaded(self, job: Job, *, photo_id: int, planned: bool = False) -> None:
        """Handle a sent photo: record equal ones as present, or link them to it.

        The server does not know one that is only `planned`.
        """
        if self._no_lookup or planned:
            self._sent[bytes.fromhex(job.md5)] = photo_id
        for album in job.wanted if planned else ():
            self._planned[album].add(photo_id)
        if job.differs is not None:
            self._right[job.md5] = photo_id
            self.misplaced.get(job.album, set()).discard(job.differs)
        twins = [replace(twin, compared=True) for twin in self._in_flight.pop(job.md5, [])]
        same_album = [(twin, photo_id) for twin in twins if twin.album == job.album]
        others = [(twin, photo_id) for twin in twins if twin.album != job.album]
        there = frozenset(job.wanted)
        if same_album:
            await self._complete(same_album, there=there, state=State.SENT)
        await self._complete(others, there=there)

    async def add_to_further(
        self, sent: Sequence[tuple[Job, int]], *, sent_to: Callable[[Job], Collection[int]]
    ) -> tuple[list[Job], dict[int, BulkupError]]:
        """Add photos that were just sent to those of their albums that they were not `sent_to`.

        Return their jobs with the further albums in which the photos are now, and why photos could
        not be added, by photo id.
        """
        by_album: dict[int, set[int]] = {}
        for job, photo_id in sent:
            for album in job.further.difference(sent_to(job)):
                by_album.setdefault(album, set()).add(photo_id)
        unlinked: dict[int, BulkupError] = {}
        left_out: set[int] = set()
        for album, photo_ids in sorted(by_album.items()):
            paths = (job.photo.path for job, photo_id in sent if photo_id in photo_ids)
            try:
                async with self._recovery.proving("link", *paths):
                    unlinked |= await self._link(sorted(photo_ids), album=album)
            except NotOffered:
                left_out.add(album)
                self._notice(CANT_LINK)
            except RunError:
                raise
            except BulkupError as error:
                for photo_id in photo_ids:
                    failure = gallery_failures.NOT_ADDED(
                        photo=photo_id, album=album, reason=error.message
                    )
                    unlinked[photo_id] = PhotoError(failure)
        jobs = [replace(job, further=job.further - left_out) for job, _ in sent]
        return jobs, unlinked

    async def failed(self, job: Job) -> list[Job]:
        """Handle a failed photo; return an equal one to be sent instead, if any.

        The failed photo may be on the server nevertheless, so the server is asked again.
        """
        twins = self._in_flight.pop(job.md5, [])
        return await self.select(twins) if twins else []

    async def changed(self, job: Job, *, into: Job) -> list[Job]:
        """Handle the job as it was sent; if its content changed, return equal photos to send."""
        return [] if into.md5 == job.md5 else await self.failed(job)

    def _waits(self, job: Job) -> bool:
        """Make a photo wait if an equal one is in flight; return whether it does."""
        twins = self._in_flight.get(job.md5)
        if twins is not None:
            twins.append(job)
        return twins is not None

    async def _complete(
        self,
        present: Sequence[tuple[Job, int]],
        *,
        there: frozenset[int] = frozenset(),
        state: State = State.DONE,
    ) -> None:
        """Add photos that the server has to their albums, and set missing names.

        `there` are albums in which they are known to be.
        """
        by_album: dict[int, list[int]] = {}
        for index, (job, _) in enumerate(present):
            for album in job.wanted:
                if album not in there:
                    by_album.setdefault(album, []).append(index)
        present = list(present)
        linked: set[int] = set()
        failed: dict[int, BulkupError] = {}
        for album, indexes in by_album.items():
            if self._no_lookup:
                break
            photos = [present[index] for index in indexes]
            try:
                async with self._recovery.proving("link", *(job.photo.path for job, _ in photos)):
                    added, refused = await self._complete_album(album, photos)
            except NotOffered as error:
                for index in indexes:
                    job, photo_id = present[index]
                    if album in job.further:
                        self._notice(CANT_LINK)
                        present[index] = replace(job, further=job.further - {album}), photo_id
                    elif album not in job.albums:
                        failed[index] = error
            except BulkupError as error:
                failed |= dict.fromkeys(indexes, error)
            else:
                for index in indexes:
                    if (photo_id := present[index][1]) in refused:
                        failed[index] = refused[photo_id]
                    elif photo_id in added:
                        linked.add(index)
        for reason in dict.fromkeys(failed.values()):
            jobs = [present[index][0] for index, why in failed.items() if why is reason]
            await self._fail(jobs, reason)
        left = [(index, photo) for index, photo in enumerate(present) if index not in failed]
        new = [photo for index, photo in left if index in linked]
        old = [photo for index, photo in left if index not in linked]
        await self._outcomes.present(new, linked={photo_id for _, photo_id in new}, state=state)
        await self._outcomes.present(old, state=state)

    async def _complete_album(
        self, album: int, photos: Sequence[tuple[Job, int]]
    ) -> tuple[list[int], Mapping[int, PhotoError]]:
        """Complete one album; return the photos added to it, and those that can't be."""
        members = await self._members.of(album)
        planned = self._planned[album]
        photo_ids = {photo_id for _, photo_id in photos if photo_id not in members.photos}
        lacking = sorted(photo_id for photo_id in photo_ids if photo_id not in planned)
        paths = [
            job.photo.path
            for job, photo_id in photos
            if photo_id in photo_ids and photo_id not in planned
        ]
        await self._ledger.plan_photos(paths, Unarranged.ADDED)
        refused = await self._link(lacking, album=album)
        linked = [photo_id for photo_id in lacking if photo_id not in refused]
        for photo_id in linked:
            members.photos.add(photo_id)
        for job, photo_id in photos:
            # a photo of an interrupted run may be in no album yet, so no list shows its alias
            if photo_id in linked and not job.fresh and job.album == album:
                await self._recovery.run(partial(self._look_up_alias, photo_id, members))
            if photo_id in members.aliases:
                await self._recovery.run(partial(self._gallery.name, photo_id, job.photo))
                del members.aliases[photo_id]
        return linked, refused

    async def _link(self, photo_ids: Sequence[int], *, album: int) -> Mapping[int, PhotoError]:
        """Add photos to an album; return why some can't be."""
        if self._gallery.moderated:
            return await self._link_own(photo_ids, album=album)
        if photo_ids:
            await self._recovery.run(lambda: self._gallery.link(photo_ids, album=album))
        return {}

    async def _link_own(self, photo_ids: Sequence[int], *, album: int) -> dict[int, PhotoError]:
        """Add the account's own photos to an album, hidden or not; return why others can't be."""
        refused = {}
        for photo_id in photo_ids:
            try:
                await self._recovery.run(partial(self._gallery.link, [photo_id], album=album))
            except PhotoError as error:
                not_linked = gallery_failures.NOT_LINKED(
                    photo=photo_id, album=album, reason=error.message
                )
                refused[photo_id] = PhotoError(not_linked)
        return refused

    async def _look_up_alias(self, photo_id: int, members: AlbumMembers) -> None:
        if (alias := await self._gallery.alias(photo_id)) or self._gallery.moderated:
            members.aliases[photo_id] = alias  # that of a hidden photo is unknown

    async def _fail(self, jobs: Sequence[Job], error: BulkupError) -> None:
        if isinstance(error, RunError):
            raise error
        await self._outcomes.failed(jobs, error)

    async def _list_members(self, album: int) -> AlbumMembers | None:
        """Return the members of an album, None where the server does not list them.

        The lounge is emptied first: an interrupted run may have left photos there.
        """
        if not self._lounge_emptied:
            self._lounge_emptied = True
            try:
                await self._recovery.run(lambda: self._gallery.release([], album=album))
            except BulkupError as error:
                if isinstance(error, RunError):
                    raise
        return await self._recovery.run(lambda: list_members(self._gallery, album))


def _known_as(photo_id: int, job: Job) -> Job:
    """Return a job that was not compared with this photo as such."""
    if job.compared and job.sent_as != photo_id:
        return replace(job, compared=False)
    return job
