"""One chunk on its way: sent under recovery, timed; what becomes of it tells of the chunk size.

Knows which errors may come from a chunk that is too large, and no server.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from bulkup.chunksize import ChunkSize
from bulkup.errors import Lost, Mangled, Outage, TooLarge, Transient, Unmerged
from bulkup.events import ChunkSizeChanged, PhotoProgress
from bulkup.journey import Journey, Place
from bulkup.memory import Fact
from bulkup.photos import Chunk

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Send(Protocol[T_co]):
    async def __call__(self, chunk: Chunk, *, progress: Callable[[int], None]) -> T_co: ...


class Meter:
    """Tells of a chunk's progress, and measures how long the line takes for it."""

    def __init__(self, chunk: Chunk, *, path: Path, journey: Journey) -> None:
        self._chunk = chunk
        self._path = path
        self._journey = journey
        self._began = self._sent_at = 0.0

    async def timed(self, send: _Send[T]) -> T:
        """Return what one try to send the chunk returns."""
        self._began = self._sent_at = self._journey.clock()
        return await send(self._chunk, progress=self._progress)

    def since_begun_s(self) -> float:
        """Return how long ago the last try began."""
        return self._journey.clock() - self._began

    def since_sent_s(self) -> float:
        """Return how long ago the chunk's last byte went out."""
        return self._journey.clock() - self._sent_at

    def _progress(self, sent: int) -> None:
        self._journey.emit(PhotoProgress(path=self._path, sent=self._chunk.offset + sent))
        if sent == self._chunk.length:
            self._sent_at = self._journey.clock()
            self._journey.gate.tail.sent(sent, self._sent_at - self._began)


async def deliver(
    send: Callable[[], Awaitable[T]],
    chunk: Chunk,
    *,
    journey: Journey,
    repeatable: bool,
    place: Place | None = None,
    path: Path,
) -> T:
    """Return the answer to a chunk, tried again as `recovery` does. Raises `Transient`.

    The last one finishes the photo in its `place`.

    A chunk larger than any before is not repeated as it is: a server may cut the connection, or
    PHP die, where it should refuse the size.
    """
    size = journey.chunk_size
    proven = size.is_proven(chunk.length)

    async def send_once() -> T:
        began = journey.clock()
        answer = await (send() if place is None else place.measure(send))
        size.passed(chunk.length, journey.clock() - began if place is None else None)
        return answer

    before = size.now
    try:
        return await journey.recovery.run(
            send_once,
            repeatable=repeatable and proven,
            before=None if place is None else place.renew,
            path=path,
        )
    except Transient as error:
        if (ceiling := _blame(error, chunk, size)) is not None:
            await journey.memory.learn(Fact.CHUNK, ceiling)
        raise
    finally:
        if size.now != before:
            journey.emit(ChunkSizeChanged(chunk_size=size.now))


def may_be_for_size(error: Transient) -> bool:
    """Tell whether a chunk that is too large might have been answered so.

    PHP over its `memory_limit` while it reads the body was seen as nginx' 502.
    """
    if isinstance(error, TooLarge | Mangled):
        return True
    return isinstance(error, Lost | Outage) and not (
        error.untouched or isinstance(error, Unmerged)
    )


def _blame(error: Transient, chunk: Chunk, size: ChunkSize) -> int | None:
    """Let the chunk size learn from an error; return a ceiling if that shows one."""
    match error:
        case TooLarge():
            return size.refused(chunk.length)
        case Mangled() if not size.is_proven(chunk.length):
            return size.refused(chunk.length)
        case Mangled():
            return None
    return size.broke(chunk.length) if may_be_for_size(error) else None
