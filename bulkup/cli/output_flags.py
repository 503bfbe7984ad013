"""The flags that choose the outputs of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from bulkup.app.credentials import environment, read_secret_file, read_secret_lines
from bulkup.app.settings import REPORTS
from bulkup.cli.flags import flag, group
from bulkup.errors import UsageError
from bulkup.output.options import Listen, OutputOptions, parse_listen

TELLING = group("Output")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFlags:
    """How much is told of a run, and where."""

    verbose: Annotated[
        bool,
        flag("Name each photo.", group=TELLING, short="-v", variable="BULKUP_VERBOSE"),
    ] = False
    quiet: Annotated[
        int,
        flag(
            "Tell failures, outages, warnings and the summary only; -qq tells nothing.",
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
    monitor: Annotated[
        str | None,
        flag(
            "Show the run as a page at this address, such as 127.0.0.1:8765, while it lasts.",
            group=TELLING,
            variable="BULKUP_MONITOR",
            metavar="HOST:PORT",
        ),
    ] = None
    monitor_token_file: Annotated[
        Path | None,
        flag(
            "File whose first line is the token that the monitor asks for; without it the "
            "variable BULKUP_MONITOR_TOKEN counts.",
            group=TELLING,
            variable="BULKUP_MONITOR_TOKEN_FILE",
            metavar="FILE",
        ),
    ] = None
    max_errors: Annotated[
        int | None,
        flag(
            "Begin no other photo when so many have failed.",
            group=TELLING,
            variable="BULKUP_MAX_ERRORS",
            metavar="N",
        ),
    ] = None
    notify: Annotated[
        tuple[str, ...],
        flag(
            "Tell this service how the run ended, by its apprise address; may be repeated. "
            "Addresses that hold secrets are better in a file, or in the variable.",
            group=TELLING,
            variable="BULKUP_NOTIFY",
            metavar="ADDRESS",
        ),
    ] = ()
    notify_file: Annotated[
        Path | None,
        flag(
            "File with such addresses, one a line.",
            group=TELLING,
            variable="BULKUP_NOTIFY_FILE",
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

    def telling(self) -> OutputOptions:
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

    def _listen(self) -> Listen | None:
        if self.monitor is None:
            if self.monitor_token_file is not None:
                raise UsageError(
                    "--monitor-token-file is given, and no --monitor",
                    hint="Say where to show the run: --monitor 127.0.0.1:8765.",
                )
            return None
        if self.monitor_token_file is not None:
            token = read_secret_file(self.monitor_token_file, flag="--monitor-token-file")
        else:
            token = environment().get("BULKUP_MONITOR_TOKEN", "")
        return parse_listen(self.monitor, token=token.strip())

    def _addresses(self) -> tuple[str, ...]:
        if self.notify_file is None:
            return self.notify
        return (*self.notify, *read_secret_lines(self.notify_file, flag="--notify-file"))
