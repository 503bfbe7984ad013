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

    with inward, outward:
        for item in range(number):
            inward.send_nowait(item)
        inward.close()
        lengths = [
            len(batch)
            async for batch in batches(outward, sleep=sleep, clock=lambda: next(ticks) / 10)
        ]
    return lengths, pauses


async def test_what_waits_comes_in_whole_lists_without_a_pause() -> None:
    lengths, pauses = await lists_of(3 * BATCH)
    assert lengths == [BATCH] * 3
    assert pauses == []


async def test_a_list_that_is_not_whole_yet_is_waited_for() -> None:
    lengths, pauses = await lists_of(BATCH + 5)
    assert lengths == [BATCH, 5]
    assert [round(pause, 3) for pause in pauses] == [round(0.1 * LINGER, 3)]
