"""A second run over an archive that is in the ledger: how many photos per second.

100,000 small files are in the gallery of a sandbox and in the ledger. A run checks each file,
reads and sends none, and asks the server for the photos of the album. That list takes any server
longer than all the rest, so the target is for a server that lists no albums, where the ledger is
trusted. The time is that of the whole command; a run with the list is measured for comparison.
"""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from archive import Archive, archive, record, sums
from frame import Figure, Weighed, bulkup, main, middle
from hosting import Host, Stock

from bulkup.sandbox.methods import methods_of
from bulkup.sandbox.versions import Release

ROUNDS = 3
COUNT = 100_000
SIZE = 1000
LEAST = 25_000
LIST = "pwg.categories.getImages"
OTHERS = set(methods_of(Release("16.4.0"), only=None)) - {LIST}


async def figures() -> AsyncIterator[Figure]:
    """Run several times over one archive, then once with the list of the album."""
    with archive(count=COUNT, size=SIZE) as photos:
        md5s = sums(photos)
        async with Host() as host:
            costs = await second_runs(host, photos, md5s, only=OTHERS, rounds=ROUNDS)
            (listed,) = await second_runs(host, photos, md5s, only=None, rounds=1)
    rate = COUNT / middle([cost.seconds for cost in costs])
    cpu_s = middle([cost.cpu_s for cost in costs]) / COUNT
    yield Figure(
        f"second run, all there ({COUNT:,} recorded)",
        f"≥ {LEAST:,} photos/s",
        f"{rate:,.0f} photos/s, {cpu_s * 1e6:.0f} µs of processor time each "
        f"({COUNT / rate:.1f} s; {listed.seconds:.1f} s where the server lists the album)",
        rate >= LEAST,
    )


async def second_runs(
    host: Host, photos: Archive, md5s: list[str], *, only: set[str] | None, rounds: int
) -> list[Weighed]:
    """Return the costs of runs against a gallery with all photos and these methods."""
    url = await host.start({"lounge": False, "only": only}, Stock(md5s, per_album=COUNT))
    with tempfile.TemporaryDirectory() as state:
        ledger = Path(state) / "ledger.sqlite"
        await record(photos, md5s, file=ledger, url=url, per_album=COUNT)
        flags = ("--album", "1", "--ledger", ledger)
        costs = [await bulkup(photos.folder, *flags, url=url) for _ in range(rounds)]
    if (stats := await host.stop()).finished_at or stats.photos != COUNT:
        raise RuntimeError("photos were sent")
    return costs


if __name__ == "__main__":
    main(figures, about=__doc__)
