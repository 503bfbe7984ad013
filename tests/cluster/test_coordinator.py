"""Several hands at one desk, in one process and without Dask: who may send what, and when."""

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskGroup, TaskStatus

from bulkup.app.executor import RunSettings
from bulkup.app.settings import Account, AlbumTarget, UploadSettings
from bulkup.cluster.coordinator import Coordinator, settings_message
from bulkup.cluster.protocol import PathMap
from bulkup.cluster.queue import Call
from bulkup.cluster.worker import Worker
from bulkup.engine import pipeline
from bulkup.engine.albums import Albums, FolderAlbums
from bulkup.engine.executor import _unheard
from bulkup.engine.ports import Fact, Job, NoLedger, RunContext, Stop
from bulkup.engine.retry import Policy, Recovery
from bulkup.events import Emit, LimitsChanged, PhotoUploaded
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.connect import connect
from bulkup.piwigo.session import Timeouts
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.source.metadata import Labels
from bulkup.source.photos import Photo
from tests.support.runs import ADMIN, Outcome, chunk_size_of, make_archive, stored_sums

MAPS = PathMap()
POLICY = Policy(ask_s=0.5)
UPLOAD = "pwg.images.uploadAsync"
METHODS = {"async": UPLOAD, "upload": "pwg.images.upload", "legacy": "pwg.images.addChunk"}


def run_settings(
    url: str = "",
    *,
    limit: Callable[[], int | None] = lambda: None,
    method: str = "async",
    patience_s: float = 3600.0,
) -> RunSettings:
    account = Account(url=url, user="admin", password="secret")
    sending = UploadSettings(
        into=AlbumTarget(album=1), concurrency=3, chunk_size=4096, patience_s=patience_s
    )
    return RunSettings(
        account=account, sending=sending, labels=Labels(), method=method, limit=limit
    )


async def listen(
    serve: Callable[[SocketStream], Awaitable[None]], *, task_status: TaskStatus[int]
) -> None:
    """Serve whoever connects; tell the port."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        task_status.started(listener.extra(SocketAttribute.local_port))  # noqa: S610 (no query)
        await listener.serve(serve)


class Line:
    """A connection through which nothing comes any more once it is `dead`."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.dead = False
        self.scope = anyio.CancelScope()
        self._target = port

    async def carry(self, tasks: TaskGroup) -> None:
        self.port = await tasks.start(self._carry)

    async def _carry(self, *, task_status: TaskStatus[int]) -> None:
        with self.scope:
            await listen(self._join, task_status=task_status)

    async def _join(self, near: SocketStream) -> None:
        async with (
            near,
            await anyio.connect_tcp("127.0.0.1", self._target) as far,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._pass_on, near, far)
            tasks.start_soon(self._pass_on, far, near)

    async def _pass_on(self, source: SocketStream, target: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in source:
                if not self.dead:
                    await target.send(data)
            if not self.dead:
                await target.send_eof()


@dataclass
class Office:
    """A desk with hands at it, as a run uses them; each hand has a line of its own."""

    coordinator: Coordinator
    tasks: TaskGroup
    port: int
    machines: int = 0
    lead: int = 20
    executor: list[Worker] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    ended: list[anyio.Event] = field(default_factory=list)
    scopes: list[anyio.CancelScope] = field(default_factory=list)

    async def executor_factory(self) -> None:
        """Have one more hand come in."""
        name = f"hand {self.machines}"
        hand, line = Worker(name=name, token=self.coordinator.token), Line(self.port)
        await line.carry(self.tasks)
        ready, ended, scope = anyio.Event(), anyio.Event(), anyio.CancelScope()

        async def work() -> None:
            with scope:
                await hand.work(await anyio.connect_tcp("127.0.0.1", line.port), ready=ready.set)
            ended.set()

        self.tasks.start_soon(work)
        await ready.wait()
        self.machines += 1
        self.executor.append(hand)
        self.lines.append(line)
        self.ended.append(ended)
        self.scopes.append(scope)
        self.coordinator.workers = [f"hand {number}" for number in range(self.machines)]

    async def attend(self) -> None:
        """Have each hand come for what there is, when it has begun all that it came for."""
        coming: set[int] = set()

        async def come(number: int) -> None:
            await self.executor[number].turn()
            coming.discard(number)
            self.coordinator.stirred.set()

        while True:
            for number, ended in enumerate(self.ended):
                wanted = self.coordinator.wants(f"hand {number}") and not ended.is_set()
                if wanted and number not in coming:
                    coming.add(number)
                    self.tasks.start_soon(come, number)
            await self.coordinator.stirred.wait()
            self.coordinator.stirred = anyio.Event()

    async def fingerprint(self, photo: Photo, *, emit: Emit = _unheard) -> tuple[Photo, str]:
        found: tuple[Photo, str] = await self.coordinator.have_done(Call(photo=photo, emit=emit))
        return found

    async def upload(self, job: Job, context: RunContext) -> tuple[Job, PhotoUploaded]:
        call = Call(photo=job.photo, emit=context.emit, job=job, context=context)
        sent: tuple[Job, PhotoUploaded] = await self.coordinator.have_done(call)
        return sent

    def remarks(self) -> Iterable[tuple[str, str]]:
        return ()


@asynccontextmanager
async def office(
    executor: int,
    *,
    url: str,
    limit: Callable[[], int | None] = lambda: None,
    method: str = "async",
    patience_s: float = 3600.0,
) -> AsyncIterator[Office]:
    async with anyio.create_task_group() as tasks:
        coordinator = Coordinator(
            run_settings(url, limit=limit, method=method, patience_s=patience_s),
            maps=MAPS,
            trusted=True,
            ca_cert="",
            tasks=tasks,
            emit=_unheard,
            stop=Stop(),
            clock=time.monotonic,
            sleep=anyio.sleep,
        )
        opened = Office(coordinator, tasks, await tasks.start(listen, coordinator.serve))
        for _ in range(executor):
            await opened.executor_factory()
        tasks.start_soon(opened.attend)
        yield opened
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def gallery(
    box: Sandbox, *, method: str = "auto"
) -> AsyncIterator[tuple[PiwigoServer, Recovery]]:
    async with connect(box.url, credentials=ADMIN, method=method) as server:
        yield server, Recovery(POLICY, emit=_unheard, probe=server.probe)


async def run(
    root: Path,
    *,
    server: PiwigoServer,
    recovery: Recovery,
    executor: Office,
    finishing: int | None,
    memory: NoLedger | None = None,
) -> Outcome:
    recovery.others = executor.coordinator
    outcome = Outcome()
    await pipeline.run(
        pipeline.Plan(
            roots=[root],
            folder_albums=FolderAlbums(
                roots=[root], base=1, tree=False, unwrap=False, spaces=False
            ),
            finishing=finishing,
            endings=server.offer.endings,
        ),
        server=server,
        recovery=recovery,
        ledger=memory or NoLedger(),
        albums=Albums(server, recovery=recovery, emit=_unheard),
        chunk_size=chunk_size_of(server),
        emit=outcome.events.append,
        stop=Stop(),
        executor=executor,
    )
    return outcome


class Coming(Faults):
    """Counts the uploads that come in, and tells when the nth does."""

    def __init__(self, nth: int, *, method: str = UPLOAD, plan: Sequence[Fault] = ()) -> None:
        super().__init__(plan)
        self.count = 0
        self.came = anyio.Event()
        self._nth = nth
        self._method = method

    def strike(self, method: str) -> Fault | None:
        if method == self._method:
            self.count += 1
            if self.count == self._nth:
                self.came.set()
        return super().strike(method)


async def test_when_it_is_to_be_quiet_no_hand_sends_anything(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=40, names=20, size=(3000, 20_000))
    faults = Coming(20)
    async with Sandbox(faults=faults, finish_s=0.01) as box, gallery(box) as (server, recovery):
        async with office(3, url=box.url) as executor, anyio.create_task_group() as tasks:

            async def listen() -> None:
                await faults.came.wait()
                async with recovery.quiet():
                    before = faults.count
                    for _ in range(30):  # as a census does
                        await server.probe()
                    assert faults.count == before < 100

            tasks.start_soon(listen)
            outcome = await run(
                tmp_path, server=server, recovery=recovery, executor=executor, finishing=3
            )
        assert outcome.balances()
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
        assert box.finishing_peak <= 3


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "gone"])
@pytest.mark.parametrize("method", METHODS)
async def test_what_a_lost_hand_had_in_hand_goes_to_others_whatever_else_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, silent: bool
) -> None:
    for name, seconds in (
        ("worker.BEAT_S", 0.05),
        ("worker.LEASE_S", 0.4),
        ("coordinator.GONE_S", 0.8),
    ):
        monkeypatch.setattr(f"bulkup.cluster.{name}", seconds)
    monkeypatch.setattr("bulkup.app.gallery.Policy", partial(Policy, ask_s=0.5, wait_s=0.02))
    archive = make_archive(tmp_path, count=40, names=10, size=(3000, 20_000))
    (sent := next(iter(archive))).with_name("twin.jpg").write_bytes(sent.read_bytes())
    asked = METHODS[method]
    kinds: tuple[Kind, ...] = ("request-lost", "answer-lost", "cut", "expired-session", "damaged")
    plan = [Fault(kind, asked, 7 + 9 * nth) for nth, kind in enumerate(kinds)]
    faults = Coming(30, method=asked, plan=plan)
    async with (
        Sandbox(faults=faults, finish_s=0.05) as box,
        gallery(box, method=method) as (server, recovery),
    ):
        async with (
            office(3, url=box.url, method=method) as executor,
            anyio.create_task_group() as tasks,
        ):

            async def lose() -> None:
                await faults.came.wait()
                if silent:
                    executor.lines[0].dead = True
                else:
                    executor.executor[0]._farewell.set()

            tasks.start_soon(lose)
            outcome = await run(
                tmp_path, server=server, recovery=recovery, executor=executor, finishing=2
            )
            with anyio.fail_after(5):
                await executor.ended[0].wait()
        assert faults.hit == len(plan)
        assert outcome.balances()
        assert len(outcome.of(PhotoUploaded)) == 40
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
        assert box.finishing_peak <= 2
        assert not box.gallery.buffers
        for number, photo in box.gallery.photos.items():
            assert hashlib.md5(box.gallery.content(number)).hexdigest() == photo.md5


@pytest.mark.parametrize("known", [False, True])
async def test_the_place_of_a_lost_hand_is_kept_until_the_server_has_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr("bulkup.cluster.remote.UNKNOWN_S", 2.0)
    monkeypatch.setattr("bulkup.cluster.coordinator.GONE_S", 1.5)
    monkeypatch.setattr("bulkup.cluster.worker.BEAT_S", 0.05)
    archive = make_archive(tmp_path, count=8, names=8, size=(300, 4000))
    async with (
        Sandbox(finish_s=0.3, detect_duplicates=False) as box,
        gallery(box) as (server, recovery),
        office(2, url=box.url) as executor,
        anyio.create_task_group() as tasks,
    ):

        async def kill() -> None:
            while not box.workers.finishing or len(box.gallery.photos) < (4 if known else 1):
                await anyio.lowlevel.checkpoint()
            (link,) = (
                link
                for link in executor.coordinator._links
                if any(call.finishing for call in link.calls.values())
            )
            executor.scopes[int(link.worker.removeprefix("hand "))].cancel()

        tasks.start_soon(kill)
        outcome = await run(
            tmp_path, server=server, recovery=recovery, executor=executor, finishing=1
        )
        assert outcome.balances()
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
        assert box.finishing_peak == 1


async def test_a_server_that_hangs_over_a_finish_is_waited_for_by_all_and_gets_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = partial(Timeouts, finish_s=0.4)
    monkeypatch.setattr("bulkup.piwigo.connect.Timeouts", quick)
    archive = make_archive(tmp_path, count=30, names=10, size=(300, 4000))
    faults = Faults([Fault("slow", UPLOAD, nth, slow_s=1.2) for nth in (5, 6)])
    async with Sandbox(faults=faults) as box, gallery(box) as (server, recovery):
        async with office(2, url=box.url) as executor:
            outcome = await run(
                tmp_path, server=server, recovery=recovery, executor=executor, finishing=2
            )
        assert faults.hit == 2
        assert len(outcome.of(PhotoUploaded)) == 30
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)


async def test_a_hand_that_alone_can_not_reach_the_gallery_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.cluster.coordinator.GONE_S", 1.5)
    monkeypatch.setattr("bulkup.cluster.worker.BEAT_S", 0.05)
    archive = make_archive(tmp_path, count=40, names=20, size=(3000, 20_000))
    faults = Coming(30)
    async with (
        Sandbox(faults=faults, finish_s=0.02) as box,
        gallery(box) as (server, recovery),
        office(0, url=box.url, patience_s=0.1) as executor,
    ):
        port = urlsplit(box.url).port or 0
        line = Line(port)
        await line.carry(executor.tasks)
        monkeypatch.setenv("BULKUP_WORKER_URL", box.url.replace(str(port), str(line.port)))
        await executor.executor_factory()
        monkeypatch.delenv("BULKUP_WORKER_URL")
        await executor.executor_factory()

        async def cut() -> None:
            await faults.came.wait()
            line.scope.cancel()

        executor.tasks.start_soon(cut)
        outcome = await run(
            tmp_path, server=server, recovery=recovery, executor=executor, finishing=2
        )
        assert outcome.balances()
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
        assert executor.ended[0].is_set()


async def test_the_limit_is_shared_by_those_who_are_there() -> None:
    limit: list[int | None] = [90_000]
    async with Sandbox() as box, office(3, url=box.url, limit=lambda: limit[0]) as executor:

        async def until(*shares: int | None) -> None:
            with anyio.fail_after(5):
                while tuple(hand._share for hand in executor.executor) != shares:
                    executor.coordinator.tick()
                    await anyio.lowlevel.checkpoint()

        await until(30_000, 30_000, 30_000)
        executor.executor.pop()._farewell.set()
        await until(45_000, 45_000)
        limit[0] = None
        await until(None, None)


async def test_who_has_nothing_to_send_has_no_part_of_the_limit(tmp_path: Path) -> None:
    make_archive(tmp_path, count=1, names=1, size=(3000, 4000))
    faults = Coming(1, plan=[Fault("slow", UPLOAD, 1, slow_s=0.5)])
    async with (
        Sandbox(faults=faults) as box,
        gallery(box) as (server, recovery),
        office(3, url=box.url, limit=lambda: 90_000) as executor,
        anyio.create_task_group() as tasks,
    ):
        shares: list[int | None] = []

        async def look() -> None:
            await faults.came.wait()
            (sender,) = (link.worker for link in executor.coordinator._links if link.sends)
            shares.append(executor.executor[int(sender.removeprefix("hand "))]._share)

        tasks.start_soon(look)
        await run(tmp_path, server=server, recovery=recovery, executor=executor, finishing=1)
    assert shares == [90_000]


async def test_the_first_hand_alone_does_not_bound_what_many_may_finish_at_once(
    tmp_path: Path,
) -> None:
    make_archive(tmp_path, count=3, names=3, size=(300, 400))
    memory = NoLedger()
    await memory.learn(Fact.WORKERS, 12)
    async with (
        Sandbox(workers=12) as box,
        gallery(box) as (server, recovery),
        office(1, url=box.url) as executor,
    ):
        outcome = await run(
            tmp_path,
            server=server,
            recovery=recovery,
            executor=executor,
            finishing=None,
            memory=memory,
        )
    assert max(event.most_finishing for event in outcome.of(LimitsChanged)) == 10


async def test_nobody_gets_in_without_the_word_of_the_run() -> None:
    async with office(0, url="") as executor:
        for hello in (
            b'{"kind": "hello", "token": "x", "version": "0", "worker": "w"}\n',
            b'{"kind": "take", "ask": 1}\n',
        ):
            async with await anyio.connect_tcp("127.0.0.1", executor.port) as stream:
                await stream.send(hello)
                assert b"refused" in await stream.receive()
        for rubbish in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xff\xfe\n",
            b"[" * 200_000 + b"\n",
            b'{"kind": "answer"}\n',
            b'{"kind": "answer", "to": []}\n',
            b'{"kind": ["hello"]}\n',
            '{"kind": "hello", "token": "\u00e9", "version": "0", "worker": "w"}\n'.encode(),
        ):
            async with await anyio.connect_tcp("127.0.0.1", executor.port) as stream:
                await stream.send(rubbish + b"that is all\n")
                with anyio.fail_after(5), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while True:
                        assert b"welcome" not in await stream.receive()


def test_secrets_go_to_nobody_who_is_not_trusted() -> None:
    told = settings_message(run_settings(), trusted=True, ca_cert="")
    assert (told["user"], told["password"]) == ("admin", "secret")
    assert "secret" not in str(settings_message(run_settings(), trusted=False, ca_cert=""))


async def test_a_lease_begins_with_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as box, office(0, url=box.url) as executor:
        init = Worker.__init__

        def long_ago(self: Worker, *, name: str, token: str) -> None:
            init(self, name=name, token=token)
            self._heard_at -= 3600.0

        monkeypatch.setattr(Worker, "__init__", long_ago)
        with anyio.fail_after(5):
            await executor.executor_factory()
        assert executor.coordinator.attended
