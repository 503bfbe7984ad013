"""The `albums` and `doctor` commands: a look at the gallery."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bulkup.cli.command import command
from bulkup.cli.common import Exit, account_of, prepare, print_cautions, print_error
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import GalleryFlags
from bulkup.cli.upload_flags import DoctorFlags


@command
def albums(*, gallery: GalleryFlags = GalleryFlags()) -> int:
    """Print the albums."""
    account = account_of(gallery)
    print_cautions(account)

    import anyio

    from bulkup.app.gallery import list_albums
    from bulkup.output.listings import print_tree

    print_tree(anyio.run(list_albums, account), sys.stdout)
    return Exit.DONE


@command
def doctor(
    *paths: Annotated[Path, Parameter(help="Folders and photos to count.")],
    gallery: GalleryFlags = GalleryFlags(),
    doctor: DoctorFlags = DoctorFlags(),
    selection: FilterFlags = FilterFlags(),
) -> int:
    """Check the gallery and this machine."""
    filters = selection.filters()
    settings = doctor.settings()
    roots, account = prepare(paths, gallery, filters)
    print_cautions(account)

    from bulkup.app.doctor import examine
    from bulkup.app.runner import run_doctor

    task = partial(examine, roots, account=account, settings=settings, filters=filters)
    ok = run_doctor(task, as_json=doctor.json)
    if ok is None:
        return print_error("interrupted", hint="", code=Exit.INTERRUPTED)
    return Exit.DONE if ok else Exit.SOME_FAILED
