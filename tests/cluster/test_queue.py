"""Which worker gets which photos."""

from pathlib import Path

import pytest

from bulkup.cluster.coordinator import LEAST_LEAD
from bulkup.cluster.queue import MOST_BYTES, MOST_PHOTOS, Call, WorkQueue
from bulkup.cluster.scheduler import is_loopback
from bulkup.errors import RunError
from bulkup.source.photos import Photo


def call(name: str, *, size: int = 10) -> Call:
    return Call(photo=Photo(Path(name), size, 0), emit=lambda _: None)


def calls(count: int, *, size: int = 10) -> list[Call]:
    return [call(f"/f/{number}", size=size) for number in range(count)]


def waiting(*calls: Call) -> WorkQueue:
    queue = WorkQueue()
    for each in calls:
        queue.add(each)
    return queue


def take(queue: WorkQueue, worker: str, *others: str, least: int = 9) -> list[Call]:
    """Have a worker take a batch; `others` are the workers beside it."""
    return queue.take(worker, [worker, *others], uploads=False, least=least)


async def test_a_batch_is_a_share_that_leaves_the_others_something_to_do() -> None:
    every = calls(40)
    queue = waiting(*every)
    assert take(queue, "a", "b", least=4) == every[:10]
    assert take(queue, "b", "a", least=4) == every[10:18]
    assert take(queue, "a", "b", least=4) == every[18:24]
    assert take(queue, "b", least=4) == every[24:32]
    assert take(queue, "b", least=4) == every[32:36]


async def test_twelve_who_join_one_worker_later_find_enough_to_do() -> None:
    queue = waiting(*calls(LEAST_LEAD))
    for _ in range(2):
        take(queue, "first", least=8)
    everyone = ["first", *(f"later {number}" for number in range(12))]
    for worker in everyone[1:]:
        assert len(queue.take(worker, everyone, uploads=False, least=8)) >= 8


@pytest.mark.parametrize(
    ("size", "photos"), [(10, MOST_PHOTOS), (MOST_BYTES // 2, 2), (MOST_BYTES * 2, 1)]
)
async def test_a_batch_has_an_end_by_photos_and_by_bytes(size: int, photos: int) -> None:
    every = calls(2 * MOST_PHOTOS + 10, size=size)
    assert take(waiting(*every), "a") == every[:photos]


async def test_a_worker_that_can_not_read_a_folder_gets_nothing_of_it_while_another_may() -> None:
    first, second, other = call("/f/1"), call("/f/2"), call("/g/1")
    queue = waiting(second, other)
    queue.unseen(first, "a", "no such file")
    assert take(queue, "a", "b") == [other]
    assert take(queue, "a", "b") == []
    queue.unseen(first, "b", "no such file")
    assert take(queue, "a", "b") == [second]  # nobody has read any of it
    queue.add(second)
    queue.seen(second, "b")
    assert take(queue, "a", "b") == []
    assert take(queue, "a") == [second]  # whoever sees it has gone


async def test_what_was_lost_comes_first_and_what_is_over_or_was_unreadable_not_at_all() -> None:
    lost, new, over, unreadable = calls(4)
    queue = waiting(new, over, unreadable)
    queue.add(lost, first=True)
    over.end()
    queue.unseen(unreadable, "a", "no such file")
    assert take(queue, "a") == [lost, new]


async def test_each_that_waits_gets_an_error_of_its_own() -> None:
    error = RunError("gone", hint="again")
    raised = []
    for _ in range(2):
        one = call("/f/1")
        one.end(error=error)
        one.end("too late")
        with pytest.raises(RunError, match="gone") as caught:
            await one.result
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert raised[0].hint == "again"


def test_only_this_machine_is_loopback() -> None:
    hosts = ["127.0.0.1", "[::1]", "localhost", "10.0.0.1", "boss", "0.0.0.0"]
    assert [is_loopback(f"tcp://{host}:1") for host in hosts] == 3 * [True] + 3 * [False]
