"""Photos in albums besides those of their folders, as exports of other services say."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bulkup.engine.albums import ROOT
from bulkup.engine.dedupe import CANT_LINK
from bulkup.engine.ledger_port import State
from bulkup.events import (
    AlbumMade,
    FileSkipped,
    Noticed,
    PhotoChecked,
    PhotoFailed,
    PhotoHashing,
    PhotoPresent,
    PhotoUploaded,
    Verdict,
)
from bulkup.sandbox import Fault, Sandbox
from bulkup.sandbox.accounts import Permission
from bulkup.sandbox.faults import Kind
from bulkup.source.filters import Filters
from tests.support.faults import HookedFaults
from tests.support.galleries import albums_of, calls
from tests.support.ledgers import entries, run_with_ledger
from tests.support.photos import write_files
from tests.support.runs import FOUR_METHODS, check, failures, picture, run

ADD, LINK = "pwg.categories.add", "pwg.images.setCategory"
PLACES = {"a.jpg": [("Alps",), ("Best", "2019/20")], "b.jpg": [("Alps",), (" ", "Alps ")]}


def first(photo: Path) -> Sequence[Sequence[str]]:
    """Return albums as an export would."""
    return PLACES.get(photo.name, [])


def second(photo: Path) -> Sequence[Sequence[str]]:
    """Return albums as another source would."""
    return [("Best", "2019/20"), ("Re\u0301sume\u0301",)] if photo.name == "a.jpg" else [()]


def all_best(_: Path) -> Sequence[Sequence[str]]:
    """Return the same album for all."""
    return [("Best",)]


ARRIVED = {
    "Sandbox": [],
    "Sandbox/in": ["a.jpg", "b.jpg", "c.jpg"],
    "Sandbox/Alps": ["a.jpg", "b.jpg"],
    "Sandbox/Best": [],
    "Sandbox/Best/2019/20": ["a.jpg"],
    "Sandbox/Résumé": ["a.jpg"],
}
HOW: dict[str, Any] = {"tree": True, "unwrap": True, "further": [first, second]}
upload = partial(run_with_ledger, tree=True, unwrap=True, further=[first, second])


async def test_new_and_known_photos_get_to_all_albums_once(box: Sandbox, folder: Path) -> None:
    write_files(folder, "in/a.jpg", "in/b.jpg")
    await upload(box, folder, further=[])
    outcome = await upload(box, folder)
    assert albums_of(box) == ARRIVED | {"Sandbox/in": ["a.jpg", "b.jpg"]}
    linked = {event.path.name for event in outcome.of(PhotoPresent) if event.linked}
    assert linked == {"a.jpg", "b.jpg"}
    assert not outcome.of(Noticed)

    write_files(folder, "in/c.jpg")
    sent = await upload(box, folder)
    assert albums_of(box) == ARRIVED
    assert len(sent.of(PhotoUploaded)) == 1

    before = len(box.requests)
    again = await upload(box, folder)
    asked = calls(box, since=before)
    assert not asked.keys() & {ADD, LINK, "pwg.images.exist", "pwg.images.uploadAsync"}
    assert asked["pwg.categories.getImages"] == 4  # each album is listed once
    assert not any(event.linked for event in again.of(PhotoPresent))


async def test_photos_are_verified_in_all_albums_and_put_back(box: Sandbox, folder: Path) -> None:
    write_files(folder, "in/a.jpg", "in/b.jpg", "in/c.jpg")
    outcome = await upload(box, folder)
    assert albums_of(box) == ARRIVED
    names = sorted(event.name for event in outcome.of(AlbumMade))
    assert names == ["2019/20", "Alps", "Best", "Résumé", "in"]
    (a,) = (event for event in outcome.of(PhotoUploaded) if event.path.name == "a.jpg")
    assert len(a.albums) == 4

    verified = await check(box, folder, **HOW)
    assert {event.verdict for event in verified.of(PhotoChecked)} == {Verdict.PRESENT}
    (alps,) = (album.id for album in box.gallery.albums.values() if album.name == "Alps")
    box.gallery.unlink(a.image_id, alps)
    verified = await check(box, folder, **HOW)
    (wrong,) = (e for e in verified.of(PhotoChecked) if e.verdict is not Verdict.PRESENT)
    assert (wrong.path.name, wrong.verdict) == ("a.jpg", Verdict.NOT_IN_ALBUM)
    assert f"not in album {alps}" in wrong.reason
    again = await upload(box, folder)
    assert albums_of(box) == ARRIVED
    assert [e.path.name for e in again.of(PhotoPresent) if e.linked] == ["a.jpg"]

    missing = await check(box, folder, **HOW | {"further": [lambda _: [("Ghosts",)]]})
    assert {event.verdict for event in missing.of(PhotoChecked)} == {Verdict.NOT_IN_ALBUM}
    assert "Ghosts" not in {album.name for album in box.gallery.albums.values()}


async def test_twins_are_sent_once_and_are_in_the_albums_of_both(
    box: Sandbox, folder: Path
) -> None:
    content = write_files(folder, "in/a.jpg")["in/a.jpg"]
    for name in ("in/b.jpg", "in/c.jpg", "too/a.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    outcome = await upload(box, folder)
    assert len(outcome.of(PhotoUploaded)) == 1
    shown = {path: len(files) for path, files in albums_of(box).items()}
    every = {*ARRIVED, "Sandbox/too"}
    assert shown == {path: int(path not in {"Sandbox", "Sandbox/Best"}) for path in every}
    assert {
        entry.state
        for entry in await entries(
            box, folder, [folder / name for name in ("in/a.jpg", "too/a.jpg")]
        )
    } == {State.DONE}


@pytest.mark.parametrize("method", ["async", "upload", "legacy"])
async def test_new_photos_are_sent_to_all_albums_at_once(folder: Path, method: str) -> None:
    write_files(folder, "in/a.jpg", "in/b.jpg", "in/c.jpg")
    async with Sandbox() as box:
        await upload(box, folder, method=method)
        assert albums_of(box) == ARRIVED
        assert not calls(box)[LINK]


@pytest.mark.parametrize("kind", ["answer-lost", "403-html"])
async def test_a_photo_that_can_not_be_added_fails_and_the_next_run_adds_it(
    folder: Path, kind: Kind
) -> None:
    write_files(folder, "in/a.jpg", "in/b.jpg", "in/c.jpg")
    faults = HookedFaults(Fault(kind, LINK))
    async with Sandbox(faults=faults) as box:
        await upload(box, folder, further=[])
        (folder / "in/c.jpg").write_bytes(picture(Random(7), size=900))
        outcome = await upload(box, folder, retries=0, update=True, further=[first, all_best])
        assert failures(outcome).keys() == {"a.jpg", "b.jpg", "c.jpg"}
        assert "could not be added to album" in failures(outcome)["c.jpg"]  # it was replaced
        faults.on = False
        again = await upload(box, folder, update=True, further=[first, all_best])
        names = {album.id: album.name for album in box.gallery.albums.values()}
        stored = {
            photo.file: {names[album] for album in photo.albums}
            for photo in box.gallery.photos.values()
        }
    assert stored == {
        "a.jpg": {"in", "Alps", "2019/20", "Best"},
        "b.jpg": {"in", "Alps", "Best"},
        "c.jpg": {"in", "Best"},
    }
    assert not again.of(PhotoUploaded)
    assert not again.of(PhotoFailed)


async def test_a_photo_without_an_album_of_its_own_is_in_the_others(
    box: Sandbox, folder: Path
) -> None:
    write_files(folder, "a.jpg", "c.jpg")
    how: dict[str, Any] = {"tree": True, "unwrap": True, "album": ROOT}
    outcome = await run(box, folder, further=[first], **how)
    assert albums_of(box) == {
        "Sandbox": [],
        "Alps": ["a.jpg"],
        "Best": [],
        "Best/2019/20": ["a.jpg"],
    }
    assert failures(outcome).keys() == {"c.jpg"}


async def test_albums_that_can_not_be_used_are_named_once_and_the_photos_go_up(
    folder: Path,
) -> None:
    write_files(folder, "in/a.jpg", "in/b.jpg")
    rights = [Permission(album=1)]
    users = {"admin": "secret"}
    async with Sandbox(admin=("root", "x"), users=users, community=rights) as box:
        outcome = await run_with_ledger(box, folder, further=[first])
        assert len(outcome.of(PhotoUploaded)) == 2
        notices = [
            event.message for event in outcome.of(Noticed) if "no photo is" in event.message
        ]
    assert len(notices) == 2
    assert "“Alps”: this account may not create albums there" in notices[0]


@pytest.mark.parametrize("moderated", [True, False])
async def test_accounts_of_the_community_plugin_add_their_own_photos(
    folder: Path, *, moderated: bool
) -> None:
    write_files(folder, "in/a.jpg", "in/b.jpg")
    rights = [Permission(album=1, create=True, moderated=moderated)]
    users = {"admin": "secret"}
    async with Sandbox(admin=("root", "x"), users=users, community=rights) as box:
        await run_with_ledger(box, folder, further=[first])
        names = {album.id: album.name for album in box.gallery.albums.values()}
        stored = {
            photo.file: {names[album] for album in photo.albums}
            for photo in box.gallery.photos.values()
        }
        before = len(box.requests)
        await run_with_ledger(box, folder, further=[first])
        assert not calls(box, since=before).keys() & {ADD, "pwg.images.setInfo"}
    assert stored == {"a.jpg": {"Sandbox", "Alps", "2019/20"}, "b.jpg": {"Sandbox", "Alps"}}


async def test_a_gallery_that_can_not_add_photos_to_albums_gets_new_ones_there(
    folder: Path,
) -> None:
    write_files(folder, "a.jpg")
    offered = FOUR_METHODS | {ADD, "reflection.getMethodList", "pwg.images.exist"}
    offered |= {"pwg.categories.getAdminList", "pwg.images.uploadCompleted"}
    async with Sandbox(only=offered) as box:
        await run_with_ledger(box, folder)
        write_files(folder, "b.jpg")
        outcome = await run_with_ledger(box, folder, further=[first])
        again = await run_with_ledger(box, folder, further=[first])
        assert albums_of(box)["Sandbox/Alps"] == ["b.jpg"]
    for run_again in (outcome, again):
        said = [CANT_LINK.message == event.message for event in run_again.of(Noticed)]
        assert said.count(True) == 1
        assert not run_again.of(PhotoFailed)


async def test_a_gallery_that_lists_no_albums_gets_the_photos_all_the_same(folder: Path) -> None:
    write_files(folder, "a.jpg", "b.jpg")
    async with Sandbox(only=FOUR_METHODS) as box:
        outcome = await run_with_ledger(box, folder, further=[first])
        again = await run_with_ledger(box, folder, further=[first])
        assert len(box.gallery.photos) == 2
    said = ["no photo is added to other albums" in event.message for event in outcome.of(Noticed)]
    assert said.count(True) == 1
    assert not outcome.of(PhotoFailed)
    assert not again.of(PhotoFailed)


async def test_links_put_a_photo_into_the_albums_of_their_folders(
    box: Sandbox, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    write_files(folder, "2019/a.jpg", "2019/b.jpg")
    write_files(tmp_path, "elsewhere/c.jpg")
    for link, target in (
        ("Alps/a.jpg", folder / "2019/a.jpg"),
        ("Best/1.jpg", folder / "2019/a.jpg"),
        ("Best/c.jpg", tmp_path / "elsewhere/c.jpg"),
        ("Alps/c.jpg", tmp_path / "elsewhere/c.jpg"),
    ):
        (folder / link).parent.mkdir(exist_ok=True)
        (folder / link).symlink_to(target)
    follow: dict[str, Any] = {
        "tree": True,
        "unwrap": True,
        "filters": Filters(follow_symlinks=True),
    }
    await upload(box, folder, further=[])
    outcome = await run_with_ledger(box, folder, **follow)
    assert {path: len(files) for path, files in albums_of(box).items()} == {
        "Sandbox": 0,
        "Sandbox/2019": 2,
        "Sandbox/Alps": 2,
        "Sandbox/Best": 2,
    }
    assert len(outcome.of(PhotoUploaded)) == 1
    read = [event.path.name for event in outcome.of(PhotoHashing)]
    assert set(read) == {"c.jpg"}  # the others were read in the first run
    again = await run_with_ledger(box, folder, **follow)
    assert not again.of(PhotoHashing)
    assert not any(event.linked for event in again.of(PhotoPresent))
    verified = await check(box, folder, repeat_links=True, **follow)
    assert {event.verdict for event in verified.of(PhotoChecked)} == {Verdict.PRESENT}
    flat = await run_with_ledger(box, folder, filters=Filters(follow_symlinks=True))
    skipped = [event.path.name for event in flat.of(FileSkipped)]
    assert sorted(skipped) == ["1.jpg", "a.jpg", "c.jpg"]
