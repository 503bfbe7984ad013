"""What is found out about photos by looking at a gallery: in the ledger first, then told.

Knows what to say and to do in each case, and no server. Where something is amiss the ledger
forgets that the photo is there, so that the next upload brings it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bulkup.errors import BulkupError, PhotoError
from bulkup.events import Emit, PhotoChecked
from bulkup.journey import Job
from bulkup.kinds import Verdict
from bulkup.memory import Memory
from bulkup.outcome import hashed
from bulkup.photos import Photo


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts of one run; `photo_id` is the server's photo of all the jobs."""

    memory: Memory
    emit: Emit

    def unreadable(self, photo: Photo, error: PhotoError) -> None:
        """Tell of a photo that can't be read."""
        self._tell_one(photo, Verdict.FAILED, reason=error.message, hint=error.hint)

    def present(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos with which all is well."""
        self._tell(jobs, Verdict.PRESENT, photo_id=photo_id)

    async def missing(self, jobs: Sequence[Job]) -> None:
        """Tell of photos that the gallery does not have."""
        await hashed(jobs, self.memory, gone=True)
        self._tell(
            jobs,
            Verdict.MISSING,
            reason="the gallery does not have it",
            hint="Upload again: that brings it.",
        )

    async def elsewhere(self, job: Job, photo_id: int, *, lacks: PhotoError | None = None) -> None:
        """Tell of a photo that its album does not show, or why it has none."""
        await hashed([job], self.memory)
        but = lacks.message if lacks else f"not in album {job.album}"
        self._tell(
            [job],
            Verdict.NOT_IN_ALBUM,
            photo_id=photo_id,
            reason=f"photo {photo_id} is in the gallery, but {but}",
            hint=lacks.hint if lacks else "Upload again: that puts it into the album.",
        )

    async def differing(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos of which the gallery stores other bytes: no upload would mend that."""
        await hashed(jobs, self.memory)
        self._tell(
            jobs,
            Verdict.DIFFERING,
            photo_id=photo_id,
            reason=f"what the gallery stores as photo {photo_id} is not this file any more",
            hint=f"Delete photo {photo_id} in the gallery, then upload again. "
            "If the gallery shrinks originals, nothing is wrong.",
        )

    def nameless(self, jobs: Sequence[Job]) -> None:
        """Tell of photos that this server can't be asked for."""
        self._tell(
            jobs,
            Verdict.UNKNOWN,
            reason="this gallery can't be asked for a photo by its MD5",
            hint="It must offer pwg.images.exist, and not tell photos apart by name.",
        )

    def unread(self, jobs: Sequence[Job], photo_id: int) -> None:
        """Tell of photos whose stored file this server can't compare."""
        self._tell(
            jobs,
            Verdict.UNKNOWN,
            photo_id=photo_id,
            reason=f"the gallery has the MD5 of photo {photo_id}, but can't read its file",
            hint="With --quick the MD5 is enough.",
        )

    def unlisted(self, job: Job, photo_id: int) -> None:
        """Tell of a photo in a gallery that does not list its albums."""
        self._tell(
            [job],
            Verdict.UNKNOWN,
            photo_id=photo_id,
            reason=f"the gallery has photo {photo_id}, but can't list album {job.album}",
            hint="Without --album and --tree it is enough to be in the gallery.",
        )

    def failed(
        self, jobs: Sequence[Job], error: BulkupError, *, photo_id: int | None = None
    ) -> None:
        """Tell of photos about which the question failed."""
        self._tell(
            jobs,
            Verdict.FAILED,
            photo_id=photo_id,
            reason=f"it could not be checked: {error.message}",
            hint=error.hint,
        )

    def _tell(
        self,
        jobs: Sequence[Job],
        verdict: Verdict,
        *,
        photo_id: int | None = None,
        reason: str = "",
        hint: str = "",
    ) -> None:
        for job in jobs:
            self._tell_one(job.photo, verdict, photo_id=photo_id, reason=reason, hint=hint)

    def _tell_one(
        self,
        photo: Photo,
        verdict: Verdict,
        *,
        photo_id: int | None = None,
        reason: str = "",
        hint: str = "",
    ) -> None:
        self.emit(
            PhotoChecked(
                path=photo.path,
                size=photo.size,
                verdict=verdict,
                image_id=photo_id,
                reason=reason,
                hint=hint,
            )
        )
