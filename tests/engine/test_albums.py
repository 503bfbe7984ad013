"""Folders become albums: which ones, what they are called, and never made twice."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup import events
from bulkup.engine.albums import ROOT, Albums, FolderAlbums
from bulkup.engine.retry import Policy, Recovery
from bulkup.errors import PhotoError, RunError
from bulkup.piwigo.connect import connect
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.renames import read_rename
from tests.support.galleries import albums_of, calls
from tests.support.ledgers import run_with_ledger
from tests.support.photos import takeout_album, write_album_title, write_files
from tests.support.runs import ADMIN, no_wait, run

ADD, SPELL = "pwg.categories.add", "pwg.categories.setInfo"
upload = partial(run, tree=True, unwrap=True, titles=takeout_album)
COMMENT = 'Mittag am "See"\nWasser < 15 °C & <b>kalt</b> 🗼'
PHOTOS = Path("/archive/photos")


def tree(*roots: Path, base: int = 9, **how: Any) -> FolderAlbums:  # noqa: ANN401
    return FolderAlbums(roots=roots or [PHOTOS], base=base, tree=True, **how)


def names(folder_albums: FolderAlbums, photo: Path) -> tuple[str, ...]:
    """Return what the albums on the way to a photo's are called."""
    return tuple(folder_albums.name(step.spelled) for step in folder_albums.path_to(photo))


NO_YEAR = read_rename(r"^\d{4}$=>", flag="")
BARE = tree(unwrap=True)
SPACED = tree(unwrap=True, spaces=True)


@pytest.mark.parametrize(
    ("folder_albums", "photo", "expected"),
    [
        pytest.param(FolderAlbums(roots=[PHOTOS], base=9), PHOTOS / "a/c.jpg", (), id="no tree"),
        (tree(), PHOTOS / "2019/May/c.jpg", ("photos", "2019", "May")),
        (tree(), PHOTOS / "c.jpg", ("photos",)),
        (BARE, PHOTOS / "2019/c.jpg", ("2019",)),
        (BARE, PHOTOS / "c.jpg", ()),
        (tree(base=ROOT, unwrap=True), PHOTOS / "2019/c.jpg", ("2019",)),
        pytest.param(tree(PHOTOS / "a/c.jpg"), PHOTOS / "a/c.jpg", (), id="a photo is the root"),
        pytest.param(tree(Path("/")), Path("/a/c.jpg"), ("a",), id="the disk has no name"),
        # a photo from a list has the folders of its line
        (tree(), Path("2019/May/c.jpg"), ("2019", "May")),
        (tree(), Path("../other/c.jpg"), ("other",)),
        (tree(), Path("/mnt/takeout.zip/Trip/c.jpg"), ("Trip",)),
        (tree(), Path("c.jpg"), ()),
        # names keep their spelling but for what is asked
        (BARE, PHOTOS / "Été_à_la_<mer> & “co”/c.jpg", ("Été_à_la_<mer> & “co”",)),
        (SPACED, PHOTOS / "Été_à_la_<mer> & “co”/c.jpg", ("Été à la <mer> & “co”",)),
        (SPACED, PHOTOS / "__/c.jpg", ("_",)),
        # so many levels, of the folders that become albums
        (tree(levels=2), PHOTOS / "2019/May/Rome/c.jpg", ("photos", "2019")),
        (tree(levels=2, unwrap=True), PHOTOS / "2019/May/Rome/c.jpg", ("2019", "May")),
        (tree(levels=2, unwrap=True), PHOTOS / "2019/c.jpg", ("2019",)),
        (tree(levels=1, renames=[NO_YEAR]), PHOTOS / "2019/May/c.jpg", ("photos",)),
        (tree(levels=1, unwrap=True, renames=[NO_YEAR]), PHOTOS / "2019/May/c.jpg", ("May",)),
        (tree(levels=1), Path("/mnt/a.zip/Takeout/Google Photos/Trip/In/c.jpg"), ("Trip",)),
    ],
)
def test_a_photo_goes_to_the_albums_of_its_folders(
    folder_albums: FolderAlbums, photo: Path, expected: tuple[str, ...]
) -> None:
    assert names(folder_albums, photo) == expected


def test_each_step_is_the_folder_that_it_comes_from_also_of_a_relative_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = PHOTOS / "2019" / "May" / "c.jpg"
    folders = [PHOTOS, PHOTOS / "2019", PHOTOS / "2019" / "May"]
    assert [step.folder for step in tree().path_to(photo)] == folders
    assert [step.folder for step in BARE.path_to(photo)] == folders[1:]
    listed = tree().path_to(Path("../other/in/c.jpg"))
    assert [step.folder for step in listed] == [Path("../other"), Path("../other/in")]
    (tmp_path / "Holidays" / "day 1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "Holidays")
    relative = [(step.folder, step.spelled) for step in tree(Path()).path_to(Path("day 1/c.jpg"))]
    assert relative == [(Path(), "Holidays"), (Path("day 1"), "day 1")]
    assert names(tree(Path("..")), Path("../Holidays/c.jpg")) == (tmp_path.name, "Holidays")


folder_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name not in {".", ".."})


@given(st.lists(folder_names, max_size=8), st.booleans(), st.booleans())
def test_every_folder_has_a_name_that_can_be_sent(
    folders: list[str], unwrap: bool, spaces: bool
) -> None:
    photo = PHOTOS.joinpath(*folders, "c.jpg")
    found = names(tree(unwrap=unwrap, spaces=spaces), photo)
    assert len(found) == len(folders) + (not unwrap)
    assert all(name.strip() and name.encode() for name in found)


# they are made once, whatever fails


async def test_the_ledger_spares_the_second_run_all_but_a_look_at_each_album(
    box: Sandbox, folder: Path
) -> None:
    write_files(folder, "a/x.jpg", "b/y.jpg")
    await run_with_ledger(box, folder, tree=True, unwrap=True)
    before = len(box.requests)
    outcome = await run_with_ledger(box, folder, tree=True, unwrap=True)
    asked = calls(box, since=before)
    assert asked["pwg.categories.getImages"] == 2
    assert asked["pwg.categories.getAdminList"] == 1
    assert not asked.keys() & {"pwg.images.uploadAsync", ADD, "pwg.images.setCategory"}
    assert len(outcome.of(events.PhotoPresent)) == 2


async def test_photos_of_albums_that_cannot_be_made_fail_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, "a/x.jpg", "b/y.jpg")
    faults = Faults([Fault("answer-lost", ADD, 0)] + [Fault("503", ADD, n) for n in range(1, 99)])
    async with Sandbox(faults=faults) as box:
        outcome = await upload(box, tmp_path, retries=2)
        shown = albums_of(box)
    (failed,) = outcome.of(events.PhotoFailed)
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


# what they are called: as Takeout says, as the gallery can hold it


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_tree_arrives_as_albums_of_its_names_or_titles_which_are_made_once(
    tmp_path: Path, version: str
) -> None:
    write_files(tmp_path, "top.jpg", "<i>&'q\"/a.jpg", "<i>&'q\"/b.jpg", "2019/May/c.jpg")
    write_files(tmp_path, "Rome/d.jpg", "Rome/day 1/e.jpg", "Alps(1)/f.jpg")
    write_album_title(tmp_path / "Rome", "Roman “holiday” <3", COMMENT)
    write_album_title(tmp_path / "Alps(1)", "Alpen / Süd", name="Metadaten.json")
    # 13 takes nothing like HTML in names, 14 and 15 do not list it
    less_than = "<" if version >= "16" else "< "
    rome = f"Roman “holiday” {less_than}3"
    async with Sandbox(version=version) as box:
        outcome = await upload(box, tmp_path)
        assert albums_of(box) == {
            "Sandbox": ["top.jpg"],
            f"Sandbox/{less_than}i>&'q\"": ["a.jpg", "b.jpg"],
            "Sandbox/2019": [],
            "Sandbox/2019/May": ["c.jpg"],
            f"Sandbox/{rome}": ["d.jpg"],
            f"Sandbox/{rome}/day 1": ["e.jpg"],
            "Sandbox/Alpen / Süd": ["f.jpg"],
        }
        comments = {album.name: album.comment for album in box.gallery.albums.values()}
        comment = COMMENT.replace("🗼", "�")
        if version.startswith("13"):  # it removes HTML from comments
            comment = comment.replace("<b>", "< b>").replace("</b>", "< /b>")
        assert comments[rome] == comment
        assert comments["Alpen / Süd"] is None
        again = await upload(box, tmp_path)
        assert len(box.gallery.albums) == 7
    skipped = {event.path.name: event.reason for event in outcome.of(events.FileSkipped)}
    assert skipped == dict.fromkeys(("metadata.json", "Metadaten.json"), events.SkipReason.SIDECAR)
    assert outcome.balances()
    assert len(outcome.of(events.AlbumMade)) == 6
    assert not outcome.of(events.Noticed)
    assert not again.of(events.AlbumMade)
    assert not again.of(events.PhotoUploaded)
    assert len(again.of(events.PhotoPresent)) == 7


async def test_the_oldest_album_of_that_title_is_taken_and_left_as_it_is(
    box: Sandbox, tmp_path: Path
) -> None:
    write_files(tmp_path, "Rome/a.jpg")
    write_album_title(tmp_path / "Rome", "Séjour", "mine")
    oldest = box.gallery.add_album("Se\u0301jour", parent=1, comment="theirs")
    box.gallery.make_album("Se\u0301jour", 1)
    outcome = await upload(box, tmp_path)
    assert oldest.comment == "theirs"
    assert [photo.file for photo in box.gallery.photos_in(oldest.id)] == ["a.jpg"]
    assert len(box.gallery.albums) == 3
    assert not outcome.of(events.AlbumMade)


@pytest.mark.parametrize(
    ("content", "broken"),
    [(b"\xff", True), (b"[", True), (b"", True), (b"{}", False), (b'{"title": 7}', False)],
)
async def test_what_has_no_title_leaves_the_folder_its_name_and_is_reported_once_if_it_is_broken(
    box: Sandbox, tmp_path: Path, content: bytes, broken: bool
) -> None:
    write_files(tmp_path, "Rome/a.jpg", "Rome/b.jpg", "Rome/day 1/c.jpg")
    path = tmp_path / "Rome/metadata.json"
    path.write_bytes(content)
    outcome = await upload(box, tmp_path)
    assert albums_of(box)["Sandbox/Rome"] == ["a.jpg", "b.jpg"]
    assert outcome.balances()
    notices = outcome.of(events.Noticed)
    assert len(notices) == broken
    assert all(f"{path}: it is not JSON" in notice.message for notice in notices)
    assert all("named after its folder" in notice.hint for notice in notices)


@pytest.mark.parametrize(
    ("first", "second", "titled"),
    [
        ("Sun 🌞", "Sun 🌅", ()),
        ("re\u0301sume\u0301", "résumé", ()),
        ("a\tb", "a b", ()),
        (" trip", "trip", ()),
        (os.fsdecode(b"\xe9t\xe9"), os.fsdecode(b"\xe8t\xe8"), ()),
        ("May_1", "May 1", ()),
        ("A", "Rome (2)", ("A", "Rome (2)")),
        ("A", "Rome", ("A",)),
    ],
)
async def test_folders_that_become_one_album_are_both_named_once(
    box: Sandbox, tmp_path: Path, first: str, second: str, titled: tuple[str, ...]
) -> None:
    write_files(tmp_path, *(f"{first}/{name}.jpg" for name in "ab"), f"{second}/c.jpg")
    for name in titled:
        write_album_title(tmp_path / name, "Rome")
    outcome = await upload(box, tmp_path, spaces=first == "May_1")
    shown = albums_of(box)
    assert [files for path, files in shown.items() if path != "Sandbox"] == [
        ["a.jpg", "b.jpg", "c.jpg"]
    ]
    (notice,) = outcome.of(events.Noticed)
    assert str(tmp_path / first) in notice.message
    assert str(tmp_path / second) in notice.message
    assert "share one album" in notice.message
    assert ("--no-sidecars" in notice.hint) == bool(titled)
    assert len(outcome.of(events.AlbumMade)) == 1


async def test_folders_in_those_that_became_one_are_reported_if_they_differ_and_equal_ones_never(
    box: Sandbox, tmp_path: Path
) -> None:
    first, second = tmp_path / "card 1", tmp_path / "card 2"
    write_files(first, "🌞/in/a.jpg", "🌅/in/b.jpg", "🌅/in 🌅/c.jpg", "🌞/in 🌞/d.jpg")
    write_files(tmp_path, "card 1/DCIM/e.jpg", "card 2/DCIM/f.jpg")
    outcome = await upload(box, first, second)
    assert {path: files for path, files in albums_of(box).items() if files} == {
        "Sandbox/�/in": ["a.jpg", "b.jpg"],
        "Sandbox/�/in �": ["c.jpg", "d.jpg"],
        "Sandbox/DCIM": ["e.jpg", "f.jpg"],
    }
    assert len(outcome.of(events.Noticed)) == 2


@pytest.mark.parametrize("html", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
async def test_what_a_gallery_can_tell_apart_stays_apart_and_is_found_again(
    tmp_path: Path, version: str, *, html: bool
) -> None:
    html_like = ("<b>x", "<i>x", "x", "I <3 you", "I ", "<", "a <!-- b", "<\u00a0y>")
    names = (*html_like, "Été", "ete", "ETE", "ß", "ss", "�")
    write_files(tmp_path, *(f"{name}/{number}.jpg" for number, name in enumerate(names)))
    async with Sandbox(version=version, html=html) as box:
        outcome = await upload(box, tmp_path)
        shown = albums_of(box)
        assert ("Sandbox/<b>x" in shown) == (html and version >= "16")
        again = await upload(box, tmp_path)
        assert len(box.gallery.albums) == 1 + len(names)
    shown.pop("Sandbox")
    assert {*map(tuple, shown.values())} == {(f"{number}.jpg",) for number in range(len(names))}
    assert not outcome.of(events.Noticed)
    assert not again.of(events.AlbumMade)
    assert not again.of(events.PhotoUploaded)
    assert all(not event.linked for event in again.of(events.PhotoPresent))


@pytest.mark.parametrize(
    ("method", "nth", "html"),
    [
        *((ADD, nth, True) for nth in range(4)),
        *((SPELL, nth, html) for nth in (0, 1) for html in (True, False)),
    ],
)
@pytest.mark.parametrize("kind", ["answer-lost", "request-lost", "504-after", "503", "truncated"])
async def test_an_album_is_never_made_twice_whatever_becomes_of_an_answer(
    tmp_path: Path, kind: Kind, method: str, nth: int, *, html: bool
) -> None:
    write_files(tmp_path, "a/x.jpg", "a/b/y.jpg", "<b>x/z.jpg", "Rome/w.jpg")
    write_album_title(tmp_path / "Rome", "I <3 Roma 🗼", "A week")
    async with Sandbox(faults=Faults([Fault(kind, method, nth)]), html=html) as box:
        outcome = await upload(box, tmp_path)
        assert {album.name for album in box.gallery.albums.values()} == {
            *("Sandbox", "a", "b"),
            *(("<b>x", "I <3 Roma �") if html else ("< b>x", "I < 3 Roma �")),
        }
        assert sorted(map(len, albums_of(box).values())) == [0, 1, 1, 1, 1]
        again = await upload(box, tmp_path)
    assert outcome.balances()
    assert not outcome.of(events.Noticed)
    assert not again.of(events.AlbumMade)


async def test_a_name_that_can_not_be_spelled_as_it_is_is_reported(tmp_path: Path) -> None:
    write_files(tmp_path, "<b>x/a.jpg")
    async with Sandbox(faults=Faults([Fault("empty-500-before", SPELL)])) as box:
        outcome = await upload(box, tmp_path)
        again = await upload(box, tmp_path)
        assert albums_of(box) == {"Sandbox": [], "Sandbox/< b>x": ["a.jpg"]}
    (notice,) = outcome.of(events.Noticed)
    assert "could not be stored exactly" in notice.message
    assert not again.of(events.AlbumMade)
