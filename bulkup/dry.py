"""A dry run: everything is asked, nothing is changed, and the plan comes out as events.

Knows the stages before a photo is sent; what it pretends to has a module of its own.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Final

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from bulkup.albums import Albums
from bulkup.companions import Companion
from bulkup.ending import Unended, one_error
from bulkup.engine import Plan, jobs_of, sifter_of
from bulkup.events import Emit, Estimated, Event, PhotoNew, PhotoPresent, RunFinished
from bulkup.formats import Content, Formats
from bulkup.gate import REMEMBERED_S
from bulkup.hands import Hands
from bulkup.journey import Job
from bulkup.memory import Entry, Fact, Memory, State
from bulkup.outcome import Outcomes
from bulkup.pacing import ceiling_for
from bulkup.pretended import FIRST_PLANNED, DryGallery, DryMemory
from bulkup.recovery import Recovery
from bulkup.sift import Sifter
from bulkup.stages import Stop, sift_stage

FINISH_S: Final = 0.45
"""What a photo of some megapixels costs a small server (piwigo-api.md, 3.1)."""


async def run(
    plan: Plan,
    *,
    gallery: DryGallery,
    recovery: Recovery,
    memory: Memory,
    albums: Albums,
    emit: Emit,
    stop: Stop,
    hands: Hands | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Tell of every photo of the plan what an upload would do, event by event.

    `hands` read, by default this machine's. Raises `RunError` where the upload could not go on.
    """
    began = clock()
    unended = Unended(partial(_tell, emit))
    pretended = DryMemory(memory, foresee=plan.formats or plan.update)
    outcomes = Outcomes(pretended, unended.emit)
    aside: list[Companion] = []
    sifter = sifter_of(
        plan,
        gallery,
        recovery=recovery,
        outcomes=outcomes,
        albums=albums,
        notice=emit,
        stop=stop,
        aside=aside,
    )
    new_in, new = anyio.create_memory_object_stream[Job](plan.concurrency)
    told = _New(unended.emit, sifter=sifter, memory=pretended)
    attaching = _Attaching(unended.emit)
    try:
        async with one_error(), anyio.create_task_group() as tasks:
            jobs = jobs_of(plan, outcomes, stop, tasks=tasks, aside=aside, hands=hands)
            sift = partial(sift_stage, sleep=recovery.sleep, clock=clock)
            tasks.start_soon(sift, jobs, new_in, sifter, stop)
            tasks.start_soon(told.tell, new)
        formats = Formats(
            gallery,
            carrier=attaching,
            recovery=recovery,
            memory=pretended,
            update=plan.update,
            emit=unended.emit,
            hands=hands,
        )
        await formats.bring(aside, stop, at_once=plan.concurrency)
    finally:
        unended.close()
    size = told.size + attaching.size
    speed = await gallery.line_speed() if size else None
    if speed:
        facts = await memory.facts(max_age_s=REMEMBERED_S)
        at_once = plan.finishing or min(plan.concurrency, ceiling_for(facts.get(Fact.WORKERS)))
        finishing_s = told.count * FINISH_S / at_once
        emit(Estimated(sending_s=size / speed, finishing_s=finishing_s))
    emit(RunFinished(seconds=clock() - began))


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

    def __init__(self, emit: Emit, *, sifter: Sifter, memory: Memory) -> None:
        self.count = 0
        self.size = 0
        self._emit = emit
        self._sifter = sifter
        self._memory = memory
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
                await self._memory.record(
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
                await self._sifter.landed(job, photo_id=number)


class _Attaching:
    """Tells what files would be attached to photos, and counts their bytes."""

    def __init__(self, emit: Emit) -> None:
        self.size = 0
        self._emit = emit

    async def send(self, content: Content, companion: Companion, main: int) -> Content:
        """Tell of a file that would be attached."""
        del main
        path, size = companion.path, content.photo.size
        self.size += size
        self._emit(PhotoNew(path=path, size=size, format_of=companion.of, md5=content.known_md5))
        await anyio.lowlevel.checkpoint()
        return content

    async def keep(self, content: Content, main: int) -> None:
        """Keep nothing."""
