"""What Piwigo shows of photos: their order in albums, covers, the caddie, searches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bulkup.piwigo.methods import MethodCaller
from bulkup.piwigo.protocol import Fields
from bulkup.piwigo.ranks import rank_photos

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


class Arranging(MethodCaller):
    """Sends the calls that arrange photos, all of which may be repeated."""

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
