"""What may stand in front of a gallery: nginx with a password or certificates, and a proxy.

Tests that need nginx (`apt-get install nginx-light`) are skipped where there is none.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from bulkup.sandbox import Sandbox
from tests.support.lines import tcp_server

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIG = """
daemon off; worker_processes 1; {user} pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{
    access_log off; client_max_body_size 0;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port} {listen}; {rules}
        location / {{ proxy_pass {url}; proxy_set_header Host $http_host; }}
    }}
}}
"""


@asynccontextmanager
async def nginx(
    box: Sandbox, folder: Path, rules: str, *, tls: bool = False
) -> AsyncIterator[str]:
    """Run nginx with these directives in front of a sandbox and yield the address.

    With `tls`, it has the certificate `cert` and the key `key` in the folder.
    """
    if NGINX is None:
        pytest.skip("tests of web servers in front need nginx: apt-get install nginx-light")
    if tls:
        rules += f" ssl_certificate {folder}/cert; ssl_certificate_key {folder}/key;"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, number = listening.getsockname()[1], listening.fileno()
        listen = "ssl" if tls else ""
        config = folder / "nginx.conf"
        user = "" if os.geteuid() else "user root;"  # the test's folder is its own
        filled = {"folder": folder, "port": port, "listen": listen, "user": user, "url": box.url}
        config.write_text(CONFIG.format(rules=rules, **filled))
        # it inherits the socket, as after an update of itself, so that the port is not lost
        process = await anyio.open_process(
            [NGINX, "-p", str(folder), "-e", str(folder / "errors"), "-c", str(config)],
            env={**os.environ, "NGINX": f"{number};"},
            pass_fds=[number],
            stdin=None,
            stdout=None,
            stderr=None,
        )
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
    finally:
        process.terminate()
        await process.wait()


class ForwardProxy:
    """A proxy for CONNECT and for plain HTTP that takes every host for the server at `target`.

    It records the heads of requests. With `login`, it requires that header's value. It answers
    every request with `status` if there is one, and CONNECT never if it is `silent`.
    """

    def __init__(
        self, target: str, *, login: str = "", status: str = "", silent: bool = False
    ) -> None:
        self.heads: list[str] = []
        self.url = ""
        self._port = urlsplit(target).port
        self._login = login
        self._status = status
        self._silent = silent

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ForwardProxy"]:
        """Run it on a free port of this machine."""
        async with tcp_server(self._serve) as port:
            self.url = f"http://127.0.0.1:{port}"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        if self._silent:
            await reader.read()
        status = self._status
        if self._login and f"Proxy-Authorization: {self._login}\r\n" not in head:
            status = "407 Proxy Authentication Required"
        if status:
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        answers, requests = await asyncio.open_connection("127.0.0.1", self._port)
        if head.startswith("CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:  # one request on a connection
            line, *headers = head.rstrip().split("\r\n")
            verb, target, version = line.split(" ")
            kept = [each for each in headers if not each.startswith(("Proxy-", "Connection:"))]
            path = urlsplit(target)._replace(scheme="", netloc="").geturl()
            lines = [f"{verb} {path} {version}", *kept, "Connection: close", "", ""]
            requests.write("\r\n".join(lines).encode("latin-1"))
        try:
            await asyncio.gather(_pass(reader, requests), _pass(answers, writer))
        finally:
            requests.close()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()
