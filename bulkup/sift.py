"""What has to be sent and what has not: the server's own word, and photos of equal content.

Knows identities (MD5s, ids), and no files. Equal contents are sent once, the others wait for that
one; what the server has already is put into the album where it is not in it.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from bulkup.errors import BulkupError, NotOffered, PhotoError, RunError
from bulkup.events import Emit, PhotoFailed, PhotoPlanned, PhotoPresent
from bulkup.recovery import Recovery
from bulkup.upload import Job


class Catalogue(Protocol):
    """What sifting needs of a server."""

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each MD5, None for absent; one that is missing can't be told."""

    def members(self, album: int) -> AsyncIterator[int]:
        """Yield the ids of the photos in an album."""

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Put photos into an album as well."""


class IdSet:
    """A set of photo ids, a bit each: ids are dense, and there may be millions."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        """Put a number in."""
        byte, bit = divmod(number, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit

    def __contains__(self, number: int) -> bool:
        byte, bit = divmod(number, 8)
        return byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)


class Sifter:
    """Sifts the photos of one run for one album; called by one task at a time."""

    def __init__(self, server: Catalogue, *, recovery: Recovery, album: int, emit: Emit) -> None:
        self._server = server
        self._recovery = recovery
        self._album = album
        self._emit = emit
        self._flying: dict[str, list[Job]] = {}
        self._untold: dict[bytes, int] = {}
        self._members: IdSet | None = None
        self._forgetful = False  # a server that can't be asked by MD5: then we have to remember

    async def sift(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that have to be sent; what became of the others is emitted."""
        # before anything is awaited: a photo in flight now may have landed by then
        jobs = [job for job in jobs if not self._waits(job)]
        md5s = {job.md5 for job in jobs}
        try:
            found = await self._recovery.run(lambda: self._server.find(md5s))
        except BulkupError as error:
            if isinstance(error, RunError):
                raise
            self._fail(jobs, error)
            return []
        self._forgetful = self._forgetful or not md5s <= found.keys()
        send: list[Job] = []
        present: list[tuple[Job, int]] = []
        for job in jobs:
            if (photo_id := found.get(job.md5)) is not None:
                present.append((job, photo_id))
            elif (photo_id := self._untold.get(bytes.fromhex(job.md5))) is not None:
                self._emit(_present(job, photo_id, linked=False))
            elif not self._waits(job):
                self._flying[job.md5] = []
                self._emit(PhotoPlanned(path=job.photo.path, size=job.photo.size))
                send.append(job)
        if present:
            await self._link(present)
        return send

    def landed(self, job: Job, *, photo_id: int) -> None:
        """Tell that a photo has been sent: its twins are there with it."""
        if self._forgetful:
            self._untold[bytes.fromhex(job.md5)] = photo_id
        for twin in self._flying.pop(job.md5, []):
            self._emit(_present(twin, photo_id, linked=False))

    def failed(self, job: Job) -> Job | None:
        """Tell that a photo could not be sent, and return its twin to be tried instead."""
        twins = self._flying.pop(job.md5, [])
        if not twins:
            return None
        twin, *rest = twins
        self._flying[twin.md5] = rest
        self._emit(PhotoPlanned(path=twin.photo.path, size=twin.photo.size))
        return twin

    def _waits(self, job: Job) -> bool:
        """Tell whether an equal photo is on its way, and let this one wait for it."""
        twins = self._flying.get(job.md5)
        if twins is not None:
            twins.append(job)
        return twins is not None

    async def _link(self, present: Sequence[tuple[Job, int]]) -> None:
        try:
            members = await self._recovery.run(self._load_members)
            missing = sorted({photo_id for _, photo_id in present if photo_id not in members})
            if missing:
                await self._recovery.run(lambda: self._server.link(missing, album=self._album))
        except BulkupError as error:
            if isinstance(error, RunError):
                raise
            self._fail([job for job, _ in present], error)
            return
        for job, photo_id in present:
            self._emit(_present(job, photo_id, linked=photo_id in missing))
        for photo_id in missing:
            members.add(photo_id)

    async def _load_members(self) -> IdSet:
        """Return the ids in the album, asked once for the run; none where nobody tells."""
        if self._members is None:
            members = IdSet()
            try:
                async for photo_id in self._server.members(self._album):
                    members.add(photo_id)
            except (NotOffered, PhotoError):
                members = IdSet()
            self._members = members
        return self._members

    def _fail(self, jobs: Sequence[Job], error: BulkupError) -> None:
        for job in jobs:
            self._emit(
                PhotoFailed(
                    path=job.photo.path,
                    size=job.photo.size,
                    reason=error.message,
                    hint=error.hint,
                )
            )


def _present(job: Job, photo_id: int, *, linked: bool) -> PhotoPresent:
    return PhotoPresent(path=job.photo.path, size=job.photo.size, image_id=photo_id, linked=linked)
