"""Events as plain values and JSON lines, and their reference."""

import json
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from io import StringIO
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from bulkup.events import (
    NAMES,
    SCHEMA,
    Event,
    PhotoProgress,
    ScanFinished,
    SkipReason,
    Verdict,
)
from bulkup.output.files import JsonReport
from bulkup.output.sinks import LineWriter
from docs.generate import event_table, events
from tests.support.sample_run import checked, failure, skipped


def noon() -> datetime:
    return datetime(2024, 7, 1, 14, 0, 0, 5000, tzinfo=timezone(timedelta(hours=2)))


async def told(*events: Event) -> list[Any]:
    stream = StringIO()
    report = JsonReport(LineWriter(stream), wall_clock=noon)
    async with report:
        for event in events:
            report.emit(event)
    assert stream.getvalue().isascii()
    return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


async def test_each_event_is_one_json_object_on_one_line_with_its_time_in_utc() -> None:
    amiss = checked("a.jpg", Verdict.NOT_IN_ALBUM)
    first, second, third = await told(ScanFinished(), skipped("a.mov", size=3), amiss)
    opening = {"schema": 1, "time": "2024-07-01T12:00:00.005Z"}
    assert first == opening | {"event": "scan_finished"}
    file = {"path": "/photos/2019/a.mov", "reason": "type", "size": 3}
    assert second == opening | {"event": "file_skipped"} | file
    assert (third["event"], third["verdict"]) == ("photo_checked", "not-in-album")


async def test_progress_is_left_out() -> None:
    assert await told(PhotoProgress(path=Path("a.jpg"), sent=1)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\u2028é.jpg", "a\nb\u2028é.jpg"),  # on its line, and exactly
        ("a\udcff\ud800.jpg", r"a\xff\ud800.jpg"),  # no Unicode
    ],
)
async def test_texts_are_told_exactly_but_for_what_is_no_unicode(text: str, shown: str) -> None:
    (line,) = await told(failure(Path(text), reason=text))
    assert (line["path"], line["reason"]) == (shown, shown)


VALUES = {
    Path: Path("a\udcff.jpg"),
    str: "some text",
    int: 3,
    float: 1.5,
    bool: True,
    tuple[int, ...]: (1, 2),
    SkipReason: SkipReason.SYMLINK,
    Verdict: Verdict.UNKNOWN,
}


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind is not PhotoProgress])
async def test_each_event_is_written_with_all_its_fields(kind: type[Any]) -> None:
    types = {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}
    event = kind(**{name: VALUES.get(expected, "verify") for name, expected in types.items()})
    (line,) = await told(event)
    assert [*line] == ["schema", "time", "event", *types]
    assert line["event"] == NAMES[kind]


# the reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"


def test_the_reference_has_a_row_for_each_event_with_all_its_fields() -> None:
    rows = event_table().splitlines()[2:]
    for event, row in zip(events(), rows, strict=True):
        assert row.startswith(f"| `{NAMES[event]}` |")
        assert all(f"`{field.name}` " in row for field in fields(event))
        assert row.count(" | ") == 2


def test_the_reference_names_the_number_of_the_schema() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"the number of the schema (currently {SCHEMA})" in text


def test_each_event_has_its_own_name_and_no_field_of_the_line() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
    for event in events():
        assert not {field.name for field in fields(event)} & {"schema", "time", "event"}
