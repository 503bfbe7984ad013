"""The executor port: what fingerprints and uploads photos, and the executor of this machine."""

from collections.abc import Iterable
from typing import ClassVar, Protocol

from bulkup.engine.context import UploadContext
from bulkup.engine.job import Job
from bulkup.engine.upload import CHANGED_TRIES, upload
from bulkup.errors import BulkupError, PhotoChanged
from bulkup.events import Emit, Event, PhotoHashing, PhotoUploaded
from bulkup.source.photos import Photo, fingerprint


def discard(_: Event) -> None:
    """Discard the event."""


class NotStarted(BulkupError):
    """The run is ending, and work on the photo has not begun."""


class Executor(Protocol):
    """Fingerprints and uploads photos; all calls may run at once."""

    @property
    def machines(self) -> int:
        """The number of machines, each with as many photos in flight as one alone would have."""

    @property
    def readers(self) -> int:
        """How many files to read at once, besides `lead`."""

    @property
    def lead(self) -> int:
        """How many calls should wait, in addition to the photos in flight."""

    async def fingerprint(self, photo: Photo, *, emit: Emit = discard) -> tuple[Photo, str]:
        """Return the photo as it was when it was read, and the MD5 of its content.

        Emits `PhotoHashing` when reading begins. Raises `PhotoError` where the file can't be read,
        and `NotStarted`.
        """

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Upload a photo; return it as it was sent, and the event.

        Raises `PhotoError`, `Transient` or `RunError` where that fails, and `NotStarted`.
        """

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return what to report at the end of the run: messages, each with a hint."""


class LocalExecutor:
    """The executor of this machine."""

    machines: ClassVar[int] = 1
    readers: ClassVar[int] = 2
    lead: ClassVar[int] = 0

    async def fingerprint(self, photo: Photo, *, emit: Emit = discard) -> tuple[Photo, str]:
        """Fingerprint a photo here."""
        emit(PhotoHashing(path=photo.path, size=photo.size))
        for _ in range(CHANGED_TRIES - 1):
            try:
                return await fingerprint(photo)
            except PhotoChanged:
                continue
        return await fingerprint(photo)

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Upload a photo from here."""
        return await upload(job, context)

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return nothing: the gallery client reports for this machine."""
        return ()
