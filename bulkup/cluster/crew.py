"""The run's hands on a Dask cluster: which workers there are, and a task for each that is wanted.

Knows Dask's client, and of photos only that they wait at the desk. What happens to a task is no
matter: whether its photos are done is known at the desk.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
from anyio import CancelScope, to_thread
from anyio.abc import SocketAttribute, TaskGroup, TaskStatus
from anyio.streams.tls import TLSListener

from bulkup.cluster.desk import Desk
from bulkup.cluster.scheduler import Cluster, lent
from bulkup.cluster.waiting import Call
from bulkup.cluster.where import Where, is_loopback
from bulkup.cluster.worker import Invitation
from bulkup.ending import one_error
from bulkup.errors import RunError
from bulkup.events import Emit, Event, Noticed, PhotoUploaded
from bulkup.failures import stops
from bulkup.hands import Errand, Hire, Stopping
from bulkup.journey import Job, Journey
from bulkup.photos import Photo
from bulkup.recovery import Recovery

LEAD: Final = 100
"""Photos that wait for each worker, so that batches can be made of them …"""

LEAST_LEAD: Final = 1000
"""… and for those that come later …"""

MOST_LEAD: Final = 4000
"""… and no more of them, since each takes some memory."""

TURNS: Final = 2
"""Tasks of each worker: one that it is at, and the next."""

LOOK_S: Final = 1.0
"""How often the scheduler is asked who there is."""

TICK_S: Final = 0.25
AWAY_S: Final = 60.0
"""How long a cluster without scheduler or workers is waited for."""

FIRST_S: Final = 30.0
"""How long the first worker is waited for."""

UNFIT_S: Final = 300.0
"""How long a worker that could take no part is left alone, while there are others."""

FAILURES: Final = 3
"""So many tasks of a worker in a row have to fail before it is taken for unfit."""


def _read(file: Path | None) -> str:
    return file.read_text(encoding="utf-8") if file else ""


def _unheard(_: Event) -> None:
    """Let nobody hear of it."""


def hire_from(where: Where) -> Hire:
    """Return how to come by the hands of a cluster."""

    @asynccontextmanager
    async def hire(
        errand: Errand, /, *, recovery: Recovery, emit: Emit, stop: Stopping
    ) -> AsyncIterator[Crew]:
        async with AsyncExitStack() as stack:
            cluster = await stack.enter_async_context(lent(where))
            async with one_error(), anyio.create_task_group() as tasks:
                crew = Crew(cluster, where, tasks=tasks)
                await crew.start(errand, recovery=recovery, emit=emit, stop=stop)
                try:
                    yield crew
                finally:
                    with CancelScope(shield=True):
                        await crew.leave()
                tasks.cancel_scope.cancel()

    return hire


def lead_for(machines: int) -> int:
    """Return how many photos are to wait for so many machines, and those that come later."""
    return min(MOST_LEAD, max(LEAST_LEAD, LEAD * machines))


class Crew:
    """The workers of a cluster."""

    def __init__(self, cluster: Cluster, where: Where, *, tasks: TaskGroup) -> None:
        self.machines = 1
        self._cluster = cluster
        self._where = where
        self._tasks = tasks
        self._turns: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._unfit: dict[str, tuple[float, str]] = {}
        self._futures: set[Any] = set()
        self._missing_since: float | None = None

    @property
    def lead(self) -> int:
        """How many more photos they want to know of than those they have in hand."""
        return lead_for(self.machines)

    async def start(
        self, errand: Errand, *, recovery: Recovery, emit: Emit, stop: Stopping
    ) -> None:
        """Open the desk, and wait for the first worker. Raises `RunError` where none comes."""
        host = self._cluster.host
        trusted = self._cluster.encrypted or is_loopback(host)
        if not trusted:
            emit(
                Noticed(
                    message="the Dask cluster is not encrypted: its workers get no password",
                    hint="Set BULKUP_PASSWORD in their environments, or give the cluster "
                    "certificates (tls://).",
                )
            )
        self._emit = emit
        self._desk = Desk(
            errand,
            maps=self._where.maps,
            trusted=trusted,
            ca_cert=await to_thread.run_sync(_read, errand.account.ca_cert),
            tasks=self._tasks,
            emit=emit,
            stop=stop,
            clock=time.monotonic,
            sleep=anyio.sleep,
        )
        recovery.others = self._desk
        self._recovery = recovery
        port = await self._tasks.start(self._listen, host)
        self._invitation = Invitation(host, port, self._desk.token)
        with anyio.move_on_after(FIRST_S):
            await self._look()
            while not self._desk.workers:
                await anyio.sleep(LOOK_S / 4)
                await self._look()
        if not self._desk.workers:
            raise RunError(stops.CLUSTER_EMPTY(address=self._cluster.address))
        self.machines = len(self._desk.workers)
        self._tasks.start_soon(self._attend)

    async def _listen(self, host: str, *, task_status: TaskStatus[int]) -> None:
        """Let workers come to the desk; tell the port."""
        async with await anyio.create_tcp_listener(local_host=host) as listener:
            task_status.started(
                listener.extra(SocketAttribute.local_port)  # noqa: S610 (it is no query)
            )
            if self._cluster.encrypted:
                context = self._cluster.security.get_listen_args("client")["ssl_context"]
                tls = TLSListener(listener, context, standard_compatible=False)
                await tls.serve(self._desk.serve)
            else:
                await listener.serve(self._desk.serve)

    async def fingerprint(self, photo: Photo, *, emit: Emit = _unheard) -> tuple[Photo, str]:
        """Have a worker read it."""
        found: tuple[Photo, str]
        found = await self._desk.have_done(Call(photo=photo, emit=emit))
        return found

    async def upload(self, job: Job, journey: Journey) -> tuple[Job, PhotoUploaded]:
        """Have a worker send it."""
        call = Call(photo=job.photo, emit=journey.emit, job=job, journey=journey)
        sent: tuple[Job, PhotoUploaded]
        sent = await self._desk.have_done(call)
        return sent

    def remarks(self) -> Iterable[tuple[str, str]]:
        """Return what the workers remark."""
        return self._desk.remarks.all()

    async def leave(self) -> None:
        """Let the workers go, and leave nothing on the cluster."""
        if hasattr(self, "_desk"):
            await self._desk.dismiss()
        await self._cluster.forget(self._futures)

    async def _attend(self) -> None:
        """Have workers come for what waits, until cancelled."""
        looked = time.monotonic()
        while True:
            if time.monotonic() - looked > LOOK_S:
                self._judge(there=await self._look())
                looked = time.monotonic()
            self._desk.tick()
            for worker in self._desk.workers:
                while self._turns[worker] < TURNS and self._desk.wants(worker):
                    self._call(worker)
            with anyio.move_on_after(TICK_S):
                await self._desk.stirred.wait()
                self._desk.stirred = anyio.Event()

    async def _look(self) -> bool:
        """See who there is; tell whether the scheduler answers."""
        there = await self._cluster.workers()
        if there is None:
            return False
        now = time.monotonic()
        self._unfit = {
            worker: told
            for worker, told in self._unfit.items()
            if worker in there and now - told[0] < UNFIT_S
        }
        self._desk.workers = [worker for worker in there if worker not in self._unfit]
        return True

    def _judge(self, *, there: bool) -> None:
        """End the run where nobody is left who could do anything, or comes back in time."""
        if (there and self._desk.workers) or not self._desk.busy:
            self._missing_since = None
            return
        if there and self._unfit:
            _, reason = next(reversed(self._unfit.values()))
            self._desk.fail(RunError(stops.CLUSTER_UNFIT(reason=reason)))
            return
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        if now - self._missing_since > AWAY_S and not (self._desk.attended and there):
            what = "has no workers any more" if there else "does not answer any more"
            address = self._cluster.address
            self._desk.fail(RunError(stops.CLUSTER_GONE(address=address, what=what)))

    def _call(self, worker: str) -> None:
        """Have a worker come for a batch."""
        future = self._cluster.submit(self._invitation, worker)
        if future is not None:
            self._turns[worker] += 1
            self._futures.add(future)
            self._tasks.start_soon(self._watch, worker, future)

    async def _watch(self, worker: str, future: Any) -> None:  # noqa: ANN401 (Dask's own type)
        reason = ""
        try:
            reason = await future
        except Exception as error:  # noqa: BLE001 (whatever went wrong there)
            self._failures[worker] += 1
            if self._failures[worker] >= FAILURES:
                reason = f"its tasks fail: {type(error).__name__}: {error}"
            await anyio.sleep(LOOK_S)
        else:
            self._failures[worker] = 0
        finally:
            self._turns[worker] -= 1
            self._futures.discard(future)
            self._desk.stirred.set()
        if reason and worker in self._desk.workers:
            self._unfit[worker] = (time.monotonic(), f"{worker}: {reason}")
            self._desk.workers = [other for other in self._desk.workers if other != worker]
            hint = "The others go on without it."
            self._emit(Noticed(message=f"worker {worker} can take no part: {reason}", hint=hint))
