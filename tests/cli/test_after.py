"""`--after` of the real command: what it moves and trashes, what it says, and its exit codes."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.commands import PASSWORD, UPLOADS, environment, read_until, send, start
from tests.support.moments import Moment, sandbox
from tests.support.runs import make_archive, stored_sums


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox(admin=("admin", PASSWORD)) as running:
        yield running


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    make_archive(folder, count=6, names=3)
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_photos_are_moved_and_counted(box: Sandbox, card: Path, tmp_path: Path) -> None:
    before = names(card)
    ended = await send(box, card, "--after", f"move:{tmp_path}/done")
    assert ended.code == 0
    assert "6  put away" in ended.err
    assert names(tmp_path / "done") == before
    assert not names(card)
    again = await send(box, card, "--after", f"move:{tmp_path}/done")
    assert again.code == 0


async def test_photos_are_trashed(
    box: Sandbox, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    ended = await send(box, card, "--after", "trash")
    assert ended.code == 0
    assert "6  put away" in ended.err
    assert not names(card)
    trashed = {name for name in names(tmp_path / "home") if "/files/" in f"/{name}"}
    assert len(trashed) == 6
    assert len(box.gallery.photos) == 6


async def test_a_dry_run_touches_no_file(box: Sandbox, card: Path, tmp_path: Path) -> None:
    await send(box, card)
    before = names(card)
    ended = await send(box, card, "--dry-run", "--after", f"move:{tmp_path}/done")
    assert ended.code == 0
    assert names(card) == before
    assert not (tmp_path / "done").exists()


async def test_without_the_flag_everything_stays(box: Sandbox, card: Path) -> None:
    before = names(card)
    assert (await send(box, card)).code == 0
    assert (await send(box, card, "--after", "none")).code == 0
    assert names(card) == before


async def test_what_stays_is_named_and_makes_exit_code_1(card: Path, tmp_path: Path) -> None:
    faults = Faults([Fault("html", "pwg.images.checkFiles")])
    async with Sandbox(admin=("admin", PASSWORD), faults=faults) as box:
        ended = await send(box, card, "--retries", "0", "--after", f"move:{tmp_path}/done")
        assert len(box.gallery.photos) == 6
    assert ended.code == 1
    assert "6  not put away" in ended.err
    assert "stays: " in ended.err
    assert len(names(card)) == 6


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("bin", "is nothing that could be done"),
        ("move:", "is nothing that could be done"),
        ("move:{card}", "lies inside"),
        ("move:{card}/done", "lies inside"),
        ("move:/no/such/place", "is no folder"),
    ],
)
async def test_what_can_not_be_is_told_before_anything_is_sent(
    box: Sandbox, card: Path, value: str, words: str
) -> None:
    ended = await send(box, card, "--after", value.format(card=card))
    assert ended.code == 2
    assert words in ended.err
    assert not UPLOADS & {seen.method for seen in box.requests}
    assert len(names(card)) == 6


@pytest.mark.parametrize(
    ("library", "arguments", "extra"),
    [
        ("send2trash", ["upload", "--after", "trash"], "bulkup[trash]"),
        ("watchfiles", ["watch"], "bulkup[watch]"),
    ],
)
async def test_without_its_library_it_is_told_what_to_install(
    box: Sandbox, card: Path, library: str, arguments: list[str], extra: str
) -> None:
    missing = f"import sys; sys.modules[{library!r}] = None"
    without = f"{missing}; from bulkup.__main__ import main; main()"
    needed = {"url": box.url, "user": "admin", "password": PASSWORD, "album": "1"}
    done = await anyio.run_process(
        [sys.executable, "-c", without, *arguments, str(card)],
        env=environment(needed),
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert f"pip install '{extra}'" in done.stderr.decode()
    assert not box.requests


async def test_after_a_signal_no_photo_is_in_neither_place(tmp_path: Path) -> None:
    card, done = tmp_path / "card", tmp_path / "done"
    archive = make_archive(card, count=30, names=10)
    moment = Moment(25)
    async with sandbox("16.4.0", moment, finish_s=0.01) as box:
        async with await start(box, card, "--after", f"move:{done}") as process:
            moment.act = process.terminate
            await read_until(process)
            assert await process.wait() == 130
        assert names(card) == {str(path.relative_to(card)) for path in archive}
        assert not names(done)
        ended = await send(box, card, "--after", f"move:{done}")
        assert ended.code == 0
        assert names(done) == {str(path.relative_to(card)) for path in archive}
        assert not names(card)
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
