"""Uploads to a sandbox: exit codes and messages."""

import importlib.util
import re
from pathlib import Path

import pytest

from bulkup import __version__
from bulkup.app import demo
from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import (
    PASSWORD,
    bulkup,
    one_photo,
    send,
)
from tests.support.runs import make_archive, stored_sums

# exit code 0, all is well


async def test_photos_are_uploaded_and_sent_only_once(box: Sandbox, tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=12, names=4)
    ended = await send(box, tmp_path)
    assert ended.code == 0
    assert re.search(r"^Done after .*: Sandbox \(album 1\) at http://127", ended.err, re.MULTILINE)
    assert re.search(r"^ +12 +uploaded ", ended.err, re.MULTILINE)
    (tmp_path / "text.jpg").write_text("This is no picture.\n" * 10)
    ended = await send(box, tmp_path)
    assert ended.code == 1
    assert re.search(r"^ +12 +already there", ended.err, re.MULTILINE)
    assert f"failed: {tmp_path}/text.jpg\n" in ended.err
    assert "forbidden file type" in ended.err
    assert stored_sums(box) == dict.fromkeys(archive.values(), 1)


async def test_everything_can_be_given_by_flags(box: Sandbox, tmp_path: Path) -> None:
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


async def test_the_version_is_printed() -> None:
    ended = await bulkup("--version")
    assert (ended.code, ended.out) == (0, f"bulkup {__version__}\n")


@pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="the demo needs Pillow")
async def test_the_demo_uploads_photos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "EXIST_S", 0.0)  # counting its workers takes longer than all else
    monkeypatch.setattr(demo, "NAMES", ("IMG_1.jpg", "button.gif", "web.webp"))
    monkeypatch.setattr(demo, "LARGE_SIDE", 800)
    ended = await bulkup("demo")
    assert ended.code == 0
    assert "each is on the server once, with the same MD5" in ended.out
    (tmp_path / "notes.txt").touch()
    ended = await bulkup("demo", tmp_path)
    assert ended.code == 0
    assert "The folder contains no photos." in ended.out


# exit code 3, the run is impossible


async def test_a_missing_album_is_reported_and_not_created(box: Sandbox, photos: Path) -> None:
    box.gallery.make_album("99")
    for album, words, way in (
        ("Trips/2019", "there is no album “Trips”", "--create-albums"),
        ("99", "there is no album 99", "--album /99"),
    ):
        ended = await send(box, photos, album=album)
        checked = await send(box, "verify", photos, album=album)
        assert ended.code == checked.code == 3
        assert words in ended.err
        assert words in checked.err
        assert way in " ".join(ended.err.split())
        assert "--create-albums" not in checked.err
    assert len(box.gallery.albums) == 2
    assert not box.gallery.photos
    assert (await send(box, photos, album="/99")).code == 0
    assert len(box.gallery.photos_in(2)) == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("command", "method"), [([], "pwg.images.uploadAsync"), (["verify"], "pwg.images.checkFiles")]
)
async def test_a_server_that_stays_unreachable_ends_the_run(
    box: Sandbox, tmp_path: Path, command: list[str], method: str
) -> None:
    make_archive(tmp_path, count=3, names=3)
    if command:
        await send(box, tmp_path)
    box.faults.add(Fault("503", method))
    for nth in range(100):
        box.faults.add(Fault("503", "pwg.session.getStatus", 2 + nth))  # 0 and 1: connecting
    ended = await send(box, *command, tmp_path, "--concurrency", "1", "--patience", "0")
    assert ended.code == 3
    assert "the server has been unavailable for" in ended.err
    assert re.search(r"^ +3 +unfinished +run the same command again", ended.err, re.MULTILINE)
