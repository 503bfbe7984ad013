"""A dry run: everything is asked, nothing is changed, and the plan comes out as events.

Knows the stages before a photo is sent, and a gallery that takes nothing: new albums and links are
only noted. The ledger keeps MD5s, which the run that follows need not compute again.
"""

import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from bulkup.album import Member
from bulkup.albums import Album, Albums
from bulkup.changes import Identity
from bulkup.companions import Companion
from bulkup.ending import Unended, one_error
from bulkup.engine import Asked, Plan, jobs_of, sifter_of
from bulkup.events import Emit, Estimated, PhotoNew, PhotoPresent, RunFinished
from bulkup.gate import REMEMBERED_S
from bulkup.journey import Job
from bulkup.memory import Entry, Fact, Memory, State
from bulkup.outcome import Outcomes
from bulkup.pacing import ceiling_for
from bulkup.photos import Photo
from bulkup.recovery import Recovery
from bulkup.sift import Sifter
from bulkup.stages import Stop, sift_stage

FINISH_S: Final = 0.45
"""What a photo of some megapixels costs a small server (piwigo-api.md, 3.1)."""

FIRST_NEW_ALBUM: Final = 2**31
"""Album numbers from here on are of albums that are only planned: Piwigo's are smaller."""


class Gallery(Asked, Protocol):
    """What a dry run needs of a server."""

    async def album_name(self, album: int) -> str:
        """Return the album's name."""

    async def line_speed(self) -> float | None:
        """Return the bytes a second that the line takes, None where that can't be told."""


class DryGallery:
    """A gallery that answers questions and takes nothing."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._numbers = count(FIRST_NEW_ALBUM)
        self._planned: dict[int, str] = {}

    async def albums(self) -> Sequence[Album]:
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

    def album_key(self, name: str) -> str:
        """Return what the list calls an album of this name."""
        return self._gallery.album_key(name)

    async def members(self, album: int) -> AsyncGenerator[Member, None]:
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

    async def identity(self, photo_id: int) -> Identity:
        """Return what a photo is."""
        return await self._gallery.identity(photo_id)

    async def check(self, photo_id: int, md5: str) -> bool | None:
        """Tell whether a photo's stored file has this MD5."""
        return await self._gallery.check(photo_id, md5)

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

    async def line_speed(self) -> float | None:
        """Return the bytes a second that the line takes."""
        return await self._gallery.line_speed()


class DryMemory:
    """A memory that learns nothing but MD5s."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def look_up(self, paths: Sequence[Path]) -> Mapping[Path, Entry]:
        """Return what is known of these paths."""
        return await self._memory.look_up(paths)

    async def files_of(self, image_ids: Collection[int]) -> Sequence[Entry]:
        """Return what is known of all files of these photos."""
        return await self._memory.files_of(image_ids)

    async def record(self, entries: Sequence[Entry]) -> None:
        """Keep MD5s, but not of what would have to be sent again after a change."""
        known = await self._memory.look_up([entry.path for entry in entries])
        formats = {path for path, entry in known.items() if entry.state is State.FORMAT}
        if hashed := [
            entry for entry in entries if entry.state is State.HASHED and entry.path not in formats
        ]:
            await self._memory.record(hashed)

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
        return await self._memory.facts(max_age_s=max_age_s)

    async def learn(self, fact: Fact, value: int) -> None:
        """Learn nothing."""


async def run(
    plan: Plan,
    *,
    gallery: DryGallery,
    recovery: Recovery,
    memory: Memory,
    albums: Albums,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Tell of every photo of the plan what an upload would do, event by event.

    Raises `RunError` where the upload could not go on.
    """
    began = clock()
    unended = Unended(emit)
    outcomes = Outcomes(DryMemory(memory), unended.emit)
    sifter = sifter_of(
        plan, gallery, recovery=recovery, outcomes=outcomes, albums=albums, notice=emit
    )
    aside: list[Companion] = []
    new_in, new = anyio.create_memory_object_stream[Job](plan.concurrency)
    told = _New(unended.emit, sifter)
    try:
        async with one_error(), anyio.create_task_group() as tasks:
            jobs = jobs_of(plan, outcomes, stop, tasks=tasks, aside=aside)
            sift = partial(sift_stage, sleep=recovery.sleep, clock=clock)
            tasks.start_soon(sift, jobs, new_in, sifter, stop)
            tasks.start_soon(told.tell, new)
        await told.tell_formats(aside, outcomes.memory)
    finally:
        unended.close()
    speed = await gallery.line_speed() if told.size else None
    if speed:
        facts = await memory.facts(max_age_s=REMEMBERED_S)
        at_once = plan.finishing or min(plan.concurrency, ceiling_for(facts.get(Fact.WORKERS)))
        finishing_s = told.count * FINISH_S / at_once
        emit(Estimated(sending_s=told.size / speed, finishing_s=finishing_s))
    emit(RunFinished(seconds=clock() - began))


class _New:
    """Tells what would be sent, and counts it."""

    def __init__(self, emit: Emit, sifter: Sifter) -> None:
        self.count = 0
        self.size = 0
        self._emit = emit
        self._sifter = sifter

    async def tell(self, jobs: MemoryObjectReceiveStream[Job]) -> None:
        """Tell of photo after photo; its twins would come with it."""
        async with jobs:
            async for job in jobs:
                self.count += 1
                self.size += job.photo.size
                self._emit(PhotoNew(path=job.photo.path, size=job.photo.size))
                await self._sifter.landed(job, photo_id=0)

    async def tell_formats(self, companions: Sequence[Companion], memory: Memory) -> None:
        """Tell which files would be sent as formats, by what the ledger holds."""
        for companion in companions:
            photo = Photo(companion.path, companion.size, companion.mtime_ns)
            entry = (await memory.look_up([photo.path])).get(photo.path)
            path, size = photo.path, photo.size
            if entry and entry.state is State.FORMAT and entry.is_of(photo):
                number = entry.image_id
                self._emit(PhotoPresent(path=path, size=size, image_id=number, linked=False))
                continue
            self.count += 1
            self.size += size
            self._emit(PhotoNew(path=path, size=size))
