"""Dask clusters for tests: scheduler and workers as processes on loopback."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
from distributed import Client
from distributed.security import Security

from tests.support.commands import environment

HERE = Path(__file__).parents[2]


class Cluster:
    """A scheduler, and a worker in each of some folders (`homes`); their output goes to a file.

    Its certificate and key are `cert` and `key` in the folder.
    """

    def __init__(self, folder: Path, *homes: str, variables: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tls://127.0.0.1:{self._port}"
        self.folder = folder
        self.cert = folder / "cert"
        self.key = folder / "key"
        files = {"ca": self.cert, "cert": self.cert, "key": self.key}
        self.flags = ["--dask", self.address]
        self.flags += [f"--dask-tls-{name}={file}" for name, file in files.items()]
        self._tls = [f"--tls-ca-file={self.cert}", f"--tls-cert={self.cert}"]
        self._tls += [f"--tls-key={self.key}"]
        self._homes = homes
        self._variables = environment({}) | {"PYTHONPATH": str(HERE), **variables}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all processes."""
        self._run("scheduler", "--host", "tls://127.0.0.1", "--port", str(self._port))
        for home in self._homes:
            self._run(
                *("worker", self.address, "--no-nanny", "--nthreads", "1"),
                *("--local-directory", str(self.folder / "dask")),
                home=home,
            )

    def wait(self) -> None:
        """Wait until all workers are connected."""
        security = Security(
            tls_ca_file=str(self.cert),
            tls_client_cert=str(self.cert),
            tls_client_key=str(self.key),
            require_encryption=True,
        )
        with Client(self.address, security=security, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(len(self._homes), timeout=60)

    def restart(self) -> None:
        """Kill all processes, the scheduler first, and start them again."""
        self.stop()
        self._processes.clear()
        self.start()

    def _run(self, *arguments: str, home: str = ".") -> None:
        (self.folder / home).mkdir(exist_ok=True)
        with (self.folder / "said.txt").open("ab") as said:
            process = subprocess.Popen(  # noqa: S603 (all of it is ours)
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard", *self._tls],
                env=self._variables,
                cwd=self.folder / home,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        self._processes.append(process)

    def said(self) -> str:
        """Return the output of all processes."""
        return (self.folder / "said.txt").read_text()

    def stop(self) -> None:
        """Kill all processes."""
        for process in self._processes:
            process.kill()
            process.wait()


@contextmanager
def cluster(folder: Path, *homes: str, variables: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a cluster with a worker in each of these folders, with these variables."""
    running = Cluster(folder, *homes, variables=variables)
    try:
        running.start()
        running.wait()
        yield running
    finally:
        running.stop()


def kill_one_worker(coordinator: int) -> None:
    """Kill one of the workers that a run with `--dask local:N` has started."""
    children = psutil.Process(coordinator).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    os.kill(workers[-1].pid, signal.SIGKILL)
