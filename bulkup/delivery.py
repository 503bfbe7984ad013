"""One chunk on its way: sent under recovery, and what becomes of it tells of the chunk size.

Knows which errors may come from a chunk that is too large, and no server.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from bulkup.chunksize import ChunkSize
from bulkup.errors import Lost, Mangled, Outage, TooLarge, Transient, Unmerged
from bulkup.events import ChunkSizeChanged
from bulkup.journey import Journey
from bulkup.memory import Fact
from bulkup.photos import Chunk

T = TypeVar("T")


async def deliver(
    send: Callable[[], Awaitable[T]],
    chunk: Chunk,
    *,
    journey: Journey,
    repeatable: bool,
    finishing: bool = False,
    path: Path,
) -> T:
    """Return the answer to a chunk, tried again as `recovery` does. Raises `Transient`.

    A chunk larger than any before is not repeated as it is: a server may cut the connection, or
    PHP die, where it should refuse the size.
    """
    size = journey.chunk_size
    proven = size.is_proven(chunk.length)

    async def send_once() -> T:
        began = journey.clock()
        answer = await send()
        size.passed(chunk.length, None if finishing else journey.clock() - began)
        return answer

    before = size.now
    try:
        return await journey.recovery.run(send_once, repeatable=repeatable and proven, path=path)
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
