"""What a monitor tells of a run: taken in event by event, given out as messages for its readers.

Knows the state and what is counted beside it, and no web. Memory is bounded, for however long a
run and however many readers: a reader holds a `Place`, not a queue, and one that is slow skips.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from bulkup.events import Event
from bulkup.monitor.facts import Facts, facts, line_of
from bulkup.monitor.history import History
from bulkup.monitor.probe import Probe
from bulkup.report import RunState

LINES_KEPT: Final = 200


class Counts(Protocol):
    """Who counts for `/metrics`."""

    def observe(self, event: Event, *, sent: int, finish_s: float | None) -> None:
        """Count an event by which `sent` bytes went out, and a photo was finished, if any was."""

    def page(
        self, accept: str, state: RunState, now: float, *, finishing: int
    ) -> tuple[bytes, str]:
        """Return the figures of `now` in a form that the asker accepts, and its content type."""


@dataclass(slots=True)
class Place:
    """How far a reader has come: in which run, edition of the samples, sample, and line."""

    run: int = -1
    edition: int = -1
    samples: int = 0
    lines: int = 0


class Board:
    """Keeps what is to be seen; `clock` in seconds, `counts` None while nobody counts."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.counts: Counts | None = None
        self._clock = clock
        self._run = 0
        self._over = False
        self._begin()

    def _begin(self) -> None:
        self.state = RunState()
        self._ended = False
        self._probe = Probe()
        self._history = History()
        self._lines: deque[Facts] = deque(maxlen=LINES_KEPT)
        self._lines_so_far = 0

    def emit(self, event: Event) -> None:
        """Take in what has happened. Another run begins with a page of its own."""
        now = self._clock()
        if self._ended:
            self._run += 1
            self._begin()
        sent = self._probe.sent
        finish_s = self._probe.observe(event, self.state)
        self.state.apply(event, now)
        if finish_s is not None:
            self._history.finished(finish_s)
        if self.counts:
            self.counts.observe(event, sent=self._probe.sent - sent, finish_s=finish_s)
        if line := line_of(event):
            at = round(self.state.elapsed_s(now), 1)
            self._lines.append({"at": at, **line})
            self._lines_so_far += 1

    def end(self) -> None:
        """Take the last sample of a run, however it ended."""
        self._ended = True
        self._sample(last=True)

    def close(self) -> None:
        """Nothing more will happen."""
        self._over = True
        self.end()

    def tick(self) -> None:
        """Take the sample of the moment."""
        if not self._ended:
            self._sample()

    def _sample(self, *, last: bool = False) -> None:
        now = self._clock()
        state = self.state
        if state.started is not None:
            self._history.sample(
                state.elapsed_s(now),
                sent=self._probe.sent,
                finishing=self._probe.finishing,
                limit=state.limits.finishing if state.limits else 0,
                most=state.limits.most_finishing if state.limits else 0,
                last=last,
            )

    def message(self, place: Place) -> str:
        """Return as JSON what is to be seen now, with what a reader at this place lacks.

        The place becomes that of the moment.
        """
        anew = place.run != self._run
        if anew:
            place.run, place.edition, place.samples, place.lines = self._run, -1, 0, 0
        samples = self._history.since(place.edition, place.samples)
        fresh = self._history.edition != place.edition
        lacking = min(self._lines_so_far - place.lines, len(self._lines))
        lines = list(self._lines)[len(self._lines) - lacking :]
        message = {
            **facts(self.state, self._clock(), ended=self._ended),
            "over": self._over,
            "anew": anew,  # lines that came before are of another run
            "fresh": fresh,  # samples that came before are to be forgotten
            "samples": [[round(value, 4) for value in sample] for sample in samples],
            "lines": lines,
            "lines_so_far": self._lines_so_far,
        }
        place.edition = self._history.edition
        place.samples = len(self._history.samples)
        place.lines = self._lines_so_far
        return json.dumps(message)

    def figures(self, accept: str) -> tuple[bytes, str] | None:
        """Return the figures for Prometheus and their content type, None where nobody counts."""
        if self.counts is None:
            return None
        return self.counts.page(accept, self.state, self._clock(), finishing=self._probe.finishing)
