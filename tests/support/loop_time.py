"""Event loop clocks for tests: one set forward, and a virtual one."""

import asyncio
import selectors


def skip(seconds: float) -> None:
    """Set the clock of the running event loop forward."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]


class _Selector(selectors.DefaultSelector):
    """Adds each time-out to its clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # only another thread or a socket can go on
            return super().select(None)
        self.now += timeout
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer, for code that waits for timers only.

    A test runs on it where the fixture `anyio_backend` returns `VIRTUAL_TIME`.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


VIRTUAL_TIME = ("asyncio", {"loop_factory": VirtualTimeLoop})
