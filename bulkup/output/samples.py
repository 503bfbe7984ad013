"""Data for charts: samples of a run over time, whose number stays bounded, and photos by size."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from bulkup.output.state import RunState

MAX_SAMPLES: Final = 600
INTERVAL_S: Final = 1.0


class Sample(NamedTuple):
    """An interval that ends at `at_s`, with its fields in the order that `charts.js` reads.

    `rate` is in bytes and `pace` in photos per second, sent or verified. `finishes` photos were
    finished, in `finish_s` seconds on average and `slowest_s` at most. The others are values at
    its end: `finishing` photos were being finished, `limit` is how many may be at once, `most` the
    maximum of that limit, and `chunk_size` is in bytes.
    """

    at_s: float
    rate: float
    pace: float
    finishes: int
    finish_s: float
    slowest_s: float
    finishing: int
    limit: int
    most: int
    chunk_size: int

    def joined(self, later: "Sample", *, since_s: float) -> "Sample":
        """Join this sample, which begins at `since_s`, with the following one."""
        first_s, second_s = self.at_s - since_s, later.at_s - self.at_s
        both_s = first_s + second_s
        finishes = self.finishes + later.finishes
        total_s = self.finish_s * self.finishes + later.finish_s * later.finishes
        return later._replace(
            rate=(self.rate * first_s + later.rate * second_s) / both_s,
            pace=(self.pace * first_s + later.pace * second_s) / both_s,
            finishes=finishes,
            finish_s=total_s / finishes if finishes else 0.0,
            slowest_s=max(self.slowest_s, later.slowest_s),
            finishing=max(self.finishing, later.finishing),
        )


class Sampler:
    """Samples a run every `every_s` seconds.

    After `most` samples, an even number, each pair is joined into one and the interval doubles.
    That starts a new `edition`.
    """

    def __init__(
        self, state: RunState, *, most: int = MAX_SAMPLES, every_s: float = INTERVAL_S
    ) -> None:
        self.edition = 0
        self.samples: list[Sample] = []
        self._state = state
        self._most = most
        self._every_s = every_s
        self._at_s = 0.0
        self._bytes = self._checks = 0
        self._finishes: list[float] = []

    def finished(self, seconds: float) -> None:
        """Count a photo that took `seconds` to finish."""
        self._finishes.append(seconds)

    def advance(self, now: float, *, last: bool = False) -> None:
        """Take every sample that is due at `now`; with `last`, also one of the time left over.

        A remainder of less than half an interval is joined with the last sample, since its rate
        would not be meaningful.
        """
        elapsed_s = self._state.elapsed_s(now)
        while elapsed_s >= self._at_s + self._every_s:
            self._take(self._at_s + self._every_s)
        rest_s = elapsed_s - self._at_s
        if last and rest_s > 0:
            self._take(elapsed_s)
            if rest_s < self._every_s / 2 and len(self.samples) > 1:
                since_s = self.samples[-3].at_s if self.samples[2:] else 0.0
                self.samples[-2:] = [self.samples[-2].joined(self.samples[-1], since_s=since_s)]
                self.edition += 1

    def since(self, edition: int, index: int) -> Sequence[Sample]:
        """Return the samples after the first `index` of an edition; all if it is out of date."""
        return self.samples[index:] if edition == self.edition else self.samples

    def _take(self, at_s: float) -> None:
        state, lasted_s, finishes = self._state, at_s - self._at_s, self._finishes
        moved = state.sent_size + state.checked_size
        checks = state.verdicts.total()
        photos = len(finishes) + checks - self._checks
        self.samples.append(
            Sample(
                at_s=at_s,
                rate=(moved - self._bytes) / lasted_s,
                pace=photos / lasted_s,
                finishes=len(finishes),
                finish_s=sum(finishes) / len(finishes) if finishes else 0.0,
                slowest_s=max(finishes, default=0.0),
                finishing=state.finishing,
                limit=state.limits.finishing if state.limits else 0,
                most=state.limits.most_finishing if state.limits else 0,
                chunk_size=state.chunk_size,
            )
        )
        self._at_s, self._bytes, self._checks, self._finishes = at_s, moved, checks, []
        if len(self.samples) >= self._most:
            self._halve()

    def _halve(self) -> None:
        starts = [0.0, *(sample.at_s for sample in self.samples[1::2])]
        pairs = zip(self.samples[::2], self.samples[1::2], starts, strict=False)
        self.samples = [first.joined(second, since_s=start) for first, second, start in pairs]
        self._every_s *= 2
        self.edition += 1


STEPS: Final = (1, 2, 5)


class Sizes:
    """Counts photos by size, in steps of 1, 2, 5, 10, 20, 50 … bytes."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, size: int) -> None:
        """Count a photo of `size` bytes."""
        power = 10 ** (len(str(max(size, 1))) - 1)
        self._counts[power * max(step for step in STEPS if step * power <= max(size, 1))] += 1

    def steps(self) -> list[tuple[int, int, int]]:
        """Return each step's lower bound, its upper bound, and its count; without gaps."""
        if not self._counts:
            return []
        least, most = min(self._counts), max(self._counts)
        bounds = [step * 10**power for power in range(len(str(most)) + 1) for step in STEPS]
        return [
            (low, high, self._counts[low])
            for low, high in pairwise(bounds)
            if least <= low <= most
        ]
