"""How photos are collected for one question."""

from itertools import count

import anyio

from bulkup.stages import BATCH, LINGER, batches


async def lists_of(number: int) -> tuple[list[int], list[float]]:
    """Return how long the lists are that so many waiting items come in, and the pauses before."""
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
        found = batches(outward, length, sleep=sleep, clock=lambda: next(ticks) / 10)
        lengths = [number async for number in found]
    return lengths, pauses


async def test_what_waits_comes_in_whole_lists_without_a_pause() -> None:
    lengths, pauses = await lists_of(3 * BATCH)
    assert lengths == [BATCH] * 3
    assert pauses == []


async def test_a_list_that_is_not_whole_yet_is_waited_for() -> None:
    lengths, pauses = await lists_of(BATCH + 5)
    assert lengths == [BATCH, 5]
    assert [round(pause, 3) for pause in pauses] == [round(0.1 * LINGER, 3)]


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
