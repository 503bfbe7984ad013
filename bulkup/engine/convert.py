"""The executor that sends some photos as JPEG, converted in processes of their own."""

import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

import anyio
from anyio import to_thread

from bulkup.engine.context import UploadContext
from bulkup.engine.executor import LocalExecutor, discard
from bulkup.engine.job import Job
from bulkup.engine.upload import CHANGED_TRIES
from bulkup.errors import PhotoChanged, PhotoError, RunError, count_text
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.events import Emit, PhotoHashing, PhotoUploaded
from bulkup.source.convert import Converted, Slots, convert
from bulkup.source.photos import Photo

PROCESSES: Final = os.cpu_count() or 2
SPOOL_BYTES: Final = 256 * 1024**2
"""How many bytes of JPEGs wait for their upload; beyond that, photos are converted once more."""


@asynccontextmanager
async def open_converter(*, sends: bool) -> AsyncIterator["ConvertingExecutor"]:
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
        try:
            for _ in range(CHANGED_TRIES - 1):
                try:
                    return target, await convert(photo.path, target, slots=self._slots)
                except PhotoChanged:
                    continue
            return target, await convert(photo.path, target, slots=self._slots)
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


def _as_read(photo: Photo, converted: Converted) -> Photo:
    return replace(photo, size=converted.size, mtime_ns=converted.mtime_ns)


async def _delete(target: Path | None) -> None:
    """Delete a JPEG. What can't be deleted goes with its folder."""
    if target is not None:
        with anyio.CancelScope(shield=True):
            await anyio.Path(target).unlink(missing_ok=True)
