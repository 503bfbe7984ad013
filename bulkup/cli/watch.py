"""The `watch` command."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bulkup.cli.common import (
    AndThen,
    Exit,
    ForLabels,
    ForSelecting,
    ForSending,
    IntoAlbums,
    OfTrouble,
    OnGallery,
    OnTelling,
    prepare,
    silenced,
)
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import GalleryFlags, LabelFlags, RetryFlags
from bulkup.cli.output_flags import OutputFlags
from bulkup.cli.upload_flags import AfterFlags, AlbumFlags, UploadFlags, WatchFlags
from bulkup.errors import UsageError

OnArrival = Annotated[WatchFlags, Parameter(name="*")]


def watch(
    *folders: Annotated[Path, Parameter(help="Folders to watch.", negative="")],
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
    albums: IntoAlbums = AlbumFlags(),  # noqa: B008 (frozen)
    watching: OnArrival = WatchFlags(),  # noqa: B008 (frozen)
    sending: ForSending = UploadFlags(),  # noqa: B008 (frozen)
    selecting: ForSelecting = FilterFlags(),  # noqa: B008 (frozen)
    naming: ForLabels = LabelFlags(),  # noqa: B008 (frozen)
    afterwards: AndThen = AfterFlags(),  # noqa: B008 (frozen)
    telling: OnTelling = OutputFlags(),  # noqa: B008 (frozen)
    trouble: OfTrouble = RetryFlags(),  # noqa: B008 (frozen)
) -> int:
    """Bring what lies in folders, and from then on what arrives there, until Ctrl-C.

    A file is brought once it has been still for a while. What arrives together is one run, as
    by `bulkup upload`; what arrives meanwhile waits for the next. A server that is away is
    waited for.

    Exit codes: 130 ended by Ctrl-C or SIGTERM, its usual end, 1 ended by --max-errors, 2 wrong
    usage, 3 watching is impossible.
    """
    if not folders:
        raise UsageError(
            "folders are missing",
            hint="Name some: bulkup watch ./inbox --album N. bulkup watch --help tells more.",
        )
    filters = selecting.filters()
    told = telling.telling()
    if told.report is not None:
        raise UsageError(
            "watch has no end, and --report tells of a whole run",
            hint="--log-file FILE.jsonl keeps what happens, run after run.",
        )
    values = replace(sending.sending(albums, trouble), after=afterwards.where())
    labels = naming.labels()
    settle_s = watching.settle_s
    if values.dry_run:
        raise UsageError(
            "watch brings what arrives, and --dry-run brings nothing",
            hint="Try it on what lies there already: bulkup upload --dry-run.",
        )
    if filters.listing is not None:
        raise UsageError(
            "watch looks at folders, and --files-from names files",
            hint="Choose from folders by --include and --exclude.",
        )
    roots, account = prepare(folders, gallery, filters)

    from bulkup.app.upload import migrate, open_disposal  # noqa: PLC0415 (heavy)
    from bulkup.app.watch import attend  # noqa: PLC0415 (heavy)

    open_disposal(values.after, roots, filters)  # raises before anything arrives
    bring = partial(
        migrate, roots, account=account, sending=values, filters=filters, labels=labels
    )
    with silenced(told):
        too_many_failed = attend(
            roots,
            bring,
            filters=filters,
            formats=values.raw_as_format,
            settle_s=settle_s,
            poll=watching.poll,
            telling=told,
        )
    return Exit.SOME_FAILED if too_many_failed else Exit.INTERRUPTED
