"""Filter flags of the command: patterns in order, lists of files, messages."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, Ended, read_until, send, start
from tests.support.faults import HookedFaults
from tests.support.galleries import LISTING, photo_files
from tests.support.photos import write_files, write_photo


def rows(ended: Ended, words: str) -> list[int]:
    """Return the numbers that the summary has for these words."""
    return [int(n) for n in re.findall(rf"^ +(\d+)  .*{words}", ended.err, re.MULTILINE)]


async def test_patterns_apply_in_order_also_for_verify(box: Sandbox, tmp_path: Path) -> None:
    write_files(tmp_path, "a.jpg", "raw/b.jpg", "raw/best/c.jpg", "x/d.jpg", "x/raw/e.jpg")
    flags = ["--exclude", "raw/", "--include", "/raw/best/"]
    ended = await send(box, tmp_path, *flags)
    assert (ended.code, photo_files(box)) == (0, {"a.jpg", "c.jpg", "d.jpg"})
    assert rows(ended, "excluded by patterns") == [2]  # b.jpg and the folder x/raw
    ended = await send(box, "verify", tmp_path, *flags)
    assert ended.code == 0
    assert "Checked 3 photos: 3 present" in ended.err
    ended = await send(box, "verify", tmp_path, *flags[2:], *flags[:2])
    assert "Checked 0 photos" in ended.err


async def test_the_doctor_counts_selected_files(box: Sandbox, tmp_path: Path) -> None:
    write_files(tmp_path, "a.jpg", "raw/b.jpg", "c.jpg")
    listed = f"{tmp_path}/raw/b.jpg\n"
    for flags, photos in (((tmp_path, "--exclude", "raw/"), 2), (("--files-from", "-"), 1)):
        ended = await send(box, "doctor", *flags, "--json", given=listed)
        assert json.loads(ended.out)["checks"]["archive"]["photos"] == photos


async def test_each_line_of_a_list_has_a_result(box: Sandbox, tmp_path: Path) -> None:
    write_files(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    listed = tmp_path / "list"
    listed.write_text("".join(f"{tmp_path}/{name}.jpg\n" for name in ("b", "gone", "a")))
    flags = ("--files-from", listed)
    ended = await send(box, *flags)
    assert (ended.code, photo_files(box)) == (1, {"a.jpg", "b.jpg"})
    assert f"failed: {tmp_path}/gone.jpg\n  it can't be read: No such file" in ended.err
    ended = await send(box, "verify", *flags)
    assert "Checked 3 photos: 2 present, 1 failed" in ended.err
    requests = len(box.requests)
    assert rows(await send(box, *flags), "already there") == [2]
    asked = {seen.method for seen in list(box.requests)[requests:]}
    assert asked <= LISTING | {"pwg.categories.getList"}, "a second run reads nothing again"


@pytest.mark.parametrize("separator", ["\n", "\0"])
async def test_a_list_comes_through_a_pipe(box: Sandbox, tmp_path: Path, separator: str) -> None:
    names = ["a.jpg", "📷.jpg", os.fsdecode(b"\xff.jpg")]
    if separator == "\0":
        names.append("b\nc.jpg")
    for number, name in enumerate(names):
        write_photo(tmp_path / name, number)
    listed = "".join(f"{tmp_path}/{name}{separator}" for name in [*names, *names])
    ended = await send(box, "--files-from", "-", given=listed)
    assert ended.code == 0
    assert len(box.gallery.photos) == len(names)
    assert rows(ended, "listed twice") == [len(names)]


async def test_a_signal_ends_a_run_that_waits_for_more_of_its_list(photos: Path) -> None:
    came = anyio.Event()
    faults = HookedFaults(act=came.set, method="pwg.images.uploadAsync")
    async with (
        Sandbox(admin=("admin", PASSWORD), faults=faults) as box,
        await start(box, "--files-from", "-", stdin=subprocess.PIPE, finishing="1") as process,
    ):
        assert process.stdin is not None
        await process.stdin.send(f"{photos}/a.jpg\n".encode())
        await came.wait()
        process.send_signal(signal.SIGTERM)
        said = await read_until(process)
        assert await process.wait() == 130
        assert photo_files(box) == {"a.jpg"}
    assert re.search(r"^ +1 +uploaded ", said, re.MULTILINE)


async def test_a_terminal_is_not_read_as_a_list(box: Sandbox) -> None:
    ours, theirs = pty.openpty()
    try:
        ended = await send(box, "--files-from", "-", given=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert ended.code == 2
    assert "found no list on standard input" in ended.err
    assert not box.requests
