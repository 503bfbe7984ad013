"""When a file is still, what waits for what, and what is not brought twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from bulkup.source.photos import Photo
from bulkup.source.watch import MOST_SETTLES, Inbox

A = Photo(Path("a.jpg"), 100, 1)
B = Photo(Path("b.jpg"), 200, 1)


def box(settle_s: float = 5.0) -> Inbox:
    return Inbox(settle_s=settle_s)


def test_a_file_is_ready_when_it_has_looked_the_same_for_long_enough() -> None:
    inbox = box()
    inbox.update([A], now=0.0)
    assert not inbox.ready(now=0.0)
    assert inbox.wait_s(now=0.0) == 5.0
    inbox.update([A], now=5.0)
    assert inbox.ready(now=5.0) == {A.path: A}
    assert inbox.wait_s(now=5.0) is None


@pytest.mark.parametrize("changed", [replace(A, size=101), replace(A, mtime_ns=2)])
def test_a_file_that_grows_or_changes_begins_anew(changed: Photo) -> None:
    inbox = box()
    inbox.update([A], now=0.0)
    inbox.update([changed], now=4.0)
    assert not inbox.ready(now=5.0)
    assert inbox.wait_s(now=5.0) == 4.0
    inbox.update([changed], now=9.0)
    assert inbox.ready(now=9.0) == {A.path: changed}


def test_what_is_still_waits_for_what_arrives_together_with_it() -> None:
    inbox = box()
    inbox.update([A], now=0.0)
    inbox.update([A, B], now=4.0)
    assert not inbox.ready(now=5.0)
    assert inbox.wait_s(now=5.0) == 4.0
    inbox.update([A, B], now=9.0)
    assert inbox.ready(now=9.0) == {A.path: A, B.path: B}


def test_but_not_for_ever() -> None:
    inbox = box()
    now = 0.0
    while not (ready := inbox.ready(now=now)):
        inbox.update([A, replace(B, size=int(now))], now=now)
        now += 1.0
        assert now < 1000
    assert ready == {A.path: A}
    assert now >= 5.0 * (1 + MOST_SETTLES)


def test_what_was_brought_is_ready_again_when_it_has_changed_or_was_gone() -> None:
    inbox = box(0.0)
    inbox.update([A, B], now=0.0)
    inbox.mark_done([A, B])
    inbox.update([A, B], now=1.0)
    assert not inbox.ready(now=100.0)
    assert inbox.wait_s(now=100.0) is None
    changed = replace(A, mtime_ns=2)
    inbox.update([changed], now=101.0)
    assert inbox.ready(now=101.0) == {A.path: changed}
    inbox.update([changed, B], now=102.0)  # it was gone
    assert inbox.ready(now=102.0) == {A.path: changed, B.path: B}


def test_what_changed_while_it_was_brought_is_brought_again() -> None:
    inbox = box(0.0)
    changed = replace(A, size=101)
    inbox.update([A], now=0.0)
    inbox.update([changed], now=1.0)
    inbox.mark_done([A])
    inbox.update([changed], now=1.0)
    assert inbox.ready(now=1.0) == {A.path: changed}


def test_what_may_belong_to_something_else_waits_for_that_once() -> None:
    inbox = box()
    inbox.update([A], now=0.0, lone={A.path})
    assert not inbox.ready(now=9.0)
    assert inbox.wait_s(now=9.0) == 1.0
    assert inbox.ready(now=10.0) == {A.path: A}
    inbox.update([A, B], now=9.0)
    assert not inbox.ready(now=10.0)
    assert inbox.ready(now=14.0) == {A.path: A, B.path: B}


def test_what_is_done_can_be_brought_again_at_once() -> None:
    inbox = box()
    inbox.update([A, B], now=0.0, lone={A.path})
    inbox.mark_done([A])
    assert inbox.requeue([A.path, B.path], now=20.0) == {A.path: A}
    assert inbox.is_new(A.path)
    inbox.update([A, B], now=20.0, lone={A.path})
    assert inbox.ready(now=20.0) == {A.path: A, B.path: B}
