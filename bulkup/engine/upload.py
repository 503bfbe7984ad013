"""Uploads one photo: its chunks in order, then the finish, with retries and clean-up."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.ports import Fact, Job, Slot, Transfer, UploadContext
from bulkup.errors import (
    AnswerLost,
    BulkupError,
    ChunkCorrupted,
    MergeFailed,
    NotOffered,
    Outage,
    PhotoChanged,
    PhotoCorrupted,
    PhotoError,
    RunError,
    SendInterrupted,
    ServerCrashed,
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


class _Send(Protocol[T_co]):
    async def __call__(self, chunk: Chunk, *, progress: Callable[[int], None]) -> T_co: ...


class Meter:
    """Tells of a chunk's progress, and measures how long the line takes for it."""

    def __init__(self, chunk: Chunk, *, path: Path, context: UploadContext) -> None:
        self._chunk = chunk
        self._path = path
        self._context = context
        self._began = self._sent_at = 0.0

    async def timed(self, send: _Send[T]) -> T:
        """Return what one try to send the chunk returns."""
        self._began = self._sent_at = self._context.clock()
        return await send(self._chunk, progress=self._progress)

    def since_begun_s(self) -> float:
        """Return how long ago the last try began."""
        return self._context.clock() - self._began

    def since_sent_s(self) -> float:
        """Return how long ago the chunk's last byte went out."""
        return self._context.clock() - self._sent_at

    def _progress(self, sent: int) -> None:
        self._context.emit(PhotoProgress(path=self._path, sent=self._chunk.offset + sent))
        if sent == self._chunk.length:
            self._sent_at = self._context.clock()
            self._context.limiter.tail.sent(sent, self._sent_at - self._began)


async def deliver(
    send: Callable[[], Awaitable[T]],
    chunk: Chunk,
    *,
    context: UploadContext,
    repeatable: bool,
    slot: Slot | None = None,
    path: Path,
) -> T:
    """Return the answer to a chunk, tried again as `recovery` does. Raises `Transient`.

    The last one finishes the photo in its `slot`.

    A chunk larger than any before is not repeated as it is: a server may cut the connection, or
    PHP die, where it should refuse the size.
    """
    size = context.chunk_size
    proven = size.is_proven(chunk.length)

    async def send_once() -> T:
        began = context.clock()
        answer = await (send() if slot is None else slot.measure(send))
        size.passed(chunk.length, context.clock() - began if slot is None else None)
        return answer

    try:
        return await context.recovery.run(
            send_once,
            repeatable=repeatable and proven,
            before=None if slot is None else slot.renew,
            path=path,
        )
    except Transient as error:
        if (ceiling := _blame(error, chunk, size)) is not None:
            await context.ledger.learn(Fact.CHUNK, ceiling)
        raise
    finally:
        if size.now != size.reported:
            size.reported = size.now
            context.emit(ChunkSizeChanged(chunk_size=size.now))


def may_be_for_size(error: Transient) -> bool:
    """Tell whether a chunk that is too large might have been answered so.

    PHP over its `memory_limit` while it reads the body was seen as nginx' 502.
    """
    if isinstance(error, TooLarge | ChunkCorrupted):
        return True
    return isinstance(error, AnswerLost | Outage) and not (
        error.untouched or isinstance(error, MergeFailed)
    )


def _blame(error: Transient, chunk: Chunk, size: ChunkSize) -> int | None:
    """Let the chunk size learn from an error; return a ceiling if that shows one."""
    match error:
        case TooLarge():
            return size.refused(chunk.length)
        case ChunkCorrupted() if not size.is_proven(chunk.length):
            return size.refused(chunk.length)
        case ChunkCorrupted():
            return None
    return size.broke(chunk.length) if may_be_for_size(error) else None


DAMAGED_TRIES: Final = 2
CHANGED_TRIES: Final = 3
BOLD_TRIES: Final = 10


async def upload(
    job: Job, context: UploadContext, *, lost: Transient | None = None
) -> tuple[Job, PhotoUploaded]:
    """Bring a photo to the server and return it as it was sent, with the event that says so.

    A file that changes on its way is sent as it is in the end, so the MD5 may be another one.
    `lost` is how somebody else's attempt ended of which nobody knows whether the photo arrived.
    Raises `PhotoError` where that is impossible, with the server's own words.
    """
    began = context.clock()
    changes = 0
    attempts = _Attempts(lost)
    while True:
        try:
            photo_id = await _bring(job, context, attempts=attempts)
        except PhotoChanged:
            changes += 1
            if changes >= CHANGED_TRIES:
                raise
            photo, md5 = await fingerprint(job.photo)
            job = replace(job, photo=photo, md5=md5)
        else:
            break
    context.emit(PhotoArrived(path=job.photo.path, image_id=photo_id))
    return job, PhotoUploaded(
        path=job.photo.path,
        size=job.photo.size,
        md5=job.md5,
        image_id=photo_id,
        attempts=attempts.made,
        seconds=context.clock() - began,
        replaced=job.replaces is not None,
        albums=job.all_albums,
    )


class _Attempts:
    """Counts a photo's fresh starts, and those of them that were its own fault."""

    def __init__(self, lost: Transient | None) -> None:
        self._lost = lost
        self.made = 0
        self.charged = 0
        self.damaged = 0
        self.bold = 0
        self.fallback = False

    async def find_lost(self, job: Job, context: UploadContext) -> int | None:
        """Return the id of the photo if somebody else's attempt brought it after all."""
        if self._lost is None:
            return None
        found = await _ask(job, context, error=_Unconfirmed(self._lost))
        self._lost = None  # only now: a question that fails is asked again
        return found

    def was_too_bold(self, error: Transient, transfer: Transfer, context: UploadContext) -> bool:
        """Tell whether the last one may have failed by a chunk size of our own choice."""
        largest = max(chunk.length for chunk in transfer.chunks)
        bold = may_be_for_size(_cause(error)) and context.chunk_size.is_doubtful(largest)
        self.bold += bold
        return bold and self.bold <= BOLD_TRIES


async def _bring(job: Job, context: UploadContext, *, attempts: _Attempts) -> int:
    """Return the photo's id after as many attempts as it takes."""
    path = job.photo.path
    while True:
        attempts.made += 1
        emit = context.emit
        emit(PhotoStarted(path=path, size=job.photo.size, attempt=attempts.made))
        async with context.gallery.transfer(
            job,
            level=context.level if job.level is None else job.level,
            attempt=attempts.made,
            fallback=attempts.fallback,
            chunk_size=context.chunk_size.now,
            tail=context.limiter.tail.size_for,
        ) as transfer:
            try:
                if (found := await attempts.find_lost(job, context)) is None:
                    async with _tidy(transfer.remains, context):
                        found = await _send(transfer, path=path, context=context)
                photo_id = found
            except NotOffered as error:
                raise RunError(run_failures.METHOD_FAILED(reason=error.message)) from None
            except Transient as error:
                found = await _ask(job, context, error=error)
                if found is None:
                    if transfer.alias and isinstance(error, _Unconfirmed):
                        context.doubtful[transfer.alias] = job.album
                    if attempts.was_too_bold(error, transfer, context):
                        reason, bold = error.message, attempts.bold
                        emit(Retrying(path=path, reason=reason, attempt=bold, after_s=0.0))
                    else:
                        await _charge(error, attempts=attempts, context=context, path=path)
                    continue
                photo_id = found
                context.chunk_size.passed(transfer.chunks[-1].length)
            await _settle(transfer, photo_id, path=path, context=context)
            return photo_id


@asynccontextmanager
async def _tidy(name: str, context: UploadContext) -> AsyncIterator[None]:
    """Leave nothing on the server of an attempt that fails, or a note for the next run."""
    if not name:
        yield
        return
    await context.ledger.begin(name)
    try:
        yield
    except BulkupError:
        await sweep(name, context)
        raise
    await context.ledger.end(name)


async def sweep(name: str, context: UploadContext) -> None:
    """Remove what is left of a photo under this name, if the server lets us."""
    try:
        await context.recovery.run(lambda: context.gallery.sweep(name))
    except RunError:
        raise
    except BulkupError:
        return  # the note stays for the next run
    await context.ledger.end(name)


async def _send(transfer: Transfer, *, path: Path, context: UploadContext) -> int:
    """Send every chunk in order and return the photo's id. Raises `Transient`."""
    await context.recovery.run(transfer.prepare, path=path)
    left = list(transfer.chunks)
    while len(left) > 1:
        chunk = left.pop(0)
        meter = Meter(chunk, path=path, context=context)
        receipt = await deliver(
            partial(meter.timed, transfer.send),
            chunk,
            context=context,
            repeatable=transfer.repeatable,
            path=path,
        )
        if receipt.photo_id is not None:
            return receipt.photo_id
        if chunk.index == 0:  # from an earlier run: what we sent since then is held anyway
            left = [chunk for chunk in left if chunk.index not in receipt.held]
    last = left[0] if left else transfer.chunks[-1]
    meter = Meter(last, path=path, context=context)

    async def finish() -> int:
        photo_id = await meter.timed(transfer.finish)
        context.limiter.tail.worked(meter.since_sent_s())
        context.emit(PhotoFinished(path=path, seconds=meter.since_begun_s()))
        return photo_id

    async with context.limiter.slot() as slot:
        context.emit(PhotoFinishing(path=path))
        try:
            return await deliver(
                finish, last, context=context, repeatable=False, slot=slot, path=path
            )
        except (TooLarge, ChunkCorrupted):
            raise
        except Transient as error:
            raise _Unconfirmed(error) from None


class _Unconfirmed(Transient):
    """A finish failed: the photo may be there all the same."""

    def __init__(self, cause: Transient) -> None:
        super().__init__(cause.failure, retry_after_s=cause.retry_after_s)
        self.cause = cause


def _cause(error: Transient) -> Transient:
    return error.cause if isinstance(error, _Unconfirmed) else error


async def _ask(job: Job, context: UploadContext, *, error: Transient) -> int | None:
    """Return the id of the photo if it has arrived in spite of the error.

    Raises `PhotoError` where it may have and this server can't tell.
    """
    if not isinstance(error, _Unconfirmed):
        return None
    surely_not = error.cause.untouched or isinstance(error.cause, SendInterrupted | PhotoCorrupted)
    if job.format_of is not None and (surely_not or context.gallery.repeats_formats):
        return None  # no server tells the MD5 of a format
    delays = [0.0] if surely_not else context.recovery.policy.ask_delays(job.photo.size)
    for delay in delays:
        if delay:
            await context.recovery.sleep(delay)
        found = await context.recovery.run(
            lambda: context.gallery.find([job.md5]), path=job.photo.path
        )
        if job.md5 not in found or job.format_of is not None:
            if surely_not:
                return None
            raise PhotoError(gallery_failures.PERHAPS(reason=error.message))
        if (photo_id := found[job.md5]) is not None:
            return photo_id
    return None


async def _charge(
    error: Transient, *, attempts: _Attempts, context: UploadContext, path: Path
) -> None:
    """Count a failed attempt and wait before the next. Raises `PhotoError` after the last."""
    cause = _cause(error)
    if isinstance(cause, TooLarge):
        raise PhotoError(error.failure) from None
    attempts.charged += 1
    fatal = PhotoCorrupted | ServerCrashed if isinstance(error, _Unconfirmed) else PhotoCorrupted
    attempts.damaged += isinstance(cause, fatal)
    attempts.fallback = attempts.fallback or isinstance(cause, MergeFailed)
    if attempts.charged > context.recovery.policy.retries or attempts.damaged >= DAMAGED_TRIES:
        raise PhotoError(error.failure) from None
    await context.recovery.pause(error, attempt=attempts.charged, path=path)


async def _settle(
    transfer: Transfer, photo_id: int, *, path: Path, context: UploadContext
) -> None:
    try:
        await context.recovery.run(lambda: transfer.settle(photo_id), path=path)
    except (Transient, NotOffered) as error:
        raise PhotoError(gallery_failures.UNNAMED(photo=photo_id, reason=error.message)) from None
