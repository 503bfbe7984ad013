"""Several machines at one run: workers of real Dask clusters, on this machine.

What workers do with photos that are lost, late or not theirs is tested without Dask.
"""

import gc
import json
import operator
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import anyio
import psutil
import pytest
from anyio import to_thread
from distributed import Client
from distributed.security import Security

import bulkup
from bulkup.cluster.messages import PathMap
from bulkup.cluster.scheduler import Cluster as Dask
from bulkup.cluster.scheduler import cluster_address, open_cluster
from bulkup.events import Event, PhotoUploaded
from bulkup.sandbox import Fault, Sandbox
from tests.support.certificates import make_certificate
from tests.support.commands import (
    PASSWORD,
    Held,
    environment,
    one_photo,
    read_until,
    send,
    start,
)
from tests.support.ledgers import ruin
from tests.support.runs import FOUR_METHODS, make_archive
from tests.support.steps import exactly
from tests.support.team import in_time_zone

UPLOAD = "pwg.images.uploadAsync"


class Holding(Held):
    """A sandbox that holds its answers to uploads from the nth on, and finishes take a while."""

    def __init__(self, nth: int, *kinds: Fault) -> None:
        super().__init__(UPLOAD, nth=nth)
        self.workers.finish_s = 0.02
        for fault in kinds:
            self.faults.add(fault)

    def hold(self, *, nth: int) -> None:
        """Let go what is held, and hold answers from the nth on once more."""
        self.go.set()
        self.go, self.came, self._left = anyio.Event(), anyio.Event(), nth


def with_twins(folder: Path, *, count: int, twins: int) -> dict[Path, str]:
    """Make photos of few names, and as many equal ones of other names; return each path's MD5."""
    archive = make_archive(folder, count=count - twins, names=20, size=(300, 6000))
    for path, md5 in list(archive.items())[:twins]:
        twin = path.with_name(f"twin of {path.name}")
        twin.write_bytes(path.read_bytes())
        archive[twin] = md5
    return archive


class Cluster:
    """A scheduler, and a worker in each of some folders (`homes`); their output goes to a file.

    Its certificate and key are `cert` and `key` in the folder.
    """

    def __init__(self, folder: Path, *homes: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tls://127.0.0.1:{self._port}"
        self.folder = folder
        self.cert, self.key = folder / "cert", folder / "key"
        files = [f"cert={self.cert}", f"key={self.key}"]
        self.flags = ["--dask", self.address, f"--dask-tls-ca={self.cert}"]
        self.flags += [f"--dask-tls-{file}" for file in files]
        self._tls = [f"--tls-ca-file={self.cert}", *(f"--tls-{file}" for file in files)]
        self._homes = homes
        above = str(Path(__file__).parents[2])
        self._variables = environment({}) | {"PYTHONPATH": above, "TZ": "NZST-12"}
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

    def stop(self) -> None:
        """Kill all processes."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Lend a cluster with certificates whose workers, in folders `a` and `b`, live elsewhere."""
    folder = tmp_path_factory.mktemp("two")
    make_certificate(folder)
    running = Cluster(folder, "a", "b")
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


@pytest.mark.chaos
async def test_a_worker_killed_in_mid_run_costs_no_photo_and_no_place_too_many(
    tmp_path: Path,
) -> None:
    root = tmp_path / "photos"
    archive = with_twins(root, count=90, twins=10)
    flags = ["--dask", "local:2", "--finishing", "3", "--chunk-size", "4K", "-c", "6"]
    faults = [Fault("answer-lost", UPLOAD, 12), Fault("504-after", UPLOAD, 60)]
    async with Holding(20, *faults) as box:
        async with await start(box, root, *flags, "--ledger", tmp_path / "ledger") as process:
            await box.came.wait()
            kill_one_worker(process.pid)
            box.go.set()
            said = await read_until(process)
            assert await process.wait() == 0, said
        assert re.search(r"^ +80 +uploaded ", said, re.MULTILINE), said
        assert exactly(box, archive)
        assert 0 < box.finishing_peak <= 3
        assert box.faults.hit == len(faults)


async def test_each_photo_goes_to_a_worker_that_sees_it_and_one_that_none_sees_is_named(
    tmp_path: Path, two: Cluster, box: Sandbox
) -> None:
    root = tmp_path / "photos"
    archive = make_archive(root, count=30, names=10, size=(300, 9000))
    for home, folder in (("a", "folder 00"), ("b", "folder 01")):
        (two.folder / home / folder).symlink_to(root / folder)
    flags = [f"--map={root}={two.folder / 'nowhere'}", "--chunk-size", "4K", "--tag", "x"]
    flags += [f"--map={root / folder}={folder}" for folder in ("folder 00", "folder 01")]
    ended = await send(box, root, *two.flags, *flags)
    assert ended.code == 1
    assert re.search(r"^ +20 +uploaded ", ended.err, re.MULTILINE), ended.err
    assert re.search(r"^ +10 +failed", ended.err, re.MULTILINE), ended.err
    assert "no worker can read the file: " in ended.err
    assert "--map HERE=THERE" in ended.err
    seen = {path: md5 for path, md5 in archive.items() if path.parent.name != "folder 02"}
    assert exactly(box, seen)
    assert [tag.name for tag in box.gallery.tags.values()] == ["x"]
    assert PASSWORD not in (two.folder / "said.txt").read_text()


@pytest.fixture
def west() -> Iterator[None]:
    """Move this machine, and not the workers."""
    with in_time_zone("PST8"):
        yield


@pytest.mark.usefixtures("west")
async def test_titles_tell_folders_and_dates_as_where_the_command_is_typed(
    tmp_path: Path, two: Cluster, box: Sandbox
) -> None:
    root = tmp_path / "summer"
    root.mkdir()
    late = datetime(2024, 6, 30, 23, 30, tzinfo=UTC).timestamp()
    for name in ("a.jpg", "b.jpg"):
        os.utime(one_photo(root, name), (late, late))
    taken = datetime(2024, 3, 31, 23, 30, tzinfo=UTC).timestamp()
    told = {"title": "b.jpg", "photoTakenTime": {"timestamp": f"{taken:.0f}"}}
    (root / "b.jpg.json").write_text(json.dumps(told))
    for home in ("a", "b"):
        (two.folder / home / "elsewhere").symlink_to(root)
    flags = [f"--map={root}=elsewhere", "--title", "{folder} {stem} {date}"]
    ended = await send(box, root, *two.flags, *flags)
    assert ended.code == 0, ended.err
    names = sorted(photo.name for photo in box.gallery.photos.values())
    assert names == ["summer a 2024-06-30", "summer b 2024-03-31"]


async def test_workers_read_what_is_verified_or_would_be_sent(
    tmp_path: Path, two: Cluster, box: Sandbox
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    archive = make_archive(here, count=10, names=5)
    ended = await send(box, here, *two.flags, "--dry-run", "--json")
    assert ended.code == 0, ended.err
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert sum(event["event"] == "photo_new" for event in events) == 10
    assert not box.gallery.photos
    ended = await send(box, here)
    assert ended.code == 0, ended.err
    shutil.copytree(here, there)
    for path in archive:  # only its size and time count here
        ruin(path)
    ruin(there / next(iter(archive)).relative_to(here))
    flags = [*two.flags, f"--map={here}={there}", "--no-ledger", "--json"]
    ended = await send(box, "verify", here, *flags, finishing="")
    events = [json.loads(line) for line in ended.out.splitlines()]
    verdicts = [event["verdict"] for event in events if event["event"] == "photo_checked"]
    assert sorted(verdicts) == ["missing"] + ["present"] * 9, ended.err
    assert ended.code == 1


async def test_a_file_stays_whose_other_copy_is_what_a_worker_has_sent(
    tmp_path: Path, two: Cluster, box: Sandbox
) -> None:
    here, there, away = tmp_path / "here", tmp_path / "there", tmp_path / "away"
    archive = make_archive(here, count=4, names=4, size=(300, 9000))
    shutil.copytree(here, there)  # with its times
    path = next(iter(archive))
    ruin(path)
    ended = await send(box, here, *two.flags, f"--map={here}={there}", "--after", f"move:{away}")
    assert re.search(r"^ +4 +uploaded ", ended.err, re.MULTILINE), ended.err
    assert [file for file in here.rglob("*") if file.is_file()] == [path]
    assert sum(file.is_file() for file in away.rglob("*")) == 3


async def test_programs_have_workers_too(tmp_path: Path, two: Cluster, box: Sandbox) -> None:
    root = tmp_path / "photos"
    archive = make_archive(root, count=10, names=5)
    arrived: list[Event] = []
    report = await bulkup.upload(
        [root],
        account=bulkup.Account(url=box.url, user="admin", password=PASSWORD),
        options=bulkup.UploadOptions(
            album=1,
            no_ledger=True,
            dask=two.address,
            dask_tls_ca=two.cert,
            dask_tls_cert=two.cert,
            dask_tls_key=two.key,
            map=f"{tmp_path}={tmp_path}/.",
        ),
        on_event=arrived.append,
    )
    assert exactly(box, archive)
    assert report.ok
    assert report.uploaded == sum(isinstance(event, PhotoUploaded) for event in arrived) == 10


async def test_batches_that_are_over_leave_nothing_in_memory(
    two: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.cluster.scheduler.do_batch", operator.ne)

    async def submit(tasks: int, cluster: Dask) -> int:
        """Submit tasks as batches are, and return the bytes that are kept."""
        worker = (await cluster.workers() or [])[0]
        for _ in range(tasks):
            await cluster.do_batch(worker, "no run", [])
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    where = cluster_address(two.address, maps=PathMap(), tls=(two.cert, two.cert, two.key))
    async with open_cluster(where) as cluster:
        await submit(20, cluster)
        tracemalloc.start()
        try:
            kept = [await submit(100, cluster) for _ in range(4)]
            # once, something else may be loaded meanwhile; what each batch leaves grows each time
            assert min(after - before for before, after in pairwise(kept)) < 200_000
        finally:
            tracemalloc.stop()
        await cluster.close()


async def test_killed_then_ended_the_same_command_goes_on_and_leaves_the_cluster(
    tmp_path: Path, two: Cluster
) -> None:
    root = tmp_path / "photos"
    archive = with_twins(root, count=120, twins=10)
    flags = [*two.flags, "--chunk-size", "4K", "--finishing", "2", "-c", "4"]
    flags += ["--ledger", str(tmp_path / "ledger")]
    async with Holding(10) as box:
        async with await start(box, root, *flags) as process:
            await box.came.wait()
            process.kill()
            assert await process.wait() == -9
        box.hold(nth=10)
        async with await start(box, root, *flags) as process:
            await box.came.wait()
            process.terminate()
            said = await read_until(process, "no new one is started")
            box.go.set()  # what is left takes longer than the end to reach the workers
            said += await read_until(process)
            assert await process.wait() == 130
        assert re.search(r"^ +\d+ +unfinished ", said, re.MULTILINE), said
        assert len(box.gallery.photos) < 110
        ended = await send(box, root, *flags)
        assert ended.code == 0, ended.err
        assert exactly(box, archive)
        assert box.finishing_peak <= 2


async def test_a_scheduler_that_is_killed_and_comes_back_costs_no_photo(
    tmp_path: Path, two: Cluster
) -> None:
    root = tmp_path / "photos"
    archive = make_archive(root, count=60, names=20, size=(300, 9000))
    flags = ["--chunk-size", "4K", "--finishing", "2", "-c", "4"]
    async with Holding(10) as box:
        async with await start(box, root, *two.flags, *flags) as process:
            await box.came.wait()
            await to_thread.run_sync(two.restart)
            box.go.set()
            said = await read_until(process)
            assert await process.wait() == 0, said
        assert exactly(box, archive)
        assert box.finishing_peak <= 2


async def test_a_worker_that_cannot_take_part_is_reported_with_its_reason(
    tmp_path: Path, two: Cluster
) -> None:
    root = tmp_path / "photos"
    make_archive(root, count=3, names=3)
    async with Sandbox(admin=("admin", PASSWORD), only=FOUR_METHODS) as box:
        ended = await send(box, root, *two.flags)
    assert ended.code == 3, ended.err
    assert "no Dask worker can take part: " in ended.err
    assert "photos with the same name would be mixed up" in ended.err
    assert re.search(r"^ +3 +unfinished ", ended.err, re.MULTILINE), ended.err
