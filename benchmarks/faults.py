"""Whether an archive arrives whole over a line that breaks one request in ten.

Run it as `.venv/bin/python benchmarks/faults.py`. It starts a sandbox and a breaking proxy,
uploads by the ordinary command line, and compares the server's photos with the files. It prints
the table of the docs, and exits 1 with `--check` where a photo is missing, double or damaged.
"""

import argparse
import asyncio
import hashlib
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from frame import environment
from proxy import BreakingProxy

from bulkup import __version__
from bulkup.sandbox import Sandbox

HEAD = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100")
NAMES = 100
METHODS = ("async", "upload", "legacy")


@dataclass(frozen=True)
class Row:
    """The result of one run."""

    method: str
    requests: int
    broken: int
    seconds: float
    exit_code: int
    right: int
    missing: int
    double: int
    damaged: int

    def line(self, photos: int) -> str:
        """Return the row of the table."""
        mark = "✓" if self.good else "✗"
        return (
            f"| {self.method} | {photos:,} | {self.requests:,} | {self.broken:,} "
            f"| {self.seconds:.0f} s | {self.right:,} | {self.missing} | {self.double} "
            f"| {self.damaged} | {mark} |"
        )

    @property
    def good(self) -> bool:
        """Whether every photo arrived once, undamaged."""
        return not (self.missing or self.double or self.damaged or self.exit_code)


def make_archive(folder: Path, *, count: int) -> Counter[str]:
    """Write photos of 50 kB to 1.2 MB with a hundred base names; return their MD5s."""
    chance = random.Random(3)  # noqa: S311 (the same archive every time)
    sums: Counter[str] = Counter()
    for number in range(count):
        path = folder / f"{number // NAMES:03}" / f"IMG_{number % NAMES:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = HEAD + chance.randbytes(chance.randint(50_000, 1_200_000)) + b"\xff\xd9"
        path.write_bytes(content)
        sums[hashlib.md5(content, usedforsecurity=False).hexdigest()] += 1
    return sums


async def measure(archive: Path, sums: Counter[str], *, method: str, rate: float) -> Row:
    """Upload once over the breaking line."""
    with tempfile.TemporaryDirectory() as state:
        async with Sandbox(discard=True) as box:
            port = urlsplit(box.url).port or 80
            async with BreakingProxy(port, rate=rate, seed=7) as proxy:
                began = time.monotonic()
                code = await upload(archive, proxy.port, method=method, state=Path(state))
                seconds = time.monotonic() - began
            there = Counter(
                photo.md5 for photo in box.gallery.photos.values() if 1 in photo.albums
            )
            return Row(
                method=method,
                requests=proxy.requests,
                broken=proxy.broken,
                seconds=seconds,
                exit_code=code,
                right=sum(there[md5] == 1 for md5 in sums),
                missing=sum(there[md5] == 0 for md5 in sums),
                double=sum(there[md5] > 1 for md5 in sums),
                damaged=sum(number for md5, number in there.items() if md5 not in sums),
            )


async def upload(archive: Path, port: int, *, method: str, state: Path) -> int:
    """Run the ordinary command line and return its exit code."""
    url, ledger = f"http://127.0.0.1:{port}/", f"{state / 'ledger.sqlite'}"
    for _ in range(10):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bulkup", str(archive), "--album", "1", "--method", method),
            env=environment(url, BULKUP_LEDGER=ledger),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode != 3:  # the log-in was broken: a user would run it again
            break
    sys.stderr.write(errors.decode()[-2000:] if process.returncode else "")
    return process.returncode or 0


async def main() -> int:
    """Measure every method and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    print(f"bulkup {__version__}, Python {platform.python_version()}, aiohttp ", end="")
    print(f"{aiohttp.__version__}, {os.cpu_count()} cores; {options.rate:.0%} of requests broken")
    print("| method | photos | requests | broken | time | once | missing | double | damaged | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        sums = await asyncio.to_thread(make_archive, Path(folder), count=options.photos)
        for method in options.methods:
            row = await measure(Path(folder), sums, method=method, rate=options.rate)
            print(row.line(options.photos), flush=True)
            good = good and row.good
    return 1 if options.check and not good else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
