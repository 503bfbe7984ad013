"""`bulkup watch`: messages, and the end by Ctrl-C."""

import re
import signal
from pathlib import Path

import aiohttp

from bulkup.sandbox import Sandbox
from tests.support.commands import one_photo, read_until, start
from tests.support.runs import make_archive
from tests.support.steps import SteppedSandbox, exactly


async def watched_until_ctrl_c(box: Sandbox, folder: Path, *flags: str) -> str:
    """Return what a watch says that brings two photos, one after the other, for all to see."""
    one_photo(folder, "first.jpg")
    shown = ("--monitor", "127.0.0.1:0", *flags)
    async with (
        await start(box, "watch", folder, *shown) as process,
        aiohttp.ClientSession() as session,
    ):
        said = await read_until(process, " verified ")
        one_photo(folder, "second.jpg")
        said += await read_until(process, " verified ")
        address = re.search(r"the run is shown at (http://127\S+/)\n", said)
        assert address
        async with session.get(f"{address[1]}metrics") as answer:
            assert 'bulkup_photos_total{outcome="uploaded"} 2.0' in await answer.text()
        process.send_signal(signal.SIGINT)
        said += await read_until(process)
        assert await process.wait() == 130
    assert [photo.file for photo in box.gallery.photos.values()] == ["first.jpg", "second.jpg"]
    assert said.count("Done after") == 2
    assert "Traceback" not in said
    return said


async def test_selected_files_are_uploaded_with_their_labels(tmp_path: Path, box: Sandbox) -> None:
    one_photo(tmp_path, "unwanted.jpg")
    flags = ["--settle", "0.2s", "--exclude", "un*", "--title", "{stem}!", "-v"]
    said = await watched_until_ctrl_c(box, tmp_path, *flags)
    assert f"watching {tmp_path}; Ctrl-C ends it" in said
    assert said.count("1 file has arrived") == 2
    assert "first.jpg as photo 1" in said
    assert [photo.name for photo in box.gallery.photos.values()] == ["first!", "second!"]


async def test_quiet_prints_the_monitor_and_the_summaries(tmp_path: Path, box: Sandbox) -> None:
    said = await watched_until_ctrl_c(box, tmp_path, "--poll", "--settle", "0.2s", "-q")
    assert "the run is shown at" in said.splitlines()[0]
    assert "watching" not in said
    assert "arrived" not in said


async def test_after_a_signal_photos_in_flight_are_finished(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=30, names=30, size=(5000, 9000))
    flags = ["--settle", "0", "--chunk-size", "4K", "--concurrency", "3"]
    async with SteppedSandbox(30, finish_s=0.02) as box:
        async with await start(box, "watch", tmp_path, *flags) as process:
            box.act = process.terminate
            said = await read_until(process)
            assert await process.wait() == 130
        there = {photo.md5 for photo in box.gallery.photos.values()}
        assert 0 < len(there) < 30
        assert exactly(box, {path: md5 for path, md5 in archive.items() if md5 in there})
    assert "unfinished" in said
