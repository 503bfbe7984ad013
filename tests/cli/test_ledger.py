"""The ledger: bad disks, locking, secrets, and `bulkup status`, which shows it."""

import json
import os
import re
from pathlib import Path
from random import Random

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, UPLOADS, Held, bulkup, read_until, send, start
from tests.support.disks import disk, fill, protect
from tests.support.galleries import photo_files
from tests.support.runs import make_archive, picture, stored_sums

__all__ = ["disk"]


def held(folder: Path) -> bytes:
    """Return every byte of every file in a folder, and their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


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


@pytest.mark.usefixtures("no_pauses")
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


async def test_a_damaged_ledger_is_left_alone_by_status_and_set_aside_by_an_upload(
    box: Sandbox, photos: Path, tmp_path: Path
) -> None:
    file, content = tmp_path / "ledger.sqlite", b"This is no database.\n" * 1000
    file.write_bytes(content)
    ended = await bulkup("status", "--ledger", file)
    assert ended.code == 3
    assert f"the ledger {file} can't be read: file is not a database" in ended.err
    assert file.read_bytes() == content
    ended = await send(box, photos, "--ledger", file)
    assert (ended.code, len(box.gallery.photos)) == (0, 1)
    found = re.search(r"ledger was damaged, and was moved to (\S+)", " ".join(ended.err.split()))
    assert found
    assert (tmp_path / found[1]).read_bytes() == content


async def test_a_size_limit_is_remembered(tmp_path: Path) -> None:
    photos, file = tmp_path / "photos", tmp_path / "ledger.sqlite"
    refused = []
    async with Sandbox(admin=("admin", PASSWORD), max_body=400_000) as box:
        for seed in (1, 2):
            make_archive(photos / str(seed), count=2, names=2, size=(10**6, 10**6), seed=seed)
            ended = await send(box, photos, "--ledger", file, "--finishing", "2")
            assert (ended.code, len(box.gallery.photos)) == (0, 2 * seed)
            refused.append(sum(seen.status == 413 for seen in box.requests))
    assert refused[0] == refused[1] >= 1


async def test_meanwhile_a_second_run_is_refused_and_status_shows_the_first(
    tmp_path: Path,
) -> None:
    photos, state = tmp_path / "photos", tmp_path / "state"
    make_archive(photos, count=5, names=5)
    (photos / "empty.jpg").touch()
    flags = ("--ledger", state / "ledger.sqlite")
    async with Held(*UPLOADS) as box:
        async with await start(box, photos, *flags, finishing="1") as process:
            await box.came.wait()
            ended = await send(box, photos, *flags)
            assert ended.code == 3
            assert f"another run for {box.url}" in ended.err
            assert "running for" in (await bulkup("status", *flags)).out
            failed = await bulkup("status", "--failed", *flags)
            assert failed.out == f"{photos}/empty.jpg\n"
            assert process.returncode is None
            process.kill()
            said = await read_until(process)
        assert b"sqlite-wal" in held(state)
        assert PASSWORD.encode() not in held(state)
        assert PASSWORD not in said
        box.go.set()
        after = await bulkup("status", *flags)
        assert "ended abruptly" in after.out
        assert f"failed: {photos}/empty.jpg" in after.out
        assert (await send(box, photos, *flags)).code == 1
        assert len(box.gallery.photos) == 5


async def test_no_secret_is_in_a_ledger_and_without_one_nothing_is_stored(
    box: Sandbox, photos: Path, tmp_path: Path, own_state: Path
) -> None:
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
    await send(box, photos, "--no-ledger")
    assert not held(own_state)
    await send(box, photos)
    assert b"ledger.sqlite" in held(own_state)


# `bulkup status`


async def test_past_runs_are_shown_without_the_server(photos: Path) -> None:
    (photos / "empty.jpg").touch()
    async with Sandbox(admin=("admin", PASSWORD)) as box:
        assert (await send(box, photos)).code == 1
        await send(box, photos, "--dry-run")
    ended = await bulkup("status")
    assert (ended.code, ended.err) == (0, "")
    assert f"{box.url}: 1 file, " in ended.out
    assert "(album 1): 1 file, " in ended.out
    assert "; 1 uploaded, 1 failed\n" in ended.out
    assert "1 failure open: bulkup status --failed --album 1" in ended.out
    assert f"failed: {photos}/empty.jpg\n        the file is empty\n" in ended.out
    assert "Look for an intact copy" in ended.out
    assert box.url not in (await bulkup("status", "--failed")).out
    document = json.loads((await bulkup("status", "--json")).out)
    (gallery,) = document["galleries"]
    (album,) = gallery["albums"]
    dry, real = album["runs"]
    assert document["schema"] == 1
    assert (gallery["url"], gallery["files"], gallery["bytes"]) == (box.url, 1, 5000)
    assert (album["album"], album["open_failures"]) == (1, 1)
    assert (dry["task"], real["task"], real["ending"]) == ("dry-run", "upload", "done")
    assert real["counts"]["uploaded"] == real["counts"]["failed"] == 1
    for flag, value, unknown in (
        ("--url", "https://no.example.org/", "https://no.example.org/"),
        ("--album", "77", "album 77"),
    ):
        ended = await bulkup("status", flag, value)
        assert ended.code == 2
        assert f"has nothing about {unknown}" in ended.err
        assert (box.url in ended.err) is (flag == "--url")


async def test_failed_files_of_any_name_can_be_retried(box: Sandbox, photos: Path) -> None:
    names = [
        b"new\nline.jpg",
        b"\xff\xfe.jpg",
        b" -0 --album.jpg",
        b"[red]x\x1b[31m.jpg",
        b"quote'\"$(x).jpg",
        b"tab\tand \r.jpg",
    ]
    paths = [photos / os.fsdecode(name) for name in names]
    for path in paths:
        path.touch()
    assert (await send(box, photos)).code == 1
    assert len(box.gallery.photos) == 1
    reported = await bulkup("status")
    assert reported.out.count("      failed: ") == len(names)
    assert "new\\nline.jpg" in reported.out

    for path in paths[1:]:
        path.write_bytes(picture(Random(os.fsencode(path.name)), size=3000))
    (photos / "a.jpg").unlink()  # were it walked, it would be missed
    reading, writing = os.pipe()
    assert (await bulkup("status", "--failed", "-0", out=writing)).code == 0
    os.close(writing)
    retried = await send(box, "--files-from", "-", "--json", given=reading)
    os.close(reading)
    assert retried.code == 1
    events = [json.loads(line) for line in retried.out.splitlines()]
    assert sum(event["event"] == "file_found" for event in events) == len(names)
    (failed,) = [event for event in events if event["event"] == "photo_failed"]
    assert (Path(failed["path"]).name, failed["code"]) == ("new\nline.jpg", "empty")
    assert photo_files(box) >= {" -0 --album.jpg", "[red]x [31m.jpg", "tab and  .jpg"}
    assert len(box.gallery.photos) == len(names)
    assert set(stored_sums(box).values()) == {1}

    left = await bulkup("status", "--failed", "--print0")
    assert left.out == f"{paths[0]}\0"


async def test_a_missing_photo_is_open_until_it_is_uploaded(box: Sandbox, photos: Path) -> None:
    assert (await send(box, "verify", photos)).code == 1
    (line,) = (await bulkup("status", "--failed", "--json")).out.splitlines()
    assert json.loads(line) == {
        "schema": 1,
        "url": box.url,
        "album": 1,
        "path": f"{photos}/a.jpg",
        "size": 5000,
        "code": "missing",
        "reason": "the gallery does not have it",
        "hint": "Upload it.",
        "time": json.loads(line)["time"],
    }
    await send(box, photos)
    assert (await bulkup("status", "--failed")).out == ""
    reported = await bulkup("status")
    assert "    upload   " in reported.out
    assert "    verify   " in reported.out
