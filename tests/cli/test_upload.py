"""The real command against a sandbox: exit codes, words, signals."""

import importlib.util
import os
import re
import signal
from pathlib import Path

import pytest

from bulkup import __version__
from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.commands import (
    PASSWORD,
    UPLOADS,
    Ended,
    Held,
    bulkup,
    one_photo,
    read_until,
    send,
    start,
)
from tests.support.runs import make_archive, stored_sums

# exit code 0, all is well


async def test_photos_go_up_and_a_second_run_sends_nothing(box: Sandbox, tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=12, names=4)
    ended = await send(box, tmp_path)
    assert ended.code == 0
    assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    assert re.search(r"^Done after .*: Sandbox \(album 1\) at http://127", ended.err, re.MULTILINE)
    assert re.search(r"^ +12 +uploaded ", ended.err, re.MULTILINE)
    ended = await send(box, tmp_path)
    assert ended.code == 0
    assert re.search(r"^ +12 +already there", ended.err, re.MULTILINE)
    assert len(box.gallery.photos) == 12


async def test_raw_files_become_formats_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    one_photo(tmp_path)
    for name in ("a.NEF", "alone.nef", "b.xyz"):
        (tmp_path / name).write_bytes(name.encode())
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef"]) as box:
        ended = await send(box, tmp_path, "--raw-as-format")
        assert ended.code == 0
        assert [row.extension for row in box.gallery.formats.of(1)] == ["nef"]
    assert "1 .nef, 1 .xyz: types this gallery does not take" in ended.err
    assert "upload_form_all_types" in ended.err


async def test_everything_may_be_given_by_flags(box: Sandbox, tmp_path: Path) -> None:
    photo = one_photo(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    ended = await bulkup(
        *("upload", photo, "--password-file", secret, "--url", box.url, "--user", "admin"),
        *["--album", "1", "--concurrency", "2", "--finishing", "1", "--level", "4"],
        *["--chunk-size", "500K", "--method", "upload", "--retries", "0", "--patience", "1m"],
        *["--bwlimit", "08:00,1M 23:00,off"],
    )
    assert ended.code == 0
    (stored,) = box.gallery.photos.values()
    assert (stored.file, stored.level) == ("a.jpg", 4)


async def test_an_api_key_needs_no_user_and_no_password(box: Sandbox, tmp_path: Path) -> None:
    one_photo(tmp_path)
    pkid, secret = box._make_api_key()
    ended = await bulkup(tmp_path, url=box.url, album="1", api_key=f"{pkid}:{secret}")
    assert ended.code == 0
    assert secret not in ended.out + ended.err


@pytest.mark.parametrize(
    ("command", "words", "others"),
    [
        ([], ("--album", "--url", "--password-file", "BULKUP_URL", "sandbox", "demo"), ()),
        (["verify"], ("--quick", "Selecting", "--exclude-from", "--files-from"), ("--chunk",)),
        (["doctor"], ("--album", "--json", "--ledger", "130 interrupted"), ("--chunk-size",)),
    ],
    ids=str,
)
async def test_the_help_names_the_flags(
    command: list[str], words: tuple[str, ...], others: tuple[str, ...]
) -> None:
    ended = await bulkup(*command, "--help")
    assert ended.code == 0
    told = " ".join(ended.out.split())
    assert all(word in told for word in words)
    assert not any(word in told for word in others)


async def test_the_version_is_told() -> None:
    ended = await bulkup("--version")
    assert (ended.code, ended.out) == (0, f"bulkup {__version__}\n")


@pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="the demo needs Pillow")
async def test_the_demo_brings_every_photo_over() -> None:
    ended = await bulkup("demo")
    assert ended.code == 0
    assert "each is on the server once, MD5 equal" in ended.out


async def test_the_demo_takes_photos_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    ended = await bulkup("demo", tmp_path)
    assert ended.code == 0
    assert "There is no photo to upload in there." in ended.out


# exit code 3, the run is impossible


async def test_an_album_of_an_unknown_name_is_told(box: Sandbox, tmp_path: Path) -> None:
    ended = await send(box, one_photo(tmp_path), "--album", "Trips/2019")
    assert ended.code == 3
    assert "there is no album “Trips”" in ended.err
    assert "--create-albums" in ended.err
    assert len(box.gallery.albums) == 1


async def test_an_album_that_is_not_there_is_told(box: Sandbox, tmp_path: Path) -> None:
    box.gallery.make_album("99")
    ended = await send(box, one_photo(tmp_path), "--album", "99")
    assert ended.code == 3
    assert "there is no album 99" in ended.err
    assert "--album /99" in ended.err
    assert not box.gallery.photos
    ended = await send(box, one_photo(tmp_path), "--album", "/99")
    assert ended.code == 0
    assert len(box.gallery.photos_in(2)) == 1


@pytest.mark.usefixtures("no_pauses")
async def test_a_server_that_stays_away_is_told_when_patience_ends(tmp_path: Path) -> None:
    make_archive(tmp_path, count=5, names=5)
    faults = Faults([Fault("503", method) for method in UPLOADS])
    for nth in range(100):
        faults.add(Fault("503", "pwg.session.getStatus", 2 + nth))  # 0 and 1: connecting
    async with Sandbox(admin=("admin", PASSWORD), faults=faults) as box:
        ended = await send(box, tmp_path, "--concurrency", "1", "--patience", "0")
    assert ended.code == 3
    assert "the server has been away for" in ended.err
    assert re.search(r"^ +5 +unfinished +run the same command again", ended.err, re.MULTILINE)


# exit code 1, some photos failed


async def test_one_failing_photo_is_named_and_the_others_arrive(
    box: Sandbox, tmp_path: Path
) -> None:
    archive = make_archive(tmp_path, count=5, names=5)
    (tmp_path / "text.jpg").write_text("This is no picture.\n" * 10)
    ended = await send(box, tmp_path)
    assert ended.code == 1
    assert stored_sums(box).keys() == set(archive.values())
    assert f"failed: {tmp_path}/text.jpg\n" in ended.err
    assert "forbidden file type" in ended.err


async def test_a_name_can_not_steer_the_terminal(box: Sandbox, tmp_path: Path) -> None:
    names = ["[red]x", "a\nb", "c\x1b[31m\x1b]0;title\x07", "d\r\x9be", "f\u202eg"]
    for name in names:
        (tmp_path / f"{name}.jpg").touch()
    (tmp_path / os.fsdecode(b"h\xff.jpg")).touch()
    ended = await send(box, tmp_path)
    assert ended.code == 1
    shown = ended.err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", shown)
    for name in ["[red]x.jpg", r"a\nb.jpg", r"c\x1b[31m", r"d\r\x9be.jpg", r"f\u202eg", r"h\xff"]:
        assert f"{tmp_path}/{name}" in shown


async def test_names_that_hurt_arrive_all_the_same(box: Sandbox, tmp_path: Path) -> None:
    for name in ["[red]x.jpg", "a\nb.jpg", "c\x1b[31m.jpg", "--album.jpg"]:
        one_photo(tmp_path, name)
    ended = await send(box, tmp_path)
    assert ended.code == 0
    files = {photo.file for photo in box.gallery.photos.values()}
    assert files == {"[red]x.jpg", "a b.jpg", "c [31m.jpg", "--album.jpg"}


# exit code 130, interrupted


async def test_a_first_ctrl_c_lets_photos_in_flight_end_and_the_next_run_brings_the_rest(
    tmp_path: Path,
) -> None:
    archive = make_archive(tmp_path, count=60, names=30)
    async with Held(*UPLOADS, nth=10) as box:
        async with await start(box, tmp_path, "--concurrency", "4", finishing="1") as process:
            await box.came.wait()
            process.send_signal(signal.SIGINT)
            said = await read_until(process, "no new one is begun")
            box.go.set()
            said += await read_until(process)
            ended = Ended(await process.wait(), "", said)
        assert ended.code == 130
        assert not box.gallery.buffers
        assert not box.gallery.lounge
        done = len(box.gallery.photos)
        assert 10 <= done < 60
        assert "photos in flight are finished, no new one is begun" in said
        assert re.search(r"^Stopped after ", said, re.MULTILINE)
        assert re.search(rf"^ +{done} +uploaded ", said, re.MULTILINE)
        assert re.search(rf"^ +{60 - done} +unfinished +run the same", said, re.MULTILINE)
        assert (await send(box, tmp_path)).code == 0
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)


async def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    make_archive(tmp_path, count=10, names=10)
    async with Held(*UPLOADS) as box, await start(box, tmp_path, finishing="1") as process:
        await box.came.wait()
        process.send_signal(signal.SIGINT)
        said = await read_until(process, "no new one is begun")
        process.send_signal(signal.SIGINT)
        said += await read_until(process)
        ended = Ended(await process.wait(), "", said)
    assert ended.code == 130
    assert re.search(r"^ +10 +unfinished ", said, re.MULTILINE)
