"""An interrupted run: what it says, how it leaves the gallery, and what the next one does.

Signals come while the sandbox holds its answers back: no run is over before it has heard them.
"""

import re
from pathlib import Path

import pytest

from tests.support.commands import Held, read_until, send, start
from tests.support.moments import SENDING, exactly
from tests.support.runs import make_archive

COUNT = 16


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("method", ["async", "upload", "legacy"])
async def test_after_sigterm_what_is_left_is_told_and_brought_by_the_next_run(
    tmp_path: Path, method: str, again: bool
) -> None:
    archive = make_archive(tmp_path, count=COUNT, names=8, size=(5000, 12_000))
    flags = ["--method", method, "--chunk-size", "4K", "--concurrency", "3", "--finishing", "2"]
    async with Held(*SENDING, nth=20) as box:
        async with await start(box, tmp_path, *flags) as process:
            await box.came.wait()
            process.terminate()
            said = await read_until(process, "no new one is begun")
            if again:
                process.terminate()
            else:
                box.go.set()
            said += await read_until(process)
            assert await process.wait() == 130
        box.go.set()
        told = re.search(r"^ +(\d+) +unfinished +run the same command again", said, re.MULTILINE)
        assert told
        left = int(told[1])
        there = {photo.md5 for photo in box.gallery.photos.values()}
        if not again:
            assert 0 < len(there) == COUNT - left < COUNT
            assert exactly(box, {path: md5 for path, md5 in archive.items() if md5 in there})
            assert not box.gallery.buffers
        ended = await send(box, tmp_path, *flags)
        assert ended.code == 0
        assert again or re.search(rf"^ +{left} +uploaded ", ended.err, re.MULTILINE)
        assert exactly(box, archive)
        assert not box.gallery.buffers


async def test_a_signal_ends_the_questions_about_changed_files(tmp_path: Path) -> None:
    folder, ledger = tmp_path / "photos", tmp_path / "ledger.sqlite"
    archive = make_archive(folder, count=COUNT, names=20)
    flags = [str(folder), "--ledger", str(ledger), "--update"]
    async with Held("pwg.images.getInfo") as box:
        await send(box, *flags[:3])
        assert not box.came.is_set()
        changed = make_archive(folder, count=COUNT, names=20, seed=2)
        async with await start(box, *flags) as process:
            await box.came.wait()
            process.terminate()
            said = await read_until(process, "no new one is begun")
            box.go.set()
            said += await read_until(process)
            assert await process.wait() == 130
        assert exactly(box, archive)
        assert re.search(rf"^ +{COUNT} +unfinished ", said, re.MULTILINE)
        ended = await send(box, *flags)
        assert ended.code == 0
        assert exactly(box, changed)
