"""How many photos may be finished at once: pure, from what the finishes themselves tell.

Knows numbers and times, and neither servers nor tasks. Finishing a photo takes two of a Piwigo's
PHP workers, and as many finishes as there are workers freeze the whole gallery for minutes
(piwigo-api.md, section 9). So the number starts at 1, grows by one while that pays, and never
reaches the workers; whatever looks like a freeze lowers it for good.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

WINDOW: Final = 8
"""Finishes per place that make a judgement."""

GAIN: Final = 1.05
"""Another place must bring so many times the throughput."""

STRETCH: Final = 2.5
"""… and must not make one finish last so many times what it lasts alone."""

HOLD_S: Final = 60.0
"""How long a place that did not pay is not tried again; doubles each time, up to an hour."""

MOST_HOLD_S: Final = 3600.0

UNKNOWN_CEILING: Final = 2
"""The ceiling where the workers could not be counted."""


def ceiling_for(workers: int | None) -> int:
    """Return how many finishes a server with so many PHP workers can bear at most.

    One worker must stay free for the server's request to itself, and from four on another one for
    visitors. A server with one worker gets one finish at a time: it has no better.
    """
    if workers is None:
        return UNKNOWN_CEILING
    return max(1, workers - (2 if workers >= 4 else 1))


@dataclass(slots=True)
class Finishing:
    """The number of photos that may be finished at once, `target`, from 1 to `ceiling`."""

    ceiling: int
    target: int = 1
    _samples: deque[float] = field(default_factory=deque)
    _usual: dict[int, float] = field(default_factory=dict)
    _hold_until: float = 0.0
    _hold_s: float = HOLD_S

    def record(self, latency_s: float, *, at_once: int, now: float) -> None:
        """Take in a finish that took so long, begun as one of `at_once`."""
        if at_once < self.target:
            return  # the line, not the server, is what it waited for
        self._samples.append(latency_s)
        if len(self._samples) < WINDOW * self.target:
            return
        self._usual[self.target] = max(median(self._samples), 1e-6)
        self._samples.clear()
        if self.target > 1 and not self._pays(self.target):
            self._step_back(now)
        elif self.target < self.ceiling and now >= self._hold_until:
            self.target += 1

    def trouble(self, *, at_once: int, now: float) -> None:
        """Take in a time-out, a 502, 503, 504 or a stall, met with `at_once` finishes under way.

        So many are never tried again in this run.
        """
        self.ceiling = max(1, min(self.ceiling, at_once - 1))
        self.target = max(1, min(self.ceiling, self.target // 2))
        self._samples.clear()
        self._usual.clear()
        self._hold(now)

    def usual_s(self) -> float | None:
        """Return how long a finish usually takes now, None before that is known."""
        return self._usual.get(self.target) or self._usual.get(self.target - 1)

    def _pays(self, places: int) -> bool:
        alone = self._usual.get(1)
        now, before = self._usual[places], self._usual.get(places - 1)
        if alone is not None and now > alone * STRETCH:
            return False
        return before is None or places / now >= GAIN * (places - 1) / before

    def _step_back(self, now: float) -> None:
        self.target -= 1
        self._hold(now)

    def _hold(self, now: float) -> None:
        self._hold_until = now + self._hold_s
        self._hold_s = min(self._hold_s * 2, MOST_HOLD_S)
