"""The worker pool as clients of the sandbox meet it."""

import asyncio
import time

import pytest

from bulkup.sandbox import Sandbox
from tests.support.gallery_client import JPEG, GalleryClient


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
        assert box.workers.freezes == 1
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
        Sandbox(workers=3, finish_s=0.2, gateway_timeout_s=20) as box,
        GalleryClient(box.url) as client,
    ):
        assert await upload_at_once(client, 2) == [200, 200]
        assert (box.finishing_peak, box.workers.freezes) == (2, 0)


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


@pytest.mark.parametrize(("page_s", "status"), [(0.01, 200), (60.0, 504)])
async def test_a_view_of_the_front_page_takes_its_time(page_s: float, status: int) -> None:
    async with (
        Sandbox(workers=1, cpus=1, page_s=page_s, gateway_timeout_s=0.5) as box,
        GalleryClient(box.url) as client,
    ):
        assert (await client.page()).status == status


async def test_a_sandbox_grows_as_its_pool_does() -> None:
    async with (
        Sandbox(workers=8, start_workers=2, grow_s=0.01, finish_s=0.01) as box,
        GalleryClient(box.url) as client,
    ):
        assert await upload_at_once(client, 2) == [200, 200]
        assert box.workers.size != 2
