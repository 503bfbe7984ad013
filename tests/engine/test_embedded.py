"""Metadata inside the files reaches the gallery, unless it reads that itself."""

from pathlib import Path

import pytest

from bulkup.engine.ledger_port import IPTC_FACTS, Fact, NoLedger
from bulkup.sandbox import Fault, Sandbox
from bulkup.source.metadata import Labels
from tests.support.embedded import dataset, iptc, write_jpeg
from tests.support.galleries import calls, tags_of
from tests.support.runs import OneReader, run

SET, LOOK = "pwg.images.setInfo", "pwg.images.getInfo"
each_method = pytest.mark.parametrize("method", ["async", "upload", "legacy"])
each_gallery = pytest.mark.parametrize("use_iptc", [False, True])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def write(folder: Path, name: str, *keywords: str, description: str = "") -> None:
    """Write a photo with IPTC data: its title is that name in capitals."""
    data = iptc(name.upper(), *keywords, description=description)
    write_jpeg(folder / f"{name}.jpg", data)


def names(box: Sandbox) -> dict[str, str]:
    return {photo.file: photo.name for photo in box.gallery.photos.values()}


@each_method
@each_gallery
async def test_whether_the_gallery_reads_iptc_shows_at_the_first_photos(
    folder: Path, method: str, use_iptc: bool
) -> None:
    for name in "abcd":
        write(folder, name, "sea", "sun", description=f"about {name}")
    ledger = NoLedger()
    async with Sandbox(use_iptc=use_iptc) as box:
        await run(
            box,
            folder,
            method=method,
            labels=Labels(),
            memory=ledger,
            concurrency=1,
            executor=OneReader(),
        )
        for photo in box.gallery.photos.values():
            stem = photo.file[0]
            assert photo.file == f"{stem}.jpg"
            assert (photo.name, photo.comment) == (stem.upper(), f"about {stem}")
            assert tags_of(box, photo) == {"sea", "sun"}
        # the first one is looked at; the others are complete when they are finished, or renamed
        assert calls(box)[SET] == (1 if method == "async" else 4)
        assert calls(box)[LOOK] == (method != "async")
    facts = await ledger.facts(max_age_s=1.0)
    assert facts == dict.fromkeys(IPTC_FACTS.values(), int(use_iptc)) | {
        fact: value for fact, value in facts.items() if fact not in IPTC_FACTS.values()
    }


async def test_keywords_that_the_gallery_takes_apart_are_added_as_they_are(folder: Path) -> None:
    for name in "ab":
        write(folder, name, "St. Moritz", "sea")
    async with Sandbox(use_iptc=True) as box:
        await run(
            box, folder, method="async", labels=Labels(), concurrency=1, executor=OneReader()
        )
        for photo in box.gallery.photos.values():
            assert tags_of(box, photo) == {"St", "Moritz", "sea", "St. Moritz"}


async def test_a_photo_that_shows_nothing_is_not_the_last_one_looked_at(folder: Path) -> None:
    write_jpeg(folder / "a.jpg", iptc("", "only keywords"))
    write(folder, "b", "sea")
    ledger = NoLedger()
    async with Sandbox(use_iptc=True) as box:
        await run(
            box,
            folder,
            method="async",
            labels=Labels(),
            memory=ledger,
            concurrency=1,
            executor=OneReader(),
        )
        assert names(box) == {"a.jpg": "a", "b.jpg": "B"}
        assert calls(box)[SET] == 2
    facts = await ledger.facts(max_age_s=1.0)
    assert {fact for fact in IPTC_FACTS.values() if fact in facts} == {
        Fact.IPTC_TITLE,
        Fact.IPTC_KEYWORDS,
    }


@each_method
async def test_the_time_of_a_photo_is_kept_where_the_gallery_reads_a_mere_day(
    folder: Path, method: str
) -> None:
    data = iptc("T") + dataset(2, 55, b"20180102")
    for name in "ab":
        data += dataset(2, 15, name.encode())
        write_jpeg(folder / f"{name}.jpg", data, exif=b"2018:01:02 03:04:05\0")
    async with Sandbox(use_iptc=True) as box:
        await run(box, folder, method=method, labels=Labels(), concurrency=1)
        dates = {photo.date_creation for photo in box.gallery.photos.values()}
        assert dates == {"2018-01-02 03:04:05"}


async def test_a_lost_answer_is_not_taken_for_a_gallery_that_reads_nothing(folder: Path) -> None:
    write(folder, "a", "sea")
    async with Sandbox(use_iptc=True) as box:
        box.faults.add(Fault("502", SET, 0))
        ledger = NoLedger()
        await run(box, folder, method="upload", labels=Labels(), memory=ledger)
        facts = await ledger.facts(max_age_s=1.0)
        assert facts[Fact.IPTC_TITLE] == facts[Fact.IPTC_KEYWORDS] == 1
        assert names(box) == {"a.jpg": "A"}
