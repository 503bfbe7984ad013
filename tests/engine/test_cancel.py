"""A run that is cancelled at any step: nothing of it is left open, and the next one ends exact."""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import anyio
import pytest
from anyio import CancelScope, to_thread
from anyio.lowlevel import checkpoint

from bulkup.events import Event, FileFound, PhotoFinishing, PhotoProgress, PhotoUploaded
from bulkup.sandbox import Fault, Sandbox
from bulkup.sandbox.faults import Kind
from tests.support.events import acting_on
from tests.support.faults import HookedFaults
from tests.support.ledgers import run_with_ledger
from tests.support.runs import Outcome, make_archive, no_wait, stored_sums

FINISHES = {
    "async": "pwg.images.uploadAsync",
    "upload": "pwg.images.upload",
    "legacy": "pwg.images.add",
}
each_method = pytest.mark.parametrize("method", FINISHES)
TURNS = 1000  # of the event loop: more than anything needs that does not wait
PATIENCE_S = 60.0  # until threads have let go of their files, however slow the machine


def open_files() -> Counter[str]:
    """Return what this process has open: a file's path, or a kind of thing."""
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the listing itself
            found[str(link.readlink()).partition(":[")[0]] += 1
    return found


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Check that the body leaves no task and nothing open; sandboxes belong into the body."""
    await to_thread.run_sync(open_files)
    tasks, before = asyncio.all_tasks(), open_files()
    gc.freeze()  # so that only what the body makes is looked through
    yield
    gc.collect()  # whatever was forgotten warns now, and warnings are errors
    end = time.monotonic() + PATIENCE_S
    while (open_files(), asyncio.all_tasks()) != (before, tasks) and time.monotonic() < end:
        await to_thread.run_sync(gc.collect, 0)
    gc.unfreeze()
    assert asyncio.all_tasks() == tasks
    assert open_files() == before


upload = partial(run_with_ledger, chunk_size=4096, concurrency=3)


@pytest.fixture
def archive(folder: Path) -> dict[Path, str]:
    """Make two photos of one base name and of two chunks each."""
    return make_archive(folder, count=2, names=1, size=(5000, 8000), seed=5)


async def ends_exact(
    box: Sandbox, folder: Path, archive: dict[Path, str], *, method: str, at_rest: bool = True
) -> None:
    """Run once more; `at_rest`: only when the server has done all that it was asked so far."""
    server = box._runner.server
    while at_rest and (box._front._running or (server is not None and server.connections)):
        await checkpoint()
    await upload(box, folder, method=method)
    photos = box.gallery.photos.values()
    assert stored_sums(box) == Counter(archive.values())
    assert {frozenset(photo.albums) for photo in photos} == {frozenset({1})}
    assert {photo.file for photo in photos} == {path.name for path in archive}
    assert not box.gallery.buffers
    assert not box.gallery.lounge


@each_method
async def test_cancelled_at_any_request_nothing_is_left_and_the_next_run_ends_exact(
    folder: Path, archive: dict[Path, str], method: str
) -> None:
    for nth in count():
        async with nothing_left():
            folder.with_name("ledger.sqlite").unlink(missing_ok=True)
            faults = HookedFaults(nth=nth)
            async with Sandbox(faults=faults) as box:
                with CancelScope() as scope:
                    faults.act = scope.cancel
                    await upload(box, folder, method=method)
                if faults.count <= nth:  # the run was over before it
                    break
                await ends_exact(box, folder, archive, method=method)
    assert nth > 15


@pytest.mark.parametrize("kind", [FileFound, PhotoProgress, PhotoFinishing, PhotoUploaded])
@each_method
async def test_cancelled_while_a_file_is_in_hand_nothing_is_left(
    folder: Path, archive: dict[Path, str], method: str, kind: type[Event]
) -> None:
    async with nothing_left(), Sandbox() as box:
        with CancelScope() as scope:
            outcome = acting_on(kind, scope.cancel)
            await upload(box, folder, method=method, outcome=outcome)
        assert scope.cancelled_caught
        assert outcome.balances()
        await ends_exact(box, folder, archive, method=method)


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("kind", ["503", "429", "answer-lost"])
async def test_cancelled_while_it_waits_for_the_server_nothing_is_left(
    folder: Path, archive: dict[Path, str], kind: Kind, nth: int
) -> None:
    faults = HookedFaults(
        *(Fault(kind, FINISHES["async"], number, retry_after="1") for number in range(9))
    )
    sleeps = 0

    async def sleep(seconds: float) -> None:
        nonlocal sleeps
        sleeps += seconds > 0
        if sleeps >= nth:
            scope.cancel()
        await no_wait(seconds)

    async with nothing_left(), Sandbox(faults=faults) as box:
        with CancelScope() as scope:
            await upload(box, folder, method="async", sleep=sleep)
        assert scope.cancelled_caught
        faults.on = False
        await ends_exact(box, folder, archive, method="async")


@each_method
async def test_cancelled_in_the_queue_before_a_finish_nothing_is_left(
    folder: Path, archive: dict[Path, str], method: str
) -> None:
    faults = HookedFaults(Fault("slow", FINISHES[method], slow_s=3600.0))
    outcome = Outcome()
    async with nothing_left(), Sandbox(faults=faults) as box:
        async with anyio.create_task_group() as tasks:
            cancelled = partial(upload, method=method, outcome=outcome, finishing=1)
            tasks.start_soon(cancelled, box, folder)
            while not (box.gallery.photos and box.gallery.buffers):
                await checkpoint()
            for _ in range(TURNS):
                await checkpoint()
            tasks.cancel_scope.cancel()
        assert len(outcome.of(PhotoFinishing)) == 1
        faults.on = False
        await ends_exact(box, folder, archive, method=method, at_rest=False)
