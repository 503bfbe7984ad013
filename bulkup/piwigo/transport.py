"""How requests reach the gallery: TLS, a proxy, headers and HTTP passwords, and their errors."""

import asyncio
import os
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp import AddrInfoType, hdrs
from anyio import to_thread

from bulkup.errors import (
    AnswerLost,
    Blocked,
    BulkupError,
    FailureKind,
    HostUnknown,
    ProxyUnreachable,
    RunError,
    TimedOut,
    TLSError,
    Unreachable,
    UsageError,
)
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures

MAX_UNSENT: Final = 128 * 1024
"""Bytes that a socket buffers beyond those in flight."""

KEEPALIVE_S: Final = 4.0  # below Apache's 5 s: a request on a closing connection is lost
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~\w-]+", re.ASCII)
OWN_HEADERS: Final = frozenset(
    {"content-encoding", "content-length", "content-type", "transfer-encoding"}
)
PROXY_HINT: Final = (
    "Give --proxy http://HOST:PORT; bulkup supports HTTP proxies only. Or --proxy off."
)
CERTIFICATE_ALERT: Final = re.compile(r"ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED)")
"""TLS alerts by which servers refuse a client certificate, or that there is none."""


def is_local(url: str) -> bool:
    """Return whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    return host.startswith("127.") or host in {"localhost", "::1"}


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: its URL without credentials, and the headers that it gets."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str, *, source: str) -> "Proxy":
        """Return the proxy of a URL, perhaps with a user and a password.

        Raises `UsageError`, which names the `source` and not the URL, for one of another form.
        """
        full = text if "://" in text else f"http://{text}"
        try:
            parts = urlsplit(full)
            valid = parts.hostname and parts.port != 0 and not re.search(r"\s", parts.netloc)
        except ValueError:  # invalid port or brackets
            valid = None
        if not valid or parts.scheme not in {"http", "https"}:
            raise UsageError(f"{source} does not name an HTTP proxy", hint=PROXY_HINT)
        headers: dict[str, str] = {}
        if parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
            headers[hdrs.PROXY_AUTHORIZATION] = _basic(user, password)
        return cls(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How requests reach a gallery.

    Accepted are the TLS certificates that the system trusts, in addition those in the file
    `ca_cert`, or any if `insecure`. `client_cert` is this client's own; its key may be in the
    same file. `http_user` and `http_password` are for HTTP Basic authentication. `headers` go
    with every request. `proxy` is a URL, `off`, or empty for the proxy of the environment.

    The constructor raises `UsageError` for invalid headers or proxies, and `context` for files.
    """

    ca_cert: Path | None = None
    insecure: bool = False
    client_cert: Path | None = None
    client_key: Path | None = None
    http_user: str = ""
    http_password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            _check_header(name, value)
        names = {name.lower() for name in self.headers}
        if self.http_user and "authorization" in names:
            raise UsageError(
                "--http-user and the header Authorization exclude each other",
                hint="Give one of them.",
            )
        if ":" in self.http_user:
            raise UsageError(
                "--http-user contains a colon, which HTTP does not allow",
                hint="Give the password in BULKUP_HTTP_PASSWORD, or with --http-password-file.",
            )
        if self.http_password and not self.http_user:
            raise UsageError("the HTTP user is missing", hint="Give --http-user.")
        if self.client_key and not self.client_cert:
            raise UsageError("--client-key requires --client-cert", hint="Give both.")
        if self.proxy not in {"", "off"}:
            Proxy.parse(self.proxy, source="--proxy")

    @property
    def sent_headers(self) -> dict[str, str]:
        """The headers of every request."""
        if not self.http_user:
            return dict(self.headers)
        return {**self.headers, hdrs.AUTHORIZATION: _basic(self.http_user, self.http_password)}

    def proxy_to(self, url: str) -> Proxy | None:
        """Return the proxy for an address, None for none.

        The environment's proxy is not used for this machine, nor for hosts in `NO_PROXY`.
        Raises `UsageError` if the environment names a proxy of another kind.
        """
        if self.proxy:
            return None if self.proxy == "off" else Proxy.parse(self.proxy, source="--proxy")
        parts = urlsplit(url)
        proxies = getproxies()
        name = next((name for name in (parts.scheme, "all") if proxies.get(name)), "")
        if not name or is_local(url) or proxy_bypass(parts.netloc):
            return None
        return Proxy.parse(proxies[name], source=f"{name.upper()}_PROXY")

    def context(self) -> ssl.SSLContext | bool:
        """Return aiohttp's `ssl` option; reads files. Raises `UsageError` if one is unusable."""
        if not (self.ca_cert or self.insecure or self.client_cert):
            return True
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if self.ca_cert is not None:
            with _readable("--ca-cert", self.ca_cert, invalid="it contains no certificate"):
                context.load_verify_locations(self.ca_cert)
            # private certificates often violate RFC 5280, or are trusted without their root
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert is not None:
            self._load_client_certificate(context, self.client_cert)
        return context

    def _load_client_certificate(self, context: ssl.SSLContext, cert: Path) -> None:
        key = self.client_key or cert
        for flag, file in (("--client-cert", cert), ("--client-key", key)):
            with _readable(flag, file, invalid=""):
                file.open("rb").close()
        asked: list[str] = []

        def no_password() -> str:  # without this, OpenSSL would ask for one
            asked.append("")
            return ""

        invalid = f"it is no certificate of the key in {key}"
        with _readable("--client-cert", cert, invalid=invalid, asked=asked):
            context.load_cert_chain(cert, key, password=no_password)


@contextmanager
def _readable(flag: str, file: Path, *, invalid: str, asked: Sequence[str] = ()) -> Iterator[None]:
    """Turn errors of a PEM file into `UsageError`; it is encrypted if something was `asked`."""
    hint, reason = "Name files in PEM form: a certificate, and its own private key.", ""
    if flag == "--ca-cert":
        hint = "Name a file of certificates in PEM form (-----BEGIN CERTIFICATE-----)."
    try:
        yield
    except ssl.SSLError:  # which is an OSError too
        reason = invalid
    except OSError as error:
        reason = error.strerror or "it can't be read"
    if asked:
        reason = "its key is encrypted"
        hint = "Decrypt a copy that only you can read: openssl pkey -in FILE -out KEY."
    if reason:
        raise UsageError(f"{flag} {file}: {reason}", hint=hint)


def _check_header(name: str, value: str) -> None:
    """Raise `UsageError` for a header that can't be sent; its value is not shown."""
    if not HEADER_NAME.fullmatch(name):
        raise UsageError("--header has an invalid name", hint="Write --header 'NAME: VALUE'.")
    if name.lower() in OWN_HEADERS:
        raise UsageError(f"the header {name} is bulkup's own", hint="Leave it out.")
    if name.lower() == "x-piwigo-api":
        raise UsageError(
            f"the header {name} is that of an API key",
            hint="Set BULKUP_API_KEY, or use --api-key-file.",
        )
    if not value or not value.isprintable():
        what = "contains unprintable characters" if value else "has no value"
        raise UsageError(
            f"the header {name} {what}", hint="Write --header 'NAME: VALUE', in quotes."
        )


DIRECT: Final = Transport()


class Response(aiohttp.ClientResponse):
    """An answer that remembers the TLS session of its connection."""

    tls: ssl.SSLObject | None = None

    async def start(self, connection: Any) -> aiohttp.ClientResponse:  # noqa: ANN401 (aiohttp's own)
        """Read the head of the answer."""
        if connection.transport is not None:
            self.tls = connection.transport.get_extra_info("ssl_object")
        return await super().start(connection)


class Connector(aiohttp.TCPConnector):
    """Connections, for which a silent proxy is not awaited forever."""

    async def _create_connection(self, req: Any, *args: Any) -> Any:  # noqa: ANN401 (aiohttp's own)
        *_, timeouts = args
        # aiohttp has no time limit for the answer to CONNECT
        async with asyncio.timeout(timeouts.sock_connect if req.proxy else None):
            return await super()._create_connection(req, *args)


async def connector_for(connections: int, transport: Transport = DIRECT) -> aiohttp.TCPConnector:
    """Return a connector for that many connections, to be closed by the caller.

    Raises `UsageError` if a file of certificates is unusable.
    """
    return Connector(
        limit=connections,
        keepalive_timeout=KEEPALIVE_S,
        socket_factory=_open_socket,
        ssl=await to_thread.run_sync(transport.context),
    )


def _open_socket(address: AddrInfoType) -> socket.socket:
    """Return a socket with a small send buffer, where the system supports that.

    Otherwise it could buffer a whole photo, and the speed of a slow connection would be unknown.
    """
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setblocking(False)
    if option := getattr(socket, "TCP_NOTSENT_LOWAT", None):
        opened.setsockopt(socket.IPPROTO_TCP, option, MAX_UNSENT)
    return opened


@contextmanager
def translated_errors(url: str, proxy: Proxy | None) -> Iterator[None]:
    """Translate aiohttp's exceptions, by whether the request may have been sent."""
    try:
        yield
    except aiohttp.ClientHttpProxyError as error:
        raise _proxy_refusal(error.status, url=url, proxy=proxy) from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise _connection_error(error, url=url, proxy=proxy) from None
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise RunError(run_failures.NO_ADDRESS(url=error)) from None
    except TimeoutError:
        raise TimedOut(server_failures.TIMED_OUT()) from None
    except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
        reason = _reason(error)
        if alert := CERTIFICATE_ALERT.search(reason):
            raise _certificate_refused(alert) from None
        raise AnswerLost(server_failures.BROKEN(reason=reason)) from None


def _connection_error(error: aiohttp.ClientError, *, url: str, proxy: Proxy | None) -> BulkupError:
    """Return why there is no connection to the server, or to the proxy."""
    reason = _reason(error)
    if proxy is not None and _is_at(error, proxy):
        return ProxyUnreachable(server_failures.PROXY_UNREACHABLE(proxy=proxy.url, reason=reason))
    if alert := CERTIFICATE_ALERT.search(reason):
        return _certificate_refused(alert)
    match error:
        case aiohttp.ClientConnectorSSLError():
            return TLSError(run_failures.UNSAFE(url=url, reason=reason))
        case aiohttp.ClientConnectorCertificateError():
            return TLSError(_certificate_failure(reason)(url=url, reason=reason))
        case aiohttp.ClientConnectorDNSError():
            return HostUnknown(server_failures.UNKNOWN_HOST(url=url, reason=reason))
    return Unreachable(server_failures.UNREACHABLE(url=url, reason=reason))


def _is_at(error: aiohttp.ClientError, proxy: Proxy) -> bool:
    """Return whether a connection failed at the proxy, or may have."""
    if not isinstance(error, aiohttp.ClientConnectorError):
        return True  # a time-out
    parts = urlsplit(proxy.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (error.host, error.port) == (parts.hostname, port)


def _proxy_refusal(status: int, *, url: str, proxy: Proxy | None) -> BulkupError:
    """Return the error for a proxy's answer to CONNECT: nothing was sent to the server."""
    if status == 407:
        return Blocked(run_failures.PROXY_PASSWORD())
    name = proxy.url if proxy else ""
    if status == 429 or status >= 500:
        reason = f"it does not reach {url} (HTTP {status})"
        return ProxyUnreachable(server_failures.PROXY_UNREACHABLE(proxy=name, reason=reason))
    return Blocked(run_failures.PROXY_REFUSED(proxy=name, url=url, status=status))


def _certificate_refused(alert: re.Match[str]) -> TLSError:
    said = alert[1].lower().replace("_", " ")
    return TLSError(run_failures.CLIENT_CERTIFICATE(said=said))


def _certificate_failure(reason: str) -> FailureKind:
    """Return why a certificate is not trusted, from OpenSSL's message."""
    lower = reason.lower()
    if "mismatch" in lower or "not valid for" in lower:
        return run_failures.OTHER_CERTIFICATE
    if "expired" in lower or "not yet valid" in lower:
        return run_failures.OLD_CERTIFICATE
    return run_failures.UNTRUSTED


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error.__cause__, ssl.SSLError):
        error = error.__cause__
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's
        return str(getattr(error, "verify_message", "")) or error.reason or "TLS failed"
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
