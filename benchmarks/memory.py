"""The memory of a run: over a million files, and with eight videos of 1 GB at once.

The million small files are in the ledger as uploaded, and the sandbox lists no albums (see
`again`); the videos are sparse, and are sent in full. The peak is VmHWM. Memory is flat if the
maximum in the last quarter of a run is at most a tenth above that in the second quarter.
"""

import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from again import OTHERS
from archive import archive, record, sums
from frame import Figure, Missing, Weighed, bulkup, main
from hosting import Host

COUNT = 1_000_000
SIZE = 50
VIDEOS = 8
VIDEO = 1_000_000_000
MOST = 150e6
FLAT = 1.1


async def figures() -> AsyncIterator[Figure]:
    """Run over both archives."""
    if sys.platform != "linux":
        raise Missing("no /proc on this system")
    yield figure(f"memory: {COUNT:,} files", await many())
    yield figure(f"memory: {VIDEOS} videos of 1 GB", await large())


async def many() -> Weighed:
    """Return the cost of a run over very many files."""
    with archive(count=COUNT, size=SIZE) as photos, tempfile.TemporaryDirectory() as state:
        ledger = Path(state) / "ledger.sqlite"
        async with Host() as host:
            url = await host.start({"only": OTHERS})
            await record(photos, sums(photos), file=ledger, url=url, per_album=COUNT)
            cost = await bulkup(photos.folder, "--album", "1", "--ledger", ledger, url=url)
            if (stats := await host.stop()).photos:
                raise RuntimeError(f"{stats.photos} photos were sent")
    return cost


async def large() -> Weighed:
    """Return the cost of a run with some very large files."""
    with archive(count=VIDEOS, size=VIDEO, sparse=True) as videos:
        async with Host() as host:
            url = await host.start({})
            flags = ("--album", "1", "--method", "upload", "--finishing", "4", "--no-ledger")
            cost = await bulkup(videos.folder, *flags, url=url)
            if (stats := await host.stop()).once != VIDEOS:
                raise RuntimeError(f"{stats.once} videos arrived")
    return cost


def figure(question: str, cost: Weighed) -> Figure:
    """Return the row of a run."""
    quarter = len(cost.resident) // 4
    rise = max(cost.resident[-quarter:]) / max(cost.resident[quarter : 2 * quarter])
    return Figure(
        question,
        "≤ 150 MB, flat",
        f"{cost.peak / 1e6:.0f} MB at most, last quarter {rise:.2f} × the second "
        f"({cost.seconds:.0f} s)",
        cost.peak <= MOST and rise <= FLAT,
    )


if __name__ == "__main__":
    main(figures, about=__doc__)
