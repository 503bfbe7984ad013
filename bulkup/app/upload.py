"""The `upload` use case: build the objects of a run, start the engine."""

import time
from collections.abc import (
    Callable,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from bulkup.app.executor import (
    ExecutorFactory,
    RunSettings,
    accepted_endings,
    check_convert,
    open_executor,
)
from bulkup.app.gallery import base_album, open_access, open_gallery, open_run
from bulkup.app.settings import (
    Account,
    After,
    Timetable,
    UploadSettings,
    local_time,
)
from bulkup.app.sources import open_sources
from bulkup.engine import dry_run, pipeline
from bulkup.engine.albums import Albums
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.context import Stop
from bulkup.engine.dry_run import DryRunGallery
from bulkup.engine.ledger_port import IPTC_FACTS, Fact
from bulkup.engine.retry import Sleep
from bulkup.errors import UsageError
from bulkup.events import BandwidthChanged, ChunkSizeChanged, Emit
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.multipart import Throttle
from bulkup.source.cells import TableFile
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.metadata import Labels, Metadata
from bulkup.source.move import Mover, Trash
from bulkup.source.scan import Found

NO_LABELS = Labels()


class Origin(Protocol):
    """Where photos come from that are not files in folders here."""

    def metadata(self, path: Path) -> Metadata | None:
        """Return the metadata of a photo."""

    def plan(
        self, plan: pipeline.Plan, *, albums: Albums, base: int, target: PiwigoServer | None
    ) -> pipeline.Plan:
        """Return the plan with these photos, in albums below `base`, in place of files.

        Formats are uploaded only with a `target`.
        """


CEILING_S = 30 * 86400.0
"""After this time, chunks above the largest that passed are tried again: servers change."""


async def upload_photos(
    paths: Sequence[Path],
    *,
    account: Account,
    settings: UploadSettings,
    filters: Filters = EVERYTHING,
    labels: Labels = NO_LABELS,
    table: TableFile | None = None,
    emit: Emit,
    stop: Stop,
    only: Callable[[Found], bool] | None = None,
    executor_factory: ExecutorFactory | None = None,
    origin: Origin | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = anyio.sleep,
) -> None:
    """Upload the photos below the paths, or plan to (`settings.dry_run`).

    `table` has metadata of photos. `only` selects among the files found, None takes all.
    `executor_factory` opens the executor that reads and uploads on other machines, None uses this
    one. An `origin` has the photos in place of the paths. Raises `UsageError` where a path does
    not exist and `RunError` where the run is impossible.
    """
    await check_convert(converts=settings.convert, executor_factory=executor_factory)
    sources = await open_sources(paths, filters=filters, labels=labels, table=table, stop=stop)
    roots = sources.roots
    disposal = await to_thread.run_sync(
        open_disposal, settings.after, roots, filters, sources.zips
    )
    marks = sources.marks(settings.arrangement)
    emit = sources.matching(emit, stop=stop, complete=only is None, formats=settings.raw_as_format)
    stated = origin.metadata if origin else sources.stated(settings.into)
    bandwidth = Bandwidth(settings.bwlimit, emit)
    async with open_gallery(
        account,
        settings,
        method=settings.method,
        throttle=Throttle(bandwidth, clock=clock, sleep=sleep),
        describe=sources.describer(emit, stated) if labels or stated else None,
        # on a cluster this machine proves workers for all others
        connections=0 if executor_factory is None else pipeline.MOST_FINISHING,
        emit=emit,
        clock=clock,
        sleep=sleep,
    ) as (server, recovery):
        sources.check_levels(settings.level, server)
        gallery = DryRunGallery(server) if settings.dry_run else server
        access = await open_access(
            settings.into.share_with, server, recovery, gives=not settings.dry_run
        )
        albums = Albums(
            gallery,
            recovery=recovery,
            emit=emit,
            private=settings.into.private,
            access=access,
        )
        base = await base_album(settings.into, albums)
        endings, convert = accepted_endings(server.offer, converts=settings.convert)
        plan = pipeline.Plan(
            roots=roots,
            filters=filters,
            folder_albums=sources.folder_albums(settings.into, base),
            level=settings.level,
            concurrency=settings.concurrency,
            finishing=settings.finishing,
            endings=endings,
            convert=convert,
            update=settings.update,
            confirm_present=settings.confirm_present,
            formats=settings.raw_as_format,
            disposal=disposal,
            only=only,
            titles=sources.titles(),
            further=sources.further(settings.into, emit=emit),
            comment=sources.exports.comment,
            arrangement=settings.arrangement,
            marks=marks,
            takeout=sources.takeout_filter(
                endings,
                report=labels.sidecars,
                inventory=sources.inventory() if settings.dry_run else None,
            ),
        )
        if origin is not None:
            target = None if settings.dry_run else server
            plan = origin.plan(plan, albums=albums, base=base, target=target)
        first_size = settings.chunk_size or server.offer.chunk_size
        async with open_run(
            server,
            settings,
            task="dry-run" if settings.dry_run else "upload",
            method=server.method.name,
            album=base,
            chunk_size=first_size,
            gallery=gallery,
            recovery=recovery,
            roots=roots if only is None else (),
            emit=emit,
            stop=stop,
            clock=clock,
        ) as context:
            bandwidth.begin()
            facts = await context.ledger.facts(max_age_s=CEILING_S)
            server.metadata.reads.update(_unread(facts))
            run_settings = RunSettings(
                account=account,
                method=server.method.name,
                concurrency=settings.concurrency,
                retries=settings.retries,
                patience_s=settings.patience_s,
                chunk_size=settings.chunk_size,
                ceiling=facts.get(Fact.CHUNK),
                labels=labels,
                zips=sources.zips,
                reads=server.metadata.reads,
                limit=bandwidth,
                stated=stated,
            )
            async with open_executor(
                executor_factory,
                run_settings,
                converts=bool(convert),
                sends=not settings.dry_run,
                recovery=recovery,
                emit=context.emit,
                stop=stop,
            ) as executor:
                if settings.dry_run:
                    await dry_run.run(plan, context, albums=albums, executor=executor)
                    return
                chunk_size = ChunkSize(
                    server.offer.chunk_size,
                    user_size=settings.chunk_size,
                    ceiling=run_settings.ceiling,
                    grows=server.method.name != "legacy",
                )
                if chunk_size.now != first_size:
                    context.emit(ChunkSizeChanged(chunk_size=chunk_size.now))
                await albums.remember(context.ledger)
                await pipeline.run(
                    plan,
                    context,
                    sender=server,
                    worker_counter=server.worker_counter,
                    albums=albums,
                    chunk_size=chunk_size,
                    executor=executor,
                    remarks=server.metadata.remarks,
                )


def _unread(facts: Mapping[Fact, int]) -> dict[str, bool]:
    """Return the kinds of IPTC texts that the gallery does not read itself, as False.

    Where an earlier run found that it does, the first photos show whether that is still true:
    otherwise, these texts would be lost.
    """
    return {kind: False for kind, fact in IPTC_FACTS.items() if facts.get(fact) == 0}


class Bandwidth:
    """The bandwidth limit in bytes a second, by the time of day; emits changes during a run."""

    def __init__(self, timetable: Timetable, emit: Emit) -> None:
        self._timetable = timetable
        self._emit = emit
        self._begun = False
        self._emitted: int | None = None

    def begin(self) -> None:
        """Emit the present limit, if there is one, and from now on each change."""
        self._begun = True
        self()

    def __call__(self) -> int | None:
        """Return the present limit."""
        limit = self._timetable.limit(local_time)
        if self._begun and limit != self._emitted:
            self._emitted = limit
            self._emit(BandwidthChanged(limit=limit))
        return limit


def open_disposal(
    after: After | None, roots: Sequence[Path], filters: Filters, zips: Sequence[Path] = ()
) -> Mover | Trash | None:
    """Return what disposes of uploaded files, None to leave them.

    `zips` are the archives among the roots. Raises `UsageError`.
    """
    if after is None:
        return None
    if zips:
        raise UsageError(
            f"--after can't move photos out of a zip archive: {zips[0]}",
            hint="Leave out --after, and delete the archive once bulkup verify finds all photos.",
        )
    return Trash() if after == "trash" else Mover(after, roots=roots, filters=filters)
