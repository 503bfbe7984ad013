"""The `upload` command, which is also the default command."""

from functools import partial

from bulkup.cli.command import command
from bulkup.cli.common import Paths, check_paths, prepare, run_task
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import ClusterFlags, GalleryFlags, LabelFlags, RetryFlags
from bulkup.cli.output_flags import OutputFlags
from bulkup.cli.upload_flags import AfterFlags, AlbumFlags, UploadFlags


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
    filters = selection.filters()
    check_paths(paths, filters)
    settings = upload.settings(albums, retry, after)
    labels = text.labels()
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
        executor_factory=executor_factory,
    )
    return run_task(task, options)
