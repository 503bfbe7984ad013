"""The events of a run between the outcomes of its photos."""

import hashlib
from datetime import time
from pathlib import Path

import pytest

import bulkup
from bulkup.app import upload
from bulkup.app.settings import Timetable
from bulkup.app.upload import Bandwidth
from bulkup.events import (
    BandwidthChanged,
    Event,
    PhotoArrived,
    PhotoFinishing,
    PhotoHashed,
    PhotoHashing,
    PhotoStarted,
    PhotoUploaded,
    RunStarted,
)
from bulkup.sandbox import Sandbox
from tests.support.runs import make_archive

KINDS = (PhotoHashing, PhotoHashed, PhotoStarted, PhotoFinishing, PhotoArrived, PhotoUploaded)


async def brought(folder: Path, *, bwlimit: int | None = None) -> list[Event]:
    told: list[Event] = []
    async with Sandbox() as box:
        account = bulkup.Account(url=box.url, user="admin", password="secret")
        await bulkup.upload(
            [folder],
            account=account,
            options=bulkup.UploadOptions(album=1, bwlimit=bwlimit or "off", no_ledger=True),
            on_event=told.append,
        )
    return told


async def test_each_photo_is_read_sent_finished_and_confirmed_in_this_order(
    tmp_path: Path,
) -> None:
    sums = make_archive(tmp_path, count=6, names=6)
    told = await brought(tmp_path)
    for path, md5 in sums.items():
        steps = [event for event in told if isinstance(event, KINDS) and event.path == path]
        assert [type(event) for event in steps] == list(KINDS)
        hashed, arrived = steps[1], steps[4]
        assert isinstance(hashed, PhotoHashed)
        assert hashed.md5 == md5 == hashlib.md5(path.read_bytes()).hexdigest()
        assert isinstance(arrived, PhotoArrived)
        assert arrived.image_id > 0


@pytest.mark.parametrize(("bwlimit", "told"), [(5_000_000, [5_000_000]), (None, [])])
async def test_the_limit_of_the_line_is_reported_after_the_run_began(
    tmp_path: Path, bwlimit: int | None, told: list[int]
) -> None:
    make_archive(tmp_path, count=2, names=2)
    events = await brought(tmp_path, bwlimit=bwlimit)
    assert isinstance(events[0], RunStarted)
    assert [event.limit for event in events if isinstance(event, BandwidthChanged)] == told


def test_each_change_of_the_limit_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    bandwidth = Bandwidth(Timetable(((time(8), 1000), (time(23), None))), told.append)
    limits = []
    for hour in (8, 9, 23, 23, 8):
        monkeypatch.setattr(upload, "local_time", lambda hour=hour: time(hour))
        limits.append(bandwidth())
        if len(limits) == 1:
            assert not told
            bandwidth.begin()
    assert limits == [1000, 1000, None, None, 1000]
    assert told == [BandwidthChanged(limit=limit) for limit in (1000, None, 1000)]
