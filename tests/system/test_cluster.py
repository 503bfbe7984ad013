"""Several machines at one run: workers of real Dask clusters, on this machine."""

import gc
import json
import os
import re
import shutil
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

import bulkup
from bulkup.cluster.pool import Cluster as Dask
from bulkup.cluster.pool import ClusterAddress, lent
from bulkup.cluster.protocol import PathMap
from bulkup.cluster.worker import Invitation
from bulkup.events import Event, PhotoUploaded
from bulkup.sandbox import Fault, Sandbox
from tests.support.certificates import make_certificate
from tests.support.clusters import Cluster, cluster, kill_one_worker
from tests.support.commands import PASSWORD, Noticing, one_photo, read_until, send, start
from tests.support.moments import exactly
from tests.support.runs import make_archive

ADMIN = ("admin", PASSWORD)
MAPS = PathMap()
FAULTS = (
    *(Fault("request-lost", "pwg.images.uploadAsync", nth) for nth in (30, 190)),
    *(Fault("answer-lost", "pwg.images.uploadAsync", nth) for nth in (50, 200, 460)),
    *(Fault("cut", "pwg.images.uploadAsync", nth) for nth in (70, 210)),
    # late: each lowers the limit for the rest of the run, whatever --finishing says
    *(Fault("502", "pwg.images.uploadAsync", nth) for nth in (430, 450)),
    *(Fault("504-after", "pwg.images.uploadAsync", nth) for nth in (440, 470)),
    *(Fault("damaged", "pwg.images.uploadAsync", nth) for nth in (130, 230)),
    *(Fault("expired-session", "pwg.images.uploadAsync", nth) for nth in (150, 333)),
)


def with_twins(folder: Path, *, count: int, twins: int) -> dict[Path, str]:
    """Make photos of few names, and as many equal ones of other names; return each path's MD5."""
    archive = make_archive(folder, count=count - twins, names=20, size=(300, 6000))
    for path, md5 in list(archive.items())[:twins]:
        twin = path.with_name(f"twin of {path.name}")
        twin.write_bytes(path.read_bytes())
        archive[twin] = md5
    return archive


async def test_a_worker_killed_in_mid_run_costs_no_photo_and_no_place_too_many(
    tmp_path: Path,
) -> None:
    root = tmp_path / "photos"
    archive = with_twins(root, count=500, twins=60)
    flags = ["--dask", "local:3", "--finishing", "3", "--chunk-size", "4K", "-c", "6"]
    faults = Noticing(*FAULTS, nth=250)
    async with Sandbox(admin=ADMIN, faults=faults, workers=12, finish_s=0.03) as box:
        async with (
            await start(box, root, *flags, "--ledger", tmp_path / "ledger") as process,
            anyio.create_task_group() as tasks,
        ):

            async def kill() -> None:
                await faults.came.wait()
                while not box.workers.finishing:
                    await anyio.lowlevel.checkpoint()
                kill_one_worker(process.pid)

            tasks.start_soon(kill)
            said = await read_until(process)
            assert await process.wait() == 0, said
        assert re.search(r"^ +440 +uploaded ", said, re.MULTILINE), said
        assert exactly(box, archive)
        assert 0 < box.finishing_peak <= 3
        assert faults.hit == len(FAULTS)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Lend a cluster whose workers are in the folders `a` and `b`."""
    with cluster(tmp_path_factory.mktemp("two"), "a", "b") as lent:
        lent.wait()
        yield lent


async def test_each_photo_goes_to_a_worker_that_sees_it_and_one_that_none_sees_is_named(
    tmp_path: Path, two: Cluster
) -> None:
    root = tmp_path / "photos"
    archive = make_archive(root, count=60, names=20, size=(300, 9000))
    for home, folder in (("a", "folder 00"), ("b", "folder 01")):
        (two.folder / home / folder).symlink_to(root / folder)
    flags = [f"--map={root}={two.folder / 'nowhere'}", "--chunk-size", "4K", "--tag", "x"]
    flags += [f"--map={root / folder}={folder}" for folder in ("folder 00", "folder 01")]
    async with Sandbox(admin=ADMIN) as box:
        ended = await send(box, root, "--dask", two.address, *flags)
        assert ended.code == 1
        assert re.search(r"^ +40 +uploaded ", ended.err, re.MULTILINE), ended.err
        assert re.search(r"^ +20 +failed", ended.err, re.MULTILINE), ended.err
        assert "no worker sees the file: " in ended.err
        assert "--map HERE=THERE" in ended.err
        seen = {path: md5 for path, md5 in archive.items() if path.parent.name != "folder 02"}
        assert exactly(box, seen)
        assert [tag.name for tag in box.gallery.tags.values()] == ["x"]
    assert PASSWORD not in two.said()


async def test_a_title_tells_the_folder_as_it_is_called_here(tmp_path: Path, two: Cluster) -> None:
    root = tmp_path / "summer"
    root.mkdir()
    one_photo(root)
    for home in ("a", "b"):
        (two.folder / home / "elsewhere").symlink_to(root)
    async with Sandbox(admin=ADMIN) as box:
        flags = ["--dask", two.address, f"--map={root}=elsewhere", "--title", "{folder} {stem}"]
        ended = await send(box, root, *flags)
        assert ended.code == 0, ended.err
        assert [photo.name for photo in box.gallery.photos.values()] == ["summer a"]


async def test_dates_are_those_of_where_the_command_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    late = datetime(2024, 6, 30, 23, 30, tzinfo=UTC).timestamp()
    for name in ("a.jpg", "b.jpg"):
        os.utime(one_photo(root, name), (late, late))
    taken = datetime(2024, 3, 31, 23, 30, tzinfo=UTC).timestamp()
    told = {"title": "b.jpg", "photoTakenTime": {"timestamp": f"{taken:.0f}"}}
    (root / "b.jpg.json").write_text(json.dumps(told))
    monkeypatch.setenv("TZ", "NZST-12")
    with cluster(tmp_path, "a") as lent:
        monkeypatch.setenv("TZ", "PST8")
        async with Sandbox(admin=ADMIN) as box:
            ended = await send(box, root, "--dask", lent.address, "--title", "{stem} {date}")
            assert ended.code == 0, ended.err
            names = sorted(photo.name for photo in box.gallery.photos.values())
    assert names == ["a 2024-06-30", "b 2024-03-31"]


async def test_a_dry_run_has_workers_read_and_sends_nothing(tmp_path: Path, two: Cluster) -> None:
    root = tmp_path / "photos"
    make_archive(root, count=10, names=5)
    async with Sandbox(admin=ADMIN) as box:
        ended = await send(box, root, "--dask", two.address, "--dry-run", "--json")
        assert ended.code == 0, ended.err
        events = [json.loads(line) for line in ended.out.splitlines()]
        assert sum(event["event"] == "photo_new" for event in events) == 10
        assert not box.gallery.photos


async def test_a_file_stays_whose_other_copy_is_what_a_worker_has_sent(
    tmp_path: Path, two: Cluster
) -> None:
    here, there, away = tmp_path / "here", tmp_path / "there", tmp_path / "away"
    archive = make_archive(here, count=4, names=4, size=(300, 9000))
    shutil.copytree(here, there)  # with its times
    path = next(iter(archive))
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    async with Sandbox(admin=ADMIN) as box:
        flags = [f"--map={here}={there}", "--after", f"move:{away}"]
        ended = await send(box, here, "--dask", two.address, *flags)
    assert re.search(r"^ +4 +uploaded ", ended.err, re.MULTILINE), ended.err
    assert [file for file in here.rglob("*") if file.is_file()] == [path]
    assert sum(file.is_file() for file in away.rglob("*")) == 3


async def test_programs_have_workers_too(tmp_path: Path, two: Cluster) -> None:
    root = tmp_path / "photos"
    archive = make_archive(root, count=10, names=5)
    arrived: list[Event] = []
    async with Sandbox(admin=ADMIN) as box:
        report = await bulkup.upload(
            [root],
            server=bulkup.Account(url=box.url, user="admin", password=PASSWORD),
            album=1,
            remember=False,
            dask=two.address,
            maps=[f"{tmp_path}={tmp_path}/."],
            on_event=arrived.append,
        )
        assert exactly(box, archive)
    assert report.ok
    assert report.uploaded == sum(isinstance(event, PhotoUploaded) for event in arrived) == 10
    nobody = bulkup.Account(url="x", user="y")
    with pytest.raises(bulkup.UsageError, match="no scheduler's address"):
        await bulkup.upload([root], server=nobody, album=1, dask="elsewhere")


@pytest.mark.parametrize("command", ["watch", "verify"])
async def test_what_one_machine_does_takes_no_cluster(tmp_path: Path, command: str) -> None:
    async with Sandbox(admin=ADMIN) as box:
        ended = await send(box, command, tmp_path, "--dask", "local:2")
    assert ended.code == 2
    assert "--dask is for bulkup upload alone: all else is done by one machine" in ended.err


async def test_tasks_that_are_over_leave_nothing_in_memory(two: Cluster) -> None:
    nowhere = Invitation("127.0.0.1", 9, "of no run")

    async def come(tasks: int, cluster: Dask) -> int:
        """Have so many tasks come to nothing, and return the bytes that are kept."""
        worker = (await cluster.workers() or [])[0]
        for _ in range(tasks):
            assert "can't reach the coordinator" in await cluster.submit(nowhere, worker)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async with lent(ClusterAddress(address=two.address, maps=MAPS)) as cluster:
        await come(20, cluster)
        tracemalloc.start()
        try:
            before = await come(20, cluster)
            assert await come(100, cluster) - before < 200_000
        finally:
            tracemalloc.stop()
        await cluster.forget(set())


async def test_killed_then_ended_the_same_command_goes_on_and_leaves_the_cluster(
    tmp_path: Path, two: Cluster
) -> None:
    root = tmp_path / "photos"
    archive = with_twins(root, count=120, twins=10)
    flags = ["--dask", two.address, "--chunk-size", "4K", "--finishing", "2"]
    flags += ["--ledger", str(tmp_path / "ledger")]
    faults = Noticing(nth=40)
    async with Sandbox(admin=ADMIN, faults=faults, finish_s=0.03) as box:
        async with await start(box, root, *flags) as process:
            await faults.came.wait()
            process.kill()
            assert await process.wait() == -9
        faults.watch(nth=40)
        async with await start(box, root, *flags) as process:
            await faults.came.wait()
            process.terminate()
            said = await read_until(process)
            assert await process.wait() == 130
        assert re.search(r"^ +\d+ +unfinished ", said, re.MULTILINE), said
        assert len(box.gallery.photos) < 110
        ended = await send(box, root, *flags)
        assert ended.code == 0, ended.err
        assert exactly(box, archive)
        assert box.finishing_peak <= 2


async def test_a_scheduler_that_is_killed_and_comes_back_costs_no_photo(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    archive = make_archive(root, count=100, names=20, size=(300, 9000))
    flags = ["--chunk-size", "4K", "--finishing", "2"]
    faults = Noticing(nth=40)
    with cluster(tmp_path, "a") as lent:
        async with Sandbox(admin=ADMIN, faults=faults, finish_s=0.03) as box:
            async with await start(box, root, "--dask", lent.address, *flags) as process:
                await faults.came.wait()
                lent.kill_scheduler()
                lent.start()
                lent.add(tmp_path / "b")
                said = await read_until(process)
                assert await process.wait() == 0, said
            assert exactly(box, archive)
            assert box.finishing_peak <= 2


async def test_certificates_bring_the_password_to_workers_that_have_none(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    cert, key = tmp_path / "cert", tmp_path / "key"
    tls = ["--tls-ca-file", f"{cert}", "--tls-cert", f"{cert}", "--tls-key", f"{key}"]
    root = tmp_path / "photos"
    archive = make_archive(root, count=10, names=5)
    with cluster(tmp_path, "a", kind="tls", flags=tls) as lent:
        own = [
            "--dask-tls-ca",
            f"{cert}",
            "--dask-tls-cert",
            f"{cert}",
            "--dask-tls-key",
            f"{key}",
        ]
        async with Sandbox(admin=ADMIN) as box:
            ended = await send(box, root, "--dask", lent.address, *own)
            assert ended.code == 0, ended.err
            assert exactly(box, archive)
        assert PASSWORD not in lent.said()


async def test_a_worker_that_can_take_no_part_is_named_and_why(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    make_archive(root, count=3, names=3)
    async with Sandbox(admin=ADMIN) as box:
        with cluster(tmp_path) as lent:
            lent.add(tmp_path / "a", worker_url=f"{box.url}elsewhere/")
            ended = await send(box, root, "--dask", lent.address)
    assert ended.code == 3
    assert "no Dask worker can take part: " in ended.err
    assert re.search(r"^ +3 +unfinished ", ended.err, re.MULTILINE), ended.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--dask", "scheduler"], "is no scheduler's address"),
        (["--dask", "local:0"], "is no number of workers"),
        (["--dask", "tls://127.0.0.1:8786"], "needs certificates"),
        (["--dask", "tls://127.0.0.1:8786", "--dask-tls-ca", __file__], "not complete"),
        (["--dask", "local:2", "--map", "here"], "names no two folders"),
        (["--map", "a=b"], "for the workers of a Dask cluster"),
    ],
)
async def test_what_is_no_cluster_is_said_at_once(
    tmp_path: Path, flags: list[str], said: str
) -> None:
    async with Sandbox(admin=ADMIN) as box:
        ended = await send(box, tmp_path, *flags)
    assert ended.code == 2
    assert said in ended.err
