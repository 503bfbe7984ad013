"""How fast and how gentle finishing is on a real Piwigo, at fixed numbers at once and at `auto`.

Set BULKUP_URL, BULKUP_USER, BULKUP_PASSWORD and BULKUP_ALBUM to a gallery that may be filled, and
run `.venv/bin/python benchmarks/gallery.py --workers 5 1 2 3 4 auto`. Each setting uploads its own
photos of about 1.8 MB, one request each, by the ordinary command line, while a visitor asks for
the front page five times a second. `--workers` says what the gallery has, for the table.
"""

import argparse
import asyncio
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from PIL import Image, ImageChops

from bulkup import __version__

SIZE = (2400, 1600)
VISITS_PER_S = 5.0
FROZEN_S = 30.0
"""A visitor who waits that long has met a frozen gallery."""


@dataclass
class Visitor:
    """Views the front page again and again; keeps how long each view took, in seconds."""

    url: str
    waits: list[float] = field(default_factory=list)

    async def visit(self) -> None:
        """Go on until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as client:
            while True:
                began = time.monotonic()
                try:
                    async with client.get(self.url) as page:
                        await page.read()
                finally:
                    self.waits.append(time.monotonic() - began)
                await asyncio.sleep(1 / VISITS_PER_S)


def make_photos(folder: Path, *, count: int, seed: int) -> None:
    """Write photos of four megapixels that nobody has yet."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    grain = Image.frombytes("RGB", SIZE, chance.randbytes(SIZE[0] * SIZE[1] * 3))
    grain = grain.point([value * 28 // 255 for value in range(256)] * 3)
    for number in range(count):
        sky = Image.frombytes("RGB", (24, 16), chance.randbytes(24 * 16 * 3)).resize(SIZE)
        shift = chance.randrange(SIZE[0]), chance.randrange(SIZE[1])
        photo = ImageChops.add(sky, ImageChops.offset(grain, *shift))
        photo.save(folder / f"IMG_{number:04}.jpg", quality=94)


def limits(output: str) -> Iterator[str]:
    """Yield the numbers of photos finishing at once that a run told of."""
    for line in output.splitlines():
        _, found, rest = line.partition("finishing ")
        if found and "/" in rest:
            yield rest.split("/")[0]


async def measure(finishing: str, *, photos: int, concurrency: int) -> str:
    """Upload with one setting and return the row of the table."""
    url = os.environ["BULKUP_URL"]
    with tempfile.TemporaryDirectory() as folder:
        seed = random.SystemRandom().getrandbits(32)
        await asyncio.to_thread(make_photos, Path(folder), count=photos, seed=seed)
        visitor = Visitor(url)
        visiting = asyncio.create_task(visitor.visit())
        command = [sys.executable, "-m", "bulkup", folder, "--finishing", finishing]
        command += ["--concurrency", str(concurrency), "--chunk-size", "8M", "--no-ledger"]
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, output = await process.communicate()
        seconds = time.monotonic() - began
        visiting.cancel()
        await asyncio.wait([visiting])
    text = output.decode()
    stalls = sum(line.startswith("away") for line in text.splitlines())
    waits = sorted(visitor.waits)
    frozen = " (frozen)" if waits[-1] > FROZEN_S else ""
    ended = list(limits(text))[-1:] or [finishing]
    shown = f"auto ({ended[0]} in the end)" if finishing == "auto" else finishing
    if process.returncode:
        sys.stderr.write(text)
    return (
        f"| {shown} | {photos / seconds:.2f} | {seconds:.0f} s | {stalls} "
        f"| {statistics.median(waits):.3f} | {waits[int(0.95 * len(waits))]:.3f} "
        f"| {waits[-1]:.2f}{frozen} | {'✓' if process.returncode == 0 else '✗'} |"
    )


async def main() -> None:
    """Print a table with a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("finishing", nargs="+", help="numbers at once, or auto")
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--workers", type=int, required=True)
    options = parser.parse_args()
    print(
        f"bulkup {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores shared "
        f"by client and server, {options.workers} PHP workers, {options.photos} photos:\n"
    )
    print(
        "| finishing at once | photos/s | time | stalls | visitor median s | p95 s | worst s | |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for finishing in options.finishing:
        row = await measure(finishing, photos=options.photos, concurrency=options.concurrency)
        print(row, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
