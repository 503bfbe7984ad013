"""The report as a table: its columns, hostile names, full disks, and a memory that stays flat."""

import csv
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from bulkup.errors import UsageError
from bulkup.events import Event, Verdict
from bulkup.output.files import COLUMNS, CSV, JSONL, Format, TableReport
from tests.support.disks import disk, fill
from tests.support.sample_run import (
    HOSTILE,
    MD5,
    RUN,
    ManualClock,
    checked,
    failing,
    new,
    uploading,
    whole_run,
)

__all__ = ["disk"]


def report_on(path: Path, form: Format = CSV) -> TableReport:
    return TableReport(path, form, clock=ManualClock())


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


def all_hostile() -> list[Event]:
    return [event for name in HOSTILE for event in uploading(Path(name))]


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
    rows = rows_of(await written(tmp_path, CSV, *whole_run()))
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


async def test_csv_is_what_rfc_4180_says_with_the_mark_of_utf_8(tmp_path: Path) -> None:
    text = await written(tmp_path, CSV, RUN, *uploading(Path("é.jpg")))
    assert text.startswith("\ufeffpath,md5,size,")
    assert text.count("\n") == text.count("\r\n") == 2
    assert "é.jpg," in text


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
    text = await written(tmp_path, CSV, RUN, *all_hostile())
    assert not set(text) & {"\x1b", "\u202e"}
    paths = [row["path"] for row in rows_of(text)]
    assert len(paths) == len(HOSTILE)
    assert paths[0] == "'=cmd|' /C calc'!A0.jpg"
    assert paths[3] == '"quoted", and\nin two lines.jpg'
    assert paths[6] == r"bad\xff\xfe.jpg"
    assert paths[-1] == HOSTILE[-1]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t=", "＝"])
async def test_nothing_is_a_formula(start: str, tmp_path: Path) -> None:
    lost = failing(Path(f"{start}1.jpg"), reason=f"{start}2")
    (row,) = rows_of(await written(tmp_path, CSV, RUN, *lost))
    assert not {row["path"][0], row["reason"][0]} & set("=+-@＝ \t")


async def test_hostile_names_are_exact_in_json_lines_but_for_bad_bytes(tmp_path: Path) -> None:
    text = await written(tmp_path, JSONL, RUN, *all_hostile())
    paths = [json.loads(line)["path"] for line in text.split("\n")[:-1]]
    assert text.isascii()
    assert paths == [name.replace("\udcff\udcfe", r"\xff\xfe") for name in HOSTILE]


async def test_rows_are_on_disk_while_the_run_goes_on(tmp_path: Path) -> None:
    file, part = anyio.Path(tmp_path / "report.csv"), anyio.Path(tmp_path / "report.csv.part")
    async with report_on(Path(file)) as view:
        for event in [RUN, *uploading(Path("a.jpg"))]:
            view.emit(event)
        with anyio.fail_after(30):
            while b"a.jpg" not in await part.read_bytes():
                await anyio.lowlevel.checkpoint()
        assert not await file.exists()
    assert not await part.exists()
    assert b"a.jpg" in await file.read_bytes()


async def test_a_cancelled_run_leaves_its_report(tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    with anyio.CancelScope() as scope:
        async with report_on(file) as view:
            for event in [RUN, *uploading(Path("a.jpg"))]:
                view.emit(event)
            scope.cancel()
            await anyio.sleep_forever()
    assert b"a.jpg," in await anyio.Path(file).read_bytes()


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
async def test_a_place_that_is_wrong_is_told_at_once(
    tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        await report(tmp_path / name, CSV, [])


async def test_a_full_disk_is_told_before_the_run(disk: Path) -> None:
    fill(disk)
    with pytest.raises(UsageError, match="No space left"):
        await report(disk / "r.csv", CSV, [])


async def test_a_disk_that_fills_up_is_told_with_where_the_rest_is(disk: Path) -> None:
    many = [event for n in range(3000) for event in uploading(Path(f"{n}{'x' * 200}.jpg"))]
    with pytest.raises(OSError, match=r"No space left .*; the incomplete file is .*r\.csv\.part"):
        await report(disk / "r.csv", CSV, [RUN, *many])
    assert not await anyio.Path(disk / "r.csv").exists()
    assert b"\n99xxx" in await anyio.Path(disk / "r.csv.part").read_bytes()


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
