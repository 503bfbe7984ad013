"""The dry run: the same pipeline with a gallery and a ledger that are only read."""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import anyio
import anyio.lowlevel
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from bulkup.engine.albums import Albums
from bulkup.engine.context import RunContext
from bulkup.engine.dedupe import Deduplicator
from bulkup.engine.executor import Executor
from bulkup.engine.formats import Content, Formats
from bulkup.engine.gallery_port import GalleryReader
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Entry, Fact, Ledger, NoLedger, State
from bulkup.engine.limiter import REMEMBERED_S
from bulkup.engine.pacing import ceiling_for
from bulkup.engine.pipeline import Plan, dedupe_stage, make_deduplicator, read_plan
from bulkup.engine.recorder import OutcomeGuard, OutcomeRecorder
from bulkup.errors import FormatRefused, one_error
from bulkup.events import Emit, Estimated, Event, Noticed, PhotoNew, PhotoPresent, RunFinished
from bulkup.source.files import absolute
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo

FIRST_PLANNED: Final = 2**31
"""Ids from here on are of planned albums and photos: Piwigo's own are smaller."""

FINISH_S: Final = 0.45
"""What finishing a photo of some megapixels costs a small server (seen on Piwigo 13 to 17)."""


async def run(plan: Plan, context: RunContext, *, albums: Albums, executor: Executor) -> None:
    """Emit for every photo of the plan what an upload would do with it.

    `context.gallery` must be a `DryRunGallery`. Raises `RunError` where the upload could not
    continue.
    """
    began, emit, ledger = context.clock(), context.emit, context.ledger
    guard = OutcomeGuard(partial(_emit_without_planned_ids, emit))
    context = replace(
        context,
        emit=guard.emit,
        ledger=DryRunLedger(ledger, foresee=plan.formats or plan.update),
    )
    outcomes = OutcomeRecorder(context)
    format_files: list[PairedFile] = []
    deduplicator = make_deduplicator(
        plan, context, outcomes=outcomes, albums=albums, format_files=format_files
    )
    new_in, new = anyio.create_memory_object_stream[Job](plan.concurrency)
    uploads = _PlannedUploads(context, deduplicator)
    formats = _PlannedFormats(context.emit)
    try:
        async with one_error(), anyio.create_task_group() as tasks:
            jobs = read_plan(
                plan, context, tasks=tasks, format_files=format_files, executor=executor
            )
            tasks.start_soon(dedupe_stage, jobs, new_in, deduplicator, context)
            tasks.start_soon(uploads.run, new)
        await Formats(
            context,
            sender=formats,
            update=plan.update,
            convert=plan.convert,
            executor=executor,
        ).attach(format_files, at_once=plan.concurrency)
    finally:
        guard.close()
    if converted := uploads.converted.total():
        kept = sum(
            [
                uploads.converted[name]
                for name in uploads.converted
                if await _is_accepted(name, context)
            ]
        )
        emit(
            Noticed(
                message=f"{converted:,} of the new photos would be converted to JPEG",
                hint=f"Of these, {kept:,} would have their own files as formats.",
            )
        )
    size = uploads.size + formats.size
    speed = await context.gallery.line_speed() if size else None
    if speed:
        facts = await ledger.facts(max_age_s=REMEMBERED_S)
        at_once = plan.finishing or min(plan.concurrency, ceiling_for(facts.get(Fact.WORKERS)))
        finishing_s = uploads.count * FINISH_S / at_once
        emit(Estimated(sending_s=size / speed, finishing_s=finishing_s))
    emit(RunFinished(seconds=context.clock() - began))


async def _is_accepted(file: str, context: RunContext) -> bool:
    """Return whether the gallery accepts a file of this name as a format."""
    try:
        await context.recovery.run(lambda: context.gallery.check_format(file))
    except FormatRefused:
        return False
    return context.gallery.takes_formats


def _emit_without_planned_ids(emit: Emit, event: Event) -> None:
    if isinstance(event, PhotoPresent):
        if (event.image_id or 0) >= FIRST_PLANNED:
            event = replace(event, image_id=None)
        existing = tuple(album for album in event.albums if album < FIRST_PLANNED)
        event = replace(event, albums=existing)
    emit(event)


class _PlannedUploads:
    """Emits the photos that would be uploaded, and counts them."""

    def __init__(self, context: RunContext, deduplicator: Deduplicator) -> None:
        self.count = 0
        self.converted = Counter[str]()  # by file name endings
        self.size = 0
        self._emit = context.emit
        self._ledger = context.ledger
        self._deduplicator = deduplicator
        self._ids = count(FIRST_PLANNED)

    async def run(self, jobs: MemoryObjectReceiveStream[Job]) -> None:
        """Handle one job after the other; equal photos become present with the first one."""
        async with jobs:
            async for job in jobs:
                photo = job.photo
                self.count += 1
                self.converted[photo.path.suffix.lower()] += photo.convert
                self.size += photo.size
                self._emit(
                    PhotoNew(path=photo.path, size=photo.size, replaces=job.replaces, md5=job.md5)
                )
                photo_id = job.replaces or next(self._ids)
                entry = Entry(
                    path=photo.path,
                    size=photo.size,
                    mtime_ns=photo.mtime_ns,
                    md5=job.md5,
                    state=State.SENT,
                    image_id=photo_id,
                )
                await self._ledger.record([entry])
                await self._deduplicator.uploaded(job, photo_id=photo_id, planned=True)


class _PlannedFormats:
    """Emits the files that would be attached to photos, and counts their bytes."""

    def __init__(self, emit: Emit) -> None:
        self.size = 0
        self._emit = emit

    async def send(self, content: Content, paired_file: PairedFile, main: int) -> Content:
        """Emit a file that would be attached."""
        del main
        path, size = paired_file.path, content.photo.size
        self.size += size
        self._emit(PhotoNew(path=path, size=size, format_of=paired_file.of, md5=content.known_md5))
        await anyio.lowlevel.checkpoint()
        return content

    async def record(self, content: Content, paired_file: PairedFile, main: int) -> None:
        """Record nothing."""


class DryRunGallery:
    """A read-only view of a gallery; new albums are only planned."""

    def __init__(self, gallery: GalleryReader) -> None:
        self._gallery = gallery
        self._ids = count(FIRST_PLANNED)
        self._planned: dict[int, str] = {}
        self.replaces = gallery.replaces
        self.md5s_reliable = gallery.md5s_reliable
        self.takes_formats = gallery.takes_formats
        self.moderated = gallery.moderated
        self.albums = gallery.albums
        self.find = gallery.find
        self.check = gallery.check
        self.shrunk = gallery.shrunk
        self.identity = gallery.identity
        self.album_keys = gallery.album_keys
        self.has_format = gallery.has_format
        self.formats_of = gallery.formats_of
        self.check_format = gallery.check_format
        self.line_speed = gallery.line_speed
        self.album_photos = gallery.album_photos
        self.album_displays = gallery.album_displays

    async def album_name(self, album: int) -> str:
        """Return the name of a planned or existing album."""
        return self._planned.get(album) or await self._gallery.album_name(album)

    async def check_album(self, album: int) -> None:
        """Check an existing album."""
        if album not in self._planned:
            await self._gallery.check_album(album)

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Plan an album, and return an id for it."""
        del parent, private, comment
        await anyio.lowlevel.checkpoint()
        album = next(self._ids)
        self._planned[album] = name
        return album

    async def members(self, album: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield the photos in an album; a planned one has none."""
        if album not in self._planned:
            async with aclosing(self._gallery.members(album)) as members:
                async for member in members:
                    yield member

    async def alias(self, photo_id: int) -> str:
        """Return an empty alias: a dry run corrects no names."""
        del photo_id
        return ""

    async def set_album_name(self, album: int, name: str) -> None:
        """Change nothing."""

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Change nothing."""

    async def unlink(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Change nothing."""

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Change nothing."""

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Change nothing."""

    async def report(self, photo_ids: Collection[int], *, album: int) -> Collection[int]:
        """Report nothing."""
        del photo_ids, album
        return ()

    async def remove(self, photo_id: int) -> None:
        """Change nothing."""

    async def set_order(
        self, photo_ids: Sequence[int], *, album: int, present: Sequence[int] = ()
    ) -> None:
        """Change nothing."""

    async def set_album_order(self, albums: Sequence[int]) -> None:
        """Change nothing."""

    async def set_cover(self, photo_id: int, *, album: int) -> None:
        """Change nothing."""

    async def add_to_caddie(self, photo_ids: Sequence[int]) -> None:
        """Change nothing."""

    async def link_to_new(self, albums: Sequence[int]) -> str:
        """Return nothing: there are no new photos."""
        del albums
        return ""


class DryRunLedger(NoLedger):
    """A ledger that stores only MD5s.

    With `foresee` it keeps in memory, for this run, which photos would be uploaded and which
    formats would have to be sent again.
    """

    def __init__(self, ledger: Ledger, *, foresee: bool = False) -> None:
        super().__init__()
        self._ledger = ledger
        self._foresee = foresee
        self._foreseen: dict[str, Entry] = {}
        self._files: defaultdict[int | None, set[str]] = defaultdict(set)

    async def look_up(self, paths: Sequence[Path]) -> Mapping[Path, Entry]:
        """Return the entries of these paths as the upload would leave them."""
        known = await self._ledger.look_up(paths)
        if not self._foreseen:
            return known
        keys = await to_thread.run_sync(_keys, paths)
        foreseen = {path: self._foreseen[key] for key, path in keys if key in self._foreseen}
        return {**known, **foreseen}

    async def files_of(self, image_ids: Collection[int]) -> Sequence[Entry]:
        """Return the entries of all files of these photos as the upload would leave them."""
        known = await self._ledger.files_of(image_ids)
        keys = await to_thread.run_sync(_keys, [entry.path for entry in known])
        now = {key: entry for (key, _), entry in zip(keys, known, strict=True)}
        now |= {key: self._foreseen[key] for key in now.keys() & self._foreseen.keys()}
        for photo_id in image_ids:
            now |= {key: self._foreseen[key] for key in self._files.get(photo_id, ())}
        return [entry for entry in now.values() if entry.image_id in image_ids]

    async def record(self, entries: Sequence[Entry]) -> None:
        """Store MD5s, except of formats: those would be sent again after a change."""
        known = await self._ledger.look_up([entry.path for entry in entries])
        formats = {path for path, entry in known.items() if entry.is_format}
        if hashed := [
            entry for entry in entries if entry.state is State.HASHED and entry.path not in formats
        ]:
            await self._ledger.record(hashed)
        if not self._foresee:
            return
        keys = await to_thread.run_sync(_keys, [entry.path for entry in entries])
        for (key, path), entry in zip(keys, entries, strict=True):
            if entry.state in {State.SENT, State.DONE} or path in formats:
                self._foreseen[key] = entry
                self._files[entry.image_id].add(key)

    async def facts(self, *, max_age_s: float) -> Mapping[Fact, int]:
        """Return the stored facts about the server."""
        return await self._ledger.facts(max_age_s=max_age_s)

    async def ages_s(self) -> Mapping[Fact, float]:
        """Return the ages of the stored facts."""
        return await self._ledger.ages_s()


def _keys(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return the paths, each with its absolute form."""
    return [(absolute(path), path) for path in paths]
