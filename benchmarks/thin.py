"""How much of a long thin line is used: 100 Mbit/s each way, 40 ms there and back.

The line is a proxy before a sandbox of 16 PHP workers; a finish costs 0.4 s for 4 MB and 0.05 s
for 200 kB. The photos' bytes that arrive are held against the line's, over the last part of a run:
by then it has found out how many may be finished at once. Its very end does not count.
"""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from archive import archive
from frame import Figure, bulkup, main
from hosting import Host, Told
from line import ThinLine

RATE = 100e6 / 8
ROUND_TRIP_S = 0.04
GALLERY = {"workers": 16, "exist_cost_s": 0.14}
SECONDS = 60.0
WARM = 0.6
END = 0.95


@dataclass(frozen=True)
class Case:
    """Photos of a size, what finishing one costs, and what part of the line they are to use."""

    size: int
    finish_s: float
    concurrency: int
    least: float

    @property
    def count(self) -> int:
        """How many fill the line for long enough."""
        return round(RATE * SECONDS / self.size)


CASES = (Case(4_000_000, 0.4, 8, 0.95), Case(200_000, 0.05, 16, 0.9))


async def figures() -> AsyncIterator[Figure]:
    """Upload over the line, once for each size."""
    async with Host() as host:
        for case in CASES:
            used = await used_part(case, host)
            yield Figure(
                f"thin line, {case.size / 1e6:g} MB, finishes of {case.finish_s} s, "
                f"`-c {case.concurrency}`",
                f"≥ {case.least:.0%} of it",
                f"{used:.1%} ({used * RATE / 1e6:.1f} MB/s)",
                used >= case.least,
            )


async def used_part(case: Case, host: Host) -> float:
    """Return which part of the line the photos of one run use."""
    with archive(count=case.count, size=case.size, sparse=True) as photos:
        url = urlsplit(await host.start(GALLERY | {"finish_s": case.finish_s}))
        async with ThinLine(url.port or 80, rate=RATE, round_trip_s=ROUND_TRIP_S) as line:
            with tempfile.TemporaryDirectory() as state:
                await bulkup(
                    *(photos.folder, "--album", "1", "--concurrency", f"{case.concurrency}"),
                    *("--ledger", Path(state) / "ledger.sqlite"),
                    url=f"http://127.0.0.1:{line.port}/",
                )
        told = await host.stop()
    if told.once != case.count:
        raise RuntimeError(f"{told.once} photos arrived")
    return rate_of(told) * case.size / RATE


def rate_of(told: Told) -> float:
    """Return the photos a second after the warm-up and before the end."""
    ends = sorted(told.finished_at)
    first, last = int(len(ends) * WARM), int(len(ends) * END)
    return (last - first) / (ends[last] - ends[first])


if __name__ == "__main__":
    main(figures, about=__doc__)
