"""A TCP proxy that breaks a part of all HTTP requests, in one of three ways, seeded.

The first bytes of the client after an answer begin a new request.
"""

import asyncio
import random
from types import TracebackType
from typing import Literal, Self

Break = Literal["request lost", "cut in its body", "answer lost"]
BREAKS: tuple[Break, ...] = ("request lost", "cut in its body", "answer lost")
PIECE = 65536


class BreakingProxy:
    """Listens on a free loopback port and passes on to another; breaks `rate` of the requests."""

    def __init__(self, port: int, *, rate: float, seed: int) -> None:
        self.requests = 0
        self.broken = 0
        self._target = port
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311 (the same breaks every time)
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port to connect to."""
        if self._server is None:
            raise RuntimeError("the proxy is not open")
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        line = _Line()
        server, on = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(self._requests(line, client, on)),
                    asyncio.create_task(self._answers(line, server, back)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            line.closed = True
            on.close()
            back.close()

    async def _requests(
        self, line: "_Line", client: asyncio.StreamReader, on: asyncio.StreamWriter
    ) -> None:
        try:
            while piece := await client.read(PIECE):
                if line.idle:
                    line.idle = False
                    self.requests += 1
                    line.fate = self._draw()
                    self.broken += line.fate is not None
                if line.fate == "request lost":
                    return
                if line.fate == "cut in its body":
                    on.write(piece[: len(piece) // 2])
                    return
                on.write(piece)
                await on.drain()
        except ConnectionError:
            return

    async def _answers(
        self, line: "_Line", server: asyncio.StreamReader, back: asyncio.StreamWriter
    ) -> None:
        try:
            while piece := await server.read(PIECE):
                if line.fate == "answer lost":
                    return
                back.write(piece)
                line.idle = True
                await back.drain()
        except ConnectionError:
            return

    def _draw(self) -> Break | None:
        if self._random.random() >= self._rate:
            return None
        return self._random.choice(BREAKS)


class _Line:
    """A connection; `idle`: the next bytes begin a request, `fate`: how this one is broken."""

    def __init__(self) -> None:
        self.idle = True
        self.fate: Break | None = None
        self.closed = False
