"""`--after`: which files are moved or trashed, messages and exit codes."""

import sys
from pathlib import Path

import pytest

from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import UPLOADS, Held, interrupted, send, start
from tests.support.photos import files_in
from tests.support.runs import make_archive, stored_sums


@pytest.fixture
def card(tmp_path: Path) -> Path:
    make_archive(tmp_path / "card", count=6, names=3)
    return tmp_path / "card"


async def test_files_stay_without_after_and_are_moved_and_counted_with_it(
    box: Sandbox, card: Path, tmp_path: Path
) -> None:
    before, done = files_in(card), tmp_path / "done"
    move = ("--after", f"move:{done}")
    for flags in ((), ("--after", "none"), ("--dry-run", *move)):
        assert (await send(box, card, *flags)).code == 0
        assert files_in(card) == before
        assert not files_in(done)
    ended = await send(box, card, *move)
    assert ended.code == 0
    assert "6  moved" in ended.err
    assert (files_in(done), files_in(card)) == (before, set())
    assert (await send(box, card, *move)).code == 0


async def test_photos_are_trashed(
    box: Sandbox, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for module in [name for name in sys.modules if name.startswith("send2trash")]:
        monkeypatch.delitem(sys.modules, module)  # it reads the place once, when imported
    ended = await send(box, card, "--after", "trash")
    assert ended.code == 0
    assert "6  moved" in ended.err
    assert not files_in(card)
    assert len([name for name in files_in(tmp_path) if "/files/" in name]) == 6
    assert len(box.gallery.photos) == 6


async def test_files_that_stay_make_exit_code_1(box: Sandbox, card: Path, tmp_path: Path) -> None:
    box.faults.add(Fault("html", "pwg.images.checkFiles"))
    ended = await send(box, card, "--retries", "0", "--after", f"move:{tmp_path}/done")
    assert len(box.gallery.photos) == 6
    assert ended.code == 1
    assert "6  not moved" in ended.err
    assert "stays: " in ended.err
    assert len(files_in(card)) == 6


async def test_a_missing_library_is_named_with_its_extra(
    box: Sandbox, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library, command, flags, extra in (
        ("send2trash", "upload", ["--after", "trash"], "bulkup[trash]"),
        ("watchfiles", "watch", [], "bulkup[watch]"),
    ):
        monkeypatch.setitem(sys.modules, library, None)
        ended = await send(box, command, card, *flags)
        assert ended.code == 2
        assert f"pip install '{extra}'" in ended.err
    assert not box.requests


async def test_after_a_signal_no_file_is_lost(card: Path, tmp_path: Path) -> None:
    everything, done = files_in(card), tmp_path / "done"
    flags = (card, "--after", f"move:{done}", "--concurrency", "2")
    async with Held(*UPLOADS, nth=3) as box:
        async with await start(box, *flags, finishing="1") as process:
            await interrupted(box, process)
        assert 0 < len(box.gallery.photos) < 6
        assert (files_in(card), files_in(done)) == (everything, set())
        assert (await send(box, *flags)).code == 0
        assert (files_in(card), files_in(done)) == (set(), everything)
        assert set(stored_sums(box).values()) == {1}
        assert len(box.gallery.photos) == 6
