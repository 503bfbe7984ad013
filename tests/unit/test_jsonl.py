import json
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO
from pathlib import Path

from bulkup.events import (
    FileSkipped,
    PhotoChecked,
    PhotoFailed,
    PhotoProgress,
    PhotoUnfinished,
    ScanFinished,
    SkipReason,
    Verdict,
)
from bulkup.report import JsonReport


def noon() -> datetime:
    return datetime(2024, 7, 1, 14, 0, 0, 5000, tzinfo=timezone(timedelta(hours=2)))


class FlushCounter(StringIO):
    flushed = 0

    def flush(self) -> None:
        self.flushed += 1


async def test_each_event_is_one_json_object_on_one_line() -> None:
    stream = StringIO()
    async with JsonReport(stream, wall_clock=noon) as report:
        report.emit(ScanFinished())
        report.emit(FileSkipped(path=Path("a.mov"), reason=SkipReason.TYPE, size=3))
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"schema": 1, "time": "2024-07-01T12:00:00.005Z", "event": "scan_finished"},
        {
            "schema": 1,
            "time": "2024-07-01T12:00:00.005Z",
            "event": "file_skipped",
            "path": "a.mov",
            "reason": "type",
            "size": 3,
        },
    ]


def test_a_verdict_is_one_word() -> None:
    stream = StringIO()
    event = PhotoChecked(
        path=Path("a.jpg"),
        size=1,
        verdict=Verdict.NOT_IN_ALBUM,
        image_id=7,
        reason="",
        hint="",
    )
    JsonReport(stream, wall_clock=noon).emit(event)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["verdict"]) == ("photo_checked", "not-in-album")


def test_the_time_is_utc() -> None:
    stream = StringIO()
    JsonReport(stream, wall_clock=noon).emit(ScanFinished())
    told = datetime.fromisoformat(json.loads(stream.getvalue())["time"])
    assert (told, told.tzinfo) == (noon(), UTC)


def test_every_line_is_flushed() -> None:
    stream = FlushCounter()
    report = JsonReport(stream, wall_clock=noon)
    report.emit(ScanFinished())
    report.emit(ScanFinished())
    assert stream.flushed == 2


def test_progress_is_left_out_unless_asked_for() -> None:
    written = []
    for with_progress in (False, True):
        stream = StringIO()
        report = JsonReport(stream, wall_clock=noon, with_progress=with_progress)
        report.emit(PhotoProgress(path=Path("a.jpg"), sent=1))
        written.append(len(stream.getvalue().splitlines()))
    assert written == [0, 1]


def test_a_name_with_a_line_end_stays_on_its_line_and_is_told_exactly() -> None:
    stream = StringIO()
    JsonReport(stream, wall_clock=noon).emit(PhotoUnfinished(path=Path("a\nb\u2028é.jpg"), size=1))
    (line,) = stream.getvalue().split("\n")[:-1]
    assert (line.isascii(), json.loads(line)["path"]) == (True, "a\nb\u2028é.jpg")


def test_what_is_not_valid_unicode_is_escaped_in_paths_and_reasons() -> None:
    stream = StringIO()
    JsonReport(stream, wall_clock=noon).emit(
        PhotoFailed(path=Path("a\udcff\ud800.jpg"), size=1, reason="a\udcff: gone", hint="")
    )
    line = json.loads(stream.getvalue())
    assert (line["path"], line["reason"]) == (r"a\xff\ud800.jpg", r"a\xff: gone")
