"""What an output is, how several hear the same events, and a timer to redraw them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from bulkup.events import Event, Noticed
from bulkup.output.state import RunState

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Periodic:
    """Calls `tick` every `every_s` seconds between `start` and `stop`."""

    def __init__(self, tick: Callable[[], None], *, every_s: float, sleep: Sleep) -> None:
        self._tick = tick
        self._every_s = every_s
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in a task of the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    def stop(self) -> None:
        """End. Raises what `tick` raised meanwhile: that is a bug, not to be lost."""
        task, self._task = self._task, None
        if task is None or task.cancel() or task.cancelled():
            return
        task.result()

    async def _go_on(self) -> None:
        while True:
            await self._sleep(self._every_s)
            self._tick()


class Report(Protocol):
    """What every view can do. `emit` may raise `OSError`: then the view is given up."""

    def emit(self, event: Event) -> None:
        """Take in what has happened."""

    async def __aenter__(self) -> Self:
        """Begin to show."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say the last word, however the run ended."""


class Screen(Report, Protocol):
    """The view that somebody looks at, and that keeps what became of the run."""

    @property
    def state(self) -> RunState:
        """What became of the run."""


class Outputs:
    """A screen, and other views by their names, as one view.

    The others end before the screen does, which so can tell what became of them.
    """

    def __init__(self, screen: Screen, others: Mapping[str, Report]) -> None:
        self._screen = screen
        self._others = others
        self._opened: dict[str, Report] = {}
        self._given_up: set[str] = set()

    @property
    def state(self) -> RunState:
        """What became of the run."""
        return self._screen.state

    async def __aenter__(self) -> Self:
        await self._screen.__aenter__()
        try:
            for name, view in self._others.items():
                await view.__aenter__()
                self._opened[name] = view
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for name, view in self._opened.items():
                try:
                    await view.__aexit__(kind, error, trace)
                except OSError as failure:
                    self._give_up(name, failure)
        finally:
            await self._screen.__aexit__(kind, error, trace)

    def emit(self, event: Event) -> None:
        """Hand the event to each."""
        self._screen.emit(event)
        for name, view in self._opened.items():
            if name not in self._given_up:
                try:
                    view.emit(event)
                except OSError as failure:
                    self._give_up(name, failure)

    def _give_up(self, name: str, failure: OSError) -> None:
        """Tell nothing more to a view that can't go on, and say so, once."""
        if name not in self._given_up:
            self._given_up.add(name)
            self._screen.emit(
                Noticed(
                    message=f"{name} is not whole: {failure.strerror or failure}",
                    hint="Nothing else is the worse for it.",
                )
            )
