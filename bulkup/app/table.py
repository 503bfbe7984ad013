"""Opens a table of metadata; reports its rows, and photos, that do not match."""

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.engine.context import Stop
from bulkup.errors import count_text
from bulkup.events import (
    Emit,
    Event,
    FileSkipped,
    Noticed,
    Outcome,
    RunFinished,
    RunStarted,
    TableMismatch,
)
from bulkup.source.cells import TableFile
from bulkup.source.filters import Filters
from bulkup.source.pairing import COMPANIONS
from bulkup.source.photos import Photo, ending_of
from bulkup.source.scan import find
from bulkup.source.table import Table

NAMED: Final = 3
"""Rows or photos that a notice names."""

ALL: Final = "--log-file lists all of them."
PATHS_HINT: Final = f"Paths are relative to a PATH or to the table's folder, or absolute. {ALL}"
UNUSED, SKIPPED, USED, SHARED, OUTDONE = range(5)
"""What is known of a row: its file is skipped; it is used for one photo or more; or a later row
is for the same photo."""


async def open_table(
    file: TableFile, *, roots: Sequence[Path], filters: Filters, stop: Stop
) -> Table:
    """Read a table, and the names of photos where these have to be unique.

    A list of files that can be read only once is left out. Raises `UsageError`.
    """
    read = partial(Table, file, roots=roots)
    table = await to_thread.run_sync(read, abandon_on_cancel=True)
    if table.needs_names:
        listing = filters.listing
        if listing is not None and not await to_thread.run_sync(Path(listing.file).is_file):
            filters = replace(filters, listing=None)  # it can be read only once
        async with aclosing(find(roots, filters, endings=None)) as walk:
            async for batch in walk:
                for found in batch:
                    if isinstance(found, Photo):
                        table.count(found.path)
                if stop.wanted:
                    break
    return table


@dataclass(slots=True)
class _Group:
    """Rows or photos that have the same problem: their number, and the first of them."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.named) < NAMED:
            self.named.append(name)

    def __str__(self) -> str:
        return ", ".join(self.named) + " …" * (self.count > len(self.named))


class Matching:
    """Passes events on, and reports the rows and photos of a run that do not match.

    Without `complete`, or after a stop, rows for no photo are not reported: the run did not see
    all files. With `formats`, files that may become formats of photos need no row.
    """

    def __init__(
        self, table: Table, emit: Emit, *, complete: bool, stop: Stop, formats: bool = False
    ) -> None:
        self._needless = COMPANIONS if formats else ()
        self._table = table
        self._emit = emit
        self._complete = complete
        self._stop = stop
        self._states = bytearray(len(table))
        self._without_row = _Group()

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, RunFinished):
            self._report()
        self._emit(event)
        if isinstance(event, RunStarted):
            self._report_problems()
        elif isinstance(event, Outcome):
            self._count(event)

    def _count(self, outcome: Outcome) -> None:
        skipped = isinstance(outcome, FileSkipped)
        rows = self._table.rows_of(outcome.path)
        if not rows:
            needless = ending_of(outcome.path) in self._needless
            if not skipped and not needless:
                self._without_row.add(str(outcome.path))
                self._emit(
                    TableMismatch(
                        line=None, path=str(outcome.path), reason="it has no row in the table"
                    )
                )
            return
        *outdone, row = rows
        for other in outdone:
            self._states[other] = max(self._states[other], OUTDONE)
        if skipped:
            self._states[row] = max(self._states[row], SKIPPED)
        else:
            self._states[row] = SHARED if self._states[row] >= USED else USED

    def _report_problems(self) -> None:
        """Report what can't be used, at the beginning."""
        table, group = self._table, _Group()
        for problem in table.problems:
            self._emit(TableMismatch(line=problem.line, path=problem.path, reason=problem.reason))
            group.add(f"line {problem.line}: {problem.reason}")
        group.count = table.problem_count
        if group.count:
            self._notice(
                f"{count_text(group.count, 'entry', 'entries')} of the table {table.file.path} "
                f"can't be used: {group}",
                f"The rest of their rows is used. {ALL}",
            )

    def _report(self) -> None:
        """Report rows and photos that do not match, at the end."""
        groups = {reason: _Group() for reason in REPORTS}
        file = self._table.file.path
        for number, reason in self._unmatched():
            line, path = self._table.row(number)
            groups[reason].add(f"line {line} ({path})")
            self._emit(TableMismatch(line=line, path=path, reason=REPORTS[reason][0]))
        for reason, group in groups.items():
            if group.count:
                _, what, hint = REPORTS[reason]
                rows = count_text(group.count, "row", "rows")
                self._notice(f"{what} {rows} of the table {file}: {group}", hint)
        if self._without_row.count:
            photos = count_text(self._without_row.count, "photo", "photos")
            self._notice(
                f"the table {file} has no row for {photos}: {self._without_row}",
                f"Metadata from elsewhere is used. {ALL}",
            )

    def _unmatched(self) -> Iterator[tuple[int, str]]:
        """Yield the rows that are not used for one photo, with the key of the reason."""
        complete = self._complete and not self._stop.wanted
        for number, state in enumerate(self._states):
            if state == OUTDONE or self._table.is_replaced(number):
                yield number, "replaced"
            elif state == SHARED:
                yield number, "shared"
            elif state == UNUSED and complete:
                yield number, "ambiguous" if self._table.is_ambiguous(number) else "no photo"

    def _notice(self, message: str, hint: str) -> None:
        self._emit(Noticed(message=message, hint=hint))


REPORTS: Final = {
    "no photo": ("no photo matches this row", "no photo matches", PATHS_HINT),
    "ambiguous": (
        "several photos or rows have this file name, so it is not used",
        "several photos or rows have the file name in",
        f"These rows are not used: give paths instead of file names. {ALL}",
    ),
    "shared": (
        "several photos match this row",
        "several photos match",
        f"All of these photos get the metadata of the row. {ALL}",
    ),
    "replaced": (
        "a later row for the same photo replaces it",
        "later rows for the same photos replace",
        f"Keep one row for each photo. {ALL}",
    ),
}
"""By the key of a reason: why a row is reported, the beginning of the notice, and what to do."""
