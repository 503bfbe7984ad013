from unittest.mock import Mock

import pytest

from bulkup.app.runner import ErrorLimit
from bulkup.events import Event, Noticed, Verdict
from tests.support.sample_run import checked, failure, unfinished


def after(most: int | None, *history: Event) -> tuple[bool, int, list[Event]]:
    """Return whether a run has reached its limit, how often it was stopped, and its events."""
    passed, stop = list[Event](), Mock()
    limit = ErrorLimit(passed.append, most=most, stop=stop)
    for event in history:
        limit.emit(event)
    return limit.reached, stop.call_count, passed


@pytest.mark.parametrize("most", [1, 2, 5])
def test_it_stops_the_run_at_the_nth_failure_and_says_so_once(most: int) -> None:
    failures = [failure(f"{number}.jpg") for number in range(most + 2)]
    assert after(most, *failures[: most - 1]) == (False, 0, failures[: most - 1])
    reached, stops, passed = after(most, *failures)
    assert (reached, stops) == (True, 1)
    said = passed.pop(most)  # after the failure that it is about
    assert isinstance(said, Noticed)
    assert ("1 photo has" if most == 1 else f"{most} photos have") in said.message
    assert "--max-errors" in said.message
    assert passed == failures


def test_only_what_failed_counts_and_without_a_number_nothing() -> None:
    others = [checked("a.jpg", verdict) for verdict in Verdict if verdict is not Verdict.FAILED]
    history: list[Event] = [failure("1.jpg"), unfinished("a.jpg"), *others]
    assert after(2, *history) == (False, 0, history)
    assert after(2, *history, checked("a.jpg", Verdict.FAILED))[:2] == (True, 1)
    assert after(None, *history * 100) == (False, 0, history * 100)
