"""The `refresh` use case: update the metadata of photos in the gallery."""

from collections.abc import Sequence
from pathlib import Path

from bulkup.app.executor import accepted_endings, check_convert
from bulkup.app.gallery import base_album, open_gallery, open_run
from bulkup.app.settings import Account, RefreshSettings
from bulkup.app.sources import open_sources
from bulkup.engine import refresh
from bulkup.engine.albums import ROOT, Albums
from bulkup.engine.context import Stop
from bulkup.engine.executor import ConvertingExecutor, LocalExecutor
from bulkup.errors import RunError
from bulkup.errors import run as run_failures
from bulkup.events import Emit
from bulkup.source.cells import TableFile
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.metadata import Labels

NO_LABELS = Labels()


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
) -> None:
    """Bring the metadata of photos in the gallery to what their sources say, without sending them.

    `labels` and `table` as for `upload_photos`. Raises `UsageError` where a path does not exist
    and `RunError` where the run is impossible.
    """
    await check_convert(converts=settings.convert, executor_factory=None)
    sources = await open_sources(paths, filters=filters, labels=labels, table=table, stop=stop)
    emit = sources.matching(emit, stop=stop)
    async with open_gallery(
        account,
        settings,
        describe=sources.describer(emit, sources.stated()),
        emit=emit,
    ) as (server, recovery):
        if not server.refresher.offered:
            raise RunError(run_failures.NO_REFRESH())
        sources.check_levels(settings.level, server)
        base = ROOT
        if settings.into:
            albums = Albums(server, recovery=recovery, emit=emit)
            base = await base_album(settings.into, albums, missing=run_failures.NO_ALBUM_NAMED)
        endings, convert = accepted_endings(server.offer, converts=settings.convert)
        plan = refresh.Plan(
            roots=sources.roots,
            filters=filters,
            album=base,
            level=settings.level,
            overwrite=settings.overwrite,
            dry_run=settings.dry_run,
            concurrency=settings.concurrency,
            endings=endings,
            convert=convert,
            takeout=sources.takeout_filter(endings),
        )
        async with open_run(
            server,
            settings,
            task="refresh-dry-run" if settings.dry_run else "refresh",
            method="setInfo",
            album=base,
            gallery=server,
            recovery=recovery,
            roots=sources.roots,
            emit=emit,
            stop=stop,
        ) as context:
            await refresh.run(
                plan,
                context,
                refresher=server.refresher,
                executor=ConvertingExecutor(None) if convert else LocalExecutor(),
                remarks=server.metadata.remarks,
            )
