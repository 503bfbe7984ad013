"""The main promise without faults: every photo there once, byte for byte, nothing else."""

from collections import Counter
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkup.events import PhotoPresent, PhotoUploaded
from bulkup.sandbox import Sandbox
from tests.support.galleries import only_photo
from tests.support.photos import write_photo
from tests.support.runs import FOUR_METHODS, make_archive, run, stored_sums


@pytest.mark.parametrize(
    ("version", "method", "only", "count"),
    [
        ("16.4.0", "upload", None, 60),
        ("16.4.0", "async", None, 60),
        ("13.8.0", "auto", FOUR_METHODS, 24),
        ("17.0.0beta1", "auto", FOUR_METHODS, 24),
    ],
)
async def test_photos_of_few_names_all_arrive_whole_also_where_there_are_only_four_methods(
    tmp_path: Path, version: str, method: str, only: set[str] | None, count: int
) -> None:
    """Most of the photos take several chunks, and 16 are on their way at once."""
    archive = make_archive(tmp_path, count=count, names=6, size=(4000, 40_000))
    async with Sandbox(version=version, only=only) as box:
        outcome = await run(box, tmp_path, method=method, chunk_size=10_000, concurrency=16)
        assert stored_sums(box) == Counter(archive.values())
        assert len(outcome.of(PhotoUploaded)) == count
        assert not box.gallery.buffers
        assert outcome.balances()
        if only is None:
            stored = box.gallery.photos.values()
            assert Counter(photo.file for photo in stored) == Counter(p.name for p in archive)
            assert all(photo.albums == {1} for photo in stored)
            assert not box.gallery.lounge


async def test_photos_of_one_name_do_not_wait_for_each_other(tmp_path: Path) -> None:
    make_archive(tmp_path, count=4, names=1)
    async with Sandbox(finish_s=3600) as box, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(run, box, tmp_path, method="async", finishing=4))
        while box.finishing_peak < 4:  # no finish ends before that
            await checkpoint()
        tasks.cancel_scope.cancel()


async def test_photos_that_the_gallery_has_elsewhere_are_linked(tmp_path: Path) -> None:
    make_archive(tmp_path, count=5, names=5)
    async with Sandbox() as box:
        second = box.gallery.make_album("Second")
        await run(box, tmp_path)
        outcome = await run(box, tmp_path, album=second)
        assert all(event.linked for event in outcome.of(PhotoPresent))
        assert {frozenset(p.albums) for p in box.gallery.photos.values()} == {
            frozenset({1, second})
        }


@pytest.mark.parametrize("only", [None, FOUR_METHODS])
async def test_equal_contents_are_sent_once(tmp_path: Path, only: set[str] | None) -> None:
    (first, *_) = make_archive(tmp_path, count=3, names=3)
    for number in range(30):
        (tmp_path / f"twin {number}.jpg").write_bytes(first.read_bytes())
    async with Sandbox(only=only) as box:
        outcome = await run(box, tmp_path)
        assert max(stored_sums(box).values()) == 1
        assert (len(outcome.of(PhotoUploaded)), len(outcome.of(PhotoPresent))) == (3, 30)
        assert outcome.balances()


async def test_an_emoji_becomes_a_replacement_character(tmp_path: Path) -> None:
    write_photo(tmp_path / "sun 🌅.jpg", 1)
    async with Sandbox() as box:
        await run(box, tmp_path)
        assert only_photo(box).file == "sun �.jpg"


@pytest.mark.parametrize("method", ["upload", "async"])
async def test_the_privacy_level_is_set(tmp_path: Path, method: str) -> None:
    make_archive(tmp_path, count=2, names=2)
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, level=4)
        assert {photo.level for photo in box.gallery.photos.values()} == {4}


@pytest.mark.parametrize("chunk_size", [4096, 8192, 100_000])
async def test_a_tail_of_one_zero_digit_is_not_lost(tmp_path: Path, chunk_size: int) -> None:
    write_photo(tmp_path / "a.jpg", 1, size=8192, tail=b"0")
    async with Sandbox() as box:
        await run(box, tmp_path, method="upload", chunk_size=chunk_size)
        assert only_photo(box).size == 8193
