"""The `albums`, `doctor` and `status` commands.

`status` shows past runs from the ledger alone.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from cyclopts import Parameter

from bulkup.app.settings import default_ledger
from bulkup.cli.command import command
from bulkup.cli.common import Exit, account_of, prepare, print_cautions, print_error
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import GalleryFlags, ProfileFlags, flag, flags
from bulkup.cli.upload_flags import DoctorFlags
from bulkup.errors import UsageError
from bulkup.output.text import printable

if TYPE_CHECKING:
    from bulkup.store.run_history import HistoryFilter, OpenFailure


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
    *paths: Annotated[Path, Parameter(help="Folders, photos and zip archives to count.")],
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


@flags("Status")
@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFlags:
    """What is shown, and how."""

    ledger: Annotated[
        Path | None,
        flag("Ledger file. Default: in the platform's state folder.", metavar="FILE"),
    ] = None
    url: Annotated[str | None, flag("Show only this gallery.")] = None
    album: Annotated[str | None, flag("Show only this album, by number or name.", short="-a")] = (
        None
    )
    failed: Annotated[
        bool, flag("Print the paths of open failures, one per line, and nothing else.")
    ] = False
    print0: Annotated[
        bool,
        flag("With --failed: end paths with NUL, for names with line breaks.", short="-0"),
    ] = False
    json: Annotated[
        bool, flag("Print one JSON document; with --failed, one JSON object per line.")
    ] = False

    def wanted(self) -> "HistoryFilter":
        """Return the part of the history to show. Raises `UsageError`."""
        url, album = self.url, (self.album or "").strip()
        if self.print0 and not self.failed:
            raise UsageError("--print0 requires --failed", hint="Give both.")
        if self.print0 and self.json:
            raise UsageError("--print0 and --json exclude each other", hint="Give one of them.")
        if url is not None:
            from bulkup.piwigo.connect import clean_url

            url = clean_url(url)
        from bulkup.store.run_history import HistoryFilter

        return HistoryFilter(url, int(album) if album.isdecimal() else album or None)


@command
def status(
    *,
    profile: ProfileFlags = ProfileFlags(),  # its settings are filled in by `ConfigLayers`
    options: StatusFlags = StatusFlags(),
) -> int:
    """Show past runs."""
    del profile
    wanted = options.wanted()
    file = options.ledger or default_ledger()

    from bulkup.output.listings import past_document, print_past
    from bulkup.store.run_history import open_history

    with open_history(file) as history:
        if options.failed:
            print_failures(history.failures(wanted), options, sys.stdout)
            return Exit.DONE
        galleries = history.galleries(wanted)
    if options.json:
        document = past_document(galleries, ledger=file.absolute())
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        print_past(galleries, sys.stdout, now=time.time())
    return Exit.DONE


def print_failures(
    failures: "Iterable[OpenFailure]", options: StatusFlags, stream: TextIO
) -> None:
    """Write open failures as JSON lines, or each path once per gallery.

    Paths are written as raw bytes; on a terminal, control characters are escaped.
    """
    from bulkup.output.listings import failure_line

    end = b"\0" if options.print0 else b"\n"
    last = None
    for failure in failures:
        if options.json:
            stream.write(json.dumps(failure_line(failure)) + "\n")
        elif (failure.url, failure.path) != last:
            last = failure.url, failure.path
            if stream.isatty() and not options.print0:
                stream.write(printable(failure.path) + "\n")
            else:
                stream.buffer.write(os.fsencode(failure.path) + end)
    stream.flush()
