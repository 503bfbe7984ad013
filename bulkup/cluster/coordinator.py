"""The coordinator's side of a run: sends batches to workers and handles their outcomes.

Each photo is assigned to one worker at a time. The photos of a lost worker are queued again when
it can't be sending any more, and the next worker asks the server for those that may be there.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

import anyio
from anyio import CancelScope, to_thread
from anyio.abc import TaskGroup

from bulkup.app.executor import ExecutorFactory, RunSettings, nothing_stated
from bulkup.cluster.membership import Call, Member, Membership, Try
from bulkup.cluster.messages import GONE_S, Order, Outcome, PathMap
from bulkup.cluster.scheduler import BatchLost, Cluster, ClusterAddress, open_cluster
from bulkup.engine.executor import NotStarted, Stopping, discard
from bulkup.engine.ports import Job, UploadContext
from bulkup.engine.retry import Recovery, Sleep
from bulkup.errors import BulkupError, PhotoError, RunError, one_error
from bulkup.errors import local as local_failures
from bulkup.events import Emit, PhotoUploaded
from bulkup.source.files import version
from bulkup.source.metadata import Metadata
from bulkup.source.photos import Photo

LEAD: Final = 100
LEAST_LEAD: Final = 1000
MOST_LEAD: Final = 4000
"""Photos that wait, to form batches from: per worker, and at least and at most in total."""

MOST_PHOTOS: Final = 200
MOST_BYTES: Final = 2 * 1024**3
"""A batch is full at this many photos, or bytes."""

MOST_FOLDERS: Final = 100_000
"""How many folders are remembered as unreadable for a worker."""

LONGER: Final = 3.0
LEAST_S: Final = 1.0
UNKNOWN_S: Final = 20.0
"""A finish of a lost worker is over after 3 times the longest finish of the run, at least 1 s;
20 s if there was none."""


class _WorkerLost(Exception):
    """The result of a try to finish a photo is unknown."""


class WorkQueue:
    """The calls not assigned to a worker: those to upload, and those to fingerprint."""

    def __init__(self) -> None:
        self._queues: dict[bool, deque[Call]] = {False: deque(), True: deque()}
        self.unseen_by: defaultdict[Path, set[str]] = defaultdict(set)

    def add(self, call: Call, *, first: bool = False) -> None:
        """Add a call, at the front if `first`."""
        queue = self._queues[call.job is not None]
        (queue.appendleft if first else queue.append)(call)

    def __iter__(self) -> Iterator[Call]:
        return chain(*self._queues.values())

    def take(
        self, worker: str, workers: Collection[str], *, uploads: bool, least: int
    ) -> list[Call]:
        """Remove and return a batch for `worker`, one of `workers`.

        It holds up to 200 photos and 2 GiB, and fewer when few are left, down to `least` photos,
        so that all workers finish at about the same time.
        """
        queue, batch, others = self._queues[uploads], list[Call](), list[Call]()
        most = min(MOST_PHOTOS, max(least, -(-len(queue) // max(1, 2 * len(workers)))))
        size = 0
        while queue and len(batch) < most and size < MOST_BYTES:
            call = queue.popleft()
            if call.result.done():
                continue
            if self._suits(call, worker, workers):
                batch.append(call)
                size += call.photo.size
            else:
                others.append(call)
        queue.extendleft(reversed(others))
        return batch

    def _suits(self, call: Call, worker: str, workers: Collection[str]) -> bool:
        unseen_by = self.unseen_by.get(call.photo.path.parent, ()) if self.unseen_by else ()
        return worker not in call.unseen and (
            worker not in unseen_by or all(other in unseen_by for other in workers)
        )

    def unseen(self, call: Call, worker: str, reason: str) -> None:
        """Record that a worker can't read a photo, and perhaps nothing in its folder."""
        call.unseen[worker] = reason
        if len(self.unseen_by) > MOST_FOLDERS:
            self.unseen_by.clear()
        self.unseen_by[call.photo.path.parent].add(worker)

    def seen(self, call: Call, worker: str) -> None:
        """Record that a worker can read a photo, and thus its folder."""
        if self.unseen_by and (unseen_by := self.unseen_by.get(call.photo.path.parent)):
            unseen_by.discard(worker)


class Coordinator(Membership):
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
        super().__init__(cluster, run_settings, tasks=tasks, emit=emit, stop=stop, clock=clock)
        self._maps = maps
        self._recovery = recovery
        self._sleep = sleep
        self._queue = WorkQueue()
        self._open_calls: set[Call] = set()
        self._failure: RunError | None = None
        self._longest_s = 0.0

    @property
    def lead(self) -> int:
        """How many photos should wait for the workers, and for those that join later."""
        return min(MOST_LEAD, max(LEAST_LEAD, LEAD * self.machines))

    async def start(self) -> None:
        """Wait for the first worker. Raises `RunError` where none comes."""
        await super().start()
        self._recovery.others = self
        self._tasks.start_soon(self._dispatch)

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

    def _is_busy(self) -> bool:
        return bool(self._open_calls)

    def _fail(self, error: RunError) -> None:
        """End all calls, now and from now on, with an error."""
        self._failure = error
        for call in self._open_calls:
            call.end(error=error)

    def _look(self) -> None:
        """End the calls that nobody can or should do any more."""
        for call in self._queue if self._stop.wanted or self._queue.unseen_by else ():
            if self._stop.wanted:
                call.end(error=NotStarted("the run is ending"))
            elif call.unseen and self._workers and self._workers <= call.unseen.keys():
                reason = next(reversed(call.unseen.values()))
                call.end(error=PhotoError(local_failures.NO_WORKER(reason=reason)))

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
            stated = await to_thread.run_sync(self._stated, batch) if self._settings.stated else {}
            orders = [self._order(call, stated.get(call.number)) for call in batch]
            await self._cluster.do_batch(member.address, self._run, orders)
        if any(call.number in member.calls for call in batch):
            self._drop(member)

    def _stated(self, batch: Sequence[Call]) -> Mapping[int, Metadata | None]:
        """Return what this machine knows of the photos to upload, by the calls' numbers."""
        stated = self._settings.stated or nothing_stated
        return {call.number: stated(call.photo.path) for call in batch if call.job}

    def _order(self, call: Call, stated: Metadata | None) -> Order:
        job, context = call.job, call.context
        fields: dict[str, str | int | frozenset[int] | None] = {}
        if job is not None and context is not None:
            names = ("md5", "album", "replaces", "format_of", "differs")
            fields = {name: getattr(job, name) for name in names}
            fields["further"] = job.further
            fields["level"] = context.level if job.level is None else job.level
        return Order(
            number=call.number,
            path=self._maps.there(call.photo.path),
            size=call.photo.size,
            mtime_ns=call.photo.mtime_ns,
            folder=call.photo.path.absolute().parent.name,
            job=fields,
            stated=stated,
            changed=call.changed,
            lost=call.lost,
        )

    def _take_item(self, member: Member, item: tuple[Any, ...]) -> None:
        """Handle a worker's message about a photo that it has been assigned."""
        match item:
            case "outcome", outcome if call := member.calls.get(outcome.number):
                self._accept(member, call, outcome)
            case "event", number, event if call := member.calls.get(number):
                has_path = hasattr(event, "path")
                call.emit(replace(event, path=call.photo.path) if has_path else event)
            case "left", ask, number, error if number in member.tries:
                member.tries.pop(number).end(error, ask)
            case "enter", ask, number, content, md5, alias if call := member.calls.get(number):
                call.take_content(content, md5)
                member.tries[number] = tried = Try(asyncio.get_running_loop().create_future())
                self._tasks.start_soon(self._grant_slot, member, call, tried, ask, alias)
            case "ledger", ask, number, *update if call := member.calls.get(number):
                self._tasks.start_soon(self._update_ledger, member, call, ask, *update)

    def _accept(self, member: Member, call: Call, outcome: Outcome) -> None:
        """Accept the outcome of a call."""
        if isinstance(outcome.error, RunError) and len(self.members) > 1:
            # perhaps only its own connection or account has failed
            self._exclude(member.address, outcome.error.message)
            self._drop(member)
            return
        del member.calls[call.number]
        member.open[call.job is not None] -= 1
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
            job = replace(call.job, written=outcome.written)
            call.end((job, replace(outcome.event, path=path, albums=albums)))

    async def _update_ledger(
        self, member: Member, call: Call, ask: int, method: str, *values: object
    ) -> None:
        if call.context is not None:
            await getattr(call.context.ledger, method)(*values)
        member.post("answer", ask, None)

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

    def _recover(self, member: Member) -> None:
        """Queue the photos of a lost worker again; `_grant_slot` those that it may finish."""
        calls = dict(member.calls)
        for number, tried in member.tries.items():
            if tried.granted:
                calls.pop(number, None)
            tried.end(_WorkerLost())
        self._tasks.start_soon(self._requeue, member, list(calls.values()))

    async def _requeue(self, member: Member, calls: Sequence[Call]) -> None:
        """Queue photos of a lost worker again, once it can't be sending any more.

        The next worker asks the server for those that a worker was allowed to finish.
        """
        await self._sleep(max(0.0, member.last_message_at + GONE_S - self._clock()))
        for call in reversed(calls):
            if (job := call.job) is not None and call.context is not None:
                call.context.doubtful.update(dict.fromkeys(call.aliases, job.album))
                call.lost = call.finishing
            self._add(call, first=True)

    async def _grant_slot(
        self, member: Member, call: Call, tried: Try, ask: int, alias: str
    ) -> None:
        """Allow a worker to try to finish a photo once there is a slot, and measure it.

        If the worker is lost meanwhile, the slot is kept until the server must have finished.
        """
        if (context := call.context) is None or (job := call.job) is None:
            return
        async with context.limiter.slot(job, alias=alias) as slot:
            if tried.over.done():  # the worker was lost meanwhile
                return
            call.finishing = tried.granted = True
            if alias:
                call.aliases.add(alias)
            member.post("answer", ask, None)
            began, failure = self._clock(), None
            try:
                await slot.measure(tried.result)
            except _WorkerLost:
                # it may take until a photo can be found, and then as long as a finish may take
                usual_s = max(LEAST_S, LONGER * self._longest_s or UNKNOWN_S)
                await self._sleep(self._recovery.policy.ask_s_for(call.photo.size) + usual_s)
                self._tasks.start_soon(self._requeue, member, [call])
                return
            except RunError as error:
                failure = error  # the server does not answer at all
            except BulkupError:
                pass  # the worker already knows it
            self._longest_s = max(self._longest_s, self._clock() - began)
        if (asked := tried.over.result()[1]) and member.topic in self.members:
            member.post("answer", asked, failure)


def executor_from(where: ClusterAddress) -> ExecutorFactory:
    """Return a factory of executors that use the workers of a cluster."""

    @asynccontextmanager
    async def executor_factory(
        run_settings: RunSettings, /, *, recovery: Recovery, emit: Emit, stop: Stopping
    ) -> AsyncIterator[Coordinator]:
        async with open_cluster(where) as cluster, one_error(), anyio.create_task_group() as tasks:
            coordinator = Coordinator(
                cluster,
                replace(
                    run_settings,
                    zips=[Path(where.maps.there(path)) for path in run_settings.zips],
                ),
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
