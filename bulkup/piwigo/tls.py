"""How a server's connection is encrypted: one handshake, and nothing said over it.

Knows sockets and certificates, and no HTTP.
"""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from anyio import to_thread

from bulkup.errors import Lost
from bulkup.failures import answers


@dataclass(frozen=True, slots=True)
class Tls:
    """What was agreed on: `version` such as `TLSv1.3`; the certificate ends at `until`.

    `until` is in seconds since 1970, None where the certificate does not say.
    """

    version: str
    until: float | None


async def shake_hands(url: str, *, timeout_s: float) -> Tls:
    """Return how the server encrypts, its certificate being trusted. Raises `Lost` if it fails."""
    parts = urlsplit(url)
    context = await to_thread.run_sync(ssl.create_default_context)  # reads the system's list
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 443, ssl=context
            )
    except (OSError, TimeoutError) as error:  # an ssl.SSLError is an OSError
        raise Lost(answers.HANDSHAKE(reason=error)) from None
    try:
        session = writer.get_extra_info("ssl_object")
        ends = (session.getpeercert() or {}).get("notAfter")
        return Tls(
            version=session.version() or "",
            until=ssl.cert_time_to_seconds(ends) if ends else None,
        )
    finally:
        writer.transport.abort()  # a server that does not say good-bye is not waited for
