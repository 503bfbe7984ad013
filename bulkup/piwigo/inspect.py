"""Requests of the doctor only: size limits, TLS, versions, and what an account may do."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractStreamWriter
from anyio import to_thread

from bulkup.errors import AnswerLost, NotOffered, PhotoCorrupted, PhotoError, PhotoGone, RunError
from bulkup.errors import server as server_failures
from bulkup.piwigo.census import Census
from bulkup.piwigo.client import Catalogue, Offer
from bulkup.piwigo.connect import DEFAULT_CHUNK, choose_method, connector_for, find_base
from bulkup.piwigo.multipart import PART, Form, StreamedPayload
from bulkup.piwigo.protocol import Request, Status, interpret, read_methods
from bulkup.piwigo.session import SYSTEM, Credentials, Session, SessionPool, Timeouts, Trust

METHOD: Final = "pwg.images.addSimple"

NO_PHOTO: Final = 2**31 - 1
"""No photo has this number: Piwigo's end at 2^24 - 1 (`mediumint unsigned`)."""


class Filler(StreamedPayload):
    """Random bytes, which are no picture."""

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the bytes."""
        piece, left = os.urandom(PART), self._size
        while left:
            await writer.write(piece[:left])
            left -= min(left, PART)


async def send_file(pool: SessionPool, size: int) -> None:
    """Send a file of so many bytes, of which nothing stays.

    Raises `TooLarge` where it is over one of the server's limits, and what `SessionPool.send`
    raises.
    """
    form = Form((("method", METHOD), ("image_id", str(NO_PHOTO))))
    form.add("image", Filler(size), filename="bulkup-probe")
    try:
        async with pool.lease() as session:
            await pool.send_form(form, session)
    except (
        PhotoGone,
        PhotoCorrupted,
    ):  # what else is refused for its type has come through as well
        return


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


METHODS: Final = ("async", "upload", "legacy")
NO_MD5: Final = "0" * 32
IMPATIENT: Final = Timeouts(connect_s=10.0, idle_s=30.0)


class Survey:
    """A gallery that is looked at, first as a guest, then logged in.

    `find` comes first, `log_in` before `offer`, and that before everything that takes an offer.
    """

    def __init__(
        self,
        url: str,
        *,
        pool: SessionPool,
        guest: Session,
        timeouts: Timeouts,
        trust: Trust = SYSTEM,
    ) -> None:
        self.url = url
        self._pool = pool
        self._guest = guest
        self._timeouts = timeouts
        self._trust = trust

    async def find(self) -> str:
        """Return the address under which the gallery answers, and go on with that one.

        Raises as `find_base` does, `TLSError` where no safe connection comes about.
        """
        self.url = self._pool.url = self._guest.url = await find_base(self._guest, self.url)
        return self.url

    async def encryption(self) -> Tls | None:
        """Return how the connection is encrypted, None where it is not. Raises `AnswerLost`."""
        if urlsplit(self.url).scheme != "https":
            return None
        return await handshake(self.url, timeout_s=self._timeouts.connect_s, trust=self._trust)

    async def version(self) -> str:
        """Return the version of Piwigo, empty if it is not told: the cheapest question."""
        url = f"{self.url}ws.php?format=json&method=pwg.getVersion"
        try:
            result = interpret(await self._guest.get(url))
        except (NotOffered, PhotoError):
            return ""
        return result if isinstance(result, str) else ""

    async def log_in(self) -> Status:
        """Return what the server then tells. Raises as `SessionPool.log_in` does."""
        async with self._pool.lease() as session:
            return await self._pool.log_in(session)

    async def offer(self, status: Status) -> Offer:
        """Return what the server says of itself."""
        try:
            methods = read_methods(await self._pool.call(Request("reflection.getMethodList")))
        except (NotOffered, PhotoError):
            methods = frozenset()
        return Offer(
            url=self.url,
            version=status.version,
            user=status.user,
            methods=methods,
            endings=status.endings,
            chunk_size=status.chunk_size or DEFAULT_CHUNK,
        )

    def catalogue(self, offer: Offer) -> Catalogue:
        """Return what to ask about photos and albums."""
        return Catalogue(self._pool, offer=offer)

    async def finds_by_md5(self, offer: Offer) -> bool:
        """Tell whether the gallery answers which MD5s it has."""
        return NO_MD5 in await self.catalogue(offer).find([NO_MD5])

    def can_send_file(self, offer: Offer) -> bool:
        """Tell whether `send_file` is possible here."""
        return METHOD in offer.methods

    async def workers(self, most: int) -> int | None:
        """Return how many PHP workers are proven, up to `most`; None where it can't be told.

        Nothing else is asked meanwhile. Raises as `Census.count` does.
        """
        return await Census(self._pool).count(most)

    async def send_file(self, size: int) -> None:
        """Send a file of so many bytes, of which nothing stays. Raises as `probe` does."""
        await send_file(self._pool, size)


def offered_methods(offer: Offer) -> tuple[str, ...]:
    """Return the names of the offered_methods to upload that are offered, the best first."""
    names = []
    for name in METHODS:
        try:
            names.append(choose_method(name, offer=offer, user=offer.user).name)
        except RunError:
            continue
    return tuple(names)


@asynccontextmanager
async def open_survey(
    url: str,
    *,
    credentials: Credentials,
    timeouts: Timeouts = IMPATIENT,
    connections: int = 16,
    trust: Trust = SYSTEM,
) -> AsyncIterator[Survey]:
    """Lend the gallery at `url` to be looked at; nothing is asked yet. Log out at the end."""
    async with await connector_for(connections, trust) as connector:
        pool = SessionPool(url, credentials=credentials, connector=connector, timeouts=timeouts)
        guest = Session(url, connector=connector, timeouts=timeouts)
        try:
            yield Survey(url, pool=pool, guest=guest, timeouts=timeouts, trust=trust)
        finally:
            await pool.close()
            await guest.close()
