"""Flags that choose the outputs of a run."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from bulkup.app.credentials import read_secret_file, read_secret_lines
from bulkup.app.settings import REPORTS
from bulkup.cli.flags import flag, flags
from bulkup.errors import UsageError
from bulkup.output.options import ListenAddress, OutputOptions, parse_listen


@flags("Output")
@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFlags:
    """What is reported about a run, and where."""

    verbose: Annotated[bool, flag("Print the name of each photo.", short="-v")] = False
    quiet: Annotated[
        int,
        flag(
            "Print only failures, outages, warnings and the summary; -qq prints nothing.",
            short="-q",
            count=True,
        ),
    ] = 0
    json: Annotated[
        bool, flag("Print events as JSON lines on stdout, and nothing else there.")
    ] = False
    log_file: Annotated[
        Path | None,
        flag(
            "File to append events to, with timestamps; JSON lines if its name ends in .jsonl.",
            metavar="FILE",
        ),
    ] = None
    monitor: Annotated[
        str | None,
        flag(
            "Serve a live status page at this address during the run, such as 127.0.0.1:8765.",
            metavar="HOST:PORT",
        ),
    ] = None
    monitor_token_file: Annotated[
        Path | None,
        flag(
            "File whose first line is the access token of the status page. Default: "
            "BULKUP_MONITOR_TOKEN.",
            metavar="FILE",
        ),
    ] = None
    max_errors: Annotated[
        int | None, flag("Start no more photos after N failures.", metavar="N")
    ] = None
    notify: Annotated[
        tuple[str, ...],
        flag(
            "Send the result of the run to this apprise URL. Repeatable. Keep URLs with secrets "
            "in a file or in the environment variable.",
            metavar="ADDRESS",
        ),
    ] = ()
    notify_file: Annotated[
        Path | None, flag("File with apprise URLs, one per line.", metavar="FILE")
    ] = None
    report: Annotated[
        Path | None,
        flag(
            "Write the result of every photo to this file: .csv for spreadsheets, .jsonl for "
            "programs, .html for a page with charts.",
            metavar="FILE",
        ),
    ] = None

    def options(self) -> OutputOptions:
        """Return the checked values. Raises `UsageError`."""
        if self.report is not None and self.report.suffix.lower() not in REPORTS:
            raise UsageError(
                f"--report {self.report} has an unknown file name extension",
                hint="Use .csv, .jsonl or .html.",
            )
        if self.verbose and self.quiet:
            raise UsageError("--verbose and --quiet exclude each other", hint="Give one of them.")
        return OutputOptions(
            verbose=self.verbose,
            quiet=self.quiet,
            json=self.json,
            log_file=self.log_file,
            report=self.report,
            listen=self._listen(),
            notify=self._addresses(),
            max_errors=self.max_errors,
        )

    def _listen(self) -> ListenAddress | None:
        if self.monitor is None:
            if self.monitor_token_file is not None:
                raise UsageError(
                    "--monitor-token-file requires --monitor",
                    hint="Give the address of the status page: --monitor 127.0.0.1:8765.",
                )
            return None
        if self.monitor_token_file is not None:
            token = read_secret_file(self.monitor_token_file, flag="--monitor-token-file")
        else:
            token = os.environ.get("BULKUP_MONITOR_TOKEN", "")
        return parse_listen(self.monitor, token=token.strip())

    def _addresses(self) -> tuple[str, ...]:
        if self.notify_file is None:
            return self.notify
        return (*self.notify, *read_secret_lines(self.notify_file, flag="--notify-file"))
