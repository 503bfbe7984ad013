"""Outcomes of runs that call a function at each event."""

import asyncio
from collections.abc import Callable, Collection

from bulkup.events import Event
from tests.support.runs import Outcome


def acting_on(
    kind: type[Event], act: Callable[[], object], *, at: Collection[int] | None = None
) -> Outcome:
    """Return an outcome that calls `act` at events of a kind; `at`: which, from 0; None: all."""

    def watch(event: Event) -> None:
        if isinstance(event, kind) and (at is None or len(outcome.of(kind)) - 1 in at):
            act()

    outcome = Outcome(watch)
    return outcome


def soon(act: Callable[[], object]) -> None:
    """Call a function in the next turn of the event loop, outside of any task."""
    asyncio.get_running_loop().call_soon(act)
