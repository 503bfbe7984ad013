"""The use case of copying photos from one Piwigo gallery to another one."""

import re
import shutil
import tempfile
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

import anyio
from anyio import to_thread

from bulkup.app.executor import RunSettings
from bulkup.app.gallery import open_gallery, report_unencrypted
from bulkup.app.settings import Account, AlbumTarget, UploadSettings
from bulkup.app.upload import upload_photos
from bulkup.engine.albums import ROOT, AlbumFolder, FolderAlbums
from bulkup.engine.executor import Executor, LocalExecutor, Stopping, discard
from bulkup.engine.ports import Job, Stop, UploadContext
from bulkup.engine.retry import Recovery, Sleep
from bulkup.errors import BulkupError, NotOffered, PhotoError, PhotoGone, RunError, Transient
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.events import Emit, Event, Outcome, PhotoUploaded, SkipReason
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.originals import Original
from bulkup.piwigo.protocol import AlbumRow
from bulkup.source.metadata import Labels, Metadata
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped, Unreadable

ASKED: Final = 50
"""Photos whose metadata is fetched together."""

LONGEST_NAME: Final = 240
"""Bytes of a file name that every file system accepts."""

AlbumPath = tuple[str, ...]


async def copy_photos(
    *,
    source: Account,
    from_album: int | None,
    account: Account,
    settings: UploadSettings,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float],
    sleep: Sleep,
) -> None:
    """Upload the photos of another gallery, or plan to (`settings.dry_run`).

    `from_album` None takes the whole gallery. Each original is downloaded to a temporary folder
    just before it is sent, and deleted afterwards. Raises `RunError` where the run is impossible.
    """
    with tempfile.TemporaryDirectory(prefix="bulkup-", ignore_cleanup_errors=True) as spool:
        async with open_gallery(source, settings, emit=emit, clock=clock, sleep=sleep) as (
            server,
            recovery,
        ):
            report_unencrypted(server.offer.url, emit)
            albums = await _albums(server, recovery)
            if from_album is not None and from_album not in albums:
                raise RunError(run_failures.NO_SUCH_ALBUM(album=from_album, url=server.offer.url))
            photos = SourcePhotos(
                server,
                recovery=recovery,
                albums=AlbumPaths(albums, top=from_album or ROOT, into=settings.into),
                spool=Path(spool),
                at_once=settings.concurrency,
                stop=stop,
            )

            def release(event: Event) -> None:
                emit(event)
                if isinstance(event, Outcome):
                    photos.release(event.path)

            await upload_photos(
                (),
                account=account,
                settings=settings,
                labels=Labels(sidecars=False, embedded=False),
                emit=release,
                stop=stop,
                clock=clock,
                sleep=sleep,
                executor_factory=photos.executor,
                origin=photos,
            )


async def _albums(server: PiwigoServer, recovery: Recovery) -> dict[int, AlbumRow]:
    try:
        return {row.album_id: row for row in await recovery.run(server.albums)}
    except (NotOffered, PhotoError, Transient) as error:
        raise RunError(run_failures.ALBUM_LIST_FAILED(reason=error.message)) from None


class AlbumPaths:
    """Which albums of the target the albums of a source become."""

    def __init__(self, albums: Mapping[int, AlbumRow], *, top: int, into: AlbumTarget) -> None:
        self._albums = albums
        self._names = FolderAlbums(base=ROOT, spaces=into.spaces, renames=into.renames)
        self.top = top
        self.into = into

    def of(self, original: Original) -> list[AlbumPath]:
        """Return the paths of names, below the target, of the albums that have a photo."""
        if not self.into.tree:
            return [()]
        paths = (self._path(album) for album in original.albums)
        return list(dict.fromkeys(path for path in paths if path is not None))

    def _path(self, album: int) -> AlbumPath | None:
        """Return the path of an album, None if it is not inside the top one."""
        names: list[str] = []
        while (row := self._albums.get(album)) is not None and album != self.top:
            names.insert(0, row.name)
            album = row.parent
        if row is None and self.top != ROOT:
            return None
        if row is not None and not self.into.unwrap:
            names.insert(0, row.name)
        return tuple(filter(None, map(self._names.name, names)))[: self.into.levels]


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


class SourcePhotos:
    """The photos of a source, each at a path of its own in the `spool` folder.

    That is `NUMBER/NAME`; there is a file only while it is read or sent. What is known of a photo
    is kept until it has its outcome.
    """

    def __init__(
        self,
        server: PiwigoServer,
        *,
        recovery: Recovery,
        albums: AlbumPaths,
        spool: Path,
        at_once: int,
        stop: Stop,
    ) -> None:
        self._server = server
        self._recovery = recovery
        self._albums = albums
        self._spool = spool
        self._limit = anyio.CapacityLimiter(at_once)
        self._stop = stop
        self._known: dict[Path, Original] = {}

    def release(self, path: Path) -> None:
        """Forget a photo that has its outcome."""
        self._known.pop(path, None)

    def md5_of(self, path: Path) -> str | None:
        """Return the MD5 that the source has recorded."""
        return self._known[path].md5 or None

    def metadata(self, path: Path) -> Metadata | None:
        """Return the metadata that the source has of a photo."""
        known = self._known.get(path)
        return known.metadata if known else None

    def paths_of(self, path: Path) -> Sequence[AlbumPath]:
        """Return the paths of a photo's albums."""
        known = self._known.get(path)
        return self._albums.of(known) if known else ()

    def further(self, path: Path) -> Iterable[Sequence[str]]:
        """Return the paths of a photo's albums besides the first one."""
        return self.paths_of(path)[1:]

    def folder_albums(self, base: int) -> FolderAlbums:
        """Return the first album of each photo."""
        return SourceAlbums(base=base, tree=self._albums.into.tree, paths_of=self.paths_of)

    async def walk(self, endings: Collection[str] | None) -> AsyncGenerator[Sequence[Found], None]:
        """Yield the photos, in the order of their numbers."""
        last, page = False, 0
        before: list[int] = []
        while not last:
            ask = partial(
                self._server.photo_ids, self._albums.top, page=page, below=self._albums.into.tree
            )
            try:
                ids, last = await self._recovery.run(ask)
            except (NotOffered, PhotoError, Transient) as error:
                raise RunError(run_failures.ALBUM_LIST_FAILED(reason=error.message)) from None
            if ids == before:
                return  # the server ignores `page`
            for start in range(0, len(ids), ASKED):
                if self._stop.wanted:
                    return
                found: dict[int, Found] = {}
                batch = ids[start : start + ASKED]
                async with anyio.create_task_group() as tasks:
                    for photo_id in batch:
                        tasks.start_soon(self._look_up, photo_id, endings, found)
                yield [found[photo_id] for photo_id in batch if photo_id in found]
            before, page = ids, page + 1

    async def _look_up(
        self, photo_id: int, endings: Collection[str] | None, found: dict[int, Found]
    ) -> None:
        """Add a photo to those found, unless it has been deleted meanwhile."""
        folder = self._spool / str(photo_id)
        try:
            async with self._limit:
                original = await self._recovery.run(lambda: self._server.original(photo_id))
        except PhotoGone:
            return
        except RunError:
            raise
        except BulkupError as error:
            found[photo_id] = Unreadable(folder, error.failure)
            return
        path = folder / _file_name(original)
        if endings is not None and path.suffix[1:].lower() not in endings:
            found[photo_id] = Skipped(path, original.size, SkipReason.TYPE)
            return
        self._known[path] = original
        found[photo_id] = Photo(path, size=original.size, mtime_ns=0)

    @asynccontextmanager
    async def downloaded(self, photo: Photo) -> AsyncIterator[Photo]:
        """Provide the file of a photo, with its size and time. Raises as `download` does."""
        original, path = self._known[photo.path], photo.path
        try:
            try:
                await to_thread.run_sync(partial(path.parent.mkdir, exist_ok=True))
            except OSError as error:
                reason = error.strerror or str(error)
                raise PhotoError(
                    local_failures.CANT_WRITE(place=self._spool, reason=reason)
                ) from None
            await self._recovery.run(lambda: self._server.download(original, path), path=path)
            status = await to_thread.run_sync(path.stat)
            yield Photo(path, size=status.st_size, mtime_ns=status.st_mtime_ns)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(partial(shutil.rmtree, path.parent, ignore_errors=True))

    @asynccontextmanager
    async def executor(
        self, run_settings: RunSettings, /, *, recovery: Recovery, emit: Emit, stop: Stopping
    ) -> AsyncIterator[Executor]:
        """Provide an executor that downloads what it reads and sends."""
        del run_settings, recovery, emit, stop
        yield DownloadingExecutor(self)


class DownloadingExecutor(LocalExecutor):
    """The executor of this machine, for photos that have to be downloaded first."""

    def __init__(self, photos: SourcePhotos) -> None:
        self._photos = photos

    async def fingerprint(self, photo: Photo, *, emit: Emit = discard) -> tuple[Photo, str]:
        """Fingerprint a photo whose MD5 its gallery does not know."""
        async with self._photos.downloaded(photo) as here:
            return await super().fingerprint(here, emit=emit)

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Download a photo and upload it."""
        async with self._photos.downloaded(job.photo) as here:
            return await super().upload(replace(job, photo=here), context)


def _file_name(original: Original) -> str:
    """Return the name of a photo as that of a file here."""
    name = re.sub(r"[/\\]", "_", original.file.replace("\0", ""))
    stem, dot, ending = name.encode("utf-8", "replace").rpartition(b".")
    rest = dot + ending
    short = stem[: max(0, LONGEST_NAME - len(rest))] + rest
    return short[:LONGEST_NAME].decode("utf-8", "ignore").lstrip(".") or "photo"
