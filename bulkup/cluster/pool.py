"""The workers of a run: where the cluster is, its Dask client, and the pool that uses it.

Dask only keeps the workers busy; whether a photo is done is known to the coordinator.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import dask
from anyio import CancelScope, to_thread
from anyio.abc import SocketAttribute, TaskGroup, TaskStatus
from anyio.streams.tls import TLSListener
from distributed import Client, LocalCluster
from distributed.security import Security

from bulkup.app.executor import ExecutorFactory, RunSettings
from bulkup.cluster.coordinator import Coordinator
from bulkup.cluster.protocol import PathMap
from bulkup.cluster.queue import Call
from bulkup.cluster.worker import Invitation, turn
from bulkup.engine.executor import Stopping
from bulkup.engine.ports import Job, UploadContext
from bulkup.engine.retry import Recovery
from bulkup.errors import RunError, UsageError, one_error
from bulkup.errors import run as run_failures
from bulkup.events import Emit, Event, Noticed, PhotoUploaded
from bulkup.source.photos import Photo

MOST_LOCAL: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAddress:
    """A scheduler's `address`, or the number of `local` workers to start, all of it valid.

    `maps` tell where the photos are there. The certificates are PEM files; without them what
    Dask's own settings say holds.
    """

    address: str = ""
    local: int = 0
    maps: PathMap
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


def cluster_address(text: str, *, maps: PathMap, tls: tuple[Path | None, ...]) -> ClusterAddress:
    """Return the cluster that is meant. Raises `UsageError` where that can be none."""
    ca, cert, key = tls
    if (ca is None) != (cert is None) or (key and not cert):
        raise UsageError(
            "Dask's certificates are not complete",
            hint="Give --dask-tls-ca and --dask-tls-cert, and --dask-tls-key where the key is "
            "not in the same file.",
        )
    for file in tls:
        if file is not None and not file.is_file():
            raise UsageError(f"{file} is no file", hint="Name a certificate or key in PEM form.")
    kind, _, rest = text.partition(":")
    if kind == "local":
        if not (rest.isascii() and rest.isdecimal() and 1 <= int(rest) <= MOST_LOCAL):
            raise UsageError(
                f"--dask {text} is no number of workers",
                hint=f"Give one from local:1 to local:{MOST_LOCAL}.",
            )
        return ClusterAddress(local=int(rest), maps=maps)
    try:
        port = urlsplit(text).port
    except ValueError:
        port = None
    if kind not in {"tcp", "tls"} or not rest.startswith("//") or port is None:
        raise UsageError(
            f"--dask {text} is no scheduler's address",
            hint="Give one such as tls://scheduler:8786, or local:3 to try it.",
        )
    if kind == "tcp" and ca is not None:
        raise UsageError(
            "certificates are for a scheduler at tls://", hint=f"Give --dask tls:{rest}"
        )
    return ClusterAddress(address=text, maps=maps, tls_ca=ca, tls_cert=cert, tls_key=key)


def security_of(where: ClusterAddress) -> Security:
    """Return how the cluster is trusted. Raises `UsageError`."""
    if where.tls_ca is None:
        security = Security()
    else:
        security = Security(
            tls_ca_file=f"{where.tls_ca}",
            tls_client_cert=f"{where.tls_cert}",
            tls_client_key=where.tls_key and f"{where.tls_key}",
            require_encryption=True,
        )
    encrypted = where.address.startswith("tls://")
    try:
        known = security.get_connection_args("client")["ssl_context"]
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"Dask's certificates can't be used: {error}", hint="Give PEM files that fit."
        ) from None
    if encrypted and known is None:
        raise UsageError(
            "a scheduler at tls:// needs certificates",
            hint="Give --dask-tls-ca, --dask-tls-cert and --dask-tls-key.",
        )
    return security


def host_of(address: str) -> str:
    """Return the host of an address of Dask's."""
    return urlsplit(address).hostname or ""


def is_loopback(host: str) -> bool:
    """Tell whether nobody but this machine can be spoken to there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


ANSWER_S: Final = 10.0
"""How long an answer of the scheduler may take."""

BRIEF: Final = {
    "distributed.admin.low-level-log-length": 10,
    "distributed.admin.system-monitor.log-length": 10,
}
"""What Dask keeps for its developers: at its own length each message to the scheduler, some 10 kB,
stays until there are a thousand."""


class Cluster:
    """A scheduler, and the client that knows it; a new one where it was lost."""

    def __init__(self, client: Client, *, security: Security, address: str) -> None:
        self.address = address
        self.security = security
        self.encrypted = address.startswith("tls://")
        self.host = host_of(client.scheduler_comm.comm.local_address)
        self._client = client

    async def workers(self) -> list[str] | None:
        """Return the names of the workers, None where the scheduler does not answer."""
        try:
            with anyio.fail_after(ANSWER_S):
                if self._client.status != "running":
                    await self._client.close(timeout=1)
                    self._client = await _client(self.address, self.security)
                known = await self._client.scheduler.identity(n_workers=-1)
        except (OSError, TimeoutError):
            return None
        return list(known["workers"])

    def submit(self, invitation: Invitation, worker: str) -> Any:  # noqa: ANN401 (a future)
        """Have a worker do a task, None where nobody can be told."""
        if self._client.status != "running":
            return None
        return self._client.submit(
            turn,
            invitation,
            key=f"bulkup-{uuid.uuid4().hex}",
            workers=[worker],
            pure=False,
        )

    async def forget(self, futures: set[Any]) -> None:
        """Leave nothing behind."""
        try:
            if futures and self._client.status == "running":
                await self._client.cancel(list(futures), force=True)
            await self._client.close(timeout=2)
        except (OSError, TimeoutError):
            return


async def _client(address: str, security: Security) -> Client:
    with dask.config.set(BRIEF):
        return await Client(
            address, security=security, asynchronous=True, timeout=ANSWER_S, set_as_default=False
        )


@asynccontextmanager
async def lent(where: ClusterAddress) -> AsyncIterator[Cluster]:
    """Lend the cluster that is meant, or make one. Raises `RunError`."""
    if where.local:
        made = LocalCluster(
            n_workers=where.local,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # its pages are for this machine too
            worker_dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            asynchronous=True,
            preload=["bulkup.cluster.preload"],
        )
        try:
            with dask.config.set(BRIEF):
                await made
            client = await _client(made.scheduler_address, made.security)
            yield Cluster(client, security=made.security, address=made.scheduler_address)
        finally:
            with CancelScope(shield=True):
                await made.close()
        return
    security = security_of(where)
    try:
        client = await _client(where.address, security)
    except (OSError, TimeoutError, ValueError) as error:
        told = run_failures.CLUSTER_UNREACHED(address=where.address, reason=error)
        raise RunError(told) from None
    yield Cluster(client, security=security, address=where.address)


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


def executor_from(where: ClusterAddress) -> ExecutorFactory:
    """Return how to come by the hands of a cluster."""

    @asynccontextmanager
    async def executor_factory(
        run_settings: RunSettings, /, *, recovery: Recovery, emit: Emit, stop: Stopping
    ) -> AsyncIterator[WorkerPool]:
        async with AsyncExitStack() as stack:
            cluster = await stack.enter_async_context(lent(where))
            async with one_error(), anyio.create_task_group() as tasks:
                pool = WorkerPool(cluster, where, tasks=tasks)
                await pool.start(run_settings, recovery=recovery, emit=emit, stop=stop)
                try:
                    yield pool
                finally:
                    with CancelScope(shield=True):
                        await pool.leave()
                tasks.cancel_scope.cancel()

    return executor_factory


def lead_for(machines: int) -> int:
    """Return how many photos are to wait for so many machines, and those that come later."""
    return min(MOST_LEAD, max(LEAST_LEAD, LEAD * machines))


class WorkerPool:
    """The workers of a cluster."""

    def __init__(self, cluster: Cluster, where: ClusterAddress, *, tasks: TaskGroup) -> None:
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
        self, run_settings: RunSettings, *, recovery: Recovery, emit: Emit, stop: Stopping
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
        self._desk = Coordinator(
            run_settings,
            maps=self._where.maps,
            trusted=trusted,
            ca_cert=await to_thread.run_sync(_read, run_settings.account.ca_cert),
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
            raise RunError(run_failures.CLUSTER_EMPTY(address=self._cluster.address))
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

    async def upload(self, job: Job, context: UploadContext) -> tuple[Job, PhotoUploaded]:
        """Have a worker send it."""
        call = Call(photo=job.photo, emit=context.emit, job=job, context=context)
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
                    if not self._call(worker):
                        break
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
            self._desk.fail(RunError(run_failures.CLUSTER_UNFIT(reason=reason)))
            return
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        if now - self._missing_since > AWAY_S and not (self._desk.attended and there):
            what = "has no workers any more" if there else "does not answer any more"
            address = self._cluster.address
            self._desk.fail(RunError(run_failures.CLUSTER_GONE(address=address, what=what)))

    def _call(self, worker: str) -> bool:
        """Have a worker come for a batch; return False while the scheduler is lost."""
        future = self._cluster.submit(self._invitation, worker)
        if future is None:
            return False
        self._turns[worker] += 1
        self._futures.add(future)
        self._tasks.start_soon(self._watch, worker, future)
        return True

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
