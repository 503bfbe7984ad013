"""Several machines for one run, by dask.distributed: what only `--dask` needs.

The machine where the command was typed is the coordinator: it scans, keeps the ledger, creates the
albums, decides how many photos are finished at once, and reports. Dask brings tasks to its
workers, restarts those that die, and knows which certificates to trust. Each task has a worker
come to the coordinator for a batch; what is in it is decided only then, so a task that Dask runs
again, or not at all, costs no photo. All the rest goes over one connection from each worker to the
coordinator: lines of JSON, encrypted with the certificates that Dask uses. Dask's own means were
considered first: its actors live on a worker and die with it, its queues and events go through the
scheduler, which would carry several messages for each photo, and its comms unpickle whatever
arrives at an open port.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from bulkup.app.executor import ExecutorFactory
from bulkup.errors import UsageError


def executor_from_flags(
    dask: str | None, *, maps: Sequence[str] = (), tls: tuple[Path | None, ...] = (None,) * 3
) -> ExecutorFactory | None:
    """Return how to come by the hands of a cluster, None: they are not wanted.

    `maps` are texts such as `HERE=THERE`, `tls` the certificate of who signs, the own one, and its
    key. Reads files. Raises `UsageError`.
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

    from bulkup.cluster.pool import (  # noqa: PLC0415 (heavy)
        cluster_address,
        executor_from,
        security_of,
    )
    from bulkup.cluster.protocol import PathMap  # noqa: PLC0415 (heavy)

    where = cluster_address(dask, maps=PathMap(maps), tls=tls)
    if where.address:
        security_of(where)
    return executor_from(where)
