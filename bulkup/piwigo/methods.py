"""Calls the methods of a gallery's web service that it offers."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import count
from typing import Final

from bulkup.errors import NotOffered, Refused
from bulkup.errors import server as server_failures
from bulkup.piwigo import protocol
from bulkup.piwigo.protocol import Fields, Offer, Request
from bulkup.piwigo.session import SessionPool

PAGE: Final = 500
"""Photos asked for at once: the most that Piwigo's default settings permit."""

BATCH: Final = 500
"""Photos that other requests name at once, for the same reason."""


class MethodCaller:
    """Calls methods, and raises `NotOffered` where the server lacks one."""

    def __init__(self, pool: SessionPool, *, offer: Offer) -> None:
        self.offer = offer
        self._pool = pool

    async def ask(self, method: str, fields: Fields, *, token: bool = False) -> object:
        """Send a request and return its result. Raises `NotOffered` for an unlisted method."""
        if method not in self.offer.methods:
            raise NotOffered(server_failures.NOT_OFFERED(method=method))
        return await self._call_known(Request(method, fields, token=token))

    async def _call_known(self, request: Request) -> object:
        """Send a request for a method that the server has; return its result.

        An answer that there is no such method will pass: it is raised as `Refused`.
        """
        try:
            return await self._pool.call(request)
        except NotOffered as error:
            raise Refused(error.failure) from None

    async def ask_for_all(
        self, method: str, photo_ids: Sequence[int], fields: Fields = (), *, token: bool = False
    ) -> None:
        """Send as many requests as it takes to name all these photos."""
        for start in range(0, len(photo_ids), BATCH):
            batch = photo_ids[start : start + BATCH]
            await self.ask(method, (*_ids(batch), *fields), token=token)

    async def photo_pages(
        self, album: int, *, order: str = ""
    ) -> AsyncGenerator[list[protocol.AlbumPhoto], None]:
        """Yield the photos that an album shows, page by page; those in the lounge are not shown.

        Without `order`, they come in the album's own order.
        """
        last: list[protocol.AlbumPhoto] = []
        for page in count():
            fields: Fields = (
                ("cat_id", str(album)),
                ("per_page", str(PAGE)),
                ("page", str(page)),
            )
            if order:
                fields += (("order", order),)
            photos, per_page = protocol.read_members(
                await self.ask("pwg.categories.getImages", fields)
            )
            if photos == last:
                return  # the server ignores `page`
            yield photos
            if len(photos) < (per_page or PAGE):
                return
            last = photos

    async def album_photos(self, album: int) -> AsyncGenerator[protocol.AlbumPhoto, None]:
        """Yield the photos that an album shows, in its own order."""
        async with aclosing(self.photo_pages(album)) as pages:
            async for photos in pages:
                for photo in photos:
                    yield photo

    async def identity(self, photo_id: int) -> protocol.Identity:
        """Return MD5, privacy level and file name of a photo.

        Raises `PhotoGone` if there is no such photo, or it is not visible, and `NotOffered` if the
        server can't tell.
        """
        fields = (("image_id", str(photo_id)),)
        return protocol.read_identity(await self.ask("pwg.images.getInfo", fields))

    async def visible_albums(self) -> list[protocol.AlbumRow]:
        """Return the albums that the account sees, with their covers."""
        answer = await self.ask("pwg.categories.getList", (("recursive", "true"),))
        return protocol.read_albums(answer)


def _ids(photo_ids: Sequence[int]) -> Fields:
    return tuple(("image_id[]", str(photo_id)) for photo_id in photo_ids)
