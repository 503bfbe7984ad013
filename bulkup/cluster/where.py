"""Which cluster: a scheduler's address, or so many local workers; and who is trusted there.

Knows addresses and certificates.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from distributed.security import Security

from bulkup.cluster.maps import Maps
from bulkup.errors import UsageError

MOST_LOCAL: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A scheduler's `address`, or the number of `local` workers to start, all of it valid.

    `maps` tell where the photos are there. The certificates are PEM files; without them what
    Dask's own settings say holds.
    """

    address: str = ""
    local: int = 0
    maps: Maps
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


def where_of(text: str, *, maps: Maps, tls: tuple[Path | None, ...]) -> Where:
    """Return the cluster that is meant. Raises `UsageError` where that can be none."""
    ca, cert, key = tls
    if (ca is None) != (cert is None) or (key and not cert):
        raise UsageError(
            "Dask's certificates are not complete",
            hint="Give --dask-tls-ca and --dask-tls-cert, and --dask-tls-key where the key is "
            "not in the same file.",
        )
    for file in tls:
        if file is not None and not file.is_file():
            raise UsageError(f"{file} is no file", hint="Name a certificate or key in PEM form.")
    kind, _, rest = text.partition(":")
    if kind == "local":
        if not (rest.isascii() and rest.isdecimal() and 1 <= int(rest) <= MOST_LOCAL):
            raise UsageError(
                f"--dask {text} is no number of workers",
                hint=f"Give one from local:1 to local:{MOST_LOCAL}.",
            )
        return Where(local=int(rest), maps=maps)
    try:
        port = urlsplit(text).port
    except ValueError:
        port = None
    if kind not in {"tcp", "tls"} or not rest.startswith("//") or port is None:
        raise UsageError(
            f"--dask {text} is no scheduler's address",
            hint="Give one such as tls://scheduler:8786, or local:3 to try it.",
        )
    if kind == "tcp" and ca is not None:
        raise UsageError(
            "certificates are for a scheduler at tls://", hint=f"Give --dask tls:{rest}"
        )
    return Where(address=text, maps=maps, tls_ca=ca, tls_cert=cert, tls_key=key)


def security_of(where: Where) -> Security:
    """Return how the cluster is trusted. Raises `UsageError`."""
    if where.tls_ca is None:
        security = Security()
    else:
        security = Security(
            tls_ca_file=f"{where.tls_ca}",
            tls_client_cert=f"{where.tls_cert}",
            tls_client_key=where.tls_key and f"{where.tls_key}",
            require_encryption=True,
        )
    encrypted = where.address.startswith("tls://")
    try:
        known = security.get_connection_args("client")["ssl_context"]
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"Dask's certificates can't be used: {error}", hint="Give PEM files that fit."
        ) from None
    if encrypted and known is None:
        raise UsageError(
            "a scheduler at tls:// needs certificates",
            hint="Give --dask-tls-ca, --dask-tls-cert and --dask-tls-key.",
        )
    return security


def host_of(address: str) -> str:
    """Return the host of an address of Dask's."""
    return urlsplit(address).hostname or ""


def is_loopback(host: str) -> bool:
    """Tell whether nobody but this machine can be spoken to there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
