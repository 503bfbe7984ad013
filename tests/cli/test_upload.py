"""`bulkup upload`, `verify`, `watch`, `demo` and `sandbox`: exit codes and messages."""

import importlib.util
import re
import signal
from functools import partial
from pathlib import Path

import pytest

from bulkup import __version__
from bulkup.app import demo
from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import (
    PASSWORD,
    Held,
    begin,
    bulkup,
    environment,
    interrupted,
    one_photo,
    read_until,
    send,
    start,
)
from tests.support.galleries import albums_of, uploads
from tests.support.photos import write_album_title, write_files, write_photo
from tests.support.runs import make_archive, stored_sums
from tests.support.steps import SteppedSandbox, exactly


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


async def test_a_photo_is_uploaded_to_a_sandbox_with_few_workers(tmp_path: Path) -> None:
    flags = "--port 0 --discard --workers 3 --start-workers 2 --cpus 2"
    costs = "--finish-time 0.01 --page-time 0.01 --exist-time 0.1 --gateway-timeout 5"
    words = ["sandbox", *flags.split(), *costs.split()]
    async with await begin(words, environment({}), piped={1}) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+", (await process.stdout.receive()).decode())
        assert address
        needed = {"user": "admin", "password": "secret", "album": "1"}
        ended = await bulkup(one_photo(tmp_path), url=address[0], **needed)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert ended.code == 0


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


# `bulkup verify`


async def test_verify_lists_albums_in_another_order(box: Sandbox, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write_photo(tmp_path / name, name)
    assert (await send(box, tmp_path, "--sort", "name")).code == 0
    box.gallery.albums[1].image_order = "`rank` ASC"
    look = partial(send, box, "verify", tmp_path, "--quick", "--sort", "name")
    assert (await look()).code == 0
    for photo in box.gallery.photos.values():
        box.gallery.ranks[1, photo.id] = -ord(photo.file[0])
    ended = await look("--cover", "newest")
    assert ended.code == 1
    assert (
        "the photos of album 1 are not sorted by name: “c.jpg” comes before “b.jpg”" in ended.err
    )
    assert re.search(r"^ +[12] +albums +not shown as asked", ended.err, re.MULTILINE)
    ended = await look("--json")
    assert '"event": "arrangement_differs"' in ended.out
    assert '"code": "unsorted"' in ended.out
    ended = await look(album="")
    assert ended.code == 2
    assert "no album is to be checked" in ended.err


async def test_missing_photos_are_named_until_they_are_uploaded(
    box: Sandbox, tmp_path: Path
) -> None:
    folder, ledger = tmp_path / "photos", str(tmp_path / "ledger")
    archive = make_archive(folder, count=5, names=5)
    await send(box, folder, ledger=ledger)
    first, second, *_ = sorted(archive)
    ids = {photo.md5: photo.id for photo in box.gallery.photos.values()}
    await box.gallery.delete(ids[archive[first]])
    box.gallery.unlink(ids[archive[second]], 1)
    ended = await send(box, "verify", folder, ledger=ledger)
    assert ended.code == 1
    assert "  Checked 5 photos: 3 present, 1 missing, 1 not in the album\n" in ended.err
    assert f"\nmissing: {first}\n  the gallery does not have it\n" in ended.err
    assert f"\nnot in the album: {second}\n" in ended.err
    assert len(box.gallery.photos) == 4
    assert (await send(box, folder, ledger=ledger)).code == 0
    ended = await send(box, "verify", folder, ledger=ledger)
    assert ended.code == 0
    assert "check only (checkFiles), 4 at once" in ended.err
    assert re.search(r"^Done after .*: Sandbox \(album 1\) at http://127", ended.err, re.MULTILINE)
    assert re.search(r"^  Checked 5 photos: 5 present$", ended.err, re.MULTILINE)
    assert "uploaded" not in ended.err
    flags = ("--quick", "--no-ledger", "--concurrency", "2")
    ended = await send(box, "verify", folder, *flags, album="")  # anywhere in the gallery
    assert ended.code == 0
    assert "check only (exist), 2 at once" in ended.err


async def test_ctrl_c_ends_verify_after_the_files_in_flight(tmp_path: Path) -> None:
    make_archive(tmp_path, count=8, names=8)
    async with Held("pwg.images.checkFiles", nth=3) as box:
        await send(box, tmp_path)
        async with await start(box, "verify", tmp_path, "--concurrency", "1") as process:
            said = await interrupted(box, process)
    assert re.search(r"^Stopped after ", said, re.MULTILINE)
    assert re.search(r"^  Checked 3 photos: 3 present", said, re.MULTILINE)
    assert re.search(r"^ +5 +unfinished +run the same command again", said, re.MULTILINE)


async def test_renamed_albums_have_the_same_names_in_a_dry_run_and_when_they_are_verified(
    box: Sandbox, tmp_path: Path
) -> None:
    places = ("2019_05_Rome/DCIM/a.jpg", "2019_05_Bari/b.jpg", "2019_05_Rome/c.jpg", "scans/d.jpg")
    write_files(tmp_path / "my_photos", *places)
    write_album_title(tmp_path / "my_photos/scans", "Old scans")
    into: tuple[str, ...] = ("--tree", "--no-ledger", "--folder-as-tag")
    for rule in (r"^(\d{4})_(\d\d)_.*=>\1-\2", "^DCIM$=>", "(?i)^old =>", "^my_photos$=>All"):
        into = (*into, "--rename-album", rule)
    planned = await send(box, tmp_path / "my_photos", *into, "-n", "-v", album="")
    assert not uploads(box)
    assert sorted(re.findall(r"(?m)^album +(.*)$", planned.err)) == ["2019-05", "All", "scans"]
    sent = await send(box, tmp_path / "my_photos", *into, album="")
    assert (planned.code, sent.code) == (0, 0)
    assert albums_of(box) == {
        "Sandbox": [],
        "All": [],
        "All/2019-05": ["a.jpg", "b.jpg", "c.jpg"],
        "All/scans": ["d.jpg"],
    }
    assert {tag.name for tag in box.gallery.tags.values()} == {"2019-05", "scans"}
    assert sent.err.count("share one album") == 1
    checked = (flag for flag in into if flag != "--folder-as-tag")
    ended = await send(box, "verify", tmp_path / "my_photos", *checked, album="")
    assert "Checked 4 photos: 4 present\n" in ended.err


async def test_a_tree_is_verified_as_it_was_uploaded(box: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "my_photos"
    make_archive(folder, count=4, names=2)
    (folder / "folder 00/metadata.json").write_text('{"title": "Rome", "description": "May"}')
    into = ("--tree", "--underscores-to-spaces", "--no-ledger")
    trips = box.gallery.make_album("Trips")
    sent = await send(box, folder, *into, album="Trips/2019", create_albums="1")
    assert sent.code == 0
    names = {album.name: album for album in box.gallery.albums.values()}
    assert names["Rome"].comment == "May"
    assert names["2019"].parent == trips
    albums = len(box.gallery.albums)
    ended = await send(box, "verify", folder, *into, album="Trips/2019")
    assert (ended.code, "Checked 4 photos: 4 present\n" in ended.err) == (0, True)
    assert "2019 (album" in ended.err
    spelled = await send(box, "verify", folder, "--tree", "--no-ledger", album="Trips/2019")
    assert spelled.code == 1
    assert "Checked 4 photos: 4 not in the album\n" in spelled.err
    assert "there is no album “my_photos”" in spelled.err
    untitled = await send(box, "verify", folder, *into, "--no-sidecars", album="Trips/2019")
    assert "Checked 4 photos: 2 present, 2 not in the album\n" in untitled.err
    unwrapped = await send(
        box, "verify", folder, *into, "--unwrap", album=str(names["my photos"].id)
    )
    assert (unwrapped.code, "4 present" in unwrapped.err) == (0, True)
    assert len(box.gallery.albums) == albums


async def test_levels_of_albums_are_limited_also_when_they_are_verified(
    box: Sandbox, tmp_path: Path
) -> None:
    places = ("a.jpg", "2019/b.jpg", "2019/Rome/c.jpg", "2019/Rome/raw/d.jpg")
    write_files(root := tmp_path / "photos", *places)
    write_album_title(root / "2019/Rome", "Rome, by bus")
    write_album_title(root / "2019/Rome/raw", "Nothing")
    into = ("--tree", "--unwrap", "--album-levels", "2", "--no-ledger")
    planned = await send(box, root, *into, "-n", "-v")
    assert sorted(re.findall(r"(?m)^album +(.*)$", planned.err)) == ["2019", "Rome, by bus"]
    for expected in ("4  uploaded", "4  already there"):
        sent = await send(box, root, *into, "--folder-as-tag")
        assert sent.code == 0, sent.err
        assert re.search(rf"(?m)^ +{expected}", sent.err), sent.err
    assert albums_of(box) == {
        "Sandbox": ["a.jpg"],
        "Sandbox/2019": ["b.jpg"],
        "Sandbox/2019/Rome, by bus": ["c.jpg", "d.jpg"],
    }
    assert {tag.name for tag in box.gallery.tags.values()} == {"2019", "Rome", "raw"}
    ended = await send(box, "verify", root, *into)
    assert "Checked 4 photos: 4 present\n" in ended.err
    other = await send(box, "verify", root, "--tree", "--unwrap", "--no-ledger")
    assert "3 present, 1 not in the album\n" in other.err


# `bulkup watch`


async def test_arriving_files_are_uploaded_until_ctrl_c(tmp_path: Path, box: Sandbox) -> None:
    for name in ("unwanted.jpg", "first.jpg"):
        one_photo(tmp_path, name)
    flags = ["--settle", "0.2s", "--exclude", "un*", "--title", "{stem}!", "-v", "--poll"]
    async with await start(box, "watch", tmp_path, *flags) as process:
        said = await read_until(process, " verified ")
        one_photo(tmp_path, "second.jpg")
        said += await read_until(process, " verified ")
        process.send_signal(signal.SIGINT)
        said += await read_until(process)
        assert await process.wait() == 130
    assert [photo.name for photo in box.gallery.photos.values()] == ["first!", "second!"]
    assert f"watching {tmp_path}; Ctrl-C ends it" in said
    assert said.count("1 file has arrived") == said.count("Done after") == 2
    assert "first.jpg as photo 1" in said
    assert "Traceback" not in said


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
