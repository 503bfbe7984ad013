"""The frame of the speed benchmarks: measured commands, figures with targets, the table.

A benchmark is a module with a generator `figures` of `Figure`s. Where a tool is missing it raises
`Missing`, and the others go on.
"""

import argparse
import asyncio
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from bulkup import __version__

Figures = Callable[[], AsyncIterator["Figure"]]

WATCH_S = 0.1
COLUMNS = ("question", "to reach", "figure", "")


class Missing(Exception):
    """A tool that a benchmark needs is missing; the text says what to install."""


@dataclass(frozen=True)
class Figure:
    """A row of the table; `met` None: it has no target."""

    question: str
    target: str
    figure: str
    met: bool | None = None

    def line(self) -> str:
        """Return the row."""
        mark = {True: "✓", False: "✗", None: "–"}[self.met]
        return f"| {self.question} | {self.target} | {self.figure} | {mark} |"


@dataclass
class Weighed:
    """What a command cost: wall and processor time in seconds, memory in bytes.

    `resident`: a sample of its memory every `WATCH_S`; `peak`: the maximum by the kernel (VmHWM).
    Both are empty without /proc.
    """

    code: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    peak: int = 0
    resident: list[int] = field(default_factory=list)
    output: str = ""

    def check(self) -> "Weighed":
        """Return itself. Raises `RuntimeError` where the command failed."""
        if self.code:
            raise RuntimeError(f"exit code {self.code}: {self.output[-2000:]}")
        return self


async def weigh(
    *command: str | Path, given: bytes = b"", env: Mapping[str, str] | None = None
) -> Weighed:
    """Run a command and return what it cost."""
    return await asyncio.to_thread(_weigh, [str(word) for word in command], given, env)


def _weigh(command: Sequence[str], given: bytes, env: Mapping[str, str] | None) -> Weighed:
    cost = Weighed()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, env=env
        )
        watching = threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, watching, cost))
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        cost.seconds = time.monotonic() - began
        watching.set()
        watch.join()
        process.returncode = cost.code = os.waitstatus_to_exitcode(status)
        cost.cpu_s = used.ru_utime + used.ru_stime
        output.seek(0)
        cost.output = output.read().decode(errors="replace")
    return cost


def _watch(pid: int, ended: threading.Event, cost: Weighed) -> None:
    """Sample the memory of a process; `ru_maxrss` would include that of its parent at the fork."""
    while not ended.wait(WATCH_S):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return
        if now := re.search(r"^VmRSS:\s*(\d+) kB", status, re.MULTILINE):
            cost.resident.append(int(now[1]) * 1024)
        if peak := re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE):
            cost.peak = int(peak[1]) * 1024


async def bulkup(*arguments: str | Path, url: str) -> Weighed:
    """Upload to a sandbox by the command line and return the cost. Raises `RuntimeError`."""
    command = (sys.executable, "-m", "bulkup", "upload", *arguments)
    return (await weigh(*command, env=environment(url))).check()


def environment(
    url: str = "",
    user: str = "admin",
    password: str = "secret",  # noqa: S107 (the sandbox's)
    **settings: str,
) -> dict[str, str]:
    """Return the environment with these settings of bulkup alone; `url` empty: no account."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BULKUP_")}
    account = {"BULKUP_URL": url, "BULKUP_USER": user, "BULKUP_PASSWORD": password}
    return clean | (account if url else {}) | settings


def tool(name: str, *, package: str) -> str:
    """Return the path of a command. Raises `Missing` with its package in Debian."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise Missing(f"no {name} here: apt install {package}")
    return path


def cores() -> int:
    """Return the number of processors that this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return median(values)


def machine() -> str:
    """Describe the machine and the versions."""
    names = [f"bulkup {__version__}", f"Python {platform.python_version()}"]
    for package in ("aiohttp", "uvloop", "requests", "piwigo2"):
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    names += filter(None, (_version("nginx", "-v"), _version("curl", "--version")))
    return f"{', '.join(names)}; {_processor()}, {cores()} cores, {platform.system()}"


def _version(name: str, flag: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        return ""
    done = subprocess.run([path, flag], capture_output=True, text=True, check=False)
    found = re.search(r"[/ ](\d+(?:\.\d+)+)", done.stdout + done.stderr)
    return f"{name} {found[1]}" if found else name


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


async def measured(question: str, figures: Figures) -> list[Figure]:
    """Return the figures of a benchmark, or a row with the reason where it can't run."""
    rows: list[Figure] = []
    began = time.monotonic()
    try:
        async for figure in figures():
            say(figure.line())
            rows.append(figure)
    except Missing as missing:
        rows.append(Figure(question, "", f"not measured: {missing}"))
        say(rows[-1].line())
    say(f"  ({question}: {time.monotonic() - began:.0f} s)")
    return rows


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def run(benchmarks: Mapping[str, Figures], *, about: str | None, command: str) -> int:
    """Measure and print the table; return 1 with `--check` where a target was missed."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="exit 1 where a target is missed")
    parser.add_argument("only", nargs="*", help=f"some of: {', '.join(benchmarks)}; default: all")
    options = parser.parse_args()
    chosen = {name: benchmarks[name] for name in options.only} or benchmarks
    rows: list[Figure] = []
    for name, figures in chosen.items():
        rows += asyncio.run(measured(name, figures))
    print(f"\n`{command}`: {machine()}\n")
    print(f"| {' | '.join(COLUMNS)} |\n{'| --- ' * len(COLUMNS)}|")
    for row in rows:
        print(row.line())
    return 1 if options.check and any(row.met is False for row in rows) else 0


def main(figures: Figures, *, about: str | None) -> None:
    """Run one benchmark as a script."""
    name = Path(sys.argv[0])
    sys.exit(run({name.stem: figures}, about=about, command=f"python benchmarks/{name.name}"))
