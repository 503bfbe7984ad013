"""The flags that say what is told of a run, and where.

Knows the command line library and the settings that flags end up in.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from bulkup.errors import UsageError
from bulkup.flags import flag, group
from bulkup.settings import REPORTS, Telling

TELLING = group("Telling")


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingFlags:
    """How much is told of a run, and where."""

    verbose: Annotated[
        bool,
        flag("Name each photo.", group=TELLING, short="-v", variable="BULKUP_VERBOSE"),
    ] = False
    quiet: Annotated[
        int,
        flag(
            "Tell failures, outages and the summary only; -qq tells nothing.",
            group=TELLING,
            short="-q",
            variable="BULKUP_QUIET",
            count=True,
        ),
    ] = 0
    json: Annotated[
        bool,
        flag(
            "Print what happens on stdout, a JSON object a line, and nothing else there.",
            group=TELLING,
            variable="BULKUP_JSON",
        ),
    ] = False
    log_file: Annotated[
        Path | None,
        flag(
            "File that what happens is written to, behind what it holds, with times; JSON lines "
            "if it ends in .jsonl.",
            group=TELLING,
            variable="BULKUP_LOG_FILE",
            metavar="FILE",
        ),
    ] = None

    report: Annotated[
        Path | None,
        flag(
            "File that tells of every photo what became of it: .csv for spreadsheets, .jsonl for "
            "programs, .html a page with charts.",
            group=TELLING,
            variable="BULKUP_REPORT",
            metavar="FILE",
        ),
    ] = None

    def telling(self) -> Telling:
        """Return the checked values. Raises `UsageError`."""
        if self.report is not None and self.report.suffix.lower() not in REPORTS:
            raise UsageError(
                f"--report {self.report} has none of the endings that tell what it is to be",
                hint="Give it one of .csv, .jsonl or .html.",
            )
        if self.verbose and self.quiet:
            raise UsageError(
                "--verbose and --quiet contradict each other", hint="Give one of them."
            )
        return Telling(
            verbose=self.verbose,
            quiet=self.quiet,
            json=self.json,
            log_file=self.log_file,
            report=self.report,
        )
