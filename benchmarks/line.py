"""A TCP proxy with a limited rate each way and a delay.

All connections share the line, in the order in which their bytes come; a sender can be ahead of it
by a small buffer only, as with a router.
"""

import asyncio
import socket
from types import TracebackType
from typing import Self

PIECE = 16 * 1024
SEGMENT = 1448
"""That of Ethernet: with loopback's large segments a whole photo would wait in a socket."""

BUFFER = 128 * 1024
QUEUE_S = 0.01
"""How far a sender may be ahead of the line."""


class Lane:
    """One direction of the line."""

    def __init__(self, *, rate: float, delay_s: float) -> None:
        self._rate = rate
        self._delay_s = delay_s
        self._free_at = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on until the end of the stream."""
        loop = asyncio.get_running_loop()
        try:
            while piece := await reader.read(PIECE):
                self._free_at = max(self._free_at, loop.time()) + len(piece) / self._rate
                loop.call_at(self._free_at + self._delay_s, writer.write, piece)
                await asyncio.sleep(self._free_at - QUEUE_S - loop.time())
        except ConnectionError:
            return
        finally:
            loop.call_at(max(self._free_at, loop.time()) + self._delay_s, writer.close)


class ThinLine:
    """Listens on a free loopback port and passes on to another; `rate` in bytes per second."""

    def __init__(self, port: int, *, rate: float, round_trip_s: float) -> None:
        self._target = port
        self._requests = Lane(rate=rate, delay_s=round_trip_s / 2)
        self._answers = Lane(rate=rate, delay_s=round_trip_s / 2)
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port to connect to."""
        if self._server is None:
            raise RuntimeError("the line is not open")
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        listening.bind(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=PIECE)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(
            self._requests.carry(reader, requests), self._answers.carry(answers, writer)
        )
