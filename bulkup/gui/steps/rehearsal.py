"""The rehearsal: what an upload would do, found out by a dry run in the background."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Final

from bulkup.api import upload
from bulkup.app.settings import Account
from bulkup.errors import UsageError
from bulkup.events import AlbumMade, Event, Noticed, SkipReason
from bulkup.gui.draft import Draft
from bulkup.gui.session import Session
from bulkup.gui.step import Step, Visit
from bulkup.output.phrases import source_words, takeout_words
from bulkup.output.state import RunState
from bulkup.output.text import estimate_text

ALBUMS: Final = 300
FAILURES: Final = 20
NOTICES: Final = 20
TYPES: Final = 20


@dataclass(slots=True)
class Plan:
    """What a dry run has found so far.

    `albums` are the paths of the first albums to be made, `notices` the first messages with
    their hints. `complete` is whether it ran to its end.
    """

    state: RunState = field(default_factory=RunState)
    albums: dict[int, str] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)
    complete: bool = False

    def add(self, event: Event) -> None:
        """Count an event."""
        self.state.apply(event, time.monotonic())
        if isinstance(event, AlbumMade) and len(self.albums) < ALBUMS:
            above = self.albums.get(event.parent or 0)
            self.albums[event.album] = f"{above} / {event.name}" if above else event.name
        elif isinstance(event, Noticed) and len(self.notices) < NOTICES:
            self.notices.setdefault(event.message, event.hint)

    @property
    def estimate(self) -> str:
        """How long the upload takes, roughly; empty if that is unknown."""
        plan = self.state.estimated
        return estimate_text(max(plan.sending_s, plan.finishing_s)) if plan else ""

    @property
    def sending_longest(self) -> bool:
        """Whether the connection takes longer than the server."""
        plan = self.state.estimated
        return plan is not None and plan.sending_s > plan.finishing_s


class Rehearsal(Step):
    """The dry run, and what it has found."""

    name = "rehearsal"
    needs = ("gallery", "sources", "albums")

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._job = session.job()
        self._plan: Plan | None = None
        self._of: Draft | None = None

    @property
    def done(self) -> bool:
        """Whether it ran to its end for what is chosen now."""
        return self._plan is not None and self._plan.complete and not self._stale

    @property
    def running(self) -> bool:
        """Whether the dry run runs."""
        return self._job.running

    @property
    def _stale(self) -> bool:
        return self._of != self.session.draft

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return the plan."""
        del visit
        plan, failure = self._plan, self._job.error
        if plan is None:
            return {"plan": None, "failure": failure, "stale": False}
        state = plan.state
        return {
            "plan": plan,
            "state": state,
            "failure": failure,
            "stale": self._stale,
            "plain": state.new - state.to_replace - state.new_formats,
            "skipped": [
                (reason.value, count)
                for reason, count in state.skipped_by_reason.most_common()
                if reason is not SkipReason.TYPE
            ],
            "types": state.skipped_by_type.most_common(TYPES),
            "failures": [*islice(state.failures, FAILURES)],
            "more_failures": max(0, state.failed - FAILURES),
            "more_albums": max(0, state.albums_made - len(plan.albums)),
            "sources": [*_sources(state)],
        }

    async def save(self, visit: Visit) -> str:
        """Start the dry run, or stop it."""
        if visit.form.get("do") == "stop":
            self._job.cancel()
        elif (account := self.session.account) is not None:
            if self.session.run.running:
                raise UsageError(
                    "the rehearsal would read the same files as the run does now",
                    hint="Wait for the end of the run, or stop it.",
                )
            self._of, self._plan = self.session.draft, Plan()
            self._job.start(partial(rehearse, self._of, account, self._plan))
        return "/rehearsal"

    def arguments(self) -> Sequence[str]:
        """Return the arguments of the dry run."""
        draft = self.session.draft
        return replace(draft, options=replace(draft.options, dry_run=True)).arguments()


def _sources(state: RunState) -> Iterator[tuple[str, int, str]]:
    """Yield what a Takeout, other exports and the table tell: name, photos, and words."""
    if state.takeout:
        yield "Takeout", state.takeout.photos, takeout_words(state.takeout)
    for each in state.sources:
        yield each.source, each.photos, source_words(each)


async def rehearse(draft: Draft, account: Account, plan: Plan) -> None:
    """Fill a plan with what an upload would do. Raises `BulkupError`."""
    options = replace(draft.options, dry_run=True)
    await upload(draft.paths, account=account, options=options, on_event=plan.add)
    plan.complete = True
