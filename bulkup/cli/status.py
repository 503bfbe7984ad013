"""The `status` command: past runs, from the ledger alone."""

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from cyclopts import Parameter

from bulkup.app.settings import default_ledger
from bulkup.cli.common import Exit
from bulkup.cli.flags import ProfileFlags, flag, group
from bulkup.errors import UsageError

if TYPE_CHECKING:
    from bulkup.store.run_history import OpenFailure, Wanted

STATUS = group("Status")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFlags(ProfileFlags):
    """What to tell, and how."""

    ledger: Annotated[
        Path | None,
        flag(
            "The ledger; by default the one in the platform's folder for state.",
            group=STATUS,
            variable="BULKUP_LEDGER",
            metavar="FILE",
        ),
    ] = None
    url: Annotated[
        str | None, flag("Tell only of this gallery.", group=STATUS, variable="BULKUP_URL")
    ] = None
    album: Annotated[
        str | None,
        flag(
            "Tell only of this album: its number, or its name.",
            group=STATUS,
            short="-a",
            variable="BULKUP_ALBUM",
        ),
    ] = None
    failed: Annotated[
        bool,
        flag(
            "Print the paths that have failed and were not mended since, a line each.",
            group=STATUS,
            variable="BULKUP_FAILED",
        ),
    ] = False
    print0: Annotated[
        bool,
        flag(
            "With --failed: end each path with a NUL instead, for names that hold line ends.",
            group=STATUS,
            short="-0",
            variable="BULKUP_PRINT0",
        ),
    ] = False
    json: Annotated[
        bool,
        flag(
            "Print one JSON document; with --failed, one JSON object a line.",
            group=STATUS,
            variable="BULKUP_JSON",
        ),
    ] = False

    def wanted(self) -> "Wanted":
        """Return the part that is wanted. Raises `UsageError`."""
        from bulkup.store.run_history import Wanted  # noqa: PLC0415 (heavy)

        url, album = self.url, (self.album or "").strip()
        if self.print0 and not self.failed:
            raise UsageError("--print0 is about --failed", hint="Give both.")
        if self.print0 and self.json:
            raise UsageError("--print0 and --json contradict each other", hint="Give one of them.")
        if url is not None:
            from bulkup.piwigo.connect import clean_url  # noqa: PLC0415 (heavy)

            url = clean_url(url)
        return Wanted(url, int(album) if album.isdecimal() else album or None)


def status(
    *,
    told: Annotated[StatusFlags, Parameter(name="*")] = StatusFlags(),
) -> int:
    """Tell of past runs by the ledger alone: no gallery is asked, and none need be there.

    For each gallery and album: what has been brought, the last run of each kind, and which
    failures are open, with their reasons and what to do. A failure is open until the file is
    brought, or gone.

    `bulkup status --failed -0 | bulkup --files-from - --album N` tries again just what failed.

    Exit codes: 0 it was told, also where failures are open, 2 wrong usage or no ledger, 3 the
    ledger can't be read.
    """
    wanted = told.wanted()
    file = told.ledger or default_ledger()

    from bulkup.output.listings import past_document, print_past  # noqa: PLC0415 (heavy)
    from bulkup.store.run_history import open_history  # noqa: PLC0415 (heavy)

    with open_history(file) as lookback:
        if told.failed:
            print_failures(lookback.failures(wanted), told, sys.stdout)
            return Exit.DONE
        galleries = lookback.galleries(wanted)
    if told.json:
        document = past_document(galleries, ledger=file.absolute())
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        print_past(galleries, sys.stdout, now=time.time())
    return Exit.DONE


def print_failures(failures: Iterable["OpenFailure"], told: StatusFlags, stream: TextIO) -> None:
    """Write what is open: as JSON, or the paths as they are, each once for its gallery.

    On a terminal what could steer it is escaped.
    """
    from bulkup.output.listings import failure_line  # noqa: PLC0415 (heavy)
    from bulkup.output.text import printable  # noqa: PLC0415 (heavy)

    end = b"\0" if told.print0 else b"\n"
    last = None
    for failure in failures:
        if told.json:
            stream.write(json.dumps(failure_line(failure)) + "\n")
        elif (failure.url, failure.path) != last:
            last = failure.url, failure.path
            if stream.isatty() and not told.print0:
                stream.write(printable(failure.path) + "\n")
            else:
                stream.buffer.write(os.fsencode(failure.path) + end)
    stream.flush()
