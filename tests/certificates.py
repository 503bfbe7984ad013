"""Certificates of this machine's own, that nobody vouches for unless told to."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


def make_certificate(folder: Path, *, days: int = 30, host: str = "127.0.0.1") -> ssl.SSLContext:
    """Return how a server shows a certificate, which lies in `folder` as `cert`."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(  # noqa: S603 (all of it is ours)
        [
            *[
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ],
            *("-keyout", str(folder / "key"), "-out", str(folder / "cert"), "-subj", "/CN=x"),
            *("-days", str(days), "-addext", f"subjectAltName=IP:{host}"),
            *("-addext", "keyUsage=critical,keyCertSign,digitalSignature"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context
