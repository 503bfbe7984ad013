"""What the charts show: a bounded series of samples, coarser the longer the run.

Knows numbers and times, in seconds since the run began, and nothing of photos.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

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
