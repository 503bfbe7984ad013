"""The stages of a run and the bounded streams between them: scan, fingerprint, sift, upload.

Knows the order of things and when they end, and no particular server or screen. Each stage is a
function that owns and closes its stream ends; every stream is bounded, so that memory stays flat
however large the archive.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from bulkup.errors import BulkupError, NotOffered, PhotoChanged, PhotoError, RunError, Transient
from bulkup.events import (
    Emit,
    Event,
    FileFound,
    FileSkipped,
    Noticed,
    PhotoFailed,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    RunFinished,
    ScanFinished,
)
from bulkup.photos import Found, Photo, Skipped, fingerprint, scan
from bulkup.recovery import Recovery
from bulkup.sift import Catalogue, Sifter
from bulkup.upload import CHANGED_TRIES, Job, Journey, Server, upload

SCAN_BATCH: Final = 64
SIFT_BATCH: Final = 200
RELEASE_IDS: Final = 500


class Gallery(Catalogue, Server, Protocol):
    """What a run needs of a server."""

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Make finished photos visible in the album."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to bring where, and how much at once.

    `concurrency` is the number of photos in flight, `finishing` of those that the server works on
    at once, `hashing` the number of threads that read ahead. `endings` None takes every file.
    """

    roots: Sequence[Path]
    album: int
    level: int = 0
    concurrency: int = 8
    finishing: int = 2
    hashing: int = 2
    endings: Collection[str] | None = None


class Stop:
    """The wish to come to an end: photos in flight are finished, no new one is begun."""

    def __init__(self) -> None:
        self.wanted = False

    def set(self) -> None:
        """Wish it."""
        self.wanted = True


async def run(
    plan: Plan,
    *,
    server: Gallery,
    recovery: Recovery,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Bring every photo of the plan to the server, or say why not, event by event.

    Raises `RunError` where the run can't go on; what was found and has no outcome by then is
    emitted as unfinished.
    """
    began = clock()
    ledger = _Open(emit)
    sifter = Sifter(server, recovery=recovery, album=plan.album, emit=ledger.emit)
    journey = Journey(
        server=server,
        recovery=recovery,
        finishing=anyio.CapacityLimiter(plan.finishing),
        emit=ledger.emit,
        clock=clock,
        album=plan.album,
        level=plan.level,
    )
    photos_in, photos_out = anyio.create_memory_object_stream[Photo](SCAN_BATCH)
    jobs_in, jobs_out = anyio.create_memory_object_stream[Job](SIFT_BATCH)
    sends_in, sends_out = anyio.create_memory_object_stream[Job](plan.concurrency)
    try:
        async with _one_error(), anyio.create_task_group() as tasks:
            tasks.start_soon(_scan, plan, photos_in, ledger.emit, stop)
            with photos_out, jobs_in:
                for _ in range(plan.hashing):
                    tasks.start_soon(
                        _fingerprint, photos_out.clone(), jobs_in.clone(), ledger.emit, stop
                    )
            tasks.start_soon(_sift, jobs_out, sends_in, sifter, stop)
            with sends_out:
                for _ in range(plan.concurrency):
                    tasks.start_soon(_upload, sends_out.clone(), journey, sifter, stop)
    finally:
        ledger.close()
    await _release(server, recovery, album=plan.album, photo_ids=ledger.uploaded, emit=emit)
    emit(RunFinished(seconds=clock() - began))


async def _scan(plan: Plan, out: MemoryObjectSendStream[Photo], emit: Emit, stop: Stop) -> None:
    walk = scan(plan.roots, endings=plan.endings)
    async with out:
        while not stop.wanted:
            batch = await to_thread.run_sync(lambda: list(islice(walk, SCAN_BATCH)))
            if not batch:
                emit(ScanFinished())
                return
            for found in batch:
                photo = _tell(found, emit)
                if photo is not None:
                    await out.send(photo)


def _tell(found: Found, emit: Emit) -> Photo | None:
    """Emit what the walk came across, and return it if it is a photo to go on with."""
    path = found.path
    emit(FileFound(path=path, size=getattr(found, "size", 0)))
    if isinstance(found, Photo):
        return found
    if isinstance(found, Skipped):
        emit(FileSkipped(path=path, reason=found.reason, size=found.size))
    else:
        emit(
            PhotoFailed(
                path=path,
                size=0,
                reason=f"it can't be read: {found.reason}",
                hint="Check its permissions.",
            )
        )
    return None


async def _fingerprint(
    photos: MemoryObjectReceiveStream[Photo],
    out: MemoryObjectSendStream[Job],
    emit: Emit,
    stop: Stop,
) -> None:
    async with photos, out:
        async for photo in photos:
            if stop.wanted:
                continue
            try:
                job = Job(*await _steady_fingerprint(photo))
            except PhotoError as error:
                _fail(photo, error, emit)
            else:
                await out.send(job)


async def _steady_fingerprint(photo: Photo) -> tuple[Photo, str]:
    for _ in range(CHANGED_TRIES - 1):
        try:
            return await fingerprint(photo)
        except PhotoChanged:
            continue
    return await fingerprint(photo)


async def _sift(
    jobs: MemoryObjectReceiveStream[Job],
    out: MemoryObjectSendStream[Job],
    sifter: Sifter,
    stop: Stop,
) -> None:
    async with jobs, out:
        async for job in jobs:
            batch = [job]
            while len(batch) < SIFT_BATCH:
                try:
                    batch.append(jobs.receive_nowait())
                except (anyio.WouldBlock, anyio.EndOfStream):
                    break
            if stop.wanted:
                continue
            for unsent in await sifter.sift(batch):
                await out.send(unsent)


async def _upload(
    jobs: MemoryObjectReceiveStream[Job], journey: Journey, sifter: Sifter, stop: Stop
) -> None:
    async with jobs:
        async for job in jobs:
            turn: Job | None = job
            while turn is not None and not stop.wanted:
                try:
                    uploaded = await upload(turn, journey)
                except (PhotoError, Transient) as error:
                    _fail(turn.photo, error, journey.emit)
                    turn = sifter.failed(turn)
                else:
                    journey.emit(uploaded)
                    sifter.landed(turn, photo_id=uploaded.image_id)
                    turn = None


def _fail(photo: Photo, error: BulkupError, emit: Emit) -> None:
    emit(PhotoFailed(path=photo.path, size=photo.size, reason=error.message, hint=error.hint))


async def _release(
    server: Gallery, recovery: Recovery, *, album: int, photo_ids: Sequence[int], emit: Emit
) -> None:
    if not photo_ids:
        return
    try:
        await recovery.run(lambda: server.release(photo_ids, album=album))
    except (Transient, PhotoError, NotOffered) as error:
        emit(
            Noticed(
                message=f"the photos may not be visible in the album yet: {error.message}",
                hint="Piwigo shows them by itself some minutes later.",
            )
        )


class _Open:
    """Passes events on and keeps which files have no outcome yet: as many as the streams hold."""

    def __init__(self, emit: Emit) -> None:
        self.uploaded: list[int] = []
        self._emit = emit
        self._open: dict[Path, int] = {}

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        match event:
            case FileFound(path=path, size=size):
                self._open[path] = size
            case PhotoUploaded() | PhotoPresent() | FileSkipped() | PhotoFailed():
                self._open.pop(event.path, None)
        if isinstance(event, PhotoUploaded) and len(self.uploaded) < RELEASE_IDS:
            self.uploaded.append(event.image_id)
        self._emit(event)

    def close(self) -> None:
        """Emit what has no outcome as unfinished."""
        for path, size in self._open.items():
            self._emit(PhotoUnfinished(path=path, size=size))
        self._open.clear()


@asynccontextmanager
async def _one_error() -> AsyncIterator[None]:
    """Unwrap the group that a task group raises: a bug first, then what ended the run."""
    try:
        yield
    except BaseExceptionGroup as group:
        run_errors, bugs = group.split(RunError)
        if bugs is not None or run_errors is None:
            raise
        error: BaseException = run_errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
