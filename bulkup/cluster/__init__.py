"""One run on several machines, with dask.distributed (`--dask`).

The machine where the command runs is the coordinator: it scans, keeps the ledger, creates the
albums, limits how many photos are finished at once, and reports. Workers fingerprint and upload
batches of photos, which are Dask tasks, and send each outcome in a message on Dask's topics
(`log_event`, `subscribe_topic`). Two guarantees need more than Dask's primitives:

- The limit of photos that are finished at once. A `distributed.Semaphore` gives the lease of a
  killed worker to another one some 40 s later, whether the server has finished its photo or not,
  and a restarted scheduler forgets all leases. So workers ask the coordinator's own limiter.
- No photo is uploaded twice. That Dask has lost a worker does not mean that the worker has stopped
  sending. So a worker stops when the coordinator no longer answers its heartbeats.
"""

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from bulkup.app.executor import ExecutorFactory
from bulkup.errors import UsageError


def executor_from_flags(
    dask: str | None, *, maps: Sequence[str] = (), tls: tuple[Path | None, ...] = (None,) * 3
) -> ExecutorFactory | None:
    """Return the executor factory of --dask, None without the flag.

    `maps` are texts such as `HERE=THERE`; `tls` are the CA certificate, this machine's certificate
    and its key. Raises `UsageError`.
    """
    if not dask:
        if maps or any(tls):
            raise UsageError(
                "--map and --dask-tls-… are for the workers of a Dask cluster",
                hint="Give --dask, or leave them out.",
            )
        return None
    if find_spec("distributed") is None:
        raise UsageError(
            "--dask needs dask.distributed, which is not installed",
            hint="pip install 'bulkup[dask]', on the workers too",
        )

    from bulkup.cluster.coordinator import open_coordinator  # noqa: PLC0415 (heavy)
    from bulkup.cluster.messages import PathMap  # noqa: PLC0415 (heavy)
    from bulkup.cluster.scheduler import cluster_address  # noqa: PLC0415 (heavy)

    return partial(open_coordinator, cluster_address(dask, maps=PathMap(maps), tls=tls))
