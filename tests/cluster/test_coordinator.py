"""Workers at one coordinator, in one process and without Dask: who may send what, and when.

Their clock is the test's: nobody is taken for lost because the machine is slow.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskGroup, TaskStatus

from bulkup.app.executor import RunSettings
from bulkup.app.settings import Account, AlbumTarget, UploadSettings
from bulkup.cluster.coordinator import Connection, Coordinator, settings_message
from bulkup.cluster.protocol import GONE_S, PathMap
from bulkup.cluster.queue import Call
from bulkup.cluster.worker import Worker
from bulkup.engine import pipeline
from bulkup.engine.albums import Albums, FolderAlbums
from bulkup.engine.executor import _unheard
from bulkup.engine.ports import Fact, Job, NoLedger, RunContext, Stop, UploadContext
from bulkup.engine.retry import Policy, Recovery
from bulkup.events import Emit, LimitsChanged, PhotoUploaded
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.connect import connect
from bulkup.piwigo.session import Timeouts
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.source.metadata import Labels
from bulkup.source.photos import Photo
from tests.support.faults import HookedFaults
from tests.support.lines import Line
from tests.support.runs import ADMIN, Outcome, chunk_size_of, make_archive, stored_sums

MAPS = PathMap()
POLICY = Policy(ask_s=0.5)
UPLOAD = "pwg.images.uploadAsync"
KINDS: tuple[Kind, ...] = (
    *("request-lost", "answer-lost", "cut", "expired-session", "damaged"),
    *("502", "504-after"),
)
LOOK_S = 0.005
STEP_S = 2.0
"""Time passes so far at once: less than a worker's lease."""

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


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in this process."""
    while not condition():  # noqa: ASYNC110 (nobody tells of it)
        await anyio.sleep(LOOK_S)


class Clock:
    """The time of the coordinator and its workers, and when those who sleep by it wake."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wakes: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        wake = self.now + seconds
        self.wakes.append(wake)
        await until(lambda: self.now >= wake)
        self.wakes.remove(wake)


@dataclass
class Member:
    """A worker, its line to the coordinator, and what ends it."""

    worker: Worker
    line: Line
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    coming: bool = False

    @property
    def alive(self) -> bool:
        return not (self.line.dead or self.worker._farewell.is_set() or self.ended.is_set())


@dataclass
class Team:
    """The executor of runs that bring photos to a sandbox: workers at a coordinator."""

    box: Sandbox
    server: PiwigoServer
    coordinator: Coordinator
    clock: Clock
    tasks: TaskGroup
    lines: AsyncExitStack
    port: int
    lead: int = 20
    members: list[Member] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recovery = Recovery(POLICY, emit=_unheard, probe=self.server.probe)
        self.recovery.others = self.coordinator

    @property
    def machines(self) -> int:
        return len(self.members)

    async def join(self) -> None:
        """Have one more worker come."""
        name = str(self.machines)
        line = await self.lines.enter_async_context(Line(self.port))
        member = Member(Worker(name=name, token=self.coordinator.token), line)
        ready = anyio.Event()

        async def work() -> None:
            with member.scope:
                stream = await anyio.connect_tcp("127.0.0.1", member.line.port)
                await member.worker.work(stream, ready=ready.set)
            member.ended.set()

        self.tasks.start_soon(work)
        await ready.wait()
        self.members.append(member)
        self.coordinator.workers = [*self.coordinator.workers, name]

    def of(self, link: Connection) -> Member:
        return self.members[int(link.worker)]

    async def attend(self) -> None:
        """Have each worker come for what there is, when it has begun all that it came for."""

        async def come(member: Member) -> None:
            await member.worker.turn()
            member.coming = False
            self.coordinator.stirred.set()

        while True:
            for number, member in enumerate(self.members):
                wanted = self.coordinator.wants(str(number)) and not member.ended.is_set()
                if wanted and not member.coming:
                    member.coming = True
                    self.tasks.start_soon(come, member)
            await self.coordinator.stirred.wait()
            self.coordinator.stirred = anyio.Event()

    async def pass_time(self, seconds: float = float("inf")) -> None:
        """Let time pass, as fast as those who live are heard."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += min(STEP_S, end - self.clock.now)
            await until(self._all_heard)

    def _all_heard(self) -> bool:
        now = self.clock.now
        return all(
            self.of(link).worker._heard_at == link.heard == now
            for link in self.coordinator._links
            if self.of(link).alive and not link.parting
        )

    async def run(
        self,
        archive: dict[Path, str],
        *,
        finishing: int | None,
        ledger: NoLedger | None = None,
    ) -> Outcome:
        """Bring an archive, and check that all of it is there once."""
        root = next(iter(archive)).parents[1]
        outcome = Outcome()
        albums = FolderAlbums(roots=[root], base=1, tree=False, unwrap=False, spaces=False)
        await pipeline.run(
            pipeline.Plan(
                roots=[root],
                folder_albums=albums,
                finishing=finishing,
                endings=self.server.offer.endings,
            ),
            RunContext(
                gallery=self.server,
                recovery=self.recovery,
                ledger=ledger or NoLedger(),
                emit=outcome.events.append,
                stop=Stop(),
                clock=time.monotonic,
            ),
            sender=self.server,
            census=self.server.census,
            albums=Albums(self.server, recovery=self.recovery, emit=_unheard),
            chunk_size=chunk_size_of(self.server),
            executor=self,
        )
        sums = set(archive.values())
        assert outcome.balances()
        assert stored_sums(self.box) == dict.fromkeys(sums, 1)
        assert len(outcome.of(PhotoUploaded)) == len(sums)
        assert finishing is None or self.box.finishing_peak <= finishing
        return outcome

    async def fingerprint(self, photo: Photo, *, emit: Emit = _unheard) -> tuple[Photo, str]:
        found: tuple[Photo, str] = await self.coordinator.have_done(Call(photo=photo, emit=emit))
        return found

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        call = Call(photo=job.photo, emit=context.emit, job=job, context=context)
        sent: tuple[Job, PhotoUploaded] = await self.coordinator.have_done(call)
        return sent

    def remarks(self) -> Iterable[tuple[str, str]]:
        return ()


@asynccontextmanager
async def team(
    workers: int,
    box: Sandbox,
    *,
    method: str = "async",
    limit: Callable[[], int | None] = lambda: None,
    patience_s: float = 3600.0,
) -> AsyncIterator[Team]:
    """Open a sandbox, and have workers come, which show often that they live and hardly wait."""
    clock = Clock()
    impatient = partial(Policy, ask_s=0.5, wait_s=0.02)
    async with (
        box,
        connect(box.url, credentials=ADMIN, method=method) as server,
        AsyncExitStack() as lines,
        anyio.create_task_group() as tasks,
    ):
        coordinator = Coordinator(
            run_settings(box.url, limit=limit, method=method, patience_s=patience_s),
            maps=MAPS,
            trusted=True,
            ca_cert="",
            tasks=tasks,
            emit=_unheard,
            stop=Stop(),
            clock=clock,
            sleep=clock.sleep,
        )
        port = await tasks.start(listen, coordinator.serve)
        opened = Team(box, server, coordinator, clock, tasks, lines, port)
        with (
            mock.patch.multiple("bulkup.cluster.worker", awake_s=clock, BEAT_S=LOOK_S),
            mock.patch("bulkup.app.gallery.Policy", impatient),
        ):
            for _ in range(workers):
                await opened.join()
            tasks.start_soon(opened.attend)
            yield opened
            tasks.cancel_scope.cancel()


def coming(nth: int, *plan: Fault, method: str = UPLOAD) -> tuple[HookedFaults, anyio.Event]:
    """Return faults, and what tells that the nth upload comes in."""
    came = anyio.Event()
    return HookedFaults(*plan, act=came.set, method=method, nth=nth), came


async def test_when_it_is_to_be_quiet_no_worker_sends_anything(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=40, names=20, size=(3000, 20_000))
    faults, came = coming(20)
    async with (
        team(3, Sandbox(faults=faults, finish_s=0.01)) as executor,
        anyio.create_task_group() as tasks,
    ):

        async def listen() -> None:
            await came.wait()
            async with executor.recovery.quiet():
                before = faults.count
                for _ in range(30):  # as a census does
                    await executor.server.probe()
                assert faults.count == before < 100

        tasks.start_soon(listen)
        await executor.run(archive, finishing=3)


@pytest.mark.parametrize(
    ("method", "silent"),
    [("async", True), ("async", False), ("upload", True), ("legacy", True), ("legacy", False)],
)
async def test_what_a_lost_worker_had_in_hand_goes_to_others_whatever_else_fails(
    tmp_path: Path, method: str, silent: bool
) -> None:
    archive = make_archive(tmp_path, count=30, names=10, size=(3000, 16_000))
    (sent := next(iter(archive))).with_name("twin.jpg").write_bytes(sent.read_bytes())
    asked = METHODS[method]
    plan = [Fault(kind, asked, 7 + 7 * nth) for nth, kind in enumerate(KINDS)]
    faults, came = coming(30, *plan, method=asked)
    box = Sandbox(faults=faults, finish_s=0.05)
    async with team(3, box, method=method) as executor:
        lost = executor.members[0]

        async def lose() -> None:
            await came.wait()
            if silent:
                lost.line.dead = True
            else:
                lost.worker._farewell.set()
            await executor.pass_time()

        executor.tasks.start_soon(lose)
        await executor.run(archive, finishing=2)
        await lost.ended.wait()
    assert faults.hit == len(plan)
    assert not box.gallery.buffers
    for number, photo in box.gallery.photos.items():
        assert hashlib.md5(box.gallery.content(number)).hexdigest() == photo.md5


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


@pytest.mark.parametrize(("longest_s", "kept_s"), [(None, 20.0), (0.2, 1.0), (4.0, 12.0)])
async def test_the_slot_of_a_lost_worker_is_kept_until_the_server_has_done(
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
                await until(lambda: len(box.gallery.photos) == 2)
            (link,) = (
                link
                for link in executor.coordinator._links
                if any(call.finishing for call in link.calls.values())
            )
            executor.of(link).scope.cancel()
            await until(lambda: executor.clock.now + kept_s in executor.clock.wakes)
            await executor.pass_time(kept_s - 0.1)
            assert box.workers.finishing == box.finishing_peak == 1
            finishes.let(4)
            await until(lambda: not box.workers.finishing)
            await executor.pass_time()

        executor.tasks.start_soon(lose)
        await executor.run(archive, finishing=1)


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
    faults, came = coming(30)
    box = Sandbox(faults=faults)  # no finish outlasts the short patience
    async with team(0, box, patience_s=0.1) as executor:
        port = urlsplit(box.url).port or 0
        line = await executor.lines.enter_async_context(Line(port))
        monkeypatch.setenv("BULKUP_WORKER_URL", box.url.replace(str(port), str(line.port)))
        await executor.join()
        monkeypatch.delenv("BULKUP_WORKER_URL")
        await executor.join()

        async def cut() -> None:
            await came.wait()
            await line.cut()
            await executor.pass_time()

        executor.tasks.start_soon(cut)
        await executor.run(archive, finishing=2)
        assert executor.members[0].ended.is_set()


async def test_the_limit_is_shared_by_those_who_are_there() -> None:
    limit: list[int | None] = [90_000]
    async with team(3, Sandbox(), limit=lambda: limit[0]) as executor:

        async def shares_are(*shares: int | None) -> None:
            def same() -> bool:
                executor.coordinator.tick()
                return tuple(member.worker._share for member in executor.members) == shares

            await until(same)

        await shares_are(30_000, 30_000, 30_000)
        executor.members.pop().worker._farewell.set()
        await shares_are(45_000, 45_000)
        limit[0] = None
        await shares_are(None, None)


async def test_who_has_nothing_to_send_has_no_part_of_the_limit(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=1, names=1, size=(3000, 4000))
    box = Sandbox()
    finishes = HeldFinishes(box)
    async with team(3, box, limit=lambda: 90_000) as executor:

        async def look() -> None:
            await until(lambda: finishes.begun)
            (sender,) = (link for link in executor.coordinator._links if link.sends)
            assert executor.of(sender).worker._share == 90_000
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


async def test_nobody_gets_in_without_the_token_of_the_run() -> None:
    async with team(0, Sandbox()) as executor:
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
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while True:
                        assert b"welcome" not in await stream.receive()


def test_secrets_go_to_nobody_who_is_not_trusted() -> None:
    told = settings_message(run_settings(), trusted=True, ca_cert="")
    assert (told["user"], told["password"]) == ("admin", "secret")
    assert "secret" not in str(settings_message(run_settings(), trusted=False, ca_cert=""))


async def test_a_lease_begins_with_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with team(0, Sandbox()) as executor:
        init = Worker.__init__

        def long_ago(self: Worker, *, name: str, token: str) -> None:
            init(self, name=name, token=token)
            self._heard_at -= 3600.0

        monkeypatch.setattr(Worker, "__init__", long_ago)
        await executor.join()
        await executor.pass_time(2 * GONE_S)
        assert executor.coordinator.attended
