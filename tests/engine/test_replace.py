"""Changed files: failures without --update; with it, they replace their photos."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bulkup.engine.context import Stop
from bulkup.events import Noticed, PhotoFailed, PhotoPresent, PhotoUnfinished, PhotoUploaded
from bulkup.sandbox import Fault, Sandbox
from bulkup.sandbox.faults import Kind
from tests.support.faults import HookedFaults
from tests.support.galleries import uploads
from tests.support.ledgers import run_with_ledger
from tests.support.photos import write_photo
from tests.support.runs import FOUR_METHODS, Outcome, failures, stored_sums

PHOTO = "O'Neil & co.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of an archive of one photo."""
    write_photo(tmp_path / "photos" / PHOTO, 1)
    return tmp_path / "photos"


@pytest.fixture
async def box(folder: Path) -> AsyncIterator[Sandbox]:
    """Run a sandbox that has the photo."""
    async with Sandbox() as running:
        await run_with_ledger(running, folder)
        yield running


async def change(box: Sandbox, folder: Path, **options: Any) -> tuple[str, Outcome]:  # noqa: ANN401
    """Write another photo there and run; return its MD5 as well."""
    md5 = write_photo(folder / PHOTO, 2)
    return md5, await run_with_ledger(box, folder, update=True, **options)


@pytest.mark.parametrize(
    ("first", "moves", "then", "replaced"),
    [
        pytest.param({"a": 1}, {}, {"a": 2}, 1, id="one file"),
        pytest.param({"a": 1, "b": 1}, {}, {"b": 2}, 0, id="one of two equal files"),
        pytest.param({"a": 1, "b": 1}, {}, {"a": 2, "b": 3}, 1, id="two equal files, and part"),
        pytest.param({"a": 1, "b": 1}, {}, {"a": 2, "b": 2}, 1, id="two equal files alike"),
        pytest.param({"a": 1, "b": 2}, {"a": "c", "b": "a", "c": "b"}, {}, 0, id="only places"),
        pytest.param(
            {f"{n}": n for n in range(12)},
            {f"{n}": f"z{n}" for n in range(12)},
            {f"{n}": 100 + n for n in range(12)},
            0,
            id="what has the old names of others",
        ),
        pytest.param(
            {f"{n}": n for n in range(12)},
            {f"{n}": f"{n + 1}" for n in reversed(range(12))},
            {"0": 100},
            0,
            id="a series that is shifted by one",
        ),
    ],
)
async def test_after_a_change_the_gallery_holds_each_content_once_and_nothing_is_lost(
    tmp_path: Path,
    first: dict[str, int],
    moves: dict[str, str],
    then: dict[str, int],
    replaced: int,
) -> None:
    folder = tmp_path / "photos"
    for name, seed in first.items():
        write_photo(folder / f"{name}.jpg", seed)
    async with Sandbox() as box:
        await run_with_ledger(box, folder, chunk_size=2000)
        for old, new in moves.items():
            (folder / f"{old}.jpg").rename(folder / f"{new}.jpg")
        for name, seed in then.items():
            write_photo(folder / f"{name}.jpg", seed)
        outcome = await run_with_ledger(box, folder, chunk_size=2000, update=True)
        contents = {path.read_bytes() for path in folder.iterdir()}
        assert stored_sums(box) == {hashlib.md5(content).hexdigest(): 1 for content in contents}
        sent = [event.replaced for event in outcome.of(PhotoUploaded)]
        assert (len(sent), sum(sent)) == (len(set(then.values())), replaced)
        before = uploads(box)
        again = await run_with_ledger(box, folder, update=True)
        assert uploads(box) == before
    assert failures(outcome) == failures(again) == {}


async def test_without_update_a_change_is_reported_until_it_is_asked_for(
    box: Sandbox, folder: Path
) -> None:
    old = stored_sums(box)
    new = write_photo(folder / PHOTO, 2)
    before = uploads(box)
    for _ in range(2):
        (failed,) = (await run_with_ledger(box, folder)).of(PhotoFailed)
        assert failed.reason == "it has changed since it was uploaded as photo 1"
        assert "--update" in failed.hint
    assert (uploads(box), stored_sums(box)) == (before, old)
    await run_with_ledger(box, folder, update=True)
    assert {photo.id: photo.md5 for photo in box.gallery.photos.values()} == {1: new}


async def test_a_server_that_only_has_upload_can_not_replace(folder: Path) -> None:
    only = FOUR_METHODS | {"pwg.images.exist", "reflection.getMethodList"}
    async with Sandbox(only=only) as box:
        await run_with_ledger(box, folder)
        old = stored_sums(box)
        _, outcome = await change(box, folder)
        assert "can't replace the file of photo 1" in failures(outcome)[PHOTO]
        assert stored_sums(box) == old


async def test_a_photo_that_is_gone_is_uploaded_as_a_new_one(box: Sandbox, folder: Path) -> None:
    await box.gallery.delete(1)
    new, outcome = await change(box, folder)
    assert stored_sums(box) == {new: 1}
    assert [(e.image_id, e.replaced) for e in outcome.of(PhotoUploaded)] == [(2, False)]


async def test_a_photo_that_another_client_has_changed_is_left_alone_and_one_without_md5_compared(
    box: Sandbox, folder: Path
) -> None:
    box.gallery.photos[1].md5 = "0" * 32
    before = uploads(box)
    _, outcome = await change(box, folder)
    assert "so has photo 1 in the gallery" in failures(outcome)[PHOTO]
    assert uploads(box) == before
    assert stored_sums(box) == {"0" * 32: 1}
    box.gallery.photos[1].md5 = ""  # the file itself is compared
    new, _ = await change(box, folder)
    assert stored_sums(box) == {new: 1}


@pytest.mark.parametrize("update", [True, False])
async def test_new_content_that_is_there_as_another_photo_is_linked(
    tmp_path: Path, update: bool
) -> None:
    folder = tmp_path / "photos"
    sums = {write_photo(folder / f"{name}/{name}.jpg", name) for name in "ab"}
    async with Sandbox() as box:
        await run_with_ledger(box, folder, tree=True, unwrap=True)
        second = write_photo(folder / "a/a.jpg", "b")
        before = uploads(box)
        outcome = await run_with_ledger(box, folder, tree=True, unwrap=True, update=update)
        assert uploads(box) == before
        assert stored_sums(box) == dict.fromkeys(sums, 1)
        shown = box.gallery.find(second)
        assert shown
        assert {box.gallery.albums[number].name for number in shown.albums} == {"a", "b"}
    assert [event.linked for event in outcome.of(PhotoPresent)].count(True) == 1
    assert bool(outcome.of(Noticed)) is update


@pytest.mark.parametrize(
    "kind",
    ["answer-lost", "request-lost", "504-after", "502", "503", "truncated", "expired-session"],
)
@pytest.mark.parametrize(
    ("version", "method"), [("13.8.0", "async"), ("16.4.0", "async"), ("16.4.0", "legacy")]
)
async def test_a_photo_is_replaced_whatever_becomes_of_a_request(
    folder: Path, kind: Kind, version: str, method: str
) -> None:
    async with Sandbox(version=version) as box:
        await run_with_ledger(box, folder, method=method)
        for name in ("pwg.images.uploadAsync", "pwg.images.add", "pwg.images.getInfo"):
            box.faults.add(Fault(kind, name, 0))
        new, outcome = await change(box, folder, method=method)
        assert {photo.id: photo.md5 for photo in box.gallery.photos.values()} == {1: new}
    assert failures(outcome) == {}


async def test_after_a_stop_request_no_more_changes_are_asked_about(tmp_path: Path) -> None:
    folder, stop, names = tmp_path / "photos", Stop(), [f"{n}.jpg" for n in range(6)]
    old = {write_photo(folder / name, name): 1 for name in names}
    faults = HookedFaults(act=stop.set, method="pwg.images.getInfo", nth=2)
    async with Sandbox(faults=faults) as box:
        await run_with_ledger(box, folder)
        assert faults.count == 0
        new = {write_photo(folder / name, f"new {name}"): 1 for name in names}
        outcome = await run_with_ledger(box, folder, update=True, stop=stop)
        assert faults.count == 3
        assert stored_sums(box) == old
        assert len(outcome.of(PhotoUnfinished)) == 6
        assert failures(await run_with_ledger(box, folder, update=True)) == {}
        assert stored_sums(box) == new


async def test_a_file_whose_question_failed_is_still_known_as_its_photo(folder: Path) -> None:
    asking = ("pwg.images.exist", "pwg.categories.getImages")
    faults = HookedFaults(*(Fault("empty-500-before", name) for name in asking), on=False)
    async with Sandbox(faults=faults) as box:
        await run_with_ledger(box, folder)
        faults.on = True
        assert len(failures(await run_with_ledger(box, folder))) == 1
        faults.on = False
        write_photo(folder / PHOTO, 2)
        (failed,) = failures(await run_with_ledger(box, folder)).values()
        assert "has changed since it was uploaded" in failed
        assert len(box.gallery.photos) == 1
