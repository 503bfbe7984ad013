"""The coordinator's side of a run: invites workers, sends them batches, handles their outcomes.

Each photo is assigned to one worker at a time. The photos of a lost worker are queued again when
it can't be sending any more, and the next worker asks the server for those that may be there.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Final

import anyio
from anyio import CancelScope, to_thread
from anyio.abc import TaskGroup
from distributed.client import ClosedClientError

from bulkup import __version__
from bulkup.app.executor import RunSettings, no_limit, nothing_stated
from bulkup.cluster.messages import (
    GONE_S,
    PEM_FILES,
    Invitation,
    Order,
    Outcome,
    PathMap,
)
from bulkup.cluster.queue import Call, WorkQueue, resolve
from bulkup.cluster.scheduler import BatchLost, Cluster, ClusterAddress, open_cluster
from bulkup.cluster.worker import join, leave
from bulkup.engine.context import Stop, UploadContext
from bulkup.engine.executor import LocalExecutor, NotStarted
from bulkup.engine.job import Job
from bulkup.engine.retry import Recovery, Sleep
from bulkup.errors import BulkupError, PhotoError, RunError, one_error
from bulkup.errors import local as local_failures
from bulkup.errors import run as run_failures
from bulkup.events import Emit, Event, Noticed, OutageBegan, OutageEnded, PhotoUploaded, discard
from bulkup.source.files import version
from bulkup.source.photos import Photo
from bulkup.source.zone import local_zone

LEAD: Final = 100
LEAST_LEAD: Final = 1000
MOST_LEAD: Final = 4000
"""Photos that wait, to form batches from: per worker, and at least and at most in total."""

LONGER: Final = 3.0
LEAST_S: Final = 1.0
UNKNOWN_S: Final = 20.0
"""A finish of a lost worker takes up to 3 times the longest finish of the run, at least 1 s;
20 s if there was none."""

LOOK_S: Final = 0.5
"""How often the scheduler is asked for its workers."""

FIRST_S: Final = 30.0
"""How long to wait for the first worker …"""

AWAY_S: Final = 60.0
"""… and for a cluster that has lost its scheduler or its workers."""

JOIN_S: Final = 120.0
LEAVE_S: Final = 6.0
"""How long a worker may take to log in and out."""

MOST_FAILED_JOINS: Final = 6
"""Connections to a worker that fail in a row before it counts as one that can't take part."""

UNFIT_S: Final = 300.0
"""How long a worker that could not take part is not invited again, while there are others."""


Try = asyncio.Future[tuple[Exception | None, int]]
"""A try to finish a photo: its error, or None, and the number of the request to answer then."""


class _WorkerLost(Exception):
    """The result of a try to finish a photo is unknown."""


@dataclass(eq=False, slots=True, kw_only=True)
class Member:
    """A worker in the run: its address, its topic and its calls.

    `tries` are those of its calls that it has a slot to finish.
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

    def post(self, *item: object) -> None:
        """Send the worker a message."""
        self.outbox.append(item)
        self.outgoing.set()


class Coordinator:
    """The `Executor` that fingerprints and uploads photos on the workers of a cluster."""

    readers: ClassVar[int] = LocalExecutor.readers

    def __init__(
        self,
        cluster: Cluster,
        run_settings: RunSettings,
        *,
        maps: PathMap,
        tasks: TaskGroup,
        recovery: Recovery,
        emit: Emit,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        self.machines = 1
        self.members: dict[str, Member] = {}
        self._cluster = cluster
        self._settings = run_settings
        self._maps = maps
        self._tasks = tasks
        self._recovery = recovery
        self._emit = emit
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._run = f"bulkup-{uuid.uuid4().hex}"
        self._queue = WorkQueue()
        self._open_calls: set[Call] = set()
        self._failure: RunError | None = None
        self._longest_s = 0.0
        self._workers: set[str] = set()
        self._joining: set[str] = set()
        self._unfit: dict[str, tuple[float, str]] = {}
        self._failed_joins: Counter[str] = Counter()
        self._closing = False
        self._holds = 0
        self._sent_state: tuple[object, ...] = ()
        self._had_workers_at = self._clock()
        self._notices: set[str] = set()
        self._remarks: dict[str, Sequence[tuple[str, str]]] = {}
        self._changed = anyio.Event()

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
                await anyio.sleep(LOOK_S)
                there = await self._cluster.workers()
        if not there:
            raise RunError(run_failures.CLUSTER_EMPTY(address=self._cluster.address))
        self.machines = len(there)
        self._had_workers_at = self._clock()
        self._recovery.others = self
        self._tasks.start_soon(self._poll)
        self._tasks.start_soon(self._dispatch)

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
        return dict(chain.from_iterable(self._remarks.values())).items()

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
            return await call.result
        finally:
            self._open_calls.discard(call)

    def _add(self, call: Call, *, first: bool = False) -> None:
        """Queue a call, unless the run is ending."""
        if self._failure is not None or self._stop.wanted:
            call.end(error=self._failure or NotStarted("the run is ending"))
        self._queue.add(call, first=first)
        self._changed.set()

    def _fail(self, error: RunError) -> None:
        """End all calls, now and from now on, with an error."""
        self._failure = error
        for call in self._open_calls:
            call.end(error=error)

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
        while not self._closing:
            await self._check_workers()
            self._end_calls()
            if self._state() != self._sent_state:
                self._send_state(*self.members.values())
            self._changed.set()
            await anyio.sleep(LOOK_S)

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
        if self.members or not self._open_calls:
            self._had_workers_at = now
        elif there and not self._workers:
            _, reason = self._unfit[there[-1]]
            self._fail(RunError(run_failures.CLUSTER_UNFIT(reason=f"{there[-1]}: {reason}")))
        elif now - self._had_workers_at > (JOIN_S if self._joining else AWAY_S):
            what = "does not answer any more" if there is None else "has no workers any more"
            address = self._cluster.address
            self._fail(RunError(run_failures.CLUSTER_GONE(address=address, what=what)))

    def _end_calls(self) -> None:
        """End the calls that nobody can or should do any more."""
        for call in self._queue if self._stop.wanted or self._queue.unseen_by else ():
            if self._stop.wanted:
                call.end(error=NotStarted("the run is ending"))
            elif call.unseen and self._workers and self._workers <= call.unseen.keys():
                reason = next(reversed(call.unseen.values()))
                call.end(error=PhotoError(local_failures.NO_WORKER(reason=reason)))

    async def _join(self, address: str) -> None:
        """Add a worker to the run until it is lost, or record why it can't take part."""
        topic, reason = "", f"it did not log in within {JOIN_S:.0f} s"
        try:
            self._cluster.listen(self._receive)
            invitation = await to_thread.run_sync(self._invitation, address)
            with anyio.move_on_after(JOIN_S):
                topic, reason = await self._cluster.run_on(address, join, invitation)
        except Exception as error:  # noqa: BLE001 (whatever fails on the worker)
            reason = f"{type(error).__name__}: {error}"
            if isinstance(error, OSError | ClosedClientError):
                self._failed_joins[address] += 1
                if self._failed_joins[address] < MOST_FAILED_JOINS:
                    return  # its connection may be back soon
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
                    await anyio.sleep(LOOK_S)
                    member.outgoing.set()

    def _drop(self, member: Member) -> None:
        """Give up a worker: what it still sends no longer counts, and others do its photos."""
        if self.members.pop(member.topic, None) is None:
            return
        self._end_outage(member)
        member.tasks.cancel_scope.cancel()
        calls, member.calls = member.calls, {}
        for number, over in member.tries.items():
            del calls[number]  # `_grant_slot` queues it again
            resolve(over, error=_WorkerLost())
        self._tasks.start_soon(self._requeue, member, list(calls.values()))

    async def _requeue(self, member: Member, calls: Sequence[Call]) -> None:
        """Queue photos of a lost worker again, once it can't be sending any more.

        The next worker asks the server for those that a worker was allowed to finish.
        """
        await self._sleep(max(0.0, member.last_message_at + GONE_S - self._clock()))
        for call in reversed(calls):
            if (job := call.job) is not None and call.context is not None:
                call.context.doubtful.update(dict.fromkeys(call.aliases, job.album))
            self._add(call, first=True)

    async def _wait_for_finish(self, member: Member, job: Job, context: UploadContext) -> None:
        """Wait until the server must have finished a photo of a lost worker, if it ever got it.

        A request may wait long for a PHP worker, but later ones wait behind it. So the time counts
        from the answer to a question that is asked when the worker can't be sending any more.
        """
        await self._sleep(max(0.0, member.last_message_at + GONE_S - self._clock()))
        with suppress(BulkupError):  # then the next worker will meet it too
            await self._recovery.run(lambda: context.gallery.find([job.md5]))
        # it may take until a photo can be found, and then as long as a finish may take
        usual_s = max(LEAST_S, LONGER * self._longest_s or UNKNOWN_S)
        await self._sleep(self._recovery.policy.ask_s_for(job.photo.size) + usual_s)

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
            self._handle(member, item)
        self._changed.set()

    def _handle(self, member: Member, item: tuple[Any, ...]) -> None:
        """Handle a message of a worker; one about a photo only if it has the photo."""
        match item:
            case "beat", beat_at:
                member.beat_at = beat_at
                self._send_state(member)
            case "event", None, event:
                self._accept_event(member, event)
            case "event", number, event if call := member.calls.get(number):
                has_path = hasattr(event, "path")
                call.emit(replace(event, path=call.photo.path) if has_path else event)
            case "outcome", outcome if call := member.calls.get(outcome.number):
                self._accept(member, call, outcome)
            case "enter", ask, number, content, md5, alias if call := member.calls.get(number):
                call.take_content(content, md5)
                self._tasks.start_soon(self._grant_slot, member, call, ask, alias)
            case "left", ask, number, error if number in member.tries:
                resolve(member.tries.pop(number), (error, ask))
            case "ledger", ask, number, *update if call := member.calls.get(number):
                self._tasks.start_soon(self._update_ledger, member, call, ask, *update)

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

    def _accept(self, member: Member, call: Call, outcome: Outcome) -> None:
        """Accept the outcome of a call."""
        self._remarks[member.topic] = outcome.remarks
        if isinstance(outcome.error, RunError) and len(self.members) > 1:
            # perhaps only its own connection or account has failed
            self._exclude(member.address, outcome.error.message)
            self._drop(member)
            return
        del member.calls[call.number]
        member.open[call.job is not None] -= 1
        if over := member.tries.pop(call.number, None):
            resolve(over, (None, 0))
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
            job = replace(call.job, written=outcome.written)
            call.end((job, replace(outcome.event, path=path, albums=albums)))

    async def _requeue_unseen(self, call: Call) -> None:
        """Queue an unseen photo again for another worker."""
        try:
            size, mtime_ns = await to_thread.run_sync(version, call.photo.path)
        except OSError as error:
            call.end(error=PhotoError(local_failures.UNREADABLE(reason=error.strerror)))
            return
        photo = replace(call.photo, size=size, mtime_ns=mtime_ns)
        if photo != call.photo:
            call.photo, call.changed = photo, True
            call.unseen.clear()
        self._add(call, first=True)

    async def _update_ledger(
        self, member: Member, call: Call, ask: int, method: str, *values: object
    ) -> None:
        if call.context is not None:
            await getattr(call.context.ledger, method)(*values)
        member.post("answer", ask, None)

    async def _grant_slot(self, member: Member, call: Call, ask: int, alias: str) -> None:
        """Allow a worker to try to finish a photo once there is a slot, and measure it.

        If the worker is lost meanwhile, the slot is kept until the server must have finished.
        """
        if (context := call.context) is None or (job := call.job) is None:
            return
        async with context.limiter.slot(job, alias=alias) as slot:
            if call.number not in member.calls:  # the worker was lost meanwhile
                return
            call.finishing = True
            over = member.tries[call.number] = asyncio.get_running_loop().create_future()

            async def result() -> None:
                if (error := (await over)[0]) is not None:
                    raise error

            if alias:
                call.aliases.add(alias)
            member.post("answer", ask, None)
            began, failure = self._clock(), None
            try:
                await slot.measure(result)
            except _WorkerLost:
                await self._wait_for_finish(member, call.job or job, context)
                self._tasks.start_soon(self._requeue, member, [call])
                return
            except RunError as error:
                failure = error  # the server does not answer at all
            except BulkupError:
                pass  # the worker already knows it
            self._longest_s = max(self._longest_s, self._clock() - began)
        if (asked := over.result()[1]) and member.topic in self.members:
            member.post("answer", asked, failure)

    async def _dispatch(self) -> None:
        """Send batches to workers that have begun most of their calls, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            for member in self.members.values():
                for uploads in (False, True):
                    self._send_batch(member, uploads=uploads)

    def _send_batch(self, member: Member, *, uploads: bool) -> None:
        """Send a worker a batch, if it needs one and there is one for it."""
        least = self._settings.concurrency
        if member.open[uploads] > 2 * least:
            return
        batch = self._queue.take(member.address, self._workers, uploads=uploads, least=least)
        if batch:
            member.calls |= {call.number: call for call in batch}
            member.open[uploads] += len(batch)
            member.tasks.start_soon(self._do_batch, member, batch)

    async def _do_batch(self, member: Member, batch: Sequence[Call]) -> None:
        """Have a worker do a batch; it has sent all outcomes before, unless it is lost."""
        with suppress(BatchLost):
            orders = await to_thread.run_sync(lambda: [self._order(call) for call in batch])
            await self._cluster.do_batch(member.address, self._run, orders)
        if any(call.number in member.calls for call in batch):
            self._drop(member)

    def _order(self, call: Call) -> Order:
        """Return the order of a call; it may read files."""
        job, context = call.job, call.context
        fields: dict[str, Any] = {}
        if job is not None and context is not None:
            names = ("md5", "album", "further", "replaces", "format_of", "differs")
            fields = {name: getattr(job, name) for name in names}
            fields["level"] = context.level if job.level is None else job.level
        return Order(
            number=call.number,
            path=self._maps.there(call.photo.path),
            size=call.photo.size,
            mtime_ns=call.photo.mtime_ns,
            folder=call.photo.path.absolute().parent.name,
            job=fields,
            stated=self._settings.stated(call.photo.path)
            if job and self._settings.stated
            else None,
            changed=call.changed,
            lost=call.finishing,
        )


@asynccontextmanager
async def open_coordinator(
    where: ClusterAddress,
    run_settings: RunSettings,
    /,
    *,
    recovery: Recovery,
    emit: Emit,
    stop: Stop,
) -> AsyncIterator[Coordinator]:
    """Open the executor that uses the workers of a cluster. Raises `RunError`."""
    zips = [Path(where.maps.there(path)) for path in run_settings.zips]
    async with open_cluster(where) as cluster, one_error(), anyio.create_task_group() as tasks:
        coordinator = Coordinator(
            cluster,
            replace(run_settings, zips=zips),
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
