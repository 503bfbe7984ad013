"""The coordinator's side of a run: sends batches to workers and handles their outcomes.

Each photo is assigned to one worker at a time. The photos of a lost worker are queued again when
it can't be sending any more, and the server is asked for their MD5s before they are sent again.
"""

import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import anyio
from anyio import CancelScope, to_thread
from anyio.abc import TaskGroup
from distributed.client import ClosedClientError

from bulkup import __version__
from bulkup.app.executor import ExecutorFactory, RunSettings, no_limit
from bulkup.cluster.messages import GONE_S, Invitation, Order, Outcome, PathMap, local_zone
from bulkup.cluster.queue import Call, WorkQueue
from bulkup.cluster.scheduler import BatchLost, Cluster, ClusterAddress, open_cluster
from bulkup.cluster.worker import join, leave
from bulkup.engine.executor import NotStarted, Stopping, discard
from bulkup.engine.ports import Job, UploadContext
from bulkup.engine.retry import Recovery, Sleep
from bulkup.errors import BulkupError, PhotoError, RunError, one_error
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.events import (
    Emit,
    Event,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoHashing,
    PhotoStarted,
    PhotoUploaded,
)
from bulkup.source.photos import Photo

LEAD: Final = 100
LEAST_LEAD: Final = 1000
MOST_LEAD: Final = 4000
"""Photos that wait, to form batches from: per worker, and at least and at most in total."""

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

LONGER: Final = 3.0
LEAST_S: Final = 1.0
UNKNOWN_S: Final = 20.0
"""A finish of a lost worker is over after 3 times the longest finish of the run, at least 1 s;
20 s if there was none."""


class _WorkerLost(Exception):
    """The result of a try to finish a photo is unknown."""


@dataclass(eq=False, slots=True)
class _Try:
    """A worker's try to finish a photo: waits for a slot, and is `over` after its result.

    `ask` is the number of the worker's request to answer then. If the try was `granted` a slot,
    the slot is `free` again once the server can't be working on the photo any more.
    """

    over: anyio.Event = field(default_factory=anyio.Event)
    free: anyio.Event = field(default_factory=anyio.Event)
    granted: bool = False
    error: Exception | None = None
    ask: int = 0

    def end(self, error: Exception | None = None, *, ask: int = 0) -> None:
        if not self.over.is_set():
            self.error, self.ask = error, ask
            self.over.set()

    async def result(self) -> None:
        await self.over.wait()
        if self.error is not None:
            raise self.error


@dataclass(eq=False, slots=True)
class Member:
    """A worker in the run: its address, its topic, its calls, and its tries to finish photos.

    `last_message_at` is when its last message arrived. `waiting` counts the calls not begun, to
    fingerprint and to upload. `beat_at` is the time of the worker's last heartbeat, by its own
    clock.
    """

    address: str
    topic: str
    last_message_at: float
    beat_at: float = 0.0
    calls: dict[int, Call] = field(default_factory=dict)
    tries: dict[int, _Try] = field(default_factory=dict)
    outbox: list[tuple[object, ...]] = field(default_factory=list)
    waiting: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    outage_at: float | None = None
    remarks: Sequence[tuple[str, str]] = ()

    def begin(self, call: Call) -> None:
        """Count a call as begun."""
        if not call.begun:
            call.begun = True
            self.waiting[call.job is not None] -= 1


class Coordinator:
    """The `Executor` that fingerprints and uploads photos on the workers of a cluster."""

    def __init__(
        self,
        cluster: Cluster,
        run_settings: RunSettings,
        *,
        maps: PathMap,
        tasks: TaskGroup,
        recovery: Recovery,
        emit: Emit,
        stop: Stopping,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        self.machines = 1
        self.members: dict[str, Member] = {}
        self._cluster = cluster
        self._settings = run_settings
        self._run = f"bulkup-{uuid.uuid4().hex}"
        self._maps = maps
        self._tasks = tasks
        self._recovery = recovery
        self._emit = emit
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._queue = WorkQueue()
        self._open_calls: set[Call] = set()
        self._workers: set[str] = set()
        self._joining: set[str] = set()
        self._unfit: dict[str, tuple[float, str]] = {}
        self._failed_joins: Counter[str] = Counter()
        self._closing = False
        self._holds = 0
        self._sent_state: tuple[object, ...] = ()
        self._failure: BulkupError | None = None
        self._had_workers_at = 0.0
        self._longest_s = 0.0
        self._notices: set[str] = set()
        self._remarks: dict[str, str] = {}
        self._changed = anyio.Event()
        self._outgoing = anyio.Event()

    @property
    def lead(self) -> int:
        """How many photos should wait for the workers, and for those that join later."""
        return min(MOST_LEAD, max(LEAST_LEAD, LEAD * self.machines))

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
        self._recovery.others = self
        self._tasks.start_soon(self._dispatch)
        self._tasks.start_soon(self._send_outboxes)

    async def close(self) -> None:
        """Log out all workers and disconnect."""
        self._closing = True
        with anyio.move_on_after(LEAVE_S), suppress(Exception):
            async with anyio.create_task_group() as tasks:
                for member in self.members.values():
                    tasks.start_soon(self._cluster.run_on, member.address, leave, self._run)
        await self._cluster.close()

    async def fingerprint(self, photo: Photo, *, emit: Emit = discard) -> tuple[Photo, str]:
        """Fingerprint a photo on a worker."""
        found: tuple[Photo, str] = await self._do(Call(photo=photo, emit=emit))
        return found

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Upload a photo from a worker."""
        call = Call(photo=job.photo, emit=context.emit, job=job, context=context)
        sent: tuple[Job, PhotoUploaded] = await self._do(call)
        return sent

    async def _do(self, call: Call) -> Any:  # noqa: ANN401 (depends on the call)
        self._open_calls.add(call)
        self._add(call)
        try:
            return await call.result()
        finally:
            self._open_calls.discard(call)

    def _add(self, call: Call, *, first: bool = False) -> None:
        """Queue a call, unless the run is ending."""
        if self._failure is not None or self._stop.wanted:
            call.end(error=self._failure or NotStarted("the run is ending"))
        call.begun = False
        self._queue.add(call, first=first)
        self._changed.set()

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return the workers' remarks at the end of the run, each once."""
        remarks = dict(self._remarks)
        for member in self.members.values():
            remarks |= dict(member.remarks)
        return remarks.items()

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

    async def _dispatch(self) -> None:
        """Send batches to workers that have begun most of their calls, until cancelled."""
        self._had_workers_at = self._clock()
        self._tasks.start_soon(self._poll)
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            for member in self.members.values():
                for uploads in (False, True):
                    if member.waiting[uploads] <= self._settings.concurrency:
                        self._send_batch(member, uploads=uploads)

    async def _poll(self) -> None:
        """Poll for new and lost workers, the bandwidth limit, and a stop, until closed."""
        looked = float("-inf")
        while not self._closing:
            if self._clock() - looked >= LOOK_S:
                await self._check_workers()
                looked = self._clock()
                self._changed.set()
            if self._stop.wanted:
                for call in self._queue:
                    call.end(error=NotStarted("the run is ending"))
            if self._state() != self._sent_state:
                self._send_state(*self.members.values())
            await anyio.sleep(TICK_S)

    async def _check_workers(self) -> None:
        """Find lost and new workers; fail the run if none is left."""
        there = await self._cluster.workers()
        if self._closing:
            return
        now = self._clock()
        for member in list(self.members.values()):
            if now - member.last_message_at > GONE_S or not (
                there is None or member.address in there
            ):
                self._drop(member)
        if there is not None:
            unfit = {worker for worker, (since, _) in self._unfit.items() if now - since < UNFIT_S}
            self._workers = set(there) - unfit
            self._fail_unseen()
            known = {member.address for member in self.members.values()} | self._joining
            for address in self._workers - known:
                self._joining.add(address)
                self._tasks.start_soon(self._join, address)
        if self.members or not self._open_calls:
            self._had_workers_at = now
        elif there and not self._joining:  # all of them are unfit
            _, reason = self._unfit[there[-1]]
            self._fail(RunError(run_failures.CLUSTER_UNFIT(reason=f"{there[-1]}: {reason}")))
        elif now - self._had_workers_at > (JOIN_S if self._joining else AWAY_S):
            what = "has no workers" if there is not None else "does not answer"
            self._fail(
                RunError(
                    run_failures.CLUSTER_GONE(
                        address=self._cluster.address, what=f"{what} any more"
                    )
                )
            )

    def _fail(self, error: RunError) -> None:
        """End all calls, now and from now on, with an error."""
        self._failure = error
        for call in self._open_calls:
            call.end(error=error)

    async def _join(self, address: str) -> None:
        """Add a worker to the run, or record why it can't take part."""
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
            self.members[topic] = Member(address, topic, last_message_at=self._clock())
            self._send_state(self.members[topic])
            self._changed.set()
        else:
            self._unfit[address] = (self._clock(), reason)
            self._workers.discard(address)
            message = f"worker {address} can't take part: {reason}"
            self._emit(Noticed(message=message, hint="The other workers continue without it."))

    def _invitation(self, worker: str) -> Invitation:
        """Return the invitation for a worker, without secrets over an unencrypted network."""
        account, trusted = self._settings.account, self._cluster.trusts(worker)
        ca_cert = account.ca_cert.read_text("utf-8") if account.ca_cert else ""
        account = replace(account, ca_cert=None, cautions=())
        if not trusted:
            account = replace(account, password="", api_key="")
        return Invitation(
            run=self._run,
            version=__version__,
            topic=self._cluster.topic,
            settings=replace(self._settings, account=account, limit=no_limit),
            trusted=trusted,
            ca_cert=ca_cert,
            zone=local_zone(),
        )

    def _send_batch(self, member: Member, *, uploads: bool) -> None:
        """Send a worker a batch, if there is one for it."""
        least = self._settings.concurrency
        batch = self._queue.take(member.address, self._workers, uploads=uploads, least=least)
        if batch:
            member.calls |= {call.number: call for call in batch}
            member.waiting[uploads] += len(batch)
            self._tasks.start_soon(self._do_batch, member, batch)

    async def _do_batch(self, member: Member, batch: Sequence[Call]) -> None:
        orders = [self._order(call) for call in batch]
        try:
            outcomes = await self._cluster.do_batch(member.address, self._run, orders)
        except BatchLost:
            self._drop(member)
        else:
            for outcome in outcomes:  # most have already arrived as messages
                self._accept(member, outcome)

    def _order(self, call: Call) -> Order:
        job, context = call.job, call.context
        fields: dict[str, str | int | None] = {}
        if job is not None and context is not None:
            names = ("md5", "album", "replaces", "format_of")
            fields = {name: getattr(job, name) for name in names}
            fields["level"] = context.level if job.level is None else job.level
        return Order(
            number=call.number,
            path=self._maps.there(call.photo.path),
            size=call.photo.size,
            mtime_ns=call.photo.mtime_ns,
            folder=call.photo.path.absolute().parent.name,
            job=fields,
            changed=call.changed,
            lost=call.lost,
        )

    def _state(self) -> tuple[object, ...]:
        """Return the state of the run for workers: bandwidth share, hold, stop."""
        limit, members = self._settings.limit(), self.members.values()
        senders = sum(any(call.job for call in member.calls.values()) for member in members)
        share = None if limit is None else max(1, limit // max(1, senders or len(members)))
        return share, self._holds > 0, self._stop.wanted

    def _send_state(self, *members: Member) -> None:
        """Send workers the state of the run."""
        self._sent_state = self._state()
        for member in members:
            self._post(member, "state", member.beat_at, *self._sent_state)

    def _post(self, member: Member, *item: object) -> None:
        member.outbox.append(item)
        self._outgoing.set()

    async def _send_outboxes(self) -> None:
        """Send what is in the outboxes, in order, until cancelled."""
        while True:
            await self._outgoing.wait()
            self._outgoing = anyio.Event()
            async with anyio.create_task_group() as tasks:
                for member in self.members.values():
                    if member.outbox:
                        tasks.start_soon(self._send_outbox, member)

    async def _send_outbox(self, member: Member) -> None:
        """Send what is in an outbox; what may have been lost is sent again a little later."""
        items, member.outbox = member.outbox, []
        if not await self._cluster.publish(member.topic, items):
            member.outbox[:0] = items
            await anyio.sleep(TICK_S)
            self._outgoing.set()

    def _receive(self, message: tuple[str, list[Any]]) -> None:
        """Handle the messages of a worker."""
        topic, items = message
        if (member := self.members.get(topic)) is None:
            return
        member.last_message_at = self._clock()
        for item in items:
            if topic not in self.members:
                return  # an item before this one has shown that the worker is lost
            match item:
                case "beat", beat_at:
                    member.beat_at = beat_at
                    self._send_state(member)
                case "remarks", remarks:
                    member.remarks = remarks
                case "event", None, event:
                    self._accept_event(member, event)
                case "event", number, event if call := member.calls.get(number):
                    if isinstance(event, PhotoStarted | PhotoHashing):
                        member.begin(call)
                    has_path = hasattr(event, "path")
                    call.emit(replace(event, path=call.photo.path) if has_path else event)
                case "outcome", outcome:
                    self._accept(member, outcome)
                case "leave", number if number in member.tries:
                    member.tries.pop(number).end()
                case "ask", ask, "fail", number, error if number in member.tries:
                    member.tries.pop(number).end(error, ask=ask)
                case "ask", ask, "enter", number, content, md5 if call := member.calls.get(number):
                    call.take_content(content, md5)
                    member.tries[number] = _Try()
                    self._tasks.start_soon(
                        self._grant_slot, member, call, member.tries[number], ask
                    )
                case "ask", ask, "ledger", number, *update if call := member.calls.get(number):
                    self._tasks.start_soon(self._update_ledger, member, call, ask, *update)
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

    def _accept(self, member: Member, outcome: Outcome) -> None:
        """Accept an outcome, unless the worker was lost; it may arrive twice."""
        call = member.calls.get(outcome.number)
        if call is None or member.topic not in self.members:
            return
        if isinstance(outcome.error, RunError) and len(self.members) > 1:
            self._drop(member)  # perhaps only its own connection or account has failed
            return
        member.begin(call)
        del member.calls[call.number]
        if failed := member.tries.pop(call.number, None):
            failed.end()
        if outcome.unseen:
            self._queue.unseen(call, member.address, outcome.unseen)
            self._tasks.start_soon(self._requeue_unseen, call)
            return
        if not isinstance(outcome.error, NotStarted):
            self._queue.seen(call, member.address)
        if call.context is not None:
            call.context.doubtful.update(outcome.doubtful)
        if outcome.error is not None:
            call.end(error=outcome.error)
            return
        call.take_content(outcome.content, outcome.md5)
        if call.job is None:
            call.end((call.photo, outcome.md5))
        elif outcome.event is not None:
            path, albums = call.photo.path, call.job.all_albums
            call.end((call.job, replace(outcome.event, path=path, albums=albums)))

    async def _update_ledger(
        self, member: Member, call: Call, ask: int, method: str, *values: object
    ) -> None:
        if call.context is not None:
            await getattr(call.context.ledger, method)(*values)
        self._post(member, "answer", ask, None)

    async def _requeue_unseen(self, call: Call) -> None:
        """Queue an unseen photo again for another worker, or fail it if none sees it."""
        try:
            now = await to_thread.run_sync(call.photo.path.stat)
        except OSError as error:
            call.end(error=PhotoError(local_failures.UNREADABLE(reason=error.strerror)))
            return
        photo = replace(call.photo, size=now.st_size, mtime_ns=now.st_mtime_ns)
        if photo != call.photo:
            call.photo, call.changed = photo, True
            call.unseen.clear()
        self._add(call, first=True)
        self._fail_unseen()

    def _fail_unseen(self) -> None:
        """Fail the photos that no worker sees."""
        for call in self._queue:
            if self._workers and self._workers <= call.unseen.keys():
                reason = next(reversed(call.unseen.values()))
                call.end(error=PhotoError(local_failures.NO_WORKER(reason=reason)))

    def _drop(self, member: Member) -> None:
        """Give up a worker; its photos are queued again later."""
        if self.members.pop(member.topic, None) is None:
            return
        self._end_outage(member)
        self._remarks |= dict(member.remarks)
        for tried in member.tries.values():
            tried.end(_WorkerLost())
        self._tasks.start_soon(self._recover, member)

    async def _recover(self, member: Member) -> None:
        """Queue the photos of a lost worker again, once it can't be sending any more."""
        await self._sleep(max(0.0, member.last_message_at + GONE_S - self._clock()))
        calls = dict(member.calls)
        for number, tried in member.tries.items():
            if tried.granted and (call := calls.pop(number, None)):
                self._tasks.start_soon(self._recover_finish, call, tried)
        await self._requeue(list(calls.values()))

    async def _recover_finish(self, call: Call, tried: _Try) -> None:
        """Queue a photo again that may have been finished, once the server is done with it."""
        await tried.free.wait()
        await self._requeue([call])

    async def _requeue(self, calls: Sequence[Call]) -> None:
        """Queue photos of a lost worker again; the next one asks for those that may be there."""
        context = next((call.context for call in calls if call.context), None)
        found: Mapping[str, int | None] = {}
        if context is not None:
            with suppress(BulkupError):
                md5s = {call.job.md5 for call in calls if call.job}
                found = await self._recovery.run(lambda: context.gallery.find(md5s))
        for call in reversed(calls):
            arrived = call.job is not None and found.get(call.job.md5) is not None
            call.lost = call.finishing or arrived
            self._add(call, first=True)

    async def _grant_slot(self, member: Member, call: Call, tried: _Try, ask: int) -> None:
        """Allow a worker to try to finish a photo once there is a slot, and measure it."""
        if (context := call.context) is None:
            return
        try:
            await self._measure(member, call, tried, ask, context)
        finally:
            tried.free.set()

    async def _measure(
        self, member: Member, call: Call, tried: _Try, ask: int, context: UploadContext
    ) -> None:
        async with context.limiter.slot() as slot:
            if tried.over.is_set():  # the worker was lost meanwhile
                return
            call.finishing = tried.granted = True
            self._post(member, "answer", ask, None)
            began, error = self._clock(), None
            try:
                await slot.measure(tried.result)
            except _WorkerLost:
                await self._wait_out(call, context)
                return
            except RunError as failure:
                error = failure  # the server does not answer at all
            except BulkupError:
                error = None  # the worker already knows it
            self._longest_s = max(self._longest_s, self._clock() - began)
        if tried.ask:
            self._post(member, "answer", tried.ask, error)

    async def _wait_out(self, call: Call, context: UploadContext) -> None:
        """Wait until the server can no longer be working on a photo that was being finished.

        It may be until the photo can be found, and then for as long as a finish may take. A photo
        that is not found within the usual time never arrived.
        """
        if call.job is None:
            return
        md5 = call.job.md5
        for delay in self._recovery.policy.ask_delays(call.job.photo.size):
            await self._sleep(delay)
            with suppress(BulkupError):
                found = await self._recovery.run(lambda: context.gallery.find([md5]))
                if found.get(md5) is not None:
                    break
        await self._sleep(max(LEAST_S, LONGER * self._longest_s or UNKNOWN_S))


def executor_from(where: ClusterAddress) -> ExecutorFactory:
    """Return a factory of executors that use the workers of a cluster."""

    @asynccontextmanager
    async def executor_factory(
        run_settings: RunSettings, /, *, recovery: Recovery, emit: Emit, stop: Stopping
    ) -> AsyncIterator[Coordinator]:
        async with open_cluster(where) as cluster, one_error(), anyio.create_task_group() as tasks:
            coordinator = Coordinator(
                cluster,
                run_settings,
                maps=where.maps,
                tasks=tasks,
                recovery=recovery,
                emit=emit,
                stop=stop,
            )
            try:
                await coordinator.start()
                yield coordinator
            finally:
                with CancelScope(shield=True):
                    await coordinator.close()
            tasks.cancel_scope.cancel()

    return executor_factory
