"""What is found out about photos by looking at a gallery: in the ledger first, then told.

Knows what to say and to do in each case, and no server. Where something is amiss the ledger
forgets that the photo is there, so that the next upload brings it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bulkup.errors import BulkupError, PhotoError
from bulkup.events import Emit, PhotoChecked
from bulkup.failures import Told, gallery
from bulkup.journey import Job
from bulkup.kinds import Verdict
from bulkup.memory import Memory
from bulkup.outcome import hashed
from bulkup.photos import Photo

WELL = Told("")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts of one run; `photo_id` is the server's photo of all the jobs."""

    memory: Memory
    emit: Emit

    def unreadable(self, photo: Photo, error: PhotoError) -> None:
        """Tell of a photo that can't be read."""
        self._tell_one(photo, Verdict.FAILED, error.told)

    def present(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos with which all is well."""
        self._tell(jobs, Verdict.PRESENT, photo_id=photo_id)

    async def missing(self, jobs: Sequence[Job]) -> None:
        """Tell of photos that the gallery does not have."""
        await hashed(jobs, self.memory, gone=True)
        self._tell(
            jobs,
            Verdict.MISSING,
            gallery.MISSING(),
        )

    async def elsewhere(self, job: Job, photo_id: int, *, lacks: PhotoError | None = None) -> None:
        """Tell of a photo that its album does not show, or why it has none."""
        await hashed([job], self.memory)
        told = gallery.ELSEWHERE(photo=photo_id, album=job.album)
        if lacks:
            told = gallery.NO_PLACE(photo=photo_id, reason=lacks.message, remedy=lacks.hint)
        self._tell(
            [job],
            Verdict.NOT_IN_ALBUM,
            told,
            photo_id=photo_id,
        )

    async def differing(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos of which the gallery stores other bytes: no upload would mend that."""
        await hashed(jobs, self.memory)
        self._tell(
            jobs,
            Verdict.DIFFERING,
            gallery.DIFFERING(photo=photo_id),
            photo_id=photo_id,
        )

    def a_format(self, job: Job, photo_id: int, *, same: bool) -> None:
        """Tell of a file that became a format of a photo, `same` if it is what was sent."""
        told = gallery.UNASKED_FORMAT if same else gallery.FORMAT_CHANGED
        self._tell([job], Verdict.UNKNOWN, told(photo=photo_id), photo_id=photo_id)

    def nameless(self, jobs: Sequence[Job]) -> None:
        """Tell of photos that this server can't be asked for."""
        self._tell(
            jobs,
            Verdict.UNKNOWN,
            gallery.NAMELESS(),
        )

    def unread(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos whose stored file this server can't compare."""
        self._tell(
            jobs,
            Verdict.UNKNOWN,
            gallery.UNREAD(photo=photo_id),
            photo_id=photo_id,
        )

    def unlisted(self, job: Job, photo_id: int) -> None:
        """Tell of a photo in a gallery that does not list its albums."""
        self._tell(
            [job],
            Verdict.UNKNOWN,
            gallery.UNLISTED(photo=photo_id, album=job.album),
            photo_id=photo_id,
        )

    def failed(
        self, jobs: Sequence[Job], error: BulkupError, *, photo_id: int | None = None
    ) -> None:
        """Tell of photos about which the question failed."""
        self._tell(
            jobs,
            Verdict.FAILED,
            gallery.UNCHECKED(reason=error.message, remedy=error.hint),
            photo_id=photo_id,
        )

    def _tell(
        self,
        jobs: Sequence[Job],
        verdict: Verdict,
        told: Told = WELL,
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
        told: Told,
        *,
        photo_id: int | None = None,
        md5: str = "",
        albums: tuple[int, ...] = (),
    ) -> None:
        self.emit(
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
