import pytest

from bulkup.app.runner import ErrorLimit
from bulkup.events import Event, Noticed, Verdict
from tests.support.sample_run import checked, failure, unfinished


class Run:
    """A run whose failures are limited."""

    def __init__(self, most: int | None) -> None:
        self.stops: list[bool] = []
        self.heard: list[Event] = []
        self.limit = ErrorLimit(self.heard.append, most=most, stop=lambda: self.stops.append(True))

    def goes_through(self, *events: Event) -> int:
        """Return how often it was stopped by then."""
        for event in events:
            self.limit.emit(event)
        return len(self.stops)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_it_stops_the_run_at_the_nth_failure_and_says_so_once(most: int) -> None:
    run, failures = Run(most), [failure(f"{number}.jpg") for number in range(most + 2)]
    assert (run.goes_through(*failures[: most - 1]), run.limit.reached) == (0, False)
    assert (run.goes_through(*failures[most - 1 :]), run.limit.reached) == (1, True)
    said = run.heard.pop(most)  # after the failure that it is about
    assert isinstance(said, Noticed)
    assert ("1 photo has" if most == 1 else f"{most} photos have") in said.message
    assert "--max-errors" in said.message
    assert run.heard == failures


def test_only_what_failed_counts_and_without_a_number_nothing() -> None:
    run, unlimited = Run(2), Run(None)
    others = [checked("a.jpg", verdict) for verdict in Verdict if verdict is not Verdict.FAILED]
    assert run.goes_through(failure("1.jpg"), unfinished("a.jpg"), *others) == 0
    assert run.goes_through(checked("a.jpg", Verdict.FAILED)) == 1
    assert unlimited.goes_through(*[failure("a.jpg")] * 100) == 0
    assert len(unlimited.heard) == 100
