"""The events of a run between the outcomes of its photos."""

from datetime import time
from pathlib import Path

import pytest

from bulkup import api, events
from bulkup.app import upload
from bulkup.app.settings import Account, Timetable
from bulkup.app.upload import Bandwidth
from bulkup.sandbox import Sandbox
from tests.support.runs import make_archive

KINDS = (
    events.PhotoHashing,
    events.PhotoHashed,
    events.PhotoStarted,
    events.PhotoFinishing,
    events.PhotoArrived,
    events.PhotoUploaded,
)


@pytest.mark.parametrize(("bwlimit", "limits"), [(5_000_000, [5_000_000]), ("off", [])])
async def test_the_limit_is_reported_and_each_photo_read_sent_finished_and_confirmed_in_this_order(
    box: Sandbox, tmp_path: Path, bwlimit: int | str, limits: list[int]
) -> None:
    sums, reported = make_archive(tmp_path, count=6, names=6), list[events.Event]()
    account = Account(url=box.url, user="admin", password="secret")
    options = api.UploadOptions(album=1, bwlimit=bwlimit, no_ledger=True)
    await api.upload([tmp_path], account=account, options=options, on_event=reported.append)
    assert isinstance(reported[0], events.RunStarted)
    assert [event.limit for event in reported if isinstance(event, events.BandwidthChanged)] == limits
    for path, md5 in sums.items():
        steps = [event for event in reported if isinstance(event, KINDS) and event.path == path]
        assert [type(event) for event in steps] == list(KINDS)
        hashed, arrived = steps[1], steps[4]
        assert isinstance(hashed, events.PhotoHashed)
        assert hashed.md5 == md5
        assert isinstance(arrived, events.PhotoArrived)
        assert arrived.image_id > 0


def test_each_change_of_the_limit_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[events.Event] = []
    bandwidth = Bandwidth(Timetable(((time(8), 1000), (time(23), None))), reported.append)
    limits = []
    for hour in (8, 9, 23, 23, 8):
        monkeypatch.setattr(upload, "local_time", lambda hour=hour: time(hour))
        limits.append(bandwidth())
        if len(limits) == 1:
            assert not reported
            bandwidth.begin()
    assert limits == [1000, 1000, None, None, 1000]
    assert reported == [events.BandwidthChanged(limit=limit) for limit in (1000, None, 1000)]
