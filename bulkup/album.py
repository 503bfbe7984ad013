"""Which photos an album shows, as the server lists them.

Knows ids, a bit each, and nothing of files.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Final, Protocol

from bulkup.errors import NotOffered

ALBUMS_KEPT: Final = 16


class Member(Protocol):
    """A photo in an album."""

    @property
    def photo_id(self) -> int:
        """Its number."""

    @property
    def alias(self) -> str:
        """The name that an upload gave it, if it still has that, else empty."""


class Lister(Protocol):
    """What listing needs of a server."""

    def members(self, album: int) -> AsyncGenerator[Member, None]:
        """Yield the photos in an album, newest first."""


class IdSet:
    """A set of photo ids, a bit each: ids are dense, and there may be millions."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self.least: int | None = None

    def add(self, number: int) -> None:
        """Put a number in."""
        byte, bit = divmod(number, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit
        self.least = number if self.least is None else min(self.least, number)

    def __contains__(self, number: int) -> bool:
        byte, bit = divmod(number, 8)
        return 0 <= byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)

    def __iter__(self) -> Iterator[int]:
        for byte, bits in enumerate(self._bits):
            if bits:
                yield from (byte * 8 + bit for bit in range(8) if bits >> bit & 1)


class Shown:
    """What an album shows: all its photos, and the aliases of those without their names.

    `told` is False where the server does not list it.
    """

    def __init__(self, *, told: bool = True) -> None:
        self.told = told
        self.photos = IdSet()
        self.aliases: dict[int, str] = {}


class ShownAlbums:
    """What albums show, looked up when it is needed; of many albums the last few are kept."""

    def __init__(self, look: Callable[[int], Awaitable[Shown | None]]) -> None:
        self._look = look
        self._kept: OrderedDict[int, Shown] = OrderedDict()

    async def of(self, album: int) -> Shown:
        """Return what an album shows; nothing where nobody tells."""
        if album not in self._kept:
            self._kept[album] = await self._look(album) or Shown(told=False)
            while len(self._kept) > ALBUMS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(album)
        return self._kept[album]


async def listed(server: Lister, album: int, *, down_to: int = 0) -> Shown | None:
    """Return what the album shows, at least of the ids from `down_to` on.

    None where the server does not list albums. Raises `PhotoError` where there is no such album.
    """
    shown = Shown()
    try:
        async with aclosing(server.members(album)) as members:
            async for member in members:
                if member.photo_id < down_to:
                    break
                shown.photos.add(member.photo_id)
                if member.alias:
                    shown.aliases[member.photo_id] = member.alias
    except NotOffered:
        return None
    return shown
