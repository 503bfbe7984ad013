"""`--report`: every file has a row, however the run ends."""

import csv
import json
from pathlib import Path
from typing import Any

from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import UPLOADS, Held, interrupted, send, start
from tests.support.runs import make_archive


def rows_of(file: Path) -> dict[str, dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return {Path(row["path"]).name: row for row in csv.DictReader(lines, strict=True)}


def objects(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_every_file_has_its_row(box: Sandbox, tmp_path: Path) -> None:
    archive, file, check = tmp_path / "photos", tmp_path / "report.csv", tmp_path / "check.jsonl"
    sums = make_archive(archive, count=6, names=6)
    (archive / "empty.jpg").touch()
    (archive / "notes.txt").write_text("no photo")
    ended = await send(box, archive, "--report", file)
    rows = rows_of(file)
    again = await send(box, archive, "--report", file)
    there = rows_of(file)
    checked = await send(box, "verify", archive, "--report", check)
    seen = {Path(row["path"]).name: row for row in objects(check)}
    ids = {photo.md5: str(photo_id) for photo_id, photo in box.gallery.photos.items()}
    assert ended.code == again.code == checked.code == 1
    assert len(rows) == 8
    for path, md5 in sums.items():
        row = rows[path.name]
        known = {"md5": md5, "image_id": ids[md5], "albums": "1"}
        assert row | {"seconds": "", "size": ""} == known | {
            **dict.fromkeys(("size", "seconds", "reason", "hint"), ""),
            "path": str(path),
            "outcome": "uploaded",
            "tries": "1",
        }
        assert int(row["size"]) == path.stat().st_size
        assert float(row["seconds"]) > 0
        assert (known | {"outcome": "present"}).items() <= there[path.name].items()
        told = seen[path.name]
        assert (told["md5"], str(told["image_id"]), told["albums"]) == (md5, ids[md5], [1])
    assert rows["empty.jpg"]["reason"] == "the file is empty"
    assert rows["empty.jpg"]["hint"]
    assert (rows["notes.txt"]["outcome"], rows["notes.txt"]["reason"]) == ("skipped", "type")
    assert {row["outcome"] for row in seen.values()} == {"present", "failed", "skipped"}


async def test_failures_have_their_tries(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    for method in UPLOADS:
        box.faults.add(Fault("damaged", method))
    ended = await send(box, photos, "--report", tmp_path / "report.jsonl", "--retries", "1")
    (row,) = objects(tmp_path / "report.jsonl")
    assert (ended.code, row["outcome"]) == (1, "failed")
    assert row["reason"]
    assert row["md5"]
    assert row["tries"] >= 2


async def test_an_interrupted_run_leaves_its_report(tmp_path: Path) -> None:
    archive, file = tmp_path / "photos", tmp_path / "report.csv"
    make_archive(archive, count=40, names=40)
    async with Held(*UPLOADS, nth=6) as box:
        flags = ("--report", file, "-c", "2", "--no-ledger")
        async with await start(box, archive, *flags) as process:
            await interrupted(box, process)
    outcomes = [row["outcome"] for row in rows_of(file).values()]
    assert len(outcomes) == 40
    assert {"uploaded", "unfinished"} == set(outcomes)
