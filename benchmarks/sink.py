"""nginx as a web server that reads and discards bodies, with one answer to everything.

The answer serves as that to a log-in and to a finished photo. A bare `return 200` would answer
before the body has come, and clients would then not send all of it; with a mirror, nginx first
reads the whole body into memory.
"""

import asyncio
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from frame import tool

ANSWER = '{"stat":"ok","result":{"image_id":1,"status":"webmaster","pwg_token":"0"}}'
STARTING_S = 5.0
CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format bytes $request_length;
  access_log {folder}/access.log bytes;
  client_max_body_size 0;
  client_body_buffer_size 16m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  keepalive_timeout 60s;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls_port} ssl;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    location / {{ mirror /forgotten; empty_gif; error_page 405 =200 @answer; }}
    location = /forgotten {{ internal; return 204; }}
    location @answer {{ default_type text/plain; return 200 '{answer}'; }}
  }}
}}
"""


@dataclass(frozen=True)
class Sink:
    """A running server; `log` is the file with the length of each request read."""

    url: str
    tls_url: str
    certificate: Path
    log: Path

    async def swallowed(self, least: int) -> None:
        """Clear the log. Raises `RuntimeError` where fewer bytes than `least` were read."""
        for _ in range(50):
            read = sum(map(int, self.log.read_text(encoding="ascii").split()))
            if read >= least:
                os.truncate(self.log, 0)
                return
            await asyncio.sleep(0.02)  # the last requests are logged after their answers
        raise RuntimeError(f"the sink has read {read} of {least} bytes")


@contextmanager
def sink() -> Iterator[Sink]:
    """Run a server on free loopback ports. Raises `Missing`."""
    nginx = tool("nginx", package="nginx-light")
    openssl = tool("openssl", package="openssl")
    with tempfile.TemporaryDirectory(prefix="sink-") as name:
        folder = Path(name)
        certificate = folder / "certificate.pem"
        subprocess.run(
            [
                *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", f"{folder / 'key.pem'}", "-out", f"{certificate}"),
            ],
            check=True,
            capture_output=True,
        )
        port, tls_port = _free_ports()
        config = folder / "nginx.conf"
        config.write_text(
            CONFIG.format(folder=folder, port=port, tls_port=tls_port, answer=ANSWER),
            encoding="utf-8",
        )
        process = subprocess.Popen(
            [nginx, "-p", name, "-c", f"{config}"], stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            yield Sink(
                f"http://127.0.0.1:{port}/",
                f"https://127.0.0.1:{tls_port}/",
                certificate,
                folder / "access.log",
            )
        finally:
            process.terminate()
            process.wait()


def _free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return one.getsockname()[1], two.getsockname()[1]


def _wait_for(port: int) -> None:
    until = time.monotonic() + STARTING_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
