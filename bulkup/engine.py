"""The stages of a run and the bounded streams between them: scan, fingerprint, sift, upload.

Knows the order of things and when they end, and no particular server or screen. Each stage is a
function that owns and closes its stream ends; every stream is bounded, so that memory stays flat
however large the archive.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from bulkup.albums import Albums
from bulkup.changes import Changes, Replaceable
from bulkup.choice import EVERYTHING, Choice
from bulkup.chunksize import ChunkSize
from bulkup.companions import Companion, paired
from bulkup.confirm import Confirmer, Confirming
from bulkup.destinations import Destinations, Titles
from bulkup.ending import Unended, one_error
from bulkup.events import Emit, RunFinished
from bulkup.formats import Attaching, Formats, Uploading
from bulkup.gate import Census, Gate
from bulkup.hands import Hands, OwnHands
from bulkup.journey import Job, Journey, Server
from bulkup.memory import Memory
from bulkup.outcome import Outcomes
from bulkup.pacing import Finishing
from bulkup.placing import Placing
from bulkup.recovery import Recovery
from bulkup.sift import Catalogue, Sifter
from bulkup.stages import (
    BATCH,
    Sent,
    Stop,
    confirm_stage,
    read_archive,
    sift_stage,
    upload_stage,
)
from bulkup.tidying import Checker, Place, Tidying
from bulkup.uploading import sweep
from bulkup.walk import Found, find

MOST_FINISHING: Final = 64
"""Photos that are finished at once at most, whatever the server bears."""


class Asked(Catalogue, Replaceable, Protocol):
    """What a server is asked before anything is sent."""


class Gallery(Asked, Attaching, Checker, Confirming, Server, Protocol):
    """What a run needs of a server."""

    @property
    def census(self) -> Census:
        """Who counts its workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to bring where, and how much at once.

    `concurrency` is the number of photos in flight, `finishing` of those that the server works on
    at once (None: as many as do it good), `hashing` the number of threads that read ahead.
    `endings` None takes every file. `update` has changed files replace their photos, `formats` has
    RAW files and the like become formats of the photos that they stand beside. `away` is where the
    files of photos that the server surely has are put at the end, None: nowhere. `only` tells
    which files of the walk to take, None: all. `titles` tells what folders' albums are called,
    None: as the folders are.
    """

    roots: Sequence[Path]
    choice: Choice = EVERYTHING
    placing: Placing
    level: int = 0
    concurrency: int = 8
    finishing: int | None = None
    hashing: int = 2
    endings: Collection[str] | None = None
    update: bool = False
    formats: bool = False
    away: Place | None = None
    only: Callable[[Found], bool] | None = None
    titles: Titles | None = None


async def run(
    plan: Plan,
    *,
    server: Gallery,
    recovery: Recovery,
    memory: Memory,
    albums: Albums,
    chunk_size: ChunkSize,
    emit: Emit,
    stop: Stop,
    hands: Hands | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Bring every photo of the plan to the server, or say why not, event by event.

    `hands` read and send, by default this machine's. Raises `RunError` where the run can't go on;
    what was found and has no outcome by then is emitted as unfinished.
    """
    began = clock()
    hands = hands or OwnHands()
    unended = Unended(emit)
    tidying = Tidying(
        plan.away, server=server, recovery=recovery, memory=memory, emit=emit, stop=stop
    )
    outcomes = Outcomes(memory, unended.emit, tidying.arrived)
    aside: list[Companion] = []
    sifter = sifter_of(
        plan,
        server,
        recovery=recovery,
        outcomes=outcomes,
        albums=albums,
        notice=emit,
        stop=stop,
        aside=aside,
    )
    at_once = plan.concurrency * hands.machines
    gate = Gate(
        Finishing(
            most=plan.finishing or min(MOST_FINISHING, at_once + hands.lead),
            fixed=plan.finishing is not None,
        ),
        census=server.census,
        recovery=recovery,
        memory=memory,
        emit=emit,
        clock=clock,
    )
    journey = Journey(
        server=server,
        memory=memory,
        recovery=recovery,
        gate=gate,
        chunk_size=chunk_size,
        emit=unended.emit,
        clock=clock,
        level=plan.level,
    )
    confirmer = Confirmer(
        server,
        recovery=recovery,
        journey=journey,
        hands=hands,
        outcomes=outcomes,
        sifter=sifter,
        emit=unended.emit,
    )
    formats = Formats(
        server,
        carrier=Uploading(journey, memory=memory, hands=hands),
        recovery=recovery,
        memory=memory,
        update=plan.update,
        emit=unended.emit,
        hands=hands,
    )
    unsent_in, unsent = anyio.create_memory_object_stream[Job](plan.concurrency)
    sent_in, sent = anyio.create_memory_object_stream[Sent](BATCH)
    await _sweep_remains(journey, memory)
    try:
        async with one_error(), attended(gate):
            async with anyio.create_task_group() as tasks:
                with unsent, sent_in:
                    jobs = jobs_of(plan, outcomes, stop, tasks=tasks, aside=aside, hands=hands)
                    sift = partial(sift_stage, sleep=recovery.sleep, clock=clock)
                    tasks.start_soon(sift, jobs, unsent_in, sifter, stop)
                    send = partial(
                        upload_stage, outcomes=outcomes, sifter=sifter, stop=stop, hands=hands
                    )
                    for _ in range(at_once + hands.lead):
                        tasks.start_soon(send, unsent.clone(), sent_in.clone(), journey)
                    confirm = partial(confirm_stage, sleep=recovery.sleep, clock=clock)
                    tasks.start_soon(confirm, sent, confirmer)
            await formats.bring(aside, stop, at_once=at_once + hands.lead)
    finally:
        unended.close()
    await _sweep_remains(journey, memory)
    await confirmer.check_albums()
    await tidying.put_away(astray=confirmer.is_astray, aside=aside)
    emit(RunFinished(seconds=clock() - began))


def sifter_of(
    plan: Plan,
    server: Asked,
    *,
    recovery: Recovery,
    outcomes: Outcomes,
    albums: Albums,
    notice: Emit,
    stop: Stop,
    aside: Sequence[Companion],
) -> Sifter:
    """Return who sifts the photos of a plan; `notice` hears what is no photo's outcome.

    What stands beside photos, and is no photo then, is `aside` when all has been read.
    """
    return Sifter(
        server,
        recovery=recovery,
        outcomes=outcomes,
        destinations=Destinations(plan.placing, albums, emit=notice, titles=plan.titles),
        changes=Changes(
            server,
            recovery=recovery,
            memory=outcomes.memory,
            outcomes=outcomes,
            update=plan.update,
            aside=aside if plan.formats else None,
            emit=notice,
            stop=stop,
        ),
        emit=outcomes.emit,
    )


def jobs_of(
    plan: Plan,
    outcomes: Outcomes,
    stop: Stop,
    *,
    tasks: TaskGroup,
    aside: list[Companion],
    hands: Hands | None = None,
) -> MemoryObjectReceiveStream[Job]:
    """Start to read what a plan is about; return the stream of its photos."""
    walk = find(plan.roots, plan.choice, endings=plan.endings, only=plan.only)
    return read_archive(
        paired(walk, endings=plan.endings) if plan.formats else walk,
        outcomes,
        stop,
        tasks=tasks,
        hashing=plan.hashing,
        aside=aside,
        hands=hands,
    )


@asynccontextmanager
async def attended(gate: Gate) -> AsyncIterator[None]:
    """Have somebody attend to the gate."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gate.attend)
        yield
        tasks.cancel_scope.cancel()


async def _sweep_remains(journey: Journey, memory: Memory) -> None:
    """Remove half photos that an interrupted run, or a failed attempt, left on the server."""
    for name in await memory.remains():
        await sweep(name, journey)
