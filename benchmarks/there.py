"""A first run where the gallery has all photos already: as fast as hashing.

20,000 sparse files of 500 kB are in the gallery of a sandbox, and the ledger is empty. The run is
compared with one `md5sum -` over the same bytes, and with as many md5sum processes as a run has
threads, which have no server to compete with.
"""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from archive import Archive, archive
from frame import Figure, bulkup, cores, main, middle, tool, weigh
from hosting import Host, Stock

from bulkup.engine.executor import LocalExecutor

ROUNDS = 2
COUNT = 20_000
SIZE = 500_000


async def figures() -> AsyncIterator[Figure]:
    """Hash by md5sum and by a run, in turn."""
    processes = min(LocalExecutor.readers, cores())
    md5sum = tool("md5sum", package="coreutils")
    many = (tool("xargs", package="findutils"), "-0", "-n", "64", "-P", f"{processes}", md5sum)
    one = ("sh", "-c", f"xargs -0 cat | {md5sum} -")
    ours, theirs, by_many = [], [], []
    with archive(count=COUNT, size=SIZE, sparse=True) as photos:
        output = (await weigh(*many, given=photos.names())).check().output
        stock = Stock(sums_by_name(output, photos), per_album=COUNT)
        async with Host() as host:
            url = await host.start({"lounge": False}, stock)
            for _ in range(ROUNDS):
                theirs.append((await weigh(*one, given=photos.names())).check().seconds)
                by_many.append((await weigh(*many, given=photos.names())).check().seconds)
                with tempfile.TemporaryDirectory() as state:
                    flags = ("--album", "1", "--ledger", Path(state) / "ledger.sqlite")
                    ours.append((await bulkup(photos.folder, *flags, url=url)).seconds)
            if (stats := await host.stop()).photos != COUNT:
                raise RuntimeError(f"{stats.photos - COUNT} photos were sent")
    ratio = middle([their / our for our, their in zip(ours, theirs, strict=True)])
    beside = middle([many_s / our for our, many_s in zip(ours, by_many, strict=True)])
    rate = photos.total / 1e6 / middle(ours)
    yield Figure(
        f"first run, all there ({COUNT:,} of 500 kB)",
        "≥ 0.8 × `md5sum -`",
        f"{ratio:.2f} × ({rate:,.0f} MB/s, {COUNT / middle(ours):,.0f} photos/s; "
        f"{beside:.2f} × {processes} md5sum)",
        ratio >= 0.8,
    )


def sums_by_name(output: str, photos: Archive) -> list[str]:
    """Return the MD5s of md5sum's output in the order of the files."""
    sums = {name: md5 for md5, name in (line.split("  ", 1) for line in output.splitlines())}
    return [sums[f"{path}"] for path in photos.paths()]


if __name__ == "__main__":
    main(figures, about=__doc__)
