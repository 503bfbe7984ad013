"""The executor port: what fingerprints and uploads photos, and this machine's own."""

from collections.abc import Iterable
from typing import ClassVar, Protocol

from bulkup.engine.ports import Job, UploadContext
from bulkup.engine.upload import CHANGED_TRIES, upload
from bulkup.errors import BulkupError, PhotoChanged
from bulkup.events import Emit, Event, PhotoHashing, PhotoUploaded
from bulkup.source.photos import Photo, fingerprint


def _unheard(_: Event) -> None:
    """Let nobody hear of it."""


class NotStarted(BulkupError):
    """The run is to come to its end, and nobody has begun with the photo yet."""


class Executor(Protocol):
    """What a run has done for it, photo by photo; as many at once as there are tasks that ask."""

    @property
    def machines(self) -> int:
        """How many machines they are, each with as many photos in hand as one alone would have."""

    @property
    def lead(self) -> int:
        """How many more photos they want to know of than those they have in hand."""

    async def fingerprint(self, photo: Photo, *, emit: Emit = _unheard) -> tuple[Photo, str]:
        """Return a photo as it is when it holds still, and the MD5 of its content.

        `emit` hears when it begins to be read. Raises `PhotoError` where it can't be read, and
        `NotStarted`.
        """

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Bring a photo to the server: as it was sent, with the event that says so.

        Raises `PhotoError` where that is impossible, `Transient` or `RunError` where the server
        is, and `NotStarted`.
        """

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return what there is to remark at the end of a run: messages, each with a hint."""


class LocalExecutor:
    """This machine's."""

    machines: ClassVar[int] = 1
    lead: ClassVar[int] = 0

    async def fingerprint(self, photo: Photo, *, emit: Emit = _unheard) -> tuple[Photo, str]:
        """Read it here."""
        emit(PhotoHashing(path=photo.path, size=photo.size))
        for _ in range(CHANGED_TRIES - 1):
            try:
                return await fingerprint(photo)
            except PhotoChanged:
                continue
        return await fingerprint(photo)

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Send it from here."""
        return await upload(job, context)

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return nothing: the server's own parts know it."""
        return ()


class Stopping(Protocol):
    """Whether a graceful stop was requested."""

    @property
    def wanted(self) -> bool:
        """Whether it is wished."""
