"""The main promise without faults: every photo there once, byte for byte, nothing else."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkup.events import PhotoPresent, PhotoUploaded
from bulkup.sandbox import Sandbox
from tests.support.galleries import only_photo
from tests.support.photos import write_photo
from tests.support.runs import FOUR_METHODS, make_archive, run, stored_sums


@pytest.mark.parametrize(
    ("version", "method", "only"),
    [
        ("16.4.0", "upload", None),
        ("16.4.0", "async", None),
        ("13.8.0", "auto", FOUR_METHODS),
        ("17.0.0beta1", "auto", FOUR_METHODS),
    ],
)
async def test_photos_arrive_whole_and_equal_ones_once_also_where_there_are_only_four_methods(
    tmp_path: Path, version: str, method: str, only: set[str] | None
) -> None:
    """Most of the photos take several chunks, and 16 are on their way at once."""
    archive = make_archive(tmp_path, count=30, names=6, size=(4000, 40_000))
    content = next(iter(archive)).read_bytes()
    for number in range(30):
        (tmp_path / f"twin {number}.jpg").write_bytes(content)
    options: dict[str, Any] = {"chunk_size": 10_000, "concurrency": 16, "level": 4}
    async with Sandbox(version=version, only=only) as box:
        outcome = await run(box, tmp_path, method=method, **options)
        assert stored_sums(box) == Counter(archive.values())
        assert (len(outcome.of(PhotoUploaded)), len(outcome.of(PhotoPresent))) == (30, 30)
        assert not box.gallery.buffers
        assert outcome.balances()
        stored = box.gallery.photos.values()
        assert {photo.level for photo in stored} == {4}
        if only is None:
            assert all(photo.albums == {1} for photo in stored)
            assert not box.gallery.lounge


async def test_photos_of_one_name_do_not_wait_for_each_other(tmp_path: Path) -> None:
    make_archive(tmp_path, count=4, names=1)
    async with Sandbox(finish_s=3600) as box, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(run, box, tmp_path, method="async", finishing=4))
        while box.finishing_peak < 4:  # no finish ends before that
            await checkpoint()
        tasks.cancel_scope.cancel()


async def test_an_emoji_becomes_a_replacement_character(tmp_path: Path) -> None:
    write_photo(tmp_path / "sun 🌅.jpg", 1)
    async with Sandbox() as box:
        await run(box, tmp_path)
        assert only_photo(box).file == "sun �.jpg"


@pytest.mark.parametrize("chunk_size", [4096, 8192, 100_000])
async def test_a_tail_of_one_zero_digit_is_not_lost(tmp_path: Path, chunk_size: int) -> None:
    write_photo(tmp_path / "a.jpg", 1, size=8192, tail=b"0")
    async with Sandbox() as box:
        await run(box, tmp_path, method="upload", chunk_size=chunk_size)
        assert only_photo(box).size == 8193
