"""The pipeline of an upload: its stages, and the bounded streams between them."""

import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from bulkup.engine.albums import AlbumResolver, Albums, FolderAlbums, Titles
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.confirm import Confirmer, Confirming
from bulkup.engine.dedupe import Catalogue, Deduplicator
from bulkup.engine.dispose import Checker, Disposal, Place
from bulkup.engine.executor import Executor, LocalExecutor, NotStarted
from bulkup.engine.formats import Attaching, Formats, Uploading
from bulkup.engine.limiter import Census, Limiter
from bulkup.engine.pacing import Finishing
from bulkup.engine.ports import Entry, Job, Ledger, RunContext, Server, State, Stop
from bulkup.engine.recorder import OutcomeGuard, OutcomeRecorder
from bulkup.engine.replace import Changes, Replaceable
from bulkup.engine.retry import Recovery, Sleep
from bulkup.engine.upload import sweep
from bulkup.errors import PhotoError, Transient
from bulkup.errors.groups import one_error
from bulkup.events import (
    Emit,
    FileFound,
    FileSkipped,
    PhotoHashed,
    PhotoUploaded,
    RunFinished,
    ScanFinished,
)
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.pairing import PairedFile, paired
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped, find

T = TypeVar("T")
R = TypeVar("R")
Sent = tuple[Job, PhotoUploaded]
Unread = tuple[Photo, Entry | None]

SCAN_BATCH: Final = 64
BATCH: Final = 200
LINGER: Final = 3.0
MOST_LINGER_S: Final = 2.0
CONFIRM_LINGER_S: Final = 0.25


class Register(Protocol):
    """Where it is told what becomes of the files of an archive."""

    @property
    def ledger(self) -> Ledger:
        """What is remembered of them."""

    @property
    def emit(self) -> Emit:
        """Who hears of them."""

    def unreadable(self, photo: Photo, error: PhotoError) -> None:
        """Tell of a photo that can't be read."""


def read_archive(
    walk: AsyncGenerator[Sequence[Found | PairedFile], None]
    | AsyncGenerator[Sequence[Found], None],
    register: Register,
    stop: Stop,
    *,
    tasks: TaskGroup,
    hashing: int,
    aside: list[PairedFile] | None = None,
    executor: Executor | None = None,
) -> MemoryObjectReceiveStream[Job]:
    """Start to read an archive, in `hashing` threads; return the stream of its photos.

    What stands beside a photo and is none of its own is put `aside`. `executor` read, by default
    this machine's.
    """
    executor = executor or LocalExecutor()
    aside = [] if aside is None else aside
    photos_in, photos = anyio.create_memory_object_stream[Unread](SCAN_BATCH)
    jobs_in, jobs = anyio.create_memory_object_stream[Job](BATCH)
    with photos, jobs_in:
        scan = partial(scan_stage, aside=aside)
        tasks.start_soon(scan, walk, photos_in, jobs_in.clone(), register, stop)
        read = partial(fingerprint_stage, executor=executor)
        for _ in range(hashing + executor.lead):
            tasks.start_soon(read, photos.clone(), jobs_in.clone(), register, stop)
    return jobs


async def scan_stage(
    walk: AsyncGenerator[Sequence[Found | PairedFile], None]
    | AsyncGenerator[Sequence[Found], None],
    new: MemoryObjectSendStream[Unread],
    known: MemoryObjectSendStream[Job],
    register: Register,
    stop: Stop,
    *,
    aside: list[PairedFile],
) -> None:
    """Walk, and tell apart what is done, what is known by its MD5, and what is new."""
    async with new, known, aclosing(walk):
        async for batch in walk:
            if stop.wanted:
                return
            photos = [photo for found in batch if (photo := _tell(found, register, aside))]
            entries = await register.ledger.look_up([photo.path for photo in photos])
            for photo in photos:
                entry = entries.get(photo.path)
                if entry is None or entry.is_format or not entry.is_of(photo):
                    await new.send((photo, entry))
                else:
                    job = Job(
                        photo,
                        entry.md5,
                        albums=entry.albums,
                        sent_as=entry.image_id,
                        fresh=False,
                        done=entry.state is State.DONE,
                    )
                    try:  # there may be a million of them: to wait costs as much as all the rest
                        known.send_nowait(job)
                    except anyio.WouldBlock:
                        await known.send(job)
        register.emit(ScanFinished())


def _tell(found: Found | PairedFile, register: Register, aside: list[PairedFile]) -> Photo | None:
    """Tell what the walk came across, and return it if it is a photo to go on with."""
    path = found.path
    register.emit(FileFound(path=path, size=getattr(found, "size", 0)))
    if isinstance(found, Photo):
        return found
    if isinstance(found, PairedFile):
        aside.append(found)
    elif isinstance(found, Skipped):
        register.emit(FileSkipped(path=path, reason=found.reason, size=found.size))
    else:
        error = PhotoError(found.kind(reason=found.reason))
        register.unreadable(Photo(path, size=0, mtime_ns=0), error)
    return None


async def fingerprint_stage(
    photos: MemoryObjectReceiveStream[Unread],
    out: MemoryObjectSendStream[Job],
    register: Register,
    stop: Stop,
    *,
    executor: Executor,
) -> None:
    """Read new photos and give them an MD5."""
    async with photos, out:
        async for photo, entry in photos:
            if stop.wanted:
                continue
            try:
                job = _read(*await executor.fingerprint(photo, emit=register.emit), entry)
            except NotStarted:
                continue
            except PhotoError as error:
                register.unreadable(photo, error)
            else:
                register.emit(PhotoHashed(path=photo.path, md5=job.md5))
                await out.send(job)


def _read(photo: Photo, md5: str, entry: Entry | None) -> Job:
    """Return the job of a photo that has just been read, `entry` being what was known of it."""
    if entry is None or entry.image_id is None:
        return Job(photo, md5)
    if entry.md5 != md5 or entry.is_format:
        return Job(photo, md5, was=entry)
    return Job(photo, md5, albums=entry.albums, sent_as=entry.image_id, fresh=False)


async def dedupe_stage(
    jobs: MemoryObjectReceiveStream[Job],
    out: MemoryObjectSendStream[Job],
    deduplicator: Deduplicator,
    stop: Stop,
    *,
    sleep: Sleep,
    clock: Callable[[], float],
) -> None:
    """Give on what has to be sent."""
    async with jobs, out:

        async def sift(batch: list[Job]) -> list[Job]:
            return [] if stop.wanted else await deduplicator.sift(batch)

        async def give_on(unsent: list[Job]) -> None:
            for job in unsent:
                if not stop.wanted:
                    await out.send(job)

        async for unsent in batches(jobs, sift, sleep=sleep, clock=clock):
            await give_on(unsent)
        for batch in deduplicator.rest():
            await give_on(await sift(batch))


async def upload_stage(
    jobs: MemoryObjectReceiveStream[Job],
    out: MemoryObjectSendStream[Sent],
    context: RunContext,
    *,
    outcomes: OutcomeRecorder,
    deduplicator: Deduplicator,
    stop: Stop,
    executor: Executor,
) -> None:
    """Send photo after photo, one at a time."""
    async with jobs, out:
        async for job in jobs:
            turns = [job]
            while turns and not stop.wanted:
                turn = turns.pop()
                try:
                    sent = await executor.upload(turn, context)
                except NotStarted:
                    break
                except (PhotoError, Transient) as error:
                    await outcomes.failed([turn], error)
                    turns = await deduplicator.failed(turn)
                else:
                    await out.send(sent)
                    turns = await deduplicator.changed(turn, into=sent[0])


async def confirm_stage(
    sent: MemoryObjectReceiveStream[Sent],
    confirmer: Confirmer,
    *,
    sleep: Sleep,
    clock: Callable[[], float],
) -> None:
    """Have what was sent confirmed."""
    async with sent:
        confirm = confirmer.confirm
        async for _ in batches(sent, confirm, sleep=sleep, clock=clock, least_s=CONFIRM_LINGER_S):
            pass


async def batches(
    stream: MemoryObjectReceiveStream[T],
    handle: Callable[[list[T]], Awaitable[R]],
    *,
    sleep: Sleep,
    clock: Callable[[], float],
    least_s: float = 0.0,
) -> AsyncIterator[R]:
    """Handle what comes through a stream in lists of up to `BATCH`, and yield each result.

    To look MD5s up costs a server a walk over all its photos (piwigo-api.md, section 4, exist).
    So each list is collected for `LINGER` times as long as the handling of the last one took, and
    for `least_s` at least, unless it is whole before, or the stream ends. What is done with the
    results does not count.
    """
    took = 0.0
    async for first in stream:
        batch = [first]
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            while len(batch) < BATCH:
                batch.append(stream.receive_nowait())
        if len(batch) < BATCH:
            linger_s = min(max(took * LINGER, least_s), MOST_LINGER_S)
            await _collect(batch, stream, until=partial(sleep, linger_s))
        began = clock()
        result = await handle(batch)
        took = clock() - began
        yield result


async def _collect(
    batch: list[T], stream: MemoryObjectReceiveStream[T], *, until: Callable[[], Awaitable[None]]
) -> None:
    """Add to a list what comes until then, or until it is whole or nothing more can come."""
    async with anyio.create_task_group() as tasks:

        async def end() -> None:
            await until()
            tasks.cancel_scope.cancel()

        tasks.start_soon(end)
        with suppress(anyio.EndOfStream):
            while len(batch) < BATCH:
                batch.append(await stream.receive())
        tasks.cancel_scope.cancel()


MOST_FINISHING: Final = 64
"""Photos that are finished at once at most, whatever the server bears."""


class Asked(Catalogue, Replaceable, Protocol):
    """What a server is asked before anything is sent."""


class Gallery(Asked, Attaching, Checker, Confirming, Server, Protocol):
    """What a run needs of a server."""

    @property
    def census(self) -> Census:
        """Who counts its workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to bring where, and how much at once.

    `concurrency` is the number of photos in flight, `finishing` of those that the server works on
    at once (None: as many as do it good), `hashing` the number of threads that read ahead.
    `endings` None takes every file. `update` has changed files replace their photos, `formats` has
    RAW files and the like become formats of the photos that they stand beside. `away` is where the
    files of photos that the server surely has are put at the end, None: nowhere. `only` tells
    which files of the walk to take, None: all. `titles` tells what folders' albums are called,
    None: as the folders are.
    """

    roots: Sequence[Path]
    filters: Filters = EVERYTHING
    folder_albums: FolderAlbums
    level: int = 0
    concurrency: int = 8
    finishing: int | None = None
    hashing: int = 2
    endings: Collection[str] | None = None
    update: bool = False
    formats: bool = False
    away: Place | None = None
    only: Callable[[Found], bool] | None = None
    titles: Titles | None = None


async def run(
    plan: Plan,
    *,
    server: Gallery,
    recovery: Recovery,
    ledger: Ledger,
    albums: Albums,
    chunk_size: ChunkSize,
    emit: Emit,
    stop: Stop,
    executor: Executor | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Bring every photo of the plan to the server, or say why not, event by event.

    `executor` read and send, by default this machine's. Raises `RunError` where the run can't go
    on; what was found and has no outcome by then is emitted as unfinished.
    """
    began = clock()
    executor = executor or LocalExecutor()
    unended = OutcomeGuard(emit)
    disposal = Disposal(
        plan.away, server=server, recovery=recovery, ledger=ledger, emit=emit, stop=stop
    )
    outcomes = OutcomeRecorder(ledger, unended.emit, disposal.arrived)
    aside: list[PairedFile] = []
    deduplicator = deduplicator_of(
        plan,
        server,
        recovery=recovery,
        outcomes=outcomes,
        albums=albums,
        notice=emit,
        stop=stop,
        aside=aside,
    )
    at_once = plan.concurrency * executor.machines
    limiter = Limiter(
        Finishing(
            most=plan.finishing or min(MOST_FINISHING, at_once + executor.lead),
            fixed=plan.finishing is not None,
        ),
        census=server.census,
        recovery=recovery,
        ledger=ledger,
        emit=emit,
        clock=clock,
    )
    context = RunContext(
        server=server,
        ledger=ledger,
        recovery=recovery,
        limiter=limiter,
        chunk_size=chunk_size,
        emit=unended.emit,
        clock=clock,
        level=plan.level,
    )
    confirmer = Confirmer(
        server,
        recovery=recovery,
        context=context,
        executor=executor,
        outcomes=outcomes,
        deduplicator=deduplicator,
        emit=unended.emit,
    )
    formats = Formats(
        server,
        carrier=Uploading(context, ledger=ledger, executor=executor),
        recovery=recovery,
        ledger=ledger,
        update=plan.update,
        emit=unended.emit,
        executor=executor,
    )
    unsent_in, unsent = anyio.create_memory_object_stream[Job](plan.concurrency)
    sent_in, sent = anyio.create_memory_object_stream[Sent](BATCH)
    await _sweep_remains(context, ledger)
    try:
        async with one_error(), attended(limiter):
            async with anyio.create_task_group() as tasks:
                with unsent, sent_in:
                    jobs = jobs_of(
                        plan, outcomes, stop, tasks=tasks, aside=aside, executor=executor
                    )
                    sift = partial(dedupe_stage, sleep=recovery.sleep, clock=clock)
                    tasks.start_soon(sift, jobs, unsent_in, deduplicator, stop)
                    send = partial(
                        upload_stage,
                        outcomes=outcomes,
                        deduplicator=deduplicator,
                        stop=stop,
                        executor=executor,
                    )
                    for _ in range(at_once + executor.lead):
                        tasks.start_soon(send, unsent.clone(), sent_in.clone(), context)
                    confirm = partial(confirm_stage, sleep=recovery.sleep, clock=clock)
                    tasks.start_soon(confirm, sent, confirmer)
            await formats.bring(aside, stop, at_once=at_once + executor.lead)
    finally:
        unended.close()
    await _sweep_remains(context, ledger)
    await confirmer.check_albums()
    await disposal.put_away(astray=confirmer.is_astray, aside=aside)
    emit(RunFinished(seconds=clock() - began))


def deduplicator_of(
    plan: Plan,
    server: Asked,
    *,
    recovery: Recovery,
    outcomes: OutcomeRecorder,
    albums: Albums,
    notice: Emit,
    stop: Stop,
    aside: Sequence[PairedFile],
) -> Deduplicator:
    """Return who sifts the photos of a plan; `notice` hears what is no photo's outcome.

    What stands beside photos, and is no photo then, is `aside` when all has been read.
    """
    return Deduplicator(
        server,
        recovery=recovery,
        outcomes=outcomes,
        album_resolver=AlbumResolver(plan.folder_albums, albums, emit=notice, titles=plan.titles),
        changes=Changes(
            server,
            recovery=recovery,
            ledger=outcomes.ledger,
            outcomes=outcomes,
            update=plan.update,
            aside=aside if plan.formats else None,
            emit=notice,
            stop=stop,
        ),
        emit=outcomes.emit,
    )


def jobs_of(
    plan: Plan,
    outcomes: OutcomeRecorder,
    stop: Stop,
    *,
    tasks: TaskGroup,
    aside: list[PairedFile],
    executor: Executor | None = None,
) -> MemoryObjectReceiveStream[Job]:
    """Start to read what a plan is about; return the stream of its photos."""
    walk = find(plan.roots, plan.filters, endings=plan.endings, only=plan.only)
    return read_archive(
        paired(walk, endings=plan.endings) if plan.formats else walk,
        outcomes,
        stop,
        tasks=tasks,
        hashing=plan.hashing,
        aside=aside,
        executor=executor,
    )


@asynccontextmanager
async def attended(limiter: Limiter) -> AsyncIterator[None]:
    """Have somebody attend to the gate."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.attend)
        yield
        tasks.cancel_scope.cancel()


async def _sweep_remains(context: RunContext, ledger: Ledger) -> None:
    """Remove half photos that an interrupted run, or a failed attempt, left on the server."""
    for name in await ledger.remains():
        await sweep(name, context)
