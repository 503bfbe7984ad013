"""Files are moved if and only if the server has read its own and found the same bytes."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from anyio import to_thread

from bulkup import events
from bulkup.engine.context import Stop
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.source.filters import Filters
from bulkup.source.move import Mover
from tests.support.events import soon
from tests.support.faults import HookedFaults
from tests.support.galleries import calls, lock_out, photo_of, spoil
from tests.support.ledgers import entries, ruin, run_with_ledger
from tests.support.photos import write_files, write_photo
from tests.support.runs import FOUR_METHODS, Outcome, check, make_archive, run, stored_sums

READ = "pwg.images.checkFiles"
CHANGED = "the file has changed since it was read"


@pytest.fixture
def done(folder: Path) -> Path:
    """Return the folder that files are moved to."""
    return folder.with_name("done")


@pytest.fixture
def photo(folder: Path) -> Path:
    """Write the one photo of an archive."""
    (path,) = make_archive(folder, count=1, names=1)
    return path


async def empty(
    box: Sandbox,
    folder: Path,
    *,
    ledger: bool = False,
    **options: Any,  # noqa: ANN401
) -> Outcome:
    """Run and move what arrives to the folder `done` beside the archive."""
    mover = await to_thread.run_sync(lambda: Mover(folder.with_name("done"), roots=[folder]))
    outcome = await (run_with_ledger if ledger else run)(box, folder, disposal=mover, **options)
    assert outcome.balances()
    return outcome


def files(folder: Path) -> dict[Path, str]:
    """Return the MD5 of each file below a folder."""
    return {
        path.relative_to(folder): hashlib.md5(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def below(folder: Path, archive: dict[Path, str]) -> dict[Path, str]:
    """Return what `files` returns of a whole archive."""
    return {path.relative_to(folder): md5 for path, md5 in archive.items()}


async def test_a_file_goes_from_its_real_folder_and_the_link_that_puts_it_into_an_album_stays(
    box: Sandbox, folder: Path, done: Path, photo: Path
) -> None:
    (folder / "0 best").mkdir()
    link = folder / "0 best/the one.jpg"
    link.symlink_to(photo)
    (folder / "0 all").symlink_to(photo.parent)
    filters = Filters(follow_symlinks=True)
    outcome = await empty(box, folder, tree=True, unwrap=True, filters=filters)
    (stored,) = box.gallery.photos.values()
    names = {box.gallery.albums[number].name for number in stored.albums}
    assert names == {photo.parent.name, link.parent.name}
    (gone,) = outcome.of(events.FileMoved)
    assert (gone.path, gone.where) == (photo, done / photo.relative_to(folder))
    assert not outcome.of(events.FileNotMoved)
    assert link.is_symlink()


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0", "17.0.0beta1"])
async def test_all_that_arrives_and_its_twins_are_moved_and_the_gallery_has_it_and_the_rest_stays(
    folder: Path, done: Path, version: str
) -> None:
    archive = make_archive(folder, count=12, names=6)
    for number, path in enumerate(list(archive)[:4]):
        twin = folder / f"twin {number}.jpg"
        twin.write_bytes(path.read_bytes())
        archive[twin] = archive[path]
    (folder / "a.xmp").write_text("<x/>")
    (folder / "text.jpg").write_text("This is no picture.\n")
    async with Sandbox(version=version) as box:
        outcome = await empty(box, folder)
        compared = 4 if version == "13.8.0" else 0  # twins sent earlier, as there is no ledger
        assert len(archive) <= calls(box)[READ] <= len(archive) + compared
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    assert files(folder).keys() == {Path("a.xmp"), Path("text.jpg")}
    assert files(done) == below(folder, archive)
    moved = {event.path: event.where for event in outcome.of(events.FileMoved)}
    assert moved == {path: done / path.relative_to(folder) for path in archive}
    assert not outcome.of(events.FileNotMoved)  # one was skipped, the other has failed
    assert isinstance(outcome.events[-1], events.RunFinished)


@pytest.mark.parametrize("ledger", [False, True])
async def test_what_the_gallery_has_already_is_moved_as_well_unless_its_bytes_differ_there(
    box: Sandbox, folder: Path, done: Path, archive: dict[Path, str], ledger: bool
) -> None:
    bad = sorted(archive)[2]
    await run_with_ledger(box, folder)
    await spoil(box, photo_of(box, archive[bad]))
    outcome = await empty(box, folder, ledger=ledger)
    assert len(outcome.of(events.PhotoPresent)) == len(archive)
    (event,) = outcome.of(events.FileNotMoved)
    assert event.path == bad
    assert "differs from this file" in event.reason
    assert files(folder) == below(folder, {bad: archive.pop(bad)})
    assert files(done) == below(folder, archive)


@pytest.mark.parametrize(
    "fault", [Fault("damaged", "pwg.images.uploadAsync", 0), Fault("503", READ, 1)]
)
async def test_a_photo_that_arrives_damaged_or_can_not_be_read_yet_is_moved_once_it_is_whole(
    folder: Path, done: Path, archive: dict[Path, str], fault: Fault
) -> None:
    async with Sandbox(faults=Faults([fault])) as box:
        await empty(box, folder)
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    assert (files(folder), files(done)) == ({}, below(folder, archive))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"only": FOUR_METHODS}, ""),
        ({"faults": Faults([Fault("html", READ)])}, ""),
        ({"albums": []}, "it may not be in album 1"),
    ],
)
async def test_where_the_server_can_not_tell_everything_stays(
    folder: Path, done: Path, archive: dict[Path, str], options: dict[str, Any], reason: str
) -> None:
    async with Sandbox(**options) as box:
        outcome = await empty(box, folder)
        assert len(box.gallery.photos) == len(archive)
    assert (
        len(outcome.of(events.PhotoUploaded))
        == len(outcome.of(events.FileNotMoved))
        == len(archive)
    )
    assert all(reason in event.reason for event in outcome.of(events.FileNotMoved))
    assert files(folder) == below(folder, archive)
    assert not files(done)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        pytest.param(lambda _, photo: write_photo(photo, 5), CHANGED, id="changed"),
        pytest.param(lambda _, photo: ruin(photo), CHANGED, id="ruined"),
        pytest.param(lambda _, photo: photo.unlink(), "the file has vanished", id="vanished"),
        pytest.param(lambda box, _: box.gallery.photos.clear(), "", id="deleted in the gallery"),
    ],
)
async def test_what_changes_or_vanishes_after_its_upload_here_or_there_is_not_moved(
    folder: Path, done: Path, photo: Path, act: Callable[[Sandbox, Path], None], reason: str
) -> None:
    async with Sandbox(faults=(faults := HookedFaults(method=READ))) as box:
        faults.act = partial(soon, partial(act, box, photo))
        outcome = await empty(box, folder)
        assert not set(files(folder).values()) & stored_sums(box).keys()
    (event,) = outcome.of(events.FileNotMoved)
    assert event.path == photo
    assert reason in event.reason
    assert not files(done)


async def test_files_stay_without_more_questions_once_the_log_in_is_refused(
    folder: Path, archive: dict[Path, str]
) -> None:
    async with Sandbox(faults=(faults := HookedFaults(method=READ))) as box:
        faults.act = partial(lock_out, box)
        outcome = await empty(box, folder)
    assert files(folder) == below(folder, archive)
    assert len(outcome.of(events.FileNotMoved)) == len(archive)
    assert faults.count <= 4  # those asked at once
    assert isinstance(outcome.events[-1], events.RunFinished)


async def test_a_file_that_replaces_its_photo_is_moved_and_then_its_name_is_free(
    box: Sandbox, folder: Path, done: Path, photo: Path
) -> None:
    await run_with_ledger(box, folder)
    md5 = write_photo(photo, 11)
    outcome = await empty(box, folder, ledger=True, update=True)
    assert len(box.gallery.photos) == 1
    assert [event.replaced for event in outcome.of(events.PhotoUploaded)] == [True]
    assert (files(folder), files(done)) == ({}, {photo.relative_to(folder): md5})
    assert not await entries(box, folder, [photo])
    write_photo(photo, 7)  # the camera counts from the beginning
    outcome = await empty(box, folder, ledger=True)
    assert len(outcome.of(events.PhotoUploaded)) == 1
    assert len(box.gallery.photos) == 2
    outcome = await empty(box, folder, ledger=True)
    assert isinstance(outcome.events[-1], events.RunFinished)
    assert (await check(box, done)).balances()
    names = {"folder 00/IMG_0000.jpg", "folder 00/IMG_0000 (2).jpg"}
    assert {str(name) for name in files(done)} == names


async def test_a_place_that_takes_nothing_is_reported_and_the_run_is_well(
    box: Sandbox, folder: Path, done: Path, archive: dict[Path, str]
) -> None:
    write_files(done, "folder 00", "folder 01")  # files where folders should be
    outcome = await empty(box, folder)
    assert files(folder) == below(folder, archive)
    assert len(outcome.of(events.FileNotMoved)) == len(archive)
    assert isinstance(outcome.events[-1], events.RunFinished)


async def test_formats_and_their_photos_stay_together_which_is_reported_once(
    folder: Path, done: Path
) -> None:
    archive = make_archive(folder, count=3, names=3)
    first, second, third = sorted(archive)
    for path in (first, second):
        path.with_suffix(".nef").write_bytes(Random(path.name).randbytes(3000))
    async with Sandbox(formats=["nef"]) as box:
        outcome = await empty(box, folder, formats=True)
    assert len(outcome.of(events.PhotoUploaded)) == 5
    assert files(done).keys() == {third.relative_to(folder)}
    assert len(files(folder)) == 4
    assert not outcome.of(events.FileNotMoved)
    (noticed,) = outcome.of(events.Noticed)
    assert noticed.message.startswith("4 files stay where they are:")


async def test_after_a_stop_request_files_stay_and_the_next_run_moves_them(
    folder: Path, done: Path
) -> None:
    archive = make_archive(folder, count=20, names=20)
    stop = Stop()
    async with Sandbox(faults=HookedFaults(act=stop.set, method=READ)) as box:
        outcome = await empty(box, folder, stop=stop)
        moved = len(outcome.of(events.FileMoved))
        assert 0 < moved < 20
        assert len(files(folder)) == 20 - moved
        await empty(box, folder)
    assert (files(folder), files(done)) == ({}, below(folder, archive))
