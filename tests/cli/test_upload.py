"""The real command in a process of its own, against a sandbox: exit codes, words, signals."""

import hashlib
import importlib.util
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bulkup import __version__
from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.commands import (
    PASSWORD,
    UPLOADS,
    Ended,
    Noticing,
    bulkup,
    one_photo,
    read_until,
    send,
    start,
)
from tests.support.raw import raw_server, saying
from tests.support.runs import make_archive, stored_sums


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox(admin=("admin", PASSWORD)) as running:
        yield running


# exit code 0, all is well


async def test_photos_go_up_and_the_summary_says_so(box: Sandbox, tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=12, names=4)
    ended = await send(box, tmp_path)
    assert ended.code == 0
    assert stored_sums(box).keys() == set(archive.values())
    assert re.search(r"^Done after .*: Sandbox \(album 1\) at http://127", ended.err, re.MULTILINE)
    assert re.search(r"^ +12 +uploaded ", ended.err, re.MULTILINE)


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
        "upload",
        photo,
        "--password-file",
        secret,
        *["--url", box.url, "--user", "admin"],
        *["--album", "1", "--concurrency", "2", "--finishing", "1", "--level", "4"],
        *["--chunk-size", "500K", "--method", "upload", "--retries", "0", "--patience", "1m"],
        *["--bwlimit", "08:00,1M 23:00,off"],
    )
    assert ended.code == 0
    (stored,) = box.gallery.photos.values()
    assert (stored.file, stored.level) == ("a.jpg", 4)


async def test_a_second_run_sends_nothing_and_says_so(box: Sandbox, tmp_path: Path) -> None:
    one_photo(tmp_path)
    await send(box, tmp_path)
    ended = await send(box, tmp_path)
    assert ended.code == 0
    assert re.search(r"^ +1 +already there", ended.err, re.MULTILINE)
    assert len(box.gallery.photos) == 1


async def test_an_api_key_needs_no_user_and_no_password(box: Sandbox, tmp_path: Path) -> None:
    one_photo(tmp_path)
    pkid, secret = box._make_api_key()
    ended = await bulkup(tmp_path, url=box.url, album="1", api_key=f"{pkid}:{secret}")
    assert ended.code == 0
    assert secret not in ended.out + ended.err


async def test_an_empty_folder_is_told_and_is_no_failure(box: Sandbox, tmp_path: Path) -> None:
    ended = await send(box, tmp_path)
    assert ended.code == 0
    assert "There was nothing to upload: no files were found." in ended.err


async def test_the_help_names_the_exit_codes_and_the_flags() -> None:
    ended = await bulkup("--help")
    assert ended.code == 0
    for word in ("--album", "--url", "--password-file", "BULKUP_URL", "sandbox", "demo"):
        assert word in ended.out


async def test_the_version_is_told() -> None:
    ended = await bulkup("--version")
    assert (ended.code, ended.out) == (0, f"bulkup {__version__}\n")


@pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="the demo needs Pillow")
async def test_the_demo_brings_every_photo_over() -> None:
    ended = await bulkup("demo")
    assert ended.code == 0
    assert "each is on the server once, MD5 equal" in ended.out


async def test_the_demo_takes_photos_of_ones_own(tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3)
    ended = await bulkup("demo", tmp_path)
    assert ended.code == 0
    assert "3 photos, 3 different ones" in ended.out


# exit code 2, wrong usage


async def test_a_folder_that_is_not_there_is_named(box: Sandbox, tmp_path: Path) -> None:
    ended = await send(box, tmp_path / "nosuch")
    assert ended.code == 2
    assert "nosuch: No such file or directory" in ended.err
    assert not box.requests


@pytest.mark.parametrize(
    ("missing", "sentence", "hint"),
    [
        ("url", "the gallery's address is missing", "Give --url, or set BULKUP_URL."),
        ("user", "the user name is missing", "Give --user, or set BULKUP_USER."),
        ("album", "the album is missing", "--album N"),
        ("password", "the password is missing", "BULKUP_PASSWORD"),
    ],
)
async def test_what_is_missing_is_named_with_the_way_to_give_it(
    box: Sandbox, tmp_path: Path, missing: str, sentence: str, hint: str
) -> None:
    ended = await send(box, tmp_path, **{missing: ""})
    assert ended.code == 2
    first, second, *rest = ended.err.splitlines()
    assert (first, rest) == (f"bulkup: {sentence}", [])
    assert hint in second
    assert not box.requests


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--nosuch"], "--nosuch"),
        (["--album", "a//b"], "empty name"),
        (["--album", "1", "--unwrap"], "--tree"),
        (["--album", "1", "--tree", "--flat"], "--tree and --flat"),
        (["--album", "1", "--private"], "--create-albums"),
        (["--album", "0"], "--album 0"),
        (["--concurrency", "65"], "--concurrency 65"),
        (["--level", "3"], "3"),
        (["--chunk-size", "huge"], "huge"),
        (["--bwlimit", "08:00,1M 9,off"], "--bwlimit “9,off”"),
        (["--method", "ftp"], "ftp"),
        (["--url", "not an address"], "not an address"),
    ],
)
async def test_a_wrong_flag_is_named(
    box: Sandbox, tmp_path: Path, arguments: list[str], word: str
) -> None:
    ended = await send(box, tmp_path, *arguments)
    assert ended.code == 2
    assert ended.err.startswith("bulkup: ")
    assert word in ended.err
    assert not box.requests


async def test_a_password_in_the_address_is_refused(box: Sandbox, tmp_path: Path) -> None:
    ended = await send(box, tmp_path, url=f"http://admin:{PASSWORD}@127.0.0.1:99999/")
    assert ended.code == 2


# exit code 3, the run is impossible


async def test_a_wrong_password_is_told(box: Sandbox, tmp_path: Path) -> None:
    ended = await send(box, one_photo(tmp_path), password=f"{PASSWORD}-wrong")
    assert ended.code == 3
    assert "log-in as admin" in ended.err
    assert "Invalid username/password" in ended.err


async def test_a_user_who_is_no_administrator_is_told(box: Sandbox, tmp_path: Path) -> None:
    ended = await send(box, one_photo(tmp_path), user="bob", password="bobsecret")
    assert ended.code == 3
    assert "bob is no administrator" in ended.err


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


async def test_what_is_no_piwigo_is_told(tmp_path: Path) -> None:
    page = saying("200 OK", b"<html><body>Welcome to nginx!</body></html>")
    async with raw_server(page) as raw:
        ended = await bulkup(tmp_path, url=raw.url, user="a", password=PASSWORD, album="1")
    assert ended.code == 3
    assert f"no Piwigo answers at {raw.url}ws.php" in ended.err
    assert "--url" in ended.err


async def test_nobody_listening_is_told(tmp_path: Path) -> None:
    async with raw_server(saying("200 OK")) as raw:
        url = raw.url
    ended = await bulkup(tmp_path, url=url, user="a", password=PASSWORD, album="1")
    assert ended.code == 3
    assert "can't be reached" in ended.err


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
    names = [
        "[red]x.jpg",
        "a\nb.jpg",
        "c\x1b[31m\x1b]0;title\x07.jpg",
        "d\r\x9be.jpg",
        "f\u202eg.jpg",
    ]
    for name in names:
        (tmp_path / name).touch()
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_first_signal_lets_photos_in_flight_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    archive = make_archive(tmp_path, count=300, names=100)
    faults = Noticing(nth=20)
    async with Sandbox(admin=("admin", PASSWORD), faults=faults, finish_s=0.02) as box:
        async with await start(box, tmp_path, "--concurrency", "4") as process:
            await faults.came.wait()
            process.send_signal(number)
            said = await read_until(process)
            ended = Ended(await process.wait(), "", said)
        assert ended.code == 130
        assert not box.gallery.buffers
        assert not box.gallery.lounge
        assert 0 < len(box.gallery.photos) < 300
        assert stored_sums(box).keys() < set(archive.values())
    assert "photos in flight are finished, no new one is begun" in said
    assert re.search(r"^Stopped after ", said, re.MULTILINE)
    assert re.search(rf"^ +{len(box.gallery.photos)} +uploaded ", said, re.MULTILINE)
    assert re.search(r"unfinished +run the same command again", said)


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    make_archive(tmp_path, count=10, names=10)
    hangs = [Fault("slow", method, slow_s=3600.0) for method in UPLOADS]
    faults = Noticing(*hangs, nth=1)
    async with (
        Sandbox(admin=("admin", PASSWORD), faults=faults) as box,
        await start(box, tmp_path) as process,
    ):
        await faults.came.wait()
        process.send_signal(signal.SIGINT)
        said = await read_until(process, "no new one is begun")
        process.send_signal(signal.SIGINT)
        said += await read_until(process)
        ended = Ended(await process.wait(), "", said)
    assert ended.code == 130
    assert re.search(r"^ +10 +unfinished ", said, re.MULTILINE)


async def test_after_an_interruption_the_same_command_brings_the_rest(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=60, names=30)
    faults = Noticing(nth=10)
    async with Sandbox(admin=("admin", PASSWORD), faults=faults) as box:
        async with await start(box, tmp_path) as process:
            await faults.came.wait()
            process.send_signal(signal.SIGINT)
            await read_until(process)
            await process.wait()
        ended = await send(box, tmp_path)
        assert ended.code == 0
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)


async def test_after_a_kill_the_same_command_brings_the_rest(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=60, names=30, size=(20_000, 60_000))
    faults = Noticing(nth=30)
    async with Sandbox(admin=("admin", PASSWORD), faults=faults) as box:
        async with await start(box, tmp_path, "--chunk-size", "8K") as process:
            await faults.came.wait()
            process.kill()
            await process.wait()
        ended = await send(box, tmp_path)
        assert ended.code == 0
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
        assert {
            hashlib.md5(box.gallery.content(i)).hexdigest() for i in box.gallery.photos
        } == set(archive.values())
