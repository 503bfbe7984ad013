"""The crash property: killed at any moment, the same command run again ends with an exact copy."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import anyio
import pytest

from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.commands import PASSWORD, send, start
from tests.support.moments import Moment, exactly, sandbox
from tests.support.runs import make_archive

METHODS = ["async", "upload", "legacy"]
VERSIONS = ["13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1"]
MOMENTS = int(os.environ.get("BULKUP_CRASH_MOMENTS", "12"))
KINDS = [(method, keep) for method in METHODS for keep in (True, False)]
AT_ONCE = 2
SENDING_STEPS = 2 * 3 * 9
"""Each of nine different photos goes out in three chunks: each comes, and is carried out."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Make ten photos of three chunks each, of three base names, two of one content."""
    folder = tmp_path_factory.mktemp("crash")
    sums = make_archive(folder, count=9, names=3, size=(9000, 12_000))
    original = next(iter(sums))
    twin = folder / "twin.jpg"
    twin.write_bytes(original.read_bytes())
    return sums | {twin: sums[original]}


def delete(ledger: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        ledger.with_name(ledger.name + ending).unlink(missing_ok=True)


async def kill_and_repeat(
    archive: dict[Path, str], *, method: str, version: str, nth: int, ledger: Path, keep: bool
) -> None:
    """Kill a run at a step of its sandbox, and hold what the same command ends with."""
    root = next(iter(archive)).parents[1]
    flags = ["--method", method, "--chunk-size", "4K", "--concurrency", "3"]
    flags += ["--finishing", "2"]
    flags += ["--ledger", str(ledger)]
    moment = Moment(nth, last=SENDING_STEPS)
    async with sandbox(version, moment) as box:
        async with await start(box, root, *flags) as process:
            moment.act = process.kill
            assert await process.wait() == -9
        if not keep:
            delete(ledger)
        ended = await send(box, root, *flags)
        assert ended.code == 0, ended.err
        assert exactly(box, archive)
        assert not box.gallery.buffers or not keep


@pytest.mark.plans
@pytest.mark.parametrize(("method", "keep"), KINDS)
async def test_killed_at_any_moment_the_same_command_ends_exact(
    archive: dict[Path, str], tmp_path: Path, method: str, keep: bool
) -> None:
    chance = Random(f"{method} {keep}")
    count = len(range(KINDS.index((method, keep)), MOMENTS, len(KINDS)))
    moment = Moment()
    async with sandbox("16.4.0", moment) as box:
        root = next(iter(archive)).parents[1]
        flags = ["--method", method, "--chunk-size", "4K", "--concurrency", "3"]
        flags += ["--finishing", "2"]
        await send(box, root, *flags, "--no-ledger")
    turns = anyio.CapacityLimiter(AT_ONCE)

    async def one(number: int) -> None:
        nth = 1 + int((number + chance.random()) / count * moment.count)
        version = chance.choice(VERSIONS)
        ledger = tmp_path / f"{number}.sqlite"
        async with turns:
            try:
                await kill_and_repeat(
                    archive, method=method, version=version, nth=nth, ledger=ledger, keep=keep
                )
            except AssertionError as error:
                error.add_note(f"{method} on {version}, killed at step {nth}, {moment.count=}")
                raise

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)


class Releasing(Faults):
    """Calls somebody when the lounge is to be emptied, which then is not."""

    def __init__(self) -> None:
        super().__init__()
        self.act: Callable[[], None] = lambda: None
        self.wanted = True

    def strike(self, method: str) -> Fault | None:
        if method == "pwg.images.uploadCompleted" and self.wanted:
            self.act()
            return Fault("request-lost")
        return super().strike(method)


@pytest.mark.parametrize("lost", [False, True], ids=["waiting", "lost"])
@pytest.mark.parametrize("method", ["async", "upload"])  # pwg.images.add needs no release
async def test_killed_before_the_release_every_photo_comes_into_its_album(
    tmp_path: Path, method: str, lost: bool
) -> None:
    root = tmp_path / "photos"
    archive = make_archive(root, count=4, names=2)
    flags = ["--method", method, "--ledger", str(tmp_path / "ledger.sqlite")]
    faults = Releasing()
    async with Sandbox(admin=("admin", PASSWORD), faults=faults) as box:
        async with await start(box, root, *flags) as process:
            faults.act = process.kill
            assert await process.wait() == -9
        faults.wanted = False
        if lost:  # as Piwigo loses links of photos that come while it empties the lounge
            box.gallery._lounge.forget(len(box.gallery.photos))
        ended = await send(box, root, *flags)
        assert ended.code == 0
        assert exactly(box, archive)
