"""The journey of one photo: chunk after chunk, the finish, its name, and what to do on the way.

Declares the server that it needs, and knows no particular one. Reads top to bottom: the only
callback counts bytes. The law of this module: *ask before sending again* what may have arrived.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bulkup.errors import (
    CutShort,
    Damaged,
    Lost,
    PhotoChanged,
    PhotoError,
    TooLarge,
    Transient,
)
from bulkup.events import Emit, PhotoFinishing, PhotoProgress, PhotoStarted, PhotoUploaded
from bulkup.photos import Chunk, Photo, fingerprint
from bulkup.recovery import Recovery

DAMAGED_TRIES: Final = 2
CHANGED_TRIES: Final = 3


class Transfer(Protocol):
    """One attempt to send one photo."""

    @property
    def chunks(self) -> Sequence[Chunk]:
        """The photo's chunks, to be sent in this order."""

    @property
    def repeatable(self) -> bool:
        """Whether a chunk may be sent again when nobody knows what became of it."""

    async def send(self, chunk: Chunk, *, progress: Callable[[int], None]) -> None:
        """Send a chunk that is not the last."""

    async def finish(self, *, progress: Callable[[int], None]) -> int | None:
        """Send the last chunk and return the photo's id, or None where none was named."""

    async def settle(self, photo_id: int) -> None:
        """Give the finished photo what it could not be sent with. May be repeated."""


class Server(Protocol):
    """What a photo's journey needs of a server."""

    def transfer(
        self, photo: Photo, *, md5: str, album: int, level: int, attempt: int
    ) -> AbstractAsyncContextManager[Transfer]:
        """Begin an attempt, from 1 on, to send a photo."""

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each MD5, None for absent; one that is missing can't be told."""

    def shrink(self, size: int) -> bool:
        """Use chunks smaller than `size` bytes from now on; False if they can't be smaller."""


@dataclass(frozen=True, slots=True)
class Job:
    """A photo to send, with the MD5 of its content, and the albums that it is known to be in.

    `fresh` tells that the MD5 has just been computed.
    """

    photo: Photo
    md5: str
    albums: frozenset[int] = frozenset()
    fresh: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What all photos of a run have in common on their way."""

    server: Server
    recovery: Recovery
    finishing: AbstractAsyncContextManager[object]
    emit: Emit
    clock: Callable[[], float]
    album: int
    level: int


async def upload(job: Job, journey: Journey) -> PhotoUploaded:
    """Bring a photo to the server and return the event that says so.

    Raises `PhotoError` where that is impossible, with the server's own words.
    """
    began = journey.clock()
    changes = 0
    attempts = _Attempts()
    while True:
        try:
            photo_id = await _bring(job, journey, attempts=attempts)
        except PhotoChanged:
            changes += 1
            if changes >= CHANGED_TRIES:
                raise
            job = Job(*await fingerprint(job.photo))
        else:
            break
    return PhotoUploaded(
        path=job.photo.path,
        size=job.photo.size,
        md5=job.md5,
        image_id=photo_id,
        attempts=attempts.made,
        seconds=journey.clock() - began,
    )


class _Attempts:
    """Counts a photo's fresh starts, and those of them that were its own fault."""

    def __init__(self) -> None:
        self.made = 0
        self.charged = 0
        self.damaged = 0


async def _bring(job: Job, journey: Journey, *, attempts: _Attempts) -> int:
    """Return the photo's id after as many attempts as it takes."""
    path = job.photo.path
    while True:
        attempts.made += 1
        emit = journey.emit
        emit(PhotoStarted(path=path, size=job.photo.size, attempt=attempts.made))
        async with journey.server.transfer(
            job.photo,
            md5=job.md5,
            album=journey.album,
            level=journey.level,
            attempt=attempts.made,
        ) as transfer:
            try:
                photo_id = await _send(transfer, path=path, journey=journey)
            except TooLarge as error:
                length = transfer.chunks[0].length
                if not journey.server.shrink(length):
                    raise PhotoError(error.message, hint=error.hint) from None
                continue
            except Transient as error:
                found = await _ask(job, journey, error=error)
                if found is None:
                    await _charge(error, attempts=attempts, journey=journey, path=path)
                    continue
                photo_id = found
            await _settle(transfer, photo_id, path=path, journey=journey)
            return photo_id


async def _send(transfer: Transfer, *, path: Path, journey: Journey) -> int:
    """Send every chunk in order and return the photo's id. Raises `Transient`."""

    def progress(chunk: Chunk) -> Callable[[int], None]:
        return lambda sent: journey.emit(PhotoProgress(path=path, sent=chunk.offset + sent))

    for chunk in transfer.chunks[:-1]:

        async def send(chunk: Chunk = chunk) -> None:
            await transfer.send(chunk, progress=progress(chunk))

        await journey.recovery.run(send, repeatable=transfer.repeatable, path=path)

    async def finish() -> int | None:
        return await transfer.finish(progress=progress(transfer.chunks[-1]))

    async with journey.finishing:
        journey.emit(PhotoFinishing(path=path))
        try:
            photo_id = await journey.recovery.run(finish, repeatable=False, path=path)
        except TooLarge:
            raise
        except Transient as error:
            raise _Unconfirmed(error) from None
    if photo_id is None:
        raise _Unconfirmed(Lost("the server did not confirm the photo"))
    return photo_id


class _Unconfirmed(Transient):
    """A finish failed: the photo may be there all the same."""

    def __init__(self, cause: Transient) -> None:
        super().__init__(cause.message, hint=cause.hint, retry_after_s=cause.retry_after_s)
        self.cause = cause


async def _ask(job: Job, journey: Journey, *, error: Transient) -> int | None:
    """Return the id of the photo if it has arrived in spite of the error.

    Raises `PhotoError` where it may have and this server can't tell.
    """
    if not isinstance(error, _Unconfirmed):
        return None
    surely_not = error.cause.untouched or isinstance(error.cause, CutShort | Damaged)
    delays = [0.0] if surely_not else journey.recovery.policy.ask_delays(job.photo.size)
    for delay in delays:
        if delay:
            await journey.recovery.sleep(delay)
        found = await journey.recovery.run(
            lambda: journey.server.find([job.md5]), path=job.photo.path
        )
        if job.md5 not in found:
            if surely_not:
                return None
            raise PhotoError(
                f"the photo may have arrived or not, and this server can't tell: {error.message}",
                hint="Look for it in the gallery before you send it again.",
            )
        if (photo_id := found[job.md5]) is not None:
            return photo_id
    return None


async def _charge(error: Transient, *, attempts: _Attempts, journey: Journey, path: Path) -> None:
    """Count a failed attempt and wait before the next. Raises `PhotoError` after the last."""
    cause = error.cause if isinstance(error, _Unconfirmed) else error
    attempts.charged += 1
    attempts.damaged += isinstance(cause, Damaged)
    if attempts.charged > journey.recovery.policy.retries or attempts.damaged >= DAMAGED_TRIES:
        raise PhotoError(error.message, hint=error.hint) from None
    await journey.recovery.pause(error, attempt=attempts.charged, path=path)


async def _settle(transfer: Transfer, photo_id: int, *, path: Path, journey: Journey) -> None:
    try:
        await journey.recovery.run(lambda: transfer.settle(photo_id), path=path)
    except Transient as error:
        raise PhotoError(
            f"the photo arrived as number {photo_id}, but without its name: {error.message}",
            hint="Mend its file name in the gallery's administration.",
        ) from None
