"""Decides which photos are new: first by the ledger, then by asking the server for their MD5."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from bulkup.engine.albums import AlbumMembers, AlbumResolver, MembersByAlbum, listed
from bulkup.engine.ports import Job, RunContext, State
from bulkup.engine.recorder import OutcomeRecorder
from bulkup.engine.replace import Changes
from bulkup.errors import BulkupError, RunError
from bulkup.events import PhotoPlanned

REST: Final = 200


class Deduplicator:
    """Sifts the photos of one run; called by one task at a time but for `landed` and `failed`."""

    def __init__(
        self,
        context: RunContext,
        *,
        outcomes: OutcomeRecorder,
        album_resolver: AlbumResolver,
        changes: Changes,
    ) -> None:
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._outcomes = outcomes
        self._destinations = album_resolver
        self._changes = changes
        self._changed: list[Job] = []
        self._all_seen = False
        self._emit = context.emit
        self._flying: dict[str, list[Job]] = {}
        self._untold: dict[bytes, int] = {}
        self._shown = MembersByAlbum(self._look)
        self._released = False
        self._forgetful = False  # a server that can't be asked by MD5: then we have to remember

    async def select(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that have to be sent; what became of the others is emitted.

        Changed files wait for `rest`: what one had before may have moved to a file yet to come.
        """
        await self._outcomes.hashed([job for job in jobs if job.fresh])
        if not self._all_seen:
            self._changed += [job for job in jobs if job.was is not None]
            jobs = [job for job in jobs if job.was is None]
        jobs = await self._placed(jobs)
        try:
            jobs = await self._contradicted(await self._changes.decided(jobs))
        except BulkupError as error:
            await self._fail(jobs, error)
            return []
        # before anything else is awaited: a photo in flight now may have landed by then
        jobs = [job for job in jobs if not self._waits(job)]
        md5s = {job.md5 for job in jobs}
        try:
            found = await self._recovery.run(lambda: self._gallery.find(md5s))
        except BulkupError as error:
            await self._fail(jobs, error)
            return []
        self._forgetful = self._forgetful or not md5s <= found.keys()
        send: list[Job] = []
        present: list[tuple[Job, int]] = []
        for job in jobs:
            photo_id = found.get(job.md5) or self._untold.get(bytes.fromhex(job.md5))
            if photo_id is None and job.md5 not in found:
                photo_id = job.sent_as
            if photo_id is not None:
                present.append((job, photo_id))
            elif not self._waits(job):
                self._flying[job.md5] = []
                path, size = job.photo.path, job.photo.size
                self._emit(PhotoPlanned(path=path, size=size, replaces=job.replaces))
                send.append(job)
        await self._take_in(present)
        return send

    def rest(self) -> Iterator[list[Job]]:
        """Yield the changed files, to be decided now that all others have been."""
        self._all_seen = True
        self._changes.incoming = frozenset(job.md5 for job in self._changed)
        while self._changed:
            batch, self._changed = self._changed[:REST], self._changed[REST:]
            yield batch

    async def _placed(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs with their albums; those that have none have failed."""
        placed = []
        for job in sorted(jobs, key=lambda job: job.photo.path):  # so albums stand in order
            if job.album:
                placed.append(job)
                continue
            try:
                album = await self._destinations.of(job.photo.path)
            except BulkupError as error:
                await self._fail([job], error)
            else:
                placed.append(replace(job, album=album))
        return placed

    async def _contradicted(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Return the jobs but for those that the ledger holds and their albums show.

        Where nobody tells what an album shows, the ledger is believed.
        """
        left = []
        for job in jobs:
            shown = await self._shown.of(job.album) if job.held else None
            if shown and (not shown.told or (job.sent_as or -1) in shown.photos):
                self._outcomes.still_present(job)
            else:
                left.append(job)
        return left

    async def landed(self, job: Job, *, photo_id: int) -> None:
        """Tell that a photo has been sent: its twins are there with it, or are linked to it."""
        if self._forgetful:
            self._untold[bytes.fromhex(job.md5)] = photo_id
        twins = self._flying.pop(job.md5, [])
        beside = [(twin, photo_id) for twin in twins if twin.album == job.album]
        if beside:
            await self._outcomes.present(beside, state=State.SENT)
        await self._take_in([(twin, photo_id) for twin in twins if twin.album != job.album])

    async def failed(self, job: Job) -> list[Job]:
        """Tell that a photo could not be sent, and return a twin to be sent instead, if any.

        The photo may be on the server all the same, so the twins are sifted again.
        """
        twins = self._flying.pop(job.md5, [])
        return await self.select(twins) if twins else []

    async def changed(self, job: Job, *, into: Job) -> list[Job]:
        """Tell as what a photo was sent, and return what has to be sent for its twins, if any."""
        return [] if into.md5 == job.md5 else await self.failed(job)

    def _waits(self, job: Job) -> bool:
        """Tell whether an equal photo is on its way, and let this one wait for it."""
        twins = self._flying.get(job.md5)
        if twins is not None:
            twins.append(job)
        return twins is not None

    async def _take_in(self, present: Sequence[tuple[Job, int]]) -> None:
        """Put photos that the server has into their albums, with their names."""
        by_album: dict[int, list[tuple[Job, int]]] = {}
        for job, photo_id in present:
            by_album.setdefault(job.album, []).append((job, photo_id))
        for album, inside in by_album.items():
            linked: list[int] = []
            try:
                if not self._forgetful:
                    linked = await self._put_into(album, inside)
            except BulkupError as error:
                await self._fail([job for job, _ in inside], error)
            else:
                await self._outcomes.present(inside, linked=linked)

    async def _put_into(self, album: int, present: Sequence[tuple[Job, int]]) -> list[int]:
        """Put into an album what it does not show, name what has no name, return what was put."""
        shown = await self._shown.of(album)
        linked = sorted({photo_id for _, photo_id in present if photo_id not in shown.photos})
        if linked:
            await self._recovery.run(lambda: self._gallery.link(linked, album=album))
        for photo_id in linked:
            shown.photos.add(photo_id)
        for job, photo_id in present:
            # a photo of an interrupted run may be in no album yet, where none is listed
            if photo_id in linked and not job.fresh:
                await self._recovery.run(partial(self._recall, photo_id, shown))
            if photo_id in shown.aliases:
                await self._recovery.run(partial(self._gallery.name, photo_id, job.photo))
                del shown.aliases[photo_id]
        return linked

    async def _recall(self, photo_id: int, shown: AlbumMembers) -> None:
        if alias := await self._gallery.alias(photo_id):
            shown.aliases[photo_id] = alias

    async def _fail(self, jobs: Sequence[Job], error: BulkupError) -> None:
        if isinstance(error, RunError):
            raise error
        await self._outcomes.failed(jobs, error)

    async def _look(self, album: int) -> AlbumMembers | None:
        """Return what an album shows, None where nobody tells.

        The lounge is emptied first: an interrupted run may have left photos there.
        """
        await self._release(album)
        return await self._recovery.run(lambda: listed(self._gallery, album))

    async def _release(self, album: int) -> None:
        if self._released:
            return
        self._released = True
        try:
            await self._recovery.run(lambda: self._gallery.release([], album=album))
        except BulkupError as error:
            if isinstance(error, RunError):
                raise
