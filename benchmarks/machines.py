"""Whether n machines, each behind a line of 50 Mbit/s, are n times as fast.

Run it as `.venv/bin/python benchmarks/machines.py`; `--quick` takes shorter runs. It starts a
Dask scheduler and one to four workers, each with a thin line to a sandbox, and uploads by the
ordinary command line with `--dask`. It prints the table of the docs, and exits 1 with `--check`
where n machines do not reach 0.9 × n of the rate of one.

Throughput is measured at the server, over the photos from 20 % to 90 % of a run. What a photo
costs the coordinator is the difference in processor time of two runs of different length with
small photos and no thin lines, so that its start does not count.
"""

import argparse
import asyncio
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed import Client
from frame import environment
from hosting import Host, Stats
from line import ThinLine

RATE = 50e6 / 8
ROUND_TRIP_S = 0.02
SIZE = 2_000_000
SMALL = 20_000
FEW, MANY = 300, 2300
SECONDS = 40.0
QUICK_S = 12.0
MOST = 4
ENOUGH = 0.9
FINISHING = 8
SERVER: dict[str, Any] = {"workers": 24, "finish_s": 0.1}
FOLDER = 25
HEAD = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100")
COLUMNS = ("machines", "photos", "photos/s", "MB/s", "of one, times n", "most finished at once")


@dataclass(frozen=True)
class Run:
    """The result of an upload by this number of machines."""

    machines: int
    photos: int
    exit_code: int
    cpu_s: float
    stats: Stats

    @property
    def rate(self) -> float:
        """Photos per second after the warm-up and before the end."""
        ends = sorted(self.stats.finished_at)
        first, last = len(ends) * 20 // 100, len(ends) * 90 // 100
        return (last - first) / (ends[last] - ends[first])

    @property
    def whole(self) -> bool:
        """Whether every photo arrived once, within the limit of finishes."""
        exact = self.stats.once == self.stats.photos == self.photos
        return not self.exit_code and exact and self.stats.peak <= FINISHING


async def measure(machines: int, *, photos: int, host: Host, size: int = SIZE) -> Run:
    """Upload photos by this number of machines, large ones through thin lines."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        await asyncio.to_thread(make_archive, folder / "photos", count=photos, size=size)
        url = urlsplit(await host.start(SERVER))
        urls = [url.geturl()] * machines
        if size == SIZE:
            lines = [
                await stack.enter_async_context(
                    ThinLine(url.port or 80, rate=RATE, round_trip_s=ROUND_TRIP_S)
                )
                for _ in range(machines)
            ]
            urls = [f"http://127.0.0.1:{line.port}/" for line in lines]
        scheduler = await stack.enter_async_context(cluster(folder, urls))
        command = [sys.executable, "-m", "bulkup", f"{folder / 'photos'}", "--album", "1"]
        command += ["--dask", scheduler, "--finishing", f"{FINISHING}"]
        command += ["--ledger", f"{folder / 'ledger.sqlite'}"]
        exit_code, cpu_s = await asyncio.to_thread(run, command, environment(url.geturl()))
        stats = await host.stop()
    return Run(machines, photos, exit_code, cpu_s, stats)


def run(command: list[str], env: dict[str, str]) -> tuple[int, float]:
    """Run a command; return its exit code and its processor time in seconds."""
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, _seconds(usage)


def _seconds(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


@asynccontextmanager
async def cluster(folder: Path, urls: list[str]) -> AsyncIterator[str]:
    """Run a scheduler, and a worker for each of these addresses of the gallery."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    flags = ("--host", "127.0.0.1", "--no-dashboard")
    processes = [dask("scheduler", "--port", f"{port}", *flags, env=environment())]
    try:
        for url in urls:
            own = ("--nthreads", "1", "--no-nanny", "--local-directory", f"{folder / 'dask'}")
            env = environment(BULKUP_WORKER_URL=url)
            processes.append(dask("worker", address, *flags, *own, env=env))
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            await client.wait_for_workers(len(urls), timeout=60)
        yield address
    finally:
        for process in processes:
            process.kill()
            process.wait()


def dask(what: str, *arguments: str, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start a scheduler or a worker."""
    return subprocess.Popen(
        [sys.executable, "-m", "dask", what, *arguments],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def make_archive(folder: Path, *, count: int, size: int) -> None:
    """Write different photos of this size that take hardly any disk space."""
    for number in range(count):
        path = folder / f"{number // FOLDER:03}" / f"IMG_{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(HEAD + f"{number:012}".encode())
            file.seek(size - 2)
            file.write(b"\xff\xd9")


def line(run: Run, one: Run) -> str:
    """Return a row of the table."""
    cells = [f"{run.machines}", f"{run.photos}", f"{run.rate:.2f}"]
    cells += [f"{run.rate * SIZE / 1e6:.1f}", f"{run.rate / one.rate / run.machines:.0%}"]
    cells += [f"{run.stats.peak}", "✓" if good(run, one) else "✗"]
    return f"| {' | '.join(cells)} |"


def good(run: Run, one: Run) -> bool:
    """Return whether the promise was kept."""
    return run.whole and run.rate >= ENOUGH * run.machines * one.rate


async def measure_all(arguments: argparse.Namespace) -> bool:
    """Print the table; return whether all promises were kept."""
    seconds = QUICK_S if arguments.quick else SECONDS
    print(f"| {' | '.join(COLUMNS)} | |\n|{' --- |' * (len(COLUMNS) + 1)}")
    runs: list[Run] = []
    async with Host() as host:
        for machines in range(1, MOST + 1):
            photos = round(machines * seconds * RATE / SIZE)
            runs.append(await measure(machines, photos=photos, host=host))
            print(line(runs[-1], runs[0]), flush=True)
        few, many = [
            await measure(2, photos=photos, host=host, size=SMALL) for photos in (FEW, MANY)
        ]
    cpu_s = (many.cpu_s - few.cpu_s) / (MANY - FEW)
    print(
        f"\nA photo costs the coordinator {cpu_s * 1000:.1f} ms of one processor, so it can feed "
        f"{1 / cpu_s / runs[0].rate:.0f} such machines ({1 / cpu_s:.0f} photos a second)."
    )
    return few.whole and many.whole and all(good(run, runs[0]) for run in runs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    parser.add_argument("--check", action="store_true", help="exit 1 where a promise fails")
    given = parser.parse_args()
    held = asyncio.run(measure_all(given))
    sys.exit(1 if given.check and not held else 0)
