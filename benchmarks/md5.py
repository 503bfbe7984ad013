"""How fast files are hashed, compared with md5sum, and whether others are sent meanwhile.

The stages of a run that read an archive (`read.read_archive`), with the threads of a run, and
`xargs -P … md5sum`, with as many processes, read the same files in turn. Hashing is hidden as far
as it adds no time to sending: the same stages feed eight tasks that send to nginx at a limited
rate, compared with sending alone.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream
from archive import Archive, archive
from frame import Figure, cores, main, middle, tool, weigh
from sender import photos_at, send, server_at
from sink import sink

from bulkup.engine.context import RunContext, Stop
from bulkup.engine.executor import LocalExecutor
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import NoLedger
from bulkup.engine.read import read_archive
from bulkup.engine.retry import Policy, Recovery
from bulkup.errors import PhotoError
from bulkup.piwigo.multipart import Throttle
from bulkup.source.photos import Photo
from bulkup.source.scan import find

ROUNDS = 7
COUNT = 256
SIZE = 4_000_000
AT_ONCE = 8
SENDING_S = 4.0
CHUNK = 8_000 * 1024


@asynccontextmanager
async def reading(folder: Path, tasks: TaskGroup) -> AsyncIterator[MemoryObjectReceiveStream[Job]]:
    """Read a folder by the engine's stages, and yield the stream of its jobs."""

    def unreadable(photo: Photo, error: PhotoError) -> None:
        raise RuntimeError(f"{photo.path} can't be read") from error

    async with server_at("http://127.0.0.1:1/", at_once=1) as nothing_asked:
        context = RunContext(
            gallery=nothing_asked,
            recovery=Recovery(Policy(), emit=lambda _: None, probe=nothing_asked.probe),
            ledger=NoLedger(),
            emit=lambda _: None,
            stop=Stop(),
            clock=time.monotonic,
        )
        walk = find([folder], endings=None)
        async with read_archive(
            walk,
            context,
            tasks=tasks,
            unreadable=unreadable,
            executor=LocalExecutor(),
        ) as jobs:
            yield jobs


async def figures() -> AsyncIterator[Figure]:
    """Compare hashing with md5sum, then with sending."""
    processes = min(LocalExecutor.readers, cores())
    xargs = (tool("xargs", package="findutils"), "-0", "-n", "16", "-P", f"{processes}")
    md5sum = tool("md5sum", package="coreutils")
    with archive(count=COUNT, size=SIZE) as photos:
        ours, theirs = [], []
        for _ in range(ROUNDS):
            cost = (await weigh(*xargs, md5sum, given=photos.names())).check()
            theirs.append(photos.total / 1e6 / cost.seconds)
            ours.append(photos.total / 1e6 / await hashing_s(photos.folder))
        ratio = middle([our / their for our, their in zip(ours, theirs, strict=True)])
        yield Figure(
            f"MD5, {LocalExecutor.readers} threads",
            f"≥ 0.9 × {processes} md5sum",
            f"{ratio:.2f} × ({middle(ours):,.0f} MB/s to {middle(theirs):,.0f})",
            ratio >= 0.9,
        )
        hashing = photos.total / 1e6 / middle(ours)
        hidden = await hidden_part(photos, hashing_s=hashing)
        yield Figure(
            "MD5 while others are sent", "≥ 80% of it hidden", f"{hidden:.0%}", hidden >= 0.8
        )


async def hashing_s(folder: Path) -> float:
    """Return the seconds that the stages take to read an archive."""
    began = time.monotonic()
    async with anyio.create_task_group() as tasks, reading(folder, tasks) as jobs:
        count = sum([1 async for _ in jobs])
    if count != COUNT:
        raise RuntimeError(f"{count} files were read")
    return time.monotonic() - began


async def hidden_part(photos: Archive, *, hashing_s: float) -> float:
    """Return the part of the hashing time that adds nothing to the time of sending."""
    rate = round(photos.total / SENDING_S)
    found = photos_at(photos.paths())
    extra = []
    with sink() as server:
        for _ in range(3):
            began = time.monotonic()
            await send_limited(found, server.url, rate=rate)
            alone_s = time.monotonic() - began
            began = time.monotonic()
            await send_limited(photos.folder, server.url, rate=rate)
            extra.append(time.monotonic() - began - alone_s)
    return min(1.0, 1 - middle(extra) / hashing_s)


async def send_limited(files: Path | list[Photo], url: str, *, rate: int) -> None:
    """Send files at a limited rate; those of a folder while they are hashed."""
    async with (
        server_at(url, at_once=AT_ONCE, throttle=Throttle(lambda: rate)) as server,
        anyio.create_task_group() as tasks,
        AsyncExitStack() as stack,
    ):
        if isinstance(files, Path):
            jobs = await stack.enter_async_context(reading(files, tasks))
        else:
            jobs_in, jobs = anyio.create_memory_object_stream[Job](len(files))
            with jobs_in:
                for photo in files:
                    jobs_in.send_nowait(Job(photo, ""))

        async def lane() -> None:
            async for job in jobs:
                await send(job.photo, server, chunk_size=CHUNK)

        async with jobs, asyncio.TaskGroup() as lanes:
            for _ in range(AT_ONCE):
                lanes.create_task(lane())


if __name__ == "__main__":
    main(figures, about=__doc__)
