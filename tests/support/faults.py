"""Faults of the sandbox with a switch and a hook that runs as a request arrives."""

from collections.abc import Callable

from bulkup.sandbox import Fault, Faults


class HookedFaults(Faults):
    """Faults that can be switched off; `act` runs before a request is handled.

    `method`: whose requests to count; None: all. `nth`: at which of them, from 0, to act; None:
    at each.
    """

    def __init__(
        self,
        *plan: Fault,
        act: Callable[[], object] = lambda: None,
        method: str | None = None,
        nth: int | None = None,
        on: bool = True,
    ) -> None:
        super().__init__(plan)
        self.on = on
        self.count = 0
        self.act = act
        self._method = method
        self._nth = nth

    def strike(self, method: str) -> Fault | None:
        if self._method in {None, method}:
            self.count += 1
            if self._nth in {None, self.count - 1}:
                self.act()
        return super().strike(method) if self.on else None
