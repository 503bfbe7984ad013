"""An interrupted run: what it prints, how it leaves the gallery, and what the next one does.

Signals come while the sandbox holds its answers back, so no run ends before them.
"""

import csv
import re
from collections import Counter
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
    folder, report = tmp_path / "photos", tmp_path / "report.csv"
    archive = make_archive(folder, count=COUNT, names=8, size=(5000, 12_000))
    flags = ["--method", method, "--chunk-size", "4K", "--concurrency", "3", "--finishing", "2"]
    async with Held(*SENDING, nth=20) as box:
        async with await start(box, folder, *flags, "--report", report) as process:
            text = await interrupted(box, process, twice=twice, by=SIGTERM)
        box.go.set()
        found = re.search(r"^ +(\d+) +unfinished +run the same command again", text, re.MULTILINE)
        assert found
        left = int(found[1])
        rows = csv.DictReader(report.read_text("utf-8-sig").splitlines())
        outcomes = Counter(row["outcome"] for row in rows)
        assert outcomes == Counter(uploaded=COUNT - left, unfinished=left)
        there = {photo.md5 for photo in box.gallery.photos.values()}
        if not twice:
            assert 0 < len(there) == COUNT - left < COUNT
            assert exactly(box, {path: md5 for path, md5 in archive.items() if md5 in there})
            assert not box.gallery.buffers
        ended = await send(box, folder, *flags)
        assert ended.code == 0
        assert twice or re.search(rf"^ +{left} +uploaded ", ended.err, re.MULTILINE)
        assert exactly(box, archive)
        assert not box.gallery.buffers
