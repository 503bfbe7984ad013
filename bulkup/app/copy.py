"""The use case of copying photos from one Piwigo gallery to another one."""

import re
import shutil
import tempfile
from array import array
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio
from anyio import to_thread

from bulkup.app.executor import RunSettings
from bulkup.app.gallery import open_gallery, report_unencrypted
from bulkup.app.settings import Account, UploadSettings
from bulkup.app.source_gallery import (
    CopiedAlbums,
    SourceAlbums,
    SourceGallery,
)
from bulkup.app.upload import upload_photos
from bulkup.engine.albums import ROOT, AlbumPath, Albums
from bulkup.engine.arrange_options import NOTHING
from bulkup.engine.context import Stop, UploadContext
from bulkup.engine.executor import Executor, LocalExecutor
from bulkup.engine.job import Job
from bulkup.engine.members import IdSet
from bulkup.engine.pipeline import Plan
from bulkup.engine.retry import Recovery
from bulkup.errors import (
    FormatRefused,
    NotOffered,
    PhotoError,
    PhotoGone,
    RunError,
    Transient,
    UsageError,
    check_range,
    count_text,
)
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.events import (
    Emit,
    Event,
    Noticed,
    OutageBegan,
    Outcome,
    PhotoPresent,
    PhotoUploaded,
    Retrying,
    SkipReason,
    discard,
)
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.originals import Original
from bulkup.piwigo.protocol import AlbumPhoto
from bulkup.source.metadata import Labels, Metadata
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo, ending_of
from bulkup.source.scan import Found, Skipped, Unreadable

T = TypeVar("T")

ASKED: Final = 50
"""Photos whose metadata is fetched together."""

LONGEST_NAME: Final = 240
"""Bytes of a file name that every file system accepts."""

MOST_IDS: Final = 2**24
"""Piwigo's photos have numbers below this (mediumint)."""

FORMATS: Final = "formats"
"""The folder of a photo's formats, in that of the photo."""

FORMATS_HINT: Final = "Formats are copied to Piwigo 16 or later, with enable_formats."
UNKNOWN_HINT: Final = (
    "Piwigo before 16 does not tell them, and later ones only those of photos that share their "
    "name with no other one."
)


async def copy_photos(
    *,
    source: Account,
    from_album: int | None,
    arrange: bool = True,
    ignore_md5: bool = False,
    account: Account,
    settings: UploadSettings,
    emit: Emit,
    stop: Stop,
) -> None:
    """Upload the photos of another gallery, or plan to (`settings.dry_run`).

    `from_album` None takes the whole gallery. Each original is downloaded to a temporary folder
    just before it is sent, and deleted afterwards. With `arrange`, albums get the order and the
    covers that they have there. With `ignore_md5`, photos are downloaded to compute their MD5s,
    for a gallery that has recorded other ones. Raises `UsageError` and `RunError` where the run is
    impossible.
    """
    if from_album is not None:
        check_range("--from-album", from_album, least=1, most=2**31 - 1)
    elif not settings.into.tree:
        raise UsageError(
            "the album to copy is missing",
            hint="Give its number with --from-album N, or --tree for the whole gallery.",
        )
    settings = replace(settings, ledger=None, arrangement=NOTHING)
    async with _temporary_folder() as spool:

        def emit_named(event: Event) -> None:
            """Emit an event, with the number of a photo and its name in place of its file."""
            path = getattr(event, "path", None)
            if isinstance(path, Path) and path.is_relative_to(spool):
                event = replace(event, path=path.relative_to(spool))  # type: ignore[arg-type]
            emit(event)

        def emit_of_source(event: Event) -> None:
            """Emit an event, with the address where it could be about either gallery."""
            if isinstance(event, OutageBegan | Retrying):
                event = replace(event, reason=f"{source.url}: {event.reason}")
            elif isinstance(event, Noticed):
                event = replace(event, message=f"{source.url}: {event.message}")
            emit_named(event)

        async with open_gallery(source, settings, emit=emit_of_source) as (server, recovery):
            report_unencrypted(server.offer.url, emit_of_source)
            gallery = SourceGallery(server, recovery)
            albums = await gallery.albums()
            if from_album is not None and from_album not in {row.album_id for row in albums}:
                raise RunError(run_failures.NO_SUCH_ALBUM(album=from_album, url=server.offer.url))
            photos = SourcePhotos(
                gallery,
                albums=CopiedAlbums(gallery, albums, top=from_album or ROOT, into=settings.into),
                arrange=arrange,
                ignore_md5=ignore_md5,
                spool=spool,
                at_once=settings.concurrency,
                emit=emit_of_source,
                stop=stop,
            )

            def note(event: Event) -> None:
                photos.note(event)
                emit_named(event)

            await upload_photos(
                (),
                account=account,
                settings=settings,
                labels=Labels(sidecars=False, embedded=False),
                emit=note,
                stop=stop,
                executor_factory=photos.executor,
                origin=photos,
            )


@asynccontextmanager
async def _temporary_folder() -> AsyncIterator[Path]:
    try:
        folder = await to_thread.run_sync(partial(tempfile.mkdtemp, prefix="bulkup-"))
    except OSError as error:
        raise UsageError(
            f"there is no folder for temporary files: {error.strerror}",
            hint="Set TMPDIR to a folder with free space.",
        ) from None
    try:
        yield Path(folder)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))


class SourcePhotos:
    """The photos of a source, each at a path of its own in the `spool` folder.

    That is `NUMBER/NAME`; there is a file only while it is read or sent. What is known of a photo
    is kept until it has its outcome.
    """

    def __init__(
        self,
        gallery: SourceGallery,
        *,
        albums: CopiedAlbums,
        arrange: bool,
        ignore_md5: bool,
        spool: Path,
        at_once: int,
        emit: Emit,
        stop: Stop,
    ) -> None:
        self._gallery = gallery
        self._albums = albums
        self._arrange = arrange
        self._ignore_md5 = ignore_md5
        self._spool = spool
        self._limit = anyio.CapacityLimiter(at_once)
        self._emit = emit
        self._stop = stop
        self._known: dict[Path, Original] = {}
        self._ids = array("I")  # the photos' numbers in the target
        self._sent = IdSet()
        self._target: PiwigoServer | None = None
        self._not_taken: Counter[str] = Counter()
        self._unknown_formats = 0

    def note(self, event: Event) -> None:
        """Forget a photo that has its outcome, except for its number in the target."""
        if not isinstance(event, Outcome):
            return
        self._known.pop(event.path, None)
        if event.path.parent.name == FORMATS:
            return
        if isinstance(event, PhotoUploaded | PhotoPresent) and event.image_id:
            number = int(event.path.parent.name)
            if isinstance(event, PhotoUploaded):
                self._sent.add(number)
            if max(number, event.image_id) < MOST_IDS:
                self._ids.extend([0] * (number + 1 - len(self._ids)))
                self._ids[number] = event.image_id

    def plan(self, plan: Plan, *, albums: Albums, base: int, target: PiwigoServer | None) -> Plan:
        """Return the plan with the photos of the source, and its albums below `base`."""
        self._target = target
        return replace(
            plan,
            walk=partial(self._walk, plan.endings, albums, base),
            md5_of=self._md5_of,
            main_of=self._main_of,
            folder_albums=SourceAlbums(
                base=base, tree=self._albums.into.tree, paths_of=self._paths_of
            ),
            further=(*plan.further, self._further),
            models=partial(self._albums.models, self._id_of) if self._arrange else None,
            takeout=None,
        )

    def _md5_of(self, path: Path) -> str | None:
        """Return the MD5 that the source has recorded."""
        return self._known[path].md5 or None

    def metadata(self, path: Path) -> Metadata | None:
        """Return the metadata that the source has of a photo."""
        known = self._known.get(path)
        return known.metadata if known else None

    def _paths_of(self, path: Path) -> Sequence[AlbumPath]:
        """Return the paths of a photo's albums."""
        known = self._known.get(path)
        paths = (self._albums.path_of(album) for album in known.albums) if known else ()
        return list(dict.fromkeys(path for path in paths if path is not None))

    def _further(self, path: Path) -> Iterable[Sequence[str]]:
        """Return the paths of a photo's albums besides the first one, and those of its tags."""
        known = self._known.get(path)
        tags = {tag.casefold() for tag in known.metadata.tags} if known else ()
        by_tag = (album for tag, album in self._albums.into.by_tag if tag.casefold() in tags)
        return [*self._paths_of(path)[1:], *by_tag]

    async def _walk(
        self, endings: Collection[str] | None, albums: Albums, base: int
    ) -> AsyncGenerator[Sequence[Found | PairedFile], None]:
        """Create the albums, and yield the photos, album by album, each with its formats."""
        await self._albums.create(albums, base, self._emit)
        seen = IdSet()
        for row in self._albums.rows:
            try:
                async with aclosing(self._pages(row.album_id)) as pages:
                    async for page in pages:
                        new = [photo for photo in page if photo.photo_id not in seen]
                        ids = [photo.photo_id for photo in new]
                        formats = await self._formats_of(new)
                        for start in range(0, len(ids), ASKED):
                            if self._stop.wanted:
                                return
                            found = await self._look_up_all(ids[start : start + ASKED], endings)
                            yield [*found, *self._with(formats, found)]
                        for number in ids:
                            seen.add(number)
            except (NotOffered, PhotoError) as error:  # it may have been deleted meanwhile
                yield [Unreadable(self._spool / f"album {row.album_id}", error.failure)]

    async def _formats_of(
        self, photos: Sequence[AlbumPhoto]
    ) -> Mapping[int, Collection[str] | None]:
        """Return the formats of photos that the target takes; count the others."""
        if not (photos and self._target):
            return {}
        target, found = (
            self._target,
            await self._gallery.ask(lambda server: server.formats_of_all(photos)),
        )
        self._unknown_formats += sum(endings is None for endings in found.values())
        taken: dict[int, list[str]] = {}
        for number, endings in found.items():
            for ending in endings or ():
                if reason := await self._refusal(target, ending):
                    self._not_taken[reason] += 1
                else:
                    taken.setdefault(number, []).append(ending)
        return taken

    async def _refusal(self, target: PiwigoServer, ending: str) -> str:
        """Return why the target does not take formats of this ending, empty if it does."""
        if not (target.takes_formats and target.repeats_formats):
            return "this Piwigo can't tell which ones it has"
        try:
            with suppress(Transient):
                await target.check_format(f"a.{ending}")
        except FormatRefused as error:
            return error.message
        return ""

    def _with(
        self, formats: Mapping[int, Collection[str] | None], photos: Iterable[Found]
    ) -> Iterator[PairedFile]:
        """Yield the formats of photos."""
        for photo in photos:
            if isinstance(photo, Photo):
                folder = photo.path.parent / FORMATS
                for ending in formats.get(int(photo.path.parent.name)) or ():
                    yield PairedFile(folder / f"{photo.path.stem}.{ending}", 0, 0, of=photo.path)

    def _main_of(self, path: Path) -> tuple[int, bool] | None:
        """Return the id of a photo in the target, and whether this run has sent it."""
        number = int(path.parent.name)
        return (self._id_of(number), number in self._sent) if self._id_of(number) else None

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield a message and a hint about formats that are not copied."""
        for reason, count in self._not_taken.items():
            yield (
                f"{count_text(count, 'format is', 'formats are')} not copied: {reason}",
                FORMATS_HINT,
            )
        if count := self._unknown_formats:
            yield f"the formats of {count:,} photos, if any, are not copied", UNKNOWN_HINT

    async def _pages(self, album: int) -> AsyncGenerator[list[AlbumPhoto], None]:
        """Yield the photos of an album in the order of their numbers."""
        last, page = False, 0
        before: list[AlbumPhoto] = []
        while not last:
            ask = partial(PiwigoServer.photos_in, album=album, page=page)
            photos, last = await self._gallery.ask(ask)
            if photos == before:
                return  # the server ignores `page`
            yield photos
            before, page = photos, page + 1

    async def _look_up_all(
        self, photo_ids: Sequence[int], endings: Collection[str] | None
    ) -> list[Found]:
        found: dict[int, Found] = {}
        async with anyio.create_task_group() as tasks:
            for photo_id in photo_ids:
                tasks.start_soon(self._look_up, photo_id, endings, found)
        return [found[photo_id] for photo_id in photo_ids if photo_id in found]

    async def _look_up(
        self, photo_id: int, endings: Collection[str] | None, found: dict[int, Found]
    ) -> None:
        """Add a photo to those found, unless it has been deleted meanwhile."""
        folder = self._spool / str(photo_id)
        try:
            async with self._limit:
                original = await self._gallery.ask(
                    lambda server: server.original(photo_id), path=folder
                )
        except PhotoGone:
            return
        except (NotOffered, PhotoError) as error:
            found[photo_id] = Unreadable(folder, error.failure)
            return
        path = folder / _file_name(original)
        if endings is not None and ending_of(path) not in endings:
            found[photo_id] = Skipped(path, original.size, SkipReason.TYPE)
            return
        self._known[path] = replace(original, md5="") if self._ignore_md5 else original
        found[photo_id] = Photo(path, size=original.size, mtime_ns=0)

    def _id_of(self, photo: int) -> int:
        """Return the number that a photo has in the target, 0 if it has not been copied."""
        return self._ids[photo] if photo < len(self._ids) else 0

    @asynccontextmanager
    async def downloaded(self, photo: Photo) -> AsyncIterator[Photo]:
        """Provide the file of a photo, with its size and time. Raises as `download` does."""
        path = photo.path
        try:
            try:
                await to_thread.run_sync(partial(path.parent.mkdir, parents=True, exist_ok=True))
            except OSError as error:
                reason = error.strerror or str(error)
                raise PhotoError(
                    local_failures.CANT_WRITE(place=self._spool, reason=reason)
                ) from None
            await self._gallery.ask(lambda server: self._download(server, path), path=path)
            status = await to_thread.run_sync(path.stat)
            yield Photo(path, size=status.st_size, mtime_ns=status.st_mtime_ns)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(partial(shutil.rmtree, path.parent, ignore_errors=True))

    async def _download(self, server: PiwigoServer, path: Path) -> None:
        if original := self._known.get(path):
            await server.download(original, path)
        else:
            original = await server.original(int(path.parent.parent.name))
            await server.download_format(original, path.suffix[1:], path)

    @asynccontextmanager
    async def executor(
        self, run_settings: RunSettings, /, *, recovery: Recovery, emit: Emit, stop: Stop
    ) -> AsyncIterator[Executor]:
        """Provide an executor that downloads what it reads and sends."""
        del run_settings, recovery, emit, stop
        yield DownloadingExecutor(self)


class DownloadingExecutor(LocalExecutor):
    """The executor of this machine, for photos that have to be downloaded first."""

    def __init__(self, photos: SourcePhotos) -> None:
        self._photos = photos

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return what was not copied."""
        return self._photos.remarks()

    async def fingerprint(self, photo: Photo, *, emit: Emit = discard) -> tuple[Photo, str]:
        """Fingerprint a file whose MD5 its gallery does not know."""
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
