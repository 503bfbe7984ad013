"""A whole run under a limit, by a clock that only sleeping moves."""

from collections import Counter
from datetime import time
from pathlib import Path

import pytest

from bulkup.app.settings import Account, AlbumTarget, MethodName, Timetable, UploadSettings
from bulkup.app.upload import upload_photos
from bulkup.engine.ports import Stop
from bulkup.events import PhotoUploaded
from bulkup.sandbox import Sandbox
from tests.support.runs import Clock, Outcome, make_archive, stored_sums

LIMIT = 20 * 1024


@pytest.mark.parametrize(
    ("method", "swelling"), [("async", 1.0), ("upload", 1.0), ("legacy", 4 / 3)]
)
async def test_all_photos_together_go_no_faster_than_the_limit(
    tmp_path: Path, method: MethodName, swelling: float
) -> None:
    archive = make_archive(tmp_path, count=6, names=6, size=(60_000, 60_000))
    clock, outcome = Clock(), Outcome()
    async with Sandbox() as box:
        await upload_photos(
            [tmp_path],
            account=Account(url=box.url, user="admin", password="secret"),
            settings=UploadSettings(
                into=AlbumTarget(album=1), method=method, bwlimit=Timetable(((time(), LIMIT),))
            ),
            emit=outcome.events.append,
            stop=Stop(),
            clock=clock,
            sleep=clock.sleep,
        )
        assert stored_sums(box) == Counter(archive.values())
    assert len(outcome.of(PhotoUploaded)) == 6
    assert clock.now >= 6 * 60_000 * swelling / LIMIT - 1.0
