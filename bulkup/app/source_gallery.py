"""The gallery to copy photos from, and which albums its albums become."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from bulkup.app.settings import AlbumTarget
from bulkup.engine.albums import ROOT, AlbumFolder, AlbumPath, Albums, FolderAlbums
from bulkup.engine.arrange import AlbumModel
from bulkup.engine.retry import Recovery
from bulkup.errors import NotOffered, PhotoError, RunError, Transient, count_text
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.events import Emit, Noticed
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.protocol import AlbumRow

T = TypeVar("T")

NAMED: Final = 5


class SourceGallery:
    """The gallery to copy from. Errors that end the run, or are worth a retry, name it."""

    def __init__(self, server: PiwigoServer, recovery: Recovery) -> None:
        self._server = server
        self._recovery = recovery

    async def ask(
        self, request: Callable[[PiwigoServer], Awaitable[T]], *, path: Path | None = None
    ) -> T:
        """Return the answer to a request, which may be repeated.

        Raises `PhotoError` where it is refused or all retries fail, `NotOffered`, and `RunError`.
        """
        try:
            async with self._recovery.proving("copy", *((path,) if path else ())):
                return await self._recovery.run(lambda: request(self._server), path=path)
        except (RunError, Transient) as error:
            failure = replace(error.failure, message=f"{self._server.offer.url}: {error.message}")
            raise (type(error) if isinstance(error, RunError) else PhotoError)(failure) from None

    async def albums(self) -> list[AlbumRow]:
        """Return all albums in their order. Raises `RunError` where they are not listed."""
        try:
            rows = await self.ask(lambda server: server.albums())
            seen = await self.ask(lambda server: server.visible_albums())
        except (NotOffered, PhotoError) as error:
            raise RunError(run_failures.ALBUM_LIST_FAILED(reason=error.message)) from None
        visible = {row.album_id: row for row in seen}
        return [
            replace(row, cover=there.cover, hidden=row.photos - there.photos)
            if (there := visible.get(row.album_id))
            else replace(row, hidden=row.photos)
            for row in rows
        ]


class CopiedAlbums:
    """The albums to copy, in the order of their gallery, and which ones they become."""

    def __init__(
        self,
        gallery: SourceGallery,
        rows: Sequence[AlbumRow],
        *,
        top: int,
        into: AlbumTarget,
    ) -> None:
        self._gallery = gallery
        self._made: dict[AlbumPath, int] = {}
        self.into = into
        self._top = top
        self._by_id = {row.album_id: row for row in rows}
        name = FolderAlbums(base=ROOT, spaces=into.spaces, renames=into.renames).name
        self._name = name
        self._paths = {row.album_id: self._path(row) for row in rows}
        self.rows = [row for row in rows if self.path_of(row.album_id) is not None]

    def path_of(self, album: int) -> AlbumPath | None:
        """Return the names from the target down to an album, None if it is not copied."""
        return self._paths.get(album)

    def _path(self, row: AlbumRow | None) -> AlbumPath | None:
        if not self.into.tree:
            return () if row and row.album_id == self._top else None
        names: list[str] = []
        while row is not None:
            if row.album_id != self._top or not self.into.unwrap:
                names.insert(0, self._name(row.name))
            if row.album_id == self._top:
                break
            row = self._by_id.get(row.parent)
        if row is None and self._top != ROOT:
            return None
        return tuple(filter(None, names))[: self.into.levels]

    async def create(self, albums: Albums, base: int, emit: Emit) -> None:
        """Create the albums in their order; what fails is tried again for their photos."""
        self._made[()] = base
        private: list[AlbumRow] = []
        public: list[AlbumRow] = []
        for row in self.rows:
            path = self.path_of(row.album_id)
            if path and path not in self._made and path[:-1] in self._made:
                with suppress(PhotoError, Transient):
                    parent = self._made[path[:-1]]
                    album = await albums.inside(
                        parent, path[-1], comment=row.comment, private=row.private, make=True
                    )
                    self._made[path] = album or ROOT
                    private += [row] if row.private and album in albums.made else []
            there = self._made.get(path) if path else None
            public += [row] if row.private and there and there not in albums.private_ones else []
        if public:
            albums_are = count_text(len(public), "private album is", "private albums are")
            _notice(
                emit,
                f"{albums_are} public in the new gallery: {_names(public)}",
                "Stop, and make the albums of their photos private; or leave out --album-levels, "
                "and rename albums of the same name.",
            )
        if private and not self.into.private:
            albums_are = count_text(len(private), "private album is", "private albums are")
            _notice(
                emit,
                f"{albums_are} private in the new gallery, too",
                "Only administrators have access to them: give it to groups and users there.",
            )
        if hidden := [row for row in self.rows if row.hidden > 0]:
            count = sum(row.hidden for row in hidden)
            photos_are = count_text(count, "photo is", "photos are")
            them = "it" if count == 1 else "them"
            _notice(
                emit,
                f"{photos_are} not copied, because the account does not see {them}: in "
                f"{_names(hidden)}",
                "Give it access to these private albums there, and the highest privacy level, "
                "then run the same command again.",
            )

    def models(self, id_of: Callable[[int], int]) -> Iterator[AlbumModel]:
        """Yield the order and the cover of each album, and the order of those inside it.

        `id_of` returns the number that a photo has in the target, 0 if it has not been copied.
        """
        inside: dict[int, list[int]] = {}
        rows_of: dict[int, list[AlbumRow]] = {self._made[()]: []}
        for path, album in self._made.items():
            if path:
                inside.setdefault(self._made[path[:-1]], []).append(album)
        for row in self.rows:
            known = self._made.get(self.path_of(row.album_id) or ())
            if known is not None:
                rows_of.setdefault(known, []).append(row)
        for album, rows in rows_of.items():
            covers = (id_of(row.cover) for row in rows)
            yield AlbumModel(
                album=album,
                photos=partial(self._in_order, rows, id_of),
                cover=next(filter(None, covers), 0),
                albums=inside.get(album, ()),
            )

    async def _in_order(
        self, albums: Sequence[AlbumRow], id_of: Callable[[int], int]
    ) -> list[int]:
        """Return the copied photos of albums as these show them, none without an own order."""
        ids: list[int] = []
        for album in albums:
            if await self._gallery.ask(partial(PiwigoServer.is_ordered, album=album)):
                shown = await self._gallery.ask(
                    partial(PiwigoServer.shown_ids, album=album.album_id)
                )
                ids += filter(None, map(id_of, shown))
        return list(dict.fromkeys(ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAlbums(FolderAlbums):
    """The albums that photos of a source are in first, in place of those of folders."""

    paths_of: Callable[[Path], Sequence[AlbumPath]]

    def path_to(self, photo: Path) -> tuple[AlbumFolder, ...]:
        """Return the albums from `base` down to a photo's first one."""
        names = next(iter(self.paths_of(photo)), ())
        if not names and self.base == ROOT:
            raise PhotoError(local_failures.NO_FOLDER())
        folders = [quote(name, safe=" ").replace(".", "%2E") for name in names]
        return tuple(
            AlbumFolder(Path(*folders[:depth]), name) for depth, name in enumerate(names, start=1)
        )


def _notice(emit: Emit, message: str, hint: str) -> None:
    emit(Noticed(message=message, hint=hint))


def _names(albums: Sequence[AlbumRow]) -> str:
    more = f" and {len(albums) - NAMED:,} more" if len(albums) > NAMED else ""
    return ", ".join(f"“{album.name}”" for album in albums[:NAMED]) + more
