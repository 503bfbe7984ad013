"""The `upload`, `verify` and `refresh` use cases: build the objects of a run, start the engine."""

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from anyio import to_thread

from bulkup.app.executor import (
    ExecutorFactory,
    RunSettings,
    nothing_stated,
    open_executor,
)
from bulkup.app.gallery import RunOptions, album_name, open_gallery, open_run
from bulkup.app.settings import (
    Account,
    After,
    AlbumTarget,
    RefreshSettings,
    Timetable,
    UploadSettings,
    VerifySettings,
    local_time,
)
from bulkup.app.stated import Matching, open_table, stated_by
from bulkup.engine import dry_run, pipeline, refresh, verify
from bulkup.engine.albums import ROOT, AlbumResolver, Albums, FolderAlbums, FurtherAlbums, Titles
from bulkup.engine.arrangement import Arrangement, Marks
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.convert import PROCESSES, open_converter
from bulkup.engine.dry_run import FIRST_PLANNED, DryRunGallery
from bulkup.engine.executor import LocalExecutor
from bulkup.engine.ports import IPTC_FACTS, Fact, GalleryWriter, Stop
from bulkup.engine.retry import Recovery, Sleep
from bulkup.errors import (
    FailureKind,
    NoSuchAlbum,
    NotOffered,
    PhotoError,
    RunError,
    ServerUnavailable,
    Transient,
    UsageError,
)
from bulkup.errors import run as run_failures
from bulkup.events import BandwidthChanged, ChunkSizeChanged, Emit, RunStarted, SkipReason
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.multipart import Throttle
from bulkup.piwigo.protocol import Offer
from bulkup.source.cells import TableFile
from bulkup.source.convert import CONVERTIBLE, check_converter
from bulkup.source.disposal import Mover, Trash
from bulkup.source.exports.readers import ExportAlbums, Exports
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.inventory import Inventory
from bulkup.source.metadata import Labels, Metadata
from bulkup.source.scan import Found, check_roots
from bulkup.source.sidecars import Describer, TagAlbums
from bulkup.source.table import Table
from bulkup.source.takeout.filter import TakeoutFilter
from bulkup.source.takeout.sidecars import TakeoutAlbums, find_takeouts
from bulkup.source.zips import only_zips

Takeouts = Mapping[Path, Sequence[str]]

NO_LABELS = Labels()
ANY_ALBUM = 1


class Origin(Protocol):
    """Where photos come from that are not files in folders here."""

    def walk(self, endings: Collection[str] | None) -> AsyncGenerator[Sequence[Found], None]:
        """Yield the photos, in batches; those of other endings are skipped, None accepts all."""

    def md5_of(self, path: Path) -> str | None:
        """Return the MD5 of a photo, None if it has to be read."""

    def metadata(self, path: Path) -> Metadata | None:
        """Return the metadata of a photo."""

    def folder_albums(self, base: int) -> FolderAlbums:
        """Return which album below `base` each photo is in, and `further` the other ones."""

    def further(self, path: Path) -> Iterable[Sequence[str]]:
        """Return the albums in which a photo is besides the first one."""


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
    clock: Callable[[], float],
    sleep: Sleep,
    only: Callable[[Found], bool] | None = None,
    executor_factory: ExecutorFactory | None = None,
    origin: Origin | None = None,
) -> None:
    """Upload the photos below the paths, or plan to (`settings.dry_run`).

    `table` has metadata of photos. `only` selects among the files found, None takes all.
    `executor_factory` opens the executor that reads and uploads on other machines, None uses this
    one. An `origin` has the photos in place of the paths. Raises `UsageError` where a path does
    not exist and `RunError` where the run is impossible.
    """
    await _check_convert(settings, executor_factory)
    roots = await to_thread.run_sync(check_roots, paths, filters)
    zip_roots = await to_thread.run_sync(only_zips, roots)
    takeouts = await to_thread.run_sync(find_takeouts, roots)
    disposal = await to_thread.run_sync(open_disposal, settings.after, roots, filters)
    opened = None
    if table is not None:
        opened = await open_table(table, roots=roots, filters=filters, stop=stop)
    marks = _marks(settings.arrangement, opened)
    if opened is not None:
        emit = Matching(
            opened, emit, complete=only is None, stop=stop, formats=settings.raw_as_format
        ).emit
    folders = None
    if labels.folder_as_tag:
        folders = _folder_tags(settings.into, roots, zip_roots, takeouts)
    stated = origin.metadata if origin else stated_by(opened, folders)
    exports = Exports(parts=zip_roots)
    bandwidth = Bandwidth(settings.bwlimit, emit)
    async with open_gallery(
        account,
        settings,
        method=settings.method,
        throttle=Throttle(bandwidth, clock=clock, sleep=sleep),
        describe=Describer(
            labels,
            emit=emit,
            parts=zip_roots,
            exports=exports,
            stated=stated or nothing_stated,
        )
        if labels or stated
        else None,
        # on a cluster this machine proves workers for all others
        connections=0 if executor_factory is None else pipeline.MOST_FINISHING,
        emit=emit,
        clock=clock,
        sleep=sleep,
    ) as (server, recovery):
        if server.community and (settings.level or (opened and opened.has_levels)):
            raise RunError(run_failures.NO_LEVEL())
        gallery = DryRunGallery(server) if settings.dry_run else server
        share = await _share(settings.into.share_with, server, recovery)
        albums = Albums(
            gallery,
            recovery=recovery,
            emit=emit,
            private=settings.into.private,
            share=None if settings.dry_run else share,
        )
        base = await _base(settings.into, albums)
        started = await _started(
            server.offer,
            settings,
            base,
            gallery=gallery,
            recovery=recovery,
            task="dry-run" if settings.dry_run else "upload",
            method=server.method.name,
            chunk_size=settings.chunk_size or server.offer.chunk_size,
        )
        convert = _converted(settings, server.offer)
        endings = _endings(server.offer, convert)
        further = _further(
            exports if labels.sidecars else None,
            opened,
            _by_tag(settings.into, zip_roots, opened, labels),
            emit=emit,
        )
        plan = pipeline.Plan(
            roots=roots,
            filters=filters,
            folder_albums=origin.folder_albums(base)
            if origin
            else _folder_albums(settings.into, roots, base, zip_roots, takeouts),
            level=settings.level,
            concurrency=settings.concurrency,
            finishing=settings.finishing,
            endings=endings,
            convert=convert,
            hashing=PROCESSES if convert else 2,
            update=settings.update,
            confirm_present=settings.confirm_present,
            formats=settings.raw_as_format,
            disposal=disposal,
            only=only,
            titles=_titles(exports, zip_roots) if labels.sidecars else None,
            further=(*further, origin.further) if origin else further,
            comment=exports.comment,
            walk=partial(origin.walk, server.offer.endings) if origin else None,
            md5_of=origin.md5_of if origin else lambda _: None,
            arrangement=settings.arrangement,
            marks=marks,
            takeout=None
            if origin
            else TakeoutFilter(
                filters.takeout_skip,
                parts=zip_roots,
                endings=endings,
                report=labels.sidecars,
                deleted=exports.is_deleted,
                inventory=_inventory(exports, labels, filters, opened)
                if settings.dry_run
                else None,
            ),
        )
        async with open_run(
            started,
            settings.ledger,
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
                zips=zip_roots,
                reads=server.metadata.reads,
                limit=bandwidth,
                stated=stated,
            )
            opened_executor = (
                open_converter(sends=not settings.dry_run)
                if convert
                else open_executor(
                    executor_factory, run_settings, recovery=recovery, emit=context.emit, stop=stop
                )
            )
            async with opened_executor as executor:
                if settings.dry_run:
                    await dry_run.run(plan, context, albums=albums, executor=executor)
                    return
                chunk_size = ChunkSize(
                    server.offer.chunk_size,
                    user_size=settings.chunk_size,
                    ceiling=run_settings.ceiling,
                    grows=server.method.name != "legacy",
                )
                if chunk_size.now != started.chunk_size:
                    context.emit(ChunkSizeChanged(chunk_size=chunk_size.now))
                await pipeline.run(
                    plan,
                    context,
                    sender=server,
                    census=server.census,
                    albums=albums,
                    chunk_size=chunk_size,
                    executor=executor,
                    remarks=server.metadata.remarks,
                )


async def _check_convert(
    settings: UploadSettings | VerifySettings, executor_factory: ExecutorFactory | None
) -> None:
    """Raise `UsageError` where photos are to be converted and can't be."""
    if settings.convert:
        if executor_factory is not None:
            raise UsageError(
                "--convert does not work with --dask: only this machine converts photos",
                hint="Leave out one of them.",
            )
        await to_thread.run_sync(check_converter)


def _converted(settings: UploadSettings | VerifySettings, offer: Offer) -> frozenset[str]:
    """Return the endings of the files that are sent as JPEG."""
    if not settings.convert or offer.endings is None:
        return frozenset()
    return CONVERTIBLE - offer.endings


def _endings(offer: Offer, convert: frozenset[str]) -> frozenset[str] | None:
    """Return the endings of the files to upload, None for all."""
    return None if offer.endings is None else offer.endings | convert


def _marks(arrangement: Arrangement, table: Table | None) -> Marks | None:
    """Return what a table says of order and covers. Raises `UsageError` if it lacks the order."""
    if arrangement.sort == "table" and (table is None or not table.has_ranks):
        raise UsageError(
            "--sort table needs a table with a column “rank”",
            hint="Give the table by --metadata FILE, and name the column rank, or yours such as "
            "--metadata-map rank=Order.",
        )
    return None if table is None else table.mark_of


def _unread(facts: Mapping[Fact, int]) -> dict[str, bool]:
    """Return the kinds of IPTC texts that the gallery does not read itself, as False.

    Where an earlier run found that it does, the first photos show whether that is still true:
    otherwise, these texts would be lost.
    """
    return {kind: False for kind, fact in IPTC_FACTS.items() if facts.get(fact) == 0}


async def verify_photos(
    paths: Sequence[Path],
    *,
    account: Account,
    settings: VerifySettings,
    filters: Filters = EVERYTHING,
    table: TableFile | None = None,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float],
    sleep: Sleep,
    executor_factory: ExecutorFactory | None = None,
) -> None:
    """Verify the photos below the paths against the gallery.

    `table` has further albums of the photos. `executor_factory` opens the executor that reads on
    other machines, None uses this one. Raises `UsageError` where a path does not exist and
    `RunError` where the run is impossible.
    """
    await _check_convert(settings, executor_factory)
    roots = await to_thread.run_sync(check_roots, paths, filters)
    zip_roots = await to_thread.run_sync(only_zips, roots)
    takeouts = await to_thread.run_sync(find_takeouts, roots)
    opened = None
    if table is not None:
        opened = await open_table(table, roots=roots, filters=filters, stop=stop)
        emit = Matching(opened, emit, complete=True, stop=stop).emit
    marks = _marks(settings.arrangement, opened)
    async with open_gallery(account, settings, emit=emit, clock=clock, sleep=sleep) as (
        server,
        recovery,
    ):
        album_resolver, base, exports = None, ROOT, Exports(parts=zip_roots)
        if into := settings.into:
            albums = Albums(server, recovery=recovery, emit=emit)
            base = await _base(into, albums, missing=run_failures.NO_ALBUM_NAMED)
            album_resolver = AlbumResolver(
                _folder_albums(into, roots, base, zip_roots, takeouts),
                albums,
                emit=emit,
                make=False,
                titles=_titles(exports, zip_roots) if settings.sidecars else None,
                further=_further(
                    exports if settings.sidecars else None,
                    opened,
                    _by_tag(into, zip_roots, opened, Labels(sidecars=settings.sidecars)),
                    emit=emit,
                ),
            )
        started = await _started(
            server.offer,
            settings,
            base,
            gallery=server,
            recovery=recovery,
            task="verify",
            method="exist" if settings.quick else "checkFiles",
        )
        async with open_run(
            started,
            settings.ledger,
            gallery=server,
            recovery=recovery,
            roots=roots,
            emit=emit,
            stop=stop,
            clock=clock,
        ) as context:
            convert = _converted(settings, server.offer)
            endings = _endings(server.offer, convert)
            plan = verify.Plan(
                roots=roots,
                filters=filters,
                concurrency=settings.concurrency,
                quick=settings.quick,
                private=settings.private,
                endings=endings,
                convert=convert,
                hashing=PROCESSES if convert else 2,
                takeout=TakeoutFilter(
                    filters.takeout_skip,
                    parts=zip_roots,
                    endings=endings,
                    report=False,
                    deleted=exports.is_deleted,
                ),
                repeat_links=settings.into is not None and settings.into.tree,
                arrangement=settings.arrangement,
                marks=marks,
            )
            run_settings = RunSettings(
                account=account,
                method=None,
                concurrency=settings.concurrency,
                retries=settings.retries,
                patience_s=settings.patience_s,
            )
            opened_executor = (
                open_converter(sends=False)
                if convert
                else open_executor(
                    executor_factory, run_settings, recovery=recovery, emit=context.emit, stop=stop
                )
            )
            async with opened_executor as executor:
                await verify.run(plan, context, album_resolver=album_resolver, executor=executor)


async def refresh_photos(
    paths: Sequence[Path],
    *,
    account: Account,
    settings: RefreshSettings,
    filters: Filters = EVERYTHING,
    labels: Labels = NO_LABELS,
    table: TableFile | None = None,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float],
    sleep: Sleep,
) -> None:
    """Bring the metadata of photos in the gallery to what their sources say, without sending them.

    `labels` and `table` as for `upload_photos`. Raises `UsageError` where a path does not exist
    and `RunError` where the run is impossible.
    """
    roots = await to_thread.run_sync(check_roots, paths, filters)
    zip_roots = await to_thread.run_sync(only_zips, roots)
    opened = None
    if table is not None:
        opened = await open_table(table, roots=roots, filters=filters, stop=stop)
        emit = Matching(opened, emit, complete=True, stop=stop).emit
    anywhere = AlbumTarget(album=ANY_ALBUM)
    folders = None
    if labels.folder_as_tag:
        takeouts = await to_thread.run_sync(find_takeouts, roots)
        folders = _folder_tags(anywhere, roots, zip_roots, takeouts)
    stated = stated_by(opened, folders) or nothing_stated
    exports = Exports(parts=zip_roots)
    async with open_gallery(
        account,
        settings,
        describe=Describer(labels, emit=emit, parts=zip_roots, exports=exports, stated=stated),
        emit=emit,
        clock=clock,
        sleep=sleep,
    ) as (server, recovery):
        if not server.refresher.offered:
            raise RunError(run_failures.NO_REFRESH())
        base = ROOT
        if settings.into:
            albums = Albums(server, recovery=recovery, emit=emit)
            base = await _base(settings.into, albums, missing=run_failures.NO_ALBUM_NAMED)
        started = await _started(
            server.offer,
            settings,
            base,
            gallery=server,
            recovery=recovery,
            task="refresh-dry-run" if settings.dry_run else "refresh",
            method="setInfo",
        )
        plan = refresh.Plan(
            roots=roots,
            filters=filters,
            album=base,
            overwrite=settings.overwrite,
            dry_run=settings.dry_run,
            concurrency=settings.concurrency,
            endings=server.offer.endings,
            takeout=TakeoutFilter(
                filters.takeout_skip,
                parts=zip_roots,
                endings=server.offer.endings,
                report=False,
                deleted=exports.is_deleted,
            ),
        )
        async with open_run(
            started,
            settings.ledger,
            gallery=server,
            recovery=recovery,
            roots=roots,
            emit=emit,
            stop=stop,
            clock=clock,
        ) as context:
            await refresh.run(
                plan,
                context,
                refresher=server.refresher,
                executor=LocalExecutor(),
                remarks=server.metadata.remarks,
            )


async def _started(
    offer: Offer,
    options: RunOptions,
    base: int,
    *,
    gallery: GalleryWriter,
    recovery: Recovery,
    task: Literal["upload", "verify", "dry-run", "refresh", "refresh-dry-run"],
    method: str,
    chunk_size: int = 0,
) -> RunStarted:
    """Return the first event of a run."""
    return RunStarted(
        url=offer.url,
        version=offer.version,
        user=offer.user,
        album=base if ROOT < base < FIRST_PLANNED else None,
        album_name=await album_name(base, gallery, recovery),
        method=method,
        concurrency=options.concurrency,
        chunk_size=chunk_size,
        task=task,
    )


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
    after: After | None, roots: Sequence[Path], filters: Filters
) -> Mover | Trash | None:
    """Return what disposes of uploaded files, None to leave them. Raises `UsageError`."""
    if after is None:
        return None
    if archives := only_zips(roots):
        raise UsageError(
            f"--after can't move photos out of a zip archive: {archives[0]}",
            hint="Leave out --after, and delete the archive once bulkup verify finds all photos.",
        )
    return Trash() if after == "trash" else Mover(after, roots=roots, filters=filters)


def _folder_albums(
    into: AlbumTarget,
    roots: Sequence[Path],
    base: int,
    zip_roots: Sequence[Path],
    takeouts: Takeouts,
) -> FolderAlbums:
    """Return which folders become albums."""
    return FolderAlbums(
        roots=roots,
        zips=frozenset(zip_roots),
        takeouts=takeouts,
        base=base,
        tree=into.tree,
        unwrap=into.unwrap,
        spaces=into.spaces,
        renames=into.renames,
        levels=into.levels,
    )


def _inventory(
    exports: Exports, labels: Labels, filters: Filters, table: Table | None
) -> Inventory:
    """Return what counts the photos of each source."""
    trashed = SkipReason.TRASHED in filters.takeout_skip
    return Inventory(
        exports=exports if labels.sidecars else None,
        table=table,
        is_left_out=exports.is_deleted if trashed else lambda _: False,
    )


def _folder_tags(
    into: AlbumTarget, roots: Sequence[Path], zip_roots: Sequence[Path], takeouts: Takeouts
) -> FolderAlbums:
    """Return which folders become tags: those below the roots, named like albums."""
    below_roots = replace(into, tree=True, unwrap=True, levels=None)
    return _folder_albums(below_roots, roots, ANY_ALBUM, zip_roots, takeouts)


def _titles(exports: Exports, zip_roots: Sequence[Path]) -> Titles:
    """Return what names folders' albums after their titles in Google Photos or Picasa."""
    albums = TakeoutAlbums(parts=zip_roots)
    return lambda folder: albums(folder) or exports.title(folder)


def _by_tag(
    into: AlbumTarget, zip_roots: Sequence[Path], table: Table | None, labels: Labels
) -> TagAlbums | None:
    """Return the source of albums by tags, None without any.

    It reads what exports say for itself: problems are for others to report.
    """
    if not into.by_tag:
        return None
    describer = Describer(
        Labels(sidecars=labels.sidecars, embedded=labels.embedded),
        emit=lambda _: None,
        parts=zip_roots,
        stated=table.metadata_of if table else nothing_stated,
    )
    return TagAlbums(into.by_tag, describer=describer)


def _further(
    exports: Exports | None, table: Table | None, by_tag: TagAlbums | None, *, emit: Emit
) -> Sequence[FurtherAlbums]:
    """Return the sources of albums besides those of folders; None is no source."""
    sources: list[FurtherAlbums] = [by_tag] if by_tag else []
    if table is not None and table.has_albums:
        sources.append(table.albums_of)
    if exports is not None:
        sources.append(ExportAlbums(exports, emit=emit))
    return sources


async def _share(
    names: Sequence[str], server: PiwigoServer, recovery: Recovery
) -> Callable[[int], Awaitable[None]] | None:
    """Return what shares an album with the groups and users of these names, None without any.

    Raises `RunError` if one does not exist, or if the account can't share albums.
    """
    if not names:
        return None
    if server.community:
        raise RunError(run_failures.SHARING_NEEDS_ADMIN())
    try:
        access = await recovery.run(lambda: server.find_access(names))
    except (NotOffered, PhotoError) as error:
        raise RunError(run_failures.NO_SHARING(reason=error.message)) from None
    except Transient as error:
        raise ServerUnavailable(run_failures.START_FAILED(reason=error.message)) from None
    return lambda album: server.share(album, access)


async def _base(into: AlbumTarget, albums: Albums, *, missing: FailureKind | None = None) -> int:
    """Return the id of the target album, `ROOT` for the gallery's top level.

    Raises `RunError` where there is none, of the kind `missing` if no album has that name.
    """
    if into.album is not None:
        return into.album
    try:
        return await albums.find(into.names, make=into.create)
    except NoSuchAlbum as error:
        raise RunError(missing(reason=error.message) if missing else error.failure) from None
    except (PhotoError, Transient) as error:
        raise RunError(error.failure) from None
