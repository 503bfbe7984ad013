"""The `verify` use case: compare photos with the gallery."""

from collections.abc import Sequence
from pathlib import Path

from bulkup.app.executor import (
    ExecutorFactory,
    RunSettings,
    accepted_endings,
    check_convert,
    open_executor,
)
from bulkup.app.gallery import base_album, open_access, open_gallery, open_run
from bulkup.app.settings import Account, VerifySettings
from bulkup.app.sources import open_sources
from bulkup.engine import verify
from bulkup.engine.albums import ROOT, AlbumResolver, Albums
from bulkup.engine.context import Stop
from bulkup.errors import run as run_failures
from bulkup.events import Emit
from bulkup.source.cells import TableFile
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.metadata import Labels


async def verify_photos(
    paths: Sequence[Path],
    *,
    account: Account,
    settings: VerifySettings,
    filters: Filters = EVERYTHING,
    table: TableFile | None = None,
    emit: Emit,
    stop: Stop,
    executor_factory: ExecutorFactory | None = None,
) -> None:
    """Verify the photos below the paths against the gallery.

    `table` has further albums of the photos, and their positions. `executor_factory` opens the
    executor that reads on other machines, None uses this one. Raises `UsageError` where a path
    does not exist and `RunError` where the run is impossible.
    """
    await check_convert(converts=settings.convert, executor_factory=executor_factory)
    labels = Labels(sidecars=settings.sidecars)
    sources = await open_sources(paths, filters=filters, labels=labels, table=table, stop=stop)
    emit = sources.matching(emit, stop=stop)
    marks = sources.marks(settings.arrangement)
    async with open_gallery(
        account,
        settings,
        describe=sources.describer(emit, sources.stated()) if settings.positions else None,
        emit=emit,
    ) as (server, recovery):
        access = await open_access(settings.share_with, server, recovery, gives=False)
        album_resolver, base = None, ROOT
        if into := settings.into:
            albums = Albums(server, recovery=recovery, emit=emit)
            base = await base_album(into, albums, missing=run_failures.NO_ALBUM_NAMED)
            album_resolver = AlbumResolver(
                sources.folder_albums(into, base),
                albums,
                emit=emit,
                make=False,
                titles=sources.titles(),
                further=sources.further(into, emit=emit),
            )
        async with open_run(
            server,
            settings,
            task="verify",
            method="exist" if settings.quick else "checkFiles",
            album=base,
            gallery=server,
            recovery=recovery,
            roots=sources.roots,
            emit=emit,
            stop=stop,
        ) as context:
            endings, convert = accepted_endings(server.offer, converts=settings.convert)
            plan = verify.Plan(
                roots=sources.roots,
                filters=filters,
                concurrency=settings.concurrency,
                quick=settings.quick,
                private=settings.private,
                access=access,
                endings=endings,
                convert=convert,
                takeout=sources.takeout_filter(endings),
                repeat_links=settings.into is not None and settings.into.tree,
                lacks_position=server.lacks_position if settings.positions else None,
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
            async with open_executor(
                executor_factory,
                run_settings,
                converts=bool(convert),
                sends=False,
                recovery=recovery,
                emit=context.emit,
                stop=stop,
            ) as executor:
                await verify.run(plan, context, album_resolver=album_resolver, executor=executor)
