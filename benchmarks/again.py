"""A second run over an archive of which the ledger holds everything: how many photos a second.

100,000 small files are in a sandbox' gallery and in the ledger. A run looks at each file, and asks
the server what the album shows; it reads and sends none. The whole command counts, start included.
"""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from archive import archive, record, sums
from frame import Figure, bulkup, main, middle
from hosting import Host, Stock

ROUNDS = 3
COUNT = 100_000
SIZE = 1000
LEAST = 25_000


async def figures() -> AsyncIterator[Figure]:
    """Run some times over the same archive."""
    rates, costs = [], []
    with archive(count=COUNT, size=SIZE) as photos, tempfile.TemporaryDirectory() as state:
        md5s = sums(photos)
        ledger = Path(state) / "ledger.sqlite"
        async with Host() as host:
            url = await host.start({"lounge": False}, Stock(md5s, per_album=COUNT))
            await record(photos, md5s, file=ledger, url=url, per_album=COUNT)
            for _ in range(ROUNDS):
                cost = await bulkup(photos.folder, "--album", "1", "--ledger", ledger, url=url)
                rates.append(COUNT / cost.seconds)
                costs.append(cost.cpu_s / COUNT * 1e6)
            if (told := await host.stop()).finished_at or told.photos != COUNT:
                raise RuntimeError("photos were sent")
    rate = middle(rates)
    yield Figure(
        f"second run, all there ({COUNT:,} recorded)",
        f"≥ {LEAST:,} photos/s",
        f"{rate:,.0f} photos/s ({middle(costs):.0f} µs of processor time each)",
        rate >= LEAST,
    )


if __name__ == "__main__":
    main(figures, about=__doc__)
