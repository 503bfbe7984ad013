"""Files of a run: the report as a table, and events as JSON lines with their reference."""

import csv
import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from io import StringIO
from pathlib import Path
from typing import Any, get_type_hints

import anyio
import anyio.lowlevel
import pytest

from bulkup.errors import UsageError
from bulkup.events import NAMES, SCHEMA, Event, PhotoProgress, ScanFinished, SkipReason, Verdict
from bulkup.output.files import COLUMNS, CSV, JSONL, Format, JsonReport, TableReport
from bulkup.output.sinks import LineWriter
from docs.generate import event_table, events
from tests.support import sample_run
from tests.support.disks import fill
from tests.support.sample_run import HOSTILE, MD5, RUN, checked, new, skipped, uploading, whole_run


def report_on(path: Path, form: Format = CSV) -> TableReport:
    return TableReport(path, form, clock=sample_run.ManualClock())


async def report(path: Path, form: Format, events: Sequence[Event]) -> None:
    async with report_on(path, form) as view:
        for event in events:
            view.emit(event)


async def written(folder: Path, form: Format, *events: Event) -> str:
    file = folder / "report"
    await report(file, form, events)
    return (await anyio.Path(file).read_bytes()).decode("utf-8")


def rows_of(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    return list(csv.DictReader(lines, strict=True))


ALL_HOSTILE = [event for name in HOSTILE for event in uploading(Path(name))]
UPLOADED = {
    "path": "a.jpg",
    "md5": MD5,
    "size": 3_000_000,
    "outcome": "uploaded",
    "image_id": 7,
    "albums": [9, 12],
    "tries": 1,
    "seconds": 1.25,
    "reason": "",
    "hint": "",
}


async def test_csv_has_a_row_for_every_file(tmp_path: Path) -> None:
    text = await written(tmp_path, CSV, *whole_run())
    assert text.startswith("\ufeffpath,md5,size,")
    assert text.count("\n") == text.count("\r\n") == 6  # as RFC 4180 says
    rows = rows_of(text)
    assert [(row["path"], row["outcome"]) for row in rows] == [
        ("a.jpg", "uploaded"),
        ("b.jpg", "linked"),
        ("c.mov", "skipped"),
        ("d.jpg", "failed"),
        ("e.jpg", "unfinished"),
    ]
    texts = {name: str(value) for name, value in UPLOADED.items()}
    assert rows[0] == texts | {"albums": "9 12", "seconds": "1.250"}
    assert list(rows[0]) == list(COLUMNS)
    assert rows[2]["reason"] == "type"
    assert (rows[3]["tries"], rows[3]["hint"]) == ("2", "Look for an intact copy.")


async def test_json_lines_have_the_same_columns_with_their_types(tmp_path: Path) -> None:
    text = await written(tmp_path, JSONL, *whole_run())
    rows = [json.loads(line) for line in text.splitlines()]
    assert all(list(row) == ["schema", *COLUMNS] for row in rows)
    assert rows[0] == {"schema": 1} | UPLOADED
    assert (rows[2]["md5"], rows[2]["image_id"], rows[2]["seconds"]) == (None, None, None)


async def test_verdicts_and_plans_are_outcomes(tmp_path: Path) -> None:
    amiss = checked("a.jpg", Verdict.NOT_IN_ALBUM)
    text = await written(tmp_path, CSV, RUN, amiss, new("b.jpg"))
    assert [(row["outcome"], row["reason"]) for row in rows_of(text)] == [
        ("not-in-album", "it is not there"),
        ("new", ""),
    ]


async def test_hostile_names_do_no_harm_in_csv(tmp_path: Path) -> None:
    text = await written(tmp_path, CSV, RUN, *ALL_HOSTILE)
    assert not set(text) & {"\x1b", "\u202e"}
    paths = [row["path"] for row in rows_of(text)]
    assert len(paths) == len(HOSTILE)
    assert paths[0] == "'=cmd|' /C calc'!A0.jpg"
    assert paths[3] == '"quoted", and\nin two lines.jpg'
    assert paths[6] == r"bad\xff\xfe.jpg"
    assert paths[-1] == HOSTILE[-1]
    assert "é.jpg," in await written(tmp_path, CSV, RUN, *uploading(Path("é.jpg")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t=", "＝"])
async def test_nothing_is_a_formula(start: str, tmp_path: Path) -> None:
    lost = sample_run.failing(Path(f"{start}1.jpg"), reason=f"{start}2")
    (row,) = rows_of(await written(tmp_path, CSV, RUN, *lost))
    assert not {row["path"][0], row["reason"][0]} & set("=+-@＝ \t")


async def test_hostile_names_are_exact_in_json_lines_but_for_bad_bytes(tmp_path: Path) -> None:
    text = await written(tmp_path, JSONL, RUN, *ALL_HOSTILE)
    paths = [json.loads(line)["path"] for line in text.split("\n")[:-1]]
    assert text.isascii()
    assert paths == [name.replace("\udcff\udcfe", r"\xff\xfe") for name in HOSTILE]


async def test_rows_are_on_disk_while_the_run_goes_on_and_a_cancelled_run_leaves_all(
    tmp_path: Path,
) -> None:
    file, part = anyio.Path(tmp_path / "report.csv"), anyio.Path(tmp_path / "report.csv.part")
    with anyio.CancelScope() as scope:
        async with report_on(Path(file)) as view:
            for event in [RUN, *uploading(Path("a.jpg"))]:
                view.emit(event)
            with anyio.fail_after(30):
                while b"a.jpg" not in await part.read_bytes():
                    await anyio.lowlevel.checkpoint()
            assert not await file.exists()
            for event in uploading(Path("b.jpg")):
                view.emit(event)
            scope.cancel()
            await anyio.sleep_forever()
    assert not await part.exists()
    assert (await file.read_bytes()).count(b".jpg,") == 2


async def test_a_run_that_never_began_leaves_the_last_report_alone(tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    await anyio.Path(file).write_text("of yesterday")
    await report(file, CSV, [])
    assert await anyio.Path(file).read_text() == "of yesterday"
    assert [each.name async for each in anyio.Path(tmp_path).iterdir()] == ["report.csv"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere/r.csv", "does not exist"),
        (".", "is a folder"),
        ("x" * 255, "can't be written: File name too long"),
    ],
)
async def test_a_place_that_is_wrong_is_reported_at_once(
    tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        await report(tmp_path / name, CSV, [])


async def test_a_full_disk_is_reported_before_the_run_or_with_where_the_rest_is(
    disk: Path,
) -> None:
    many = [event for n in range(3000) for event in uploading(Path(f"{n}{'x' * 200}.jpg"))]
    with pytest.raises(OSError, match=r"No space left .*; the incomplete file is .*r\.csv\.part"):
        await report(disk / "r.csv", CSV, [RUN, *many])
    assert not await anyio.Path(disk / "r.csv").exists()
    assert b"\n99xxx" in await anyio.Path(disk / "r.csv.part").read_bytes()
    fill(disk)
    with pytest.raises(UsageError, match="No space left"):
        await report(disk / "other.csv", CSV, [])


async def test_memory_stays_flat(tmp_path: Path) -> None:
    async def left_by(photos: int) -> int:
        paths = [Path(f"{number}.jpg") for number in range(photos)]
        events = [event for path in paths for event in uploading(path)]
        assert {*paths, *map(str, paths)}  # a path keeps its text and its hash: have it do so now
        view = report_on(tmp_path / "report.csv")
        tracemalloc.start()
        async with view:
            view.emit(RUN)
            for number, event in enumerate(events):
                view.emit(event)
                if number % 100 == 0:
                    await anyio.lowlevel.checkpoint()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    await left_by(100)
    assert await left_by(2_000) < await left_by(200) + 10_000


# events as JSON lines, and their reference


def noon() -> datetime:
    return datetime(2024, 7, 1, 14, 0, 0, 5000, tzinfo=timezone(timedelta(hours=2)))


async def reported(*events: Event) -> list[Any]:
    stream = StringIO()
    report = JsonReport(LineWriter(stream), wall_clock=noon)
    async with report:
        for event in events:
            report.emit(event)
    assert stream.getvalue().isascii()
    return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


async def test_each_event_is_one_json_object_on_one_line_with_its_time_in_utc() -> None:
    amiss = checked("a.jpg", Verdict.NOT_IN_ALBUM)
    first, second, third = await reported(ScanFinished(), skipped("a.mov", size=3), amiss)
    opening = {"schema": 1, "time": "2024-07-01T12:00:00.005Z"}
    assert first == opening | {"event": "scan_finished"}
    file = {"path": "/photos/2019/a.mov", "reason": "type", "size": 3}
    assert second == opening | {"event": "file_skipped"} | file
    assert (third["event"], third["verdict"]) == ("photo_checked", "not-in-album")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\u2028é.jpg", "a\nb\u2028é.jpg"),  # on its line, and exactly
        ("a\udcff\ud800.jpg", r"a\xff\ud800.jpg"),  # no Unicode
    ],
)
async def test_texts_are_reported_exactly_but_for_what_is_no_unicode(
    text: str, shown: str
) -> None:
    (line,) = await reported(sample_run.failure(Path(text), reason=text))
    assert (line["path"], line["reason"]) == (shown, shown)


VALUES = {
    Path: Path("a\udcff.jpg"),
    str: "some text",
    int: 3,
    float: 1.5,
    bool: True,
    tuple[int, ...]: (1, 2),
    tuple[str, ...]: ("Alps", "\udcff"),
    SkipReason: SkipReason.SYMLINK,
    Verdict: Verdict.UNKNOWN,
}


@pytest.mark.parametrize("kind", NAMES, ids=NAMES.values())
async def test_each_event_is_written_with_all_its_fields(kind: type[Any]) -> None:
    types = {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}
    event = kind(**{name: VALUES.get(expected, "verify") for name, expected in types.items()})
    if kind is PhotoProgress:  # of which there would be too many
        assert await reported(event) == []
        return
    (line,) = await reported(event)
    assert [*line] == ["schema", "time", "event", *types]
    assert line["event"] == NAMES[kind]


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"


def test_the_reference_has_a_row_for_each_event_with_its_own_name_and_all_its_fields() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
    rows = event_table().splitlines()[2:]
    for event, row in zip(events(), rows, strict=True):
        assert row.startswith(f"| `{NAMES[event]}` |")
        names = {field.name for field in fields(event)}
        assert not names & {"schema", "time", "event"}  # which each line has
        assert all(f"`{name}` " in row for name in names)
        assert row.count(" | ") == 2
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"the number of the schema (currently {SCHEMA})" in text
