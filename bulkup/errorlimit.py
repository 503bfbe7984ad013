"""The limit of failures, from which on a run comes to its end by itself.

Knows events, and whom to call; not what a stop does.
"""

from collections.abc import Callable

from bulkup.events import Emit, Event, Noticed, PhotoChecked, PhotoFailed
from bulkup.kinds import Verdict


class ErrorLimit:
    """Hands events on to `emit`; at the `most`th failed photo it calls `stop`, and says so.

    `most` None: it never does. `reached` tells whether it did.
    """

    def __init__(self, emit: Emit, *, most: int | None, stop: Callable[[], None]) -> None:
        self.reached = False
        self._emit = emit
        self._most = most
        self._stop = stop
        self._failed = 0

    def emit(self, event: Event) -> None:
        """Hand the event on, and count what failed."""
        self._emit(event)
        match event:
            case PhotoFailed() | PhotoChecked(verdict=Verdict.FAILED):
                self._failed += 1
            case _:
                return
        if self._failed == self._most:
            self.reached = True
            self._stop()
            photos = "1 photo has" if self._most == 1 else f"{self._most:,} photos have"
            self._emit(
                Noticed(
                    message=f"{photos} failed, so no other one is begun (--max-errors)",
                    hint="Photos in flight are finished. Look at the reasons; then the same "
                    "command goes on.",
                )
            )
