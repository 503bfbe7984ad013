"""A run after another: what the ledger saves, and that it saves nothing but time."""

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from bulkup.events import PhotoFailed, PhotoPresent, PhotoUploaded
from bulkup.ledger import Ledger
from bulkup.memory import Entry, State
from bulkup.sandbox import Fault, Faults, Sandbox
from tests.engine.runs import FOUR_METHODS, Outcome, make_archive, run, stored_sums

METHODS = ["async", "upload", "legacy"]
VERSIONS = ["13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1"]
GREETINGS = {
    "pwg.session.login",
    "pwg.session.getStatus",
    "pwg.session.logout",
    "reflection.getMethodList",
}


async def with_ledger(
    box: Sandbox,
    folder: Path,
    *,
    method: str = "auto",
    album: int = 1,
) -> Outcome:
    """Run once, with the ledger that lies beside the folder."""
    async with Ledger(folder.with_name("ledger.sqlite"), server=box.url) as ledger:
        return await run(box, folder, method=method, album=album, memory=ledger)


async def entries(box: Sandbox, folder: Path, paths: Collection[Path]) -> list[Entry]:
    async with Ledger(folder.with_name("ledger.sqlite"), server=box.url) as ledger:
        return list((await ledger.look_up(sorted(paths))).values())


LISTING = {"pwg.images.uploadCompleted", "pwg.categories.getImages"}


def asked(box: Sandbox, *, since: int) -> set[str]:
    """Return the methods that were called since a number of requests, greetings left out."""
    return {seen.method for seen in list(box.requests)[since:]} - GREETINGS


def ruin(path: Path) -> None:
    """Change the content and neither size nor time: to see whether anybody reads it."""
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def hashed(path: Path, md5: str) -> Entry:
    status = path.stat()
    return Entry(
        path=path,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        md5=md5,
        state=State.HASHED,
    )


class Switch(Faults):
    """Faults that can be turned off."""

    def __init__(self, *plan: Fault) -> None:
        super().__init__(plan)
        self.on = True

    def strike(self, method: str) -> Fault | None:
        return super().strike(method) if self.on else None


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return tmp_path / "photos"


# what is recorded


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", METHODS)
async def test_recorded_photos_are_not_read_and_not_asked_about_one_by_one(
    photos: Path, method: str, version: str
) -> None:
    archive = make_archive(photos, count=12, names=4)
    async with Sandbox(version=version) as box:
        await with_ledger(box, photos, method=method)
        for path in archive:
            ruin(path)
        before = len(box.requests)
        outcome = await with_ledger(box, photos, method=method)
        assert asked(box, since=before) <= LISTING
        assert len(outcome.of(PhotoPresent)) == 12
        assert not any(event.linked for event in outcome.of(PhotoPresent))
        assert stored_sums(box) == Counter(archive.values())
    assert outcome.balances()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_recorded_photo_that_was_deleted_in_the_gallery_is_sent_again(
    photos: Path, version: str
) -> None:
    archive = make_archive(photos, count=6, names=6)
    async with Sandbox(version=version) as box:
        await with_ledger(box, photos)
        del box.gallery.photos[3]
        outcome = await with_ledger(box, photos)
        assert stored_sums(box) == Counter(archive.values())
    assert (len(outcome.of(PhotoUploaded)), len(outcome.of(PhotoPresent))) == (1, 5)


async def test_a_recorded_photo_that_was_taken_out_of_the_album_is_put_back(photos: Path) -> None:
    make_archive(photos, count=6, names=6)
    async with Sandbox() as box:
        await with_ledger(box, photos)
        box.gallery.unlink(3, 1)
        outcome = await with_ledger(box, photos)
        assert box.gallery.photos[3].albums == {1}
    assert [event.linked for event in outcome.of(PhotoPresent)].count(True) == 1


async def test_where_no_album_is_listed_the_ledger_is_believed(photos: Path) -> None:
    make_archive(photos, count=6, names=6)
    async with Sandbox(only=FOUR_METHODS) as box:
        await with_ledger(box, photos)
        outcome = await with_ledger(box, photos)
        assert len(box.gallery.photos) == 6
    assert len(outcome.of(PhotoPresent)) == 6


async def test_photos_that_the_gallery_had_are_recorded_as_well(photos: Path) -> None:
    archive = make_archive(photos, count=5, names=5)
    async with Sandbox() as box:
        await run(box, photos)
        await with_ledger(box, photos)
        for path in archive:
            ruin(path)
        before = len(box.requests)
        outcome = await with_ledger(box, photos)
        assert asked(box, since=before) <= LISTING
    assert len(outcome.of(PhotoPresent)) == 5


async def test_twins_are_recorded_both(photos: Path) -> None:
    (first,) = make_archive(photos, count=1, names=1)
    first.with_name("twin.jpg").write_bytes(first.read_bytes())
    async with Sandbox() as box:
        await with_ledger(box, photos)
        before = len(box.requests)
        outcome = await with_ledger(box, photos)
        assert asked(box, since=before) <= LISTING
    assert len(outcome.of(PhotoPresent)) == 2


async def test_the_ledger_tells_the_number_in_the_gallery(photos: Path) -> None:
    archive = make_archive(photos, count=5, names=5)
    async with Sandbox() as box:
        await with_ledger(box, photos)
        outcome = await with_ledger(box, photos)
        for event in outcome.of(PhotoPresent):
            assert box.gallery.photos[event.image_id or 0].md5 == archive[event.path]


# what has changed


async def test_a_touched_file_is_read_again(photos: Path) -> None:
    archive = make_archive(photos, count=5, names=5)
    victim = sorted(archive)[2]
    async with Sandbox() as box:
        await with_ledger(box, photos)
        touch(victim)
        before = len(box.requests)
        outcome = await with_ledger(box, photos)
        assert "pwg.images.exist" in asked(box, since=before)
        assert not outcome.of(PhotoUploaded)
        assert stored_sums(box) == Counter(archive.values())


async def test_a_file_that_is_known_by_its_md5_only_is_not_read_again(photos: Path) -> None:
    archive = make_archive(photos, count=5, names=5)
    async with Sandbox() as box:
        await run(box, photos)
        async with Ledger(photos.with_name("ledger.sqlite"), server=box.url) as ledger:
            await ledger.record([hashed(path, md5) for path, md5 in archive.items()])
        for path in archive:
            ruin(path)
        before = len(box.requests)
        outcome = await with_ledger(box, photos)
        assert asked(box, since=before) >= {"pwg.images.exist"}
    assert len(outcome.of(PhotoPresent)) == 5


async def test_what_was_read_is_recorded_even_if_it_is_not_sent(photos: Path) -> None:
    archive = make_archive(photos, count=5, names=5)
    switch = Switch(Fault("403-html", "pwg.images.exist"))
    async with Sandbox(faults=switch) as box:
        outcome = await with_ledger(box, photos)
        assert len(outcome.of(PhotoFailed)) == 5
        md5s = {entry.path: entry.md5 for entry in await entries(box, photos, archive)}
    assert md5s == archive


# what is not done


@pytest.mark.parametrize("method", METHODS)
async def test_failed_photos_are_tried_again(photos: Path, method: str) -> None:
    archive = make_archive(photos, count=5, names=5)
    uploads = ("pwg.images.uploadAsync", "pwg.images.upload", "pwg.images.addChunk")
    switch = Switch(*(Fault("403-html", name) for name in uploads))
    async with Sandbox(faults=switch) as box:
        first = await with_ledger(box, photos, method=method)
        assert len(first.of(PhotoFailed)) == 5
        assert {entry.state for entry in await entries(box, photos, archive)} == {State.FAILED}
        switch.on = False
        second = await with_ledger(box, photos, method=method)
        assert len(second.of(PhotoUploaded)) == 5
        assert stored_sums(box) == Counter(archive.values())


async def test_the_reason_of_a_failure_is_recorded(photos: Path) -> None:
    (path,) = make_archive(photos, count=1, names=1)
    ruin(path)
    async with Sandbox() as box:
        await with_ledger(box, photos)
        (entry,) = await entries(box, photos, [path])
    assert "forbidden file type" in entry.error


async def test_a_photo_that_is_recorded_for_another_album_is_linked(photos: Path) -> None:
    archive = make_archive(photos, count=5, names=5)
    async with Sandbox() as box:
        second = box.gallery.make_album("Second")
        await with_ledger(box, photos)
        for path in archive:
            ruin(path)
        outcome = await with_ledger(box, photos, album=second)
        assert all(event.linked for event in outcome.of(PhotoPresent))
        assert {frozenset(photo.albums) for photo in box.gallery.photos.values()} == {
            frozenset({1, second})
        }


async def test_a_photo_is_recorded_for_each_of_its_albums(photos: Path) -> None:
    make_archive(photos, count=5, names=5)
    async with Sandbox() as box:
        second = box.gallery.make_album("Second")
        await with_ledger(box, photos)
        await with_ledger(box, photos, album=second)
        before = len(box.requests)
        for album in (1, second):
            outcome = await with_ledger(box, photos, album=album)
            assert len(outcome.of(PhotoPresent)) == 5
        assert asked(box, since=before) <= LISTING


# without it


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", METHODS)
async def test_a_deleted_ledger_costs_only_time(photos: Path, method: str, version: str) -> None:
    archive = make_archive(photos, count=12, names=4)
    async with Sandbox(version=version) as box:
        await with_ledger(box, photos, method=method)
        files = {number: photo.file for number, photo in box.gallery.photos.items()}
        photos.with_name("ledger.sqlite").unlink()
        outcome = await with_ledger(box, photos, method=method)
        assert not outcome.of(PhotoUploaded)
        assert stored_sums(box) == Counter(archive.values())
        assert {number: photo.file for number, photo in box.gallery.photos.items()} == files


async def test_of_a_server_that_can_not_be_asked_the_ledger_alone_knows(photos: Path) -> None:
    archive = make_archive(photos, count=5, names=5)
    async with Sandbox(only=FOUR_METHODS) as box:
        await with_ledger(box, photos)
        outcome = await with_ledger(box, photos)
        assert len(outcome.of(PhotoPresent)) == 5
        assert stored_sums(box) == Counter(archive.values())


async def test_of_such_a_server_it_knows_after_a_run_that_came_to_no_end_too(
    photos: Path,
) -> None:
    archive = make_archive(photos, count=5, names=5)
    async with Sandbox(only=FOUR_METHODS) as box:
        await with_ledger(box, photos)
        async with Ledger(photos.with_name("ledger.sqlite"), server=box.url) as ledger:
            done = await ledger.look_up(list(archive))
            await ledger.record([replace(each, state=State.SENT) for each in done.values()])
        outcome = await with_ledger(box, photos)
        assert len(outcome.of(PhotoPresent)) == 5
        assert stored_sums(box) == Counter(archive.values())


async def test_another_gallery_is_not_taken_for_this_one(photos: Path) -> None:
    archive = make_archive(photos, count=5, names=5)
    async with Sandbox() as first, Sandbox() as second:
        await with_ledger(first, photos)
        outcome = await with_ledger(second, photos)
        assert len(outcome.of(PhotoUploaded)) == 5
        assert stored_sums(second) == Counter(archive.values())
