"""Which worker gets which photos."""

from pathlib import Path

import pytest

from bulkup.cluster.coordinator import LEAST_LEAD
from bulkup.cluster.queue import MOST_BYTES, MOST_PHOTOS, Call, WorkQueue
from bulkup.cluster.scheduler import is_loopback
from bulkup.errors import RunError
from bulkup.source.photos import Photo

ALL = ["a", "b"]


def call(name: str, *, size: int = 10) -> Call:
    return Call(photo=Photo(Path(name), size, 0), emit=lambda _: None)


def waiting(*calls: Call) -> WorkQueue:
    made = WorkQueue()
    for one in calls:
        made.add(one)
    return made


def test_a_batch_is_a_share_that_leaves_the_others_something_to_do() -> None:
    calls = [call(f"/f/{number}") for number in range(40)]
    made = waiting(*calls)
    assert made.take("a", ALL, uploads=False, least=4) == calls[:10]
    assert made.take("b", ALL, uploads=False, least=4) == calls[10:18]
    assert made.take("a", ALL, uploads=False, least=4) == calls[18:24]
    assert made.take("b", ["b"], uploads=False, least=4) == calls[24:32]
    assert made.take("b", ["b"], uploads=False, least=4) == calls[32:36]


def test_twelve_who_join_one_worker_later_find_enough_to_do() -> None:
    made = waiting(*(call(f"/f/{number}") for number in range(LEAST_LEAD)))
    for _ in range(2):
        made.take("first", ["first"], uploads=False, least=8)
    all_ = ["first", *(f"later {number}" for number in range(12))]
    for worker in all_[1:]:
        assert len(made.take(worker, all_, uploads=False, least=8)) >= 8


def test_a_batch_has_an_end_by_photos_and_by_bytes() -> None:
    many = [call(f"/f/{number}") for number in range(2 * MOST_PHOTOS + 10)]
    assert len(waiting(*many).take("a", ["a"], uploads=False, least=1)) == MOST_PHOTOS
    large = [call(f"/f/{number}", size=MOST_BYTES // 2) for number in range(9)]
    assert waiting(*large).take("a", ["a"], uploads=False, least=9) == large[:2]
    huge = [call(f"/f/{number}", size=MOST_BYTES * 2) for number in range(9)]
    assert waiting(*huge).take("a", ["a"], uploads=False, least=9) == huge[:1]


def test_a_worker_that_can_not_read_a_folder_gets_nothing_of_it_while_another_may() -> None:
    first, second, other = call("/f/1"), call("/f/2"), call("/g/1")
    made = waiting(second, other)
    made.unseen(first, "a", "no such file")
    assert made.take("a", ALL, uploads=False, least=9) == [other]
    assert made.take("a", ALL, uploads=False, least=9) == []
    made.unseen(first, "b", "no such file")
    assert made.take("a", ALL, uploads=False, least=9) == [second]  # nobody has read any of it
    made.add(second)
    made.seen(second, "b")
    assert made.take("a", ALL, uploads=False, least=9) == []
    assert made.take("a", ["a"], uploads=False, least=9) == [second]  # whoever sees it has gone


def test_a_worker_gets_a_photo_that_it_can_not_read_once() -> None:
    one = call("/f/1")
    made = waiting(one)
    made.unseen(one, "a", "no such file")
    assert made.take("a", ["a"], uploads=False, least=9) == []


def test_a_call_that_is_over_is_dropped() -> None:
    gone, other = call("/f/1"), call("/f/2")
    made = waiting(gone, other)
    gone.end()
    assert made.take("a", ["a"], uploads=False, least=9) == [other]


def test_what_was_lost_comes_first() -> None:
    lost, new = call("/f/1"), call("/f/2")
    made = waiting(new)
    made.add(lost, first=True)
    assert made.take("a", ["a"], uploads=False, least=9) == [lost, new]


async def test_each_that_waits_gets_an_error_of_its_own() -> None:
    error = RunError("gone", hint="again")
    raised = []
    for _ in range(2):
        one = call("/f/1")
        one.end(error=error)
        one.end("too late")
        with pytest.raises(RunError, match="gone") as caught:
            await one.result()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert raised[0].hint == "again"


def test_only_this_machine_is_loopback() -> None:
    near, far = ("tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1"), ("10.0.0.1", "boss")
    assert [is_loopback(address) for address in near] == [True] * 3
    assert [is_loopback(f"tcp://{host}:1") for host in (*far, "0.0.0.0")] == [False] * 3
