"""The real command with flags that choose: patterns in their order, lists of files, its words."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from random import Random

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, Ended, Noticing, read_until, send, start
from tests.support.runs import make_archive, picture, stored_sums


def files(box: Sandbox) -> set[str]:
    return {photo.file for photo in box.gallery.photos.values()}


def rows(ended: Ended, words: str) -> list[int]:
    """Return the numbers that the summary has for these words."""
    return [int(n) for n in re.findall(rf"^ +(\d+)  .*{words}", ended.err, re.MULTILINE)]


def make_photos(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(Random(os.fsencode(name)), size=900))


async def test_patterns_decide_in_their_order_also_when_verifying(
    box: Sandbox, tmp_path: Path
) -> None:
    make_photos(tmp_path, "a.jpg", "raw/b.jpg", "raw/best/c.jpg", "x/d.jpg", "x/raw/e.jpg")
    flags = ["--exclude", "raw/", "--include", "/raw/best/"]
    ended = await send(box, tmp_path, *flags)
    assert (ended.code, files(box)) == (0, {"a.jpg", "c.jpg", "d.jpg"})
    assert rows(ended, "not chosen by the patterns") == [2]  # b.jpg and the folder x/raw
    ended = await send(box, "verify", tmp_path, *flags)
    assert ended.code == 0
    assert "Checked 3 photos: 3 present" in ended.err
    ended = await send(box, "verify", tmp_path, *flags[2:], *flags[:2])
    assert "Checked 0 photos" in ended.err


async def test_a_dry_run_and_a_check_up_tell_of_what_is_chosen(
    box: Sandbox, tmp_path: Path
) -> None:
    make_photos(tmp_path, "a.jpg", "raw/b.jpg", "c.jpg")
    ended = await send(box, tmp_path, "--exclude", "raw/", "--dry-run")
    assert (ended.code, rows(ended, "new ")) == (0, [2])
    ended = await send(box, "doctor", tmp_path, "--exclude", "raw/", "--json")
    assert json.loads(ended.out)["checks"]["archive"]["photos"] == 2
    listed = f"{tmp_path}/raw/b.jpg\n"
    ended = await send(box, "doctor", "--files-from", "-", "--json", given=listed)
    assert json.loads(ended.out)["checks"]["archive"]["photos"] == 1
    assert not box.gallery.photos


async def test_what_is_left_out_is_counted_by_its_reason(box: Sandbox, tmp_path: Path) -> None:
    make_photos(tmp_path, "a.jpg", "old.jpg", ".hidden.jpg")
    (tmp_path / "small.jpg").write_bytes(b"x")
    os.utime(tmp_path / "old.jpg", (0, 0))
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    ended = await send(box, tmp_path, "--newer-than", "2y", "--min-size", "2", "--follow-symlinks")
    assert ended.code == 0
    assert len(files(box)) == 1
    for words in ("older or newer", "smaller or larger", "the same files once more", "made by"):
        assert rows(ended, words) == [1]


async def test_a_list_comes_from_a_file_and_a_verdict_on_each_line(
    box: Sandbox, tmp_path: Path
) -> None:
    make_photos(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    file = tmp_path / "list"
    file.write_text(f"{tmp_path}/b.jpg\n{tmp_path}/gone.jpg\n{tmp_path}/a.jpg\n")
    ended = await send(box, "--files-from", file)
    assert (ended.code, files(box)) == (1, {"a.jpg", "b.jpg"})
    assert f"failed: {tmp_path}/gone.jpg\n  it can't be read: No such file" in ended.err
    ended = await send(box, "verify", "--files-from", file)
    assert "Checked 3 photos: 2 present, 1 failed" in ended.err


@pytest.mark.parametrize("separator", ["\n", "\0"])
async def test_a_list_comes_through_a_pipe(box: Sandbox, tmp_path: Path, separator: str) -> None:
    names = [
        "a.jpg",
        "📷.jpg",
        os.fsdecode(b"\xff.jpg"),
        *(["b\nc.jpg"] if separator == "\0" else []),
    ]
    make_photos(tmp_path, *names)
    listed = "".join(f"{tmp_path}/{name}{separator}" for name in [*names, *names])
    ended = await send(box, "--files-from", "-", given=listed)
    assert ended.code == 0
    assert len(box.gallery.photos) == len(names)
    assert rows(ended, "named twice") == [len(names)]


async def test_a_list_that_is_none_ends_the_run(box: Sandbox) -> None:
    ended = await send(box, "--files-from", "-", given="x" * 70_000)
    assert ended.code == 3
    assert "bulkup: the list on standard input holds no paths" in ended.err


async def test_a_signal_ends_a_run_that_waits_for_more_of_its_list(tmp_path: Path) -> None:
    make_photos(tmp_path, "a.jpg")
    faults = Noticing(nth=1)
    flags = ("--files-from", "-")
    async with (
        Sandbox(admin=("admin", PASSWORD), faults=faults) as box,
        await start(box, *flags, stdin=subprocess.PIPE, finishing="1") as process,
    ):
        assert process.stdin is not None
        await process.stdin.send(f"{tmp_path}/a.jpg\n".encode())
        await faults.came.wait()
        process.send_signal(signal.SIGTERM)
        said = await read_until(process)
        assert await process.wait() == 130
        assert files(box) == {"a.jpg"}
    assert re.search(r"^ +1 +uploaded ", said, re.MULTILINE)


async def test_nobody_types_a_list_into_a_terminal(box: Sandbox) -> None:
    ours, theirs = pty.openpty()
    try:
        ended = await send(box, "--files-from", "-", given=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert ended.code == 2
    assert "finds no list on standard input" in ended.err
    assert not box.requests


async def test_a_second_run_over_a_list_reads_nothing_again(box: Sandbox, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "photos", count=12, names=4)
    (tmp_path / "list").write_text("".join(f"{path}\n" for path in archive))
    flags = ["--files-from", f"{tmp_path}/list", "--ledger", f"{tmp_path}/ledger"]
    assert (await send(box, *flags)).code == 0
    requests = len(box.requests)
    ended = await send(box, *flags)
    assert rows(ended, "already there") == [12]
    assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    assert len(box.requests) - requests < 12
