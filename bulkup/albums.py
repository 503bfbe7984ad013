"""The gallery's tree of albums: found by names, made where missing, one at a time.

Knows names, numbers and parents, and no photos. Piwigo allows equal names under one parent and
checks nothing (piwigo-api.md, section 4, Albums), so an album is looked for before it is made,
and looked for again where the answer to its making was lost.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from bulkup.errors import NotOffered, PhotoError, RunError, Transient
from bulkup.events import AlbumMade, Emit, Noticed
from bulkup.failures import gallery, stops
from bulkup.recovery import Recovery

ROOT = 0


class Album(Protocol):
    """An album as the server lists it."""

    @property
    def album_id(self) -> int:
        """Its number."""

    @property
    def name(self) -> str:
        """Its name, as it is listed."""

    @property
    def parent(self) -> int:
        """The number of the album that it is in, `ROOT` at the top."""


class Albumry(Protocol):
    """What a tree of albums needs of a server."""

    async def albums(self) -> Sequence[Album]:
        """Return all albums."""

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Make an album and return its number. Raises `PhotoError` where it is refused."""

    async def spell_album(self, album: int, name: str) -> None:
        """Spell the name of an album that was just made as it is, as far as the server can."""

    def album_keys(self, name: str) -> Sequence[str]:
        """Return what the server's list may call an album of this name, the likeliest first."""


class Albums:
    """The albums of one gallery; new ones are made `private` or public."""

    def __init__(
        self, server: Albumry, *, recovery: Recovery, emit: Emit, private: bool = False
    ) -> None:
        self._server = server
        self._recovery = recovery
        self._emit = emit
        self._private = private
        self._known: dict[tuple[int, str], int] | None = None

    async def find(self, names: Sequence[str], *, below: int = ROOT, make: bool) -> int:
        """Return the number of the album on this path of names, where need be made.

        Raises `PhotoError` where it is not there and not to be made, or can't be.
        """
        album = below
        for depth, name in enumerate(names):
            found = await self.inside(album, name, make=make)
            if found is None:
                raise PhotoError(gallery.NO_ALBUM(path=" / ".join(names[: depth + 1])))
            album = found
        return album

    async def inside(self, parent: int, name: str, *, comment: str = "", make: bool) -> int | None:
        """Return the number of the album of this name in another one, made where need be.

        A new one gets the comment. None where it is not there and not to be made. Raises
        `PhotoError` where it can't be made.
        """
        known = await self._load()
        found = self._among(known, parent, name)
        if found is None and make:
            found = await self._add(name, parent=parent, comment=comment)
            known[parent, self._server.album_keys(name)[0]] = found
            await self._spell(found, name)
            self._emit(AlbumMade(album=found, name=name, parent=parent or None))
        return found

    def _among(self, known: Mapping[tuple[int, str], int], parent: int, name: str) -> int | None:
        keys = ((parent, key) for key in self._server.album_keys(name))
        return next((known[key] for key in keys if key in known), None)

    async def _spell(self, album: int, name: str) -> None:
        try:
            await self._recovery.run(lambda: self._server.spell_album(album, name))
        except (NotOffered, PhotoError, Transient) as error:
            self._emit(
                Noticed(
                    message=f"the name of the new album “{name}” could not be spelled as it is: "
                    f"{error.message}",
                    hint="Mend it in the gallery, or another run may make that album again.",
                )
            )

    async def _load(self) -> dict[tuple[int, str], int]:
        if self._known is None:
            self._known = await self._listed()
        return self._known

    async def _listed(self) -> dict[tuple[int, str], int]:
        albums = await self._asked(self._server.albums)
        known: dict[tuple[int, str], int] = {}
        for album in sorted(albums, key=lambda album: album.album_id, reverse=True):
            name = unicodedata.normalize("NFC", album.name)  # others may have spelled it in NFD
            known[album.parent, name] = album.album_id  # of equal ones the oldest
        return known

    async def _asked(self, question: Callable[[], Awaitable[Sequence[Album]]]) -> Sequence[Album]:
        try:
            return await self._recovery.run(question)
        except (NotOffered, PhotoError, Transient) as error:
            raise RunError(stops.ALBUMS_UNLISTED(reason=error.message)) from None

    async def _add(self, name: str, *, parent: int, comment: str) -> int:
        """Make an album, looking again after each answer that was lost."""
        attempt = 0
        while True:
            try:
                return await self._recovery.run(
                    lambda: self._server.add_album(
                        name, parent=parent, private=self._private, comment=comment
                    ),
                    repeatable=False,
                )
            except NotOffered as error:
                raise RunError(stops.ALBUMS_UNMADE(reason=error.message)) from None
            except Transient as error:
                attempt += 1
                if (found := self._among(await self._listed(), parent, name)) is not None:
                    return found
                if attempt > self._recovery.policy.retries:
                    raise PhotoError(
                        gallery.ALBUM_UNMADE(name=name, reason=error.message)
                    ) from None
                await self._recovery.pause(error, attempt=attempt, path=None)
