"""Reads an archive: finds its files, computes MD5s, and passes them on in batches."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeGuard, TypeVar

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from bulkup.engine.context import RunContext
from bulkup.engine.executor import Executor, NotStarted
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Entry, State
from bulkup.engine.retry import Sleep
from bulkup.errors import PhotoError, one_error
from bulkup.events import (
    FileFound,
    FileSkipped,
    JsonMissing,
    PhotoHashed,
    ScanFinished,
    SkipReason,
)
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped, find
from bulkup.source.takeout.filter import KEEP, Item, Judgement, TakeoutFilter
from bulkup.source.takeout.names import JSON

T = TypeVar("T")
R = TypeVar("R")
Unread = tuple[Photo, Entry | None]
Walk = AsyncGenerator[Sequence[Found | PairedFile], None] | AsyncGenerator[Sequence[Found], None]
Unreadable = Callable[[Photo, PhotoError], None]
"""Emits the outcome of a file that can't be read."""

SCAN_BATCH: Final = 64
BATCH: Final = 200
LINGER: Final = 3.0
MOST_LINGER_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlan:
    """Which files of an archive to read, and how many photos to handle at once.

    `endings` None takes files of every type; those in `convert` become JPEGs in the gallery.
    `takeout` leaves out files of a Google Takeout.
    """

    roots: Sequence[Path]
    filters: Filters = EVERYTHING
    concurrency: int = 8
    endings: Collection[str] | None = None
    convert: Collection[str] = ()
    takeout: TakeoutFilter | None = None

    def files(
        self, *, only: Callable[[Found], bool] | None = None, repeat_links: bool = False
    ) -> AsyncGenerator[Sequence[Found], None]:
        """Find the files; `only` selects among them, None takes all."""
        return find(
            self.roots,
            self.filters,
            endings=self.endings,
            convert=self.convert,
            only=only,
            repeat_links=repeat_links,
        )


def read_archive(
    walk: Walk,
    context: RunContext,
    *,
    tasks: TaskGroup,
    unreadable: Unreadable,
    format_files: list[PairedFile] | None = None,
    takeout: TakeoutFilter | None = None,
    md5_of: Callable[[Path], str | None] = lambda _: None,
    executor: Executor,
) -> MemoryObjectReceiveStream[Job]:
    """Start to read an archive; return the stream of its jobs.

    Files that become formats of photos are appended to `format_files`.
    """
    photos_in, photos = anyio.create_memory_object_stream[Unread](SCAN_BATCH)
    jobs_in, jobs = anyio.create_memory_object_stream[Job](BATCH)
    with photos, jobs_in:
        scan = partial(
            scan_stage,
            unreadable=unreadable,
            format_files=[] if format_files is None else format_files,
            takeout=takeout,
            md5_of=md5_of,
        )
        tasks.start_soon(scan, walk, photos_in, jobs_in.clone(), context)
        read = partial(fingerprint_stage, unreadable=unreadable, executor=executor)
        for _ in range(executor.readers + executor.lead):
            tasks.start_soon(read, photos.clone(), jobs_in.clone(), context)
    return jobs


async def scan_stage(
    walk: Walk,
    new: MemoryObjectSendStream[Unread],
    known: MemoryObjectSendStream[Job],
    context: RunContext,
    *,
    unreadable: Unreadable,
    format_files: list[PairedFile],
    takeout: TakeoutFilter | None,
    md5_of: Callable[[Path], str | None] = lambda _: None,
) -> None:
    """Send files whose MD5 the ledger or `md5_of` knows to `known`, all others to `new`."""

    def photo_of(found: Found | PairedFile, judgement: Judgement) -> Photo | None:
        """Emit what was found; return it if it is a photo to process."""
        path, size = found.path, getattr(found, "size", 0)
        context.emit(FileFound(path=path, size=size))
        if judgement.lacks_json:
            context.emit(JsonMissing(path=path))
        if judgement.skip is not None:
            context.emit(FileSkipped(path=path, reason=judgement.skip, size=size))
        elif isinstance(found, Photo):
            return found
        elif isinstance(found, PairedFile):
            format_files.append(found)
        elif isinstance(found, Skipped):
            context.emit(FileSkipped(path=path, reason=found.reason, size=found.size))
        else:
            error = PhotoError(found.failure)
            unreadable(Photo(path, size=0, mtime_ns=0), error)
        return None

    async with new, known, aclosing(walk):
        async for batch in walk:
            if context.stop.wanted:
                return
            entries = await context.ledger.look_up(
                [found.path for found in batch if isinstance(found, Photo | PairedFile)]
            )
            judgements = await judgements_on(takeout, batch, entries) if takeout else {}
            for found in batch:
                photo = photo_of(found, judgements.get(found.path, KEEP))
                if photo is None:
                    continue
                entry = entries.get(photo.path)
                if entry is None and (
                    md5 := md5_of(photo.path) or await _md5_of_other_path(photo, context)
                ):
                    await known.send(Job(photo, md5))
                elif entry is None or entry.is_format or not entry.is_of(photo):
                    await new.send((photo, entry))
                else:
                    job = Job(
                        photo,
                        entry.md5,
                        albums=entry.albums,
                        sent_as=entry.image_id,
                        fresh=False,
                        done=entry.state is State.DONE,
                        compared=entry.compared,
                        unarranged=entry.unarranged,
                    )
                    try:  # for a million known files, awaiting costs as much as all the rest
                        known.send_nowait(job)
                    except anyio.WouldBlock:
                        await known.send(job)
        if takeout and (summary := takeout.summary()):
            context.emit(summary)
        if takeout and takeout.inventory:
            for source in takeout.inventory.summary():
                context.emit(source)
        context.emit(ScanFinished())


async def judgements_on(
    takeout: TakeoutFilter, batch: Sequence[Found | PairedFile], entries: Mapping[Path, Entry]
) -> Mapping[Path, Judgement]:
    """Return the judgements on the files of a Takeout, except for those on the server.

    To read the JSON files of all photos would take most of the time of a second run.
    """

    def is_item(found: Found | PairedFile) -> TypeGuard[Item]:
        if isinstance(found, Skipped):
            return found.reason is SkipReason.SIDECAR and found.path.suffix.lower() == JSON
        return isinstance(found, Photo | PairedFile)

    def is_doubtful(path: Path) -> bool:
        entry = entries.get(path)
        return not (entry and entry.image_id)

    counts_all = takeout.inventory is not None
    items = [
        found for found in batch if is_item(found) and (counts_all or is_doubtful(found.path))
    ]
    judgements = await to_thread.run_sync(takeout.judge, items) if items else {}
    return {path: judgement for path, judgement in judgements.items() if is_doubtful(path)}


async def _md5_of_other_path(photo: Photo, context: RunContext) -> str | None:
    """Return the MD5 of a file that was found twice, if it was read under its other path."""
    if photo.same_as is None:
        return None
    entry = (await context.ledger.look_up([photo.same_as])).get(photo.same_as)
    known = entry is not None and not entry.is_format and entry.is_of(photo)
    return entry.md5 if entry and known else None


async def fingerprint_stage(
    photos: MemoryObjectReceiveStream[Unread],
    out: MemoryObjectSendStream[Job],
    context: RunContext,
    *,
    unreadable: Unreadable,
    executor: Executor,
) -> None:
    """Compute the MD5 of new files."""
    async with photos, out:
        async for photo, entry in photos:
            if context.stop.wanted:
                continue
            try:
                job = _job(*await executor.fingerprint(photo, emit=context.emit), entry)
            except NotStarted:
                continue
            except PhotoError as error:
                unreadable(photo, error)
            else:
                context.emit(PhotoHashed(path=photo.path, md5=job.md5))
                await out.send(job)


def _job(photo: Photo, md5: str, entry: Entry | None) -> Job:
    """Return the job of a file just read; `entry` is what the ledger knew of it before."""
    if entry is None:
        return Job(photo, md5)
    job = Job(photo, md5, unarranged=entry.unarranged)
    if entry.image_id is None:
        return job
    if entry.md5 != md5 or entry.is_format:
        return replace(job, was=entry)
    return replace(
        job,
        albums=entry.albums,
        sent_as=entry.image_id,
        fresh=False,
        compared=entry.compared,
    )


async def examine(
    plan: ArchivePlan,
    context: RunContext,
    *,
    locate: Callable[[list[Job]], Awaitable[Sequence[T]]],
    compare: Callable[[T], Awaitable[None]],
    unreadable: Unreadable,
    executor: Executor,
    repeat_links: bool = False,
) -> None:
    """Read an archive, `locate` its photos in batches, and `compare` several of them at once.

    Raises `RunError`.
    """
    located_in, located = anyio.create_memory_object_stream[T](plan.concurrency)

    async def locate_all(jobs: MemoryObjectReceiveStream[Job]) -> None:
        async def unless_stopped(batch: list[Job]) -> Sequence[T]:
            return () if context.stop.wanted else await locate(batch)

        async with jobs, located_in:
            async for found in batches(
                jobs, unless_stopped, sleep=context.recovery.sleep, clock=context.clock
            ):
                for each in found:
                    await located_in.send(each)

    async def compare_all(photos: MemoryObjectReceiveStream[T]) -> None:
        async with photos:
            async for each in photos:
                if await context.stop.may_begin():
                    await compare(each)

    async with one_error(), anyio.create_task_group() as tasks:
        with located:
            jobs = read_archive(
                plan.files(repeat_links=repeat_links),
                context,
                tasks=tasks,
                unreadable=unreadable,
                takeout=plan.takeout,
                executor=executor,
            )
            tasks.start_soon(locate_all, jobs)
            for _ in range(plan.concurrency):
                tasks.start_soon(compare_all, located.clone())


async def batches(
    stream: MemoryObjectReceiveStream[T],
    handle: Callable[[list[T]], Awaitable[R]],
    *,
    sleep: Sleep,
    clock: Callable[[], float],
    least_s: float = 0.0,
) -> AsyncIterator[R]:
    """Handle the items of a stream in lists of up to `BATCH`, and yield each result.

    Looking MD5s up costs a server a scan over all its photos (seen on Piwigo 13 to 17).
    So each list is collected for `LINGER` times as long as handling the last one took, for
    `least_s` seconds at least and `MOST_LINGER_S` at most, or until it is full or the stream
    ends. The time that the caller spends on the results does not count.
    """
    took_s = 0.0
    async for first in stream:
        batch = [first]
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            while len(batch) < BATCH:
                batch.append(stream.receive_nowait())
        if len(batch) < BATCH:
            linger_s = min(max(took_s * LINGER, least_s), MOST_LINGER_S)
            await _collect(batch, stream, until=partial(sleep, linger_s))
        began = clock()
        result = await handle(batch)
        took_s = clock() - began
        yield result


async def _collect(
    batch: list[T], stream: MemoryObjectReceiveStream[T], *, until: Callable[[], Awaitable[None]]
) -> None:
    """Append items to a list until `until` returns, the list is full or the stream ends."""
    async with anyio.create_task_group() as tasks:

        async def end() -> None:
            await until()
            tasks.cancel_scope.cancel()

        tasks.start_soon(end)
        with suppress(anyio.EndOfStream):
            while len(batch) < BATCH:
                batch.append(await stream.receive())
        tasks.cancel_scope.cancel()
