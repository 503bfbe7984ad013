"""Which photos are in an album, as sets of ids that take little memory."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Final

from bulkup.engine.gallery_port import GalleryReader
from bulkup.errors import NotOffered

KEPT_SIZE: Final = 32 * 1024**2
"""Bytes of memory for the members of albums."""

PAGE: Final = 256
"""Bytes of a page of ids."""

MEMBERS_SIZE: Final = 1024
"""Bytes that the members of an album take besides their ids, roughly."""


class IdSet:
    """A set of photo ids, one bit each, in pages: there may be millions in a row."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self.least: int | None = None

    @property
    def size(self) -> int:
        """The bytes that it takes, roughly."""
        return len(self._pages) * (PAGE + PAGE // 2)

    def add(self, number: int) -> None:
        """Add an id."""
        byte, bit = divmod(number, 8)
        page = self._pages.setdefault(byte // PAGE, bytearray(PAGE))
        page[byte % PAGE] |= 1 << bit
        self.least = number if self.least is None else min(self.least, number)

    def __contains__(self, number: int) -> bool:
        byte, bit = divmod(number, 8)
        page = self._pages.get(byte // PAGE)
        return page is not None and bool(page[byte % PAGE] >> bit & 1)

    def __iter__(self) -> Iterator[int]:
        for number in sorted(self._pages):
            for byte, bits in enumerate(self._pages[number], start=number * PAGE):
                if bits:
                    yield from (byte * 8 + bit for bit in range(8) if bits >> bit & 1)


class AlbumMembers:
    """The photos in an album, and the temporary names of those that still have one.

    `listed` is False where the server does not list the album.
    """

    def __init__(self, *, listed: bool = True) -> None:
        self.listed = listed
        self.photos = IdSet()
        self.aliases: dict[int, str] = {}


class MembersByAlbum:
    """The members of albums, listed when needed; the last ones used are kept, up to `size` bytes.

    A photo may be in many albums, so that files in the order of their folders need those albums
    again and again.
    """

    def __init__(
        self,
        list_album: Callable[[int], Awaitable[AlbumMembers | None]],
        *,
        size: int = KEPT_SIZE,
    ) -> None:
        self._list_album = list_album
        self._size = size
        self._kept: OrderedDict[int, AlbumMembers] = OrderedDict()

    async def of(self, album: int) -> AlbumMembers:
        """Return the members of an album."""
        if album not in self._kept:
            self._kept[album] = await self._list_album(album) or AlbumMembers(listed=False)
            sizes = sum(kept.photos.size + MEMBERS_SIZE for kept in self._kept.values())
            while sizes > self._size and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                sizes -= oldest.photos.size + MEMBERS_SIZE
        self._kept.move_to_end(album)
        return self._kept[album]


async def list_members(
    gallery: GalleryReader, album: int, *, down_to: int = 0
) -> AlbumMembers | None:
    """Return the members of an album, at least those with ids from `down_to` on.

    None where the server does not list albums. Raises `PhotoError` if the album does not exist.
    """
    found = AlbumMembers()
    try:
        async with aclosing(gallery.members(album)) as members:
            async for photo_id, alias in members:
                if photo_id < down_to:
                    break
                found.photos.add(photo_id)
                if alias:
                    found.aliases[photo_id] = alias
    except NotOffered:
        return None
    return found
