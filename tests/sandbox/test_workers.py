"""The pool of PHP workers: turns, waves, and how it freezes."""

import asyncio
import time
from itertools import islice

import pytest

from bulkup.sandbox import Sandbox
from bulkup.sandbox.workers import Workers, _around_one
from tests.support.gallery_client import JPEG, GalleryClient


def pool(
    *,
    count: int | None = None,
    start: int | None = None,
    cpus: int | None = None,
    finish_s: float = 0.0,
    derivative_share: float = 0.5,
    page_s: float = 0.0,
    spread: float = 0.0,
    gateway_timeout_s: float = 60.0,
) -> Workers:
    return Workers(
        count=count,
        start=start,
        grow_s=0.01,
        cpus=cpus,
        finish_s=finish_s,
        derivative_share=derivative_share,
        page_s=page_s,
        spread=spread,
        gateway_timeout_s=gateway_timeout_s,
    )


async def finish(workers: Workers) -> None:
    async with workers.one():
        await workers.finish()


async def finish_at_once(workers: Workers, count: int) -> None:
    await asyncio.gather(*(finish(workers) for _ in range(count)))


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
    workers = pool(count=1, gateway_timeout_s=0.02)
    start = time.monotonic()
    await finish(workers)
    assert time.monotonic() - start >= 3 * 0.02
    assert (workers.freezes, workers.given_up) == (1, 3)


async def test_a_finish_with_a_second_worker_asks_for_it_once() -> None:
    workers = pool(count=2, finish_s=0.01)
    await finish(workers)
    assert (workers.freezes, workers.given_up, len(workers.finished_at)) == (0, 0, 1)


async def test_the_second_worker_does_its_share_of_a_finish() -> None:
    none, all_of_it = (
        pool(count=2, finish_s=0.1, derivative_share=share, gateway_timeout_s=0.02)
        for share in (0.0, 1.0)
    )
    await asyncio.gather(finish(none), finish(all_of_it))
    assert (none.given_up, all_of_it.given_up) == (0, 3)


async def test_finishes_on_fewer_processors_take_as_much_longer() -> None:
    workers = pool(cpus=1, finish_s=0.05)
    start = time.monotonic()
    await finish_at_once(workers, 2)
    assert time.monotonic() - start >= 2 * 0.05


async def test_pages_share_the_processors_with_finishes() -> None:
    workers = pool(cpus=1, finish_s=0.05, page_s=0.05)
    start = time.monotonic()
    await asyncio.gather(workers.finish(), workers.page())
    assert time.monotonic() - start >= 2 * 0.05


async def test_the_peak_of_finishes_is_remembered() -> None:
    workers = pool(finish_s=0.01)
    await finish_at_once(workers, 3)
    assert (workers.finishing, workers.finishing_peak) == (0, 3)


@pytest.mark.parametrize("count", [2, 3, 5])
async def test_as_many_finishes_as_workers_always_freeze(count: int) -> None:
    workers = pool(count=count, finish_s=0.01, gateway_timeout_s=0.05)
    await finish_at_once(workers, count)
    assert workers.freezes == 1
    assert workers.given_up >= 3


@pytest.mark.parametrize("count", [2, 3, 5])
async def test_one_finish_fewer_never_freezes(count: int) -> None:
    workers = pool(count=count, finish_s=0.002, spread=0.9)
    limiter = asyncio.Semaphore(count - 1)

    async def photo() -> None:
        async with limiter:
            await finish(workers)

    await asyncio.gather(*(photo() for _ in range(20 * count)))
    assert (workers.freezes, workers.given_up) == (0, 0)
    assert len(workers.finished_at) == 20 * count


async def test_a_pool_grows_while_requests_wait_and_thaws_by_that() -> None:
    workers = pool(count=8, start=2, finish_s=0.01)
    await finish_at_once(workers, 2)
    assert (workers.freezes, workers.given_up) == (1, 0)
    assert workers.size != 2


async def test_a_pool_grows_to_its_limit_and_no_further() -> None:
    workers = pool(count=4, start=1, finish_s=0.01, gateway_timeout_s=0.1)
    await finish_at_once(workers, 4)
    assert workers.size == 4
    assert workers.given_up >= 3


async def test_a_pool_where_nobody_waits_does_not_grow() -> None:
    workers = pool(count=4, start=2, finish_s=0.02)
    for _ in range(3):
        await finish(workers)
    assert workers.size == 2


def test_costs_lie_around_their_mean() -> None:
    factors = list(islice(_around_one(0.5, seed=1), 20))
    assert (min(factors), max(factors)) == (0.5, 1.5)
    assert sum(factors) == pytest.approx(20)
    assert set(islice(_around_one(0.0, seed=1), 20)) == {1.0}


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
