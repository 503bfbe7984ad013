"""An interrupted run: what it says, how it leaves the gallery, and what the next one does."""

import re
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, read_until, send, start
from tests.support.moments import Coming, Moment, exactly, sandbox
from tests.support.runs import make_archive

METHODS = ["async", "upload", "legacy"]
COUNT = 40


@pytest.mark.parametrize("method", METHODS)
async def test_after_sigterm_what_is_left_is_told_and_brought_by_the_next_run(
    tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=COUNT, names=20, size=(5000, 12_000))
    flags = ["--method", method, "--chunk-size", "4K", "--concurrency", "3"]
    moment = Moment(40)
    async with sandbox("16.4.0", moment, finish_s=0.02) as box:
        async with await start(box, tmp_path, *flags) as process:
            moment.act = process.terminate
            said = await read_until(process)
            assert await process.wait() == 130
        there = dict.fromkeys(photo.md5 for photo in box.gallery.photos.values())
        assert 0 < len(there) < COUNT
        assert exactly(box, {path: md5 for path, md5 in archive.items() if md5 in there})
        assert not box.gallery.buffers
        left = COUNT - len(there)
        assert re.search(rf"^ +{left} +unfinished +run the same command again", said, re.MULTILINE)
        ended = await send(box, tmp_path, *flags)
        assert ended.code == 0
        assert re.search(rf"^ +{left} +uploaded ", ended.err, re.MULTILINE)
        assert exactly(box, archive)
        assert not box.gallery.buffers


async def test_a_signal_ends_the_questions_about_changed_files(tmp_path: Path) -> None:
    folder, ledger = tmp_path / "photos", tmp_path / "ledger.sqlite"
    archive = make_archive(folder, count=COUNT, names=20)
    moment = Moment(1)
    faults = Coming(moment, "pwg.images.getInfo")
    async with Sandbox(admin=("admin", PASSWORD), faults=faults) as box:
        await send(box, folder, "--ledger", ledger)
        changed = make_archive(folder, count=COUNT, names=20, seed=2)
        moment.count = 0
        async with await start(box, folder, "--ledger", ledger, "--update") as process:
            moment.act = process.terminate
            said = await read_until(process)
            assert await process.wait() == 130
        assert exactly(box, archive)
        assert re.search(rf"^ +{COUNT} +unfinished ", said, re.MULTILINE)
        ended = await send(box, folder, "--ledger", ledger, "--update")
        assert ended.code == 0
        assert exactly(box, changed)


@pytest.mark.parametrize("method", METHODS)
async def test_after_a_second_signal_the_next_run_ends_exact_as_well(
    tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=COUNT, names=20, size=(5000, 12_000))
    flags = ["--method", method, "--chunk-size", "4K", "--concurrency", "3"]
    moment = Moment(40)
    async with sandbox("16.4.0", moment, finish_s=0.02) as box:
        async with await start(box, tmp_path, *flags) as process:
            moment.act = process.terminate
            said = await read_until(process, "no new one is begun")
            process.terminate()
            said += await read_until(process)
            assert await process.wait() == 130
        assert re.search(r"^ +\d+ +unfinished ", said, re.MULTILINE)
        ended = await send(box, tmp_path, *flags)
        assert ended.code == 0
        assert exactly(box, archive)
        assert not box.gallery.buffers
