"""Outputs of a run: JSON, log files, `--quiet`, `--report`, `--monitor`."""

import csv
import json
import os
import re
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from anyio.abc import Process

from bulkup.cli.output_flags import OutputFlags
from bulkup.sandbox import Sandbox
from tests.support.commands import (
    PASSWORD,
    UPLOADS,
    Ended,
    Held,
    bulkup,
    interrupted,
    one_photo,
    read_until,
    send,
    start,
)
from tests.support.disks import disk, fill
from tests.support.photos import write_files
from tests.support.runs import make_archive

__all__ = ["disk"]

HOSTILE = "[red]x\x1b[31m\n<b>.jpg"
TOKEN = "0123456789abcdef"


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_json_is_on_stdout_and_messages_are_on_stderr(box: Sandbox, tmp_path: Path) -> None:
    photo = one_photo(tmp_path, HOSTILE)
    (tmp_path / "empty.jpg").touch()
    ended = await send(box, tmp_path, "--json")
    reported = objects(ended.out)
    assert ended.code == 1
    assert {line["schema"] for line in reported} == {1}
    assert (reported[0]["event"], reported[-1]["event"]) == ("run_started", "run_finished")
    (sent,) = [line for line in reported if line["event"] == "photo_uploaded"]
    assert sent["path"] == str(photo)
    (failed,) = [line for line in reported if line["event"] == "photo_failed"]
    assert failed["reason"] == "the file is empty"
    assert "the file is empty" in ended.err


async def test_a_closed_pipe_does_not_end_the_run(box: Sandbox, tmp_path: Path) -> None:
    write_files(tmp_path, *(f"{n}.jpg" for n in range(5)))
    reading, writing = os.pipe()
    os.close(reading)
    ended = await send(box, tmp_path, "--json", out=writing)
    os.close(writing)
    assert len(box.gallery.photos) == 5
    assert ended.code == 0
    assert "--json is incomplete: Broken pipe" in ended.err


async def test_quiet_prints_failures_and_summary(box: Sandbox, photos: Path) -> None:
    (photos / "empty.jpg").touch()
    quiet = await send(box, photos, "-q", "--monitor", "127.0.0.1:0")
    silent = await send(box, photos, "-qq", "--no-ledger")
    by_variable = await send(box, photos, "--no-ledger", quiet="2")
    typo = await send(box, photos, "--no-ledger", quiet="much")
    assert len(box.gallery.photos) == 1
    assert quiet.code == silent.code == by_variable.code == 1
    assert quiet.err.startswith("note    the run is shown at http://127.0.0.1:")
    assert "the file is empty" in quiet.err
    assert "Piwigo 16.4.0" not in quiet.err
    assert "Done after" in quiet.err
    assert (silent.out, silent.err) == (by_variable.out, by_variable.err) == ("", "")
    assert typo.code == 2
    assert "BULKUP_QUIET" in typo.err


@pytest.mark.parametrize("name", ["run.log", "run.jsonl"])
async def test_a_log_file_is_appended_to(box: Sandbox, tmp_path: Path, name: str) -> None:
    photo, log = one_photo(tmp_path, HOSTILE), tmp_path / name
    for _ in range(2):
        assert (await send(box, photo, "--log-file", log)).code == 0
    text = log.read_text()
    assert PASSWORD not in text
    assert "\x1b" not in text
    if name.endswith(".jsonl"):
        kinds = [line["event"] for line in objects(text)]
        assert kinds.count("run_started") == kinds.count("run_finished") == 2
        assert kinds.count("photo_uploaded") == kinds.count("photo_present") == 1
    else:
        assert text.count("Done after") == 2
        assert text.count(" sent    ") == text.count(" there   ") == 1


async def test_an_impossible_run_is_silent_and_json_says_why(box: Sandbox, photos: Path) -> None:
    flags = (photos, "--album", "99")
    reported, quiet = await send(box, *flags, "--json"), await send(box, *flags, "-q")
    (line,) = objects(reported.out)
    assert line["event"] == "run_failed"
    assert "99" in line["reason"]
    assert "there is no album 99" in quiet.err
    assert reported.code == quiet.code == 3
    for command in ([], ["watch", "--settle", "0"]):
        assert await send(box, *command, *flags, "-qq") == Ended(3, "", "")


async def test_a_full_disk_of_an_output_is_named(box: Sandbox, photos: Path, disk: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    ended = await bulkup("--help", out=full)
    os.close(full)
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "bulkup: output can't be written: No space left on device",
        "  Free some disk space.",
    ]
    (disk / "log").touch()
    fill(disk)
    ended = await send(box, photos, "--log-file", disk / "log")
    assert ended.code == 0
    assert "--log-file is incomplete: No space left on device" in ended.err
    assert len(box.gallery.photos) == 1


def rows_of(file: Path) -> dict[str, dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return {Path(row["path"]).name: row for row in csv.DictReader(lines, strict=True)}


async def test_a_report_has_a_row_for_every_file(box: Sandbox, tmp_path: Path) -> None:
    archive, file, check = tmp_path / "photos", tmp_path / "report.csv", tmp_path / "check.jsonl"
    sums = make_archive(archive, count=6, names=6)
    (archive / "empty.jpg").touch()
    (archive / "notes.txt").write_text("no photo")
    ended = await send(box, archive, "--report", file)
    rows = rows_of(file)
    again = await send(box, archive, "--report", file)
    there = rows_of(file)
    checked = await send(box, "verify", archive, "--report", check)
    seen = {Path(row["path"]).name: row for row in objects(check.read_text())}
    ids = {photo.md5: str(photo_id) for photo_id, photo in box.gallery.photos.items()}
    assert ended.code == again.code == checked.code == 1
    assert len(rows) == 8
    for path, md5 in sums.items():
        known = {"path": str(path), "md5": md5, "image_id": ids[md5], "albums": "1"}
        sent = {"outcome": "uploaded", "tries": "1", "size": str(path.stat().st_size)}
        assert (known | sent | {"reason": "", "hint": ""}).items() <= rows[path.name].items()
        assert float(rows[path.name]["seconds"]) > 0
        assert (known | {"outcome": "present"}).items() <= there[path.name].items()
        entry = seen[path.name]
        assert (entry["md5"], str(entry["image_id"]), entry["albums"]) == (md5, ids[md5], [1])
    assert rows["empty.jpg"]["reason"] == "the file is empty"
    assert rows["empty.jpg"]["hint"]
    assert (rows["notes.txt"]["outcome"], rows["notes.txt"]["reason"]) == ("skipped", "type")
    assert {row["outcome"] for row in seen.values()} == {"present", "failed", "skipped"}
    secret = ("--password-command", f"echo {PASSWORD}")
    await send(box, archive, *secret, "--report", tmp_path / "report.html", password="")
    page = unescape((tmp_path / "report.html").read_text("utf-8"))
    assert "--password-command '…'" in page
    assert PASSWORD not in page


async def address_of(process: Process) -> str:
    """Return where a started command says that its monitor is."""
    said = await read_until(process, "/\n")
    found = re.search(r"the run is shown at (http://\S+/)\n", said)
    assert found, said
    return found[1]


async def get(address: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(address, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_the_page_is_served_until_the_run_ends(tmp_path: Path) -> None:
    make_archive(tmp_path, count=5, names=5, size=(5000, 9000))
    flags = ("--chunk-size", "4K", "--monitor", ":0")
    async with Held(*UPLOADS, nth=3) as box, await start(box, tmp_path, *flags) as process:
        address = await address_of(process)
        await box.came.wait()
        assert "<title>bulkup</title>" in (await get(address))[1]
        status, figures = await get(f"{address}metrics")
        assert status == 200
        assert "bulkup_running 1.0" in figures
        assert re.search(r"bulkup_sent_bytes_total [1-9]", figures)
        assert "unfinished" in await interrupted(box, process, twice=True)
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(address)


async def test_a_public_page_needs_a_token(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "token").write_text(f"{TOKEN}\n")  # where it is skipped
    monkeypatch.setenv("BULKUP_MONITOR_TOKEN", TOKEN)
    listen = OutputFlags(monitor="0.0.0.0:0").options().listen
    assert listen
    assert listen.token == TOKEN
    flags = (photos, "--monitor", "0.0.0.0:0", "--monitor-token-file", photos / "token")
    async with Held(*UPLOADS) as box, await start(box, *flags) as process:
        port = (await address_of(process)).rstrip("/").rpartition(":")[2]
        address = f"http://127.0.0.1:{port}/"
        assert (await get(address))[0] == 401
        assert (await get(f"{address}?token={TOKEN}"))[0] == 200
        assert (await get(f"{address}metrics", Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert TOKEN not in await interrupted(box, process, twice=True)
