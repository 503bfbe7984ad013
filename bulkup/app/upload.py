"""The `upload` and `verify` use cases: build every object of a run and hand over to the engine."""

from collections.abc import Callable, Sequence
from pathlib import Path

from anyio import to_thread

from bulkup.app.executor import ExecutorFactory, RunSettings, open_executor
from bulkup.app.gallery import name_of, open_gallery, open_run, run_started
from bulkup.app.settings import (
    Account,
    After,
    AlbumTarget,
    Timetable,
    UploadSettings,
    VerifySettings,
    local_time,
)
from bulkup.engine import dry_run, pipeline, verify
from bulkup.engine.albums import ROOT, AlbumResolver, Albums, FolderAlbums
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.dispose import Place
from bulkup.engine.dry_run import FIRST_PLANNED, DryRunGallery
from bulkup.engine.ports import Fact, Stop
from bulkup.engine.retry import Sleep
from bulkup.errors import FailureKind, NoSuchAlbum, PhotoError, RunError
from bulkup.errors import run as run_failures
from bulkup.events import BandwidthChanged, ChunkSizeChanged, Emit
from bulkup.piwigo.throttle import Throttle
from bulkup.source.disposal import Mover, Trash
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.metadata import Labels
from bulkup.source.scan import Found, check_roots
from bulkup.source.sidecars import Describer, with_remarks
from bulkup.source.takeout import takeout_album

NO_LABELS = Labels()
CEILING_S = 30 * 86400.0
"""A larger chunk than once passed is tried again after so long: servers are set up anew."""


async def migrate(
    paths: Sequence[Path],
    *,
    account: Account,
    sending: UploadSettings,
    filters: Filters = EVERYTHING,
    labels: Labels = NO_LABELS,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float],
    sleep: Sleep,
    only: Callable[[Found], bool] | None = None,
    executor_factory: ExecutorFactory | None = None,
) -> None:
    """Bring the chosen photos below the paths to the gallery, event by event.

    `only` tells which files of the walk to take, None: all. `executor_factory` has other machines
    read and send the photos, None: this one does. Raises `UsageError` where a path is
    not there and `RunError` where the run is impossible.
    """
    roots = await to_thread.run_sync(check_roots, paths, filters)
    away = await to_thread.run_sync(place_for, sending.after, roots, filters)
    bandwidth = Bandwidth(sending.bwlimit, emit)
    async with open_gallery(
        account,
        sending,
        method=sending.method,
        throttle=Throttle(bandwidth, clock=clock, sleep=sleep),
        describe=Describer(labels, emit=emit) if labels else None,
        connections=0
        if executor_factory is None
        else pipeline.MOST_FINISHING,  # to prove workers for all
        emit=emit,
        clock=clock,
        sleep=sleep,
    ) as (server, recovery):
        dry_gallery = DryRunGallery(server) if sending.dry_run else None
        gallery = dry_gallery or server
        albums = Albums(gallery, recovery=recovery, emit=emit, private=sending.into.private)
        base = await _base(sending.into, albums)
        started = run_started(
            server.offer,
            sending,
            album=base if ROOT < base < FIRST_PLANNED else None,
            album_name=await name_of(base, gallery, recovery),
            task="dry-run" if sending.dry_run else "upload",
            method=server.method.name,
            chunk_size=sending.chunk_size or server.offer.chunk_size,
        )
        plan = pipeline.Plan(
            roots=roots,
            filters=filters,
            folder_albums=_placing(sending.into, roots, base),
            level=sending.level,
            concurrency=sending.concurrency,
            finishing=sending.finishing,
            endings=server.offer.endings,
            update=sending.update,
            formats=sending.raw_as_format,
            away=away,
            only=only,
            titles=takeout_album if labels.sidecars else None,
        )
        async with open_run(
            started,
            sending,
            emit,
            roots=roots if only is None else (),
            interrupted=lambda: stop.wanted,
            clock=clock,
        ) as (ledger, tell):
            bandwidth.begin()
            facts = await ledger.facts(max_age_s=CEILING_S)
            run_settings = RunSettings(
                account=account,
                sending=sending,
                labels=labels,
                method=server.method.name,
                limit=bandwidth,
                ceiling=facts.get(Fact.CHUNK),
            )
            async with open_executor(
                executor_factory, run_settings, recovery=recovery, emit=tell, stop=stop
            ) as executor:
                if dry_gallery is not None:
                    await dry_run.run(
                        plan,
                        gallery=dry_gallery,
                        recovery=recovery,
                        ledger=ledger,
                        albums=albums,
                        emit=tell,
                        stop=stop,
                        executor=executor,
                        clock=clock,
                    )
                    return
                chunk_size = ChunkSize(
                    server.offer.chunk_size,
                    wish=sending.chunk_size,
                    ceiling=run_settings.ceiling,
                    grows=server.method.name != "legacy",
                )
                if chunk_size.now != started.chunk_size:
                    tell(ChunkSizeChanged(chunk_size=chunk_size.now))
                await pipeline.run(
                    plan,
                    server=server,
                    recovery=recovery,
                    ledger=ledger,
                    albums=albums,
                    chunk_size=chunk_size,
                    emit=with_remarks(
                        tell, lambda: [*server.captions.remarks(), *executor.remarks()]
                    ),
                    stop=stop,
                    executor=executor,
                    clock=clock,
                )


async def compare(
    paths: Sequence[Path],
    *,
    account: Account,
    checking: VerifySettings,
    filters: Filters = EVERYTHING,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float],
    sleep: Sleep,
) -> None:
    """Check the chosen photos below the paths against the gallery, event by event.

    Raises `UsageError` where a path is not there and `RunError` where the run is impossible.
    """
    roots = await to_thread.run_sync(check_roots, paths, filters)
    async with open_gallery(account, checking, emit=emit, clock=clock, sleep=sleep) as (
        server,
        recovery,
    ):
        album_resolver, base = None, ROOT
        if into := checking.into:
            albums = Albums(server, recovery=recovery, emit=emit)
            base = await _base(into, albums, missing=run_failures.NO_ALBUM_NAMED)
            album_resolver = AlbumResolver(
                _placing(into, roots, base),
                albums,
                emit=emit,
                make=False,
                titles=takeout_album if checking.sidecars else None,
            )
        started = run_started(
            server.offer,
            checking,
            album=base or None,
            album_name=await name_of(base, server, recovery),
            task="verify",
            method="exist" if checking.quick else "checkFiles",
        )
        async with open_run(
            started,
            checking,
            emit,
            roots=roots,
            interrupted=lambda: stop.wanted,
            clock=clock,
        ) as (ledger, tell):
            await verify.run(
                verify.Plan(
                    roots=roots,
                    filters=filters,
                    concurrency=checking.concurrency,
                    quick=checking.quick,
                    endings=server.offer.endings,
                ),
                server=server,
                recovery=recovery,
                ledger=ledger,
                album_resolver=album_resolver,
                emit=tell,
                stop=stop,
                clock=clock,
            )


class Bandwidth:
    """The limit of what goes out, as it is asked for; once the run has begun, changes are told."""

    def __init__(self, timetable: Timetable, emit: Emit) -> None:
        self._timetable = timetable
        self._emit = emit
        self._begun = False
        self._told: int | None = None

    def begin(self) -> None:
        """Tell the limit that there is, if there is one, and each one that follows."""
        self._begun = True
        self()

    def __call__(self) -> int | None:
        """Return the limit that holds now, in bytes a second."""
        limit = self._timetable.limit(local_time)
        if self._begun and limit != self._told:
            self._told = limit
            self._emit(BandwidthChanged(limit=limit))
        return limit


def place_for(after: After | None, roots: Sequence[Path], filters: Filters) -> Place | None:
    """Return where files are put in the end, None: nowhere. Raises `UsageError`."""
    if after is None:
        return None
    return Trash() if after == "trash" else Mover(after, roots=roots, filters=filters)


def _placing(into: AlbumTarget, roots: Sequence[Path], base: int) -> FolderAlbums:
    """Return which folders are albums."""
    return FolderAlbums(
        roots=roots, base=base, tree=into.tree, unwrap=into.unwrap, spaces=into.spaces
    )


async def _base(into: AlbumTarget, albums: Albums, *, missing: FailureKind | None = None) -> int:
    """Return the number of the album that is meant, `ROOT` for the gallery's top.

    Raises `RunError` where there is none, of the kind `missing` if none has that name.
    """
    if into.album is not None:
        return into.album
    try:
        return await albums.find(into.names, make=into.create)
    except NoSuchAlbum as error:
        raise RunError(missing(reason=error.message) if missing else error.failure) from None
    except PhotoError as error:
        raise RunError(error.failure) from None
