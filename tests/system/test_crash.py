"""The crash property: killed at any moment, the same command run again ends with an exact copy."""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest
from anyio.abc import Process

from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import PASSWORD, send, start
from tests.support.faults import HookedFaults
from tests.support.runs import make_archive, picture
from tests.support.steps import SteppedSandbox, exactly

METHODS = ["async", "upload", "legacy"]
VERSIONS = ["13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1"]
MOMENTS = int(os.environ.get("BULKUP_CRASH_MOMENTS", "8"))
SENT = 3 * 9
"""The chunks of nine different photos."""

STEPS = {"async": 88, "upload": 114, "legacy": 124}
"""Steps of a whole run, over which the kills are spread."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Make ten photos of three chunks each, of three base names, two of one content."""
    folder = tmp_path_factory.mktemp("crash")
    sums = make_archive(folder, count=9, names=3, size=(9000, 12_000))
    original = next(iter(sums))
    twin = folder / "twin.jpg"
    twin.write_bytes(original.read_bytes())
    return sums | {twin: sums[original]}


def share(each: str, cases: Sequence[str]) -> int:
    """Return how many of the kills are for one of the cases."""
    return len(range(cases.index(each), MOMENTS, len(cases)))


def delete(ledger: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        ledger.with_name(ledger.name + ending).unlink(missing_ok=True)


def kill(process: Process) -> None:
    """Kill a process, and block the sandbox, which runs in this thread, until it is dead."""
    process.kill()
    with suppress(ChildProcessError):  # asyncio has waited for it already
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.plans
@pytest.mark.parametrize("method", METHODS)
async def test_killed_at_any_moment_the_same_command_ends_exact(
    archive: dict[Path, str], tmp_path: Path, method: str
) -> None:
    root = next(iter(archive)).parents[1]
    flags = ["--method", method, "--chunk-size", "4K", "--concurrency", "3", "--finishing", "2"]
    chance = Random(method)
    kills = share(method, METHODS)
    for number in range(kills):  # one at a time: commands in threads share their variables
        nth = 1 + int((number + chance.random()) / kills * STEPS[method])
        version, keep = chance.choice(VERSIONS), number % 2 == 0
        ledger = tmp_path / f"{number}.sqlite"
        where = f"{version}, killed at step {nth}, {keep=}"
        async with SteppedSandbox(nth, last=SENT, version=version) as box:
            async with await start(box, root, *flags, "--ledger", ledger) as process:
                box.act = partial(kill, process)
                assert await process.wait() == -9, where
            if not keep:
                delete(ledger)
            ended = await send(box, root, *flags, "--ledger", ledger)
            assert ended.code == 0, f"{where}\n{ended.err}"
            assert exactly(box, archive), where
            assert not box.gallery.buffers or not keep, where


def arranged(box: Sandbox) -> tuple[dict[str, object], list[list[str]]]:
    """Return how the albums and the photos of a gallery are arranged, by their names."""
    gallery = box.gallery
    names = {number: photo.file for number, photo in gallery.photos.items()}
    albums: dict[str, object] = {
        album.name: (
            album.order,
            names.get(album.representative or 0),
            [
                photo.file
                for photo in sorted(
                    gallery.photos_in(number), key=lambda p: gallery.ranks.get((number, p.id), 0)
                )
            ],
        )
        for number, album in gallery.albums.items()
    }
    caddies = [sorted(names[number] for number in caddie) for caddie in gallery.caddies.values()]
    return albums, caddies


ARRANGED = ["13.8.0", "16.4.0"]
"""Of these, the older one does not tell the ranks that photos have."""


@pytest.mark.plans
@pytest.mark.parametrize("version", ARRANGED)
async def test_killed_at_any_moment_the_same_command_arranges_all(
    tmp_path: Path, version: str
) -> None:
    root = tmp_path / "photos"
    for folder in ("10", "2 'q' 🙂", "z"):
        (root / folder).mkdir(parents=True)
        for name in (f"{folder[0]} 10.jpg", f"{folder[0]} 9.jpg", "Cover.jpg"):
            content = picture(Random(folder + name), size=300)
            (root / folder / name).write_bytes(content)
    flags = ["--tree", "--unwrap", "--sort", "name", "--caddie", "--concurrency", "1"]

    async def prepare(box: Sandbox) -> None:
        """Create an album that stays, and a photo that is only added to one more album."""
        box.gallery.make_album("3 there", parent=1)
        known = tmp_path / "known"
        known.mkdir(exist_ok=True)
        (known / "z 9.jpg").write_bytes((root / "z" / "z 9.jpg").read_bytes())
        assert (await send(box, known, "--no-ledger")).code == 0

    async with SteppedSandbox(0, version=version) as box:
        await prepare(box)
        before = box.steps
        assert (await send(box, root, *flags, "--ledger", tmp_path / "whole.sqlite")).code == 0
        wanted, steps = arranged(box), box.steps - before
    (caddie,) = wanted[1]
    assert "z 9.jpg" not in caddie
    assert len(caddie) == 8
    chance = Random(version)
    kills = share(version, ARRANGED)
    for number in range(kills):
        nth = before + 1 + int((number + chance.random()) / kills * steps)
        ledger = tmp_path / f"{number}.sqlite"
        async with SteppedSandbox(nth, version=version) as box:
            await prepare(box)
            async with await start(
                box, root, *flags, "--finishing", "1", "--ledger", ledger
            ) as process:
                box.act = partial(kill, process)
                ended = await process.wait()
                box.act = lambda: None  # it may have ended in fewer steps
            again = await send(box, root, *flags, "--ledger", ledger)
            assert again.code == 0, f"killed at step {nth}\n{again.err}"
            assert arranged(box) == wanted, f"killed ({ended}) at step {nth - before} of {steps}"
            asked = [request.method for request in box.requests]
            assert (await send(box, root, *flags, "--ledger", ledger)).code == 0
            more = [request.method for request in box.requests][len(asked) :]
            assert not {"pwg.images.setRank", "pwg.caddie.add"} & {*more}


RELEASE = "pwg.images.uploadCompleted"


@pytest.mark.parametrize(("method", "lost"), [("async", False), ("upload", True)])
async def test_killed_before_the_release_every_photo_comes_into_its_album(
    tmp_path: Path, method: str, lost: bool
) -> None:
    root = tmp_path / "photos"
    archive = make_archive(root, count=4, names=2)
    flags = ["--method", method, "--ledger", str(tmp_path / "ledger.sqlite")]
    faults = HookedFaults(Fault("request-lost", RELEASE), method=RELEASE, nth=0)
    async with Sandbox(admin=("admin", PASSWORD), faults=faults) as box:
        async with await start(box, root, *flags) as process:
            faults.act = partial(kill, process)
            assert await process.wait() == -9
        faults.on = False
        if lost:  # as Piwigo loses links of photos stored while it empties the lounge
            box.gallery._lounge.forget(len(box.gallery.photos))
        ended = await send(box, root, *flags)
        assert ended.code == 0
        assert exactly(box, archive)
