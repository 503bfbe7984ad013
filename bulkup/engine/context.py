"""What the parts of a run share: the ports, the request to stop, the limiter of finishes."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import anyio

from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.gallery_port import GalleryWriter, PhotoSender
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Ledger, UploadLedger
from bulkup.engine.pacing import Tail
from bulkup.engine.retry import Recovery
from bulkup.events import Emit

T = TypeVar("T")


class Slot(Protocol):
    """One of the slots for photos that the server finishes at once."""

    async def renew(self) -> None:
        """Queue again before another try, if the limit was lowered meanwhile."""

    async def measure(self, finish: Callable[[], Awaitable[T]]) -> T:
        """Return the result of one try to finish a photo, and feed its duration to the pacing."""


class Limiter(Protocol):
    """Limits how many photos are finished at once."""

    @property
    def tail(self) -> Tail:
        """How much of a photo is left for its finish, given this machine's connection."""

    def slot(self, job: Job, *, alias: str) -> AbstractAsyncContextManager[Slot]:
        """Wait for a free slot and hold it while the photo of a job is finished.

        `alias` is the temporary name that it is sent under. If a worker of a cluster is lost, its
        coordinator has to know both.
        """


class Stop:
    """A request to end the run gracefully: photos in flight are finished, no new one is begun.

    While it is paused, no new one is begun either, until `resume`, or `set` ends the run. Files
    are still read ahead, as far as the streams between the stages hold them.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._resumed: anyio.Event | None = None  # while paused

    def set(self) -> None:
        """Request a graceful stop."""
        self.wanted = True
        self.resume()

    @property
    def paused(self) -> bool:
        """Whether the run is paused."""
        return self._resumed is not None

    def pause(self) -> None:
        """Begin no new photo until `resume`; call it, and that, in the event loop of the run."""
        if not self.wanted and self._resumed is None:
            self._resumed = anyio.Event()

    def resume(self) -> None:
        """Go on after `pause`."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.set()

    async def may_begin(self) -> bool:
        """Wait while paused; return whether a photo may be begun."""
        while self._resumed is not None:
            await self._resumed.wait()
        return not self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What all parts of one run share; `recovery` also has its `sleep` function."""

    gallery: GalleryWriter
    recovery: Recovery
    ledger: Ledger
    emit: Emit
    stop: Stop
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadContext:
    """What the uploads of all photos of one run share; on a cluster each worker has its own.

    `level` is the privacy level of new photos. `doubtful` collects the temporary names, with their
    albums, of attempts that may have left an unwanted photo in the gallery: a damaged one, or one
    that was finished after all.
    """

    gallery: PhotoSender
    ledger: UploadLedger
    recovery: Recovery
    limiter: Limiter
    chunk_size: ChunkSize
    emit: Emit
    clock: Callable[[], float]
    level: int
    doubtful: dict[str, int] = field(default_factory=dict)
