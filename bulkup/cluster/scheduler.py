"""The Dask cluster of a run: its address and certificates, and the client that uses it."""

import logging
import pickle
import uuid
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import dask
from anyio import CancelScope
from distributed import Client, LocalCluster
from distributed.security import Security

from bulkup.cluster.messages import Order, PathMap
from bulkup.cluster.worker import do_batch
from bulkup.errors import RunError, UsageError
from bulkup.errors import run as run_failures

MOST_LOCAL: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAddress:
    """The valid `address` of a scheduler, or the number of `local` workers to start.

    `maps` are the paths of folders on the workers.
    """

    address: str = ""
    security: Security = field(default_factory=Security)
    local: int = 0
    maps: PathMap


def cluster_address(text: str, *, maps: PathMap, tls: tuple[Path | None, ...]) -> ClusterAddress:
    """Parse the value of --dask. Raises `UsageError`.

    `tls` are PEM files: the CA's certificate, this machine's, and its key unless that is in the
    same file. Without them, Dask's own configuration applies.
    """
    for file in tls:
        if file is not None and not file.is_file():
            raise UsageError(
                f"{file} is not a file", hint="Name a certificate or key in PEM form."
            )
    kind, _, rest = text.partition(":")
    if kind == "local":
        if not (rest.isascii() and rest.isdecimal() and 1 <= int(rest) <= MOST_LOCAL):
            raise UsageError(
                f"--dask {text} is not a number of workers",
                hint=f"Give one from local:1 to local:{MOST_LOCAL}.",
            )
        return ClusterAddress(local=int(rest), maps=maps)
    try:
        port = urlsplit(text).port
    except ValueError:
        port = None
    if kind not in {"tcp", "tls"} or not rest.startswith("//") or port is None:
        raise UsageError(
            f"--dask {text} is not a scheduler's address",
            hint="Give one such as tls://scheduler:8786, or local:3 to try it.",
        )
    if kind == "tcp" and any(tls):
        raise UsageError(
            "certificates are for a scheduler at tls://", hint=f"Give --dask tls:{rest}"
        )
    return ClusterAddress(
        address=text, maps=maps, security=_security(tls, encrypted=kind == "tls")
    )


def _security(tls: tuple[Path | None, ...], *, encrypted: bool) -> Security:
    files = [file and f"{file}" for file in tls]
    names = ("tls_ca_file", "tls_client_cert", "tls_client_key")
    security = Security(**dict(zip(names, files, strict=True)) if any(tls) else {})
    try:
        known = security.get_connection_args("client")["ssl_context"]
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"the Dask certificates can't be used: {error}", hint="Give matching PEM files."
        ) from None
    if encrypted and known is None:
        raise UsageError(
            "a scheduler at tls:// needs certificates",
            hint="Give --dask-tls-ca and --dask-tls-cert, and --dask-tls-key where the key is "
            "not in the same file.",
        )
    return security


def is_loopback(address: str) -> bool:
    """Return whether a Dask address is reachable from this machine only."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


ANSWER_S: Final = 10.0
"""How long the scheduler may take to answer."""

CONNECT_S: Final = 6.0
"""The part of it that a new connection may take."""

SHORT_LOGS: Final = {
    "distributed.admin.low-level-log-length": 10,
    "distributed.admin.system-monitor.log-length": 10,
}
"""Limits Dask's debugging logs; by default they keep 1000 messages, of some 10 kB each."""


class BatchLost(Exception):
    """A batch has no result: its worker, or the scheduler, was lost."""


class Cluster:
    """A Dask client for one run; it connects again when the scheduler comes back."""

    def __init__(self, client: Client, *, security: Security, address: str) -> None:
        self.address = address
        self.security = security
        self._client = client

    @property
    def topic(self) -> str:
        """The topic on which this side listens; the scheduler forgets it with the client."""
        return str(self._client.id)

    def trusts(self, worker: str) -> bool:
        """Return whether the network can't read what is sent to a worker via the scheduler."""
        near = is_loopback(self.address) and is_loopback(worker)
        return near or (self.address.startswith("tls://") and worker.startswith("tls://"))

    async def workers(self) -> list[str] | None:
        """Return the addresses of the workers, None if the scheduler does not answer."""
        try:
            with anyio.fail_after(ANSWER_S):
                if self._client.status != "running":
                    await _close(self._client, timeout_s=1)
                    self._client = await _client(self.address, self.security, CONNECT_S)
                return list(await self._client.scheduler.ncores())
        except Exception:  # noqa: BLE001 (Dask raises many kinds)
            return None

    def listen(self, handle: Callable[[Any], None]) -> None:
        """Call `handle` with each message on the topic. Repeat it after a disconnection."""

        def unpack(event: tuple[float, object]) -> None:
            if isinstance(event[1], bytes):  # others are Dask's own
                handle(pickle.loads(event[1]))  # noqa: S301 (as Dask does with all results)

        self._client.subscribe_topic(self.topic, unpack)

    async def publish(self, topic: str, message: object) -> bool:
        """Send a message; return False if it may have been lost with the connection."""
        try:
            if self._client.scheduler is None:  # the client has closed
                return False
            await self._client.log_event(topic, pickle.dumps(message))
        except Exception:  # noqa: BLE001 (Dask raises many kinds)
            return False
        return True

    async def run_on(
        self, worker: str, function: Callable[..., Awaitable[Any]], *args: object
    ) -> Any:  # noqa: ANN401 (the function's)
        """Return the result of a function that a worker runs at once, or raise its exception."""
        results = await self._client.run(function, *args, workers=[worker])
        return results[worker]

    async def do_batch(self, worker: str, run: str, orders: Sequence[Order]) -> None:
        """Carry out orders on a worker. Raises `BatchLost`.

        If this call is cancelled, the scheduler forgets the task.
        """
        future = None
        try:
            future = self._client.submit(
                *(do_batch, run, orders),
                key=f"bulkup-{uuid.uuid4().hex}",
                workers=[worker],
                pure=False,
                retries=0,
            )
            await future
        except (Exception, CancelledError) as error:
            if future is not None and future.status == "pending":
                raise  # this side was cancelled
            raise BatchLost(f"{type(error).__name__}: {error}") from None
        finally:
            if future is not None:
                future.release()

    async def close(self) -> None:
        """Disconnect; the scheduler forgets the batches."""
        with suppress(Exception):  # `listen` was never called, or the scheduler is lost
            self._client.unsubscribe_topic(self.topic)
        await _close(self._client, timeout_s=2)


async def _client(address: str, security: Security, timeout_s: float = ANSWER_S) -> Client:
    with dask.config.set(SHORT_LOGS):
        client = Client(
            address, security=security, asynchronous=True, timeout=timeout_s, set_as_default=False
        )
        try:
            return await client
        except BaseException:
            with CancelScope(shield=True):
                await _close(client, timeout_s=1)
            raise


async def _close(client: Client, *, timeout_s: float) -> None:
    """Close a client, for good also where that fails.

    When it is freed, Dask would otherwise begin to close it again, without an event loop.
    """
    try:
        with suppress(Exception):
            await client.close(timeout=timeout_s)
    finally:
        client.status = "closed"


@asynccontextmanager
async def open_cluster(where: ClusterAddress) -> AsyncIterator[Cluster]:
    """Connect to a cluster, or start a local one. Raises `RunError`."""
    async with AsyncExitStack() as stack:
        address, security = where.address, where.security
        try:
            if where.local:
                made = await _local_cluster(where.local, stack)
                address, security = made.scheduler_address, made.security
            client = await _client(address, security)
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            failure = run_failures.CLUSTER_UNREACHED(address=address or "local", reason=error)
            raise RunError(failure) from None
        yield Cluster(client, security=security, address=address)


async def _local_cluster(workers: int, stack: AsyncExitStack) -> LocalCluster:
    """Start a scheduler and workers on this machine, until the stack is closed."""
    made = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # not on all addresses of the machine
        worker_dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        asynchronous=True,
        preload=["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
    )

    async def close() -> None:
        with CancelScope(shield=True):
            await made.close()

    stack.push_async_callback(close)
    with dask.config.set(SHORT_LOGS):
        await made
    return made
