"""Uploads one photo: its chunks in order, then the finish, with retries and clean-up."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.context import Slot, UploadContext
from bulkup.engine.gallery_port import Transfer
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import IPTC_FACTS, Fact
from bulkup.errors import (
    AnswerLost,
    Blocked,
    BulkupError,
    ChunkCorrupted,
    MergeFailed,
    NotOffered,
    Outage,
    PhotoChanged,
    PhotoCorrupted,
    PhotoError,
    SendInterrupted,
    ServerCrashed,
    ServerUnavailable,
    TooLarge,
    Transient,
)
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import run as run_failures
from bulkup.events import (
    ChunkSizeChanged,
    PhotoArrived,
    PhotoFinished,
    PhotoFinishing,
    PhotoProgress,
    PhotoStarted,
    PhotoUploaded,
    Retrying,
)
from bulkup.source.photos import Chunk, fingerprint

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DAMAGED_TRIES: Final = 2
"""How often a photo is sent that arrives damaged."""

CHANGED_TRIES: Final = 3
CHUNK_SIZE_TRIES: Final = 10


async def upload(
    job: Job, context: UploadContext, *, lost: Transient | None = None
) -> tuple[Job, PhotoUploaded]:
    """Upload a photo; return its job as it was sent, with the event of its upload.

    A file that changes meanwhile is fingerprinted and sent again, so the MD5 in the result may be
    another one. `lost` is the error that ended an attempt of another worker whose outcome is
    unknown: the server is then asked for the photo first. Raises `PhotoError` where the photo
    can't be uploaded, with the server's own message, `Blocked` where that may be true of every
    photo, and `RunError`.
    """
    began = context.clock()
    attempts = _Attempts(job, context, lost=lost)
    changes = 0
    while True:
        try:
            photo_id = await attempts.run()
        except PhotoChanged:
            changes += 1
            if changes >= CHANGED_TRIES:
                raise
            photo, md5 = await fingerprint(job.photo)
            attempts.job = job = replace(job, photo=photo, md5=md5)
        else:
            job = attempts.job
            break
    context.emit(PhotoArrived(path=job.photo.path, image_id=photo_id))
    return job, PhotoUploaded(
        path=job.photo.path,
        size=job.photo.size,
        md5=job.md5,
        image_id=photo_id,
        attempts=attempts.count,
        seconds=context.clock() - began,
        replaced=job.replaces is not None,
        albums=job.all_albums,
    )


class _Attempts:
    """The attempts to upload one photo.

    Failed attempts are charged against the policy's retries, except while they may be the fault of
    a chunk size that bulkup chose itself.
    """

    def __init__(self, job: Job, context: UploadContext, *, lost: Transient | None) -> None:
        self.job = job
        self.count = 0
        self._context = context
        self._recovery = context.recovery
        self._lost = lost
        self._charged = 0
        self._damaged = 0
        self._blamed_on_chunk_size = 0
        self._fallback = False

    @property
    def _path(self) -> Path:
        return self.job.photo.path

    async def run(self) -> int:
        """Return the photo's id after as many attempts as it takes."""
        while (photo_id := await self._attempt()) is None:
            pass
        return photo_id

    async def _attempt(self) -> int | None:
        """Return the photo's id, None if another attempt may succeed."""
        job, context = self.job, self._context
        self.count += 1
        context.emit(PhotoStarted(path=self._path, size=job.photo.size, attempt=self.count))
        async with context.gallery.transfer(
            job,
            level=context.level if job.level is None else job.level,
            attempt=self.count,
            fallback=self._fallback,
            chunk_size=context.chunk_size.now,
            tail=context.limiter.tail.size_for,
        ) as transfer:
            try:
                if (photo_id := await self._find_lost()) is None:
                    async with self._swept_on_failure(transfer.remains):
                        photo_id = await self._send(transfer)
            except Transient as error:
                if (photo_id := await self._find(error)) is None:
                    if transfer.alias and isinstance(error, _Unconfirmed):
                        context.doubtful[transfer.alias] = job.album
                    await self._wait_after(error, transfer)
                    return None
                context.chunk_size.passed(transfer.chunks[-1].length)
            if photo_id != job.differs:
                await self._settle(transfer, photo_id)
                self.job = replace(job, written=transfer.written)
            return photo_id

    async def _find_lost(self) -> int | None:
        """Return the photo's id if another worker's attempt uploaded it after all."""
        if self._lost is None:
            return None
        photo_id = await self._find(_Unconfirmed(self._lost))
        self._lost = None  # only now: a question that fails is asked again
        return photo_id

    @asynccontextmanager
    async def _swept_on_failure(self, name: str) -> AsyncIterator[None]:
        """Delete what a failed attempt leaves on the server, or keep its name in the ledger."""
        if not name:
            yield
            return
        await self._context.ledger.begin(name)
        try:
            yield
        except (Blocked, ServerUnavailable):
            raise  # a sweep would fail too, after all its retries
        except BulkupError:
            await sweep(name, self._context)
            raise
        await self._context.ledger.end(name)

    async def _send(self, transfer: Transfer) -> int:
        """Send every chunk in order and return the photo's id. Raises `Transient`."""
        await self._recovery.run(transfer.prepare, path=self._path)
        left = list(transfer.chunks)
        while len(left) > 1:
            chunk = left.pop(0)
            timer = _ChunkTimer(chunk, path=self._path, context=self._context)
            receipt = await self._deliver(
                partial(timer.run, transfer.send), chunk, repeatable=transfer.repeatable
            )
            if receipt.photo_id is not None:
                return receipt.photo_id
            if chunk.index == 0:  # held since an earlier run; later chunks are ours anyway
                left = [chunk for chunk in left if chunk.index not in receipt.held]
        return await self._finish(transfer, left[0] if left else transfer.chunks[-1])

    async def _finish(self, transfer: Transfer, chunk: Chunk) -> int:
        """Send the last chunk in a slot of the limiter and return the photo's id."""
        context, path = self._context, self._path
        timer = _ChunkTimer(chunk, path=path, context=context)

        async def finish() -> int:
            photo_id = await timer.run(transfer.finish)
            context.limiter.tail.worked(timer.since_sent_s())
            context.emit(PhotoFinished(path=path, seconds=timer.since_begun_s()))
            return photo_id

        async with context.limiter.slot(self.job, alias=transfer.alias) as slot:
            context.emit(PhotoFinishing(path=path))
            try:
                return await self._deliver(finish, chunk, repeatable=False, slot=slot)
            except (TooLarge, ChunkCorrupted):
                raise
            except Transient as error:
                raise _Unconfirmed(error) from None

    async def _deliver(
        self,
        send: Callable[[], Awaitable[T]],
        chunk: Chunk,
        *,
        repeatable: bool,
        slot: Slot | None = None,
    ) -> T:
        """Return the answer to a chunk, retried by `recovery`; `slot` is given for the last one.

        A chunk larger than any that has passed is not repeated at the same size: a server may cut
        the connection, or PHP die, instead of refusing it. Raises `Transient`.
        """
        context = self._context
        size = context.chunk_size
        proven = size.is_proven(chunk.length)

        async def send_once() -> T:
            began = context.clock()
            try:
                answer = await (send() if slot is None else slot.measure(send))
            except NotOffered as error:
                raise Blocked(run_failures.METHOD_FAILED(reason=error.message)) from None
            size.passed(chunk.length, context.clock() - began if slot is None else None)
            return answer

        try:
            return await self._recovery.run(
                send_once,
                repeatable=repeatable and proven,
                before=None if slot is None else slot.renew,
                path=self._path,
            )
        except Transient as error:
            if (ceiling := _reduce(size, error, chunk)) is not None:
                await context.ledger.learn(Fact.CHUNK, ceiling)
            raise
        finally:
            if size.now != size.reported:
                size.reported = size.now
                context.emit(ChunkSizeChanged(chunk_size=size.now))

    async def _find(self, error: Transient) -> int | None:
        """Return the photo's id if it was uploaded in spite of the error.

        Raises `PhotoError` where it may have been and this server can't tell.
        """
        if not isinstance(error, _Unconfirmed):
            return None
        job, context, cause = self.job, self._context, error.cause
        surely_not = cause.untouched or isinstance(cause, SendInterrupted | PhotoCorrupted)
        if job.format_of is not None and (surely_not or context.gallery.repeats_formats):
            return None  # no server reports the MD5 of a format
        delays = [0.0] if surely_not else self._recovery.policy.ask_delays(job.photo.size)
        for delay in delays:
            if delay:
                await self._recovery.sleep(delay)
            found = await self._recovery.run(
                lambda: context.gallery.find([job.md5]), path=self._path
            )
            if job.md5 not in found or job.format_of is not None:
                if surely_not:
                    return None
                raise PhotoError(gallery_failures.PERHAPS(reason=error.message))
            if (photo_id := found[job.md5]) not in {None, job.differs}:
                return photo_id
        return None

    async def _wait_after(self, error: Transient, transfer: Transfer) -> None:
        """Wait before the next attempt. Raises `PhotoError` or `Blocked` without retries left."""
        cause = _cause(error)
        largest = max(chunk.length for chunk in transfer.chunks)
        if _may_be_chunk_size(cause) and self._context.chunk_size.is_doubtful(largest):
            self._blamed_on_chunk_size += 1
            if self._blamed_on_chunk_size <= CHUNK_SIZE_TRIES:
                self._context.emit(
                    Retrying(
                        path=self._path,
                        reason=error.message,
                        attempt=self._blamed_on_chunk_size,
                        after_s=0.0,
                    )
                )
                return
        if isinstance(cause, TooLarge):
            raise Blocked(error.failure) from None
        self._charged += 1
        fatal = PhotoCorrupted | Blocked
        if isinstance(error, _Unconfirmed):
            fatal |= ServerCrashed
        self._damaged += isinstance(cause, fatal)
        self._fallback = self._fallback or isinstance(cause, MergeFailed)
        if self._charged > self._recovery.policy.retries or self._damaged >= DAMAGED_TRIES:
            failed = Blocked if isinstance(cause, Blocked) else PhotoError
            raise failed(error.failure) from None
        await self._recovery.pause(error, attempt=self._charged, path=self._path)

    async def _settle(self, transfer: Transfer, photo_id: int) -> None:
        try:
            learnt = await self._recovery.run(lambda: transfer.settle(photo_id), path=self._path)
            for kind, reads in learnt.items():
                await self._context.ledger.learn(IPTC_FACTS[kind], int(reads))
        except (Transient, NotOffered) as error:
            if transfer.alias and await self._is_damaged():
                self._context.doubtful[transfer.alias] = self.job.album  # deleted at the end
                raise PhotoError(gallery_failures.ARRIVED_DIFFERENT()) from None
            raise PhotoError(
                gallery_failures.UNNAMED(photo=photo_id, reason=error.message)
            ) from None

    async def _is_damaged(self) -> bool:
        """Return whether the server says that it lacks the photo that it has just taken."""
        md5 = self.job.md5
        try:
            found = await self._recovery.run(lambda: self._context.gallery.find([md5]))
        except (PhotoError, Transient, NotOffered):
            return False
        return md5 in found and found[md5] is None


async def sweep(name: str, context: UploadContext) -> bool:
    """Delete the partly sent photo of this name from the server, and return whether that worked.

    If it fails, the name stays in the ledger for another try, and the run continues.
    """
    try:
        await context.recovery.run(lambda: context.gallery.sweep(name))
    except BulkupError:
        return False
    await context.ledger.end(name)
    return True


class _Send(Protocol[T_co]):
    async def __call__(self, chunk: Chunk, *, progress: Callable[[int], None]) -> T_co: ...


class _ChunkTimer:
    """Emits the progress of a chunk, and measures how long sending it takes."""

    def __init__(self, chunk: Chunk, *, path: Path, context: UploadContext) -> None:
        self._chunk = chunk
        self._path = path
        self._context = context
        self._began = self._sent_at = 0.0

    async def run(self, send: _Send[T]) -> T:
        """Return the result of one try to send the chunk."""
        self._began = self._sent_at = self._context.clock()
        return await send(self._chunk, progress=self._progress)

    def since_begun_s(self) -> float:
        """Return the seconds since the last try began."""
        return self._context.clock() - self._began

    def since_sent_s(self) -> float:
        """Return the seconds since the chunk's last byte was sent."""
        return self._context.clock() - self._sent_at

    def _progress(self, sent: int) -> None:
        self._context.emit(PhotoProgress(path=self._path, sent=self._chunk.offset + sent))
        if sent == self._chunk.length:
            self._sent_at = self._context.clock()
            self._context.limiter.tail.sent(sent, self._sent_at - self._began)


class _Unconfirmed(Transient):
    """A finish failed, but the photo may have been created."""

    def __init__(self, cause: Transient) -> None:
        super().__init__(cause.failure, retry_after_s=cause.retry_after_s)
        self.cause = cause


def _cause(error: Transient) -> Transient:
    return error.cause if isinstance(error, _Unconfirmed) else error


def _may_be_chunk_size(error: Transient) -> bool:
    """Return whether a server may react like this to a chunk that is too large.

    PHP over its `memory_limit` while it reads the body was seen as nginx' 502.
    """
    if isinstance(error, TooLarge | ChunkCorrupted):
        return True
    return isinstance(error, AnswerLost | Outage) and not (
        error.untouched or isinstance(error, MergeFailed)
    )


def _reduce(size: ChunkSize, error: Transient, chunk: Chunk) -> int | None:
    """Reduce the chunk size if the error suggests that; return its new ceiling, if any."""
    match error:
        case TooLarge():
            return size.refused(chunk.length)
        case ChunkCorrupted() if not size.is_proven(chunk.length):
            return size.refused(chunk.length)
        case ChunkCorrupted():
            return None
    return size.broke(chunk.length) if _may_be_chunk_size(error) else None
