"""Dask clusters for tests: a scheduler and workers as processes of their own, on loopback."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from distributed import Client

from tests.support.commands import environment

HERE = Path(__file__).parents[2]


class Cluster:
    """A scheduler and its workers; whatever they say is in a file of the `folder`."""

    def __init__(self, folder: Path, *, kind: str = "tcp", flags: Sequence[str] = ()) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"{kind}://127.0.0.1:{self._port}"
        self.folder = folder
        self._flags = flags
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the scheduler, again if it was killed."""
        flags = ("--host", self.address.rpartition(":")[0], "--port", str(self._port))
        self._scheduler = self._run("scheduler", *flags, home=self.folder)

    def add(self, home: Path, **settings: str) -> None:
        """Start one more worker, in a folder of its own, with these settings of bulkup."""
        self._workers.append(
            self._run(
                *("worker", self.address, "--no-nanny", "--nthreads", "1"),
                *("--local-directory", str(self.folder / "dask")),
                home=home,
                settings=settings,
            )
        )

    def wait(self) -> None:
        """Wait until all of its workers are there."""
        with Client(self.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(len(self._workers), timeout=60)

    def kill_scheduler(self) -> None:
        """Kill it; its workers end by themselves then."""
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.wait()

    def _run(
        self, what: str, *arguments: str, home: Path, settings: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        home.mkdir(exist_ok=True)
        with (self.folder / "said.txt").open("ab") as said:
            return subprocess.Popen(  # noqa: S603 (all of it is ours)
                [sys.executable, "-m", "dask", what, *arguments, "--no-dashboard", *self._flags],
                env=environment(settings or {}) | {"PYTHONPATH": str(HERE)},
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def said(self) -> str:
        """Return what all processes have said."""
        return (self.folder / "said.txt").read_text()

    def stop(self) -> None:
        """End what is still there."""
        for process in (*self._workers, self._scheduler):
            if process is not None:
                process.kill()
                process.wait()


@contextmanager
def cluster(
    folder: Path, *homes: str, kind: str = "tcp", flags: Sequence[str] = ()
) -> Iterator[Cluster]:
    """Lend a cluster with a worker in each of these folders."""
    lent = Cluster(folder, kind=kind, flags=flags)
    try:
        lent.start()
        for home in homes:
            lent.add(folder / home)
        yield lent
    finally:
        lent.stop()


def kill_one_worker(coordinator: int) -> None:
    """Kill one of the workers that a run with `--dask local:N` has started."""
    children = psutil.Process(coordinator).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    os.kill(workers[-1].pid, signal.SIGKILL)
