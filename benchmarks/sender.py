"""Sends files by the sending code of `bulkup.piwigo`, without a run around it.

Chunks are read and sent as in a run, by `pwg.images.upload`, which needs no MD5s. As a script it
takes an address, a chunk size and the number of files at once, and the names of the files on
standard input; it prints the seconds and processor seconds of sending.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from bulkup.engine.job import Job
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.multipart import Throttle
from bulkup.piwigo.protocol import Offer
from bulkup.piwigo.session import Credentials, SessionPool, Timeouts
from bulkup.piwigo.transport import connector_for
from bulkup.piwigo.upload import Upload
from bulkup.source.photos import Photo


@asynccontextmanager
async def server_at(
    url: str, *, at_once: int, throttle: Throttle | None = None
) -> AsyncIterator[PiwigoServer]:
    """Return a server, without any request to it."""
    async with await connector_for(at_once) as connector:
        pool = SessionPool(
            url,
            credentials=Credentials("admin", "secret"),
            connector=connector,
            timeouts=Timeouts(),
            throttle=throttle,
        )
        offer = Offer(
            url=url, version="", user="", methods=frozenset(), endings=None, chunk_size=0
        )
        try:
            yield PiwigoServer(pool, offer=offer, method=Upload(renames=True))
        finally:
            await pool.close()


async def send(photo: Photo, server: PiwigoServer, *, chunk_size: int) -> None:
    """Send a file, chunk by chunk."""
    job = Job(photo, "", album=1)
    async with server.transfer(job, level=0, attempt=1, chunk_size=chunk_size) as transfer:
        await transfer.prepare()
        *chunks, last = transfer.chunks
        for chunk in chunks:
            await transfer.send(chunk, progress=lambda _: None)
        await transfer.finish(last, progress=lambda _: None)


async def send_all(
    photos: Iterable[Photo], url: str, *, chunk_size: int, at_once: int
) -> tuple[float, float]:
    """Send many files; return the seconds and the processor seconds."""
    left = iter(photos)

    async def lane(server: PiwigoServer) -> None:
        for photo in left:
            await send(photo, server, chunk_size=chunk_size)

    async with server_at(url, at_once=at_once) as server:
        began, began_cpu = time.monotonic(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(lane(server))
        return time.monotonic() - began, time.process_time() - began_cpu


def photos_at(paths: Iterable[Path]) -> list[Photo]:
    """Return the files as a scan finds them."""
    photos = []
    for path in paths:
        status = path.stat()
        photos.append(Photo(path, status.st_size, status.st_mtime_ns))
    return photos


if __name__ == "__main__":
    names = sys.stdin.buffer.read().split(b"\0")
    took, cpu = asyncio.run(
        send_all(
            photos_at(Path(os.fsdecode(name)) for name in names if name),
            sys.argv[1],
            chunk_size=int(sys.argv[2]),
            at_once=int(sys.argv[3]),
        )
    )
    print(took, cpu)
