"""The dry run: the same pipeline against a gallery that only answers, and changes nothing."""

import os
from collections import defaultdict
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
from bulkup.engine.dedupe import Deduplicator
from bulkup.engine.executor import Executor
from bulkup.engine.formats import Content, Formats
from bulkup.engine.limiter import REMEMBERED_S
from bulkup.engine.pacing import ceiling_for
from bulkup.engine.pipeline import Plan, dedupe_stage, make_deduplicator, read_plan
from bulkup.engine.ports import (
    AlbumInfo,
    AlbumMember,
    Entry,
    Fact,
    GalleryReader,
    Job,
    Ledger,
    PhotoIdentity,
    RunContext,
    State,
)
from bulkup.engine.recorder import OutcomeGuard, OutcomeRecorder
from bulkup.errors.groups import one_error
from bulkup.events import Emit, Estimated, Event, PhotoNew, PhotoPresent, RunFinished
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo

FIRST_PLANNED: Final = 2**31
"""Numbers from here on are of albums and photos that are only planned: Piwigo's are smaller."""


class DryRunGallery:
    """A gallery that answers questions and takes nothing."""

    def __init__(self, gallery: GalleryReader) -> None:
        self._gallery = gallery
        self._numbers = count(FIRST_PLANNED)
        self._planned: dict[int, str] = {}

    async def albums(self) -> Sequence[AlbumInfo]:
        """Return the albums that there are."""
        return await self._gallery.albums()

    async def album_name(self, album: int) -> str:
        """Return the name of an album, planned or there."""
        return self._planned.get(album) or await self._gallery.album_name(album)

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Plan an album."""
        del parent, private, comment
        await anyio.lowlevel.checkpoint()
        number = next(self._numbers)
        self._planned[number] = name
        return number

    async def spell_album(self, album: int, name: str) -> None:
        """Leave the name as it is planned."""

    def album_keys(self, name: str) -> Sequence[str]:
        """Return what the list may call an album of this name."""
        return self._gallery.album_keys(name)

    async def members(self, album: int) -> AsyncGenerator[AlbumMember, None]:
        """Yield what an album shows; one that is planned shows nothing."""
        if album not in self._planned:
            async with aclosing(self._gallery.members(album)) as members:
                async for member in members:
                    yield member

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each MD5."""
        return await self._gallery.find(md5s)

    @property
    def replaces(self) -> bool:
        """Whether the gallery can give a photo of a number another file."""
        return self._gallery.replaces

    async def identity(self, photo_id: int) -> PhotoIdentity:
        """Return what a photo is."""
        return await self._gallery.identity(photo_id)

    async def check(self, photo_id: int, md5: str) -> bool | None:
        """Tell whether a photo's stored file has this MD5."""
        return await self._gallery.check(photo_id, md5)

    @property
    def takes_formats(self) -> bool:
        """Whether the gallery has a method for them."""
        return self._gallery.takes_formats

    async def has_format(self, photo_id: int, file: str) -> bool | None:
        """Tell whether a photo has a file of this name as a format."""
        return await self._gallery.has_format(photo_id, file)

    async def formats_of(self, photo_id: int, file: str) -> Collection[str] | None:
        """Return the endings of a photo's formats; None where the server can't tell."""
        return await self._gallery.formats_of(photo_id, file)

    async def check_format(self, file: str) -> None:
        """Find out whether the gallery takes a file as a format. Raises `FormatRefused`."""
        await self._gallery.check_format(file)

    async def alias(self, photo_id: int) -> str:
        """Tell of no name that would have to be mended."""
        del photo_id
        return ""

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Leave the albums as they are."""

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Leave the name as it is."""

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Leave the lounge as it is."""

    async def remove(self, photo_id: int) -> None:
        """Delete nothing."""

    async def line_speed(self) -> float | None:
        """Return the bytes a second that the line takes."""
        return await self._gallery.line_speed()


class DryRunLedger:
    """A memory that learns nothing but MD5s.

    With `foresee` it knows until the end of the run which photos would be where, and which formats
    would have to be sent again.
    """

    def __init__(self, ledger: Ledger, *, foresee: bool = False) -> None:
        self._ledger = ledger
        self._foresee = foresee
        self._foreseen: dict[str, Entry] = {}
        self._files: defaultdict[int | None, set[str]] = defaultdict(set)

    async def look_up(self, paths: Sequence[Path]) -> Mapping[Path, Entry]:
        """Return what is known of these paths, or would be."""
        known = await self._ledger.look_up(paths)
        if not self._foreseen:
            return known
        keys = await to_thread.run_sync(_keys, paths)
        foreseen = {path: self._foreseen[key] for key, path in keys if key in self._foreseen}
        return {**known, **foreseen}

    async def files_of(self, image_ids: Collection[int]) -> Sequence[Entry]:
        """Return what is known of all files of these photos, or would be."""
        known = await self._ledger.files_of(image_ids)
        keys = await to_thread.run_sync(_keys, [entry.path for entry in known])
        now = {key: entry for (key, _), entry in zip(keys, known, strict=True)}
        now |= {key: self._foreseen[key] for key in now.keys() & self._foreseen.keys()}
        for photo_id in image_ids:
            now |= {key: self._foreseen[key] for key in self._files.get(photo_id, ())}
        return [entry for entry in now.values() if entry.image_id in image_ids]

    async def record(self, entries: Sequence[Entry]) -> None:
        """Keep MD5s, but not of what would have to be sent again after a change."""
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

    async def forget(self, paths: Sequence[Path]) -> None:
        """Forget nothing."""

    async def settle(self) -> None:
        """Do nothing."""

    async def remains(self) -> Sequence[str]:
        """Leave what there may be."""
        return []

    async def begin(self, name: str) -> None:
        """Do nothing: nothing begins."""

    async def end(self, name: str) -> None:
        """Do nothing: nothing ends."""

    async def facts(self, *, max_age_s: float) -> Mapping[Fact, int]:
        """Return what was found out about the server."""
        return await self._ledger.facts(max_age_s=max_age_s)

    async def learn(self, fact: Fact, value: int) -> None:
        """Learn nothing."""


def _keys(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return the paths, each with the whole one."""
    return [(os.path.abspath(path), path) for path in paths]  # noqa: PTH100 (a tenth of the time)


FINISH_S: Final = 0.45
"""What a photo of some megapixels costs a small server (piwigo-api.md, 3.1)."""


async def run(
    plan: Plan, context: RunContext, *, albums: Albums, executor: Executor | None = None
) -> None:
    """Emit for every photo of the plan what an upload would do with it.

    `context.gallery` must be a `DryRunGallery`. `executor` fingerprints, by default on this
    machine. Raises `RunError` where the upload could not continue.
    """
    began, emit, ledger = context.clock(), context.emit, context.ledger
    guard = OutcomeGuard(partial(_tell, emit))
    context = replace(
        context,
        emit=guard.emit,
        ledger=DryRunLedger(ledger, foresee=plan.formats or plan.update),
    )
    outcomes = OutcomeRecorder(context)
    aside: list[PairedFile] = []
    deduplicator = make_deduplicator(plan, context, outcomes=outcomes, albums=albums, aside=aside)
    new_in, new = anyio.create_memory_object_stream[Job](plan.concurrency)
    planned = _New(context, deduplicator=deduplicator)
    attaching = _Attaching(context.emit)
    try:
        async with one_error(), anyio.create_task_group() as tasks:
            jobs = read_plan(plan, context, tasks=tasks, aside=aside, executor=executor)
            tasks.start_soon(dedupe_stage, jobs, new_in, deduplicator, context)
            tasks.start_soon(planned.tell, new)
        formats = Formats(context, carrier=attaching, update=plan.update, executor=executor)
        await formats.attach(aside, at_once=plan.concurrency)
    finally:
        guard.close()
    size = planned.size + attaching.size
    speed = await context.gallery.line_speed() if size else None
    if speed:
        facts = await ledger.facts(max_age_s=REMEMBERED_S)
        at_once = plan.finishing or min(plan.concurrency, ceiling_for(facts.get(Fact.WORKERS)))
        finishing_s = planned.count * FINISH_S / at_once
        emit(Estimated(sending_s=size / speed, finishing_s=finishing_s))
    emit(RunFinished(seconds=context.clock() - began))


def _tell(emit: Emit, event: Event) -> None:
    """Tell of an event, but not of numbers that are none yet."""
    if isinstance(event, PhotoPresent):
        if (event.image_id or 0) >= FIRST_PLANNED:
            event = replace(event, image_id=None)
        there = tuple(album for album in event.albums if album < FIRST_PLANNED)
        event = replace(event, albums=there)
    emit(event)


class _New:
    """Tells what photos would be sent, and counts them."""

    def __init__(self, context: RunContext, *, deduplicator: Deduplicator) -> None:
        self.count = 0
        self.size = 0
        self._emit = context.emit
        self._deduplicator = deduplicator
        self._ledger = context.ledger
        self._numbers = count(FIRST_PLANNED)

    async def tell(self, jobs: MemoryObjectReceiveStream[Job]) -> None:
        """Tell of photo after photo; its twins would come with it."""
        async with jobs:
            async for job in jobs:
                photo = job.photo
                self.count += 1
                self.size += photo.size
                self._emit(
                    PhotoNew(path=photo.path, size=photo.size, replaces=job.replaces, md5=job.md5)
                )
                number = job.replaces or next(self._numbers)
                await self._ledger.record(
                    [
                        Entry(
                            path=photo.path,
                            size=photo.size,
                            mtime_ns=photo.mtime_ns,
                            md5=job.md5,
                            state=State.SENT,
                            image_id=number,
                        )
                    ]
                )
                await self._deduplicator.landed(job, photo_id=number)


class _Attaching:
    """Tells what files would be attached to photos, and counts their bytes."""

    def __init__(self, emit: Emit) -> None:
        self.size = 0
        self._emit = emit

    async def send(self, content: Content, paired_file: PairedFile, main: int) -> Content:
        """Tell of a file that would be attached."""
        del main
        path, size = paired_file.path, content.photo.size
        self.size += size
        self._emit(PhotoNew(path=path, size=size, format_of=paired_file.of, md5=content.known_md5))
        await anyio.lowlevel.checkpoint()
        return content

    async def keep(self, content: Content, main: int) -> None:
        """Keep nothing."""
