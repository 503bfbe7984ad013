"""The upload pipeline: its stages, and the bounded streams between them."""

from collections.abc import (
    Callable,
    Iterable,
    Sequence,
)
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from bulkup.engine.albums import (
    AlbumResolver,
    Albums,
    Comment,
    FolderAlbums,
    FurtherAlbums,
    Titles,
)
from bulkup.engine.arrange import Arranger, Marks, Models
from bulkup.engine.arrange_options import NOTHING, Arrangement
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.confirm import Confirmer
from bulkup.engine.context import RunContext, Stop, UploadContext
from bulkup.engine.dedupe import Deduplicator
from bulkup.engine.dispose import Disposal
from bulkup.engine.executor import Executor, NotStarted
from bulkup.engine.formats import Formats, FormatUploader, MainOf, OriginalFormats
from bulkup.engine.gallery_port import PhotoSender
from bulkup.engine.job import Job
from bulkup.engine.limiter import Limiter, WorkerCounter
from bulkup.engine.pacing import Finishing
from bulkup.engine.read import BATCH, ArchivePlan, Walk, batches, read_archive
from bulkup.engine.recorder import OutcomeGuard, OutcomeRecorder, failure
from bulkup.engine.replace import ChangedFiles
from bulkup.engine.upload import sweep
from bulkup.errors import PhotoError, RunError, Transient, count_text, one_error
from bulkup.errors import run as run_failures
from bulkup.events import (
    Noticed,
    PhotoUploaded,
    RunFinished,
)
from bulkup.source.move import Mover, Trash
from bulkup.source.pairing import PairedFile, paired
from bulkup.source.scan import Found

Sent = tuple[Job, PhotoUploaded]
CONFIRM_LINGER_S: Final = 0.25
MOST_FAILED_SWEEPS: Final = 3
"""After this many failed sweeps, the rest are left for later: each uses up all its retries."""

MOST_FINISHING: Final = 64
"""Upper bound of the photos finished at once, whatever the server can handle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(ArchivePlan):
    """What to upload, where to, and how much of it at once.

    `concurrency` is the number of photos in flight, `finishing` the number of those that the
    server finishes at once (None: chosen by pacing). With `update`, a changed file replaces its
    photo; with `confirm_present`, the server compares the stored file of a photo that it already
    has; with `formats`, RAW and similar files become formats of the photos beside them. `disposal`
    moves files once the server has confirmed their photos, None leaves them. `only` selects among
    the files of the walk, None takes all. `titles` names folders' albums, None names them after
    the folders. `further` are sources of albums in which photos are besides those of their
    folders, `comment` returns the descriptions of these. `arrangement` is carried out at the end,
    with the `marks` of a table, or as the `models` show albums. `walk` finds the photos in place
    of a scan of the roots, `md5_of` returns the MD5 of a photo that need not be read for it, and
    `main_of` knows the photos of formats.
    """

    folder_albums: FolderAlbums
    level: int = 0
    finishing: int | None = None
    update: bool = False
    confirm_present: bool = False
    formats: bool = False
    disposal: Mover | Trash | None = None
    only: Callable[[Found], bool] | None = None
    titles: Titles | None = None
    further: Sequence[FurtherAlbums] = ()
    comment: Comment | None = None
    arrangement: Arrangement = NOTHING
    marks: Marks | None = None
    models: Models | None = None
    walk: Callable[[], Walk] | None = None
    md5_of: Callable[[Path], str | None] = lambda _: None
    main_of: MainOf | None = None


async def run(
    plan: Plan,
    context: RunContext,
    *,
    sender: PhotoSender,
    worker_counter: WorkerCounter,
    albums: Albums,
    chunk_size: ChunkSize,
    executor: Executor,
    remarks: Callable[[], Iterable[tuple[str, str]]] = tuple,
) -> None:
    """Upload every photo of the plan, and emit one outcome for each file found.

    `remarks` returns what the gallery client reports at the end: messages, each with a hint.
    Raises `RunError` where the run can't continue; files without an outcome are then emitted as
    unfinished.
    """
    began, emit = context.clock(), context.emit
    guard = OutcomeGuard(emit)
    arranger = Arranger(
        plan.arrangement,
        replace(context, emit=guard.emit),
        marks=plan.marks,
        models=plan.models,
    )
    context = replace(context, emit=arranger.emit)
    disposal = Disposal(plan.disposal, context, executor=executor)
    originals: OriginalFormats

    def arrived(job: Job, photo_id: int | None) -> None:
        arranger.arrived(job, photo_id)
        disposal.arrived(job, photo_id)
        originals.arrived(job, photo_id)

    outcomes = OutcomeRecorder(context, arrived)
    format_files: list[PairedFile] = []
    deduplicator = make_deduplicator(
        plan, context, outcomes=outcomes, albums=albums, format_files=format_files
    )
    in_flight = plan.concurrency * executor.machines + executor.lead
    limiter = Limiter(
        Finishing(
            most=plan.finishing or min(MOST_FINISHING, in_flight),
            fixed=plan.finishing is not None,
        ),
        worker_counter=worker_counter,
        recovery=context.recovery,
        ledger=context.ledger,
        emit=emit,
        clock=context.clock,
    )
    upload_context = UploadContext(
        gallery=sender,
        ledger=context.ledger,
        recovery=context.recovery,
        limiter=limiter,
        chunk_size=chunk_size,
        emit=context.emit,
        clock=context.clock,
        level=plan.level,
    )
    confirmer = Confirmer(
        context,
        upload_context=upload_context,
        executor=executor,
        outcomes=outcomes,
        deduplicator=deduplicator,
    )
    formats = Formats(
        context,
        sender=FormatUploader(context, upload_context=upload_context, executor=executor),
        update=plan.update,
        convert=plan.convert,
        main_of=plan.main_of,
        executor=executor,
    )
    originals = OriginalFormats(
        context, upload_context=upload_context, update=plan.update, executor=executor
    )
    used_up: list[RunError] = []
    unsent_in, unsent = anyio.create_memory_object_stream[Job](plan.concurrency)
    sent_in, sent = anyio.create_memory_object_stream[Sent](BATCH)
    await _sweep_remains(upload_context, context)
    try:
        async with one_error(), anyio.create_task_group() as background:
            background.start_soon(limiter.attend)
            async with anyio.create_task_group() as tasks:
                with unsent, sent_in:
                    jobs = read_plan(
                        plan, context, tasks=tasks, format_files=format_files, executor=executor
                    )
                    tasks.start_soon(dedupe_stage, jobs, unsent_in, deduplicator, context)
                    send = partial(
                        upload_stage,
                        limiter=limiter,
                        outcomes=outcomes,
                        deduplicator=deduplicator,
                        originals=originals,
                        stop=context.stop,
                        executor=executor,
                        used_up=used_up,
                    )
                    for _ in range(in_flight):
                        tasks.start_soon(send, unsent.clone(), sent_in.clone(), upload_context)
                    tasks.start_soon(confirm_stage, sent, confirmer, context)
            await formats.attach(format_files, at_once=in_flight)
            attached = await originals.run(at_once=in_flight)
            background.cancel_scope.cancel()
    finally:
        guard.close()
    if left := await _sweep_remains(upload_context, context):
        uploads = count_text(left, "incomplete upload")
        emit(
            Noticed(
                message=f"{uploads} could not be deleted from the server's buffer",
                hint="The gallery does not show them. The next run tries again.",
            )
        )
    await confirmer.check_albums()
    await arranger.run(album_of=deduplicator.album_of, albums=albums)
    await disposal.run(
        may_lack=confirmer.may_lack, format_files=format_files, attached=originals.attached
    )
    for message, hint in (*remarks(), *executor.remarks(), *attached):
        emit(Noticed(message=message, hint=hint))
    if used_up:
        raise used_up[0]
    emit(RunFinished(seconds=context.clock() - began))


def make_deduplicator(
    plan: Plan,
    context: RunContext,
    *,
    outcomes: OutcomeRecorder,
    albums: Albums,
    format_files: Sequence[PairedFile],
) -> Deduplicator:
    """Return the deduplicator of a plan.

    `format_files` is complete once the archive has been read.
    """
    return Deduplicator(
        context,
        outcomes=outcomes,
        compare_at_once=(
            plan.concurrency if plan.confirm_present or not context.gallery.md5s_reliable else None
        ),
        album_resolver=AlbumResolver(
            plan.folder_albums,
            albums,
            emit=context.emit,
            titles=plan.titles,
            further=plan.further,
            comment=plan.comment,
        ),
        changed_files=ChangedFiles(
            context,
            outcomes=outcomes,
            update=plan.update,
            format_files=format_files if plan.formats else None,
        ),
    )


def walk_of(plan: Plan) -> Walk:
    """Find the files of a plan."""
    if plan.walk is not None:
        return plan.walk()
    found = plan.files(only=plan.only, repeat_links=plan.folder_albums.tree)
    parts = sorted(plan.folder_albums.zips)
    return paired(found, endings=plan.endings, parts=parts) if plan.formats else found


def read_plan(
    plan: Plan,
    context: RunContext,
    *,
    tasks: TaskGroup,
    format_files: list[PairedFile],
    executor: Executor,
) -> MemoryObjectReceiveStream[Job]:
    """Start to read the files of a plan; return the stream of their jobs."""
    return read_archive(
        walk_of(plan),
        context,
        tasks=tasks,
        unreadable=lambda photo, error: context.emit(failure(photo, error)),
        format_files=format_files,
        takeout=plan.takeout,
        md5_of=plan.md5_of,
        executor=executor,
    )


async def dedupe_stage(
    jobs: MemoryObjectReceiveStream[Job],
    out: MemoryObjectSendStream[Job],
    deduplicator: Deduplicator,
    context: RunContext,
) -> None:
    """Pass on the jobs that have to be sent."""
    stop = context.stop
    async with jobs, out:

        async def select(batch: list[Job]) -> list[Job]:
            return [] if stop.wanted else await deduplicator.select(batch)

        async def pass_on(unsent: list[Job]) -> None:
            for job in unsent:
                if not stop.wanted:
                    await out.send(job)

        async for unsent in batches(
            jobs, select, sleep=context.recovery.sleep, clock=context.clock
        ):
            await pass_on(unsent)
        for batch in deduplicator.rest():
            await pass_on(await select(batch))


async def upload_stage(
    jobs: MemoryObjectReceiveStream[Job],
    out: MemoryObjectSendStream[Sent],
    context: UploadContext,
    *,
    limiter: Limiter,
    outcomes: OutcomeRecorder,
    deduplicator: Deduplicator,
    originals: OriginalFormats,
    stop: Stop,
    executor: Executor,
    used_up: list[RunError],
) -> None:
    """Upload one photo after the other.

    Where the account's quota is used up, request a stop, and append the error to `used_up`.
    """
    async with jobs, out:
        async for job in jobs:
            left = [job]  # or an equal photo in its place
            while left and await stop.may_begin():
                current = left.pop()
                await limiter.begin()
                try:
                    async with context.recovery.proving("upload", current.photo.path):
                        sent = await executor.upload(current, context)
                except NotStarted:
                    break
                except RunError as error:
                    if error.code != run_failures.QUOTA.code:
                        raise
                    used_up.append(error)  # the photos in flight are within the quota
                    stop.set()
                except (PhotoError, Transient) as error:
                    await outcomes.failed([current], error)
                    left = await deduplicator.failed(current)
                else:
                    await originals.sent(sent[0], sent[1].image_id)
                    await out.send(sent)
                    left = await deduplicator.changed(current, into=sent[0])


async def confirm_stage(
    sent: MemoryObjectReceiveStream[Sent], confirmer: Confirmer, context: RunContext
) -> None:
    """Confirm what was sent."""
    async with sent:
        async for _ in batches(
            sent,
            confirmer.confirm,
            sleep=context.recovery.sleep,
            clock=context.clock,
            least_s=CONFIRM_LINGER_S,
        ):
            pass


async def _sweep_remains(upload_context: UploadContext, context: RunContext) -> int:
    """Delete partly sent photos that an interrupted run or a failed attempt left on the server.

    Return how many are still there.
    """
    names = await context.ledger.remains()
    swept = failures = 0
    for name in names:
        if await sweep(name, upload_context):
            swept += 1
        else:
            failures += 1
        if failures == MOST_FAILED_SWEEPS:
            break
    return len(names) - swept
