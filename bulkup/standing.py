"""What lasts as long as a command, over all its runs: its monitor, and whom it notifies.

Knows both of them, and what the user asked for.
"""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bulkup.events import Emit, Event, Noticed
from bulkup.report import Report
from bulkup.settings import Telling

if TYPE_CHECKING:
    from bulkup.monitor import Monitor
    from bulkup.notify import Service


class Standing:
    """Open with `async with`; `others` are its views of one run. `clock` in seconds.

    Once it is open, `greeting` says where the monitor is, if there is one.

    Raises `UsageError` where a service is none or its library is missing; opening does where the
    monitor can't have its address.
    """

    def __init__(self, telling: Telling, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._monitor = _monitor_for(telling, clock)
        self._services = _services_for(telling)
        self.greeting: Noticed | None = None

    async def __aenter__(self) -> Self:
        if self._monitor is not None:
            await self._monitor.__aenter__()
            self.greeting = Noticed(
                message=f"the run is shown at {self._monitor.address}", hint=""
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._monitor is not None:
            await self._monitor.__aexit__(kind, error, trace)

    def others(self, notice: Emit) -> dict[str, Report]:
        """Return the views of one run, by the flag that asks; `notice` hears what fails."""
        others: dict[str, Report] = {}
        if self._monitor is not None:
            others["--monitor"] = _Lent(self._monitor, deaf_to=self.greeting)
        if self._services:
            from bulkup.notify import Notifier  # noqa: PLC0415 (heavy)

            others["--notify"] = Notifier(self._services, notice=notice, clock=self._clock)
        return others


def _monitor_for(telling: Telling, clock: Callable[[], float]) -> "Monitor | None":
    if telling.listen is None:
        return None

    from bulkup.monitor import Monitor  # noqa: PLC0415 (heavy)

    return Monitor(telling.listen, clock=clock)


def _services_for(telling: Telling) -> "list[Service]":
    if not telling.notify:
        return []

    from bulkup.notify import services  # noqa: PLC0415 (heavy)

    return services(telling.notify)


class _Lent:
    """The monitor as a view of one run: it stays open when the run ends."""

    def __init__(self, monitor: "Monitor", *, deaf_to: Event | None) -> None:
        self._monitor = monitor
        self._deaf_to = deaf_to

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._monitor.end()

    def emit(self, event: Event) -> None:
        if event is not self._deaf_to:  # whoever looks on has found it
            self._monitor.emit(event)
