"""Folders become albums: found before they are made, never made twice, whatever fails."""

from functools import partial
from pathlib import Path

import pytest

from bulkup.engine.albums import ROOT, Albums
from bulkup.engine.retry import Policy, Recovery
from bulkup.errors import PhotoError, RunError
from bulkup.events import AlbumMade, PhotoFailed, PhotoPresent, PhotoUploaded
from bulkup.piwigo.connect import connect
from bulkup.sandbox import Sandbox
from bulkup.sandbox.faults import Fault, Faults
from bulkup.sandbox.versions import VERSIONS
from tests.support.galleries import albums_of, calls
from tests.support.ledgers import run_with_ledger
from tests.support.photos import write_files
from tests.support.runs import ADMIN, no_wait, run

ADD = "pwg.categories.add"
upload = partial(run, tree=True, unwrap=True)
SCRIPTS = ("Été", "Лето", "夏", "صيف", "Θέρος", "गर्मी")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_tree_arrives_as_albums(tmp_path: Path, version: str) -> None:
    write_files(
        tmp_path, "top.jpg", "2019/May/a.jpg", "2019/May/b.jpg", "2019/c.jpg", "<i>&'q\"/d.jpg"
    )
    # 13 takes nothing like HTML in names, 14 and 15 do not list it
    odd = "<i>&'q\"" if version >= "16" else "< i>&'q\""
    async with Sandbox(version=version) as box:
        outcome = await upload(box, tmp_path)
        assert albums_of(box) == {
            "Sandbox": ["top.jpg"],
            "Sandbox/2019": ["c.jpg"],
            "Sandbox/2019/May": ["a.jpg", "b.jpg"],
            f"Sandbox/{odd}": ["d.jpg"],
        }
        again = await upload(box, tmp_path)
        assert len(box.gallery.albums) == 4
    assert len(outcome.of(AlbumMade)) == 3
    assert outcome.balances()
    assert not again.of(AlbumMade)
    assert not again.of(PhotoUploaded)
    assert len(again.of(PhotoPresent)) == 5


async def test_a_deep_tree_of_many_scripts_arrives_at_the_top_of_the_gallery(
    tmp_path: Path,
) -> None:
    deep = "/".join((*SCRIPTS, "a", "b"))
    write_files(tmp_path / "root", f"{deep}/x.jpg", "Лето/y.jpg", "loose.jpg")
    async with Sandbox() as box:
        await run(box, tmp_path / "root", album=ROOT, tree=True)
        shown = {path: files for path, files in albums_of(box).items() if files}
    assert shown == {
        "root": ["loose.jpg"],
        "root/Лето": ["y.jpg"],
        f"root/{deep}": ["x.jpg"],
    }


async def test_what_has_no_album_is_reported_and_the_others_arrive(tmp_path: Path) -> None:
    write_files(tmp_path, "loose.jpg", "2019/a.jpg")
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, album=ROOT, tree=True, unwrap=True)
        assert albums_of(box) == {"Sandbox": [], "2019": ["a.jpg"]}
    (failed,) = outcome.of(PhotoFailed)
    assert failed.path.name == "loose.jpg"
    assert outcome.balances()


async def test_the_ledger_spares_the_second_run_all_but_a_look_at_each_album(
    folder: Path,
) -> None:
    write_files(folder, "a/x.jpg", "b/y.jpg")
    async with Sandbox() as box:
        await run_with_ledger(box, folder, tree=True, unwrap=True)
        before = len(box.requests)
        outcome = await run_with_ledger(box, folder, tree=True, unwrap=True)
        asked = calls(box, since=before)
    assert asked["pwg.categories.getImages"] == 2
    assert asked["pwg.categories.getAdminList"] == 1
    assert not asked.keys() & {"pwg.images.uploadAsync", ADD, "pwg.images.setCategory"}
    assert len(outcome.of(PhotoPresent)) == 2


async def test_photos_of_albums_that_cannot_be_made_fail_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, "a/x.jpg", "b/y.jpg")
    faults = Faults([Fault("answer-lost", ADD, 0)] + [Fault("503", ADD, n) for n in range(1, 99)])
    async with Sandbox(faults=faults) as box:
        outcome = await upload(box, tmp_path, retries=2)
        shown = albums_of(box)
    (failed,) = outcome.of(PhotoFailed)
    assert f"“{failed.path.parent.name}” could not be created" in failed.reason
    album, file = {"a": ("b", "y.jpg"), "b": ("a", "x.jpg")}[failed.path.parent.name]
    assert shown == {"Sandbox": [], f"Sandbox/{album}": [file]}


async def test_a_gallery_that_lists_no_albums_ends_the_run(tmp_path: Path) -> None:
    write_files(tmp_path, "a/x.jpg")
    only = {"pwg.session.login", "pwg.session.getStatus", "pwg.images.upload"}
    async with Sandbox(only=only) as box:
        with pytest.raises(RunError, match="does not list its albums"):
            await run(box, tmp_path, tree=True)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_path_of_names_is_found_or_made(version: str) -> None:
    async with (
        Sandbox(version=version) as box,
        connect(box.url, credentials=ADMIN) as server,
    ):
        recovery = Recovery(Policy(), emit=lambda _: None, probe=server.probe, sleep=no_wait)
        albums = Albums(server, recovery=recovery, emit=lambda _: None, private=True)
        await albums.find(["Trips"], make=True)
        with pytest.raises(PhotoError, match="no album “Trips / 20<b>19”"):
            await albums.find(["Trips", "20<b>19"], make=False)
        made = await albums.find(["Trips", "20<b>19", "I <3 you"], make=True)
        fresh = Albums(server, recovery=recovery, emit=lambda _: None)
        assert await fresh.find(["Trips", "20<b>19", "I <3 you"], make=False) == made
        assert await fresh.find(["Sandbox"], make=False) == 1
        assert await fresh.find([], below=7, make=False) == 7
        album = box.gallery.albums[made]
        assert album.name == ("I <3 you" if version >= "16" else "I < 3 you")
        assert album.status == "private"


async def test_of_albums_of_one_name_the_oldest_is_taken(tmp_path: Path) -> None:
    write_files(tmp_path, "Twin/a.jpg")
    async with Sandbox(albums=("Sandbox", "Other")) as box:
        oldest = box.gallery.make_album("Twin", 1)
        box.gallery.make_album("Twin", 1)
        await upload(box, tmp_path)
        assert [photo.file for photo in box.gallery.photos_in(oldest)] == ["a.jpg"]
