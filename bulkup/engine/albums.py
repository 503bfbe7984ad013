"""Albums of photos: which album a folder becomes, finding and creating it, and who is in it."""

import os
import unicodedata
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from anyio import to_thread

from bulkup.engine.ports import AlbumInfo, GalleryReader, GalleryWriter
from bulkup.engine.retry import Recovery
from bulkup.errors import NoSuchAlbum, NotOffered, PhotoError, RunError, Transient
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.events import AlbumMade, Emit, Noticed

ALBUMS_KEPT: Final = 16


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


class AlbumMembers:
    """What an album shows: all its photos, and the aliases of those without their names.

    `told` is False where the server does not list it.
    """

    def __init__(self, *, told: bool = True) -> None:
        self.told = told
        self.photos = IdSet()
        self.aliases: dict[int, str] = {}


class MembersByAlbum:
    """What albums show, looked up when it is needed; of many albums the last few are kept."""

    def __init__(self, look: Callable[[int], Awaitable[AlbumMembers | None]]) -> None:
        self._look = look
        self._kept: OrderedDict[int, AlbumMembers] = OrderedDict()

    async def of(self, album: int) -> AlbumMembers:
        """Return what an album shows; nothing where nobody tells."""
        if album not in self._kept:
            self._kept[album] = await self._look(album) or AlbumMembers(told=False)
            while len(self._kept) > ALBUMS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(album)
        return self._kept[album]


async def listed(gallery: GalleryReader, album: int, *, down_to: int = 0) -> AlbumMembers | None:
    """Return what the album shows, at least of the ids from `down_to` on.

    None where the server does not list albums. Raises `PhotoError` where there is no such album.
    """
    shown = AlbumMembers()
    try:
        async with aclosing(gallery.members(album)) as members:
            async for member in members:
                if member.photo_id < down_to:
                    break
                shown.photos.add(member.photo_id)
                if member.alias:
                    shown.aliases[member.photo_id] = member.alias
    except NotOffered:
        return None
    return shown


ROOT = 0


class Albums:
    """The albums of one gallery; new ones are made `private` or public."""

    def __init__(
        self, gallery: GalleryWriter, *, recovery: Recovery, emit: Emit, private: bool = False
    ) -> None:
        self._gallery = gallery
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
                raise NoSuchAlbum(gallery_failures.NO_ALBUM(path=" / ".join(names[: depth + 1])))
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
            known[parent, self._gallery.album_keys(name)[0]] = found
            await self._spell(found, name)
            self._emit(AlbumMade(album=found, name=name, parent=parent or None))
        return found

    def _among(self, known: Mapping[tuple[int, str], int], parent: int, name: str) -> int | None:
        keys = ((parent, key) for key in self._gallery.album_keys(name))
        return next((known[key] for key in keys if key in known), None)

    async def _spell(self, album: int, name: str) -> None:
        try:
            await self._recovery.run(lambda: self._gallery.spell_album(album, name))
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
        albums = await self._asked(self._gallery.albums)
        known: dict[tuple[int, str], int] = {}
        for album in sorted(albums, key=lambda album: album.album_id, reverse=True):
            name = unicodedata.normalize("NFC", album.name)  # others may have spelled it in NFD
            known[album.parent, name] = album.album_id  # of equal ones the oldest
        return known

    async def _asked(
        self, question: Callable[[], Awaitable[Sequence[AlbumInfo]]]
    ) -> Sequence[AlbumInfo]:
        try:
            return await self._recovery.run(question)
        except (NotOffered, PhotoError, Transient) as error:
            raise RunError(run_failures.ALBUMS_UNLISTED(reason=error.message)) from None

    async def _add(self, name: str, *, parent: int, comment: str) -> int:
        """Make an album, looking again after each answer that was lost."""
        attempt = 0
        while True:
            try:
                return await self._recovery.run(
                    lambda: self._gallery.add_album(
                        name, parent=parent, private=self._private, comment=comment
                    ),
                    repeatable=False,
                )
            except NotOffered as error:
                raise RunError(run_failures.ALBUMS_UNMADE(reason=error.message)) from None
            except Transient as error:
                attempt += 1
                if (found := self._among(await self._listed(), parent, name)) is not None:
                    return found
                if attempt > self._recovery.policy.retries:
                    raise PhotoError(
                        gallery_failures.ALBUM_UNMADE(name=name, reason=error.message)
                    ) from None
                await self._recovery.pause(error, attempt=attempt, path=None)


@dataclass(frozen=True, slots=True)
class Step:
    """A folder that is an album on the way to a photo's, and its name as it is spelled."""

    folder: Path
    spelled: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderAlbums:
    """How the folders below `roots` become albums below `base`, the gallery's top if `ROOT`.

    Without `tree` all photos go to `base`. `unwrap` leaves out the album of each root itself,
    `spaces` writes blanks for underscores.
    """

    roots: Sequence[Path] = ()
    base: int
    tree: bool = False
    unwrap: bool = False
    spaces: bool = False
    _real: dict[Path, Path] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for root in self.roots:
            plain = root.name not in {"", ".."}
            self._real[root] = root if plain else Path(os.path.abspath(root))  # noqa: PTH100

    def steps(self, photo: Path) -> tuple[Step, ...]:
        """Return the folders that are albums below `base` on the way to a photo's.

        Raises `PhotoError` where it would belong to no album.
        """
        steps = tuple(self._up(photo))[::-1] if self.tree else ()
        if not steps and self.base == ROOT:
            raise PhotoError(local_failures.NO_FOLDER())
        return steps

    def _up(self, photo: Path) -> Iterator[Step]:
        if photo in self._real:
            return  # a file that was named itself
        for folder in photo.parents:
            if (root := self._real.get(folder)) is not None:
                if root.name and not self.unwrap:
                    yield Step(folder, root.name)
                return
            # where no root comes, it is from a list of files: the folders are those of its line
            if folder.name not in {"", ".."}:
                yield Step(folder, folder.name)

    def name(self, folder: str) -> str:
        """Return what the album of a folder of this name is called."""
        name = unicodedata.normalize("NFC", folder.encode("utf-8", "replace").decode())
        if self.spaces:
            name = name.replace("_", " ")
        return name.strip() or "_"


ALIKE: Final = (
    "The gallery can't tell their names apart: rename one of the folders to have two albums."
)
TITLED: Final = (
    "What Google Takeout wrote into them calls both the same: --no-sidecars keeps to the folders' "
    "names."
)


class Titled(Protocol):
    """What somebody wrote about a folder."""

    @property
    def title(self) -> str:
        """What its album is called."""

    @property
    def description(self) -> str:
        """What its album is about, may be empty."""


Titles = Callable[[Path], Titled | None]
"""Tells of a folder, None where nobody wrote anything; reads files, so it is for a thread.

Raises `ValueError`, in words, where what was written can't be read.
"""


class AlbumResolver:
    """The albums of one run, asked for by one task at a time.

    Albums that are missing are made, unless `make` is False. Without `titles` albums are called as
    their folders are.
    """

    def __init__(
        self,
        folder_albums: FolderAlbums,
        albums: Albums,
        *,
        emit: Emit,
        make: bool = True,
        titles: Titles | None = None,
    ) -> None:
        self._placing = folder_albums
        self._albums = albums
        self._emit = emit
        self._make = make
        self._titles = titles
        self._found: dict[Path, tuple[int | None, str]] = {}
        self._first: dict[int, tuple[Step, bool]] = {}

    async def of(self, photo: Path) -> int:
        """Return the number of a photo's album, made where need be.

        Raises `PhotoError` where it has none: its folder is none, or the album is not there and
        not to be made, or can't be made.
        """
        album = self._placing.base
        names = []
        for step in self._placing.steps(photo):
            if step.folder not in self._found:
                self._found[step.folder] = await self._find(step, inside=album)
            found, name = self._found[step.folder]
            names.append(name)
            if found is None:
                raise PhotoError(gallery_failures.NO_FOLDER_ALBUM(path=" / ".join(names)))
            album = found
        return album

    async def _find(self, step: Step, *, inside: int) -> tuple[int | None, str]:
        """Return number and name of a folder's album, found or made; None: it is not there."""
        told = await self._titled(step.folder)
        name = told.title if told else self._placing.name(step.spelled)
        comment = told.description if told else ""
        found = await self._albums.inside(inside, name, comment=comment, make=self._make)
        if found is not None:
            first, titled = self._first.setdefault(found, (step, told is not None))
            if first.spelled != step.spelled:
                hint = TITLED if titled or told else ALIKE
                self._emit(
                    Noticed(message=f"{first.folder} and {step.folder} share one album", hint=hint)
                )
        return found, name

    async def _titled(self, folder: Path) -> Titled | None:
        """Return what somebody wrote about a folder; what can't be read is told."""
        try:
            return await to_thread.run_sync(self._titles, folder) if self._titles else None
        except ValueError as error:
            hint = "The album is called as its folder is, and gets no description."
            self._emit(Noticed(message=f"what tells of an album is left out: {error}", hint=hint))
            return None
