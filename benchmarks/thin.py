"""How much of a line of 100 Mbit/s each way and a round trip of 40 ms is used.

The line is a proxy before a sandbox of 16 PHP workers; a finish costs 0.4 s for 4 MB and 0.05 s
for 200 kB. The bytes of photos that arrive are compared with the line's rate over the photos from
60 % to 95 % of a run: by then the number of finishes at once has settled.
"""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from archive import archive
from frame import Figure, bulkup, main
from hosting import Host, Stats
from line import ThinLine

RATE = 100e6 / 8
ROUND_TRIP_S = 0.04
GALLERY = {"workers": 16, "exist_cost_s": 0.14}
SECONDS = 60.0
WARM = 0.6
END = 0.95


@dataclass(frozen=True)
class Case:
    """Photos of a size, the cost of a finish, and the part of the line to reach."""

    size: int
    finish_s: float
    concurrency: int
    least: float

    @property
    def count(self) -> int:
        """The number that fills the line for long enough."""
        return round(RATE * SECONDS / self.size)


CASES = (Case(4_000_000, 0.4, 8, 0.95), Case(200_000, 0.05, 16, 0.9))


async def figures() -> AsyncIterator[Figure]:
    """Upload over the line, once per size."""
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
    """Return the part of the line that the photos of a run use."""
    with archive(count=case.count, size=case.size, sparse=True) as photos:
        url = urlsplit(await host.start(GALLERY | {"finish_s": case.finish_s}))
        async with ThinLine(url.port or 80, rate=RATE, round_trip_s=ROUND_TRIP_S) as line:
            with tempfile.TemporaryDirectory() as state:
                await bulkup(
                    *(photos.folder, "--album", "1", "--concurrency", f"{case.concurrency}"),
                    *("--ledger", Path(state) / "ledger.sqlite"),
                    url=f"http://127.0.0.1:{line.port}/",
                )
        stats = await host.stop()
    if stats.once != case.count:
        raise RuntimeError(f"{stats.once} photos arrived")
    return rate_of(stats) * case.size / RATE


def rate_of(stats: Stats) -> float:
    """Return the photos per second after the warm-up and before the end."""
    ends = sorted(stats.finished_at)
    first, last = int(len(ends) * WARM), int(len(ends) * END)
    return (last - first) / (ends[last] - ends[first])


if __name__ == "__main__":
    main(figures, about=__doc__)
