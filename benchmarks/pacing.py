"""Whether `--finishing auto` is as fast as the best fixed setting, and leaves room for visitors.

Run it as `.venv/bin/python benchmarks/pacing.py`; `--quick` tries a few servers only. It starts
sandboxes with the worker pool of PHP-FPM, in processes of their own, and uploads to them by the
ordinary command line with each fixed `--finishing` and with `auto`, while visitors view the front
page. It prints the table of the docs, and exits 1 with `--check` where a promise fails: at least
90 % of the throughput of the best fixed setting, no freeze, and a p95 of the visitors' waits
below three times that without an upload.

Throughput is measured at the server, over the photos from 45 % to 95 % of a run; what comes
before is warm-up, which `--startup` measures (see `startup`). Fixed settings are tried up to one
less than there are workers, at which a server would freeze, and on large servers until two in a
row gain nothing; a setting that froze does not count. The best setting is the smallest within 2 %
of the fastest.
"""

import argparse
import asyncio
import os
import platform
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import startup
from frame import say
from hosting import Host, Stats, Visitors
from servers import MOST_PER_S, VIEWS_PER_S, Server, all_servers, some_servers
from startup import run_bulkup

from bulkup import __version__
from bulkup.engine.ledger_port import Fact
from bulkup.store.ledger import SqliteLedger

ENOUGH = 0.9
BEARABLE = 3
CLOSE = 0.98
LONGER = 2.0  # the run with auto has to warm up, and its visitors count
FOLDER = 10  # photos per folder
COLUMNS = (
    *("PHP workers", "bound by", "concurrency", "best fixed", "its photos/s", "auto, photos/s"),
    *("of the best", "most at once", "stalls", "visitors' p95, idle", "at best fixed", "at auto"),
)
HEAD = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100")


@dataclass(frozen=True)
class Run:
    """The result of one upload."""

    finishing: str
    photos: int
    exit_code: int
    waits: list[float]
    stats: Stats

    @property
    def rate(self) -> float:
        """Photos per second after the warm-up."""
        times = sorted(self.stats.finished_at)
        first, last = len(times) * 45 // 100, len(times) * 95 // 100
        return (last - first) / (times[last] - times[first]) if last > first else 0.0

    @property
    def whole(self) -> bool:
        """Whether every photo arrived once."""
        return not self.exit_code and self.stats.once == self.stats.photos == self.photos

    @property
    def stalls(self) -> int:
        """The freezes of the server and the derivatives it gave up."""
        return self.stats.freezes + self.stats.given_up


@dataclass(frozen=True)
class Row:
    """One server at one concurrency: the fixed settings, and auto."""

    server: Server
    concurrency: int
    idle: float
    fixed: list[Run]
    limiter: Run

    @property
    def fastest(self) -> float:
        """The best rate of a fixed setting that did not freeze."""
        return max((run.rate for run in self.fixed if not run.stalls), default=0.0)

    @property
    def best(self) -> Run | None:
        """The smallest fixed setting close to that."""
        enough = CLOSE * self.fastest
        return next((r for r in self.fixed if not r.stalls and r.rate >= enough > 0), None)

    @property
    def good(self) -> bool:
        """Whether the promises were kept."""
        limiter = self.limiter
        if self.server.workers == 1:  # each finish freezes it
            return limiter.whole
        fast = limiter.rate >= ENOUGH * self.fastest
        return (
            limiter.whole
            and fast
            and not limiter.stalls
            and p95(limiter.waits) < BEARABLE * self.idle
        )

    def line(self) -> str:
        """Return the row of the table."""
        best, limiter = self.best, self.limiter
        cells = [self.server.name, self.server.bound, f"{self.concurrency}"]
        cells += [best.finishing, f"{self.fastest:.1f}"] if best else ["–", "–"]
        cells += [f"{limiter.rate:.1f}", f"{limiter.rate / self.fastest:.0%}" if best else "–"]
        cells += [f"{limiter.stats.peak}", f"{limiter.stalls}", f"{self.idle * 1000:.0f} ms"]
        cells += [f"{p95(run.waits) / self.idle:.1f} ×" if run else "–" for run in (best, limiter)]
        return f"| {' | '.join(cells)} | {'✓' if self.good else '✗'} |"


def p95(waits: list[float]) -> float:
    """Return the 95th percentile."""
    return sorted(waits)[-(-len(waits) * 95 // 100) - 1] if waits else 0.0


def make_archive(folder: Path, *, count: int) -> list[Path]:
    """Write small photos, a few to a folder; return the folders."""
    chance = random.Random(3)  # noqa: S311 (the same archive every time)
    for number in range(count):
        path = folder / f"{number // FOLDER:03}" / f"IMG_{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(HEAD + chance.randbytes(3000) + b"\xff\xd9")
    return sorted(folder.iterdir())


class Lane:
    """Tries servers one after another, on a host of its own."""

    def __init__(self, host: Host, archive: list[Path], *, seconds: float, limiter: str) -> None:
        self._host = host
        self._archive = archive
        self._seconds = seconds
        self._gate = limiter

    async def rows(self, server: Server, concurrencies: tuple[int, ...]) -> list[Row]:
        """Try a server without an upload, with each fixed setting, and with auto."""
        url = await self._host.start(server.options())
        async with Visitors(url, rate=VIEWS_PER_S) as visitors:
            await asyncio.sleep(self._seconds)
        await self._host.stop()
        idle = p95([wait for _, wait in visitors.waits])
        return [await self._row(server, each, idle=idle) for each in concurrencies]

    async def _row(self, server: Server, concurrency: int, *, idle: float) -> Row:
        fixed: list[Run] = []
        best, worse = 0.0, 0
        settings = server.settings(concurrency)
        for setting in settings:
            photos = server.fastest(setting) * self._seconds
            run = await self._run(server, concurrency, f"{setting}", photos=photos)
            fixed.append(run)
            worse = worse + 1 if run.rate < 1.01 * best else 0
            best = max(best, run.rate)
            if worse == 2 and server.workers > 5:
                break
        photos = LONGER * self._seconds * max(map(server.fastest, settings), default=0.0)
        limiter = await self._run(server, concurrency, self._gate, photos=photos)
        return Row(server, concurrency, idle, fixed, limiter)

    async def _run(
        self, server: Server, concurrency: int, finishing: str, *, photos: float
    ) -> Run:
        """Upload about this number of photos."""
        folders = self._archive[: max(1, round(photos / FOLDER))]
        flags = ("--concurrency", f"{concurrency}", "--finishing", finishing)
        url = await self._host.start(server.options())
        async with Visitors(url, rate=VIEWS_PER_S) as visitors:
            code = await upload(folders, *flags, url=url, known=server.known)
        stats = await self._host.stop()
        end = max(stats.finished_at, default=0.0)
        waits = [wait for began, wait in visitors.waits if began < end]
        run = Run(finishing, len(folders) * FOLDER, code, waits, stats)
        say(
            f"{server.name} workers, {server.bound}-bound, {' '.join(flags)}: "
            f"{run.rate:.1f} photos/s, {stats.peak} at once, "
            f"{stats.freezes} freezes, {stats.given_up} given up, p95 {p95(waits) * 1000:.0f} ms, "
            f"{stats.once} of {run.photos} there, exit code {code}, "
            f"{stats.size} workers at the end"
        )
        return run


async def upload(folders: list[Path], *flags: str, url: str, known: int | None) -> int:
    """Run the command line and return its exit code; `known`: the workers in its ledger."""
    with tempfile.TemporaryDirectory() as state:
        if known:
            ledger = Path(state) / "ledger.sqlite"
            async with SqliteLedger(ledger, server=url) as opened:
                await opened.learn(Fact.WORKERS, known)
            flags += ("--ledger", f"{ledger}")
        else:
            flags += ("--no-ledger",)
        code, errors = await run_bulkup(*map(str, folders), "--album", "1", *flags, url=url)
    if code:
        say(errors[-2000:])
    return code


async def measure(
    servers: list[tuple[Server, tuple[int, ...]]], options: argparse.Namespace
) -> list[Row]:
    """Try all servers, `--lanes` at once; return the rows, small servers first."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        most = LONGER * options.seconds * MOST_PER_S
        archive = await asyncio.to_thread(make_archive, Path(folder), count=round(most))

        async def lane() -> None:
            async with Host() as host:
                trying = Lane(host, archive, seconds=options.seconds, limiter=options.limiter)
                while servers:
                    rows.extend(await trying.rows(*servers.pop(0)))

        async with asyncio.TaskGroup() as lanes:
            for _ in range(options.lanes):
                lanes.create_task(lane())
    rows.sort(key=lambda row: (row.server.key, row.concurrency))
    return rows


async def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seconds", type=float, help="of a fixed run; 24, --quick 12")
    parser.add_argument("--lanes", type=int, help="servers tried at once", default=4)
    parser.add_argument(
        "--limiter", help="the --finishing to compare with the fixed ones", default="auto"
    )
    parser.add_argument("--only", nargs="*", help="these servers, such as: 5 latency; or: grows")
    start = parser.add_argument_group("start-up", "whole uploads, first photo on (startup.py)")
    start.add_argument("--startup", action="store_true", help="measure that instead")
    start.add_argument("--photos", type=int, nargs="+", default=[50, 200, 1000])
    start.add_argument("--fixed", type=int, nargs="+", default=[1, 2, 3, 4])
    start.add_argument("--workers", type=int, default=8, help="PHP workers of the gallery")
    start.add_argument("--concurrency", type=int, default=8)
    start.add_argument("--visits", type=float, default=2.0, help="of the front page, a second")
    options = parser.parse_args()
    if options.startup:
        return await startup.main(options)
    options.seconds = options.seconds or (12.0 if options.quick else 24.0)
    servers = list(some_servers() if options.quick else all_servers())
    if options.only:
        servers = [each for each in servers if {*options.only} <= each[0].words]
    rows = await measure(servers, options)
    print(f"bulkup {__version__}, Python {platform.python_version()}, aiohttp ", end="")
    print(f"{aiohttp.__version__}, {os.cpu_count()} cores; --finishing {options.limiter}")
    print(f"| {' | '.join(COLUMNS)} | |\n{'| --- ' * (len(COLUMNS) + 1)}|")
    for row in rows:
        print(row.line())
    return 1 if options.check and not all(row.good for row in rows) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
