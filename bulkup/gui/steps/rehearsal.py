"""The rehearsal: what an upload would do, found out by a dry run in the background."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from bulkup.events import SkipReason
from bulkup.gui.runs import RehearsalRun
from bulkup.gui.step import Step, Visit
from bulkup.output.phrases import source_words, takeout_words
from bulkup.output.state import RunState

FAILURES: Final = 20
TYPES: Final = 20


class Rehearsal(Step):
    """The dry run, and what it has found."""

    name = "rehearsal"
    needs = ("gallery", "sources", "albums")

    @property
    def done(self) -> bool:
        """Whether it ran to its end for what is chosen now."""
        plan = self.session.rehearsal
        return plan is not None and plan.complete and plan.draft == self.session.draft

    @property
    def running(self) -> bool:
        """Whether the dry run runs."""
        plan = self.session.rehearsal
        return plan is not None and plan.running

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return the plan."""
        del visit
        plan = self.session.rehearsal
        if plan is None:
            return {"plan": None, "failure": None, "stale": False}
        state = plan.state
        return {
            "plan": plan,
            "state": state,
            "failure": state.run_failed,
            "stale": plan.draft != self.session.draft,
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
        session = self.session
        if visit.form.get("do") == "stop":
            if self.running:
                session.abort()
        elif session.account is not None and not self.running:
            session.start(RehearsalRun(session.account, session.draft))
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
