"""Self-signed certificates, and a sandbox behind one."""

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bulkup.sandbox import Sandbox
from tests.support.lines import Line


def make_certificate(
    folder: Path, *, days: int = 30, host: str = "127.0.0.1", locked: bool = False
) -> ssl.SSLContext:
    """Write a certificate to `folder` as `cert`, and return a server's context with it.

    With negative `days`, it has expired; with `locked`, the key is also encrypted, as `locked`.
    """
    folder.mkdir(exist_ok=True)
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    create = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
        f"-keyout key -out cert -subj /CN=x -days {max(days, 1)} -addext subjectAltName=IP:{host} "
        "-addext keyUsage=critical,keyCertSign,digitalSignature"
    )
    commands = [create]
    if days < 0:
        commands.append(f"openssl x509 -in cert -signkey key -days {days} -out cert")
    if locked:
        commands.append("openssl pkey -in key -aes256 -passout pass:x -out locked")
    for command in commands:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)  # noqa: S603 (all of it is ours)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@asynccontextmanager
async def encrypted(box: Sandbox, tls: ssl.SSLContext) -> AsyncIterator[str]:
    """Put TLS in front of a sandbox and yield the address."""
    async with Line(urlsplit(box.url).port or 0, tls=tls) as line:
        yield f"https://127.0.0.1:{line.port}/"
