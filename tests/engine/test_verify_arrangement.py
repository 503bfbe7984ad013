"""Whether albums show their photos in the order, and with the cover, that they should have."""

from functools import partial
from pathlib import Path

import pytest

from bulkup.engine.arrange_options import Arrangement
from bulkup.events import ArrangementDiffers, PhotoChecked, RunFinished, Verdict
from bulkup.piwigo import methods
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.versions import VERSIONS
from tests.support.galleries import calls
from tests.support.photos import write_photo
from tests.support.runs import Outcome, check, run

BY_RANK = "`rank` ASC"
BY_NAME = Arrangement(sort="name", cover="none")
quickly = partial(check, quick=True)
upload = partial(run, finishing=1, concurrency=1)


def codes(outcome: Outcome) -> list[tuple[int | None, str]]:
    assert outcome.balances()
    assert outcome.of(RunFinished)
    return [(event.album, event.code) for event in outcome.of(ArrangementDiffers)]


def write_all(folder: Path, *names: str) -> None:
    for name in names:
        write_photo(folder / name, name)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_order_that_an_album_shows_is_verified(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "PAGE", 2)
    write_all(tmp_path, "a10.jpg", "a2.jpg", "b“{🙂.jpg", "c'.jpg")
    async with Sandbox(version=version) as box:
        await upload(box, tmp_path, arrangement=BY_NAME)
        for photo in box.gallery.photos.values():  # Piwigo shows the last added first
            photo.date_available = f"2026-01-01 00:00:{photo.id % 60:02}"
        outcome = await quickly(box, tmp_path, arrangement=BY_NAME)
        known = box.gallery.release.major >= 14
        assert codes(outcome) == [(1, "other-order" if known else "unsorted")]
        (event,) = outcome.of(ArrangementDiffers)
        assert "comes before “" in event.reason
        assert ("date_available DESC" in event.reason) == known
        assert f"{box.url}admin.php?page=album-1-sort_order" in event.hint
        box.gallery.albums[1].image_order = BY_RANK
        assert not codes(await quickly(box, tmp_path, arrangement=BY_NAME))
        ids = [photo.id for photo in box.gallery.photos.values()]
        box.gallery.ranks[1, ids[0]] = 99
        outcome = await quickly(box, tmp_path, arrangement=BY_NAME)
        assert codes(outcome) == [(1, "unsorted")]
        box.gallery.albums[1].image_order = "id ASC"  # as if the whole gallery were manual
        assert (1, "other-order") not in codes(await quickly(box, tmp_path, arrangement=BY_NAME))
        before = calls(box)["pwg.categories.getList"]
        await quickly(box, tmp_path)
        assert calls(box)["pwg.categories.getList"] == before


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
async def test_the_order_of_albums_is_verified(tmp_path: Path, version: str) -> None:
    for name in ("10", "2", "9 'q' 🙂/1", "9 'q' 🙂/b"):
        write_all(tmp_path / name, f"{name[-1]}.jpg")
    async with Sandbox(version=version) as box:
        box.gallery.make_album("1 other")
        put = partial(upload, box, tmp_path, tree=True, unwrap=True, album=0)
        look = partial(quickly, box, tmp_path, tree=True, unwrap=True, album=0)
        await put(arrangement=BY_NAME)
        for album in box.gallery.albums.values():
            album.image_order = BY_RANK
        assert not codes(await look(arrangement=BY_NAME))
        ids = {album.name[:2]: album.id for album in box.gallery.albums.values()}
        top = [album.id for album in box.gallery.albums.values() if not album.parent]
        box.gallery.order_albums([ids["10"], *(i for i in top if i != ids["10"])])
        box.gallery.order_albums([ids["b"], ids["1"]])
        outcome = await look(arrangement=BY_NAME)
        assert codes(outcome) == [(None, "albums-unsorted"), (ids["9 "], "albums-unsorted")]
        (event, _) = outcome.of(ArrangementDiffers)
        assert "at the top level are not sorted by name: “10” comes before “2”" in event.reason
        assert not codes(await look(arrangement=Arrangement(cover="first")))


async def test_a_swap_between_two_pages_is_found_and_equal_dates_are_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "PAGE", 2)
    write_all(tmp_path, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    async with Sandbox() as box:
        await upload(box, tmp_path)
        box.gallery.albums[1].image_order = BY_RANK
        ranks = {"1.jpg": 1, "3.jpg": 2, "2.jpg": 3, "4.jpg": 4}
        for photo in box.gallery.photos.values():
            box.gallery.ranks[1, photo.id] = ranks[photo.file]
            photo.date_creation = "2020-01-01 00:00:00"
        outcome = await quickly(box, tmp_path, arrangement=BY_NAME)
        (event,) = outcome.of(ArrangementDiffers)
        assert "not sorted by name: “3.jpg” comes before “2.jpg”" in event.reason
        by_date = Arrangement(sort="date", cover="none")
        assert not codes(await quickly(box, tmp_path, arrangement=by_date))


async def test_covers_are_verified(tmp_path: Path) -> None:
    write_all(tmp_path / "one", "a.jpg", "Cover.JPG", "z.jpg")
    write_all(tmp_path / "two", "a.jpg.jpg", "b.jpg")
    async with Sandbox() as box:
        put = partial(upload, box, tmp_path, tree=True, unwrap=True)
        look = partial(quickly, box, tmp_path, tree=True, unwrap=True, album=0)
        await put(album=0, arrangement=Arrangement())
        one, two = (a.id for a in box.gallery.albums.values() if a.name in {"one", "two"})
        ids = {photo.file: photo.id for photo in box.gallery.photos.values()}
        for cover in ("auto", "none"):
            how = Arrangement(cover=cover)
            assert not codes(await look(arrangement=how))
        for photo in box.gallery.photos.values():
            photo.date_creation = f"20{photo.id % 90 + 10}-01-01 00:00:00"
        outcome = await look(arrangement=Arrangement(cover="first"))
        assert codes(outcome) == [(one, "other-cover")]
        assert (
            f"not photo {ids['a.jpg']}: it is photo {ids['Cover.JPG']}"
            in outcome.of(ArrangementDiffers)[0].reason
        )
        box.gallery.albums[two].representative = None
        outcome = await look(arrangement=Arrangement(cover="newest"))
        assert (two, "other-cover") in codes(outcome)
        box.gallery.albums[one].representative = ids["z.jpg"]
        assert codes(await look(arrangement=Arrangement())) == [(one, "other-cover")]


async def test_what_cannot_be_checked_is_reported(tmp_path: Path) -> None:
    write_all(tmp_path, "a.jpg", "b.jpg")
    down = [Fault("empty-500-before", "pwg.categories.getList", nth) for nth in range(99)]
    faults = Faults(down)
    async with Sandbox(faults=faults) as box:
        await upload(box, tmp_path)
        outcome = await quickly(box, tmp_path, retries=1, arrangement=BY_NAME)
        assert codes(outcome) == [(None, "albums-unchecked")]
        assert all(event.verdict is Verdict.PRESENT for event in outcome.of(PhotoChecked))


async def test_an_album_that_cannot_be_listed_again_is_reported(tmp_path: Path) -> None:
    write_all(tmp_path, "a.jpg", "b.jpg")
    async with Sandbox() as box:
        await upload(box, tmp_path)
        await quickly(box, tmp_path)
        first = calls(box)["pwg.categories.getImages"]
    down = [Fault("empty-500-before", "pwg.categories.getImages", first + n) for n in range(99)]
    async with Sandbox(faults=Faults(down)) as box:
        await upload(box, tmp_path)
        outcome = await quickly(box, tmp_path, retries=1, arrangement=BY_NAME)
        assert codes(outcome) == [(1, "album-unchecked")]
