"""The worker pool as clients of the sandbox meet it; `test_worker_pool` has its arithmetic."""

import asyncio

from tests.support.gallery_client import JPEG, GalleryClient, gallery


async def upload_at_once(client: GalleryClient, count: int) -> list[int]:
    """Send different photos at one time; return the statuses."""
    photos = [JPEG + bytes([i]) for i in range(count)]
    sent = [client.upload(photo, name=f"{i}.jpg") for i, photo in enumerate(photos)]
    return [answer.status for answer in await asyncio.gather(*sent)]


async def test_as_many_finishes_as_workers_freeze_the_gallery_for_a_while() -> None:
    async with gallery(workers=2, finish_s=0.01, gateway_timeout_s=0.2) as (box, client):
        assert await upload_at_once(client, 2) == [504, 504]
        assert len(box.gallery.photos) == 2
        assert box.workers.freezes == 1
        assert (await client.page()).status == 504
        while (await client.call("pwg.getVersion")).status == 504:
            pass  # it ends when nothing more is sent


async def test_a_pool_that_grows_does_not_freeze_and_a_duplicate_costs_no_finish() -> None:
    async with gallery(workers=8, start_workers=2, grow_s=0.01, finish_s=0.01) as (box, client):
        assert await upload_at_once(client, 2) == [200, 200]
        assert (box.finishing_peak, box.workers.size != 2) == (2, True)
        await asyncio.gather(*(client.upload(JPEG + b"\0", name=f"{i}.jpg") for i in range(4)))
        assert box.finishing_peak == 2


async def test_a_lookup_of_many_sums_and_a_page_cost_processor_time() -> None:
    async with gallery(cpus=1, exist_cost_s=1e6, page_s=60, gateway_timeout_s=0.1) as (_, client):
        assert (await client.call("pwg.images.exist", md5sum_list="0 ")).status == 504
        assert (await client.page()).status == 504
