"""Samples over time whose number stays bounded, for charts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

MOST: Final = 40
SHORTEST_S: Final = 0.25
STEPS: Final = (1, 2, 5)


@dataclass(slots=True)
class Bucket:
    """What happened in a stretch of time.

    `sent` bytes went out, `done` photos were finished or checked, which the server took
    `finish_s` for altogether and `slowest_s` for the slowest of them. `finishing`, `ceiling` and
    `chunk_size` are the limits that were in force at the end of it, 0 where none is known.
    """

    sent: int = 0
    done: int = 0
    finished: int = 0
    finish_s: float = 0.0
    slowest_s: float = 0.0
    finishing: int = 0
    ceiling: int = 0
    chunk_size: int = 0

    def join(self, later: "Bucket") -> None:
        """Take in the stretch of time that follows."""
        self.sent += later.sent
        self.done += later.done
        self.finished += later.finished
        self.finish_s += later.finish_s
        self.slowest_s = max(self.slowest_s, later.slowest_s)
        self.finishing = later.finishing
        self.ceiling = later.ceiling
        self.chunk_size = later.chunk_size


class Timeline:
    """Buckets of `width_s` seconds each, from `started` on; at most `MOST` of them."""

    def __init__(self, started: float) -> None:
        self.width_s = SHORTEST_S
        self.buckets = [Bucket()]
        self._started = started

    def at(self, now: float) -> Bucket:
        """Return the bucket for what happens `now`."""
        index = self._index(now)
        while index >= MOST:
            self._halve()
            index = self._index(now)
        while len(self.buckets) <= index:
            last = self.buckets[-1]
            self.buckets.append(
                Bucket(finishing=last.finishing, ceiling=last.ceiling, chunk_size=last.chunk_size)
            )
        return self.buckets[index]

    def lengths_s(self, elapsed_s: float) -> list[float]:
        """Return how long each stretch was; of the last one only a part may have been lived."""
        whole = len(self.buckets) - 1
        rest_s = min(max(elapsed_s - whole * self.width_s, SHORTEST_S / 10), self.width_s)
        return [self.width_s] * whole + [rest_s]

    def _index(self, now: float) -> int:
        return max(0, int((now - self._started) / self.width_s))

    def _halve(self) -> None:
        joined = [replace(bucket) for bucket in self.buckets[::2]]
        for bucket, later in zip(joined, self.buckets[1::2], strict=False):
            bucket.join(later)
        self.buckets = joined
        self.width_s *= 2


class Sizes:
    """How many photos there are of about which size: steps of 1, 2, 5, 10, 20, 50 … bytes."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, size: int) -> None:
        """Count a photo of `size` bytes."""
        power = 10 ** (len(str(max(size, 1))) - 1)
        self._counts[power * max(step for step in STEPS if step * power <= max(size, 1))] += 1

    def steps(self) -> list[tuple[int, int, int]]:
        """Return from which size up to which there are how many, without gaps."""
        if not self._counts:
            return []
        least, most = min(self._counts), max(self._counts)
        bounds = [step * 10**power for power in range(len(str(most)) + 1) for step in STEPS]
        return [
            (low, high, self._counts[low])
            for low, high in pairwise(bounds)
            if least <= low <= most
        ]


MOST_SAMPLES: Final = 600
EVERY_S: Final = 1.0


class Sample(NamedTuple):
    """A stretch of time that ends `at_s`.

    `rate` in bytes a second; `finishes` photos were finished, in `finish_s` seconds on average
    and in `slowest_s` at most; `finishing` were being finished at its end, `limit` may be, and
    `most` might become.
    """

    at_s: float
    rate: float
    finishes: int
    finish_s: float
    slowest_s: float
    finishing: int
    limit: int
    most: int

    def joined(self, later: "Sample", *, since_s: float) -> "Sample":
        """Return both stretches as one that begins `since_s`."""
        sent = self.rate * (self.at_s - since_s) + later.rate * (later.at_s - self.at_s)
        finishes = self.finishes + later.finishes
        total_s = self.finish_s * self.finishes + later.finish_s * later.finishes
        return Sample(
            at_s=later.at_s,
            rate=sent / (later.at_s - since_s),
            finishes=finishes,
            finish_s=total_s / finishes if finishes else 0.0,
            slowest_s=max(self.slowest_s, later.slowest_s),
            finishing=max(self.finishing, later.finishing),
            limit=later.limit,
            most=later.most,
        )


class History:
    """Takes samples; when there are too many, each two become one, in a new `edition`."""

    def __init__(self, *, most: int = MOST_SAMPLES, every_s: float = EVERY_S) -> None:
        self.edition = 0
        self.samples: list[Sample] = []
        self._most = most
        self._every_s = every_s
        self._at_s = 0.0
        self._sent = 0
        self._finishes: list[float] = []

    def finished(self, seconds: float) -> None:
        """Count a photo that took so long to finish."""
        self._finishes.append(seconds)

    def sample(
        self, at_s: float, *, sent: int, finishing: int, limit: int, most: int, last: bool = False
    ) -> None:
        """Take the next sample if it is time for it, or if it is the `last`.

        `sent` bytes have gone out so far.
        """
        lasted_s = at_s - self._at_s
        if lasted_s <= 0 or (lasted_s < self._every_s and not last):
            return
        finishes = self._finishes
        self.samples.append(
            Sample(
                at_s=at_s,
                rate=(sent - self._sent) / lasted_s,
                finishes=len(finishes),
                finish_s=sum(finishes) / len(finishes) if finishes else 0.0,
                slowest_s=max(finishes, default=0.0),
                finishing=finishing,
                limit=limit,
                most=most,
            )
        )
        self._at_s, self._sent, self._finishes = at_s, sent, []
        if len(self.samples) >= self._most:
            self._halve()

    def since(self, edition: int, index: int) -> Sequence[Sample]:
        """Return the samples that a reader lacks who has `index` of an edition."""
        return self.samples[index:] if edition == self.edition else self.samples

    def _halve(self) -> None:
        halved: list[Sample] = []
        for first, second in zip(self.samples[::2], self.samples[1::2], strict=False):
            since_s = halved[-1].at_s if halved else 0.0
            halved.append(first.joined(second, since_s=since_s))
        self.samples = halved + self.samples[2 * len(halved) :]
        self._every_s *= 2
        self.edition += 1
