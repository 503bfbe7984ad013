"""The `verify` command."""

from functools import partial

from bulkup.cli.command import command
from bulkup.cli.common import Paths, check_paths, prepare, run_task
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import ClusterFlags, GalleryFlags, RetryFlags
from bulkup.cli.output_flags import OutputFlags
from bulkup.cli.upload_flags import VerifyAlbumFlags, VerifyFlags


@command
def verify(
    *paths: Paths,
    gallery: GalleryFlags = GalleryFlags(),
    albums: VerifyAlbumFlags = VerifyAlbumFlags(),
    verification: VerifyFlags = VerifyFlags(),
    selection: FilterFlags = FilterFlags(),
    cluster: ClusterFlags = ClusterFlags(),
    output: OutputFlags = OutputFlags(),
    retry: RetryFlags = RetryFlags(),
) -> int:
    """Compare photos with the gallery."""
    options = output.options()
    filters = selection.filters()
    check_paths(paths, filters)
    settings = verification.settings(albums, retry)
    executor_factory = cluster.executor_factory()
    roots, account = prepare(paths, gallery, filters)

    from bulkup.app.upload import verify_photos

    task = partial(
        verify_photos,
        roots,
        account=account,
        settings=settings,
        filters=filters,
        executor_factory=executor_factory,
    )
    return run_task(task, options)
