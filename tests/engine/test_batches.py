"""How photos are collected for one question."""

from itertools import count

import anyio
import pytest

from bulkup.engine.pipeline import BATCH, LINGER, batches


async def lists_of(number: int, *, least_s: float = 0.0) -> tuple[list[int], list[float]]:
    """Return the lengths of the batches of `number` waiting items, and the pauses before them."""
    inward, outward = anyio.create_memory_object_stream[int](number)
    pauses: list[float] = []
    ticks = count()  # every look at the clock is a tenth of a second after the last one

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def length(batch: list[int]) -> int:
        return len(batch)

    with inward, outward:
        for item in range(number):
            inward.send_nowait(item)
        inward.close()
        found = batches(
            outward, length, sleep=sleep, clock=lambda: next(ticks) / 10, least_s=least_s
        )
        lengths = [number async for number in found]
    return lengths, pauses


@pytest.mark.parametrize(
    ("waiting", "least_s", "lengths", "pauses"),
    [
        pytest.param(3 * BATCH, 0.0, [BATCH] * 3, [], id="whole lists need no pause"),
        pytest.param(BATCH + 5, 0.0, [BATCH, 5], [0.1 * LINGER], id="others are waited for"),
        pytest.param(5, 0.25, [5], [0.25], id="for a while at least"),
    ],
)
async def test_what_waits_comes_in_lists_as_whole_as_can_be(
    waiting: int, least_s: float, lengths: list[int], pauses: list[float]
) -> None:
    found, slept = await lists_of(waiting, least_s=least_s)
    assert found == lengths
    assert slept == pytest.approx(pauses)


async def test_what_is_done_with_a_result_does_not_lengthen_the_pause() -> None:
    inward, outward = anyio.create_memory_object_stream[int](2 * BATCH)
    pauses: list[float] = []
    times = [0.0]

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def handle(batch: list[int]) -> int:
        times.append(times[-1] + 0.1)
        return len(batch)

    def now() -> float:
        return times[-1]

    with inward, outward:
        inward.send_nowait(0)
        async for _ in batches(outward, handle, sleep=sleep, clock=now):
            times.append(times[-1] + 1000.0)
            if len(pauses) < 2:
                inward.send_nowait(0)
            else:
                inward.close()
    assert [round(pause, 3) for pause in pauses] == [0.0, round(0.1 * LINGER, 3)]


@pytest.mark.parametrize(("later", "lengths"), [(4, [5]), (BATCH - 1, [BATCH])])
async def test_nothing_is_waited_for_once_no_more_can_come(later: int, lengths: list[int]) -> None:
    inward, outward = anyio.create_memory_object_stream[int](0)
    found: list[int] = []

    async def sleep(_seconds: float) -> None:
        await anyio.sleep_forever()

    async def note(batch: list[int]) -> None:
        found.append(len(batch))
        if len(batch) == BATCH:
            inward.close()

    async with anyio.create_task_group() as tasks:

        async def collect() -> None:
            async with outward:
                async for _ in batches(outward, note, sleep=sleep, clock=lambda: 0.0):
                    pass

        tasks.start_soon(collect)
        for item in range(1 + later):
            await inward.send(item)
        if 1 + later < BATCH:
            inward.close()
    assert found == lengths
