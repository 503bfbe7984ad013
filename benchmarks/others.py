"""bulkup compared with Piwigo's own example and a package from PyPI.

The example is a sequential loop in chunks of 500,000 bytes, written with `requests` (`example`);
the package is piwigo2 (`wrapper`). All send the same photos to a sandbox with the costs of a real
gallery on a small host: eight PHP workers on two processors, 0.4 s per photo. bulkup's time
includes the count of the workers and the search for the best number of finishes.
"""

import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from archive import Archive, archive
from frame import Figure, Missing, bulkup, main, weigh
from hosting import Host

COUNT = 100
SIZE = 1_800_000
GALLERY = {"workers": 8, "cpus": 2, "finish_s": 0.4, "spread": 0.5, "exist_cost_s": 0.14}
HERE = Path(__file__).parent
LOOPS = {"Piwigo's example in requests": "example.py", "piwigo2": "wrapper.py"}


async def figures() -> AsyncIterator[Figure]:
    """Upload the same photos with each program."""
    for module in ("requests", "piwigo"):
        if find_spec(module) is None:
            raise Missing(f"no {module} here: pip install '.[bench]'")
    with archive(count=COUNT, size=SIZE) as photos:
        async with Host() as host:
            ours = await seconds(host, partial(by_bulkup, photos))
            for name, script in LOOPS.items():
                theirs = await seconds(host, partial(by_loop, photos, HERE / script))
                yield Figure(
                    f"against others: {name}",
                    "as a ratio",
                    f"{theirs / ours:.2f} × as fast "
                    f"({COUNT / ours:.2f} photos/s to {COUNT / theirs:.2f})",
                )


async def seconds(host: Host, upload: Callable[[str], Awaitable[float]]) -> float:
    """Return the seconds of an upload to a new gallery."""
    took = await upload(await host.start(GALLERY))
    if (stats := await host.stop()).photos != COUNT:
        raise RuntimeError(f"{stats.photos} photos arrived")
    return took


async def by_bulkup(photos: Archive, url: str) -> float:
    """Upload by the ordinary command line."""
    with tempfile.TemporaryDirectory() as state:
        flags = ("--album", "1", "--ledger", Path(state) / "ledger.sqlite")
        return (await bulkup(photos.folder, *flags, url=url)).seconds


async def by_loop(photos: Archive, script: Path, url: str) -> float:
    """Upload by a script."""
    return (await weigh(sys.executable, script, url, "1", given=photos.names())).check().seconds


if __name__ == "__main__":
    main(figures, about=__doc__)
