import json
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO
from pathlib import Path
from typing import Any

from bulkup.events import Event, PhotoFailed, PhotoProgress, ScanFinished, Verdict
from bulkup.output.jsonl import JsonReport, LineWriter
from tests.support.sample_run import checked, skipped, unfinished


def noon() -> datetime:
    return datetime(2024, 7, 1, 14, 0, 0, 5000, tzinfo=timezone(timedelta(hours=2)))


async def told(*events: Event, with_progress: bool = False) -> list[Any]:
    stream = StringIO()
    report = JsonReport(LineWriter(stream), wall_clock=noon, with_progress=with_progress)
    async with report:
        for event in events:
            report.emit(event)
    assert stream.getvalue().isascii()
    return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


async def test_each_event_is_one_json_object_on_one_line() -> None:
    assert await told(ScanFinished(), skipped("a.mov", size=3)) == [
        {"schema": 1, "time": "2024-07-01T12:00:00.005Z", "event": "scan_finished"},
        {
            "schema": 1,
            "time": "2024-07-01T12:00:00.005Z",
            "event": "file_skipped",
            "path": "/photos/2019/a.mov",
            "reason": "type",
            "size": 3,
        },
    ]


async def test_a_verdict_is_one_word() -> None:
    (line,) = await told(checked("a.jpg", Verdict.NOT_IN_ALBUM))
    assert (line["event"], line["verdict"]) == ("photo_checked", "not-in-album")


async def test_the_time_is_utc() -> None:
    (line,) = await told(ScanFinished())
    time = datetime.fromisoformat(line["time"])
    assert (time, time.tzinfo) == (noon(), UTC)


async def test_progress_is_left_out_unless_asked_for() -> None:
    progress = PhotoProgress(path=Path("a.jpg"), sent=1)
    assert await told(progress) == []
    assert len(await told(progress, with_progress=True)) == 1


async def test_a_name_with_a_line_end_stays_on_its_line_and_is_told_exactly() -> None:
    (line,) = await told(unfinished(Path("a\nb\u2028é.jpg")))
    assert line["path"] == "a\nb\u2028é.jpg"


async def test_what_is_not_valid_unicode_is_escaped_in_paths_and_reasons() -> None:
    path = Path("a\udcff\ud800.jpg")
    (line,) = await told(PhotoFailed(path=path, size=1, reason="a\udcff: gone", hint=""))
    assert (line["path"], line["reason"]) == (r"a\xff\ud800.jpg", r"a\xff: gone")
