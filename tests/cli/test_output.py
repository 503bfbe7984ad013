"""Outputs of a run: JSON, log files, `--quiet`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, bulkup, one_photo, send
from tests.support.disks import disk, fill
from tests.support.photos import write_files

__all__ = ["disk"]

HOSTILE = "[red]x\x1b[31m\n<b>.jpg"


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_json_is_on_stdout_and_messages_are_on_stderr(box: Sandbox, tmp_path: Path) -> None:
    photo = one_photo(tmp_path, HOSTILE)
    (tmp_path / "empty.jpg").touch()
    ended = await send(box, tmp_path, "--json")
    told = objects(ended.out)
    assert ended.code == 1
    assert {line["schema"] for line in told} == {1}
    assert (told[0]["event"], told[-1]["event"]) == ("run_started", "run_finished")
    (sent,) = [line for line in told if line["event"] == "photo_uploaded"]
    assert sent["path"] == str(photo)
    (failed,) = [line for line in told if line["event"] == "photo_failed"]
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
    told = await send(box, *flags, "--json")
    quiet = await send(box, *flags, "-q")
    silent = await send(box, *flags, "-qq")
    watching = await send(box, "watch", *flags, "--settle", "0", "-qq")
    (line,) = objects(told.out)
    assert line["event"] == "run_failed"
    assert "99" in line["reason"]
    assert "there is no album 99" in quiet.err
    assert told.code == quiet.code == silent.code == watching.code == 3
    assert silent.out + silent.err + watching.out + watching.err == ""


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
