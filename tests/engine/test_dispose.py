"""Files are put away if and only if the server has read its own and found the same bytes."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from anyio import to_thread

from bulkup.engine.ports import Stop
from bulkup.errors import PhotoError, RunError
from bulkup.events import FilePutAway, FileStays, Noticed, PhotoPresent, PhotoUploaded, RunFinished
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.files import Content
from bulkup.source.disposal import Mover
from bulkup.source.filters import Filters
from bulkup.source.photos import Photo
from bulkup.store.ledger import SqliteLedger
from tests.support.runs import (
    FOUR_METHODS,
    Outcome,
    check,
    make_archive,
    picture,
    run,
    stored_sums,
)

READ = "pwg.images.checkFiles"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return tmp_path / "card"


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / "done"


async def mover(done: Path, root: Path) -> Mover:
    return await to_thread.run_sync(lambda: Mover(done, roots=[root]))


async def empty(
    box: Sandbox, card: Path, done: Path, *, ledger: Path | None = None, stop: Stop | None = None
) -> Outcome:
    away = await mover(done, card)
    if ledger is None:
        return await run(box, card, away=away, stop=stop)
    async with SqliteLedger(ledger, server=box.url) as memory:
        return await run(box, card, away=away, stop=stop, memory=memory)


def files(folder: Path) -> dict[Path, str]:
    """Return the MD5 of each file below a folder."""
    return {
        path.relative_to(folder): hashlib.md5(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def stays(outcome: Outcome) -> dict[str, str]:
    return {event.path.name: event.reason for event in outcome.of(FileStays)}


async def test_a_file_goes_to_the_album_of_its_real_folder_and_from_there_and_its_link_stays(
    card: Path, done: Path
) -> None:
    (path,) = make_archive(card, count=1, names=1)
    (card / "0 best").mkdir()
    link = card / "0 best/the one.jpg"
    link.symlink_to(path)
    (card / "0 all").symlink_to(path.parent)
    async with Sandbox() as box:
        outcome = await run(
            box,
            card,
            tree=True,
            unwrap=True,
            away=await mover(done, card),
            filters=Filters(follow_symlinks=True),
        )
        (photo,) = box.gallery.photos.values()
        assert [box.gallery.albums[number].name for number in photo.albums] == [path.parent.name]
    (gone,) = outcome.of(FilePutAway)
    assert (gone.path, gone.where) == (path, done / path.relative_to(card))
    assert not stays(outcome)
    assert link.is_symlink()


async def spoil(box: Sandbox, md5: str) -> None:
    """Change the stored bytes of a photo behind the gallery's back."""
    photo = box.gallery.find(md5)
    assert photo is not None
    old = box.gallery.content(photo.id)
    content = Content(in_memory=True)
    await content.append(old[:-3] + bytes([old[-3] ^ 1]) + old[-2:])
    content.seal()
    box.gallery.contents[photo.path] = content


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0", "17.0.0beta1"])
async def test_all_that_arrives_is_moved_and_the_gallery_has_it(
    card: Path, done: Path, version: str
) -> None:
    archive = make_archive(card, count=40, names=10)
    async with Sandbox(version=version) as box:
        outcome = await empty(box, card, done)
        read = [seen.method for seen in box.requests].count(READ)
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    assert outcome.balances()
    assert read == len(archive)
    assert files(card) == {}
    assert files(done) == {path.relative_to(card): md5 for path, md5 in archive.items()}
    moved = {event.path: event.where for event in outcome.of(FilePutAway)}
    assert moved == {path: done / path.relative_to(card) for path in archive}
    assert not outcome.of(FileStays)
    assert isinstance(outcome.events[-1], RunFinished)


@pytest.mark.parametrize("with_ledger", [False, True])
async def test_what_the_gallery_has_already_is_moved_as_well(
    card: Path, done: Path, tmp_path: Path, with_ledger: bool
) -> None:
    archive = make_archive(card, count=12, names=6)
    ledger = tmp_path / "ledger.sqlite"
    async with Sandbox() as box:
        async with SqliteLedger(ledger, server=box.url) as memory:
            await run(box, card, memory=memory)
        outcome = await empty(box, card, done, ledger=ledger if with_ledger else None)
    assert len(outcome.of(PhotoPresent)) == 12
    assert files(card) == {}
    assert sorted(files(done).values()) == sorted(archive.values())


async def test_twins_are_moved_each_for_itself(card: Path, done: Path) -> None:
    archive = make_archive(card, count=4, names=4)
    for path in archive:
        (card / f"twin of {path.name}").write_bytes(path.read_bytes())
    async with Sandbox() as box:
        outcome = await empty(box, card, done)
        assert len(box.gallery.photos) == 4
    assert outcome.balances()
    assert files(card) == {}
    assert len(files(done)) == 8


async def test_what_is_no_photo_stays(card: Path, done: Path) -> None:
    make_archive(card, count=2, names=2)
    (card / "a.xmp").write_text("<x/>")
    (card / "text.jpg").write_text("This is no picture.\n")
    async with Sandbox() as box:
        outcome = await empty(box, card, done)
    assert files(card).keys() == {Path("a.xmp"), Path("text.jpg")}
    assert len(outcome.of(FilePutAway)) == 2
    assert not outcome.of(FileStays)  # one was left out, the other has failed: that is told


async def test_a_file_whose_stored_bytes_differ_stays(card: Path, done: Path) -> None:
    archive = make_archive(card, count=5, names=5)
    bad = sorted(archive)[2]
    async with Sandbox() as box:
        await run(box, card)
        await spoil(box, archive[bad])
        outcome = await empty(box, card, done)
    assert stays(outcome).keys() == {bad.name}
    assert "is not this file" in stays(outcome)[bad.name]
    assert files(card) == {bad.relative_to(card): archive[bad]}


async def test_a_photo_that_arrives_damaged_is_moved_only_once_it_is_whole(
    card: Path, done: Path
) -> None:
    archive = make_archive(card, count=3, names=3)
    faults = Faults([Fault("damaged", "pwg.images.uploadAsync", 0)])
    async with Sandbox(faults=faults) as box:
        outcome = await empty(box, card, done)
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    assert outcome.balances()
    assert files(card) == {}
    assert sorted(files(done).values()) == sorted(archive.values())


@pytest.mark.parametrize("only", [FOUR_METHODS, None])
async def test_where_the_server_can_not_tell_everything_stays(
    card: Path, done: Path, only: set[str] | None
) -> None:
    archive = make_archive(card, count=3, names=3)
    faults = Faults([] if only else [Fault("html", READ)])
    async with Sandbox(only=only, faults=faults) as box:
        outcome = await empty(box, card, done)
        assert len(box.gallery.photos) == 3
    assert outcome.balances()
    assert len(outcome.of(PhotoUploaded)) == 3
    assert len(stays(outcome)) == 3
    assert files(card).keys() == {path.relative_to(card) for path in archive}
    assert not files(done)


async def test_a_photo_deleted_in_the_gallery_meanwhile_stays(card: Path, done: Path) -> None:
    archive = make_archive(card, count=1, names=1)

    class Deleting(Faults):
        def strike(self, method: str) -> Fault | None:
            if method == READ:
                box.gallery.photos.clear()
            return super().strike(method)

    async with Sandbox(faults=Deleting()) as box:
        outcome = await empty(box, card, done)
    assert len(outcome.of(FileStays)) == 1
    assert list(files(card).values()) == list(archive.values())


async def test_photos_that_lost_their_album_for_good_stay(card: Path, done: Path) -> None:
    archive = make_archive(card, count=3, names=3)
    async with Sandbox() as box:
        outcome = await run(box, card, album=77, away=await mover(done, card))
    assert set(stays(outcome).values()) == {"it may not be in album 77"}
    assert len(files(card)) == len(archive)


class Meddling(Faults):
    """Calls somebody as the server is about to read its file."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act

    def strike(self, method: str) -> Fault | None:
        if method == READ:
            asyncio.get_running_loop().call_soon(self._act)  # in nobody's name
        return super().strike(method)


@pytest.mark.parametrize("same_look", [False, True])
async def test_a_file_that_changes_after_its_upload_stays(
    card: Path, done: Path, same_look: bool
) -> None:
    (path,) = make_archive(card, count=1, names=1)
    old = path.stat()
    other = picture(Random(5), size=old.st_size)

    def change() -> None:
        path.write_bytes(other)
        if same_look:
            os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))

    async with Sandbox(faults=Meddling(change)) as box:
        outcome = await empty(box, card, done)
    assert stays(outcome) == {path.name: "the file has changed since it was read"}
    assert path.read_bytes() == other
    assert not files(done)


async def test_a_file_that_vanishes_is_told(card: Path, done: Path) -> None:
    (path,) = make_archive(card, count=1, names=1)
    async with Sandbox(faults=Meddling(lambda: path.unlink(missing_ok=True))) as box:
        outcome = await empty(box, card, done)
    assert stays(outcome) == {path.name: "the file has vanished"}


async def test_after_a_wish_to_stop_files_stay_and_the_next_run_moves_them(
    card: Path, done: Path
) -> None:
    archive = make_archive(card, count=20, names=20)
    stop = Stop()
    async with Sandbox(faults=Meddling(stop.set)) as box:
        outcome = await empty(box, card, done, stop=stop)
        moved = len(outcome.of(FilePutAway))
        assert 0 < moved < 20
        assert len(files(card)) == 20 - moved
        await empty(box, card, done)
    assert files(card) == {}
    assert sorted(files(done).values()) == sorted(archive.values())


async def test_an_outage_is_waited_for(card: Path, done: Path) -> None:
    make_archive(card, count=4, names=4)
    async with Sandbox(faults=Faults([Fault("503", READ, 1)])) as box:
        await empty(box, card, done)
    assert files(card) == {}


async def test_a_refused_log_in_ends_the_run_and_files_stay(card: Path, done: Path) -> None:
    archive = make_archive(card, count=4, names=4)

    def lock_out() -> None:
        box.expire_sessions()
        users = box._accounts.users
        users["admin"] = replace(users["admin"], password="another")

    async with Sandbox(faults=Meddling(lock_out)) as box:
        with pytest.raises(RunError):
            await empty(box, card, done)
    assert sorted(files(card).values()) == sorted(archive.values())


async def test_the_ledger_forgets_a_moved_file_so_that_its_name_is_free(
    card: Path, done: Path, tmp_path: Path
) -> None:
    (path,) = make_archive(card, count=1, names=1)
    ledger = tmp_path / "ledger.sqlite"
    async with Sandbox() as box:
        await empty(box, card, done, ledger=ledger)
        async with SqliteLedger(ledger, server=box.url) as memory:
            assert not await memory.look_up([path])
        path.write_bytes(picture(Random(7), size=2000))  # the camera counts from the beginning
        outcome = await empty(box, card, done, ledger=ledger)
        assert len(outcome.of(PhotoUploaded)) == 1
        assert len(box.gallery.photos) == 2
        outcome = await empty(box, card, done, ledger=ledger)
        assert outcome.events[-1].__class__ is RunFinished
        checked = await check(box, done)
    assert checked.balances()
    assert {str(name) for name in files(done)} == {
        "folder 00/IMG_0000.jpg",
        "folder 00/IMG_0000 (2).jpg",
    }


class Refusing:
    """A place that takes nothing."""

    def put(self, photo: Photo) -> Path | None:
        raise PhotoError(f"{photo.path.name} is not welcome", hint="Ask again.")


async def test_a_place_that_takes_nothing_is_told_and_the_run_is_well(card: Path) -> None:
    make_archive(card, count=3, names=3)
    async with Sandbox() as box:
        outcome = await run(box, card, away=Refusing())
    assert outcome.balances()
    assert len(outcome.of(FileStays)) == 3
    assert isinstance(outcome.events[-1], RunFinished)


async def test_formats_and_their_photos_stay_together_which_is_told_once(
    card: Path, done: Path
) -> None:
    archive = make_archive(card, count=3, names=3)
    first, second, third = sorted(archive)
    for path in (first, second):
        path.with_suffix(".nef").write_bytes(Random(path.name).randbytes(3000))
    async with Sandbox(formats=["nef"]) as box:
        outcome = await run(box, card, away=await mover(done, card), formats=True)
    assert outcome.balances()
    assert len(outcome.of(PhotoUploaded)) == 5
    assert files(done).keys() == {third.relative_to(card)}
    assert len(files(card)) == 4
    assert not outcome.of(FileStays)
    assert [event.message.partition(":")[0] for event in outcome.of(Noticed)] == [
        "4 files stay where they are"
    ]


async def test_a_file_that_replaces_its_photo_is_moved(
    card: Path, done: Path, tmp_path: Path
) -> None:
    (path,) = make_archive(card, count=1, names=1)
    ledger = tmp_path / "ledger.sqlite"
    async with Sandbox() as box:
        async with SqliteLedger(ledger, server=box.url) as memory:
            await run(box, card, memory=memory)
            path.write_bytes(content := picture(Random(11), size=4000))
            away = await mover(done, card)
            outcome = await run(box, card, memory=memory, update=True, away=away)
        assert len(box.gallery.photos) == 1
    assert [event.replaced for event in outcome.of(PhotoUploaded)] == [True]
    assert (done / path.relative_to(card)).read_bytes() == content
    assert not files(card)
