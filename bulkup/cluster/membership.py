"""The workers of a run: which take part, and the messages from and to each of them."""

import asyncio
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup
from distributed.client import ClosedClientError

from bulkup import __version__
from bulkup.app.executor import RunSettings, no_limit, nothing_stated
from bulkup.cluster.messages import GONE_S, PEM_FILES, Invitation, local_zone
from bulkup.cluster.scheduler import Cluster
from bulkup.cluster.worker import join, leave
from bulkup.engine.executor import Stopping
from bulkup.engine.ports import Job, UploadContext
from bulkup.errors import RunError
from bulkup.errors import run as run_failures
from bulkup.events import Emit, Event, Noticed, OutageBegan, OutageEnded
from bulkup.source.photos import Photo

LOOK_S: Final = 1.0
"""How often the scheduler is asked for its workers."""

TICK_S: Final = 0.25
FIRST_S: Final = 30.0
"""How long to wait for the first worker …"""

AWAY_S: Final = 60.0
"""… and for a cluster that has lost its scheduler or its workers."""

JOIN_S: Final = 120.0
LEAVE_S: Final = 6.0
"""How long a worker may take to log in and out."""

MOST_FAILED_JOINS: Final = 3
"""Connections to a worker that fail in a row before it counts as one that can't take part."""

UNFIT_S: Final = 300.0
"""How long a worker that could not take part is not invited again, while there are others."""

_numbers = count(1)


@dataclass(eq=False, slots=True, kw_only=True)
class Call:
    """A photo to upload, or only to fingerprint if it has no job; `result` is set in the end.

    `unseen` maps workers to the reason why they can't read the file. `changed` and `lost` are as
    in `Order`. `finishing`: a worker was allowed to finish the photo. `aliases` are the temporary
    names under which workers tried that.
    """

    photo: Photo
    emit: Emit
    job: Job | None = None
    context: UploadContext | None = None
    number: int = field(default_factory=lambda: next(_numbers))
    result: "asyncio.Future[Any]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    unseen: dict[str, str] = field(default_factory=dict)
    changed: bool = False
    finishing: bool = False
    lost: bool = False
    aliases: set[str] = field(default_factory=set)

    def take_content(self, content: tuple[int, int] | None, md5: str) -> None:
        """Record the content that a worker found: its MD5, and size and time if it changed."""
        if content is not None:
            self.photo = replace(self.photo, size=content[0], mtime_ns=content[1])
        if self.job is not None:
            self.job = replace(self.job, photo=self.photo, md5=md5)

    def end(self, value: object = None, *, error: Exception | None = None) -> None:
        """Set the result, unless there is one."""
        if isinstance(error, RunError):  # several calls may end with the same one
            error = type(error)(error.failure)
        if not self.result.done():
            if error is None:
                self.result.set_result(value)
            else:
                self.result.set_exception(error)


@dataclass(eq=False, slots=True)
class Try:
    """A worker's try to finish a photo; `over` has its error, and the request to answer then.

    It waits for a slot until it is `granted` one.
    """

    over: "asyncio.Future[tuple[Exception | None, int]]"
    granted: bool = False

    def end(self, error: Exception | None = None, ask: int = 0) -> None:
        """End the try, unless it is over."""
        if not self.over.done():
            self.over.set_result((error, ask))

    async def result(self) -> None:
        """Wait for the end; raise the error."""
        error, _ = await self.over
        if error is not None:
            raise error


@dataclass(eq=False, slots=True, kw_only=True)
class Member:
    """A worker in the run: its address, its topic, its calls, and its tries to finish photos.

    `last_message_at` is when its last message arrived, `beat_at` the time of its last heartbeat,
    by its own clock. `open` counts its calls to fingerprint and to upload.
    """

    address: str
    topic: str
    tasks: TaskGroup
    last_message_at: float
    beat_at: float = 0.0
    calls: dict[int, Call] = field(default_factory=dict)
    tries: dict[int, Try] = field(default_factory=dict)
    open: Counter[bool] = field(default_factory=Counter)
    outbox: list[tuple[object, ...]] = field(default_factory=list)
    outgoing: anyio.Event = field(default_factory=anyio.Event)
    outage_at: float | None = None
    remarks: Sequence[tuple[str, str]] = ()

    def post(self, *item: object) -> None:
        """Send the worker a message."""
        self.outbox.append(item)
        self.outgoing.set()


class Membership(ABC):
    """Invites the workers of a cluster, notices lost ones, and exchanges messages with them."""

    def __init__(
        self,
        cluster: Cluster,
        run_settings: RunSettings,
        *,
        tasks: TaskGroup,
        emit: Emit,
        stop: Stopping,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.machines = 1
        self.members: dict[str, Member] = {}
        self._cluster = cluster
        self._settings = run_settings
        self._tasks = tasks
        self._emit = emit
        self._stop = stop
        self._clock = clock
        self._run = f"bulkup-{uuid.uuid4().hex}"
        self._workers: set[str] = set()
        self._joining: set[str] = set()
        self._unfit: dict[str, tuple[float, str]] = {}
        self._failed_joins: Counter[str] = Counter()
        self._closing = False
        self._holds = 0
        self._sent_state: tuple[object, ...] = ()
        self._had_workers_at = self._clock()
        self._notices: set[str] = set()
        self._remarks: dict[str, str] = {}
        self._changed = anyio.Event()

    @abstractmethod
    def _is_busy(self) -> bool:
        """Return whether there is anything to do for workers."""

    @abstractmethod
    def _take_item(self, member: Member, item: tuple[Any, ...]) -> None:
        """Handle a worker's message about a photo."""

    @abstractmethod
    def _recover(self, member: Member) -> None:
        """Have the photos of a lost worker done by others."""

    @abstractmethod
    def _look(self) -> None:
        """Do what is due at each look at the workers."""

    @abstractmethod
    def _fail(self, error: RunError) -> None:
        """End the run with an error: there are no workers."""

    async def start(self) -> None:
        """Wait for the first worker. Raises `RunError` where none comes."""
        if not self._cluster.trusts(self._cluster.address):
            self._emit(
                Noticed(
                    message="the Dask cluster is not encrypted: its workers get no password",
                    hint="Set BULKUP_PASSWORD in their environments, or give the cluster "
                    "certificates (tls://).",
                )
            )
        there = await self._cluster.workers()
        with anyio.move_on_after(FIRST_S):
            while not there:
                await anyio.sleep(LOOK_S / 4)
                there = await self._cluster.workers()
        if not there:
            raise RunError(run_failures.CLUSTER_EMPTY(address=self._cluster.address))
        self.machines = len(there)
        self._had_workers_at = self._clock()
        self._tasks.start_soon(self._poll)

    async def close(self) -> None:
        """Log out all workers and disconnect."""
        self._closing = True
        with anyio.move_on_after(LEAVE_S), suppress(Exception):
            async with anyio.create_task_group() as tasks:
                for member in self.members.values():
                    tasks.start_soon(self._cluster.run_on, member.address, leave, self._run)
        await self._cluster.close()

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return the workers' remarks at the end of the run, each once."""
        for member in self.members.values():
            self._remarks |= dict(member.remarks)
        return self._remarks.items()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep workers from starting requests while entered."""
        self._holds += 1
        self._send_state(*self.members.values())
        try:
            yield
        finally:
            self._holds -= 1
            self._send_state(*self.members.values())

    async def _poll(self) -> None:
        """Poll for new and lost workers, the bandwidth limit, and a stop, until closed."""
        looked = float("-inf")
        while not self._closing:
            if self._clock() - looked >= LOOK_S:
                await self._check_workers()
                looked = self._clock()
            self._look()
            if self._state() != self._sent_state:
                self._send_state(*self.members.values())
            self._changed.set()
            await anyio.sleep(TICK_S)

    async def _check_workers(self) -> None:
        """Find lost and new workers; fail the run if none is left."""
        there = await self._cluster.workers()
        if self._closing:
            return
        now = self._clock()
        for member in list(self.members.values()):
            silent = now - member.last_message_at > GONE_S
            if silent or not (there is None or member.address in there):
                self._drop(member)
        if there is not None:
            unfit = {worker for worker, (since, _) in self._unfit.items() if now - since < UNFIT_S}
            self._workers = set(there) - unfit
            known = {member.address for member in self.members.values()} | self._joining
            for address in self._workers - known:
                self._joining.add(address)
                self._tasks.start_soon(self._join, address)
        if self.members or not self._is_busy():
            self._had_workers_at = now
        elif there and not self._workers:
            _, reason = self._unfit[there[-1]]
            self._fail(RunError(run_failures.CLUSTER_UNFIT(reason=f"{there[-1]}: {reason}")))
        elif now - self._had_workers_at > (JOIN_S if self._joining else AWAY_S):
            what = "does not answer any more" if there is None else "has no workers any more"
            address = self._cluster.address
            self._fail(RunError(run_failures.CLUSTER_GONE(address=address, what=what)))

    async def _join(self, address: str) -> None:
        """Add a worker to the run until it is lost, or record why it can't take part."""
        topic, reason = "", f"it did not log in within {JOIN_S:.0f} s"
        try:
            self._cluster.listen(self._receive)
            invitation = await to_thread.run_sync(self._invitation, address)
            with anyio.move_on_after(JOIN_S):
                topic, reason = await self._cluster.run_on(address, join, invitation)
        except (OSError, ClosedClientError) as error:
            self._failed_joins[address] += 1
            if self._failed_joins[address] < MOST_FAILED_JOINS:
                return  # its connection may be back soon
            reason = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 (whatever fails on the worker)
            reason = f"{type(error).__name__}: {error}"
        finally:
            self._joining.discard(address)
        self._failed_joins.pop(address, None)
        if topic:
            await self._serve(address, topic)
        else:
            self._exclude(address, reason)

    def _exclude(self, address: str, reason: str) -> None:
        """Do not invite a worker for a while, and report why."""
        self._unfit[address] = (self._clock(), reason)
        self._workers.discard(address)
        message = f"worker {address} can't take part: {reason}"
        self._emit(Noticed(message=message, hint="The other workers continue without it."))

    def _invitation(self, worker: str) -> Invitation:
        """Return the invitation for a worker, without secrets over an unencrypted network."""
        account, trusted = self._settings.account, self._cluster.trusts(worker)
        if not trusted:
            account = account.without_secrets()
        files = {name: getattr(account, name) for name in PEM_FILES}
        account = replace(account, ca_cert=None, client_cert=None, client_key=None, cautions=())
        return Invitation(
            run=self._run,
            version=__version__,
            topic=self._cluster.topic,
            settings=replace(
                self._settings,
                account=account,
                limit=no_limit,
                stated=self._settings.stated and nothing_stated,
            ),
            trusted=trusted,
            files={name: file.read_text("utf-8") for name, file in files.items() if file},
            zone=local_zone(),
        )

    async def _serve(self, address: str, topic: str) -> None:
        """Send a worker its messages until it is lost; repeat those that may have got lost."""
        async with anyio.create_task_group() as tasks:
            member = Member(
                address=address, topic=topic, tasks=tasks, last_message_at=self._clock()
            )
            self.members[topic] = member
            self._send_state(member)
            self._changed.set()
            while True:
                await member.outgoing.wait()
                member.outgoing = anyio.Event()
                items, member.outbox = member.outbox, []
                if not await self._cluster.publish(topic, items):
                    member.outbox[:0] = items
                    await anyio.sleep(TICK_S)
                    member.outgoing.set()

    def _drop(self, member: Member) -> None:
        """Give up a worker: what it still sends no longer counts."""
        if self.members.pop(member.topic, None) is not None:
            self._end_outage(member)
            self._remarks |= dict(member.remarks)
            member.tasks.cancel_scope.cancel()
            self._recover(member)

    def _state(self) -> tuple[object, ...]:
        """Return the state of the run for workers: bandwidth share, hold, stop."""
        limit, members = self._settings.limit(), self.members.values()
        senders = sum(member.open[True] > 0 for member in members)
        share = None if limit is None else max(1, limit // max(1, senders or len(members)))
        return share, self._holds > 0, self._stop.wanted

    def _send_state(self, *members: Member) -> None:
        """Send workers the state of the run."""
        self._sent_state = self._state()
        for member in members:
            member.post("state", member.beat_at, *self._sent_state)

    def _receive(self, message: tuple[str, list[Any]]) -> None:
        """Handle the messages of a worker."""
        topic, items = message
        for item in items:
            if (member := self.members.get(topic)) is None:
                return  # perhaps an item before this one has shown that the worker is lost
            member.last_message_at = self._clock()
            match item:
                case "beat", beat_at:
                    member.beat_at = beat_at
                    self._send_state(member)
                case "remarks", remarks:
                    member.remarks = remarks
                case "event", None, event:
                    self._accept_event(member, event)
                case _:
                    self._take_item(member, item)
        self._changed.set()

    def _accept_event(self, member: Member, event: Event) -> None:
        """Emit an event about no photo; the outages of all workers are emitted as one."""
        match event:
            case OutageBegan():
                if all(other.outage_at is None for other in self.members.values()):
                    self._emit(event)
                member.outage_at = member.outage_at or self._clock()
            case OutageEnded():
                self._end_outage(member)
            case Noticed(message=message):
                if message not in self._notices:
                    self._notices.add(message)
                    self._emit(event)
            case _:
                self._emit(event)

    def _end_outage(self, member: Member) -> None:
        """End a worker's outage; emit the end unless another worker still has one."""
        began, member.outage_at = member.outage_at, None
        if began is not None and all(m.outage_at is None for m in self.members.values()):
            self._emit(OutageEnded(seconds=self._clock() - began))
