"""A run after another: what the ledger saves, and that it saves nothing but time."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bulkup.engine.ledger_port import State
from bulkup.events import PhotoFailed, PhotoHashing, PhotoPresent, PhotoUploaded
from bulkup.sandbox import Fault, Sandbox
from tests.support.faults import HookedFaults
from tests.support.galleries import LISTING, calls, photo_of
from tests.support.ledgers import entries, ledger_of, ruin, run_with_ledger
from tests.support.runs import FOUR_METHODS, failures, make_archive, run, stored_sums

COUNT = 4  # photos of the archive


def ruin_all(archive: dict[Path, str]) -> None:
    for path in archive:
        ruin(path)


# what is recorded


async def test_a_photo_that_was_deleted_is_sent_one_taken_out_put_back_and_a_touched_file_read(
    box: Sandbox, folder: Path, archive: dict[Path, str]
) -> None:
    await run_with_ledger(box, folder)
    deleted, unlinked, touched, _ = archive
    del box.gallery.photos[photo_of(box, archive[deleted])]
    box.gallery.unlink(photo_of(box, archive[unlinked]), 1)
    status = touched.stat()
    os.utime(touched, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    outcome = await run_with_ledger(box, folder)
    assert stored_sums(box) == Counter(archive.values())
    assert all(photo.albums == {1} for photo in box.gallery.photos.values())
    assert [event.path for event in outcome.of(PhotoHashing)] == [touched]
    assert [event.path for event in outcome.of(PhotoUploaded)] == [deleted]
    assert [event.path for event in outcome.of(PhotoPresent) if event.linked] == [unlinked]
    assert len(outcome.of(PhotoPresent)) == COUNT - 1


async def test_photos_that_the_gallery_had_are_recorded_with_twins_and_linked_to_another_album(
    box: Sandbox, folder: Path, archive: dict[Path, str]
) -> None:
    first, *_ = archive
    twin = first.with_name("twin.jpg")
    twin.write_bytes(first.read_bytes())
    sums = archive | {twin: archive[first]}
    await run(box, folder)
    await run_with_ledger(box, folder)
    ruin_all(sums)
    before = len(box.requests)
    outcome = await run_with_ledger(box, folder)
    assert calls(box, since=before).keys() <= LISTING
    for event in outcome.of(PhotoPresent):
        assert box.gallery.photos[event.image_id or 0].md5 == sums[event.path]
    assert len(outcome.of(PhotoPresent)) == COUNT + 1
    second = box.gallery.make_album("Second")
    outcome = await run_with_ledger(box, folder, album=second)
    linked = {event.image_id for event in outcome.of(PhotoPresent) if event.linked}
    assert linked == box.gallery.photos.keys()
    assert all(photo.albums == {1, second} for photo in box.gallery.photos.values())
    before = len(box.requests)
    for album in (1, second):
        outcome = await run_with_ledger(box, folder, album=album)
        assert len(outcome.of(PhotoPresent)) == COUNT + 1
    assert calls(box, since=before).keys() <= LISTING


async def test_photos_are_counted_once_where_one_of_their_albums_is_not_listed(
    folder: Path,
) -> None:
    archive = make_archive(folder / "tree", count=4, names=2)
    async with Sandbox() as box:
        await run_with_ledger(box, folder / "tree", tree=True)
        box.faults.add(Fault("html", "pwg.categories.getImages", 1))
        outcome = await run_with_ledger(box, folder / "tree", tree=True, retries=0)
        assert len(outcome.of(PhotoFailed)) == len(archive)
        outcome = await run_with_ledger(box, folder / "tree", tree=True)
        assert len(outcome.of(PhotoPresent)) == len(archive)


# what has changed


async def test_a_file_that_is_known_by_its_md5_only_is_not_read_again(
    box: Sandbox, folder: Path, archive: dict[Path, str]
) -> None:
    await run_with_ledger(box, folder)
    async with ledger_of(box, folder) as ledger:
        for known in (await ledger.look_up(list(archive))).values():
            hashed = replace(known, state=State.HASHED, image_id=None, albums=frozenset())
            await ledger.record([hashed])
    ruin_all(archive)
    before = len(box.requests)
    outcome = await run_with_ledger(box, folder)
    assert "pwg.images.exist" in calls(box, since=before)
    assert len(outcome.of(PhotoPresent)) == COUNT


# what is not done


@pytest.mark.parametrize("refused", ["pwg.images.exist", "pwg.images.uploadAsync"])
async def test_what_was_read_is_recorded_though_it_failed_and_is_tried_again(
    folder: Path, archive: dict[Path, str], refused: str
) -> None:
    faults = HookedFaults(Fault("403-html", refused))
    async with Sandbox(faults=faults) as box:
        first = await run_with_ledger(box, folder, method="async", retries=1)
        assert len(first.of(PhotoFailed)) == COUNT
        found = await entries(box, folder, archive)
        assert {entry.path: entry.md5 for entry in found} == archive
        if refused == "pwg.images.uploadAsync":
            assert {entry.state for entry in found} == {State.FAILED}
            assert {entry.error for entry in found} == {*failures(first).values()}
        faults.on = False
        second = await run_with_ledger(box, folder, method="async")
        assert len(second.of(PhotoUploaded)) == COUNT
        assert stored_sums(box) == Counter(archive.values())


# without it, or with it alone


@pytest.mark.parametrize("state", [State.DONE, State.SENT])
async def test_of_a_server_that_can_not_be_asked_the_ledger_alone_knows(
    folder: Path, archive: dict[Path, str], state: State
) -> None:
    """A run that came to no end leaves photos sent and not done."""
    async with Sandbox(only=FOUR_METHODS) as box:
        await run_with_ledger(box, folder)
        async with ledger_of(box, folder) as ledger:
            done = await ledger.look_up(list(archive))
            await ledger.record([replace(each, state=state) for each in done.values()])
        outcome = await run_with_ledger(box, folder)
        assert len(outcome.of(PhotoPresent)) == COUNT
        assert stored_sums(box) == Counter(archive.values())
