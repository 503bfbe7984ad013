"""`--after` of the real command: what it moves and trashes, what it says, and its exit codes."""

import sys
from pathlib import Path

import pytest

from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.commands import PASSWORD, UPLOADS, Held, read_until, send, start
from tests.support.runs import make_archive, stored_sums


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    make_archive(folder, count=6, names=3)
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_without_the_flag_all_stays_and_with_it_photos_are_moved_and_counted(
    box: Sandbox, card: Path, tmp_path: Path
) -> None:
    before = names(card)
    move = ("--after", f"move:{tmp_path}/done")
    for flags in ((), ("--after", "none"), ("--dry-run", *move)):
        assert (await send(box, card, *flags)).code == 0
        assert names(card) == before
        assert not (tmp_path / "done").exists()
    ended = await send(box, card, *move)
    assert ended.code == 0
    assert "6  put away" in ended.err
    assert names(tmp_path / "done") == before
    assert not names(card)
    assert (await send(box, card, *move)).code == 0


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
    ("library", "arguments", "extra"),
    [
        ("send2trash", ["upload", "--after", "trash"], "bulkup[trash]"),
        ("watchfiles", ["watch"], "bulkup[watch]"),
    ],
)
async def test_without_its_library_it_is_told_what_to_install(
    *,
    box: Sandbox,
    card: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    arguments: list[str],
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    ended = await send(box, *arguments, card)
    assert ended.code == 2
    assert f"pip install '{extra}'" in ended.err
    assert not box.requests


async def test_after_a_signal_no_photo_is_in_neither_place(tmp_path: Path) -> None:
    card, done = tmp_path / "card", tmp_path / "done"
    archive = make_archive(card, count=10, names=10)
    everything = {str(path.relative_to(card)) for path in archive}
    flags = (card, "--after", f"move:{done}", "--concurrency", "2")
    async with Held(*UPLOADS, nth=5) as box:
        async with await start(box, *flags, finishing="1") as process:
            await box.came.wait()
            process.terminate()
            await read_until(process, "no new one is begun")
            box.go.set()
            await read_until(process)
            assert await process.wait() == 130
        assert 0 < len(box.gallery.photos) < 10
        assert names(card) == everything
        assert not names(done)
        assert (await send(box, *flags)).code == 0
        assert names(done) == everything
        assert not names(card)
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
