"""The history: past runs from the ledger, those of the command line, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.errors import BulkupError, UsageError
from bulkup.gui.runs import COUNTS, ledger_of
from bulkup.gui.step import Step, Visit
from bulkup.output.text import clock_text
from bulkup.store.run_history import GalleryHistory, HistoryFilter, PastRun, open_history

SHOWN: Final = 100
TASKS: Final = ("upload", "verify", "dry-run", "refresh", "refresh-dry-run")


@dataclass(frozen=True, slots=True)
class Row:
    """A run as the page shows it."""

    run: PastRun

    @property
    def task(self) -> str:
        """The task, as in the texts."""
        return self.run.info.task if self.run.info.task in TASKS else "other"

    @property
    def began(self) -> str:
        """The local time of its start."""
        return f"{datetime.fromtimestamp(self.run.began).astimezone():%Y-%m-%d %H:%M}"

    @property
    def duration(self) -> str:
        """How long it lasted, until its last update."""
        return clock_text(max(0.0, self.run.seen - self.run.began))

    @property
    def ending(self) -> str:
        """How it ended, as in the texts."""
        return self.run.ending.value or ("running" if self.run.running else "killed")

    @property
    def counts(self) -> Sequence[tuple[str, int]]:
        """The counts that are not zero."""
        return [(name, count) for name in COUNTS if (count := self.run.counts.get(name))]


class History(Step):
    """The last runs, the latest first, and what each gallery has got."""

    name = "history"

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Read the ledger."""
        del visit
        ledger, failure = ledger_of(self.session.draft.options), None
        runs, galleries = list[PastRun](), list[GalleryHistory]()
        try:
            runs, galleries = await to_thread.run_sync(_read, ledger)
        except UsageError:
            pass  # there is no ledger yet
        except BulkupError as error:
            failure = error
        return {
            "rows": [Row(run) for run in runs],
            "galleries": galleries,
            "ledger": ledger,
            "most": SHOWN,
            "failure": failure,
        }

    def arguments(self) -> Sequence[str]:
        """Return the arguments of `bulkup status`."""
        ledger = self.session.draft.options.ledger
        return ["status", *(["--ledger", str(ledger)] if ledger else [])]


def _read(ledger: Path) -> tuple[list[PastRun], list[GalleryHistory]]:
    with open_history(ledger) as history:
        runs = history.recent(url=None, task=None, most=SHOWN)
        return runs, history.galleries(HistoryFilter())
