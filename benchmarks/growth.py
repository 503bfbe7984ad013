"""Whether a photo costs the same in small and large archives.

Small files are uploaded to a sandbox in another process. The figure is the client's processor time
per photo, without that of a run over a few photos, which logs in and imports what sending needs.
The smallest archive is uploaded five times.
"""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from archive import archive
from frame import Figure, bulkup, main, middle
from hosting import Host

COUNTS = (1_000, 10_000, 100_000)
ROUNDS = {1_000: 5}
SIZE = 2000
FEW = 16
WITHIN = 0.1


async def figures() -> AsyncIterator[Figure]:
    """Upload archives, each ten times as large as the one before."""
    async with Host() as host:
        few_s = middle([await cpu_s(host, FEW) for _ in range(5)])
        costs = []
        for count in COUNTS:
            rounds = [await cpu_s(host, count) for _ in range(ROUNDS.get(count, 1))]
            costs.append((middle(rounds) - few_s) / (count - FEW) * 1000)
    spread = max(costs) / min(costs) - 1
    yield Figure(
        f"growth: {', '.join(f'{count:,}' for count in COUNTS)} photos",
        f"the same for each, within {WITHIN:.0%}",
        f"{', '.join(f'{cost:.2f}' for cost in costs)} ms of processor time: {spread:.0%} apart",
        spread <= WITHIN,
    )


async def cpu_s(host: Host, count: int) -> float:
    """Return the processor seconds of one upload."""
    with archive(count=count, size=SIZE) as photos, tempfile.TemporaryDirectory() as state:
        url = await host.start({})
        flags = ("--album", "1", "--finishing", "8", "--ledger", Path(state) / "ledger.sqlite")
        cost = await bulkup(photos.folder, *flags, url=url)
        if (stats := await host.stop()).once != count:
            raise RuntimeError(f"{stats.once} photos of {count} arrived")
    return cost.cpu_s


if __name__ == "__main__":
    main(figures, about=__doc__)
