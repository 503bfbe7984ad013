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
from typing import Protocol

import anyio

from bulkup.confirm import Confirmer, Confirming
from bulkup.errors import RunError
from bulkup.events import (
    Emit,
    Event,
    FileFound,
    FileSkipped,
    PhotoFailed,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    RunFinished,
)
from bulkup.journey import Job, Journey, Server
from bulkup.memory import Memory
from bulkup.outcome import Outcomes
from bulkup.photos import Photo, scan
from bulkup.recovery import Recovery
from bulkup.sift import Sifter
from bulkup.stages import (
    BATCH,
    SCAN_BATCH,
    Sent,
    Stop,
    confirm_stage,
    fingerprint_stage,
    scan_stage,
    sift_stage,
    upload_stage,
)
from bulkup.upload import sweep


class Gallery(Confirming, Server, Protocol):
    """What a run needs of a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to bring where, and how much at once.

    `concurrency` is the number of photos in flight, `finishing` of those that the server works on
    at once, `hashing` the number of threads that read ahead. `endings` None takes every file.
    """

    roots: Sequence[Path]
    album: int
    level: int = 0
    concurrency: int = 8
    finishing: int = 2
    hashing: int = 2
    endings: Collection[str] | None = None


async def run(
    plan: Plan,
    *,
    server: Gallery,
    recovery: Recovery,
    memory: Memory,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Bring every photo of the plan to the server, or say why not, event by event.

    Raises `RunError` where the run can't go on; what was found and has no outcome by then is
    emitted as unfinished.
    """
    began = clock()
    unended = _Unended(emit)
    outcomes = Outcomes(memory, unended.emit, plan.album)
    sifter = Sifter(server, recovery=recovery, outcomes=outcomes, emit=unended.emit)
    journey = Journey(
        server=server,
        memory=memory,
        recovery=recovery,
        finishing=anyio.CapacityLimiter(plan.finishing),
        emit=unended.emit,
        clock=clock,
        album=plan.album,
        level=plan.level,
    )
    confirmer = Confirmer(
        server,
        recovery=recovery,
        journey=journey,
        outcomes=outcomes,
        sifter=sifter,
        emit=unended.emit,
    )
    photos_in, photos = anyio.create_memory_object_stream[Photo](SCAN_BATCH)
    jobs_in, jobs = anyio.create_memory_object_stream[Job](BATCH)
    unsent_in, unsent = anyio.create_memory_object_stream[Job](plan.concurrency)
    sent_in, sent = anyio.create_memory_object_stream[Sent](BATCH)
    await _sweep_remains(journey, memory)
    try:
        async with _one_error(), anyio.create_task_group() as tasks:
            with photos, jobs_in, unsent, sent_in:
                walk = scan(plan.roots, endings=plan.endings)
                tasks.start_soon(scan_stage, walk, photos_in, jobs_in.clone(), outcomes, stop)
                for _ in range(plan.hashing):
                    tasks.start_soon(
                        fingerprint_stage, photos.clone(), jobs_in.clone(), unended.emit, stop
                    )
                sift = partial(sift_stage, sleep=recovery.sleep, clock=clock)
                tasks.start_soon(sift, jobs, unsent_in, sifter, stop)
                send = partial(upload_stage, outcomes=outcomes, sifter=sifter, stop=stop)
                for _ in range(plan.concurrency):
                    tasks.start_soon(send, unsent.clone(), sent_in.clone(), journey)
                confirm = partial(confirm_stage, sleep=recovery.sleep, clock=clock)
                tasks.start_soon(confirm, sent, confirmer)
    finally:
        unended.close()
    await _sweep_remains(journey, memory)
    await confirmer.check_album()
    emit(RunFinished(seconds=clock() - began))


async def _sweep_remains(journey: Journey, memory: Memory) -> None:
    """Remove half photos that an interrupted run, or a failed attempt, left on the server."""
    for name in await memory.remains():
        await sweep(name, journey)


class _Unended:
    """Passes events on and keeps which files have no outcome yet: as many as the streams hold."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open: dict[Path, int] = {}

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        match event:
            case FileFound(path=path, size=size):
                self._open[path] = size
            case PhotoUploaded() | PhotoPresent() | FileSkipped() | PhotoFailed():
                self._open.pop(event.path, None)
        self._emit(event)

    def close(self) -> None:
        """Emit what has no outcome as unfinished."""
        for path, size in self._open.items():
            self._emit(PhotoUnfinished(path=path, size=size))
        self._open.clear()


@asynccontextmanager
async def _one_error() -> AsyncIterator[None]:
    """Unwrap the group that a task group raises: a bug first, then what ended the run."""
    try:
        yield
    except BaseExceptionGroup as group:
        # who sends to a stage that ends by an error may notice before being cancelled
        _, causes = group.split(anyio.BrokenResourceError)
        run_errors, bugs = (causes or group).split(RunError)
        if bugs is not None or run_errors is None:
            raise
        error: BaseException = run_errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
