"""A run that is cancelled at any step: nothing of it is left open, and the next one ends exact."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio import CancelScope, to_thread
from anyio.lowlevel import checkpoint

from bulkup.events import Event, FileFound, PhotoFinishing, PhotoProgress, PhotoUploaded
from bulkup.ledger import Ledger
from bulkup.recovery import Sleep
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from tests.engine.runs import Outcome, make_archive, no_wait, run, stored_sums

METHODS = ["async", "upload", "legacy"]
FINISHES = {
    "async": "pwg.images.uploadAsync",
    "upload": "pwg.images.upload",
    "legacy": "pwg.images.add",
}
PATIENCE = 1000  # turns of the event loop, with a thread each, until threads have let go of files


class Counted(Faults):
    """Calls somebody as the nth request comes in."""

    def __init__(self, *plan: Fault, nth: int = 0) -> None:
        super().__init__(plan)
        self.act: Callable[[], None] = lambda: None
        self.count = 0
        self.on = True
        self._nth = nth

    def strike(self, method: str) -> Fault | None:
        self.count += 1
        if self.count == self._nth:
            self.act()
        return super().strike(method) if self.on else None


class Acting(list[Event]):
    """Events that call somebody when one of a kind comes."""

    def __init__(self, kind: type[Event], act: Callable[[], None]) -> None:
        super().__init__()
        self._kind = kind
        self._act = act

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, self._kind):
            self._act()


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
    yield
    gc.collect()  # whatever was forgotten warns now, and warnings are errors
    for _ in range(PATIENCE):
        if open_files() == before and asyncio.all_tasks() == tasks:
            break
        await to_thread.run_sync(gc.collect, 0)
    assert asyncio.all_tasks() == tasks
    assert open_files() == before


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Make three photos of two chunks each, two of one base name."""
    return make_archive(
        tmp_path_factory.mktemp("cancel"), count=3, names=2, size=(5000, 8000), seed=5
    )


def root_of(archive: dict[Path, str]) -> Path:
    return next(iter(archive)).parents[1]


async def run_once(
    box: Sandbox,
    archive: dict[Path, str],
    ledger: Path,
    *,
    method: str,
    outcome: Outcome | None = None,
    finishing: int = 2,
    sleep: Sleep = no_wait,
) -> None:
    async with Ledger(ledger, server=box.url) as memory:
        await run(
            box,
            root_of(archive),
            method=method,
            chunk_size=4096,
            concurrency=3,
            finishing=finishing,
            memory=memory,
            outcome=outcome,
            sleep=sleep,
        )


async def at_rest(box: Sandbox) -> None:
    """Wait until the server has done what it had been asked before the client went away."""
    server = box._runner.server
    while box._front._running or (server is not None and server.connections):
        await checkpoint()


async def ends_exact(box: Sandbox, archive: dict[Path, str], ledger: Path, *, method: str) -> None:
    await run_once(box, archive, ledger, method=method)
    assert stored_sums(box) == Counter(archive.values())
    assert {frozenset(photo.albums) for photo in box.gallery.photos.values()} == {frozenset({1})}
    assert {photo.file for photo in box.gallery.photos.values()} == {path.name for path in archive}
    assert not box.gallery.buffers
    assert not box.gallery.lounge


@pytest.mark.parametrize("method", METHODS)
async def test_cancelled_at_any_request_nothing_is_left_and_the_next_run_ends_exact(
    archive: dict[Path, str], tmp_path: Path, method: str
) -> None:
    faults = Counted()
    async with Sandbox(faults=faults) as box:
        await run_once(box, archive, tmp_path / "0.sqlite", method=method)
    assert faults.count > 20
    for nth in range(1, faults.count + 1):
        ledger = tmp_path / f"{nth}.sqlite"
        async with nothing_left():
            at_nth = Counted(nth=nth)
            async with Sandbox(faults=at_nth) as box:
                with CancelScope() as scope:
                    at_nth.act = scope.cancel
                    await run_once(box, archive, ledger, method=method)
                await at_rest(box)
                await ends_exact(box, archive, ledger, method=method)


@pytest.mark.parametrize("kind", [FileFound, PhotoProgress, PhotoFinishing, PhotoUploaded])
@pytest.mark.parametrize("method", METHODS)
async def test_cancelled_while_a_file_is_in_hand_nothing_is_left(
    archive: dict[Path, str], tmp_path: Path, method: str, kind: type[Event]
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    async with nothing_left(), Sandbox() as box:
        with CancelScope() as scope:
            outcome = Outcome(Acting(kind, scope.cancel))
            await run_once(box, archive, ledger, method=method, outcome=outcome)
        assert scope.cancelled_caught
        assert outcome.balances()
        await at_rest(box)
        await ends_exact(box, archive, ledger, method=method)


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("kind", ["503", "429", "answer-lost"])
async def test_cancelled_while_it_waits_for_the_server_nothing_is_left(
    archive: dict[Path, str], tmp_path: Path, kind: Kind, nth: int
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    upload = "pwg.images.uploadAsync"
    faults = Counted(*(Fault(kind, upload, number, retry_after="1") for number in range(9)))
    sleeps = 0

    async def sleep(seconds: float) -> None:
        nonlocal sleeps
        sleeps += seconds > 0
        if sleeps >= nth:
            scope.cancel()
        await no_wait(seconds)

    async with nothing_left(), Sandbox(faults=faults) as box:
        with CancelScope() as scope:
            await run_once(box, archive, ledger, method="async", sleep=sleep)
        assert scope.cancelled_caught
        faults.on = False
        await at_rest(box)
        await ends_exact(box, archive, ledger, method="async")


@pytest.mark.parametrize("method", ["async", "upload", "legacy"])
async def test_cancelled_in_the_queue_before_a_finish_nothing_is_left(
    archive: dict[Path, str], tmp_path: Path, method: str
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    faults = Counted(Fault("slow", FINISHES[method], slow_s=3600.0))
    outcome = Outcome()
    async with nothing_left(), Sandbox(faults=faults) as box:
        async with anyio.create_task_group() as tasks:

            async def cancelled() -> None:
                await run_once(box, archive, ledger, method=method, outcome=outcome, finishing=1)

            tasks.start_soon(cancelled)
            while len(box.gallery.photos) < 1 or len(box.gallery.buffers) < 2:
                await checkpoint()
            for _ in range(PATIENCE):
                await checkpoint()
            tasks.cancel_scope.cancel()
        assert len(outcome.of(PhotoFinishing)) == 1
        faults.on = False
        await ends_exact(box, archive, ledger, method=method)
