"""Verifies how albums show their photos: the order and the cover that an upload would set."""

from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from bulkup.engine.arrange import COVER_NAMES, by_date, order_of
from bulkup.engine.arrangement import NOTHING, Arrangement, Marks
from bulkup.engine.ports import AlbumDisplay, AlbumPhoto, RunContext
from bulkup.errors import BulkupError, FailureMessage, RunError
from bulkup.errors import gallery as gallery_failures
from bulkup.events import ArrangementDiffers, Event, PhotoChecked


@dataclass(slots=True)
class Listing:
    """What a listing of an album showed.

    `swapped` are the first two photos in the wrong order. `first` and `newest` are what
    `--cover` would choose.
    """

    swapped: tuple[AlbumPhoto, AlbumPhoto] | None = None
    first: AlbumPhoto | None = None
    newest: AlbumPhoto | None = None


class ArrangementVerifier:
    """Notes the albums of photos that are present, and verifies their order and cover."""

    def __init__(
        self, arrangement: Arrangement, context: RunContext, *, marks: Marks | None = None
    ) -> None:
        self._wanted = arrangement != NOTHING
        self._sort = arrangement.sort
        self._cover = arrangement.cover
        self._context = context
        self._albums: set[int] = set()
        self._named: dict[int, set[int]] = {}
        self._marked: dict[int, set[int]] = {}
        self._ranks: dict[int, int] = {}
        self._marks = marks if self._wanted else None

    def emit(self, event: Event) -> None:
        """Pass an event on; note the albums, and the photos that may be their covers."""
        self._context.emit(event)
        if isinstance(event, PhotoChecked) and event.albums:
            self._albums.update(event.albums)
            if event.image_id and self._marks:
                rank, is_cover = self._marks(event.path)
                if rank is not None and self._sort == "table":
                    self._ranks[event.image_id] = rank
                for album in event.albums if is_cover else ():
                    self._marked.setdefault(album, set()).add(event.image_id)
            if event.image_id and event.path.stem.lower() in COVER_NAMES:
                self._named.setdefault(event.albums[0], set()).add(event.image_id)

    async def run(self) -> None:
        """Emit what differs. Raises `RunError`."""
        named = {**self._named, **self._marked}
        albums = named if self._sort == "none" and self._cover == "auto" else self._albums
        if not self._wanted or not albums:
            return
        try:
            displays = await self._context.recovery.run(self._context.gallery.album_displays)
        except RunError:
            raise
        except BulkupError as error:
            failure = gallery_failures.ALBUMS_UNCHECKED(reason=error.message, remedy=error.hint)
            self._report(None, failure)
            return
        for album in sorted(albums):
            if self._context.stop.wanted:
                return
            try:
                await self._verify(album, displays.get(album))
            except RunError:
                raise
            except BulkupError as error:
                failure = gallery_failures.ALBUM_UNCHECKED(
                    album=album, reason=error.message, remedy=error.hint
                )
                self._report(album, failure)

    async def _verify(self, album: int, display: AlbumDisplay | None) -> None:
        listing = Listing()
        if self._sort != "none" or self._cover in {"first", "newest"}:
            listing = await self._context.recovery.run(partial(self._listing, album))
        page = display.order_page if display else "its page in the administration"
        if self._sort != "none" and listing.swapped:
            first, second = (photo.file for photo in listing.swapped)
            kind = gallery_failures.UNSORTED
            if display and display.other_order:
                kind = gallery_failures.OTHER_ORDER
            failure = kind(
                album=album,
                sort=self._sort,
                order=display.other_order if display else "",
                first=first,
                second=second,
                page=page,
            )
            self._report(album, failure)
        named = self._marked.get(album) or self._named.get(album, set())
        wanted = named if self._cover == "auto" else set()
        chosen = {"first": listing.first, "newest": listing.newest}.get(self._cover)
        if chosen:
            wanted = {chosen.photo_id}
        cover = display.cover if display else 0
        if wanted and cover not in wanted:
            failure = gallery_failures.OTHER_COVER(
                album=album, cover=f"photo {cover}" if cover else "unknown", photo=min(wanted)
            )
            self._report(album, failure)

    async def _listing(self, album: int) -> Listing:
        """List an album as it is shown. Photos of one date may be in any order."""
        listing, last, last_key = Listing(), None, None
        key_of = order_of(self._sort, self._ranks)
        async with aclosing(self._context.gallery.album_photos(album)) as photos:
            async for photo in photos:
                key = (photo.date,) if self._sort == "date" else key_of(photo)
                if self._sort != "date" and len(key) > 1:
                    key = key[:-1]  # photos of one name may be in any order
                if last and last_key and key < last_key and not listing.swapped:
                    listing.swapped = last, photo
                last, last_key = photo, key
                if listing.first is None or key_of(photo) < key_of(listing.first):
                    listing.first = photo
                if listing.newest is None or by_date(photo) > by_date(listing.newest):
                    listing.newest = photo
        return listing

    def _report(self, album: int | None, failure: FailureMessage) -> None:
        self._context.emit(
            ArrangementDiffers(
                album=album, reason=failure.message, hint=failure.hint, code=failure.code
            )
        )
