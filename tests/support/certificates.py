"""Certificates of this machine's own, that nobody vouches for unless told to."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bulkup.sandbox import Sandbox


def make_certificate(folder: Path, *, days: int = 30, host: str = "127.0.0.1") -> ssl.SSLContext:
    """Return how a server shows a certificate, which lies in `folder` as `cert`."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
        f"-keyout key -out cert -subj /CN=x -days {days} -addext subjectAltName=IP:{host} "
        "-addext keyUsage=critical,keyCertSign,digitalSignature"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)  # noqa: S603 (all of it is ours)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@asynccontextmanager
async def encrypted(box: Sandbox, tls: ssl.SSLContext) -> AsyncIterator[str]:
    """Stand before a sandbox, and encrypt."""
    port = urlsplit(box.url).port
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        for ends in ((reader, inner_writer), (inner_reader, writer)):
            tasks.add(asyncio.create_task(copy(*ends)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    host, own_port = server.sockets[0].getsockname()
    try:
        yield f"https://{host}:{own_port}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
