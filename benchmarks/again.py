"""A second run over an archive of which the ledger holds everything: how many photos a second.

100,000 small files are in a sandbox' gallery and in the ledger. A run looks at each file, reads
and sends none, and asks the server what the album shows. That list takes the sandbox, and any
server, longer than all the rest; so what counts is a server that lists no albums, where the ledger
is believed. The whole command counts, its start included; a run with the list is told beside it.
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
    """Run some times over the same archive, then once where the server lists the album."""
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
    """Return what runs cost against a gallery that has it all and offers these methods."""
    url = await host.start({"lounge": False, "only": only}, Stock(md5s, per_album=COUNT))
    with tempfile.TemporaryDirectory() as state:
        ledger = Path(state) / "ledger.sqlite"
        await record(photos, md5s, file=ledger, url=url, per_album=COUNT)
        flags = ("--album", "1", "--ledger", ledger)
        costs = [await bulkup(photos.folder, *flags, url=url) for _ in range(rounds)]
    if (told := await host.stop()).finished_at or told.photos != COUNT:
        raise RuntimeError("photos were sent")
    return costs


if __name__ == "__main__":
    main(figures, about=__doc__)
