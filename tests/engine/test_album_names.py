"""What folders' albums are called: as Takeout says, as the gallery can hold it, each once."""

import json
import os
from pathlib import Path

import pytest

from bulkup.events import AlbumMade, FileSkipped, Noticed, PhotoPresent, PhotoUploaded, SkipReason
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.takeout import takeout_album
from tests.engine.test_albums import ADD, albums_of, write
from tests.support.runs import run

COMMENT = 'Mittag am "See"\nWasser < 15 °C & <b>kalt</b> 🗼'


def tell(folder: Path, title: str, description: str = "", *, name: str = "metadata.json") -> None:
    """Write what Takeout says of an album."""
    told = {"title": title, "description": description, "access": "protected"}
    (folder / name).write_text(json.dumps(told), "utf-8")


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_album_of_takeout_has_its_title_and_description_and_is_made_once(
    tmp_path: Path, version: str
) -> None:
    write(tmp_path, "Rome/a.jpg", "Rome/day 1/b.jpg", "Alps(1)/c.jpg", "plain/d.jpg")
    tell(tmp_path / "Rome", "Roman “holiday” <3", COMMENT)
    tell(tmp_path / "Alps(1)", "Alpen / Süd", name="Metadaten.json")
    rome = "Roman “holiday” <3" if version >= "16" else "Roman “holiday” < 3"
    async with Sandbox(version=version) as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
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
        again = await run(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
        assert len(box.gallery.albums) == 5
    skipped = {event.path.name: event.reason for event in outcome.of(FileSkipped)}
    assert skipped == dict.fromkeys(("metadata.json", "Metadaten.json"), SkipReason.SIDECAR)
    assert outcome.balances()
    assert not outcome.of(Noticed)
    assert not again.of(AlbumMade)
    assert not again.of(PhotoUploaded)
    assert len(again.of(PhotoPresent)) == 4


async def test_the_named_folder_itself_may_have_a_title(tmp_path: Path) -> None:
    write(tmp_path / "Rome", "a.jpg", "in/b.jpg")
    tell(tmp_path / "Rome", "Roman holiday")
    async with Sandbox() as box:
        await run(box, tmp_path / "Rome", tree=True, titles=takeout_album)
        assert albums_of(box) == {
            "Sandbox": [],
            "Sandbox/Roman holiday": ["a.jpg"],
            "Sandbox/Roman holiday/in": ["b.jpg"],
        }


async def test_without_anybody_to_tell_folders_give_the_names(tmp_path: Path) -> None:
    write(tmp_path, "Rome/a.jpg")
    tell(tmp_path / "Rome", "Roman holiday")
    async with Sandbox() as box:
        await run(box, tmp_path, tree=True, unwrap=True)
        assert albums_of(box)["Sandbox/Rome"] == ["a.jpg"]


async def test_an_album_of_that_title_that_is_there_is_taken_and_left_as_it_is(
    tmp_path: Path,
) -> None:
    write(tmp_path, "Rome/a.jpg")
    tell(tmp_path / "Rome", "Séjour", "mine")
    async with Sandbox() as box:
        made = box.gallery.add_album("Se\u0301jour", parent=1, comment="theirs")
        outcome = await run(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
        assert made.comment == "theirs"
        assert [photo.file for photo in box.gallery.photos_in(made.id)] == ["a.jpg"]
        assert len(box.gallery.albums) == 2
    assert not outcome.of(AlbumMade)


@pytest.mark.parametrize("kind", ["answer-lost", "504-after", "truncated"])
async def test_a_titled_album_is_found_again_after_a_lost_answer(
    tmp_path: Path, kind: Kind
) -> None:
    write(tmp_path, "Rome/a.jpg")
    tell(tmp_path / "Rome", "I <3 Roma 🗼", "A week")
    async with Sandbox(faults=Faults([Fault(kind, ADD, 0)])) as box:
        await run(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
        assert albums_of(box) == {"Sandbox": [], "Sandbox/I <3 Roma �": ["a.jpg"]}


@pytest.mark.parametrize("content", [b"\xff", b"[", b""])
async def test_what_tells_of_an_album_and_is_broken_is_told_once(
    tmp_path: Path, content: bytes
) -> None:
    write(tmp_path, "Rome/a.jpg", "Rome/b.jpg", "Rome/day 1/c.jpg")
    path = tmp_path / "Rome/metadata.json"
    path.write_bytes(content)
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
        assert albums_of(box)["Sandbox/Rome"] == ["a.jpg", "b.jpg"]
    (notice,) = outcome.of(Noticed)
    assert f"{path}: it is not JSON" in notice.message
    assert "called as its folder" in notice.hint
    assert outcome.balances()


@pytest.mark.parametrize("content", [b"{}", b'{"title": 7}', None])
async def test_what_tells_nothing_leaves_the_folder_its_name(
    tmp_path: Path, content: bytes | None
) -> None:
    write(tmp_path, "Rome/a.jpg")
    path = tmp_path / "Rome/metadata.json"
    if content is None:
        os.mkfifo(path)  # nobody ever writes into it
    else:
        path.write_bytes(content)
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
        assert albums_of(box)["Sandbox/Rome"] == ["a.jpg"]
    assert outcome.balances()
    assert not outcome.of(Noticed)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Sun 🌞", "Sun 🌅"),
        ("re\u0301sume\u0301", "résumé"),
        ("a\tb", "a b"),
        (" trip", "trip"),
        (os.fsdecode(b"\xe9t\xe9"), os.fsdecode(b"\xe8t\xe8")),
    ],
)
async def test_folders_that_become_one_album_are_both_named_once(
    tmp_path: Path, first: str, second: str
) -> None:
    write(tmp_path, f"{first}/a.jpg", f"{first}/b.jpg", f"{second}/c.jpg", f"{second}/d.jpg")
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True)
        assert len(box.gallery.albums) == 2
        (shared,) = (files for path, files in albums_of(box).items() if path != "Sandbox")
        assert shared == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    (notice,) = outcome.of(Noticed)
    assert str(tmp_path / first) in notice.message
    assert str(tmp_path / second) in notice.message
    assert "share one album" in notice.message
    assert len(outcome.of(AlbumMade)) == 1


@pytest.mark.parametrize("second", ["Rome (2)", "Rome"])
async def test_folders_of_one_title_are_not_told_to_be_renamed(
    tmp_path: Path, second: str
) -> None:
    write(tmp_path, "A/a.jpg", f"{second}/b.jpg")
    for folder in {"A", second} - {"Rome"}:
        (tmp_path / folder / "metadata.json").write_text('{"title": "Rome"}')
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True, titles=takeout_album)
        assert albums_of(box)["Sandbox/Rome"] == ["a.jpg", "b.jpg"]
    (notice,) = outcome.of(Noticed)
    assert "share one album" in notice.message
    assert "--no-sidecars" in notice.hint


async def test_the_folders_below_those_that_became_one_are_told_only_where_they_differ(
    tmp_path: Path,
) -> None:
    write(tmp_path, "🌞/in/a.jpg", "🌅/in/b.jpg", "🌅/in 🌅/c.jpg", "🌞/in 🌞/d.jpg")
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True)
        shown = albums_of(box)
    assert {path: files for path, files in shown.items() if files} == {
        "Sandbox/�/in": ["a.jpg", "b.jpg"],
        "Sandbox/�/in �": ["c.jpg", "d.jpg"],
    }
    assert len(outcome.of(Noticed)) == 2


async def test_folders_of_one_title_or_made_one_by_a_flag_are_named(tmp_path: Path) -> None:
    write(tmp_path, "Trip/a.jpg", "Trip(1)/b.jpg", "May_1/c.jpg", "May 1/d.jpg")
    for name in ("Trip", "Trip(1)"):
        tell(tmp_path / name, "Our trip")
    async with Sandbox() as box:
        outcome = await run(
            box, tmp_path, tree=True, unwrap=True, spaces=True, titles=takeout_album
        )
        assert albums_of(box) == {
            "Sandbox": [],
            "Sandbox/Our trip": ["a.jpg", "b.jpg"],
            "Sandbox/May 1": ["c.jpg", "d.jpg"],
        }
    assert len(outcome.of(Noticed)) == 2


async def test_what_a_gallery_can_tell_apart_stays_apart(tmp_path: Path) -> None:
    places = ("Été/a.jpg", "ete/b.jpg", "ETE/c.jpg", "ß/d.jpg", "ss/e.jpg", "�/f.jpg")
    write(tmp_path, *places)
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True)
        again = await run(box, tmp_path, tree=True, unwrap=True)
        shown = albums_of(box)
    assert shown == {"Sandbox": []} | {
        f"Sandbox/{place.partition('/')[0]}": [place.partition("/")[2]] for place in places
    }
    assert not outcome.of(Noticed)
    assert not again.of(AlbumMade)


async def test_folders_of_one_name_under_several_roots_share_an_album_silently(
    tmp_path: Path,
) -> None:
    write(tmp_path, "card 1/DCIM/a.jpg", "card 2/DCIM/b.jpg")
    roots = (tmp_path / "card 1", tmp_path / "card 2")
    async with Sandbox() as box:
        outcome = await run(box, *roots, tree=True, unwrap=True)
        assert albums_of(box)["Sandbox/DCIM"] == ["a.jpg", "b.jpg"]
    assert not outcome.of(Noticed)


@pytest.mark.parametrize("html", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
async def test_names_that_look_like_html_stay_apart_and_are_found_again(
    tmp_path: Path, version: str, *, html: bool
) -> None:
    names = ("<b>x", "<i>x", "x", "I <3 you", "I ", "<", "a <!-- b", "<\u00a0y>")
    write(tmp_path, *(f"{name}/{number}.jpg" for number, name in enumerate(names)))
    async with Sandbox(version=version, html=html) as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True)
        shown = albums_of(box)
        assert ("Sandbox/<b>x" in shown) == (html and version >= "16")
        again = await run(box, tmp_path, tree=True, unwrap=True)
        assert len(box.gallery.albums) == 1 + len(names)
    assert sorted(files for files in shown.values() if files) == [
        [f"{number}.jpg"] for number in range(len(names))
    ]
    assert not outcome.of(Noticed)
    assert not again.of(AlbumMade)
    assert not again.of(PhotoUploaded)
    assert all(not event.linked for event in again.of(PhotoPresent))


SPELL = "pwg.categories.setInfo"


@pytest.mark.parametrize("html", [True, False])
@pytest.mark.parametrize("nth", [0, 1])
@pytest.mark.parametrize("method", [ADD, SPELL])
@pytest.mark.parametrize("kind", ["answer-lost", "request-lost", "504-after"])
async def test_a_name_that_looks_like_html_is_made_once_whatever_is_lost(
    tmp_path: Path, kind: Kind, method: str, nth: int, *, html: bool
) -> None:
    write(tmp_path, "<b>x/a.jpg", "<i>y/b.jpg")
    async with Sandbox(faults=Faults([Fault(kind, method, nth)]), html=html) as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True)
        names = {album.name for album in box.gallery.albums.values()} - {"Sandbox"}
        assert names == ({"<b>x", "<i>y"} if html else {"< b>x", "< i>y"})
        again = await run(box, tmp_path, tree=True, unwrap=True)
        assert len(box.gallery.albums) == 3
    assert not outcome.of(Noticed)
    assert not again.of(AlbumMade)


class NoSpeller(Faults):
    """A server that dies over each album that is to be renamed."""

    def strike(self, method: str) -> Fault | None:
        return Fault("empty-500-before") if method == SPELL else None


async def test_a_name_that_can_not_be_spelled_as_it_is_is_told(tmp_path: Path) -> None:
    write(tmp_path, "<b>x/a.jpg")
    async with Sandbox(faults=NoSpeller()) as box:
        outcome = await run(box, tmp_path, tree=True, unwrap=True)
        again = await run(box, tmp_path, tree=True, unwrap=True)
        assert albums_of(box) == {"Sandbox": [], "Sandbox/< b>x": ["a.jpg"]}
    (notice,) = outcome.of(Noticed)
    assert "could not be spelled as it is" in notice.message
    assert not again.of(AlbumMade)
