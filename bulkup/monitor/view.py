"""The monitor as one of the views of a run: its web server lives as long as the view is open.

Knows sockets, the board and the pages. A run never waits for a reader: `emit` only takes in.
"""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from importlib.resources import files
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from anyio import CancelScope, to_thread

from bulkup.errors import UsageError
from bulkup.events import Event
from bulkup.listen import LOOPBACK, Listen, bracketed
from bulkup.monitor.board import Board, Counts
from bulkup.monitor.guard import Guard
from bulkup.monitor.server import SLOW_S, TYPES, Pages
from bulkup.report.ticks import Ticks

TICK_S: Final = 0.5
FAREWELL_S: Final = 2.0
"""So long may a reader take to hear the end, in seconds."""

QUIET: Final = logging.getLogger("bulkup.monitor")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False  # broken requests are no matter of whoever looks at the terminal


class Monitor:
    """Serves runs: open it with `async with`, hand events to `emit`, and `end` each run.

    Opening raises `UsageError` where the address can't be had. The page changes every `tick_s`
    seconds; a reader that takes nothing for `slow_s` is dropped. Once open, `address` is the URL.
    """

    def __init__(
        self,
        listen: Listen,
        *,
        clock: Callable[[], float],
        tick_s: float = TICK_S,
        slow_s: float = SLOW_S,
    ) -> None:
        self.address = ""
        self._listen = listen
        self._board = Board(clock=clock)
        self._pages: Pages | None = None
        self._runner: web.AppRunner | None = None
        self._slow_s = slow_s
        self._ticks = Ticks(self._on_tick, every_s=tick_s, sleep=asyncio.sleep)

    async def __aenter__(self) -> Self:
        pages = await to_thread.run_sync(_page_files)
        self._board.counts = await to_thread.run_sync(_counts)
        self._pages = Pages(self._board, pages, slow_s=self._slow_s)
        self._runner = web.AppRunner(
            self._pages.application(Guard(self._listen)),
            access_log=None,
            logger=QUIET,
            shutdown_timeout=FAREWELL_S,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._listen.host, self._listen.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise _no_address(self._listen, error) from None
        self.address = self._address()
        self._ticks.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._ticks.stop()
        finally:
            self._board.close()
            if self._pages is not None:
                self._pages.tick(over=True)
            runner, self._runner = self._runner, None
            if runner is not None:
                with CancelScope(shield=True):
                    await runner.cleanup()

    @property
    def readers(self) -> int:
        """How many look on."""
        return self._pages.readers if self._pages else 0

    def emit(self, event: Event) -> None:
        """Take in what has happened; it is shown with the next tick."""
        self._board.emit(event)

    def end(self) -> None:
        """Show how the run ended; what happens from now on is another one's."""
        self._board.end()

    def _on_tick(self) -> None:
        self._board.tick()
        if self._pages is not None:
            self._pages.tick()

    def _address(self) -> str:
        """Return where to look, with the port that was got."""
        port = self._listen.port
        if self._runner is not None:
            for address in self._runner.addresses:
                port = address[1]
        host = self._listen.host
        if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not opened)
            host = socket.gethostname()
        return f"http://{bracketed(host)}:{port}/"


def _counts() -> Counts | None:
    """Return who counts for Prometheus, None without its library."""
    try:
        from bulkup.monitor.metrics import Metrics  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        return None
    return Metrics()


def _page_files() -> dict[str, bytes]:
    folder = files("bulkup.monitor")
    return {name: folder.joinpath(name).read_bytes() for name in TYPES}


def _no_address(listen: Listen, error: OSError) -> UsageError:
    where = f"--monitor {listen.authority}"
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"{where}: another program listens there, perhaps another run",
            hint=f"Take another port, or any that is free: {bracketed(listen.host)}:0.",
        )
    if error.errno == errno.EACCES:
        return UsageError(
            f"{where}: this user may not listen there", hint="Take a port from 1024 on."
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return UsageError(
            f"{where}: that is no address of this machine",
            hint=f"Listen on {LOOPBACK}, or with a token on 0.0.0.0, which means all addresses.",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UsageError(f"{where}: {reason}", hint=f"Try {LOOPBACK}:0.")
