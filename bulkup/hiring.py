"""Other machines for a run, from what the user says of them.

Knows which words mean what; all that belongs to Dask is loaded only where it is asked for.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from bulkup.errors import UsageError
from bulkup.hands import Hire


def hire_of(
    dask: str | None, *, maps: Sequence[str] = (), tls: tuple[Path | None, ...] = (None,) * 3
) -> Hire | None:
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

    from bulkup.cluster.crew import hire_from  # noqa: PLC0415 (heavy)
    from bulkup.cluster.maps import Maps  # noqa: PLC0415 (heavy)
    from bulkup.cluster.where import security_of, where_of  # noqa: PLC0415 (heavy)

    where = where_of(dask, maps=Maps(maps), tls=tls)
    if where.address:
        security_of(where)
    return hire_from(where)
