"""What a photo of 50 kB costs the client: the whole run, with ledger, events and plain report.

The ordinary command line uploads to a sandbox in another process; all of its processor time
counts, its start included. The number of finishes at once is fixed: to find the best takes time.
"""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from archive import archive
from frame import Figure, bulkup, main, middle
from hosting import Host

ROUNDS = 3
COUNT = 4000
SIZE = 50_000
MOST_MS = 1.5


async def figures() -> AsyncIterator[Figure]:
    """Upload several times, each time to a new gallery."""
    costs, seconds = [], []
    with archive(count=COUNT, size=SIZE) as photos:
        async with Host() as host:
            for _ in range(ROUNDS):
                url = await host.start({})
                with tempfile.TemporaryDirectory() as state:
                    flags = ("--finishing", "8", "--ledger", Path(state) / "ledger.sqlite")
                    cost = await bulkup(photos.folder, "--album", "1", *flags, url=url)
                if (stats := await host.stop()).once != COUNT:
                    raise RuntimeError(f"{stats.once} photos arrived")
                costs.append(cost.cpu_s / COUNT * 1000)
                seconds.append(cost.seconds / COUNT * 1000)
    cost_ms = middle(costs)
    yield Figure(
        f"small photos, 50 kB ({COUNT:,}), processor time of each",
        f"≤ {MOST_MS} ms",
        f"{cost_ms:.2f} ms ({1000 / middle(seconds):,.0f} photos/s)",
        cost_ms <= MOST_MS,
    )


if __name__ == "__main__":
    main(figures, about=__doc__)
