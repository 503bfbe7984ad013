"""Which certificates are trusted, and how the server encrypts."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from anyio import to_thread

from bulkup.errors import AnswerLost, UsageError
from bulkup.errors import server as server_failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Which servers are believed: by the system's certificates, those of a file, or all.

    `ca_cert` is a file of certificates that count besides the system's; `insecure` believes any.
    """

    ca_cert: Path | None = None
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Return how to shake hands; this reads files. Raises `UsageError` where one is wrong."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if self.ca_cert is not None:
            try:
                context.load_verify_locations(self.ca_cert)
            except ssl.SSLError:  # which is an OSError too
                reason = "it holds no certificate"
            except OSError as error:
                reason = error.strerror or "it can't be read"
            else:
                reason = ""
            if reason:
                raise UsageError(
                    f"--ca-cert {self.ca_cert}: {reason}",
                    hint="Name a file of certificates in PEM form (-----BEGIN CERTIFICATE-----).",
                )
            # what somebody vouches for by hand need not be as strictly made as what the web trusts
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


SYSTEM = Trust()


@dataclass(frozen=True, slots=True)
class Tls:
    """What was agreed on: `version` such as `TLSv1.3`; the certificate ends at `until`.

    `until` is in seconds since 1970, None where the certificate does not say. `trusted` tells
    whether the certificate was looked at.
    """

    version: str
    until: float | None
    trusted: bool = True


async def handshake(url: str, *, timeout_s: float, trust: Trust = SYSTEM) -> Tls:
    """Return how the server encrypts. Raises `AnswerLost` if the handshake fails."""
    parts = urlsplit(url)
    context = await to_thread.run_sync(trust.context)
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 443, ssl=context
            )
    except (OSError, TimeoutError) as error:  # an ssl.SSLError is an OSError
        raise AnswerLost(server_failures.HANDSHAKE(reason=error)) from None
    try:
        session = writer.get_extra_info("ssl_object")
        ends = (session.getpeercert() or {}).get("notAfter")
        return Tls(
            version=session.version() or "",
            until=ssl.cert_time_to_seconds(ends) if ends else None,
            trusted=not trust.insecure,
        )
    finally:
        writer.transport.abort()  # a server that does not say good-bye is not waited for
