"""What Piwigo shows of photos: their order in albums, covers, the caddie, searches."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import Final

from bulkup.errors import NotOffered, Refused
from bulkup.errors import server as server_failures
from bulkup.piwigo import protocol
from bulkup.piwigo.protocol import Fields, Offer, Request
from bulkup.piwigo.ranks import rank_photos
from bulkup.piwigo.session import SessionPool

PAGE: Final = 500
"""Photos asked for at once: the most that Piwigo's default settings permit."""

BATCH: Final = 500
"""Photos that other requests name at once, for the same reason."""

BY_RANK: Final = ("rank", "`rank`")

MOST_SORTED: Final = 900
"""Albums that one request can put in order: PHP takes 1,000 values by default."""


@dataclass(frozen=True, slots=True)
class AlbumDisplay:
    """How an album is shown: its order as SQL (empty if unknown) and its cover (0 if unknown).

    `order_page` is the URL of the page that changes its order.
    """

    order: str
    cover: int
    order_page: str

    @property
    def by_rank(self) -> bool:
        """Whether the album itself is shown by rank, as far as known."""
        return self.order.lower().startswith(BY_RANK)

    @property
    def other_order(self) -> str:
        """The order, empty if that is by rank or unknown.

        Unknown is also `id ASC`: Piwigo reports it where the whole gallery is shown by rank.
        """
        return "" if self.by_rank or self.order.lower().startswith("id asc") else self.order


class Arranging:
    """Sends the calls that arrange photos, all of which may be repeated.

    They raise `NotOffered` where the server lacks the method.
    """

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

    async def set_order(
        self, photo_ids: Sequence[int], *, album: int, present: Sequence[int] = ()
    ) -> None:
        """Rank the photos of an album in this order; `present` is that by rank, if known."""
        await rank_photos(photo_ids, album=album, present=present, ask=self.ask)

    async def set_album_order(self, albums: Sequence[int]) -> None:
        """Put all albums of one parent into this order (`pwg.categories.setRank`).

        One request can do that only with all of them; of more than it can name, each is put in its
        place (source of Piwigo 13.8 and 16.4).
        """
        method = "pwg.categories.setRank"
        if len(albums) <= MOST_SORTED:
            await self.ask(method, tuple(("category_id[]", str(album)) for album in albums))
            return
        for rank, album in enumerate(albums, start=1):
            await self.ask(method, (("category_id", str(album)), ("rank", str(rank))))

    async def set_cover(self, photo_id: int, *, album: int) -> None:
        """Make a photo the representative of an album."""
        fields = (("category_id", str(album)), ("image_id", str(photo_id)))
        await self.ask("pwg.categories.setRepresentative", fields)

    async def add_to_caddie(self, photo_ids: Sequence[int]) -> None:
        """Add photos to the caddie, which ignores those that it has."""
        await self.ask_for_all("pwg.caddie.add", photo_ids)

    async def album_displays(self) -> dict[int, AlbumDisplay]:
        """Return how each album is shown, by one request; orders are known from Piwigo 14 on.

        No method can change an order.
        """
        return {
            row.album_id: AlbumDisplay(row.order, row.cover, self._order_page(row.album_id))
            for row in await self.visible_albums()
        }

    async def visible_albums(self) -> list[protocol.AlbumRow]:
        """Return the albums that the account sees, with their covers."""
        answer = await self.ask("pwg.categories.getList", (("recursive", "true"),))
        return protocol.read_albums(answer)

    def _order_page(self, album: int) -> str:
        return f"{self.offer.url}admin.php?page=album-{album}-sort_order"

    async def link_to_new(self, albums: Sequence[int]) -> str:
        """Return the URL of a search for photos added in the last day, empty if unknown.

        It is limited to these albums, if there are any. From Piwigo 14 on.
        """
        posted = "date_posted" if self.offer.major < 15 else "date_posted_preset"
        fields: Fields = (
            *(("categories[]", str(album)) for album in albums),
            (posted, "24h"),
        )
        match await self.ask("pwg.images.filteredSearch.create", fields):
            case {"search_url": str(url)}:
                return url
        return ""


def _ids(photo_ids: Sequence[int]) -> Fields:
    return tuple(("image_id[]", str(photo_id)) for photo_id in photo_ids)
