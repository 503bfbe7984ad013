"""The commands that read photos: `upload`, the default, `verify`, `refresh` and `watch`."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bulkup.cli.command import command
from bulkup.cli.common import Exit, Paths, filters_for, prepare, run_task, silenced
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import ClusterFlags, GalleryFlags, LabelFlags, RetryFlags, VerifyTableFlags
from bulkup.cli.help import COMMANDS
from bulkup.cli.output_flags import OutputFlags
from bulkup.cli.upload_flags import (
    AfterFlags,
    AlbumFlags,
    RefreshFlags,
    UploadFlags,
    VerifyAlbumFlags,
    VerifyFlags,
    WatchFlags,
)
from bulkup.errors import UsageError


@command
def upload(
    *paths: Paths,
    gallery: GalleryFlags = GalleryFlags(),
    albums: AlbumFlags = AlbumFlags(),
    upload: UploadFlags = UploadFlags(),
    selection: FilterFlags = FilterFlags(),
    text: LabelFlags = LabelFlags(),
    after: AfterFlags = AfterFlags(),
    cluster: ClusterFlags = ClusterFlags(),
    output: OutputFlags = OutputFlags(),
    retry: RetryFlags = RetryFlags(),
) -> int:
    """Upload photos."""
    options = output.options()
    filters = filters_for(paths, selection)
    settings = upload.settings(albums, retry, after)
    labels, table = text.labels(), text.table()
    executor_factory = cluster.executor_factory()
    roots, account = prepare(paths, gallery, filters)

    from bulkup.app.upload import upload_photos

    task = partial(
        upload_photos,
        roots,
        account=account,
        settings=settings,
        filters=filters,
        labels=labels,
        table=table,
        executor_factory=executor_factory,
    )
    return run_task(task, options)


@command
def verify(
    *paths: Paths,
    gallery: GalleryFlags = GalleryFlags(),
    albums: VerifyAlbumFlags = VerifyAlbumFlags(),
    verification: VerifyFlags = VerifyFlags(),
    selection: FilterFlags = FilterFlags(),
    text: VerifyTableFlags = VerifyTableFlags(),
    cluster: ClusterFlags = ClusterFlags(),
    output: OutputFlags = OutputFlags(),
    retry: RetryFlags = RetryFlags(),
) -> int:
    """Compare photos with the gallery."""
    options = output.options()
    filters = filters_for(paths, selection)
    settings = verification.settings(albums, retry, text)
    table = text.table()
    executor_factory = cluster.executor_factory()
    roots, account = prepare(paths, gallery, filters)

    from bulkup.app.verify import verify_photos

    task = partial(
        verify_photos,
        roots,
        account=account,
        settings=settings,
        filters=filters,
        table=table,
        executor_factory=executor_factory,
    )
    return run_task(task, options)


@command
def refresh(
    *paths: Paths,
    gallery: GalleryFlags = GalleryFlags(),
    refreshing: RefreshFlags = RefreshFlags(),
    selection: FilterFlags = FilterFlags(),
    text: LabelFlags = LabelFlags(),
    output: OutputFlags = OutputFlags(),
    retry: RetryFlags = RetryFlags(),
) -> int:
    """Update the metadata of photos in the gallery."""
    options = output.options()
    filters = filters_for(paths, selection)
    settings = refreshing.settings(retry)
    labels, table = text.labels(), text.table()
    roots, account = prepare(paths, gallery, filters)

    from bulkup.app.refresh import refresh_photos

    task = partial(
        refresh_photos,
        roots,
        account=account,
        settings=settings,
        filters=filters,
        labels=labels,
        table=table,
    )
    return run_task(task, options)


@command
def watch(
    *folders: Annotated[Path, Parameter(help="Folders to watch.")],
    gallery: GalleryFlags = GalleryFlags(),
    albums: AlbumFlags = AlbumFlags(),
    watching: WatchFlags = WatchFlags(),
    upload: UploadFlags = UploadFlags(),
    selection: FilterFlags = FilterFlags(),
    text: LabelFlags = LabelFlags(),
    after: AfterFlags = AfterFlags(),
    output: OutputFlags = OutputFlags(),
    retry: RetryFlags = RetryFlags(),
) -> int:
    """Upload photos as they arrive."""
    if not folders:
        raise UsageError(
            "no folders given",
            hint="Give at least one: bulkup watch ./inbox --album N. See bulkup watch --help.",
        )
    filters = selection.filters()
    options = output.options()
    settings = upload.settings(albums, retry, after)
    labels, table = text.labels(), text.table()
    settle_s = watching.settle_s
    for flag, given in (
        ("--report", options.report),
        ("--dry-run", settings.dry_run),
        ("--files-from", filters.listing),
    ):
        if given:
            raise UsageError(
                f"{flag} does not work with bulkup watch", hint=COMMANDS["watch"].unusable[flag]
            )
    roots, account = prepare(folders, gallery, filters)

    from bulkup.app.upload import open_disposal, upload_photos
    from bulkup.app.watch import watch_folders

    open_disposal(settings.after, roots, filters)  # report errors before the first file arrives
    upload_batch = partial(
        upload_photos,
        roots,
        account=account,
        settings=settings,
        filters=filters,
        labels=labels,
        table=table,
    )
    with silenced(options):
        too_many_failed = watch_folders(
            roots,
            upload_batch,
            filters=filters,
            formats=settings.raw_as_format,
            settle_s=settle_s,
            poll=watching.poll,
            options=options,
        )
    return Exit.SOME_FAILED if too_many_failed else Exit.INTERRUPTED
