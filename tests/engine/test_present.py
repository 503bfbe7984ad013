"""Photos that the gallery has already by their MD5: whether their stored files are the same."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bulkup.events import Noticed, PhotoFailed, PhotoPresent, PhotoUploaded
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.source.metadata import Labels
from tests.support.galleries import calls, content_of, photo_of
from tests.support.ledgers import run_with_ledger
from tests.support.runs import Outcome, make_archive, run

OLD = "14.5.0"  # may have mixed up MD5s
ALBUM = 2  # that other people filled
ANSWERS = "pwg.images.checkFiles"


@pytest.fixture
def paths(archive: dict[Path, str]) -> list[Path]:
    return sorted(archive)


async def fill(box: Sandbox, paths: Sequence[Path], archive: dict[Path, str]) -> None:
    """Let other people add the photos to an album; the first two have each other's MD5."""
    box.gallery.make_album("Theirs")
    sums = [archive[path] for path in (paths[1], paths[0], *paths[2:])]
    for path, md5 in zip(paths, sums, strict=True):
        photo = await box.gallery.synchronise(path.name, path.read_bytes(), ALBUM)
        box.gallery.set_md5(photo, md5)


def outcomes(outcome: Outcome) -> tuple[int, int, int]:
    """Count the photos uploaded, present and failed."""
    counted = (PhotoUploaded, PhotoPresent, PhotoFailed)
    return tuple(len(outcome.of(kind)) for kind in counted)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("version", "options", "found"),
    [
        # the gallery recognizes the two files by its wrong MD5s, and takes no other photo of them
        (OLD, {}, (0, 2, 2)),
        (OLD, {"method": "upload"}, (0, 2, 2)),
        (OLD, {"method": "legacy"}, (0, 2, 2)),
        ("16.4.0", {"confirm_present": True}, (0, 2, 2)),
        ("13.8.0", {}, (2, 2, 0)),  # it recognizes nothing
        ("13.8.0", {"concurrency": 1}, (2, 2, 0)),
        ("16.4.0", {}, (0, 4, 0)),  # the MD5s of this version are trusted
    ],
)
async def test_what_the_gallery_takes_for_another_photo_is_sent_or_named(
    archive: dict[Path, str],
    paths: list[Path],
    version: str,
    options: dict[str, Any],
    found: tuple[int, int, int],
) -> None:
    folder, labels = paths[0].parents[1], Labels(tags=("mine",), author="me")
    async with Sandbox(version=version) as box:
        await fill(box, paths, archive)
        theirs = {photo.id: repr(photo) for photo in box.gallery.photos.values()}
        outcome = await run_with_ledger(box, folder, labels=labels, **options)
        assert outcomes(outcome) == found
        asked = bool(options.get("confirm_present")) or version != "16.4.0"
        assert calls(box)[ANSWERS] == (4 if asked else 0)
        for event in outcome.of(PhotoUploaded):
            assert box.gallery.content(event.image_id) == event.path.read_bytes()
            assert box.gallery.photos[event.image_id].albums == {1}
        assert {event.code for event in outcome.of(PhotoFailed)} <= {"wrong-md5"}
        if asked:  # the other photos are as they were
            for number in (1, 2):
                assert repr(box.gallery.photos[number]) == theirs[number]
        before = len(box.requests)
        again = await run_with_ledger(box, folder, labels=labels, **options)
        assert outcomes(again) == (0, 4 - found[2], found[2])
        assert calls(box, since=before)[ANSWERS] == found[2]  # the other answers are recorded


async def test_one_photo_is_sent_to_find_out_whether_it_is_recognized(
    folder: Path, archive: dict[Path, str], paths: list[Path]
) -> None:
    async with Sandbox(version=OLD) as box:
        await fill(box, paths, archive)
        twin = folder / "twin.jpg"
        twin.write_bytes(paths[0].read_bytes())
        outcome = await run(box, folder, concurrency=1)
        assert outcomes(outcome) == (0, 2, 3)
        assert calls(box)["pwg.images.uploadAsync"] <= 2


async def test_a_photo_that_was_in_the_album_before_stays_there(
    folder: Path, archive: dict[Path, str], paths: list[Path]
) -> None:
    async with Sandbox(version=OLD) as box:
        await fill(box, paths, archive)
        box.gallery.link(1, 1)
        await run(box, folder)
        albums = {number: box.gallery.photos[number].albums for number in (1, 2)}
    assert albums == {1: {1, ALBUM}, 2: {ALBUM}}


async def test_one_that_can_not_be_taken_out_of_the_album_again_is_named(
    folder: Path, archive: dict[Path, str], paths: list[Path]
) -> None:
    faults = Faults([Fault("403-html", "pwg.images.setCategory", n) for n in range(8)])
    async with Sandbox(version=OLD, faults=faults) as box:
        await fill(box, paths, archive)
        for photo in (
            3,
            4,
        ):  # otherwise, some calls add these to the album
            box.gallery.link(photo, 1)
        outcome = await run(box, folder, retries=1)
        assert outcomes(outcome)[2] == 2
        notices = [event for event in outcome.of(Noticed) if "a wrong MD5" in event.message]
        assert [event.hint for event in notices] == ["Remove them from that album in the gallery."]


@pytest.mark.parametrize("version", ["13.8.0", OLD])
async def test_equal_files_are_sent_once_and_what_was_sent_is_not_compared(
    folder: Path, archive: dict[Path, str], paths: list[Path], version: str
) -> None:
    async with Sandbox(version=version, detect_duplicates=False) as box:
        await fill(box, paths, archive)
        twin = folder / "twin.jpg"
        twin.write_bytes(paths[0].read_bytes())
        assert outcomes(await run_with_ledger(box, folder)) == (2, 3, 0)
        before = len(box.requests)
        paths[0].rename(folder / "moved.jpg")
        assert outcomes(await run_with_ledger(box, folder)) == (0, 5, 0)
        assert calls(box, since=before)[ANSWERS] == 0
        assert len(box.gallery.photos) == 6
        # the gallery may find the other photo of this MD5 first
        box.gallery.photos = dict(sorted(box.gallery.photos.items(), reverse=True))
        box.gallery._linked.clear()
        for album in (1, ALBUM):
            for photo in box.gallery.photos.values():
                box.gallery.unlink(photo.id, album)
        assert outcomes(await run_with_ledger(box, folder)) == (0, 5, 0)
        assert len(box.gallery.photos) == 6


async def test_without_a_ledger_every_photo_is_compared_once(
    folder: Path, archive: dict[Path, str]
) -> None:
    async with Sandbox(version=OLD) as box:
        await run(box, folder)
        before = len(box.requests)
        assert outcomes(await run(box, folder)) == (0, len(archive), 0)
        assert calls(box, since=before)[ANSWERS] == len(archive)


async def test_what_was_counted_as_present_unseen_is_compared_on_request(
    box: Sandbox, folder: Path, archive: dict[Path, str], paths: list[Path]
) -> None:
    await fill(box, paths, archive)
    assert outcomes(await run_with_ledger(box, folder)) == (0, 4, 0)
    assert outcomes(await run_with_ledger(box, folder, confirm_present=True)) == (0, 2, 2)


async def test_an_original_that_the_gallery_has_shrunk_counts_as_present(folder: Path) -> None:
    archive = make_archive(folder, count=4, names=2, size=(2048, 4096))
    paths = sorted(archive)
    async with Sandbox(version=OLD) as box:
        await run(box, folder)
        victims = [box.gallery.photos[photo_of(box, archive[path])] for path in paths[:3]]
        for victim in victims:
            box.gallery.contents[victim.path] = await content_of(b"less")
            victim.size = 4
        victims[0].file = "another.jpg"  # it may be another photo
        outcome = await run_with_ledger(box, folder)
        assert outcomes(outcome) == (0, 3, 1)
        assert Counter("fewer bytes" in event.message for event in outcome.of(Noticed))[True] == 1
        before = len(box.requests)
        assert outcomes(await run_with_ledger(box, folder)) == (0, 3, 1)
        assert calls(box, since=before)[ANSWERS] == 1


@pytest.mark.parametrize("given", [[], [Fault("403-html", ANSWERS, n) for n in range(1, 9)]])
async def test_a_gallery_that_can_not_compare_is_trusted_and_one_that_fails_to_is_not(
    folder: Path, archive: dict[Path, str], paths: list[Path], given: list[Fault]
) -> None:
    async with Sandbox(version=OLD, faults=Faults(given)) as box:
        await fill(box, paths, archive)
        outcome = await run(box, folder, retries=1)
    assert outcomes(outcome) == ((0, 0, 4) if given else (0, 2, 2))


async def test_it_is_said_once_that_a_gallery_can_not_compare(
    folder: Path, archive: dict[Path, str], paths: list[Path]
) -> None:
    box = Sandbox(version=OLD)
    only = set(box.gallery.release.methods) - {ANSWERS}
    async with Sandbox(version=OLD, only=only) as box:
        await fill(box, paths, archive)
        outcome = await run_with_ledger(box, folder)
        assert outcomes(outcome) == (0, 4, 0)
        messages = [event.message for event in outcome.of(Noticed)]
        assert sum("can't compare its files" in message for message in messages) == 1
        assert outcomes(await run_with_ledger(box, folder)) == (0, 4, 0)
