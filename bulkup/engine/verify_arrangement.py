"""Verifies how albums are shown: their order, that of their photos, their covers, and to whom."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from bulkup.engine.arrange import COVER_NAMES, Marks, by_date, natural, order_of
from bulkup.engine.arrange_options import NOTHING, Arrangement
from bulkup.engine.context import RunContext
from bulkup.engine.gallery_port import Access, AlbumDisplay, AlbumInfo, AlbumPhoto
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
    """Notes the albums of photos that are present, and verifies how they are shown.

    With `private` they must be, and be seen by those who get the `access` of an upload alone.
    """

    def __init__(
        self,
        arrangement: Arrangement,
        context: RunContext,
        *,
        marks: Marks | None = None,
        private: bool = False,
        access: Access | None = None,
    ) -> None:
        self._sort = arrangement.sort
        self._cover = arrangement.cover
        self._context = context
        self._private = private
        self._access = access
        self._albums: set[int] = set()
        self._named: dict[int, set[int]] = {}
        self._marked: dict[int, set[int]] = {}
        self._ranks: dict[int, int] = {}
        self._marks = None if arrangement == NOTHING else marks

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

    async def run(self, used: Mapping[int, Mapping[int, str]]) -> None:
        """Emit what differs; `used` has the names of the folders' albums, by parent and id.

        Raises `RunError`.
        """
        run, gallery = self._context.recovery.run, self._context.gallery
        named = {**self._named, **self._marked}
        sorts = self._sort != "none"
        shown = self._albums if sorts or self._cover in {"first", "newest"} else set(named)
        shown = set() if self._cover == "none" and not sorts else shown
        displays: Mapping[int, AlbumDisplay] = {}
        listed: Sequence[AlbumInfo] = ()
        try:
            if self._albums and (self._private or sorts):
                listed = await run(gallery.albums)
            if self._albums and self._access:
                await run(self._access.load)
            if shown:
                displays = await run(gallery.album_displays)
        except RunError:
            raise
        except BulkupError as error:
            self._report(
                None, gallery_failures.ALBUMS_UNCHECKED(reason=error.message, remedy=error.hint)
            )
            return
        if self._private:
            self._verify_privacy({album.album_id: album for album in listed})
        if sorts:
            self._verify_album_order(listed, used)
        for album in sorted(shown):
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

    def _verify_privacy(self, albums: Mapping[int, AlbumInfo]) -> None:
        """Report albums that are public, or that others see than those who should."""
        access, private = self._access, set[int]()
        for album in sorted(self._albums & albums.keys()):
            if not albums[album].private:
                self._report(album, gallery_failures.PUBLIC_ALBUM(album=album))
            elif access and (names := access.strangers(album)):
                self._report(
                    album, gallery_failures.OTHER_ACCESS(album=album, names=", ".join(names))
                )
            while album in albums and album not in private:  # one is seen with all above it alone
                if albums[album].private:
                    private.add(album)
                album = albums[album].parent  # noqa: PLW2901
        for album in sorted(private) if access else ():
            if access and (names := access.missing(album)):
                self._report(
                    album, gallery_failures.NO_ACCESS(album=album, names=", ".join(names))
                )

    def _verify_album_order(
        self, albums: Sequence[AlbumInfo], used: Mapping[int, Mapping[int, str]]
    ) -> None:
        """Report folders' albums that are not sorted by name, the first two of each parent."""
        last: dict[int, str] = {}
        reported: set[int] = set()
        for album in albums:
            parent = album.parent
            name = used.get(parent, {}).get(album.album_id)
            if name is None or parent in reported:
                continue
            if parent in last and natural(name) < natural(last[parent]):
                reported.add(parent)
                where = f"of album {parent}" if parent else "at the top level"
                self._report(
                    parent or None,
                    gallery_failures.ALBUMS_UNSORTED(where=where, first=last[parent], second=name),
                )
            last[parent] = name

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
