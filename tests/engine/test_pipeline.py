"""The pipeline without faults: every photo there once, byte for byte; lists; batches."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkup import events
from bulkup.engine.context import Stop
from bulkup.engine.read import BATCH, LINGER, batches
from bulkup.errors import RunError
from bulkup.sandbox import Sandbox
from bulkup.source.filters import Filters, Listing
from tests.support.events import acting_on
from tests.support.galleries import only_photo
from tests.support.loop_time import VIRTUAL_TIME
from tests.support.photos import write_photo
from tests.support.runs import FOUR_METHODS, Outcome, make_archive, run, stored_sums

STEPS = (
    *(events.PhotoHashing, events.PhotoHashed, events.PhotoStarted, events.PhotoFinishing),
    *(events.PhotoArrived, events.PhotoUploaded),
)
"""What is reported of a photo, in this order."""


@pytest.mark.parametrize(
    ("version", "method", "only"),
    [
        ("16.4.0", "upload", None),
        ("16.4.0", "async", None),
        ("13.8.0", "auto", FOUR_METHODS),
        ("17.0.0beta1", "auto", FOUR_METHODS),
    ],
)
async def test_photos_arrive_whole_step_by_step_and_equal_ones_once_also_with_four_methods_only(
    tmp_path: Path, version: str, method: str, only: set[str] | None
) -> None:
    """Most of the photos take several chunks, and 16 are on their way at once."""
    archive = make_archive(tmp_path, count=30, names=6, size=(4000, 40_000))
    first = next(iter(archive))
    twins = {tmp_path / f"twin {number}.jpg": archive[first] for number in range(30)}
    for twin in twins:
        twin.write_bytes(first.read_bytes())
    options: dict[str, Any] = {"chunk_size": 10_000, "concurrency": 16, "level": 4}
    async with Sandbox(version=version, only=only) as box:
        outcome = await run(box, tmp_path, method=method, **options)
        assert stored_sums(box) == Counter(archive.values())
        assert len(outcome.of(events.PhotoPresent)) == 30
        assert not box.gallery.buffers
        assert outcome.balances()
        hashed = {event.path: event.md5 for event in outcome.of(events.PhotoHashed)}
        assert hashed == archive | twins
        uploaded = {event.path: event.image_id for event in outcome.of(events.PhotoUploaded)}
        assert {e.path: e.image_id for e in outcome.of(events.PhotoArrived)} == uploaded
        assert len(uploaded) == 30
        steps: dict[Path, list[type]] = {path: [] for path in archive | twins}
        for event in outcome.events:
            if isinstance(event, STEPS):
                steps[event.path].append(type(event))
        assert all(steps[path] == [*STEPS] for path in uploaded)
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


@pytest.mark.parametrize(
    ("method", "chunk_size"),
    [("upload", 4096), ("upload", 8192), ("upload", 100_000), ("async", 100_000)],
)
async def test_a_tail_of_one_zero_digit_is_not_lost_and_an_emoji_becomes_a_replacement_character(
    box: Sandbox, tmp_path: Path, method: str, chunk_size: int
) -> None:
    write_photo(tmp_path / "sun 🌅.jpg", 1, size=8192, tail=b"0")
    await run(box, tmp_path, method=method, chunk_size=chunk_size)
    assert (only_photo(box).size, only_photo(box).file) == (8193, "sun �.jpg")


# lists of files: each line has one outcome, each file is sent once


def listing(file: Path, *paths: Path) -> Filters:
    file.write_text("".join(f"{path}\n" for path in paths))
    return Filters(listing=Listing(str(file)))


async def test_every_line_of_a_list_is_reported_and_each_file_sent_once(
    box: Sandbox, tmp_path: Path
) -> None:
    """Another name of a file is a file of its own."""
    sums = make_archive(tmp_path, count=70, names=70)
    paths = list(sums)
    gone, link = tmp_path / "gone.jpg", tmp_path / "link.jpg"
    link.hardlink_to(paths[0])
    lines = [*reversed(paths), gone, link, *paths[:30], link, tmp_path]
    outcome = await run(box, filters=listing(tmp_path / "list", *lines))
    assert stored_sums(box) == dict.fromkeys(sums.values(), 1)
    assert outcome.balances()
    assert [event.path for event in outcome.of(events.FileFound)] == lines
    assert (len(outcome.of(events.PhotoUploaded)), len(outcome.of(events.PhotoPresent))) == (70, 1)
    assert [event.reason for event in outcome.of(events.FileSkipped)] == [
        events.SkipReason.REPEATED
    ] * 31
    failed = {event.path: (event.reason, event.hint) for event in outcome.of(events.PhotoFailed)}
    assert failed.keys() == {gone, tmp_path}
    assert failed[gone][0] == "it can't be read: No such file or directory"
    assert failed[tmp_path][0] == "it can't be read: it is a folder"


async def test_an_end_in_the_middle_of_a_list_leaves_nothing_unreported(
    box: Sandbox, tmp_path: Path
) -> None:
    paths = list(make_archive(tmp_path, count=50, names=50))
    stop = Stop()
    outcome = acting_on(events.PhotoUploaded, stop.set)
    lines = [path for path in paths for _ in range(3)]
    await run(box, filters=listing(tmp_path / "list", *lines), stop=stop, outcome=outcome)
    assert outcome.balances()
    assert outcome.of(events.PhotoUnfinished)


async def test_a_list_that_is_none_ends_the_run_and_leaves_nothing_unreported(
    box: Sandbox, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    make_archive(archive, count=10, names=10)
    (tmp_path / "list").write_bytes(b"x" * 1_000_000)
    outcome = Outcome()
    filters = Filters(listing=Listing(str(tmp_path / "list")))
    with pytest.raises(RunError, match="is not a list of paths"):
        await run(box, archive, filters=filters, outcome=outcome)
    assert outcome.balances()
    assert len(outcome.of(events.FileFound)) == 10
    assert not outcome.of(events.ScanFinished)


# how photos are collected for one question


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
@pytest.mark.parametrize(
    ("sent", "end", "least_s", "lists"),
    [
        pytest.param(
            [(0, 3 * BATCH)], 0, 0, [(0, BATCH), (10.1, BATCH), (20.2, BATCH)], id="no pause"
        ),
        pytest.param(
            [(0, BATCH + 5)], 99, 0, [(0, BATCH), (10.1 + 0.1 * LINGER, 5)], id="others may come"
        ),
        pytest.param([(0, 1), (0.2, 4)], 99, 0.25, [(0.25, 5)], id="for a while at least"),
        pytest.param([(0, 1), (0.1, 4)], 0.2, 3600, [(0.2, 5)], id="no more can come"),
        pytest.param([(0, 1), (0.1, BATCH - 1)], 99, 3600, [(0.1, BATCH)], id="a list is whole"),
    ],
)
async def test_what_waits_comes_in_lists_as_whole_as_can_be_and_pauses_depend_on_the_server_alone(
    sent: list[tuple[float, int]], end: float, least_s: float, lists: list[tuple[float, int]]
) -> None:
    """The server takes 0.1 s for each list; what is done with a result then takes 10 s."""
    inward, outward = anyio.create_memory_object_stream[int](3 * BATCH)
    found: list[tuple[float, int]] = []

    async def send() -> None:
        with inward:
            for at, items in sent:
                await anyio.sleep_until(at)
                for item in range(items):
                    inward.send_nowait(item)
            await anyio.sleep_until(end)

    async def handle(batch: list[int]) -> None:
        found.append((anyio.current_time(), len(batch)))
        await anyio.sleep(0.1)

    clock = anyio.current_time
    async with anyio.create_task_group() as tasks, outward:
        tasks.start_soon(send)
        async for _ in batches(outward, handle, sleep=anyio.sleep, clock=clock, least_s=least_s):
            await anyio.sleep(10)
    assert [length for _, length in found] == [length for _, length in lists]
    assert [at for at, _ in found] == pytest.approx([at for at, _ in lists])
