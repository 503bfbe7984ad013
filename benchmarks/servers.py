"""The servers of the pacing benchmark: their workers, their costs and their capacity.

All times are half of what they are on a shared host: a finished photo costs 0.2 s (for 0.4 s of a
photo of 1.8 MB), 72 % of it in a second worker, a page view 0.075 s (for 0.15 s, a grown gallery's
album page), looking up 100,000 sums 0.07 s (for 0.14 s); finishes and page views vary by half.
There are four page views a second (for two). The web server waits 30 s (for 60 s). A
processor-bound server computes on two cores, which all requests share; a latency-bound one is
short of nothing but workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SCALE = 0.5
FINISH_S = 0.4 * SCALE
SHARE = 0.72
PAGE_S = 0.15 * SCALE
EXIST_S = 0.14 * SCALE
GATEWAY_S = 60.0 * SCALE
SPREAD = 0.5
VIEWS_PER_S = 2 / SCALE
CPUS = 2
MOST_PER_S = 16 / (1 + SHARE) / FINISH_S + 1
STEPS = (1, 2, 3, 4, 5, 6, 7)
FEWER_STEPS = (1, 2, 4, 6, 8, 9, 10, 11, 12, 15)  # for 16 workers


@dataclass(frozen=True)
class Server:
    """A server; `known`: the number of workers in the ledger, right or wrong."""

    workers: int
    bound: str = "latency"
    start: int | None = None
    known: int | None = None
    gateway_s: float = GATEWAY_S

    @property
    def name(self) -> str:
        """The name in the table."""
        grown = f"{self.start} → " if self.start else ""
        known = f" ({self.known} in the ledger)" if self.known else ""
        return f"{grown}{self.workers}{known}"

    @property
    def key(self) -> tuple[bool, int, str]:
        """The sort key in the table."""
        return bool(self.start or self.known or self.workers == 1), self.workers, self.bound

    @property
    def words(self) -> set[str]:
        """The words that `--only` chooses it by."""
        kinds = {"grows": self.start, "known": self.known}
        return {f"{self.workers}", self.bound} | {name for name, is_it in kinds.items() if is_it}

    def options(self) -> dict[str, Any]:
        """Return the options of the sandbox."""
        return {
            "workers": self.workers,
            "start_workers": self.start,
            "cpus": CPUS if self.bound == "processor" else None,
            "finish_s": FINISH_S,
            "derivative_share": SHARE,
            "page_s": PAGE_S,
            "exist_cost_s": EXIST_S,
            "spread": SPREAD,
            "gateway_timeout_s": self.gateway_s,
        }

    def fastest(self, finishing: int) -> float:
        """Return the highest possible rate with this many finishes at once."""
        rate = min(finishing, self.workers / (1 + SHARE)) / FINISH_S
        return min(rate, CPUS / FINISH_S) if self.bound == "processor" else rate

    def settings(self, concurrency: int) -> list[int]:
        """Return the fixed settings to try."""
        most = min(self.workers - 1, concurrency)
        return [n for n in (STEPS if self.workers <= 8 else FEWER_STEPS) if n <= most]


def all_servers() -> Iterator[tuple[Server, tuple[int, ...]]]:
    """Yield each server with its concurrencies, the slowest ones first."""
    for workers in (16, 8, 5, 3, 2):
        for bound in ("latency", "processor"):
            yield Server(workers, bound), (8, 32)
    yield Server(8, start=2), (8,)
    for known in (4, 6):
        yield Server(5, known=known), (8,)
    yield Server(1, gateway_s=1.0), (8,)


def some_servers() -> Iterator[tuple[Server, tuple[int, ...]]]:
    """Yield a few of them."""
    yield Server(8), (32,)
    yield Server(5, "processor"), (8,)
    yield Server(3), (8,)
    yield Server(8, start=2), (8,)
    yield Server(5, known=6), (8,)
    yield Server(1, gateway_s=1.0), (8,)
