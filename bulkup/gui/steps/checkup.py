"""The check-up: what the doctor finds at the gallery, and what to do about it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from bulkup.app.doctor import examine
from bulkup.app.settings import Account, DoctorSettings, default_ledger
from bulkup.gui.draft import Draft
from bulkup.gui.session import Session
from bulkup.gui.step import Step, Visit
from bulkup.output.doctor import NAMES, Words, progress_text, words
from bulkup.output.findings import Check, CheckProgress, Finding, Mark


@dataclass(frozen=True, slots=True)
class Row:
    """A finding as the page shows it."""

    name: str
    mark: str
    words: Words


class Checkup(Step):
    """The doctor's findings, which appear as they are found."""

    name = "checkup"
    needs = ("gallery",)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._job = session.job()
        self._of: Account | None = None
        self._rows: list[Row] = []
        self._progress = ""

    @property
    def done(self) -> bool:
        """Whether it ran to its end for this account, and found no problem."""
        ended = self._of is self.session.account and not self.running and not self._job.error
        return bool(self._rows) and ended and not self._count(Mark.PROBLEM)

    @property
    def running(self) -> bool:
        """Whether the doctor is at work."""
        return self._job.running

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return the findings."""
        del visit
        if self._of is not self.session.account:  # those of another gallery
            self._job.cancel()
            self._rows, self._of = [], self.session.account
        return {
            "rows": self._rows,
            "progress": self._progress,
            "problems": self._count(Mark.PROBLEM),
            "warnings": self._count(Mark.WARNING),
            "failure": self._job.error,
        }

    async def save(self, visit: Visit) -> str:
        """Start it, or stop it."""
        if visit.form.get("do") == "stop":
            self._job.cancel()
        elif (account := self.session.account) is not None:
            self._rows, self._of, self._progress = [], account, ""
            settings = DoctorSettings(album=self._album(), ledger=default_ledger())
            self._job.start(
                partial(
                    examine,
                    [],
                    account=account,
                    settings=settings,
                    on_finding=self._add,
                    clock=time.monotonic,
                    wall_clock=time.time,
                    sleep=anyio.sleep,
                )
            )
        return "/checkup"

    def arguments(self) -> Sequence[str]:
        """Return the arguments of the doctor."""
        album = self._album()
        words = Draft(account=self.session.draft.account).arguments("doctor")
        return [*words, "--album", str(album)] if album else words

    def _album(self) -> int | None:
        album = str(self.session.draft.options.album or "").strip()
        return int(album) if album.isdecimal() else None

    def _add(self, news: Finding | CheckProgress) -> None:
        if isinstance(news, CheckProgress):
            self._progress = progress_text(news)
        elif news.check is not Check.ALBUM or self._album():  # it is chosen later
            self._rows.append(Row(NAMES[news.check], news.mark.value, words(news)))

    def _count(self, mark: Mark) -> int:
        return sum(row.mark == mark.value for row in self._rows)
