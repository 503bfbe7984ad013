"""The ledger: unusable and damaged files, locking, secrets."""

import re
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, UPLOADS, Held, read_until, send, start
from tests.support.disks import disk, fill, protect
from tests.support.runs import make_archive, stored_sums

__all__ = ["disk"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    make_archive(folder, count=5, names=5)
    return folder


def held(folder: Path) -> bytes:
    """Return every byte of every file in a folder, and their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


# a bad disk: exit code 3, at once


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("full", "Free disk space"),
        ("read only", "Read-only file system"),
        ("a folder", "--no-ledger"),
    ],
)
async def test_an_unusable_ledger_is_reported_before_anything_is_sent(
    *, box: Sandbox, photos: Path, disk: Path, how: str, words: str
) -> None:
    file = disk if how == "a folder" else disk / "ledger.sqlite"
    if how == "full":
        fill(disk)
    elif how == "read only":
        await protect(disk)
    ended = await send(box, photos, "--ledger", file)
    assert ended.code == 3
    assert f"the ledger {file} can't be used: " in ended.err
    assert words in " ".join(ended.err.split())
    assert not UPLOADS & {seen.method for seen in box.requests}


async def test_after_a_full_disk_a_run_continues(box: Sandbox, tmp_path: Path, disk: Path) -> None:
    archive = make_archive(tmp_path, count=150, names=50)
    (disk / "rest").write_bytes(bytes(96 * 1024))  # a run on a busy machine writes little
    first = await send(box, tmp_path, "--ledger", disk / "ledger.sqlite")
    assert first.code == 3
    assert "database or disk is full" in first.err
    assert re.search(r"unfinished +run the same command again", first.err)
    assert (await send(box, tmp_path, "--no-ledger")).code == 0
    assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    assert {frozenset(photo.albums) for photo in box.gallery.photos.values()} == {frozenset({1})}


async def test_a_damaged_ledger_is_set_aside(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(b"This is no database.\n" * 1000)
    ended = await send(box, photos, "--ledger", file)
    assert ended.code == 0
    found = re.search(r"ledger was damaged, and was moved to (\S+)", " ".join(ended.err.split()))
    assert found is not None
    assert held(tmp_path).count(b"This is no database.\n") == 1000
    assert found[1].encode() in held(tmp_path)
    assert len(box.gallery.photos) == 5


# what was found out about a server


async def test_a_size_limit_is_remembered(tmp_path: Path) -> None:
    photos, file = tmp_path / "photos", tmp_path / "ledger.sqlite"
    refused = []
    async with Sandbox(admin=("admin", PASSWORD), max_body=400_000) as box:
        for seed in (1, 2):
            make_archive(photos / str(seed), count=2, names=2, size=(10**6, 10**6), seed=seed)
            ended = await send(box, photos, "--ledger", file, "--finishing", "2")
            assert ended.code == 0
            refused.append(sum(seen.status == 413 for seen in box.requests))
        assert len(box.gallery.photos) == 4
    assert refused[0] >= 1
    assert refused[1] == refused[0]


# two runs


async def test_a_second_run_is_refused_until_the_first_ends(photos: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    flags = ("--ledger", state / "ledger.sqlite")
    async with Held(*UPLOADS) as box:
        async with await start(box, photos, *flags, finishing="1") as process:
            await box.came.wait()
            ended = await send(box, photos, *flags)
            assert ended.code == 3
            assert f"another run for {box.url}" in ended.err
            process.kill()
            said = await read_until(process)
        assert b"sqlite-wal" in held(state)
        assert PASSWORD.encode() not in held(state)
        assert PASSWORD not in said
        box.go.set()
        assert (await send(box, photos, *flags)).code == 0
        assert set(stored_sums(box).values()) == {1}
        assert len(box.gallery.photos) == 5


# secrets


async def test_the_ledger_contains_no_secret(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    (photos / "text.jpg").write_text("This is no picture.\n")
    key = [*box.make_api_key()]
    for place, secrets, settings in (
        ("by password", [PASSWORD], {}),
        ("by key", key, {"user": "", "password": "", "api_key": ":".join(key)}),
    ):
        state = tmp_path / place
        ended = await send(box, photos, "--ledger", state / "ledger.sqlite", **settings)
        assert ended.code == 1
        assert b"forbidden file type" in held(state)
        for secret in secrets:
            assert secret.encode() not in held(state)
            assert secret not in ended.out + ended.err


async def test_a_ledger_is_created_by_default(box: Sandbox, photos: Path, own_state: Path) -> None:
    await send(box, photos, "--no-ledger")
    assert not held(own_state)
    await send(box, photos)
    assert b"ledger.sqlite" in held(own_state)
