"""Filter flags: their order, lists of files, and what commands do with them."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from bulkup.app.options import SECOND_NS
from bulkup.cli import app
from bulkup.cli.filter_flags import FilterFlags
from bulkup.sandbox import Sandbox
from bulkup.source.filters import EVERYTHING, Filters, Listing
from tests.support.commands import PASSWORD, Ended, read_until, send, start
from tests.support.faults import HookedFaults
from tests.support.galleries import albums_of, photo_files
from tests.support.photos import write_files

NOW_NS = 1_700_000_000 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS


def read(*arguments: str | Path) -> tuple[tuple[Path, ...], FilterFlags]:
    """Return the paths and the flags of a command line."""
    words = ["upload", *map(str, arguments)]
    _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    return bound.args, bound.arguments.get("selection", FilterFlags())


def filters(*arguments: str | Path) -> Filters:
    return read(*arguments)[1].filters(now_s=NOW_NS / SECOND_NS)


def taken(chosen: Filters, *paths: str) -> list[str]:
    return [path for path in paths if not chosen.excludes(path)]


def test_flags_become_filters_and_a_list_is_not_read_in_advance(tmp_path: Path) -> None:
    chosen = filters(
        *("--min-size", "1K", "--max-size", "2M", "--newer-than", "2d", "--older-than", "1d"),
        *("--follow-symlinks", "--no-default-excludes"),
    )
    assert chosen == Filters(
        default_excludes=False,
        follow_symlinks=True,
        newer_than_ns=NOW_NS - 2 * DAY_NS,
        older_than_ns=NOW_NS - DAY_NS,
        min_size=1024,
        max_size=2 * 1024**2,
    )
    assert filters("--max-size", "0").max_size == 0
    assert filters() == EVERYTHING
    file, pipe = tmp_path / "list", tmp_path / "pipe"
    file.write_text("a\n")
    os.mkfifo(pipe)
    assert filters("--files-from", file).listing == Listing(str(file))
    assert filters("--files-from", file, "--from0").listing == Listing(str(file), from0=True)
    assert filters("--files-from", pipe).listing == Listing(str(pipe))


def test_patterns_keep_their_order_among_paths_and_other_flags(tmp_path: Path) -> None:
    file = tmp_path / "a=b"
    file.write_text("*.tif\n!c.tif\n")
    paths, flags = read(
        *("one", "--exclude", "raw/", "two", "--include", "a=b.jpg", "--min-size", "1"),
        *("--exclude-from", file, "--exclude=-x", "--include", "d.tif", "three"),
    )
    assert paths == (Path("one"), Path("two"), Path("three"))
    assert flags.patterns == (
        *("--exclude=raw/", "--include=a=b.jpg", f"--exclude-from={file}", "--exclude=-x"),
        "--include=d.tif",
    )


def test_patterns_of_a_file_apply_at_its_position(tmp_path: Path) -> None:
    file, empty = tmp_path / "ignore", ("--exclude-from", os.devnull)
    file.write_bytes(b"\xef\xbb\xbf*.tif\r\n!c.tif\r\n\xff*\r\n")
    paths = ["a.tif", "c.tif", "d.jpg", os.fsdecode(b"\xff.jpg")]
    assert taken(filters("--exclude-from", file), *paths) == ["c.tif", "d.jpg"]
    assert taken(filters("--exclude-from", file, "--include", "a.*"), *paths) == paths[:3]
    assert taken(filters("--include", "a.*", "--exclude-from", file), *paths) == ["c.tif"]
    assert taken(filters(*empty), "a") == taken(filters(*empty, "--include", "b"), "a") == ["a"]


def rows(ended: Ended, words: str) -> list[int]:
    """Return the numbers that the summary has for these words."""
    return [int(n) for n in re.findall(rf"^ +(\d+)  .*{words}", ended.err, re.MULTILINE)]


async def test_patterns_apply_in_order_also_for_verify_and_the_doctor(
    box: Sandbox, tmp_path: Path
) -> None:
    write_files(tmp_path, "a.jpg", "raw/b.jpg", "raw/best/c.jpg", "x/d.jpg", "x/raw/e.jpg")
    flags = ["--exclude", "raw/", "--include", "/raw/best/"]
    ended = await send(box, tmp_path, *flags)
    assert (ended.code, photo_files(box)) == (0, {"a.jpg", "c.jpg", "d.jpg"})
    assert rows(ended, "excluded by patterns") == [2]  # b.jpg and the folder x/raw
    ended = await send(box, "verify", tmp_path, *flags)
    assert ended.code == 0
    assert "Checked 3 photos: 3 present" in ended.err
    listed = f"{tmp_path}/raw/b.jpg\n"
    for chosen, photos in (([str(tmp_path), *flags], 3), (["--files-from", "-"], 1)):
        ended = await send(box, "doctor", *chosen, "--json", given=listed)
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
    assert rows(await send(box, *flags), "already there") == [2]


async def test_a_list_comes_through_a_pipe(box: Sandbox, tmp_path: Path) -> None:
    names = ["a.jpg", "📷.jpg", os.fsdecode(b"\xff.jpg")]
    write_files(tmp_path, *names)
    listed = "".join(f"{tmp_path}/{name}\n" for name in [*names, *names])
    ended = await send(box, "--files-from", "-", given=listed)
    assert (ended.code, len(box.gallery.photos)) == (0, 3)
    assert rows(ended, "listed twice") == [3]


async def test_folders_of_absolute_paths_in_a_list_become_no_albums(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, "trip/a.jpg")
    monkeypatch.chdir(tmp_path)
    absolute = f"{tmp_path}/trip/a.jpg"

    async def is_refused(*words: str) -> bool:
        ended = await send(box, *words, "--files-from", "-", given=absolute)
        return ended.code == 3 and f"the list has an absolute path, {absolute}: " in ended.err

    for words in (["--tree"], ["--tree", "--dry-run"], ["--folder-as-tag"]):
        assert await is_refused(*words)
    assert not box.gallery.photos
    ended = await send(box, "--tree", "--files-from", "-", given="trip/a.jpg")
    assert ended.code == 0
    assert [album for album, files in albums_of(box).items() if files] == ["Sandbox/trip"]
    assert await is_refused("verify", "--tree")


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
