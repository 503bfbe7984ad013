"""Which worker gets which photos, and under which names."""

from pathlib import Path

import pytest

from bulkup.cluster.pool import TURNS, is_loopback, lead_for
from bulkup.cluster.protocol import PathMap
from bulkup.cluster.queue import MOST_BYTES, MOST_PHOTOS, Call, WorkQueue
from bulkup.errors import RunError, UsageError
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
    assert made.take("a", ALL, least=4) == calls[:10]
    assert made.take("b", ALL, least=4) == calls[10:18]
    assert made.take("a", ALL, least=4) == calls[18:24]
    assert made.take("b", ["b"], least=4) == calls[24:32]
    assert made.take("b", ["b"], least=4) == calls[32:36]


def test_twelve_who_join_one_worker_later_find_enough_to_do() -> None:
    calls = [call(f"/f/{number}") for number in range(lead_for(1))]
    made = waiting(*calls)
    for _ in range(TURNS):
        made.take("first", ["first"], least=8)
    all_ = ["first", *(f"later {number}" for number in range(12))]
    for worker in all_[1:]:
        assert len(made.take(worker, all_, least=8)) >= 8


def test_a_batch_has_an_end_by_photos_and_by_bytes() -> None:
    many = [call(f"/f/{number}") for number in range(2 * MOST_PHOTOS + 10)]
    assert len(waiting(*many).take("a", ["a"], least=1)) == MOST_PHOTOS
    large = [call(f"/f/{number}", size=MOST_BYTES // 2) for number in range(9)]
    assert waiting(*large).take("a", ["a"], least=9) == large[:2]
    huge = [call(f"/f/{number}", size=MOST_BYTES * 2) for number in range(9)]
    assert waiting(*huge).take("a", ["a"], least=9) == huge[:1]


def test_who_does_not_see_a_folder_gets_nothing_of_it_as_long_as_somebody_else_may() -> None:
    first, second, other = call("/f/1"), call("/f/2"), call("/g/1")
    made = waiting(second, other)
    made.unseen(first, "a", "no such file")
    assert made.take("a", ALL, least=9) == [other]
    assert not made.any_for("a", ALL)
    assert made.any_for("b", ALL)
    made.unseen(first, "b", "no such file")
    assert made.any_for("a", ALL)  # nobody has seen anything there: each photo is tried by all
    made.seen(second, "b")
    assert not made.any_for("a", ALL)
    assert made.any_for("a", ["a"])  # whoever sees it has gone


def test_a_photo_is_offered_once_to_who_does_not_see_it() -> None:
    one = call("/f/1")
    made = waiting(one)
    made.unseen(one, "a", "no such file")
    assert not made.any_for("a", ["a"])
    assert made.take("a", ["a"], least=9) == []


def test_what_was_lost_comes_first() -> None:
    lost, new = call("/f/1"), call("/f/2")
    made = waiting(new)
    made.add(lost, first=True)
    assert made.take("a", ["a"], least=9) == [lost, new]


def test_each_that_waits_gets_an_error_of_its_own() -> None:
    error = RunError("gone", hint="again")
    raised = []
    for _ in range(2):
        one = call("/f/1")
        one.end(error=error)
        one.end("too late")
        with pytest.raises(RunError, match="gone") as caught:
            one.result()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert raised[0].hint == "again"


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/mnt/nas1/a/b.jpg", "/volume1/photos/a/b.jpg"),
        ("/mnt/nas1/deep/b.jpg", "/elsewhere/b.jpg"),
        ("/mnt/nas1/x/../deep/b.jpg", "/elsewhere/b.jpg"),
        ("/mnt/nas10/b.jpg", "/mnt/nas10/b.jpg"),
        ("/mnt/nas1/\udcff.jpg", "/volume1/photos/\udcff.jpg"),
    ],
)
def test_the_deepest_folder_that_is_mapped_counts(path: str, there: str) -> None:
    maps = PathMap(("/mnt/nas1=/volume1/photos", "/mnt/nas1/deep/=/elsewhere"))
    assert maps.there(Path(path)) == there


def test_paths_from_here_become_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert PathMap((f"{tmp_path}=/there",)).there(Path("a/b.jpg")) == "/there/a/b.jpg"


def test_a_worker_may_be_another_system() -> None:
    assert PathMap(("/mnt=D:\\photos",)).there(Path("/mnt/a/b.jpg")) == "D:\\photos\\a\\b.jpg"


@pytest.mark.parametrize("text", ["", "a", "=b", "a=", " = "])
def test_half_a_map_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        PathMap((text,))


def test_only_this_machine_is_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_loopback(host) for host in ("10.0.0.1", "boss", "0.0.0.0")] == [False] * 3
