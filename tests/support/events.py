"""Outcomes of runs that call the test back as their events come."""

import asyncio
from collections.abc import Callable, Collection

from bulkup.events import Event
from tests.support.runs import Outcome


class Watched(list[Event]):
    """Events that call somebody as they come."""

    def __init__(self, watch: Callable[[Event], None]) -> None:
        super().__init__()
        self._watch = watch

    def append(self, event: Event) -> None:
        super().append(event)
        self._watch(event)


def watched(watch: Callable[[Event], None]) -> Outcome:
    """Return an outcome that passes each event on."""
    return Outcome(Watched(watch))


def acting_on(
    kind: type[Event], act: Callable[[], object], *, at: Collection[int] | None = None
) -> Outcome:
    """Return an outcome that calls `act` at events of a kind; `at`: at which, counted from 0."""

    def watch(event: Event) -> None:
        if isinstance(event, kind) and (at is None or len(outcome.of(kind)) - 1 in at):
            act()

    outcome = watched(watch)
    return outcome


def soon(act: Callable[[], object]) -> None:
    """Do something in nobody's name before anybody goes on: the engine does in a later turn."""
    asyncio.get_running_loop().call_soon(act)
