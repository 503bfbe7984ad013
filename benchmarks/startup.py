"""How fast whole uploads are with `--finishing auto` and with fixed settings.

`pacing.py --startup` runs this. Each number of photos is uploaded by the ordinary command line
with fixed settings, with `auto`, and with `auto` again, which starts with the first one's ledger.
Rates are photos per second of wall time, the start of the interpreter included. Every run sends
photos that the gallery has not seen.

The gallery is a sandbox as busy with a photo as a small host, or a real one: set
`BULKUP_BENCH_URL`, `BULKUP_BENCH_USER`, `BULKUP_BENCH_PASSWORD` and `BULKUP_BENCH_ALBUM` to one
that may be filled, and `--workers` to the PHP workers it has.
"""

import asyncio
import os
import random
import re
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from frame import environment, say
from hosting import Host, Visitors
from PIL import Image, ImageChops

AUTO = "auto"
AGAIN = "auto again"
TARGETS = {50: 0.9, 200: 0.95, 1000: 0.97}
"""Photos, and the part of the best fixed rate that `auto` has to reach."""

TARGET_AGAIN = 0.95
LONGEST_S = 900.0
PICTURES = 8
SIZE = (2400, 1600)
STAMP = 16
"""Bytes behind the end of a JPEG: other bytes there make it a photo that the gallery lacks."""

SERVER = {
    "cpus": 2,
    "finish_s": 0.4,
    "request_s": 0.006,
    "exist_cost_s": 0.18,
    "user_cache_s": 0.03,
    "spread": 0.5,
}
"""What the sandbox costs: Piwigo 16.4 on two processors, photos of 2 MB."""

COLUMNS = (
    *("photos", "finishing at once", "photos/s", "of the best fixed", "stalls"),
    *("visitors' wait, median s", "p95 s", "worst s", ""),
)


@dataclass(frozen=True)
class Gallery:
    """Where the runs upload to."""

    url: str
    user: str
    password: str
    album: str


@dataclass(frozen=True)
class Upload:
    """One run: photos per second, the last limit printed, the visitors' waits in seconds."""

    photos: int
    finishing: str
    rate: float
    code: int
    stalls: int
    limit: str
    waits: list[float]

    def reached(self, best: float) -> bool:
        """Return whether all photos arrived, at the part of the `best` rate that is promised."""
        target = {AUTO: TARGETS.get(self.photos, 0.0), AGAIN: TARGET_AGAIN}.get(
            self.finishing, 0.0
        )
        return not self.code and self.rate >= target * best

    def line(self, best: float) -> str:
        """Return the row of the table."""
        waits = sorted(self.waits)
        shown = [waits[int(part * (len(waits) - 1))] for part in (0.5, 0.95, 1.0)] if waits else []
        cells = [f"{self.photos}", self.finishing, f"{self.rate:.2f}", f"{self.rate / best:.0%}"]
        cells[1] += f" ({self.limit} in the end)" if self.limit else ""
        cells += [f"{self.stalls}", *(f"{wait:.3f}" for wait in shown or [float("nan")] * 3)]
        return f"| {' | '.join(cells)} | {'✓' if self.reached(best) else '✗'} |"


def real_gallery() -> Gallery | None:
    """Return the gallery that the environment names; None: take a sandbox."""
    names = [f"BULKUP_BENCH_{name}" for name in ("URL", "USER", "PASSWORD", "ALBUM")]
    values = [os.environ.get(name, "") for name in names]
    if any(values) and not all(values):
        sys.exit(f"Set all of {', '.join(names)}.")
    return Gallery(*values) if all(values) else None


def make_photos(folder: Path, *, count: int) -> list[Path]:
    """Write photos of four megapixels and about 2 MB, a few pictures over and over."""
    chance = random.Random(5)  # noqa: S311 (the same pictures every time)
    grain = Image.frombytes("RGB", SIZE, chance.randbytes(SIZE[0] * SIZE[1] * 3))
    grain = grain.point([value * 28 // 255 for value in range(256)] * 3)
    pictures = []
    for _ in range(PICTURES):
        sky = Image.frombytes("RGB", (24, 16), chance.randbytes(24 * 16 * 3)).resize(SIZE)
        shift = chance.randrange(SIZE[0]), chance.randrange(SIZE[1])
        file = BytesIO()
        ImageChops.add(sky, ImageChops.offset(grain, *shift)).save(file, "JPEG", quality=94)
        pictures.append(file.getvalue())
    folder.mkdir()
    paths = [folder / f"IMG_{number:04}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(pictures[number % PICTURES] + bytes(STAMP))
    return paths


def stamp(paths: Sequence[Path]) -> None:
    """Make each file a photo that no gallery has."""
    for path in paths:
        with path.open("r+b") as file:
            file.seek(-STAMP, os.SEEK_END)
            file.write(os.urandom(STAMP))


async def upload(
    gallery: Gallery,
    folder: Path,
    *,
    photos: int,
    finishing: str,
    ledger: Path,
    options: Namespace,
) -> Upload:
    """Upload a folder by the ordinary command line, among visitors."""
    automatic = finishing in {AUTO, AGAIN}
    flags = ["--album", gallery.album, "--finishing", AUTO if automatic else finishing]
    flags += ["--concurrency", f"{options.concurrency}"]
    flags += ["--ledger", f"{ledger}"] if automatic else ["--no-ledger"]
    async with Visitors(gallery.url, rate=options.visits) as visitors:
        began = time.monotonic()
        code, output = await run_bulkup(
            str(folder), *flags, url=gallery.url, user=gallery.user, password=gallery.password
        )
        rate = photos / (time.monotonic() - began)
    limits = re.findall(r"finishing (\d+)/", output)
    say(f"{photos} photos, --finishing {finishing}: {rate:.2f} photos/s, exit code {code}")
    if code:
        say(output[-2000:])
    return Upload(
        photos,
        finishing,
        rate,
        code,
        stalls=sum(line.startswith("outage") for line in output.splitlines()),
        limit=limits[-1] if limits and automatic else "",
        waits=[wait for _, wait in visitors.waits],
    )


async def run_bulkup(
    *arguments: str,
    url: str,
    user: str = "admin",
    password: str = "secret",  # noqa: S107 (the sandbox's)
) -> tuple[int, str]:
    """Run `bulkup upload`; return its exit code and what it wrote to stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bulkup", "upload", *arguments),
        env=environment(url, user, password),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            _, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        _, errors = await process.communicate()
    return process.returncode or 0, errors.decode()


async def measure(photos: int, options: Namespace) -> list[Upload]:
    """Upload so many photos with each setting."""
    async with AsyncExitStack() as stack:
        gallery = real_gallery()
        if gallery is None:
            host = await stack.enter_async_context(Host())
            url = await host.start(SERVER | {"workers": options.workers})
            gallery = Gallery(url, "admin", "secret", "1")
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        paths = await asyncio.to_thread(make_photos, scratch / "photos", count=photos)
        runs = []
        settings = [f"{number}" for number in options.fixed if number < options.workers]
        for finishing in (*settings, AUTO, AGAIN):
            await asyncio.to_thread(stamp, paths)
            folder = paths[0].parent.rename(scratch / f"photos {finishing}")
            paths = [folder / path.name for path in paths]
            ledger = scratch / "ledger.sqlite"
            runs.append(
                await upload(
                    gallery,
                    folder,
                    photos=photos,
                    finishing=finishing,
                    ledger=ledger,
                    options=options,
                )
            )
    return runs


async def main(options: Namespace) -> int:
    """Print a row for each upload; return 1 with `--check` where a target is missed."""
    print(f"| {' | '.join(COLUMNS)} |\n{'| --- ' * len(COLUMNS)}|", flush=True)
    reached = True
    for photos in options.photos[: 1 if options.quick else None]:
        runs = await measure(photos, options)
        best = max(run.rate for run in runs if run.finishing not in {AUTO, AGAIN} and not run.code)
        for run in runs:
            print(run.line(best), flush=True)
        reached = reached and all(run.reached(best) for run in runs)
    return 1 if options.check and not reached else 0
