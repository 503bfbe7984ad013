"""Lines between a client and a server: proxies that die, or that are long and thin."""

import asyncio
import time
from contextlib import suppress
from typing import Self

FIRST_WINDOW = 14_600
MOST_WINDOW = 4_000_000


class Line:
    """Hands bytes to a port of this machine and back; none come through once it is `dead`."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.dead = False
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0, limit=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def cut(self) -> None:
        """Close all connections, and let nobody in any more."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far, out = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(
                self._pass_on(near, out, slow=True), self._pass_on(far, back, slow=False)
            )
        finally:
            out.close()
            back.close()
            self._tasks.discard(task)

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, slow: bool
    ) -> None:
        """Hand on what comes; `slow` is the way from whoever has opened the connection."""
        del slow  # both ways are alike
        with suppress(ConnectionError):
            while data := await source.read(4096):
                if not self.dead:
                    target.write(data)
                    await target.drain()
        if not self.dead:
            target.close()


class LongLine(Line):
    """A line on which bytes arrive half of `rtt_s` later.

    A connection opens after two round trips, as with TLS, and begins with TCP's slow start. All of
    them together send no more than `rate` bytes a second.
    """

    def __init__(self, port: int, *, rtt_s: float, rate: float = float("inf")) -> None:
        super().__init__(port)
        self._rtt_s = rtt_s
        self._rate = rate
        self._free_at = 0.0

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, slow: bool
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.create_task(self._arrive(queue, target))
        if slow:
            await asyncio.sleep(2 * self._rtt_s)
        window, sent, round_ends = FIRST_WINDOW, 0, time.monotonic() + self._rtt_s
        with suppress(ConnectionError):
            while data := await source.read(4096):
                if slow and sent >= window:
                    await asyncio.sleep(max(0.0, round_ends - time.monotonic()))
                    window = min(2 * window, MOST_WINDOW)
                if slow and time.monotonic() >= round_ends:
                    sent, round_ends = 0, time.monotonic() + self._rtt_s
                sent += len(data)
                if slow:
                    self._free_at = max(self._free_at, time.monotonic()) + len(data) / self._rate
                    await asyncio.sleep(self._free_at - time.monotonic())
                queue.put_nowait((time.monotonic() + self._rtt_s / 2, data))
        queue.put_nowait((time.monotonic() + self._rtt_s / 2, b""))
        await arriving

    async def _arrive(
        self, queue: asyncio.Queue[tuple[float, bytes]], target: asyncio.StreamWriter
    ) -> None:
        while True:
            at, data = await queue.get()
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            if not data:
                target.close()
                return
            with suppress(ConnectionError):
                target.write(data)
                await target.drain()
