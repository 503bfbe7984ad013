"""`bulkup verify`: exit codes and messages."""

import re
from pathlib import Path

from bulkup.sandbox import Sandbox
from tests.support.commands import Ended, Held, interrupted, send, start
from tests.support.runs import make_archive


async def verify(box: Sandbox, *arguments: str | Path, **settings: str) -> Ended:
    return await send(box, "verify", *arguments, **settings)


async def test_a_complete_archive_is_verified(box: Sandbox, tmp_path: Path) -> None:
    make_archive(tmp_path, count=6, names=3)
    await send(box, tmp_path)
    ended = await verify(box, tmp_path)
    assert ended.code == 0
    assert "check only (checkFiles), 4 at once" in ended.err
    assert re.search(r"^Done after .*: Sandbox \(album 1\) at http://127", ended.err, re.MULTILINE)
    assert re.search(r"^  Checked 6 photos: 6 present$", ended.err, re.MULTILINE)
    assert "uploaded" not in ended.err
    flags = ("--quick", "--no-ledger", "--concurrency", "2")
    ended = await verify(box, tmp_path, *flags, album="")  # anywhere in the gallery
    assert ended.code == 0
    assert "check only (exist), 2 at once" in ended.err


async def test_missing_photos_are_named_and_uploaded_later(box: Sandbox, tmp_path: Path) -> None:
    folder, ledger = tmp_path / "photos", str(tmp_path / "ledger")
    archive = make_archive(folder, count=5, names=5)
    await send(box, folder, ledger=ledger)
    first, second, *_ = sorted(archive)
    ids = {photo.md5: photo.id for photo in box.gallery.photos.values()}
    await box.gallery.delete(ids[archive[first]])
    box.gallery.unlink(ids[archive[second]], 1)
    ended = await verify(box, folder, ledger=ledger)
    assert ended.code == 1
    assert "  Checked 5 photos: 3 present, 1 missing, 1 not in the album\n" in ended.err
    assert f"\nmissing: {first}\n  the gallery does not have it\n" in ended.err
    assert f"\nnot in the album: {second}\n" in ended.err
    assert len(box.gallery.photos) == 4
    assert (await send(box, folder, ledger=ledger)).code == 0
    assert (await verify(box, folder, ledger=ledger)).code == 0
    assert len(box.gallery.photos_in(1)) == 5


async def test_ctrl_c_ends_verify_after_the_files_in_flight(tmp_path: Path) -> None:
    make_archive(tmp_path, count=8, names=8)
    async with Held("pwg.images.checkFiles", nth=3) as box:
        await send(box, tmp_path)
        async with await start(box, "verify", tmp_path, "--concurrency", "1") as process:
            said = await interrupted(box, process)
    assert re.search(r"^Stopped after ", said, re.MULTILINE)
    assert re.search(r"^  Checked 3 photos: 3 present", said, re.MULTILINE)
    assert re.search(r"^ +5 +unfinished +run the same command again", said, re.MULTILINE)


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
    ended = await verify(box, folder, *into, album="Trips/2019")
    assert (ended.code, "Checked 4 photos: 4 present\n" in ended.err) == (0, True)
    assert "2019 (album" in ended.err
    spelled = await verify(box, folder, "--tree", "--no-ledger", album="Trips/2019")
    assert spelled.code == 1
    assert "Checked 4 photos: 4 not in the album\n" in spelled.err
    assert "there is no album “my_photos”" in spelled.err
    untitled = await verify(box, folder, *into, "--no-sidecars", album="Trips/2019")
    assert "Checked 4 photos: 2 present, 2 not in the album\n" in untitled.err
    unwrapped = await verify(box, folder, *into, "--unwrap", album=str(names["my photos"].id))
    assert (unwrapped.code, "4 present" in unwrapped.err) == (0, True)
    assert len(box.gallery.albums) == albums
