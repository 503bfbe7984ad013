"""The pool of PHP workers: turns, waves, and how it freezes."""

import asyncio
import time

import pytest

from bulkup.sandbox import Sandbox
from bulkup.sandbox.workers import Workers
from tests.gallery_client import JPEG, GalleryClient


def pool(*, count: int | None = None, cpus: int | None = None, finish_s: float = 0.0) -> Workers:
    return Workers(count=count, cpus=cpus, finish_s=finish_s, gateway_timeout_s=0.02)


async def test_requests_take_workers_in_order_of_arrival() -> None:
    workers, served = pool(count=1), []

    async def request(number: int) -> None:
        async with workers.one():
            served.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(request(number))
    assert served == [0, 1, 2, 3, 4]


async def test_a_finish_without_a_second_worker_waits_out_three_self_requests() -> None:
    workers = pool(count=1)
    start = time.monotonic()
    async with workers.one():
        await workers.finish()
    assert time.monotonic() - start >= 3 * 0.02


async def test_a_finish_with_a_second_worker_is_done_at_once() -> None:
    workers = pool(count=2)
    start = time.monotonic()
    async with workers.one():
        await workers.finish()
    assert time.monotonic() - start < 0.02


async def test_finishes_on_fewer_processors_take_as_much_longer() -> None:
    workers = pool(cpus=1, finish_s=0.05)
    start = time.monotonic()
    await asyncio.gather(workers.finish(), workers.finish())
    assert time.monotonic() - start >= 2 * 0.05


async def test_the_peak_of_finishes_is_remembered() -> None:
    workers = pool(finish_s=0.01)
    await asyncio.gather(*(workers.finish() for _ in range(3)))
    assert (workers.finishing, workers.finishing_peak) == (0, 3)


async def upload_at_once(client: GalleryClient, count: int) -> list[int]:
    """Send different photos at one time; the statuses."""
    photos = [JPEG + bytes([i]) for i in range(count)]
    sent = [client.upload(photo, name=f"{i}.jpg") for i, photo in enumerate(photos)]
    return [answer.status for answer in await asyncio.gather(*sent)]


async def test_as_many_finishes_as_workers_freeze_the_gallery() -> None:
    async with (
        Sandbox(workers=2, finish_s=0.01, gateway_timeout_s=0.3) as box,
        GalleryClient(box.url) as client,
    ):
        assert await upload_at_once(client, 2) == [504, 504]
        assert len(box.gallery.photos) == 2
        assert (await client.call("pwg.getVersion")).status == 504


async def test_the_gallery_thaws_when_nothing_more_is_sent() -> None:
    async with (
        Sandbox(workers=2, finish_s=0.01, gateway_timeout_s=0.05) as box,
        GalleryClient(box.url) as client,
    ):
        await upload_at_once(client, 2)
        asked = 0
        while (await client.call("pwg.getVersion")).status == 504:
            asked += 1
    assert asked >= 1


async def test_fewer_finishes_than_workers_do_not_freeze_it() -> None:
    async with (
        Sandbox(workers=3, finish_s=0.01, gateway_timeout_s=2) as box,
        GalleryClient(box.url) as client,
    ):
        assert await upload_at_once(client, 2) == [200, 200]
        assert box.finishing_peak == 2


async def test_a_duplicate_costs_no_finish() -> None:
    async with Sandbox(finish_s=0.01) as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        await asyncio.gather(*(client.upload(JPEG, name=f"{i}.jpg") for i in range(4)))
        assert box.finishing_peak == 1


@pytest.mark.parametrize("count", [2, 3])
async def test_equal_requests_come_back_in_waves_of_the_workers(count: int) -> None:
    async with (
        Sandbox(workers=count, exist_cost_s=1.0) as box,
        GalleryClient(box.url) as client,
    ):
        sums, start = "0 " * 25_000, time.monotonic()

        async def asked() -> float:
            await client.call("pwg.images.exist", md5sum_list=sums)
            return time.monotonic() - start

        times = sorted(await asyncio.gather(*(asked() for _ in range(2 * count))))
    assert sum(t < 1.5 * times[0] for t in times) == count


async def test_the_front_page_waits_for_a_worker_too() -> None:
    async with (
        Sandbox(workers=1, gateway_timeout_s=0.1) as box,
        GalleryClient(box.url) as client,
    ):
        assert (await client.upload(JPEG, name="a.jpg")).status == 504
        assert (await client.page()).status == 504
