"""A coordinator and its workers in one process: who may send what, and when.

Their clock is the test's: no worker is lost because the machine is slow.
"""

import hashlib
import pickle
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.lowlevel import checkpoint
from distributed import Scheduler, Worker

from bulkup.cluster.coordinator import UNKNOWN_S, open_coordinator
from bulkup.cluster.messages import GONE_S, LEASE_S
from bulkup.cluster.scheduler import cluster_address
from bulkup.cluster.worker import open_account
from bulkup.engine.context import Stop
from bulkup.engine.ledger_port import Fact, NoLedger
from bulkup.engine.retry import Policy, Recovery
from bulkup.errors import RunError
from bulkup.events import LimitsChanged, PhotoUploaded, discard
from bulkup.piwigo.session import Timeouts
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.source.exports import ExportAlbums, Exports
from bulkup.source.metadata import Labels, Metadata
from bulkup.source.photos import Photo
from tests.source.test_exports import SAMPLES
from tests.support.certificates import make_certificate
from tests.support.faults import HookedFaults
from tests.support.front import ForwardProxy, nginx
from tests.support.galleries import albums_of
from tests.support.lines import Line
from tests.support.photos import write_files
from tests.support.runs import failures, make_archive
from tests.support.team import MAPS, invitation, settings, team, until

UPLOAD = "pwg.images.uploadAsync"
KINDS: tuple[Kind, ...] = (
    *("request-lost", "answer-lost", "cut", "expired-session", "damaged"),
    *("502", "504-after"),
)
METHODS = {"async": UPLOAD, "upload": "pwg.images.upload", "legacy": "pwg.images.addChunk"}


def hooked(nth: int, *plan: Fault, method: str = UPLOAD) -> tuple[HookedFaults, anyio.Event]:
    """Return faults, and an event for when the nth upload comes in."""
    came = anyio.Event()
    return HookedFaults(*plan, act=came.set, method=method, nth=nth), came


async def test_no_worker_begins_to_send_while_all_are_held(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=40, names=20, size=(3000, 20_000))
    faults, came = hooked(20)
    async with (
        team(3, Sandbox(faults=faults, finish_s=0.01)) as executor,
        anyio.create_task_group() as tasks,
    ):

        async def probe() -> int:
            for _ in range(30):  # as a count of workers does
                await executor.server.probe()
            return faults.count

        async def hold() -> None:
            await came.wait()
            async with executor.recovery.hold():
                await until(lambda: all(executor.plugin(w)._held for w in executor.workers))
                while await probe() != (before := await probe()):
                    pass  # what was on its way
                assert await probe() == before < 100

        tasks.start_soon(hold)
        await executor.run(archive, finishing=3)


async def test_workers_send_what_an_export_says_and_its_albums_are_complete(
    tmp_path: Path,
) -> None:
    name = "lunch_23425673160_o.jpg"
    write_files(tmp_path / "photos", name, "other.jpg")
    shutil.copytree(SAMPLES / "flickr", tmp_path / "data")
    async with team(2, Sandbox()) as executor:
        further = [ExportAlbums(Exports(), emit=discard)]
        outcome = await executor.upload(tmp_path, 1, further=further)
        shown = albums_of(executor.box)
        titles = {photo.name for photo in executor.box.gallery.photos.values()}
    assert shown["Sandbox/Best of 2015/16"] == shown["Sandbox/Rome & around"] == [name]
    assert titles == {'Lunch "al dente" �', "other"}
    assert sorted(len(event.albums) for event in outcome.of(PhotoUploaded)) == [1, 3]


@pytest.mark.parametrize(
    ("method", "silent"),
    [("async", True), ("async", False), ("upload", True), ("legacy", True), ("legacy", False)],
)
async def test_the_photos_of_a_lost_worker_go_to_others_whatever_else_fails(
    tmp_path: Path, method: str, silent: bool
) -> None:
    archive = make_archive(tmp_path, count=30, names=10, size=(3000, 16_000))
    (sent := next(iter(archive))).with_name("twin.jpg").write_bytes(sent.read_bytes())
    plan = [Fault(kind, METHODS[method], 7 + 7 * nth) for nth, kind in enumerate(KINDS)]
    faults, came = hooked(30, *plan, method=METHODS[method])
    box = Sandbox(faults=faults, finish_s=0.05)
    async with team(3, box, method=method) as executor:
        executor.lose_when(came, silent=silent)
        await executor.run(archive, finishing=2)
    assert faults.hit == len(plan)
    assert not box.gallery.buffers
    for number, photo in box.gallery.photos.items():
        assert hashlib.md5(box.gallery.content(number)).hexdigest() == photo.md5


async def test_workers_get_what_only_the_coordinator_knows_of_their_photos(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=8, names=4)

    def stated(path: Path) -> Metadata | None:
        title = f"{path.parent.name}/{path.stem}"
        return Metadata(title=title, level=4) if path.stem != "IMG_0000" else None

    async with team(2, box := Sandbox(), stated=stated, labels=Labels(sidecars=False)) as executor:
        await executor.run(archive, finishing=2)
    found = sorted((photo.name, photo.level) for photo in box.gallery.photos.values())
    titles = {f"{path.parent.name}/{path.stem}": 4 for path in archive if "0000" not in path.stem}
    assert found == sorted([*titles.items(), ("IMG 0000", 0), ("IMG 0000", 0)])


@pytest.mark.parametrize("detects", [True, False])
async def test_a_worker_knows_the_photo_that_its_file_is_taken_for(
    tmp_path: Path, detects: bool
) -> None:
    archive = make_archive(tmp_path, count=4, names=2)
    (wrong, md5), *_ = archive.items()
    plan = [Fault("answer-lost", UPLOAD, nth) for nth in (0, 2)]  # where is it then?
    box = Sandbox(version="14.5.0", detect_duplicates=detects, faults=Faults(plan))
    async with team(1, box, retries=1) as executor:
        theirs = await box.gallery.synchronise("another.jpg", b"another", 1)
        box.gallery.set_md5(theirs, md5)
        outcome = await executor.upload(tmp_path, 2)
        stored = {box.gallery.content(number) for number in box.gallery.photos}
    assert failures(outcome).keys() == ({wrong.name} if detects else set())
    assert (wrong.read_bytes() in stored) is not detects
    assert (theirs.file, theirs.tags, theirs.albums) == ("another.jpg", set(), {1})


class HeldFinishes:
    """Finishes that a server does not come to the end of until it is `let` to."""

    def __init__(self, box: Sandbox) -> None:
        self.begun = 0
        self._left = 0
        box.workers._derivative = self._held  # type: ignore[method-assign]

    def let(self, finishes: int) -> None:
        self._left += finishes

    async def _held(self, seconds: float) -> bool:
        del seconds
        self.begun += 1
        await until(lambda: self._left)
        self._left -= 1
        return True


@pytest.mark.parametrize(("longest_s", "kept_s"), [(None, 20.0), (4.0, 12.0)])
async def test_the_slot_of_a_lost_worker_is_kept_until_the_server_has_finished(
    tmp_path: Path, longest_s: float | None, kept_s: float
) -> None:
    archive = make_archive(tmp_path, count=4, names=4, size=(300, 4000))
    box = Sandbox(detect_duplicates=False)
    finishes = HeldFinishes(box)
    async with team(2, box) as executor:

        async def lose() -> None:
            await until(lambda: finishes.begun)
            if longest_s is not None:
                await executor.pass_time(longest_s)
                finishes.let(1)
                await until(lambda: finishes.begun == 2)
            (member,) = (m for m in executor.coordinator.members.values() if m.tries)
            (worker,) = (w for w in executor.workers if w.address == member.address)
            await executor.lose(worker, silent=False)
            await executor.pass_time(GONE_S)
            ask_s, sleeps = executor.recovery.policy.ask_s, executor.clock.sleeps
            await until(lambda: any(kept_s + ask_s <= sleep < 2 * kept_s for sleep in sleeps))
            await executor.pass_time(kept_s - 0.5)
            assert box.workers.finishing == box.finishing_peak == 1
            finishes.let(4)
            await until(lambda: not box.workers.finishing)
            await executor.pass_time()

        executor.tasks.start_soon(lose)
        await executor.run(archive, finishing=1)


class Queue:
    """The requests that wait for a PHP worker, in order, while it is `closed`."""

    def __init__(self, box: Sandbox) -> None:
        self._open, self._one = anyio.Event(), box.workers.one
        self._open.set()
        box.workers.one = self._queued  # type: ignore[method-assign]

    def close(self) -> None:
        self._open = anyio.Event()

    def open(self) -> None:
        self._open.set()

    @asynccontextmanager
    async def _queued(self) -> AsyncIterator[None]:
        await self._open.wait()
        async with self._one():
            yield


async def test_the_slot_of_a_lost_worker_is_kept_while_its_request_waits_for_a_php_worker(
    tmp_path: Path,
) -> None:
    archive = make_archive(tmp_path, count=4, names=4, size=(300, 400))
    faults = HookedFaults(method=UPLOAD, nth=0)
    box = Sandbox(detect_duplicates=False, faults=faults)
    finishes, queue = HeldFinishes(box), Queue(box)
    faults.act = queue.close
    async with team(2, box) as executor:

        async def lose() -> None:
            await until(lambda: faults.count)
            (member,) = (m for m in executor.coordinator.members.values() if m.tries)
            (worker,) = (w for w in executor.workers if w.address == member.address)
            await executor.lose(worker, silent=True)
            await executor.pass_time(GONE_S + 2 * UNKNOWN_S)
            assert not finishes.begun
            queue.open()
            sleeps = executor.clock.sleeps
            await until(lambda: finishes.begun > 1 or any(s > UNKNOWN_S for s in sleeps))
            await executor.pass_time(UNKNOWN_S - 0.5)
            assert box.workers.finishing == box.finishing_peak == 1
            finishes.let(4)
            await until(lambda: not box.workers.finishing)
            await executor.pass_time()

        executor.tasks.start_soon(lose)
        await executor.run(archive, finishing=1)


async def test_a_lost_worker_leaves_no_task_and_no_damaged_photo(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=4, names=4, size=(300, 4000))
    box = Sandbox(faults=Faults([Fault("damaged", METHODS["upload"], 0)]))
    finishes = HeldFinishes(box)
    async with team(2, box, method="upload") as executor:
        given: set[object] = set()

        async def lose() -> None:
            await until(lambda: finishes.begun)
            members = executor.coordinator.members.values()
            (member,) = (m for m in members if m.tries)
            (worker,) = (w for w in executor.workers if w.address == member.address)
            tasks = executor.scheduler.tasks.items()
            given.update(key for key, task in tasks if worker.address in task.worker_restrictions)
            await executor.lose(worker, silent=False)
            finishes.let(10)
            await executor.pass_time()

        executor.tasks.start_soon(lose)
        await executor.run(archive, finishing=1)
        await executor.coordinator._cluster._client.submit(int)  # what was sent before is done
        assert given
        assert given.isdisjoint(executor.scheduler.tasks)


async def test_a_worker_stops_when_the_coordinator_answers_no_beat(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=2, names=2, size=(300, 4000))
    box = Sandbox()
    finishes = HeldFinishes(box)
    async with team(2, box) as executor:

        async def be_silent() -> None:
            await until(lambda: finishes.begun == 2)
            plugins = [executor.plugin(worker) for worker in executor.workers]
            executor.coordinator._send_state = mock.Mock()  # type: ignore[method-assign]
            executor.clock.ahead_s += LEASE_S + 1
            await until(lambda: all(plugin._running.done() for plugin in plugins))
            del executor.coordinator._send_state
            finishes.let(4)
            await executor.pass_time()

        executor.tasks.start_soon(be_silent)
        await executor.run(archive, finishing=2)


async def test_a_message_that_a_broken_connection_swallowed_is_sent_again_and_not_after_the_end(
    tmp_path: Path,
) -> None:
    archive = make_archive(tmp_path, count=6, names=3, size=(300, 4000))
    lost: list[object] = []
    async with team(2, Sandbox()) as executor:
        publish = executor.coordinator._cluster.publish

        async def lose_one(topic: str, message: list[tuple[object, ...]]) -> bool:
            if not lost and any(item[0] == "answer" for item in message):
                lost.append(message)
                return False
            return await publish(topic, message)

        executor.coordinator._cluster.publish = lose_one  # type: ignore[method-assign,assignment]
        await executor.run(archive, finishing=1)
    assert lost
    assert not await publish("topic", "too late")  # lost without an error


async def test_a_scheduler_that_stays_away_ends_the_run_with_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWAY_S", "GONE_S", "LOOK_S"):
        monkeypatch.setattr(f"bulkup.cluster.coordinator.{name}", 0.1)
    monkeypatch.setattr("bulkup.cluster.scheduler.CONNECT_S", 0.1)
    path = next(iter(make_archive(tmp_path, count=1, names=1)))
    photo = Photo(path, size=path.stat().st_size, mtime_ns=path.stat().st_mtime_ns)
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    async with (
        Sandbox() as box,
        Scheduler(port=0, **options) as scheduler,
        Worker(scheduler.address, nthreads=1, **options) as worker,
    ):
        where = cluster_address(scheduler.address, maps=MAPS, tls=(None, None, None))
        recovery = Recovery(Policy(), emit=discard, probe=checkpoint)

        async def upload() -> None:
            async with open_coordinator(
                where, settings(box.url), recovery=recovery, emit=discard, stop=Stop()
            ) as executor:
                await worker.close(timeout=1)
                await scheduler.close()
                await executor.fingerprint(photo)

        with pytest.raises(RunError, match="does not answer any more"):
            await upload()


async def test_a_server_that_hangs_over_a_finish_is_waited_for_by_all_and_gets_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.piwigo.connect.Timeouts", partial(Timeouts, finish_s=0.2))
    archive = make_archive(tmp_path, count=12, names=6, size=(300, 4000))
    faults = Faults([Fault("slow", UPLOAD, nth, slow_s=0.6) for nth in (5, 6)])
    async with team(2, Sandbox(faults=faults)) as executor:
        await executor.run(archive, finishing=2)
    assert faults.hit == 2


async def test_a_worker_that_alone_can_not_reach_the_gallery_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(tmp_path, count=30, names=15, size=(3000, 16_000))
    faults, came = hooked(30)
    box = Sandbox(faults=faults)  # no finish outlasts the short patience
    async with team(0, box, patience_s=0.1) as executor:
        port = urlsplit(box.url).port or 0
        async with Line(port) as line:
            await executor.join()
            monkeypatch.setenv("BULKUP_WORKER_URL", box.url.replace(str(port), str(line.port)))
            cut_off = await executor.join()

            async def cut() -> None:
                await came.wait()
                await line.cut()
                await until(lambda: cut_off.address in executor.coordinator._unfit)
                await executor.pass_time()

            executor.tasks.start_soon(cut)
            await executor.run(archive, finishing=2)
            assert "can't take part" in executor.noticed()


async def test_the_bandwidth_is_divided_among_those_who_send(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=1, names=1, size=(3000, 4000))
    limit: list[int | None] = [90_000]
    box = Sandbox()
    finishes = HeldFinishes(box)
    async with team(3, box, limit=lambda: limit[0]) as executor:

        async def shares_are(share: int | None) -> None:
            plugins = [executor.plugin(worker) for worker in executor.workers]
            await until(lambda: all(plugin._limit == share for plugin in plugins))

        await shares_are(30_000)
        await executor.lose(executor.workers[0], silent=False)
        await shares_are(45_000)
        limit[0] = None
        await shares_are(None)
        limit[0] = 90_000

        async def look() -> None:
            await until(lambda: finishes.begun)
            await shares_are(90_000)
            finishes.let(1)

        executor.tasks.start_soon(look)
        await executor.run(archive, finishing=1)


async def test_the_first_worker_alone_does_not_bound_what_many_may_finish_at_once(
    tmp_path: Path,
) -> None:
    archive = make_archive(tmp_path, count=3, names=3, size=(300, 400))
    ledger = NoLedger()
    await ledger.learn(Fact.WORKERS, 12)
    async with team(1, Sandbox(workers=12)) as executor:
        outcome = await executor.run(archive, finishing=None, ledger=ledger)
    assert max(event.most_finishing for event in outcome.of(LimitsChanged)) == 10


async def test_secrets_go_over_no_open_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    async with team(0, Sandbox()) as executor:
        usual = executor.coordinator._settings
        account = replace(
            usual.account,
            ca_cert=tmp_path / "cert",
            client_cert=tmp_path / "cert",
            client_key=tmp_path / "key",
            http_user="bob",
            http_password="secret",
            headers={"X-Door": "secret"},
            proxy="http://bob:secret@proxy:1",
        )
        monkeypatch.setattr(executor.coordinator, "_settings", replace(usual, account=account))
        for scheduler, worker, trusted in (
            ("tls://boss:1", "tls://10.0.0.1:2", True),
            ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", True),
            ("tcp://127.0.0.1:1", "tcp://10.0.0.1:2", False),
            ("tcp://boss:1", "tcp://127.0.0.1:2", False),
        ):
            monkeypatch.setattr(executor.coordinator._cluster, "address", scheduler)
            sent = await anyio.to_thread.run_sync(executor.coordinator._invitation, worker)
            assert sent.trusted == trusted
            assert (sent.settings.account.user, sent.settings.account.http_user) == (
                "admin",
                "bob",
            )
            assert (b"secret" in pickle.dumps(sent)) == trusted
            assert (b"PRIVATE KEY" in pickle.dumps(sent)) == trusted
            assert sent.files["ca_cert"] == (tmp_path / "cert").read_text()
            assert "secret" not in repr(sent)


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_worker_passes_a_front_door_with_what_it_is_sent_or_has_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trusted: bool
) -> None:
    make_certificate(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "users").write_text("bob:{PLAIN}front\n")
    rules = f"""auth_basic "Photos"; auth_basic_user_file {tmp_path}/users;
        ssl_client_certificate {tmp_path}/cert; ssl_verify_client on;
        if ($http_x_door != "open") {{ return 403; }}"""
    async with (
        Sandbox() as box,
        nginx(box, tmp_path, rules, tls=True) as url,
        ForwardProxy(url, login="Basic Ym9iOnA=").running() as proxy,
    ):
        through = proxy.url.replace("//", "//bob:p@")
        sent = {name: (tmp_path / name).read_text() for name in ("cert", "key")}
        files = {"ca_cert": sent["cert"], "client_cert": sent["cert"], "client_key": sent["key"]}
        usual = settings(url)
        account = replace(usual.account, http_user="bob", http_password="front", proxy=through)
        account = replace(account, headers={"X-Door": "open"})
        if not trusted:
            account, files = account.without_secrets(), {"ca_cert": sent["cert"]}
            own = {"PASSWORD": "secret", "HTTP_PASSWORD": "front", "HEADER": "X-Door: open"}
            own |= {"CLIENT_CERT": f"{tmp_path}/cert", "CLIENT_KEY": f"{tmp_path}/key"}
            for name, value in (own | {"PROXY": through}).items():
                monkeypatch.setenv(f"BULKUP_{name}", value)
        invited = replace(
            invitation(), settings=replace(usual, account=account), trusted=trusted, files=files
        )
        how = {"emit": discard, "limit": lambda: None, "order": lambda _: None}
        async with open_account(invited, **how) as (server, _):  # type: ignore[arg-type]
            assert server.offer.user == "admin"
    assert list((tmp_path / "temporary").iterdir()) == []
