"""A Dask scheduler and the client that knows it; or a small cluster of this machine's own.

Knows Dask, and of a run only what a task is.
"""

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import dask
from anyio import CancelScope
from distributed import Client, LocalCluster
from distributed.security import Security

from bulkup.cluster.where import Where, host_of, security_of
from bulkup.cluster.worker import Invitation, turn
from bulkup.errors import RunError
from bulkup.failures import stops

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
async def lent(where: Where) -> AsyncIterator[Cluster]:
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
            preload=["bulkup.cluster.undisturbed"],
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
        told = stops.CLUSTER_UNREACHED(address=where.address, reason=error)
        raise RunError(told) from None
    yield Cluster(client, security=security, address=where.address)
