"""Files that have changed: told without --update, and with it replacing the same photo."""

import hashlib
from pathlib import Path
from random import Random

import pytest

from bulkup.engine.ports import Stop
from bulkup.events import (
    Noticed,
    PhotoFailed,
    PhotoPlanned,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
)
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.versions import VERSIONS
from bulkup.store.ledger import SqliteLedger
from tests.support.runs import FOUR_METHODS, Outcome, failures, picture, run, stored_sums

SENDING = {"pwg.images.upload", "pwg.images.uploadAsync", "pwg.images.addChunk", "pwg.images.add"}


class Ill(Faults):
    """A server that, while it is ill, dies over every upload, or what else it is given."""

    ill = False
    over: frozenset[str] | set[str] = SENDING

    def strike(self, method: str) -> Fault | None:
        return Fault("empty-500-before") if self.ill and method in self.over else None


def write(path: Path, seed: int, *, size: int = 3000) -> str:
    """Write another photo there, and return its MD5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content := picture(Random(seed), size=size))
    return hashlib.md5(content).hexdigest()


async def again(
    box: Sandbox,
    folder: Path,
    *,
    update: bool = False,
    method: str = "auto",
    tree: bool = False,
    chunk_size: int | None = None,
    stop: Stop | None = None,
) -> Outcome:
    """Run with the ledger that lies beside the folder."""
    async with SqliteLedger(folder.with_name("ledger.sqlite"), server=box.url) as ledger:
        outcome = await run(
            box,
            folder,
            memory=ledger,
            update=update,
            method=method,
            tree=tree,
            unwrap=tree,
            chunk_size=chunk_size,
            stop=stop,
        )
    assert outcome.balances()
    return outcome


def sent(box: Sandbox) -> int:
    """Return how many requests so far have brought something of a photo."""
    return sum(seen.method in SENDING for seen in box.requests)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["auto", "upload", "legacy"])
async def test_a_changed_file_replaces_the_same_photo(
    tmp_path: Path, version: str, method: str
) -> None:
    folder = tmp_path / "photos"
    write(folder / "O'Neil & co.jpg", 1)
    write(folder / "b.jpg", 2)
    async with Sandbox(version=version) as box:
        first = await again(box, folder, method=method)
        (photo_id,) = (e.image_id for e in first.of(PhotoUploaded) if e.path.name[0] == "O")
        photo = box.gallery.photos[photo_id]
        tag = box.gallery.add_tag("sea", url_name="sea").id
        other = box.gallery.make_album("Other")
        box.gallery.link(photo_id, other)
        photo.name, photo.comment, photo.level, photo.tags = "The sea", "calm", 8, {tag}
        md5 = write(folder / "O'Neil & co.jpg", 3)
        outcome = await again(box, folder, method=method, update=True)
        photo = box.gallery.photos[photo_id]
        content = box.gallery.content(photo_id)
        assert len(box.gallery.photos) == 2
        assert (photo.name, photo.comment, photo.level) == ("The sea", "calm", 8)
        assert (photo.tags, photo.albums) == ({tag}, {1, other})
        assert photo.file == "O'Neil & co.jpg"
        assert photo.md5 == md5 == hashlib.md5(content).hexdigest()
        (event,) = outcome.of(PhotoUploaded)
        assert event.replaced
        assert event.image_id == photo_id
        assert [plan.replaces for plan in outcome.of(PhotoPlanned)] == [photo_id]
        before = sent(box)
        third = await again(box, folder, method=method)
        assert sent(box) == before
    assert len(third.of(PhotoPresent)) == 2


async def test_without_update_a_change_is_told_until_it_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    old = write(folder / "a.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        new = write(folder / "a.jpg", 2)
        before = sent(box)
        for _ in range(2):
            outcome = await again(box, folder)
            (failed,) = outcome.of(PhotoFailed)
            assert failed.reason == "it has changed since it was uploaded as photo 1"
            assert "--update" in failed.hint
        assert sent(box) == before
        assert stored_sums(box) == {old: 1}
        await again(box, folder, update=True)
        assert stored_sums(box) == {new: 1}
        assert box.gallery.photos.keys() == {1}


async def test_a_changed_file_of_many_chunks_replaces_its_photo(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        new = write(folder / "a.jpg", 2, size=50_000)
        await again(box, folder, update=True, chunk_size=8192)
        assert stored_sums(box) == {new: 1}
        assert box.gallery.photos.keys() == {1}


async def test_a_server_that_only_has_upload_can_not_replace(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    old = write(folder / "a.jpg", 1)
    async with Sandbox(
        only=FOUR_METHODS | {"pwg.images.exist", "reflection.getMethodList"}
    ) as box:
        await again(box, folder)
        write(folder / "a.jpg", 2)
        outcome = await again(box, folder, update=True)
        assert "can't replace the file of photo 1" in failures(outcome)["a.jpg"]
        assert stored_sums(box) == {old: 1}


async def test_a_photo_that_is_gone_is_brought_as_a_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        await box.gallery.delete(1)
        new = write(folder / "a.jpg", 2)
        outcome = await again(box, folder, update=True)
        assert stored_sums(box) == {new: 1}
        (event,) = outcome.of(PhotoUploaded)
        assert event.image_id == 2
        assert not event.replaced


async def test_a_photo_that_somebody_else_has_changed_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        box.gallery.photos[1].md5 = "0" * 32
        write(folder / "a.jpg", 2)
        before = sent(box)
        outcome = await again(box, folder, update=True)
        assert "so has photo 1 in the gallery" in failures(outcome)["a.jpg"]
        assert sent(box) == before
        assert stored_sums(box) == {"0" * 32: 1}


async def test_a_photo_whose_md5_is_not_computed_is_compared_by_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        box.gallery.photos[1].md5 = ""
        new = write(folder / "a.jpg", 2)
        await again(box, folder, update=True)
        assert stored_sums(box) == {new: 1}


@pytest.mark.parametrize("update", [True, False])
async def test_new_content_that_is_there_as_another_photo_is_linked(
    tmp_path: Path, update: bool
) -> None:
    folder = tmp_path / "photos"
    first = write(folder / "a/a.jpg", 1)
    second = write(folder / "b/b.jpg", 2)
    async with Sandbox() as box:
        await again(box, folder, tree=True)
        write(folder / "a/a.jpg", 2)
        before = sent(box)
        outcome = await again(box, folder, tree=True, update=update)
        assert sent(box) == before
        assert stored_sums(box) == {first: 1, second: 1}
        (shown,) = (p for p in box.gallery.photos.values() if p.md5 == second)
        names = {box.gallery.albums[number].name for number in shown.albums}
        assert names == {"a", "b"}
    assert [event.linked for event in outcome.of(PhotoPresent)].count(True) == 1
    assert bool(outcome.of(Noticed)) is update


async def test_two_files_that_change_places_are_no_change(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    a, b = folder / "a.jpg", folder / "b.jpg"
    write(a, 1)
    write(b, 2, size=4000)
    async with Sandbox() as box:
        await again(box, folder)
        a.rename(folder / "c.jpg")
        b.rename(a)
        (folder / "c.jpg").rename(b)
        before = sent(box)
        outcome = await again(box, folder, update=True)
        assert sent(box) == before
        assert len(outcome.of(PhotoPresent)) == 2
        third = await again(box, folder)
    assert len(third.of(PhotoPresent)) == 2


async def test_a_photo_that_another_file_still_is_stays(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    old = write(folder / "a.jpg", 1)
    write(folder / "b.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        new = write(folder / "b.jpg", 2)
        await again(box, folder, update=True)
        assert stored_sums(box) == {old: 1, new: 1}
        assert box.gallery.photos[1].md5 == old
        await again(box, folder, update=True)
        assert len(box.gallery.photos) == 2


async def test_of_two_equal_files_that_part_only_one_replaces_the_photo(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    write(folder / "b.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        new = {write(folder / "a.jpg", 2): 1, write(folder / "b.jpg", 3): 1}
        outcome = await again(box, folder, update=True)
        assert stored_sums(box) == new
        assert sorted(event.replaced for event in outcome.of(PhotoUploaded)) == [False, True]


async def test_two_equal_files_that_change_alike_stay_one_photo(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    write(folder / "b.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        new = write(folder / "a.jpg", 2)
        write(folder / "b.jpg", 2)
        await again(box, folder, update=True)
        assert stored_sums(box) == {new: 1}
        assert box.gallery.photos.keys() == {1}


async def test_a_moved_file_that_changes_later_replaces_its_photo(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    async with Sandbox() as box:
        await again(box, folder)
        (folder / "a.jpg").rename(folder / "moved.jpg")
        await again(box, folder)
        new = write(folder / "moved.jpg", 2)
        await again(box, folder, update=True)
        assert stored_sums(box) == {new: 1}
        assert box.gallery.photos.keys() == {1}


@pytest.mark.parametrize(
    "kind",
    ["answer-lost", "request-lost", "504-after", "502", "503", "truncated", "expired-session"],
)
@pytest.mark.parametrize(
    ("version", "method"), [("13.8.0", "async"), ("16.4.0", "async"), ("16.4.0", "legacy")]
)
async def test_a_photo_is_replaced_whatever_becomes_of_a_request(
    tmp_path: Path, kind: Kind, version: str, method: str
) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    faults = Faults()
    async with Sandbox(version=version, faults=faults) as box:
        await again(box, folder, method=method)
        for name in ("pwg.images.uploadAsync", "pwg.images.add", "pwg.images.getInfo"):
            faults.add(Fault(kind, name, 0))
        new = write(folder / "a.jpg", 2)
        outcome = await again(box, folder, method=method, update=True)
        assert stored_sums(box) == {new: 1}, failures(outcome)
        assert box.gallery.photos.keys() == {1}
    assert not outcome.of(PhotoFailed)


async def test_a_failed_replacement_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    old = write(folder / "a.jpg", 1)
    faults = Ill()
    async with Sandbox(faults=faults) as box:
        await again(box, folder)
        faults.ill = True
        new = write(folder / "a.jpg", 2)
        outcome = await again(box, folder, update=True)
        assert outcome.of(PhotoFailed)
        assert stored_sums(box) == {old: 1}
        faults.ill = False
        await again(box, folder, update=True)
        assert stored_sums(box) == {new: 1}
        assert box.gallery.photos.keys() == {1}


class Stopping(Faults):
    """Has somebody wish to stop at the nth question what a photo is."""

    def __init__(self, stop: Stop, *, nth: int) -> None:
        super().__init__()
        self.asked = 0
        self._stop = stop
        self._nth = nth

    def strike(self, method: str) -> Fault | None:
        if method == "pwg.images.getInfo":
            self.asked += 1
            if self.asked == self._nth:
                self._stop.set()
        return super().strike(method)


async def test_after_a_wish_to_stop_no_more_changes_are_asked_about(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    old = {write(folder / f"{n}.jpg", n): 1 for n in range(20)}
    stop = Stop()
    faults = Stopping(stop, nth=3)
    async with Sandbox(faults=faults) as box:
        await again(box, folder)
        for n in range(20):
            write(folder / f"{n}.jpg", 100 + n)
        faults.asked = 0
        outcome = await again(box, folder, update=True, stop=stop)
        assert faults.asked == 3
        assert stored_sums(box) == old
        assert len(outcome.of(PhotoUnfinished)) == 20
        assert failures(await again(box, folder, update=True)) == {}
        assert len(box.gallery.photos) == 20
        assert not stored_sums(box).keys() & old.keys()


# names that are used again


@pytest.mark.parametrize("pairs", [1, 60])
async def test_what_was_renamed_is_kept_when_its_old_name_gets_other_content(
    tmp_path: Path, pairs: int
) -> None:
    folder = tmp_path / "photos"
    old = {write(folder / f"{n:03}.jpg", n) for n in range(pairs)}
    async with Sandbox() as box:
        await again(box, folder)
        for n in range(pairs):
            (folder / f"{n:03}.jpg").rename(folder / f"z{n:03}.jpg")
        new = {write(folder / f"{n:03}.jpg", 1000 + n) for n in range(pairs)}
        outcome = await again(box, folder, update=True)
        assert failures(outcome) == {}
        assert set(stored_sums(box)) == old | new
        await again(box, folder, update=True)
        assert set(stored_sums(box)) == old | new


async def test_a_series_that_is_shifted_by_one_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    sums = {write(folder / f"{n:03}.jpg", n) for n in range(12)}
    async with Sandbox() as box:
        await again(box, folder)
        for n in reversed(range(12)):
            (folder / f"{n:03}.jpg").rename(folder / f"{n + 1:03}.jpg")
        sums.add(write(folder / "000.jpg", 100))
        assert failures(await again(box, folder, update=True)) == {}
        assert set(stored_sums(box)) == sums


async def test_a_file_whose_question_failed_is_still_known_as_its_photo(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder / "a.jpg", 1)
    faults = Ill()
    faults.over = {"pwg.images.exist", "pwg.categories.getImages"}
    async with Sandbox(faults=faults) as box:
        await again(box, folder)
        faults.ill = True
        assert len(failures(await again(box, folder))) == 1
        faults.ill = False
        write(folder / "a.jpg", 2)
        (failed,) = failures(await again(box, folder)).values()
        assert "has changed since it was uploaded" in failed
        assert len(box.gallery.photos) == 1
