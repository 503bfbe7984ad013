"""What has to be sent and what has not: the server's own word, and photos of equal content.

Knows identities (MD5s, ids), and no files. Equal contents are sent once, the others wait for that
one; what the server has already is put into the album where it is not in it, and gets its name
where an interrupted run left it without.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

from bulkup.album import Lister, Shown, listed
from bulkup.errors import BulkupError, RunError
from bulkup.events import Emit, PhotoPlanned
from bulkup.journey import Job
from bulkup.memory import State
from bulkup.outcome import Outcomes
from bulkup.photos import Photo
from bulkup.recovery import Recovery


class Catalogue(Lister, Protocol):
    """What sifting needs of a server."""

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each MD5, None for absent; one that is missing can't be told."""

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Put photos into an album as well."""

    async def alias(self, photo_id: int) -> str:
        """Return the name that an upload gave a photo, if it still has that, else empty."""

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Give a photo on the server its real file name and title."""

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Make finished photos visible in the album."""


class Sifter:
    """Sifts the photos of one run for one album."""

    def __init__(
        self, server: Catalogue, *, recovery: Recovery, outcomes: Outcomes, emit: Emit
    ) -> None:
        self._server = server
        self._recovery = recovery
        self._outcomes = outcomes
        self._album = outcomes.album
        self._emit = emit
        self._flying: dict[str, list[Job]] = {}
        self._untold: dict[bytes, int] = {}
        self._shown: Shown | None = None
        self._forgetful = False  # a server that can't be asked by MD5: then we have to remember

    async def sift(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that have to be sent; what became of the others is emitted."""
        await self._outcomes.hashed([job for job in jobs if job.fresh])
        try:
            jobs = await self._contradicted(jobs)
        except BulkupError as error:
            await self._fail(jobs, error)
            return []
        # before anything else is awaited: a photo in flight now may have landed by then
        jobs = [job for job in jobs if not self._waits(job)]
        md5s = {job.md5 for job in jobs}
        try:
            found = await self._recovery.run(lambda: self._server.find(md5s))
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
                self._emit(PhotoPlanned(path=job.photo.path, size=job.photo.size))
                send.append(job)
        if present:
            await self._take_in(present)
        return send

    async def _contradicted(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Return the jobs but for those that the ledger holds and the album shows.

        Where nobody tells what the album shows, the ledger is believed.
        """
        if not any(job.held for job in jobs):
            return jobs
        shown = await self._look()
        left = []
        for job in jobs:
            if job.held and (not shown.told or (job.sent_as or -1) in shown.photos):
                self._outcomes.still_present(job)
            else:
                left.append(job)
        return left

    async def landed(self, job: Job, *, photo_id: int) -> None:
        """Tell that a photo has been sent: its twins are there with it."""
        if self._forgetful:
            self._untold[bytes.fromhex(job.md5)] = photo_id
        twins = self._flying.pop(job.md5, [])
        await self._outcomes.present([(twin, photo_id) for twin in twins], state=State.SENT)

    async def failed(self, job: Job) -> list[Job]:
        """Tell that a photo could not be sent, and return a twin to be sent instead, if any.

        The photo may be on the server all the same, so the twins are sifted again.
        """
        twins = self._flying.pop(job.md5, [])
        return await self.sift(twins) if twins else []

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
        """Put photos that the server has into the album, with their names."""
        linked: list[int] = []
        try:
            if not self._forgetful:
                shown = await self._look()
                linked = await self._link({photo_id for _, photo_id in present}, shown)
                for job, photo_id in present:
                    # a photo of an interrupted run may be in no album yet, where none is listed
                    if photo_id in linked and not job.fresh:
                        await self._recovery.run(partial(self._recall, photo_id, shown))
                    if photo_id in shown.aliases:
                        await self._name(photo_id, job.photo)
                        del shown.aliases[photo_id]
        except BulkupError as error:
            await self._fail([job for job, _ in present], error)
        else:
            await self._outcomes.present(present, linked=linked)

    async def _recall(self, photo_id: int, shown: Shown) -> None:
        if alias := await self._server.alias(photo_id):
            shown.aliases[photo_id] = alias

    async def _link(self, photo_ids: Collection[int], shown: Shown) -> list[int]:
        """Put what the album does not show into it, and return that."""
        missing = sorted(photo_id for photo_id in photo_ids if photo_id not in shown.photos)
        if missing:
            await self._recovery.run(lambda: self._server.link(missing, album=self._album))
        for photo_id in missing:
            shown.photos.add(photo_id)
        return missing

    async def _name(self, photo_id: int, photo: Photo) -> None:
        await self._recovery.run(lambda: self._server.name(photo_id, photo))

    async def _look(self) -> Shown:
        """Return what the album shows, asked once for the run; nothing where nobody tells.

        The lounge is emptied first: an interrupted run may have left photos there.
        """
        if self._shown is None:
            try:
                await self._recovery.run(lambda: self._server.release([], album=self._album))
            except BulkupError as error:
                if isinstance(error, RunError):
                    raise
            shown = await self._recovery.run(lambda: listed(self._server, self._album))
            self._shown = shown or Shown(told=False)
        return self._shown

    async def _fail(self, jobs: Sequence[Job], error: BulkupError) -> None:
        if isinstance(error, RunError):
            raise error
        await self._outcomes.failed(jobs, error)
