"""The pool of PHP workers and its processors, in virtual time."""

import asyncio
from itertools import islice
from typing import Any

import anyio
import pytest

from bulkup.sandbox.workers import UserCaches, Workers, _factors
from tests.support.loop_time import VIRTUAL_TIME, VirtualTimeLoop


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, type[VirtualTimeLoop]]]:
    return VIRTUAL_TIME


FREE: dict[str, Any] = {
    **dict.fromkeys(("count", "start", "cpus")),
    **dict.fromkeys(("request_s", "finish_s", "page_s", "spread"), 0.0),
}


def pool(**costs: Any) -> Workers:  # noqa: ANN401
    """Return a pool without limits in which nothing costs time, unless given otherwise."""
    fixed = {"derivative_share": 0.5, "grow_s": 1.0, "gateway_timeout_s": 60.0, "clock": now}
    return Workers(**(FREE | fixed | costs))


def now() -> float:
    return asyncio.get_running_loop().time()


async def compute(workers: Workers, seconds: float) -> None:
    async with workers.one():
        await workers.compute(seconds)


async def finish(workers: Workers) -> None:
    async with workers.one():
        await workers.finish()


async def finish_at_once(workers: Workers, count: int) -> None:
    await asyncio.gather(*(finish(workers) for _ in range(count)))


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_equal_requests_end_in_order_of_arrival_and_in_waves_of_the_workers(
    count: int,
) -> None:
    workers, ended = pool(count=count), []

    async def request(number: int) -> None:
        await compute(workers, 1)
        ended.append((now(), number))

    await asyncio.gather(*(request(number) for number in range(2 * count)))
    assert ended == [(1 + number // count, number) for number in range(2 * count)]


async def test_a_finish_without_a_second_worker_waits_out_three_self_requests() -> None:
    workers = pool(count=1)
    await finish(workers)
    assert now() == pytest.approx(3 * 60)
    assert (workers.freezes, workers.given_up) == (1, 3)


async def test_a_finish_with_a_second_worker_requests_it_once() -> None:
    workers = pool(count=2, finish_s=0.4, request_s=0.1)
    await finish(workers)
    assert now() == pytest.approx(0.1 + 0.2 + 0.1 + 0.2)
    assert (workers.freezes, workers.given_up, list(workers.finished_at)) == (0, 0, [now()])


HALF = {"count": 2, "finish_s": 10}
SHARED = {"count": 4, "cpus": 1, "finish_s": 1, "page_s": 1}


@pytest.mark.parametrize(
    ("costs", "finishes", "pages", "computed", "seconds"),
    [
        # each request costs processor time
        ({"count": 2, "request_s": 0.1}, 0, 0, [0.2, 0.2], 0.3),
        ({"count": 2, "request_s": 0.1, "cpus": 1}, 0, 0, [0.2, 0.2], 0.6),
        # the second worker, which is busy for 5 seconds, does its share of a finish
        (HALF | {"derivative_share": 0.25}, 1, 0, [5], 10),
        (HALF | {"derivative_share": 1.0}, 1, 0, [5], 5 + 10),
        # finishes slow each other down beyond the processors, and so do a page and a list
        *(({"cpus": 2, "finish_s": 0.4}, n, 0, [], 0.4 * max(1, n / 2)) for n in (1, 2, 3, 4)),
        (SHARED, 1, 1, [], 2),
        (SHARED, 1, 0, [1], 2),
    ],
)
async def test_requests_at_once_take_so_long(
    costs: dict[str, float], finishes: int, pages: int, computed: list[float], seconds: float
) -> None:
    workers = pool(**costs)
    await asyncio.gather(
        *(finish(workers) for _ in range(finishes)),
        *(workers.page() for _ in range(pages)),
        *(compute(workers, each) for each in computed),
    )
    assert now() == pytest.approx(seconds)


async def test_computations_share_a_processor_evenly() -> None:
    workers, ended = pool(cpus=1), {}

    async def work(seconds: float, *, after: float = 0.0) -> None:
        await asyncio.sleep(after)
        await workers.compute(seconds)
        ended[seconds] = now()

    await asyncio.gather(work(1), work(2), work(4, after=1))
    # 0–1: two of them; 1–2.5: three, until the first is done; then two, then one
    assert ended == pytest.approx({1: 2.5, 2: 4.5, 4: 7.0})


async def test_a_cancelled_computation_leaves_the_processor_to_the_others() -> None:
    workers = pool(cpus=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(workers.compute, 3)
        with anyio.move_on_after(2):
            await workers.compute(100)
    assert now() == pytest.approx(2 + 2)


@pytest.mark.parametrize("count", [2, 3, 5])
async def test_as_many_finishes_as_workers_always_freeze_and_one_fewer_never(count: int) -> None:
    workers = pool(count=count, finish_s=0.01)
    await finish_at_once(workers, count)
    assert workers.freezes == 1
    assert workers.given_up >= 3
    assert (workers.finishing, workers.finishing_peak) == (0, count)

    workers = pool(count=count, finish_s=0.2, spread=0.9)
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
    assert workers.size == 3


async def test_a_pool_grows_to_its_limit_and_not_where_no_request_waits() -> None:
    workers = pool(count=4, start=1, finish_s=0.01)
    await finish_at_once(workers, 4)
    assert workers.size == 4
    assert workers.given_up >= 3
    workers = pool(count=4, start=2, finish_s=5)
    for _ in range(3):
        await finish(workers)
    assert workers.size == 2


def test_costs_vary_around_their_mean() -> None:
    factors = list(islice(_factors(0.5, seed=1), 20))
    assert (min(factors), max(factors)) == (0.5, 1.5)
    assert sum(factors) == pytest.approx(20)
    assert set(islice(_factors(0.0, seed=1), 20)) == {1.0}


@pytest.mark.parametrize(
    ("sleeps", "ended"),
    [
        pytest.param(True, [0.5, 0.5, 1.0], id="15.7 to 16.4"),
        pytest.param(False, [0.5, 0.5, 0.5], id="others"),
    ],
)
async def test_a_user_cache_is_rebuilt_once_while_others_of_the_account_sleep(
    sleeps: bool, ended: list[float]
) -> None:
    caches = UserCaches(pool(), rebuild_s=0.5, sleeps=sleeps)

    async def load(account: str) -> float:
        await caches.load(account)
        return now()

    assert sorted(await asyncio.gather(*map(load, ("admin", "admin", "guest")))) == ended
    assert await load("admin") == ended[-1]
    caches.invalidate()
    assert await load("admin") == ended[-1] + 0.5
