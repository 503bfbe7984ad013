"""Ranking the photos of an album: any order is reached from any other, by few requests."""

from pathlib import Path
from random import Random

import pytest

from bulkup.piwigo import ranks
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.connect import connect
from bulkup.sandbox import Sandbox
from tests.support.galleries import calls
from tests.support.runs import ADMIN, make_archive, run

COUNT = 14
SET_RANK = "pwg.images.setRank"


async def order_of(server: PiwigoServer) -> list[int]:
    """Return the photos as an album by rank shows them."""
    return [photo.photo_id async for photo in server.album_photos(1)]


def places(box: Sandbox) -> list[int]:
    return [box.gallery.ranks[1, photo.id] for photo in box.gallery.photos_in(1)]


@pytest.mark.parametrize("known", [True, False])
async def test_any_order_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(ranks, "MOST_RANKED", 4)
    make_archive(tmp_path, count=COUNT, names=COUNT)
    chance = Random(21)
    async with Sandbox() as box:
        box.gallery.albums[1].image_order = "`rank` ASC"
        await run(box, tmp_path)
        ids = sorted(box.gallery.photos)
        async with connect(box.url, credentials=ADMIN) as server:
            for number in range(150):
                kind = number % 5
                top = COUNT if kind == 0 else 40  # without gaps, or with many
                values = chance.sample(range(1, top + 1), COUNT)
                if kind == 1:
                    values = [chance.randint(1, 6) for _ in ids]
                for photo, value in zip(ids, values, strict=True):
                    box.gallery.ranks[1, photo] = value
                wanted = [*await order_of(server)]
                if kind in {2, 3}:
                    wanted.insert(chance.randrange(COUNT), wanted.pop(chance.randrange(COUNT)))
                elif kind == 4:
                    chance.shuffle(wanted)
                present = await order_of(server) if known else []
                await server.set_order(wanted, album=1, present=present)
                assert await order_of(server) == wanted, f"{number}: {values}"
                if kind != 1:
                    assert len(set(places(box))) == COUNT, f"{number}: {values}"


async def test_only_new_photos_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "MOST_RANKED", 4)
    make_archive(tmp_path, count=COUNT, names=COUNT)
    async with Sandbox() as box:
        box.gallery.albums[1].image_order = "`rank` ASC"
        await run(box, tmp_path)
        async with connect(box.url, credentials=ADMIN) as server:
            first = await order_of(server)
            new = first[-2:]
            wanted = [*first[:6], new[0], *first[6:9], new[1], *first[9:-2]]
            before = calls(box)[SET_RANK]
            await server.set_order(wanted, album=1, present=first)
            assert await order_of(server) == wanted
            assert calls(box)[SET_RANK] - before == 1 + 2 + 1
            before = calls(box)[SET_RANK]
            await server.set_order(wanted, album=1, present=wanted)
            assert calls(box)[SET_RANK] - before == 1
