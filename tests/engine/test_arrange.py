"""The order of albums, covers, the caddie and a link, at the end of a run."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from bulkup.engine import arrange as arrange_module
from bulkup.engine.arrange_options import Arrangement
from bulkup.events import ArrangementDiffers, Noticed, PhotoUploaded
from bulkup.piwigo import arrangement, methods, ranks
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.cells import TableFile
from bulkup.source.table import Table
from tests.support.galleries import calls
from tests.support.ledgers import ledger_of
from tests.support.photos import write_photo
from tests.support.runs import OneReader, Outcome, check, run

BY_NAME = Arrangement(sort="name", cover="none")
arrange = partial(run, finishing=1, concurrency=1, executor=OneReader())


def ordered(box: Sandbox, album: int = 1) -> list[str]:
    """Return the file names of an album by rank."""
    photos = box.gallery.photos_in(album)
    return [p.file for p in sorted(photos, key=lambda p: box.gallery.ranks.get((album, p.id), 0))]


def notices(outcome: Outcome) -> list[str]:
    return [event.message for event in outcome.of(Noticed)]


def write_all(folder: Path, *names: str) -> None:
    for name in names:
        write_photo(folder / name, name, exif="" if name < "b" else "2020:01:01 00:00:00")


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_album_is_sorted_with_the_photos_that_it_had(
    tmp_path: Path, version: str
) -> None:
    write_all(tmp_path, "a10.jpg", "a2.jpg", "É.jpg", "f🙂.jpg")
    async with Sandbox(version=version) as box:
        outcome = await arrange(box, tmp_path, arrangement=BY_NAME)
        assert ordered(box) == ["a2.jpg", "a10.jpg", "É.jpg", "f�.jpg"]
        told = [message for message in notices(outcome) if "order" in message]
        assert bool(told) == (box.gallery.release.major >= 14)
        box.gallery.albums[1].image_order = "`rank` ASC"
        write_all(tmp_path, "a1.jpg")
        outcome = await arrange(box, tmp_path, arrangement=BY_NAME)
        assert ordered(box)[:2] == ["a1.jpg", "a2.jpg"]
        assert not [message for message in notices(outcome) if "order" in message]
        asked = calls(box)["pwg.images.setRank"]
        outcome = await arrange(box, tmp_path, arrangement=BY_NAME)
        assert notices(outcome) == ["nothing was sorted: no album got photos"]
        assert calls(box)["pwg.images.setRank"] == asked


async def test_a_large_album_is_ranked_beyond_what_one_request_can_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "MOST_RANKED", 3)
    monkeypatch.setattr(methods, "PAGE", 2)
    names = [f"{number}.jpg" for number in range(7)]
    write_all(tmp_path, *reversed(names))
    async with Sandbox() as box:
        await arrange(box, tmp_path, arrangement=Arrangement(sort="date"))
        write_all(tmp_path, "10.jpg")
        await arrange(box, tmp_path, arrangement=BY_NAME)
        assert ordered(box) == [*names, "10.jpg"]
        there = [box.gallery.ranks[1, p.id] for p in box.gallery.photos_in(1)]
        assert len(set(there)) == 8


async def test_photos_in_the_right_order_are_not_ranked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "MOST_RANKED", 4)
    names = [f"{number}.jpg" for number in range(2, 14)]
    write_all(tmp_path, *names)
    async with Sandbox() as box:
        box.gallery.albums[1].image_order = "`rank` ASC"
        await arrange(box, tmp_path, arrangement=BY_NAME)
        box.requests.clear()
        write_all(tmp_path, "14.jpg")
        await arrange(box, tmp_path, arrangement=BY_NAME)  # it is the last one already
        assert not calls(box)["pwg.images.setRank"]
        write_all(tmp_path, "1.jpg", "9 a.jpg", "9 b.jpg")
        await arrange(box, tmp_path, arrangement=BY_NAME)
        wanted = ["1.jpg", *names[:7], "9 a.jpg", "9 b.jpg", *names[7:], "14.jpg"]
        assert ordered(box) == wanted
        assert calls(box)["pwg.images.setRank"] <= 8


async def test_covers_are_taken_from_files_or_chosen(tmp_path: Path) -> None:
    write_all(tmp_path / "one", "a.jpg", "Cover.JPG", "z.jpg")
    write_all(tmp_path / "two", "a.png.jpg", "b.jpg")
    async with Sandbox() as box:
        outcome = await arrange(box, tmp_path, tree=True, unwrap=True, arrangement=Arrangement())
        files = {event.image_id: event.path.name for event in outcome.of(PhotoUploaded)}

        def covers() -> dict[str, str | None]:
            return {
                album.name: files.get(album.representative or 0)
                for album in box.gallery.albums.values()
                if album.id > 1
            }

        assert covers() == {"one": "Cover.JPG", "two": "a.png.jpg"}
        write_all(tmp_path / "two", "c.jpg")
        for cover, chosen in (("newest", "d newest.jpg"), ("first", "a.png.jpg")):
            write_photo(tmp_path / "two" / f"d {cover}.jpg", cover)
            how = Arrangement(cover=cover)  # type: ignore[arg-type]
            outcome = await arrange(box, tmp_path, tree=True, unwrap=True, arrangement=how)
            files |= {event.image_id: event.path.name for event in outcome.of(PhotoUploaded)}
            assert covers() == {"one": "Cover.JPG", "two": chosen}


async def test_a_table_sorts_and_marks_covers(tmp_path: Path) -> None:
    names = ("a.jpg", "b.jpg", "c 'q' 🙂.jpg", "folder.jpg", "new.jpg")
    write_all(tmp_path, *names[:4])
    rows = ["path,rank,cover", f"{names[2]},1,", "b.jpg,20,yes", "a.jpg,3,", "new.jpg,2,"]
    file = tmp_path / "table.csv"
    file.write_text("\n".join(rows), encoding="utf-8")
    read = partial(Table, TableFile(file), roots=[tmp_path])
    marks = (await to_thread.run_sync(read)).mark_of
    how = Arrangement(sort="table")
    async with Sandbox() as box:
        outcome = await arrange(box, tmp_path, arrangement=how, marks=marks)
        ids = {event.path.name: event.image_id for event in outcome.of(PhotoUploaded)}
        assert ordered(box) == ["c 'q' �.jpg", "a.jpg", "b.jpg", "folder.jpg"]
        assert box.gallery.albums[1].representative == ids["b.jpg"]
        write_all(tmp_path, names[4])
        box.gallery.albums[1].representative = ids["a.jpg"]  # as chosen in the gallery
        await arrange(box, tmp_path, arrangement=how, marks=marks)
        assert ordered(box) == ["c 'q' �.jpg", "new.jpg", "a.jpg", "b.jpg", "folder.jpg"]
        assert box.gallery.albums[1].representative == ids["a.jpg"]
        box.gallery.albums[1].image_order = "`rank` ASC"
        verify = partial(check, box, tmp_path, quick=True, arrangement=how, marks=marks)
        (differs,) = (await verify()).of(ArrangementDiffers)
        assert differs.code == "other-cover"
        box.gallery.albums[1].representative = ids["b.jpg"]
        assert not (await verify()).of(ArrangementDiffers)
        box.gallery.ranks[1, ids["a.jpg"]] = 9
        (differs,) = (await verify()).of(ArrangementDiffers)
        assert differs.code == "unsorted"


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
@pytest.mark.parametrize("most", [900, 3])
async def test_new_albums_are_sorted_into_those_of_the_run(
    tmp_path: Path, version: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrangement, "MOST_SORTED", most)
    first, more = ("10 a", "2 'b'", "z"), ("1", "3 🙂", "zz")
    for name in first:
        write_all(tmp_path / name, f"{name}.jpg")
    async with Sandbox(version=version) as box:
        for name in ("x", "z", "y"):
            box.gallery.make_album(name, parent=1)

        def names() -> list[str]:
            albums = sorted(box.gallery.albums.values(), key=lambda album: album.order)
            return [album.name for album in albums if album.parent == 1]

        assert names() == ["y", "z", "x"]
        await arrange(box, tmp_path, tree=True, unwrap=True, arrangement=BY_NAME)
        assert names() == ["y", "2 'b'", "10 a", "z", "x"]
        for name in more:
            write_all(tmp_path / name, f"{name}.jpg")
        outcome = await arrange(box, tmp_path, tree=True, unwrap=True, arrangement=BY_NAME)
        assert names() == ["y", "1", "2 'b'", "3 �", "10 a", "z", "zz", "x"]
        assert not [message for message in notices(outcome) if "could not" in message]
        asked = calls(box)["pwg.categories.setRank"]
        await arrange(box, tmp_path, tree=True, unwrap=True, arrangement=BY_NAME)
        assert calls(box)["pwg.categories.setRank"] == asked


async def test_albums_stay_in_their_order_where_the_gallery_can_not_sort_them(
    tmp_path: Path,
) -> None:
    for name in ("9", "10"):
        write_all(tmp_path / name, f"{name}.jpg")
    async with Sandbox() as box:
        box.faults.add(Fault("501-method", "pwg.categories.setRank"))
        outcome = await arrange(
            box, tmp_path, tree=True, unwrap=True, arrangement=BY_NAME, retries=1
        )
        assert "the order of new albums could not be set" in " ".join(notices(outcome))


async def test_new_photos_are_put_into_the_caddie_and_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrange_module, "MOST_LINKED", 2)
    write_all(tmp_path, "a.jpg", "b.jpg")
    how = Arrangement(caddie=True, link=True)
    async with Sandbox() as box:
        outcome = await arrange(box, tmp_path, arrangement=how)
        assert list(box.gallery.caddies.values()) == [set(box.gallery.photos)]
        (message,) = [text for text in notices(outcome) if text.startswith("the new photos: ")]
        assert f"{box.url}index.php?/search/" in message
        outcome = await arrange(box, tmp_path, arrangement=how)
        assert not notices(outcome)
    for album in range(3):
        write_all(tmp_path / f"{album}", f"{album}.jpg")
    async with Sandbox() as box:
        outcome = await arrange(box, tmp_path, tree=True, arrangement=how)
        assert [text for text in notices(outcome) if text.startswith("the new photos: ")]


async def test_what_fails_is_reported_once_and_the_rest_is_done(tmp_path: Path) -> None:
    write_all(tmp_path / "one", "a.jpg", "folder.jpg")
    write_all(tmp_path / "two", "b.jpg", "folder.jpg")
    down = [Fault("empty-500-before", "pwg.images.setRank", nth) for nth in range(99)]
    how = replace(BY_NAME, cover="auto", caddie=True, link=True)
    async with Sandbox(version="13.8.0", faults=Faults(down)) as box:
        outcome = await arrange(box, tmp_path, tree=True, retries=1, arrangement=how)
        told = [text[:33] for text in notices(outcome)]
        assert told == ["the order of 2 albums could not b", "there is no link to the new photo"]
        assert sum(album.representative is not None for album in box.gallery.albums.values()) == 2
        assert list(box.gallery.caddies.values()) == [set(box.gallery.photos)]


async def test_what_failed_is_arranged_by_the_next_run_that_meets_the_photos(
    tmp_path: Path,
) -> None:
    folder, other = tmp_path / "photos", tmp_path / "other"
    write_all(folder, "a10.jpg", "a9.jpg")
    write_all(other, "z.jpg")
    down = [Fault("empty-500-before", "pwg.images.setRank", nth) for nth in range(2)]
    how = replace(BY_NAME, caddie=True)
    async with Sandbox(faults=Faults(down)) as box:
        for part in (folder, other, folder, folder):
            async with ledger_of(box, folder) as ledger:
                outcome = await arrange(box, part, arrangement=how, retries=1, memory=ledger)
            told = [text for text in notices(outcome) if "could not" in text]
            assert bool(told) == (calls(box)["pwg.images.setRank"] == 2)
            if told:
                box.gallery.caddies.clear()
        assert ordered(box) == ["a9.jpg", "a10.jpg", "z.jpg"]
        assert [len(caddie) for caddie in box.gallery.caddies.values()] == [3]
        assert notices(outcome) == ["nothing was sorted: no album got photos"]
