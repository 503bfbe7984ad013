"""Albums: which one a folder becomes, and finding and creating it."""

import unicodedata
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.engine.gallery_port import Access, AlbumInfo, GalleryWriter
from bulkup.engine.ledger_port import Ledger, NoLedger
from bulkup.engine.retry import Recovery
from bulkup.errors import (
    Blocked,
    BulkupError,
    FailureKind,
    NoSuchAlbum,
    NotOffered,
    PhotoError,
    RunError,
    Transient,
)
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures
from bulkup.events import AlbumMade, Emit, Noticed
from bulkup.source import zips
from bulkup.source.files import absolute
from bulkup.source.renames import Rename
from bulkup.source.takeout.sidecars import Album, is_wrapper

ROOT: Final = 0
"""The gallery's top level, as the parent of albums."""


class Albums:
    """The albums of one gallery; new ones are created `private` or public.

    The private ones that are looked up get the `access`, whether they are new or not: an earlier
    run may have been killed before it gave it. `used` has the names of albums that were looked up,
    by parent and id, `made` the ids of the new ones, which include those of a run that was killed,
    and `private_ones` those of private ones.
    """

    def __init__(
        self,
        gallery: GalleryWriter,
        *,
        recovery: Recovery,
        emit: Emit,
        private: bool = False,
        access: Access | None = None,
    ) -> None:
        self._gallery = gallery
        self._recovery = recovery
        self._emit = emit
        self._private = private
        self._access = access
        self.used: dict[int, dict[int, str]] = {}
        self.made: set[int] = set()
        self.private_ones: set[int] = set()
        self._listed: dict[int, AlbumInfo] = {}  # what was there before the run
        self._shared: set[int] = set()  # those of them that get the access
        self._loaded = False
        self._known: dict[tuple[int, str], int] | None = None
        self._ledger: Ledger = NoLedger()
        self._planned: Collection[tuple[int, str]] = ()

    async def remember(self, ledger: Ledger) -> None:
        """Note new albums in the ledger, and take those that a killed run has noted as new."""
        self._ledger, self._planned = ledger, await ledger.planned_albums()
        for key, album in self._keys():
            if album in self.made:
                await ledger.plan_album(*key)
            elif key in self._planned:
                self.made.add(album)

    def made_keys(self) -> list[tuple[int, str]]:
        """Return parent and name of the new albums."""
        return [key for key, album in self._keys() if album in self.made]

    def _keys(self) -> Iterator[tuple[tuple[int, str], int]]:
        for parent, names in self.used.items():
            for album, name in names.items():
                yield (parent, name), album

    async def find(
        self, names: Sequence[str], *, below: int = ROOT, comment: str = "", make: bool
    ) -> int:
        """Return the id of the album at this path of names; with `make`, create what is missing.

        A new album at the end of the path gets the comment.

        Raises `NoSuchAlbum` where it does not exist, `PhotoError` where it can't be created, and
        `Blocked` where the server lists or creates none.
        """
        album = below
        for depth, name in enumerate(names):
            last = depth == len(names) - 1
            found = await self.inside(album, name, comment=comment if last else "", make=make)
            if found is None:
                raise NoSuchAlbum(gallery_failures.NO_ALBUM(path=" / ".join(names[: depth + 1])))
            album = found
        return album

    async def check(self, album: int) -> None:
        """Raise `PhotoError` if the account may not upload to an album."""
        await self._recovery.run(lambda: self._gallery.check_album(album))

    async def inside(
        self, parent: int, name: str, *, comment: str = "", private: bool = False, make: bool
    ) -> int | None:
        """Return the id of the album of this name inside another one, None if there is none.

        With `make`, a missing album is created, with the comment, and `private` even where others
        are not. Raises `PhotoError` where that fails.
        """
        if self._known is None:
            self._known = await self._list()
        found = self._lookup(self._known, parent, name)
        if found is None and make:
            private = private or self._private
            await self._ledger.plan_album(parent, name)
            found = await self._add(name, parent=parent, private=private, comment=comment)
            self._known[parent, self._gallery.album_keys(name)[0]] = found
            self.made.add(found)
            if private or parent in self.private_ones:
                self.private_ones.add(found)
            await self._set_name(found, name)
            await self._share(found, name, parent=parent)
            self._emit(AlbumMade(album=found, name=name, parent=parent or None))
        elif found in self._listed and self._listed[found].private:
            await self._share(found, name, parent=parent)
        if found is not None:
            self.used.setdefault(parent, {})[found] = name
            if (parent, name) in self._planned:
                self.made.add(found)
        return found

    def _lookup(self, known: Mapping[tuple[int, str], int], parent: int, name: str) -> int | None:
        keys = ((parent, key) for key in self._gallery.album_keys(name))
        return next((known[key] for key in keys if key in known), None)

    async def _set_name(self, album: int, name: str) -> None:
        try:
            await self._recovery.run(lambda: self._gallery.set_album_name(album, name))
        except (NotOffered, PhotoError, Transient) as error:
            self._emit(
                Noticed(
                    message=f"the name of the new album “{name}” could not be stored exactly: "
                    f"{error.message}",
                    hint="Correct it in the gallery, or the next run may create the album again.",
                )
            )

    async def _share(self, album: int, name: str, *, parent: int) -> None:
        """Give access to an album; emit a notice if that fails, or opens one that was there."""
        access, opened = self._access, list(self._upwards(album, parent))
        if access is None:
            return
        try:
            if opened and not self._loaded:
                await self._recovery.run(access.load)
                self._loaded = True
            opened = [each for each in opened if access.missing(each)]
            if opened or album not in self._listed:
                await self._recovery.run(lambda: access.give(album))
        except (NotOffered, PhotoError, Transient) as error:
            if opened and not self._loaded:
                self._access = None  # ask no more: the next run tries again
            self._emit(
                Noticed(
                    message=f"the album “{name}” could not be shared: {error.message}",
                    hint="Run the same command again, or give access in the gallery.",
                )
            )
            return
        self._shared.update(opened)
        for each in opened:
            self._emit(
                Noticed(
                    message=f"the private album “{self._listed[each].name}” gets shared, too, "
                    "with all its photos",
                    hint="--share-with is for all private albums of the run, and Piwigo shows an "
                    "album only to those who may see the albums above it.",
                )
            )

    def _upwards(self, album: int, parent: int) -> Iterator[int]:
        """Yield the private albums, of those that were there, from this one to the top."""
        while album:
            listed = self._listed.get(album)
            if listed and listed.private and album not in self._shared:
                yield album
            album, parent = (listed.parent, ROOT) if listed else (parent, ROOT)

    async def _list(self) -> dict[tuple[int, str], int]:
        """Return the ids of all albums, by parent and name in NFC."""
        try:
            albums = await self._recovery.run(self._gallery.albums)
        except (NotOffered, PhotoError, Transient) as error:
            raise _blocked(run_failures.ALBUMS_UNLISTED, error) from None
        known: dict[tuple[int, str], int] = {}
        for album in sorted(albums, key=lambda album: album.album_id, reverse=True):
            name = unicodedata.normalize("NFC", album.name)  # other clients may have used NFD
            known[album.parent, name] = album.album_id  # the oldest of those with the same name
        if self._known is None:
            self._listed = {album.album_id: album for album in albums}
            self.private_ones |= {album.album_id for album in albums if album.private}
        return known

    async def _add(self, name: str, *, parent: int, private: bool, comment: str) -> int:
        """Create an album; after each lost answer, check whether it exists."""
        attempt = 0
        while True:
            try:
                return await self._recovery.run(
                    lambda: self._gallery.add_album(
                        name, parent=parent, private=private, comment=comment
                    ),
                    repeatable=False,
                )
            except (NotOffered, Blocked) as error:
                raise _blocked(run_failures.ALBUMS_UNMADE, error) from None
            except Transient as error:
                attempt += 1
                if (found := self._lookup(await self._list(), parent, name)) is not None:
                    return found
                if attempt > self._recovery.policy.retries:
                    raise PhotoError(
                        gallery_failures.ALBUM_UNMADE(name=name, reason=error.message)
                    ) from None
                await self._recovery.pause(error, attempt=attempt, path=None)


def _blocked(kind: FailureKind, error: BulkupError) -> BulkupError:
    """Return the failure as `RunError` if the server never offered the method, else `Blocked`."""
    never = error.code == server_failures.NOT_OFFERED.code
    return (RunError if never else Blocked)(kind(reason=error.message))


@dataclass(frozen=True, slots=True)
class AlbumFolder:
    """A folder that becomes an album, and its name as spelled in the path."""

    folder: Path
    spelled: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderAlbums:
    """How the folders below `roots` become albums inside album `base`.

    Without `tree` all photos go to `base`. `unwrap` leaves out the album of each root itself,
    `spaces` replaces underscores with spaces, then `renames` are applied in their order; a folder
    with an empty name is left out. Of the rest, the first `levels` become albums. The roots in
    `zips` are zip archives: these become no albums, and neither do the two folders that hold all
    photos of a Takeout. `takeouts` are folders that are one of these two, with their names in the
    Takeout; those above them become no albums.
    """

    roots: Sequence[Path] = ()
    zips: Collection[Path] = ()
    takeouts: Mapping[Path, Sequence[str]] = field(default_factory=dict)
    base: int
    tree: bool = False
    unwrap: bool = False
    spaces: bool = False
    renames: Sequence[Rename] = ()
    levels: int | None = None
    _real: dict[Path, Path] = field(default_factory=dict, init=False)
    _names: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for root in self.roots:
            plain = root.name not in {"", ".."}
            self._real[root] = root if plain else Path(absolute(root))

    def path_to(self, photo: Path) -> tuple[AlbumFolder, ...]:
        """Return the folders that become the albums from `base` down to a photo's.

        Raises `PhotoError` where the photo would be in no album, `RunError` for an absolute path
        that is neither below a root nor in a zip archive.
        """
        folders = tuple(self._ancestors(photo))[::-1] if self.tree else ()
        if self.renames:
            folders = tuple(folder for folder in folders if self.name(folder.spelled))
        if not folders and self.base == ROOT:
            raise PhotoError(local_failures.NO_FOLDER())
        return folders[: self.levels]

    def _ancestors(self, photo: Path) -> Iterator[AlbumFolder]:
        if photo in self._real:
            return  # the root is this file itself
        root = next((folder for folder in photo.parents if folder in self._real), None)
        # without a root the photo is from a list of files: the folders are those in its line
        archive = root if root in self.zips else None if root else _archive_of(photo)
        if root is archive is None and photo.is_absolute():
            raise RunError(run_failures.LIST_ABSOLUTE(path=photo))
        takeout = next((folder for folder in photo.parents if folder in self.takeouts), None)
        for folder in photo.parents:
            if folder in {archive, takeout}:
                return
            if folder == root:
                if (name := self._real[root].name) and not self.unwrap:
                    yield AlbumFolder(folder, name)
                return
            wraps = self._wraps(folder, archive or takeout)
            if folder.name not in {"", ".."} and not wraps:
                yield AlbumFolder(folder, folder.name)

    def _wraps(self, folder: Path, top: Path | None) -> bool:
        """Return whether a folder below the top of an export holds all photos of a Takeout."""
        if top is None:
            return False
        return is_wrapper(*self.takeouts.get(top, ()), *folder.relative_to(top).parts)

    def names(self, photo: Path) -> list[str]:
        """Return the names of the albums that the folders above a photo become."""
        return [self.name(folder.spelled) for folder in self.path_to(photo)]

    def name(self, folder: str) -> str:
        """Return the album name for a folder of this name, empty if it becomes no album."""
        if folder not in self._names:
            name = _storable(folder.replace("_", " ") if self.spaces else folder) or "_"
            self._names[folder] = self.renamed(name)
        return self._names[folder]

    def renamed(self, name: str) -> str:
        """Return a name after the renames."""
        for rename in self.renames:
            name = rename(name)
        return _storable(name)


def _storable(name: str) -> str:
    """Return a name in NFC, trimmed and without lone surrogates."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode()).strip()


def _archive_of(photo: Path) -> Path | None:
    """Return the zip archive in a path, judged by its name, None if there is none."""
    named = (folder for folder in photo.parents if folder.suffix.lower() == zips.SUFFIX)
    return next(named, None)


SAME_NAME_HINT: Final = (
    "The gallery can't distinguish their names: rename one of the folders to get two albums."
)
SAME_TITLE_HINT: Final = (
    "Their export gives both the same title: --no-sidecars uses the folders' names instead."
)


RENAMED_HINT: Final = (
    "--rename-album may give both the same name, and others too; this is said only once."
)

Titles = Callable[[Path], Album | None]
"""Returns title and description of a folder, None if it has none. Reads files: call in a thread.

Raises `ValueError`, with a message for the user, where the metadata can't be read.
"""


FurtherAlbums = Callable[[Path], Iterable[Sequence[str] | Path]]
"""Returns albums in which a photo is besides that of its folder: paths of names below the base.

For a file in place of names, it is the album of the file's folder. Reads files: call in a thread.
"""

AlbumPath = tuple[str, ...]
Comment = Callable[[AlbumPath], str]
"""Returns the description of a further album, empty for none."""

IMPOSSIBLE: Final = frozenset({run_failures.ALBUMS_UNLISTED.code, run_failures.ALBUMS_UNMADE.code})


class AlbumResolver:
    """Resolves photos to albums; called by one task at a time.

    Missing albums are created, unless `make` is False. Without `titles` albums are named after
    their folders. The photos are also in the albums that each source in `further` returns; new
    ones get the description that `comment` returns.
    """

    def __init__(
        self,
        folder_albums: FolderAlbums,
        albums: Albums,
        *,
        emit: Emit,
        make: bool = True,
        titles: Titles | None = None,
        further: Sequence[FurtherAlbums] = (),
        comment: Comment | None = None,
    ) -> None:
        self._folder_albums = folder_albums
        self._comment = comment
        self._sources = further
        self._further: dict[AlbumPath | Path, int | None] = {}
        self.albums = albums
        self._emit = emit
        self._make = make
        self._titles = titles
        self._found: dict[Path, tuple[int | None, str]] = {}
        self._first: dict[int, tuple[AlbumFolder, bool]] = {}
        self._sharing: set[tuple[int, str]] = set()
        self._unread: set[str] = set()

    def folders(self) -> Iterator[tuple[Path, int]]:
        """Yield the folders that were resolved to albums so far, with the albums' ids."""
        for folder, (album, _) in self._found.items():
            if album is not None:
                yield folder, album

    async def paths_of(self, photos: Sequence[Path]) -> list[tuple[AlbumPath | Path, ...]]:
        """Return the paths of the further albums of these photos, or files in their folders."""
        if not self._sources:
            return [()] * len(photos)
        return await to_thread.run_sync(lambda: [self._paths_of(photo) for photo in photos])

    def _paths_of(self, photo: Path) -> tuple[AlbumPath | Path, ...]:
        given = [path for source in self._sources for path in source(photo)]
        if not given:
            return ()
        paths = (
            path
            if isinstance(path, Path)
            else tuple(name for text in path if (name := _storable(text)))
            for path in given
        )
        return tuple(dict.fromkeys(path for path in paths if path))

    async def all_of(
        self, photo: Path, further: Sequence[AlbumPath | Path]
    ) -> tuple[int, frozenset[int]]:
        """Return the ids of a photo's album and of its further ones, from `paths_of`.

        A further album that can't be used is left out, and reported once. Raises `PhotoError` as
        `of` does, unless the photo is in a further album instead, or if there is no such album and
        none is to be created.
        """
        if not further:
            return await self.of(photo), frozenset()
        found = [album for path in further if (album := await self._at(path)) is not None]
        try:
            album = await self.of(photo)
        except PhotoError as error:
            if not found or error.code != local_failures.NO_FOLDER.code:
                raise
            album = found[0]
        return album, frozenset(found) - {album}

    async def _at(self, path: AlbumPath | Path) -> int | None:
        """Return the id of the further album at a path, None if it can't be used."""
        key = path.parent if isinstance(path, Path) else path
        if key not in self._further and self._sources:
            try:
                found = await self._find_further(path)
                if self._make:
                    await self.albums.check(found)
            except PhotoError as error:
                if not self._make:
                    raise
                self._further[key] = None
                names = (key.name,) if isinstance(key, Path) else key
                self._notice_unusable(f"the album “{' / '.join(names)}”", error)
            except RunError as error:
                if not self._make or error.code not in IMPOSSIBLE:
                    raise
                self._sources = ()
                self._further[key] = None
                self._notice_unusable("other albums than that of its folder", error)
            else:
                self._further[key] = found
        return self._further.get(key)

    async def _find_further(self, path: AlbumPath | Path) -> int:
        if isinstance(path, Path):
            return await self.of(path)
        comment = self._comment(path) if self._comment else ""
        return await self.albums.find(
            path, below=self._folder_albums.base, comment=comment, make=self._make
        )

    def _notice_unusable(self, albums: str, error: BulkupError) -> None:
        self._emit(
            Noticed(message=f"no photo is added to {albums}: {error.message}", hint=error.hint)
        )

    async def of(self, photo: Path) -> int:
        """Return the id of the album of a photo's folder.

        Raises `PhotoError` where it has none: its folder does not become an album, or the album
        does not exist and must not or can't be created.
        """
        album = self._folder_albums.base
        names = []
        for folder in self._folder_albums.path_to(photo):
            if folder.folder not in self._found:
                self._found[folder.folder] = await self._find(folder, inside=album)
            found, name = self._found[folder.folder]
            names.append(name)
            if found is None:
                raise PhotoError(gallery_failures.NO_FOLDER_ALBUM(path=" / ".join(names)))
            album = found
        return album

    async def _find(self, folder: AlbumFolder, *, inside: int) -> tuple[int | None, str]:
        """Return id and name of a folder's album; the id is None if it does not exist."""
        titled = await self._titled(folder.folder)
        name = self._folder_albums.name(folder.spelled)
        if titled:
            name = self._folder_albums.renamed(titled.title) or name
        comment = titled.description if titled else ""
        found = await self.albums.inside(inside, name, comment=comment, make=self._make)
        if found is not None:
            first, first_titled = self._first.setdefault(found, (folder, titled is not None))
            # a folder may be in several parts of an export
            pair = (found, folder.spelled)
            renames = bool(self._folder_albums.renames)
            reported = pair in self._sharing or (renames and self._sharing)
            if first.spelled != folder.spelled and not reported:
                self._sharing.add(pair)
                hint = SAME_TITLE_HINT if first_titled or titled else SAME_NAME_HINT
                self._emit(
                    Noticed(
                        message=f"{first.folder} and {folder.folder} share one album",
                        hint=RENAMED_HINT if renames else hint,
                    )
                )
        return found, name

    async def _titled(self, folder: Path) -> Album | None:
        """Return title and description of a folder; emit a notice if they can't be read."""
        try:
            return await to_thread.run_sync(self._titles, folder) if self._titles else None
        except ValueError as error:
            if str(error) not in self._unread:
                self._unread.add(str(error))
                hint = "The album is named after its folder, and gets no description."
                message = f"the title of an album is ignored: {error}"
                self._emit(Noticed(message=message, hint=hint))
            return None
