"""The worker's side of a run: logs in, fingerprints and uploads batches of photos.

Each run is a separate `WorkerPlugin` on every worker, in the worker's event loop.
"""

import asyncio
import os
import pickle
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import mkstemp
from typing import Final, Self, TypeVar

import anyio
from anyio import CancelScope, to_thread
from distributed import Client, Worker, WorkerPlugin, get_worker, secede
from distributed.security import Security

from bulkup import __version__
from bulkup.app.credentials import with_secrets
from bulkup.app.gallery import open_gallery
from bulkup.app.settings import Account
from bulkup.cluster.messages import BEAT_S, LEASE_S, Invitation, Order, Outcome
from bulkup.cluster.queue import resolve
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.context import UploadContext
from bulkup.engine.executor import LocalExecutor, NotStarted
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Fact
from bulkup.engine.pacing import Tail
from bulkup.engine.retry import Recovery
from bulkup.engine.upload import upload
from bulkup.errors import AnswerLost, BulkupError, PhotoError
from bulkup.errors import local as local_failures
from bulkup.errors import server as server_failures
from bulkup.events import Event, PhotoProgress
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.multipart import Throttle
from bulkup.source.files import opened
from bulkup.source.metadata import Metadata
from bulkup.source.photos import Photo
from bulkup.source.sidecars import Describer
from bulkup.source.zone import Zone

HASHING: Final = 2
"""Photos fingerprinted at once, in addition to those being uploaded."""

FLUSH_S: Final = 0.1
"""How often events are sent to the coordinator …"""

SOON_S: Final = 0.003
"""… and how soon requests are, together with others: a message costs the coordinator much."""

SAME_NS: Final = 2 * 10**9
"""File times that differ by less may be the same: some file systems round them."""

T = TypeVar("T")


class NotVisible(Exception):
    """The file of an order can't be read on this worker, or is another one."""


class WorkerUnusable(Exception):
    """This worker can't take part in the run, and why."""


async def join(invitation: Invitation, dask_worker: Worker) -> tuple[str, str]:
    """Take part in a run; return the topic on which this worker listens, or why it can't.

    A run of this name that is still active on the worker is ended first.
    """
    if invitation.version != __version__:
        return "", f"it runs bulkup {__version__}, the coordinator {invitation.version}"
    plugin = RunPlugin(invitation)
    await dask_worker.plugin_add(plugin, name=invitation.run)
    try:
        return await plugin.ready, ""
    except WorkerUnusable as error:
        await leave(invitation.run, dask_worker)
        return "", str(error)


async def leave(run: str, dask_worker: Worker) -> None:
    """End a run on this worker, and log out."""
    if run in dask_worker.plugins:
        await dask_worker.plugin_remove(name=run)


def do_batch(run: str, orders: Sequence[Order]) -> None:
    """Carry out orders: the Dask task of a batch; the outcomes are sent as messages."""
    worker = get_worker()
    secede()  # the plugin limits how much is done at once
    batch = worker.plugins[run].do(orders)
    asyncio.run_coroutine_threadsafe(batch, worker.loop.asyncio_loop).result()


def awake_s() -> float:
    """Return a monotonic time in seconds, including sleep where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class RunPlugin(WorkerPlugin):  # type: ignore[misc]
    """One run on one worker: its sessions, and its messages from and to the coordinator.

    The run ends when the coordinator no longer answers its heartbeats.
    """

    def __init__(self, invitation: Invitation) -> None:
        self._invitation = invitation
        self._over = anyio.Event()
        self._answered_at = 0.0
        self._limit: int | None = None
        self._held: CancelScope | None = None
        self._stop = False
        self._outbox: list[tuple[object, ...]] = []
        self._flushing = False
        self._progress: dict[int | None, PhotoProgress] = {}
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._numbers = count(1)
        self._topic = ""
        self._orders: dict[Path, Order] = {}
        self._capacity = {
            False: anyio.CapacityLimiter(HASHING),
            True: anyio.CapacityLimiter(invitation.settings.concurrency),
        }
        self._tail = Tail()

    async def setup(self, worker: Worker) -> None:
        """Begin to connect and log in; `ready` becomes the topic, or the error."""
        self._worker = worker
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run())

    async def teardown(self, worker: Worker) -> None:
        """End the run and log out."""
        del worker
        self._over.set()
        if not self.ready.done():
            self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def _run(self) -> None:
        settings, own = self._invitation.settings, self._worker.security
        security = Security(  # a worker's own has no certificate for clients
            tls_ca_file=own.tls_ca_file,
            tls_client_cert=own.tls_worker_cert,
            tls_client_key=own.tls_worker_key,
            require_encryption=own.require_encryption,
        )
        client = Client(
            self._worker.scheduler.address,
            security=security,
            asynchronous=True,
            set_as_default=False,
        )
        account = open_account(
            self._invitation,
            emit=self._emit,
            limit=lambda: self._limit,
            order=self._orders.get,
        )
        try:
            async with (
                client,
                account as (self._gallery, self._recovery),
                anyio.create_task_group() as self._tasks,
            ):
                self._chunk_size = ChunkSize(
                    self._gallery.offer.chunk_size,
                    user_size=settings.chunk_size,
                    ceiling=settings.ceiling,
                    grows=self._gallery.method.name != "legacy",
                )
                self._topic = str(client.id)  # the scheduler forgets it with the client
                client.subscribe_topic(self._topic, self._receive)
                self._answered_at = awake_s()
                self._tasks.start_soon(self._beat)
                self._tasks.start_soon(self._flush_often)
                self.ready.set_result(self._topic)
                await self._over.wait()
                with suppress(Exception):  # the client has closed with the scheduler
                    client.unsubscribe_topic(self._topic)
                self._tasks.cancel_scope.cancel()
        except (WorkerUnusable, OSError) as error:
            if not self.ready.done():
                self.ready.set_exception(error)
        finally:
            self._over.set()
            if not self.ready.done():
                self.ready.set_exception(WorkerUnusable("the run has ended"))
            if self._worker.plugins.get(self._invitation.run) is self:
                del self._worker.plugins[self._invitation.run]

    async def _beat(self) -> None:
        """Send heartbeats, and end the run when the coordinator stops answering."""
        while (left_s := self._answered_at + LEASE_S - awake_s()) > 0:
            self.post("beat", awake_s(), now=True)
            await anyio.sleep(min(BEAT_S, left_s))
        self._over.set()

    async def _flush_often(self) -> None:
        while True:
            await anyio.sleep(FLUSH_S)
            self._flush()

    def _flush(self) -> None:
        self._flushing = False
        self._outbox += (("event", order, event) for order, event in self._progress.items())
        self._progress.clear()
        if self._outbox:
            message = pickle.dumps((self._topic, self._outbox))
            self._outbox = []
            self._worker.log_event(self._invitation.topic, message)

    def post(self, *item: object, now: bool = False) -> None:
        """Send a message to the coordinator, soon or `now`."""
        self._outbox.append(item)
        if now and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(SOON_S, self._flush)

    def _emit(self, event: Event, *, order: int | None = None) -> None:
        """Send an event, about the photo of `order` if given; of progress only the latest."""
        if hasattr(event, "path"):
            event = replace(event, path=None)  # type: ignore[arg-type, unused-ignore]
        if isinstance(event, PhotoProgress):
            self._progress[order] = event
        else:
            self._progress.pop(order, None)
            self.post("event", order, event)

    async def ask(self, kind: str, *item: object) -> None:
        """Send a request and wait for the answer. Raises the error in it."""
        number = next(self._numbers)
        self._asked[number] = answer = asyncio.get_running_loop().create_future()
        self.post(kind, number, *item, now=True)
        try:
            await answer
        finally:
            del self._asked[number]

    def _receive(self, event: tuple[float, object]) -> None:
        """Handle a message of the coordinator; Dask also logs to the topic."""
        message = event[1]
        if awake_s() >= self._answered_at + LEASE_S:
            self._over.set()  # the machine was asleep: the coordinator has given the photos away
            return
        for item in pickle.loads(message) if isinstance(message, bytes) else ():  # noqa: S301
            match item:
                case "answer", number, error if number in self._asked:
                    resolve(self._asked[number], error=error)
                case "state", answered_at, limit, held, stop:
                    self._answered_at = max(self._answered_at, answered_at)
                    self._limit, self._stop = limit, stop
                    self._hold(held=held)

    def _hold(self, *, held: bool) -> None:
        """Start no request while the coordinator holds all workers."""
        if not held and self._held is not None:
            self._held.cancel()
            self._held = None
        elif held and self._held is None and self.ready.done():
            self._held = CancelScope()
            self._tasks.start_soon(self._hold_until_cancelled, self._held)

    async def _hold_until_cancelled(self, scope: CancelScope) -> None:
        with scope:
            async with self._recovery.hold():
                await anyio.sleep_forever()

    async def do(self, orders: Sequence[Order]) -> None:
        """Carry out orders, along with those of other batches; ends early when the run ends."""
        done = anyio.Event()
        self._tasks.start_soon(self._do_batch, orders, done)
        await done.wait()

    async def _do_batch(self, orders: Sequence[Order], done: anyio.Event) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                for order in orders:
                    tasks.start_soon(self._do, order)
            self._flush()  # so that the coordinator has all outcomes before the batch is over
        finally:
            done.set()

    async def _do(self, order: Order) -> None:
        async with self._capacity[bool(order.job)]:
            outcome = await self._outcome(order)
        remarks = list(self._gallery.metadata.remarks())
        self.post("outcome", replace(outcome, remarks=remarks))

    async def _outcome(self, order: Order) -> Outcome:
        doubtful: dict[str, int] = {}
        error: Exception
        if self._stop:
            return Outcome(number=order.number, error=NotStarted("the run is ending"))
        try:
            photo = await to_thread.run_sync(find_file, order)
            if order.job:
                return await self._upload(order, photo, doubtful)
            emit = partial(self._emit, order=order.number)
            now, md5 = await LocalExecutor().fingerprint(photo, emit=emit)
            return Outcome(number=order.number, content=_content(now, photo), md5=md5)
        except NotVisible as reason:
            return Outcome(number=order.number, unseen=str(reason))
        except BulkupError as failure:
            error = failure
        except Exception:  # noqa: BLE001 (it is raised again where the user sees it)
            error = RuntimeError(f"on a worker:\n{traceback.format_exc()}")
        return Outcome(number=order.number, doubtful=doubtful, error=error)

    async def _upload(self, order: Order, photo: Photo, doubtful: dict[str, int]) -> Outcome:
        job = Job(photo, **order.job)  # type: ignore[arg-type]
        if order.changed:
            now, md5 = await LocalExecutor().fingerprint(photo)
            job = replace(job, photo=now, md5=md5)
        remote = RemoteSlot(self, order.number, photo, tail=self._tail)
        context = UploadContext(
            gallery=self._gallery,
            ledger=remote,
            recovery=self._recovery,
            limiter=remote,
            chunk_size=self._chunk_size,
            emit=partial(self._emit, order=order.number),
            clock=time.monotonic,
            level=0,
            doubtful=doubtful,
        )
        self._orders[photo.path] = order
        lost = AnswerLost(server_failures.WORKER_LOST()) if order.lost else None
        try:
            sent, event = await upload(job, context, lost=lost)
        finally:
            del self._orders[photo.path]
        return Outcome(
            number=order.number,
            content=_content(sent.photo, photo),
            md5=sent.md5,
            event=replace(event, path=None),  # type: ignore[arg-type]
            written=sent.written,
            doubtful=doubtful,
        )


def _content(now: Photo, photo: Photo) -> tuple[int, int] | None:
    """Return a file's new size and time, None if unchanged: times differ between machines."""
    return None if now == photo else (now.size, now.mtime_ns)


class RemoteSlot:
    """The coordinator's limiter, a slot in it, and its ledger, for the photo of one order."""

    def __init__(self, run: RunPlugin, number: int, photo: Photo, *, tail: Tail) -> None:
        self.tail = tail
        self._run = run
        self._number = number
        self._photo = photo
        self._sent: tuple[object, ...] = ()

    @asynccontextmanager
    async def slot(self, job: Job, *, alias: str) -> AsyncIterator[Self]:
        """Return the slot, for which each try waits again."""
        self._sent = (_content(job.photo, self._photo), job.md5, alias)
        yield self

    async def renew(self) -> None:
        """Wait for a slot before a try."""
        await self._run.ask("enter", self._number, *self._sent)

    async def measure(self, finish: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a try; the coordinator measures it, and answers a failure."""
        try:
            result = await finish()
        except BulkupError as error:
            await self._run.ask("left", self._number, error)
            raise
        self._run.post("left", 0, self._number, None, now=True)
        return result

    async def begin(self, name: str) -> None:
        """Record the name of a partly sent photo."""
        await self._run.ask("ledger", self._number, "begin", name)

    async def end(self, name: str) -> None:
        """Delete the name of a partly sent photo."""
        await self._run.ask("ledger", self._number, "end", name)

    async def learn(self, fact: Fact, value: int) -> None:
        """Record a fact about the server."""
        await self._run.ask("ledger", self._number, "learn", fact, value)


def find_file(order: Order) -> Photo:
    """Return the file of an order as it is on this worker. Raises `NotVisible`."""
    path = Path(order.path)
    try:
        with opened(path) as file:
            photo = Photo(path, file.size, file.mtime_ns)
    except (PhotoError, ValueError) as error:  # a name that is not valid there is a ValueError
        missing = getattr(error, "code", "") == local_failures.VANISHED.code
        raise NotVisible(f"{path}: {'no such file there' if missing else error}") from None
    if photo.size != order.size or abs(photo.mtime_ns - order.mtime_ns) > SAME_NS:
        raise NotVisible(f"{path} is a different file there, of {photo.size:,} bytes")
    return photo


@asynccontextmanager
async def open_account(
    invitation: Invitation,
    *,
    emit: Callable[[Event], None],
    limit: Callable[[], int | None],
    order: Callable[[Path], Order | None],
) -> AsyncIterator[tuple[PiwigoServer, Recovery]]:
    """Open the gallery for a worker, logged in. Raises `WorkerUnusable`.

    `limit` returns the worker's share of the bandwidth in bytes a second, `order` the order for
    the photo at a path.
    """
    settings = invitation.settings

    def folder(path: Path) -> str | None:
        return None if (known := order(path)) is None else known.folder

    def stated(path: Path) -> Metadata | None:
        return None if (known := order(path)) is None else known.stated

    describe = Describer(
        settings.labels,
        emit=emit,
        folder=folder,
        parts=settings.zips,
        stated=stated,
        zone=Zone(invitation.zone),
    )
    files: dict[str, Path] = {}
    async with AsyncExitStack() as stack:
        try:
            account = await to_thread.run_sync(_account, invitation)
            for name, text in invitation.files.items():
                files[name] = await to_thread.run_sync(_write_temporary, text)
            gallery = open_gallery(
                replace(account, **files),  # type: ignore[arg-type]
                settings,
                method=settings.method or "auto",
                throttle=Throttle(limit),
                describe=describe if settings.labels or settings.stated else None,
                emit=emit,
                clock=time.monotonic,
                sleep=anyio.sleep,
            )
            server, recovery = await stack.enter_async_context(gallery)
        except BulkupError as error:
            raise WorkerUnusable(f"{error.message}. {error.hint}".rstrip(". ") + ".") from None
        finally:
            for file in files.values():
                await to_thread.run_sync(file.unlink)  # it has been read
        if settings.method == "upload" and not server.metadata.can_set:
            raise WorkerUnusable(
                "photos with the same name would be mixed up: the gallery can't rename photos"
            )
        server.metadata.reads.update(settings.reads)
        yield server, recovery


def _account(invitation: Invitation) -> Account:
    """Return the account to log in with. Raises `UsageError` if its secret is unknown."""
    account = invitation.settings.account
    account = replace(
        account,
        url=os.environ.get("BULKUP_WORKER_URL") or account.url,
        user=account.user or os.environ.get("BULKUP_USER", ""),
    )
    return account if invitation.trusted else with_secrets(account, os.environ)


def _write_temporary(text: str) -> Path:
    """Write a text to a new temporary file that only this user can read."""
    descriptor, name = mkstemp(prefix="bulkup-", suffix=".pem")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)
