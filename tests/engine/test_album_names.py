"""What folders' albums are called: as Takeout says, as the gallery can hold it, each once."""

import os
from functools import partial
from pathlib import Path

import pytest

from bulkup.events import AlbumMade, FileSkipped, Noticed, PhotoPresent, PhotoUploaded, SkipReason
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.takeout import takeout_album
from tests.support.galleries import albums_of
from tests.support.photos import write_album_title, write_files
from tests.support.runs import run

upload = partial(run, tree=True, unwrap=True, titles=takeout_album)
ADD, SPELL = "pwg.categories.add", "pwg.categories.setInfo"
COMMENT = 'Mittag am "See"\nWasser < 15 °C & <b>kalt</b> 🗼'


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_album_of_takeout_has_its_title_and_description_and_is_made_once(
    tmp_path: Path, version: str
) -> None:
    write_files(tmp_path, "Rome/a.jpg", "Rome/day 1/b.jpg", "Alps(1)/c.jpg", "plain/d.jpg")
    write_album_title(tmp_path / "Rome", "Roman “holiday” <3", COMMENT)
    write_album_title(tmp_path / "Alps(1)", "Alpen / Süd", name="Metadaten.json")
    rome = "Roman “holiday” <3" if version >= "16" else "Roman “holiday” < 3"
    async with Sandbox(version=version) as box:
        outcome = await upload(box, tmp_path)
        assert albums_of(box) == {
            "Sandbox": [],
            f"Sandbox/{rome}": ["a.jpg"],
            f"Sandbox/{rome}/day 1": ["b.jpg"],
            "Sandbox/Alpen / Süd": ["c.jpg"],
            "Sandbox/plain": ["d.jpg"],
        }
        comments = {album.name: album.comment for album in box.gallery.albums.values()}
        comment = COMMENT.replace("🗼", "�")
        if version.startswith("13"):  # it removes HTML from comments
            comment = comment.replace("<b>", "< b>").replace("</b>", "< /b>")
        assert comments[rome] == comment
        assert comments["Alpen / Süd"] is None
        again = await upload(box, tmp_path)
        assert len(box.gallery.albums) == 5
    skipped = {event.path.name: event.reason for event in outcome.of(FileSkipped)}
    assert skipped == dict.fromkeys(("metadata.json", "Metadaten.json"), SkipReason.SIDECAR)
    assert outcome.balances()
    assert not outcome.of(Noticed)
    assert not again.of(AlbumMade)
    assert not again.of(PhotoUploaded)
    assert len(again.of(PhotoPresent)) == 4


async def test_an_album_of_that_title_that_is_there_is_taken_and_left_as_it_is(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, "Rome/a.jpg")
    write_album_title(tmp_path / "Rome", "Séjour", "mine")
    async with Sandbox() as box:
        made = box.gallery.add_album("Se\u0301jour", parent=1, comment="theirs")
        outcome = await upload(box, tmp_path)
        assert made.comment == "theirs"
        assert [photo.file for photo in box.gallery.photos_in(made.id)] == ["a.jpg"]
        assert len(box.gallery.albums) == 2
    assert not outcome.of(AlbumMade)


@pytest.mark.parametrize(
    ("content", "broken"),
    [(b"\xff", True), (b"[", True), (b"", True), (b"{}", False), (b'{"title": 7}', False)],
)
async def test_what_tells_no_title_leaves_the_folder_its_name_and_is_reported_once_if_it_is_broken(
    tmp_path: Path, content: bytes, broken: bool
) -> None:
    write_files(tmp_path, "Rome/a.jpg", "Rome/b.jpg", "Rome/day 1/c.jpg")
    path = tmp_path / "Rome/metadata.json"
    path.write_bytes(content)
    async with Sandbox() as box:
        outcome = await upload(box, tmp_path)
        assert albums_of(box)["Sandbox/Rome"] == ["a.jpg", "b.jpg"]
    assert outcome.balances()
    notices = outcome.of(Noticed)
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
    tmp_path: Path, first: str, second: str, titled: tuple[str, ...]
) -> None:
    write_files(tmp_path, *(f"{first}/{name}.jpg" for name in "ab"), f"{second}/c.jpg")
    for name in titled:
        write_album_title(tmp_path / name, "Rome")
    async with Sandbox() as box:
        outcome = await upload(box, tmp_path, spaces=first == "May_1")
        shown = albums_of(box)
    assert [files for path, files in shown.items() if path != "Sandbox"] == [
        ["a.jpg", "b.jpg", "c.jpg"]
    ]
    (notice,) = outcome.of(Noticed)
    assert str(tmp_path / first) in notice.message
    assert str(tmp_path / second) in notice.message
    assert "share one album" in notice.message
    assert ("--no-sidecars" in notice.hint) == bool(titled)
    assert len(outcome.of(AlbumMade)) == 1


async def test_the_folders_below_those_that_became_one_are_reported_only_where_they_differ(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, "🌞/in/a.jpg", "🌅/in/b.jpg", "🌅/in 🌅/c.jpg", "🌞/in 🌞/d.jpg")
    async with Sandbox() as box:
        outcome = await upload(box, tmp_path)
        shown = albums_of(box)
    assert {path: files for path, files in shown.items() if files} == {
        "Sandbox/�/in": ["a.jpg", "b.jpg"],
        "Sandbox/�/in �": ["c.jpg", "d.jpg"],
    }
    assert len(outcome.of(Noticed)) == 2


async def test_folders_of_one_name_under_several_roots_share_an_album_silently(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, "card 1/DCIM/a.jpg", "card 2/DCIM/b.jpg")
    roots = (tmp_path / "card 1", tmp_path / "card 2")
    async with Sandbox() as box:
        outcome = await run(box, *roots, tree=True, unwrap=True)
        assert albums_of(box)["Sandbox/DCIM"] == ["a.jpg", "b.jpg"]
    assert not outcome.of(Noticed)


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
    assert not outcome.of(Noticed)
    assert not again.of(AlbumMade)
    assert not again.of(PhotoUploaded)
    assert all(not event.linked for event in again.of(PhotoPresent))


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
    assert not outcome.of(Noticed)
    assert not again.of(AlbumMade)


async def test_a_name_that_can_not_be_spelled_as_it_is_is_reported(tmp_path: Path) -> None:
    write_files(tmp_path, "<b>x/a.jpg")
    async with Sandbox(faults=Faults([Fault("empty-500-before", SPELL)])) as box:
        outcome = await upload(box, tmp_path)
        again = await upload(box, tmp_path)
        assert albums_of(box) == {"Sandbox": [], "Sandbox/< b>x": ["a.jpg"]}
    (notice,) = outcome.of(Noticed)
    assert "could not be stored exactly" in notice.message
    assert not again.of(AlbumMade)
