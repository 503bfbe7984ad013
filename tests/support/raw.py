"""A server that answers byte by byte as a test defines, and records the requests."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.lines import tcp_server

Talk = Callable[["Line"], Awaitable[None]]


@dataclass
class Heard:
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
class Line:
    """A connection, from the server's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[Heard]

    async def hear(self) -> Heard:
        """Receive a whole request. Raises `asyncio.IncompleteReadError` at the end."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request = Heard(head, b"")
        request.body = await self.reader.readexactly(int(request.header("Content-Length") or 0))
        self.heard.append(request)
        return request

    async def say(self, status: str, body: bytes = b"", *headers: str) -> None:
        """Send an answer."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode("latin-1") + body)
        await self.writer.drain()


@dataclass
class Raw:
    """The server's address and the requests it received."""

    url: str
    heard: list[Heard] = field(default_factory=list)


@asynccontextmanager
async def raw_server(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Raw]:
    """Run a server that calls `talk` on each connection and then closes it."""
    raw = Raw("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(Line(reader, writer, raw.heard))

    async with tcp_server(serve, tls=tls) as port:
        raw.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
        yield raw


def saying(status: str, body: bytes = b"", *headers: str) -> Talk:
    """Return a talk that answers every request alike."""

    async def talk(line: Line) -> None:
        while True:
            await line.hear()
            await line.say(status, body, *headers)

    return talk


def writing(answer: bytes, *, stays: bool = False) -> Talk:
    """Return a talk that answers one request with these bytes, and closes unless it `stays`."""

    async def talk(line: Line) -> None:
        await line.hear()
        line.writer.write(answer)
        await line.writer.drain()
        if stays:
            await asyncio.Event().wait()

    return talk
