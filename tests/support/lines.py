"""TCP on loopback: a bare server, and lines that die, encrypt, or are long and thin."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Self

FIRST_WINDOW = 14_600
MOST_WINDOW = 4_000_000


@asynccontextmanager
async def tcp_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Run `serve` for every connection to a free port; yield the port, close all at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        # asyncio would log what gets out of here, a cancellation too
        with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Line:
    """Passes bytes on to a port of this machine and back; a `dead` line drops them."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.dead = False
        self._target = port
        self._tls = tls
        self._server = AsyncExitStack()

    async def __aenter__(self) -> Self:
        server = tcp_server(self._serve, tls=self._tls)
        self.port = await self._server.enter_async_context(server)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def cut(self) -> None:
        """Close all connections and accept no more."""
        await self._server.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(self._send(reader, requests), self._return(answers, writer))
        finally:
            requests.close()

    async def _send(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if not self.dead:
                    target.write(data)
                    await target.drain()
        if not self.dead:
            target.close()

    async def _return(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        await Line._send(self, source, target)


class LongLine(Line):
    """A line on which bytes arrive half of `rtt_s` later.

    A connection opens after two round trips, as with TLS, and begins with TCP's slow start. All
    connections together send no more than `rate` bytes a second. The delays are what is tested:
    no event could take their place.
    """

    def __init__(self, port: int, *, rtt_s: float, rate: float = float("inf")) -> None:
        super().__init__(port)
        self._rtt_s = rtt_s
        self._rate = rate
        self._free_at = 0.0

    async def _send(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._rtt_s)
        window, sent, round_ends = FIRST_WINDOW, 0, time.monotonic() + self._rtt_s
        async with self._delayed(target) as put:
            while data := await source.read(4096):
                if sent >= window:
                    await _sleep_until(round_ends)
                    window = min(2 * window, MOST_WINDOW)
                if time.monotonic() >= round_ends:
                    sent, round_ends = 0, time.monotonic() + self._rtt_s
                sent += len(data)
                self._free_at = max(self._free_at, time.monotonic()) + len(data) / self._rate
                await _sleep_until(self._free_at)
                put(data)

    async def _return(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        async with self._delayed(target) as put:
            while data := await source.read(4096):
                put(data)

    @asynccontextmanager
    async def _delayed(
        self, target: asyncio.StreamWriter
    ) -> AsyncIterator[Callable[[bytes], None]]:
        """Yield a function that writes bytes, half a round trip later; close at the end."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        def put(data: bytes) -> None:
            queue.put_nowait((time.monotonic() + self._rtt_s / 2, data))

        async def write() -> None:
            data = b"-"
            while data:
                at, data = await queue.get()
                await _sleep_until(at)
                with suppress(ConnectionError):
                    target.write(data)
                    await target.drain()
            target.close()

        writing = asyncio.create_task(write())
        with suppress(ConnectionError):
            yield put
        put(b"")
        await writing


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
