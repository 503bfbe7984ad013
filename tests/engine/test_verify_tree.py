"""A look at a gallery whose albums are the folders: each photo in its own, and nothing made."""

from collections import Counter
from pathlib import Path

import pytest

from bulkup.engine.albums import ROOT
from bulkup.engine.ports import State
from bulkup.events import AlbumMade, Noticed, PhotoChecked, Verdict
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.takeout import takeout_album
from bulkup.store.ledger import SqliteLedger
from tests.engine.test_verify import HARMLESS, snapshot, told, verdicts
from tests.support.galleries import calls
from tests.support.photos import write_album_title, write_files
from tests.support.runs import Outcome, check, run

LIST = "pwg.categories.getAdminList"
IMAGES = "pwg.categories.getImages"
PLACES = ("loose.jpg", "2019/a.jpg", "2019/May/b.jpg", "I <3_🌞/c.jpg", "I <3_🌞/d.jpg")


def by_name(outcome: Outcome) -> dict[str, PhotoChecked]:
    return {path.name: event for path, event in told(outcome).items()}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("unwrap", "spaces"), [(True, False), (False, True)])
async def test_what_was_brought_as_a_tree_is_present_as_that_tree(
    tmp_path: Path, version: str, *, unwrap: bool, spaces: bool
) -> None:
    root = tmp_path / "my_photos"
    write_files(root, *PLACES)
    write_album_title(root / "2019/May", "Spring in <b>Paris</b>")
    async with Sandbox(version=version) as box:
        await run(box, root, tree=True, unwrap=unwrap, spaces=spaces, titles=takeout_album)
        before, requests = snapshot(box), len(box.requests)
        outcome = await check(
            box, root, tree=True, unwrap=unwrap, spaces=spaces, titles=takeout_album
        )
        assert snapshot(box) == before
        methods = calls(box, since=requests)
    assert verdicts(outcome) == {Verdict.PRESENT: 5}
    assert methods.keys() <= HARMLESS | {LIST}
    assert (methods[LIST], methods[IMAGES]) == (1, 4)  # a look at each album
    assert not outcome.of(AlbumMade)


async def test_each_photo_has_to_be_in_the_album_of_its_own_folder(tmp_path: Path) -> None:
    made = write_files(tmp_path, "a/x.jpg", "b/y.jpg", "c/z.jpg")
    (tmp_path / "b/twin.jpg").write_bytes(made["a/x.jpg"])
    async with Sandbox() as box:
        await run(box, tmp_path, tree=True, unwrap=True)
        number = {album.name: album.id for album in box.gallery.albums.values()}
        photo = {photo.file: photo.id for photo in box.gallery.photos.values()}
        twin = photo.get("x.jpg") or photo["twin.jpg"]
        box.gallery.unlink(twin, number["a"])
        box.gallery.link(photo["y.jpg"], number["c"])
        box.gallery.unlink(photo["y.jpg"], number["b"])
        before = len(box.requests)
        outcome = await check(box, tmp_path, tree=True, unwrap=True)
        reads = calls(box, since=before)["pwg.images.checkFiles"]
    events = by_name(outcome)
    assert {name: event.verdict for name, event in events.items()} == {
        "x.jpg": Verdict.NOT_IN_ALBUM,
        "twin.jpg": Verdict.PRESENT,
        "y.jpg": Verdict.NOT_IN_ALBUM,
        "z.jpg": Verdict.PRESENT,
    }
    assert f"not in album {number['b']}" in events["y.jpg"].reason
    assert reads == 3  # twins are read once


async def test_an_album_that_is_missing_is_told_and_not_made(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_files(root, "2019/May/a.jpg", "2019/b.jpg", "top.jpg", "2020/new.jpg")
    async with Sandbox() as box:
        await run(box, root)  # all into one
        await box.gallery.delete(
            next(photo.id for photo in box.gallery.photos.values() if photo.file == "new.jpg")
        )
        box.gallery.make_album("photos", 1)
        before = snapshot(box)
        outcome = await check(box, root, tree=True)
        assert snapshot(box) == before
    events = by_name(outcome)
    assert verdicts(outcome) == {Verdict.NOT_IN_ALBUM: 3, Verdict.MISSING: 1}
    assert events["new.jpg"].verdict is Verdict.MISSING
    assert "there is no album “photos / 2019”" in events["a.jpg"].reason
    assert "there is no album “photos / 2019”" in events["b.jpg"].reason
    assert "not in album 2" in events["top.jpg"].reason
    assert "Upload again" in events["a.jpg"].hint


async def test_what_lies_in_no_album_is_told(tmp_path: Path) -> None:
    write_files(tmp_path, "loose.jpg", "2019/a.jpg")
    async with Sandbox() as box:
        await run(box, tmp_path, album=ROOT, tree=True, unwrap=True)
        await run(box, tmp_path / "loose.jpg")
        outcome = await check(box, tmp_path, album=ROOT, tree=True, unwrap=True)
    events = by_name(outcome)
    assert events["a.jpg"].verdict is Verdict.PRESENT
    assert events["loose.jpg"].verdict is Verdict.NOT_IN_ALBUM
    assert "in no folder that could be an album" in events["loose.jpg"].reason
    assert "--album" in events["loose.jpg"].hint


async def test_a_title_counts_only_if_it_is_read(tmp_path: Path) -> None:
    write_files(tmp_path, "Rome/a.jpg")
    write_album_title(tmp_path / "Rome", "Roman holiday")
    async with Sandbox() as box:
        await run(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
        with_it = await check(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
        without = await check(box, tmp_path, tree=True, unwrap=True)
    assert verdicts(with_it) == {Verdict.PRESENT: 1}
    assert verdicts(without) == {Verdict.NOT_IN_ALBUM: 1}


async def test_folders_that_share_an_album_are_told_here_too(tmp_path: Path) -> None:
    write_files(tmp_path, "🌞/a.jpg", "🌅/b.jpg")
    async with Sandbox() as box:
        await run(box, tmp_path, tree=True, unwrap=True)
        outcome = await check(box, tmp_path, tree=True, unwrap=True)
    assert verdicts(outcome) == {Verdict.PRESENT: 2}
    assert len(outcome.of(Noticed)) == 1


async def test_an_album_that_cannot_be_listed_costs_its_own_photos_a_verdict_only(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, "a/x.jpg", "b/y.jpg", "b/z.jpg")
    async with Sandbox(faults=Faults()) as box:
        await run(box, tmp_path, tree=True, unwrap=True)
        for number in range(1, 4):  # the second album, each time
            box.faults.add(Fault("html", IMAGES, number))
        outcome = await check(box, tmp_path, tree=True, unwrap=True, retries=2)
    assert Counter(event.verdict for event in outcome.of(PhotoChecked)) in (
        {Verdict.PRESENT: 1, Verdict.FAILED: 2},
        {Verdict.PRESENT: 2, Verdict.FAILED: 1},
    )


async def test_after_a_check_the_next_upload_puts_photos_into_their_albums(
    tmp_path: Path,
) -> None:
    root = tmp_path / "photos"
    made = [root / place for place in write_files(root, "a/x.jpg", "b/y.jpg")]
    async with Sandbox() as box, SqliteLedger(tmp_path / "ledger", server=box.url) as ledger:
        await run(box, root, tree=True, memory=ledger)
        number = {album.name: album.id for album in box.gallery.albums.values()}
        box.gallery.delete_album(number["b"])
        outcome = await check(box, root, tree=True, memory=ledger)
        assert verdicts(outcome) == {Verdict.PRESENT: 1, Verdict.NOT_IN_ALBUM: 1}
        entries = await ledger.look_up(made)
        assert [entries[path].state for path in made] == [State.DONE, State.HASHED]
        await run(box, root, tree=True, memory=ledger)
        assert verdicts(await check(box, root, tree=True)) == {Verdict.PRESENT: 2}
        assert len(box.gallery.photos) == 2
