"""Arranges what a run has brought: the order of albums, their covers, the caddie, and a link.

All of it is done once the photos are confirmed, and is worth no failure: what does not succeed is
reported, and can be done in the gallery.
"""

import re
import unicodedata
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from bulkup.engine.albums import Albums
from bulkup.engine.arrange_options import NOTHING, Arrangement, Sort
from bulkup.engine.context import RunContext
from bulkup.engine.gallery_port import AlbumDisplay, AlbumPhoto, GalleryWriter
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Unarranged
from bulkup.engine.members import IdSet
from bulkup.engine.retry import Recovery
from bulkup.errors import BulkupError, Transient, count_text
from bulkup.events import Event, Noticed, PhotoPresent, PhotoUploaded

T = TypeVar("T")

COVER_NAMES: Final = frozenset({"cover", "folder"})
"""Stems of photos that many programs use as the cover of their folder."""

NAMED: Final = 5
MOST_LINKED: Final = 50
"""Albums that a search can be limited to: each is a parameter of the request."""

NOTHING_SORTED: Final = "nothing was sorted: no album got photos"
NOTHING_SORTED_HINT: Final = "--sort sorts only albums that get photos in the same run."


Marks = Callable[[Path], tuple[int | None, bool]]
"""Returns the rank that a table gives a photo, and whether it marks it as a cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumModel:
    """How an album, 0 for the top level, is shown elsewhere; empty and 0 leave it as it is.

    `photos` returns its photos in their order; may be repeated. `albums` are those inside it, in
    theirs.
    """

    album: int
    photos: Callable[[], Awaitable[Sequence[int]]]
    cover: int = 0
    albums: Sequence[int] = ()


Models = Callable[[], Iterable[AlbumModel]]
"""Returns how the albums of a run are to be shown, at its end."""


class Arranger:
    """Notes the photos of a run, and arranges them at its end, or as `models` show them.

    Photos of an earlier run that did not get that far are arranged, too, if this run meets them.
    """

    def __init__(
        self,
        arrangement: Arrangement,
        context: RunContext,
        *,
        marks: Marks | None = None,
        models: Models | None = None,
    ) -> None:
        self._arrangement = arrangement
        self._models = models
        self._marks = None if arrangement == NOTHING else marks
        self._ranks: dict[int, int] = {}
        self._marked: dict[int, int] = {}
        self._gallery: GalleryWriter = context.gallery
        self._recovery: Recovery = context.recovery
        self._emit = context.emit
        self._ledger = context.ledger
        self._stop = context.stop
        self._uploaded = IdSet()
        self._added = IdSet()
        self._albums: set[int] = set()
        self._ranked: set[int] = set()
        self._displays: Mapping[int, AlbumDisplay] = {}
        self._covers: list[tuple[Path, int]] = []
        self._failures: dict[str, tuple[int, str]] = {}
        self._again = False

    def arrived(self, job: Job, photo_id: int | None) -> None:
        """Note a photo that an earlier run has left to be arranged."""
        if job.unarranged and photo_id:
            sent = job.unarranged is Unarranged.SENT
            self._note(job.photo.path, photo_id, albums=job.wanted, sent=sent)

    def emit(self, event: Event) -> None:
        """Pass an event on; note which albums got photos, and which of these may be covers."""
        self._emit(event)
        if not (isinstance(event, PhotoUploaded | PhotoPresent) and event.image_id):
            return
        if self._marks and self._arrangement.sort == "table":
            rank, _ = self._marks(event.path)
            if rank is not None:
                self._ranks[event.image_id] = rank
        sent = isinstance(event, PhotoUploaded) and not event.replaced
        if sent or (isinstance(event, PhotoPresent) and event.linked):
            self._note(event.path, event.image_id, albums=event.albums, sent=sent)

    def _note(self, path: Path, photo_id: int, *, albums: Collection[int], sent: bool) -> None:
        """Note that albums got a photo, which may be their cover."""
        (self._uploaded if sent else self._added).add(photo_id)
        self._albums.update(albums)
        if self._marks and self._marks(path)[1]:
            for album in albums:
                self._marked.setdefault(album, photo_id)
        if path.stem.lower() in COVER_NAMES:
            self._covers.append((path, photo_id))

    async def run(
        self,
        *,
        album_of: Callable[[Path], Awaitable[int]],
        albums: Albums,
    ) -> None:
        """Arrange the albums and photos; emit a notice for what fails.

        `album_of` returns the album of a file's folder; `albums` are those of the run. What is
        worth another try is left to the next run.
        """
        if self._arrangement != NOTHING or self._models is not None:
            await self._arrange_all(album_of, albums)
        # ranks of a table are known only of the photos that a stopped run has met
        if not (self._again or (self._stop.wanted and self._arrangement.sort == "table")):
            photos = chain(self._uploaded, self._added)
            await self._ledger.arranged(photos, albums.made_keys())

    async def _arrange_all(
        self, album_of: Callable[[Path], Awaitable[int]], albums: Albums
    ) -> None:
        in_order: dict[int, Sequence[int]] = {}
        if self._models is not None:
            in_order = await self._follow(self._models(), albums.made)
        if self._albums and self._arrangement.sort != "none":
            with suppress(BulkupError):
                self._displays = await self._recovery.run(self._gallery.album_displays)
        covers = await self._covers_by_album(album_of) if self._arrangement.cover == "auto" else {}
        for album in sorted(self._albums):
            await self._arrange(album, covers.get(album))
        if albums.made and (in_order or self._arrangement.sort != "none"):
            sort = partial(self._sort_albums, albums, in_order)
            await self._try("the order of new albums", sort)
        if self._arrangement.caddie:
            await self._try("the caddie", partial(self._gallery.add_to_caddie, [*self._uploaded]))
        for what, (times, reason) in self._failures.items():
            of_albums = "" if times == 1 else f" of {times:,} albums"
            self._emit(
                Noticed(
                    message=f"{what}{of_albums} could not be set: {reason}",
                    hint="Run the same command again, or set it in the gallery."
                    if self._again
                    else "Set it in the gallery.",
                )
            )
        if self._ranked:
            self._report_other_orders()
        elif self._arrangement.sort != "none":
            self._emit(Noticed(message=NOTHING_SORTED, hint=NOTHING_SORTED_HINT))
        if self._arrangement.link and self._uploaded.least is not None:
            await self._link()

    async def _covers_by_album(self, album_of: Callable[[Path], Awaitable[int]]) -> dict[int, int]:
        covers: dict[int, int] = {}
        for path, photo_id in self._covers:
            with suppress(BulkupError):
                covers.setdefault(await album_of(path), photo_id)
        return covers | self._marked

    async def _arrange(self, album: int, chosen: int | None) -> None:
        """Sort an album and set its cover, `chosen` if that is given."""
        sort, cover = self._arrangement.sort, self._arrangement.cover
        if sort != "none" or cover in {"first", "newest"}:
            photos = await self._try("the order", partial(self._listed, album))
            if not photos:
                return
            in_order = sorted(photos, key=order_of(sort, self._ranks))
            ids = [photo.photo_id for photo in in_order]
            if sort != "none":
                await self._rank(ids, album, shown=[photo.photo_id for photo in photos])
            if cover == "first":
                chosen = ids[0]
            elif cover == "newest":
                chosen = max(photos, key=by_date).photo_id
        if chosen is not None:
            await self._try("the cover", partial(self._gallery.set_cover, chosen, album=album))

    async def _rank(self, photos: Sequence[int], album: int, *, shown: Sequence[int] = ()) -> None:
        """Rank the photos of an album; `shown` is the order in which it shows them, if known."""
        self._ranked.add(album)
        display = self._displays.get(album)
        present = shown if display and display.by_rank else ()
        if present != photos:
            set_order = partial(self._gallery.set_order, photos, album=album, present=present)
            await self._try("the order", set_order)

    async def _follow(
        self, models: Iterable[AlbumModel], made: AbstractSet[int]
    ) -> dict[int, Sequence[int]]:
        """Give albums the order and the covers of models; return the order of new albums."""
        in_order: dict[int, Sequence[int]] = {}
        self._displays = await self._try("the covers", self._gallery.album_displays) or {}
        for model in models:
            photos = await self._try("the order", model.photos)
            if photos and len(photos) > 1:
                await self._rank(photos, model.album)
            there = self._displays.get(model.album)
            if model.cover and not (there and there.cover == model.cover):
                set_cover = partial(self._gallery.set_cover, model.cover, album=model.album)
                await self._try("the cover", set_cover)
            if not made.isdisjoint(model.albums):
                in_order[model.album] = model.albums
        return in_order

    async def _sort_albums(self, albums: Albums, in_order: Mapping[int, Sequence[int]]) -> None:
        """Put new albums in order, after the others.

        Without an order for any parent, put each before the first one of the run that follows it
        by name.
        """
        siblings: dict[int, list[int]] = {}
        for album in await self._gallery.albums():
            siblings.setdefault(album.parent, []).append(album.album_id)
        for parent, names in albums.used.items():
            there = siblings.get(parent, [])
            wanted = placed(there, names, new=albums.made)
            if in_order:
                last = [album for album in in_order.get(parent, ()) if album in there]
                wanted = [album for album in there if album not in last] + last
            if wanted != there:
                await self._gallery.set_album_order(wanted)

    async def _listed(self, album: int) -> list[AlbumPhoto]:
        return [photo async for photo in self._gallery.album_photos(album)]

    async def _try(self, what: str, step: Callable[[], Awaitable[T]]) -> T | None:
        """Carry out a step and return its result, None if it fails."""
        try:
            return await self._recovery.run(step)
        except BulkupError as error:
            self._again = self._again or isinstance(error, Transient)
            times, _ = self._failures.get(what, (0, ""))
            self._failures[what] = times + 1, error.message
            return None

    def _report_other_orders(self) -> None:
        """Emit a notice of the albums that do not show their photos by rank."""
        pages = [
            display.order_page
            for album in sorted(self._ranked)
            if (display := self._displays.get(album)) and display.other_order
        ]
        if pages:
            more = f" and {len(pages) - NAMED:,} more" if len(pages) > NAMED else ""
            albums = count_text(len(pages), "album does", "albums do")
            below = "" if len(pages) == 1 else " (perhaps with “Apply to sub-albums”)"
            self._emit(
                Noticed(
                    message=f"{albums} not show the photos in the order that was set",
                    hint=f"Choose “Manual order”{below} for: " + " ".join(pages[:NAMED]) + more,
                )
            )

    async def _link(self) -> None:
        """Emit a link to the new photos."""
        albums = sorted(self._albums) if len(self._albums) <= MOST_LINKED else []
        try:
            url = await self._recovery.run(lambda: self._gallery.link_to_new(albums))
        except BulkupError as error:
            self._emit(
                Noticed(
                    message=f"there is no link to the new photos: {error.message}",
                    hint="Searches that show them take Piwigo 14 or later.",
                )
            )
            return
        if url:
            self._emit(
                Noticed(
                    message=f"the new photos: {url}",
                    hint="The search shows what was added in the last 24 hours.",
                )
            )


def placed(there: Sequence[int], names: Mapping[int, str], *, new: Collection[int]) -> list[int]:
    """Return the order of albums with the new ones sorted by name into those that have `names`.

    The others keep their order.
    """
    keys = {album: natural(name) for album, name in names.items()}
    waiting = sorted(
        (album for album in there if album in new), key=keys.__getitem__, reverse=True
    )
    in_order: list[int] = []
    end = 0
    for album in there:
        if album in new:
            continue
        while album in keys and waiting and keys[waiting[-1]] < keys[album]:
            in_order.append(waiting.pop())
        in_order.append(album)
        end = len(in_order) if album in keys else end
    end = end or len(in_order)
    return [*in_order[:end], *reversed(waiting), *in_order[end:]]


def by_name(photo: AlbumPhoto) -> tuple[object, ...]:
    """Return a key that sorts 2.jpg before 10.jpg."""
    return *natural(photo.file), photo.photo_id


def natural(name: str) -> list[str]:
    """Return a key that sorts 2 before 10."""
    parts = re.split(r"([0-9]{1,18})", unicodedata.normalize("NFKD", name).casefold())
    parts[1::2] = [f"{int(digits):018}" for digits in parts[1::2]]
    return parts


def by_date(photo: AlbumPhoto) -> tuple[object, ...]:
    """Return a key that sorts by date, then by name."""
    return photo.date, *by_name(photo)


def order_of(sort: Sort, ranks: Mapping[int, int]) -> Callable[[AlbumPhoto], tuple[object, ...]]:
    """Return the key to sort photos by; those without a rank stay in their order, at the end."""

    def by_rank(photo: AlbumPhoto) -> tuple[object, ...]:
        rank = ranks.get(photo.photo_id)
        return (1,) if rank is None else (0, rank, *by_name(photo))

    return {"date": by_date, "table": by_rank}.get(sort, by_name)
