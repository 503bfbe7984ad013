"""An interrupted run: what it prints, how it leaves the gallery, and what the next one does.

Signals come while the sandbox holds its answers back, so no run ends before them.
"""

import re
from pathlib import Path
from signal import SIGTERM

import pytest

from tests.support.commands import Held, interrupted, send, start
from tests.support.runs import make_archive
from tests.support.steps import SENDING, exactly

COUNT = 16


@pytest.mark.parametrize(
    ("method", "twice"),
    [("async", False), ("upload", False), ("legacy", False), ("async", True)],
)
async def test_the_run_after_sigterm_uploads_what_is_left(
    tmp_path: Path, method: str, twice: bool
) -> None:
    archive = make_archive(tmp_path, count=COUNT, names=8, size=(5000, 12_000))
    flags = ["--method", method, "--chunk-size", "4K", "--concurrency", "3", "--finishing", "2"]
    async with Held(*SENDING, nth=20) as box:
        async with await start(box, tmp_path, *flags) as process:
            text = await interrupted(box, process, twice=twice, by=SIGTERM)
        box.go.set()
        found = re.search(r"^ +(\d+) +unfinished +run the same command again", text, re.MULTILINE)
        assert found
        left = int(found[1])
        there = {photo.md5 for photo in box.gallery.photos.values()}
        if not twice:
            assert 0 < len(there) == COUNT - left < COUNT
            assert exactly(box, {path: md5 for path, md5 in archive.items() if md5 in there})
            assert not box.gallery.buffers
        ended = await send(box, tmp_path, *flags)
        assert ended.code == 0
        assert twice or re.search(rf"^ +{left} +uploaded ", ended.err, re.MULTILINE)
        assert exactly(box, archive)
        assert not box.gallery.buffers


async def test_a_signal_ends_the_lookups_of_changed_files(tmp_path: Path) -> None:
    folder, ledger = tmp_path / "photos", tmp_path / "ledger.sqlite"
    archive = make_archive(folder, count=COUNT, names=20)
    flags = [str(folder), "--ledger", str(ledger), "--update"]
    async with Held("pwg.images.getInfo") as box:
        await send(box, *flags[:3])
        assert not box.came.is_set()
        changed = make_archive(folder, count=COUNT, names=20, seed=2)
        async with await start(box, *flags) as process:
            text = await interrupted(box, process, by=SIGTERM)
        assert exactly(box, archive)
        assert re.search(rf"^ +{COUNT} +unfinished ", text, re.MULTILINE)
        ended = await send(box, *flags)
        assert ended.code == 0
        assert exactly(box, changed)
