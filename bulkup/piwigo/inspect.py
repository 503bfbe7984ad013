"""Requests that only the doctor makes: size limits, TLS, versions, the account's permissions."""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractStreamWriter

from bulkup.errors import NotOffered, PhotoCorrupted, PhotoError, PhotoGone, RunError
from bulkup.piwigo.client import Catalogue
from bulkup.piwigo.community import STATUS, Community, find_community
from bulkup.piwigo.connect import choose_method, fetch_offer, find_base
from bulkup.piwigo.multipart import PART, Form, StreamedPayload
from bulkup.piwigo.protocol import (
    Offer,
    Request,
    Status,
    interpret,
    read_md5s_set,
    read_members,
    read_real_status,
)
from bulkup.piwigo.session import Credentials, Session, SessionPool, Timeouts
from bulkup.piwigo.transport import DIRECT, Transport, connector_for
from bulkup.piwigo.workers import WorkerCounter

METHOD: Final = "pwg.images.addSimple"

LAST_PHOTO: Final = 2**24 - 1
"""The highest id of a photo: the column is a `mediumint unsigned` (source of Piwigo 13 to 17)."""

NO_PHOTO: Final = 2**31 - 1
"""No photo has this id."""


class Filler(StreamedPayload):
    """Random bytes, which are not a picture."""

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the bytes."""
        piece, left = os.urandom(PART), self._size
        while left:
            await writer.write(piece[:left])
            left -= min(left, PART)


@dataclass(frozen=True, slots=True)
class Tls:
    """A negotiated TLS connection: `version` such as `TLSv1.3`.

    The certificate expires at `until`, in seconds since 1970, None if unknown. `trusted` is
    whether the certificate was verified.
    """

    version: str
    until: float | None
    trusted: bool = True


METHODS: Final = ("async", "upload", "legacy")
NO_MD5: Final = "0" * 32
CONNECTIONS: Final = 16
IMPATIENT: Final = Timeouts(connect_s=10.0, idle_s=30.0)


class Survey:
    """A gallery under inspection, first as a guest, then logged in.

    Call `find` first, `log_in` before `offer`, and that before everything that takes an offer.
    """

    def __init__(
        self,
        url: str,
        *,
        pool: SessionPool,
        guest: Session,
        transport: Transport = DIRECT,
    ) -> None:
        self.url = url
        self._pool = pool
        self._guest = guest
        self._transport = transport
        self.community: Community | None = None

    async def find(self) -> str:
        """Find the gallery's address, use it from now on, and return it.

        Raises as `find_base` does, and `TLSError` if no secure connection is possible.
        """
        self.url = self._pool.url = self._guest.url = await find_base(self._guest, self.url)
        return self.url

    @property
    def proxy(self) -> str:
        """The URL of the proxy in between, without its credentials; empty for none."""
        proxy = self._transport.proxy_to(self.url)
        return proxy.url if proxy else ""

    def encryption(self) -> Tls | None:
        """Return the TLS parameters of the last request, None without TLS."""
        tls = self._guest.tls
        if tls is None or urlsplit(self.url).scheme != "https":
            return None
        ends = (tls.getpeercert() or {}).get("notAfter")
        return Tls(
            version=tls.version() or "",
            until=ssl.cert_time_to_seconds(str(ends)) if ends else None,
            trusted=not self._transport.insecure,
        )

    async def version(self) -> str:
        """Return the version of Piwigo, empty if unknown; this is the cheapest request."""
        url = f"{self.url}ws.php?format=json&method=pwg.getVersion"
        try:
            result = interpret(await self._guest.get(url))
        except (NotOffered, PhotoError):
            return ""
        return result if isinstance(result, str) else ""

    async def log_in(self) -> Status:
        """Log in and return the session's status. Raises as `SessionPool.log_in` does."""
        async with self._pool.lease() as session:
            return await self._pool.log_in(session)

    async def real_status(self) -> str:
        """Return the account's status as the Community plugin tells it, empty without it."""
        try:
            return read_real_status(await self._pool.call(Request(STATUS)))
        except (NotOffered, PhotoError):
            return ""

    async def offer(self, status: Status) -> Offer:
        """Return what the server offers, and set `community`. Raises `Transient`."""
        offer = await fetch_offer(self._pool, status)
        self.community = await find_community(self._pool, offer)
        return offer

    def catalogue(self, offer: Offer) -> Catalogue:
        """Return the gallery's photos and albums."""
        return Catalogue(self._pool, offer=offer, community=self.community)

    async def finds_by_md5(self, offer: Offer) -> bool:
        """Return whether the gallery finds photos by their MD5."""
        return NO_MD5 in await self.catalogue(offer).find([NO_MD5])

    async def sample(self, offer: Offer, count: int) -> list[int]:
        """Return the ids of up to `count` photos in albums, which the server draws at random."""
        fields = (("recursive", "true"), ("per_page", str(count)), ("order", "random"))
        answer = await self.catalogue(offer).ask("pwg.categories.getImages", fields)
        return [photo.photo_id for photo in read_members(answer)[0]]

    async def fill_md5s(self, offer: Offer, count: int) -> tuple[int, int]:
        """Let the server compute the MD5 of up to `count` photos; return how many, and the rest.

        With 0 it changes nothing, and dies if a photo has none (seen on Piwigo 15.3 and 16.4).
        """
        fields = (("block_size", str(count)),)
        ask = self.catalogue(offer).ask
        return read_md5s_set(await ask("pwg.images.setMd5sum", fields, token=True))

    def can_send_file(self, offer: Offer) -> bool:
        """Return whether `send_file` is possible."""
        return METHOD in offer.methods

    async def workers(self, most: int) -> int | None:
        """Return the proven number of PHP workers, up to `most`, or None if unknown.

        Nothing else may be sent meanwhile.
        """
        return await WorkerCounter(self._pool).count(most)

    async def send_file(self, size: int) -> None:
        """Send a file of `size` bytes that the server discards.

        Raises `TooLarge` if it exceeds a limit of the server, and what `SessionPool.send` raises.
        """
        form = Form((("method", METHOD), ("image_id", str(NO_PHOTO))))
        form.add("image", Filler(size), filename="bulkup-probe")
        try:
            async with self._pool.lease() as session:
                await self._pool.send_form(form, session, method=METHOD)
        except (PhotoGone, PhotoCorrupted):  # refused for its content, so received as a whole
            return


def offered_methods(offer: Offer) -> tuple[str, ...]:
    """Return the names of the upload methods that the server offers, the best first."""
    names = []
    for name in METHODS:
        try:
            names.append(choose_method(name, offer=offer, user=offer.user).name)
        except RunError:
            continue
    return tuple(names)


@asynccontextmanager
async def open_survey(
    url: str, *, credentials: Credentials, transport: Transport = DIRECT
) -> AsyncIterator[Survey]:
    """Provide the gallery at `url` for inspection, without a request; log out at the end."""
    async with await connector_for(CONNECTIONS, transport) as connector:
        pool = SessionPool(
            url,
            credentials=credentials,
            connector=connector,
            timeouts=IMPATIENT,
            transport=transport,
        )
        guest = Session(url, connector=connector, timeouts=IMPATIENT, transport=transport)
        try:
            yield Survey(url, pool=pool, guest=guest, transport=transport)
        finally:
            await pool.close()
            await guest.close()
