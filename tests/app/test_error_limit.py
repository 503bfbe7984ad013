import pytest

from bulkup.app.runner import ErrorLimit
from bulkup.events import Event, Noticed, Verdict
from tests.support.sample_run import checked, failure, unfinished


class Run:
    """A run whose failures are limited."""

    def __init__(self, most: int | None) -> None:
        self.stops = 0
        self.heard: list[Event] = []
        self.limit = ErrorLimit(self.heard.append, most=most, stop=self._stop)

    def _stop(self) -> None:
        self.stops += 1

    def goes_through(self, *events: Event) -> None:
        for event in events:
            self.limit.emit(event)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_it_stops_the_run_at_the_nth_failure_and_says_so_once(most: int) -> None:
    run = Run(most)
    failures = [failure(f"{number}.jpg") for number in range(most + 2)]
    run.goes_through(*failures[: most - 1])
    assert (run.stops, run.limit.reached) == (0, False)
    run.goes_through(*failures[most - 1 :])
    assert (run.stops, run.limit.reached) == (1, True)
    said = run.heard.pop(most)  # after the failure that it is about
    assert isinstance(said, Noticed)
    assert ("1 photo has" if most == 1 else f"{most} photos have") in said.message
    assert "--max-errors" in said.message
    assert run.heard == failures


def test_only_what_failed_counts() -> None:
    run = Run(2)
    run.goes_through(
        failure("1.jpg"),
        unfinished("a.jpg"),
        *[checked("a.jpg", verdict) for verdict in Verdict if verdict is not Verdict.FAILED],
    )
    assert run.stops == 0
    run.goes_through(checked("a.jpg", Verdict.FAILED))
    assert run.stops == 1


def test_without_a_number_there_is_no_limit() -> None:
    run = Run(None)
    run.goes_through(*[failure("a.jpg")] * 100)
    assert (run.stops, len(run.heard)) == (0, 100)
