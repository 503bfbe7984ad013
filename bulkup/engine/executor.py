"""What fingerprints and uploads photos: the executor port, and the executors of this machine."""

import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final, Protocol, TypeVar

import anyio
from anyio import to_thread

from bulkup.engine.context import UploadContext
from bulkup.engine.job import Job
from bulkup.engine.upload import CHANGED_TRIES, upload
from bulkup.errors import BulkupError, PhotoChanged, PhotoError, RunError, count_text
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.events import Emit, PhotoHashing, PhotoUploaded, discard
from bulkup.source.convert import Converted, Slots, convert
from bulkup.source.photos import Photo, fingerprint

T = TypeVar("T")

PROCESSES: Final = os.cpu_count() or 2
"""Photos converted at once."""

SPOOL_BYTES: Final = 256 * 1024**2
"""How many bytes of JPEGs wait for their upload; beyond that, photos are converted once more."""


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
        return await _read_unchanged(partial(fingerprint, photo))

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Upload a photo from here."""
        return await upload(job, context)

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return nothing: the gallery client reports for this machine."""
        return ()


class ConvertingExecutor(LocalExecutor):
    """This machine, for photos some of which are sent as JPEG.

    Jobs and events have the paths, sizes and times of the photos' own files, but the MD5s of the
    JPEGs. `spool` is the folder for these, None if nothing is sent.
    """

    readers: ClassVar[int] = PROCESSES

    def __init__(self, spool: Path | None) -> None:
        self._spool = spool
        self._slots = Slots(PROCESSES)
        self._waiting: OrderedDict[Path, tuple[Path, Converted]] = OrderedDict()
        self._number = 0
        self._sent = 0

    async def fingerprint(self, photo: Photo, *, emit: Emit = discard) -> tuple[Photo, str]:
        """Fingerprint a photo, or the JPEG that it becomes."""
        if not photo.convert:
            return await super().fingerprint(photo, emit=emit)
        emit(PhotoHashing(path=photo.path, size=photo.size))
        target, converted = await self._convert(photo)
        if target is not None:
            await self._keep(photo.path, target, converted)
        return _as_read(photo, converted), converted.md5

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Upload a photo, or the JPEG that it becomes."""
        if not job.photo.convert:
            return await super().upload(job, context)
        target, converted = self._waiting.pop(job.photo.path, (None, None))
        if target is None or converted is None or converted.md5 != job.md5:
            await _delete(target)
            target, converted = await self._convert(job.photo)
        photo = _as_read(job.photo, converted)
        jpeg = replace(photo, size=converted.length, content=target)
        try:
            sent, event = await super().upload(
                replace(job, photo=jpeg, md5=converted.md5), context
            )
        finally:
            await _delete(target)
        self._sent += 1
        return replace(sent, photo=photo), replace(event, size=photo.size)

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return how many photos were sent as JPEG."""
        if self._sent:
            photos = count_text(self._sent, "photo was", "photos were")
            yield f"{photos} converted to JPEG", ""

    async def _convert(self, photo: Photo) -> tuple[Path | None, Converted]:
        """Return the JPEG of a photo, if there is a spool, and its facts."""
        target = None
        if self._spool is not None:
            self._number += 1
            target = self._spool / f"{self._number}.jpg"
        read = partial(convert, photo.path, target, slots=self._slots)
        try:
            return target, await _read_unchanged(read)
        except PhotoError as error:
            await _delete(target)  # part of it may have been written
            if error.code == local_failures.NO_SPOOL.code and await self._discard_all():
                return await self._convert(photo)
            raise

    async def _keep(self, path: Path, target: Path, converted: Converted) -> None:
        """Keep a JPEG until its upload, and delete the oldest ones if they become too many."""
        replaced, _ = self._waiting.pop(path, (None, None))
        await _delete(replaced)
        self._waiting[path] = target, converted
        while sum(facts.length for _, facts in self._waiting.values()) > SPOOL_BYTES:
            _, (oldest, _) = self._waiting.popitem(last=False)
            await _delete(oldest)

    async def _discard_all(self) -> bool:
        """Delete the JPEGs that wait, for room on the disk; return whether there were any."""
        waiting, self._waiting = self._waiting, OrderedDict()
        for target, _ in waiting.values():
            await _delete(target)
        return bool(waiting)


@asynccontextmanager
async def open_converter(*, sends: bool) -> AsyncIterator[ConvertingExecutor]:
    """Open the executor; if it `sends`, with a temporary folder. Raises `RunError`."""
    if not sends:
        yield ConvertingExecutor(None)
        return
    try:
        spool = await to_thread.run_sync(lambda: TemporaryDirectory(prefix="bulkup-"))
    except OSError as error:
        raise RunError(run_failures.NO_TEMPORARY(reason=error.strerror or error)) from None
    try:
        yield ConvertingExecutor(Path(spool.name))
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(spool.cleanup)


async def _read_unchanged(read: Callable[[], Awaitable[T]]) -> T:
    """Return the result of reading a file; read it again if it changed meanwhile."""
    for _ in range(CHANGED_TRIES - 1):
        with suppress(PhotoChanged):
            return await read()
    return await read()


def _as_read(photo: Photo, converted: Converted) -> Photo:
    return replace(photo, size=converted.size, mtime_ns=converted.mtime_ns)


async def _delete(target: Path | None) -> None:
    """Delete a JPEG. What can't be deleted goes with its folder."""
    if target is not None:
        with anyio.CancelScope(shield=True):
            await anyio.Path(target).unlink(missing_ok=True)
