"""`--report FILE` of real runs: every file is named, whatever fails, and however the run ends."""

import csv
import json
import signal
from pathlib import Path

import pytest

from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.commands import (
    PASSWORD,
    UPLOADS,
    Held,
    bulkup,
    one_photo,
    read_until,
    send,
    start,
)
from tests.support.disks import disk, fill
from tests.support.runs import make_archive

__all__ = ["disk"]


def rows_of(file: Path) -> dict[str, dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return {Path(row["path"]).name: row for row in csv.DictReader(lines, strict=True)}


async def test_every_file_has_its_row(tmp_path: Path) -> None:
    archive, file = tmp_path / "photos", tmp_path / "report.csv"
    sums = make_archive(archive, count=6, names=6)
    (archive / "empty.jpg").touch()
    (archive / "notes.txt").write_text("no photo")
    async with Sandbox(admin=("admin", PASSWORD)) as box:
        ended = await send(box, archive, "--report", file)
        rows = rows_of(file)
        again = await send(box, archive, "--report", file)
        checked = await send(box, "verify", archive, "--report", tmp_path / "check.jsonl")
        ids = {photo.md5: str(photo_id) for photo_id, photo in box.gallery.photos.items()}
    assert ended.code == again.code == 1
    assert len(rows) == 8
    for path, md5 in sums.items():
        row = rows[path.name]
        assert row | {"seconds": "", "size": ""} == {
            "path": str(path),
            "md5": md5,
            "size": "",
            "outcome": "uploaded",
            "image_id": ids[md5],
            "albums": "1",
            "tries": "1",
            "seconds": "",
            "reason": "",
            "hint": "",
        }
        assert int(row["size"]) == path.stat().st_size
        assert float(row["seconds"]) > 0
        present = rows_of(file)[path.name]
        told = (present["outcome"], present["md5"], present["image_id"], present["albums"])
        assert told == ("present", md5, ids[md5], "1")
    assert rows["empty.jpg"]["reason"] == "the file is empty"
    assert rows["empty.jpg"]["hint"]
    assert (rows["notes.txt"]["outcome"], rows["notes.txt"]["reason"]) == ("skipped", "type")
    assert checked.code == 1
    verdicts = [json.loads(line) for line in (tmp_path / "check.jsonl").read_text().splitlines()]
    seen = {Path(row["path"]).name: row for row in verdicts}
    assert {row["outcome"] for row in verdicts} == {"present", "failed", "skipped"}
    for path, md5 in sums.items():
        row = seen[path.name]
        assert (row["md5"], str(row["image_id"]), row["albums"]) == (md5, ids[md5], [1])


async def test_failures_of_the_server_are_told_with_their_tries(tmp_path: Path) -> None:
    archive, file = tmp_path / "photos", tmp_path / "report.jsonl"
    make_archive(archive, count=3, names=3)
    faults = Faults([Fault("damaged", method) for method in UPLOADS])
    async with Sandbox(admin=("admin", PASSWORD), faults=faults) as box:
        ended = await send(box, archive, "--report", file, "--retries", "1")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert ended.code == 1
    assert {row["outcome"] for row in rows} == {"failed"}
    assert all(row["reason"] and row["md5"] and row["tries"] >= 2 for row in rows)


async def test_a_dry_run_reports_its_plan(tmp_path: Path) -> None:
    archive, file = tmp_path / "photos", tmp_path / "plan.csv"
    sums = make_archive(archive, count=2, names=2)
    async with Sandbox(admin=("admin", PASSWORD)) as box:
        await send(box, archive, "--tree", "-n", "--report", file)
    told = {name: (row["outcome"], row["md5"]) for name, row in rows_of(file).items()}
    assert told == {path.name: ("new", md5) for path, md5 in sums.items()}


async def test_an_interrupted_run_leaves_what_is_known(tmp_path: Path) -> None:
    archive, file = tmp_path / "photos", tmp_path / "report.csv"
    make_archive(archive, count=40, names=40)
    async with Held(*UPLOADS, nth=6) as box:
        process = await start(box, archive, "--report", file, "-c", "2", "--no-ledger")
        async with process:
            await box.came.wait()
            process.send_signal(signal.SIGINT)
            await read_until(process, "again aborts")
            box.go.set()
            await read_until(process)
    assert process.returncode == 130
    outcomes = [row["outcome"] for row in rows_of(file).values()]
    assert len(outcomes) == 40
    assert {"uploaded", "unfinished"} == set(outcomes)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("report.txt", ".csv, .jsonl or .html"),
        ("nowhere/report.csv", "does not exist"),
        ("nowhere/report.html", "does not exist"),
        (".csv", ".csv, .jsonl or .html"),
    ],
)
async def test_a_place_that_is_wrong_is_told_before_anything_is_sent(
    name: str, words: str, tmp_path: Path
) -> None:
    one_photo(tmp_path)
    async with Sandbox(admin=("admin", PASSWORD)) as box:
        ended = await send(box, tmp_path, "--report", tmp_path / name)
        assert not box.gallery.photos
    assert ended.code == 2
    assert words in ended.err


async def test_watching_has_no_report(tmp_path: Path) -> None:
    ended = await bulkup("watch", tmp_path, "--report", tmp_path / "r.csv", "--album", "1")
    assert ended.code == 2
    assert "--log-file" in ended.err


async def test_a_full_disk_ends_no_upload(disk: Path, tmp_path: Path) -> None:
    make_archive(tmp_path, count=30, names=30)
    async with Sandbox(admin=("admin", PASSWORD)) as box:
        fill(disk)
        (disk / "rest").write_bytes(bytes((disk / "rest").stat().st_size - 4096))
        ended = await send(box, tmp_path, "--report", disk / "report.csv", "--no-ledger")
        assert len(box.gallery.photos) == 30
    assert ended.code == 0
    assert ended.err.count("No space left on device") == 1
