"""A server that answers byte by byte as a test defines, and records the requests."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.lines import tcp_server

Handler = Callable[["Connection"], Awaitable[None]]


@dataclass
class Request:
    """A request as it was received."""

    head: str
    body: bytes

    @property
    def target(self) -> str:
        return self.head.split(" ", 2)[1]

    def header(self, name: str) -> str | None:
        for line in self.head.splitlines()[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


@dataclass
class Connection:
    """A connection, from the server's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[Request]

    async def receive(self) -> Request:
        """Receive a whole request. Raises `asyncio.IncompleteReadError` at the end."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request = Request(head, b"")
        request.body = await self.reader.readexactly(int(request.header("Content-Length") or 0))
        self.requests.append(request)
        return request

    async def answer(self, status: str, body: bytes = b"", *headers: str) -> None:
        """Send an answer."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode("latin-1") + body)
        await self.writer.drain()


@dataclass
class RawServer:
    """The server's address and the requests it received."""

    url: str
    requests: list[Request] = field(default_factory=list)


@asynccontextmanager
async def raw_server(
    handle: Handler, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Run a server that calls `handle` on each connection and then closes it."""
    raw = RawServer("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handle(Connection(reader, writer, raw.requests))

    async with tcp_server(serve, tls=tls) as port:
        raw.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
        yield raw


def answering(status: str, body: bytes = b"", *headers: str) -> Handler:
    """Return a handler that answers every request alike."""

    async def handle(connection: Connection) -> None:
        while True:
            await connection.receive()
            await connection.answer(status, body, *headers)

    return handle


def sending(answer: bytes, *, stays: bool = False) -> Handler:
    """Return a handler that answers one request with these bytes, and closes unless it `stays`."""

    async def handle(connection: Connection) -> None:
        await connection.receive()
        connection.writer.write(answer)
        await connection.writer.drain()
        if stays:
            await asyncio.Event().wait()

    return handle
