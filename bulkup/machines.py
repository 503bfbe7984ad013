"""The flags for several machines that work at one run.

Knows the command line library; all that belongs to Dask is loaded only where it is asked for.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from bulkup.errors import UsageError
from bulkup.flags import flag, group

if TYPE_CHECKING:
    from bulkup.hands import Hire

MACHINES = group("Several machines")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFlags:
    """Who helps."""

    dask: Annotated[
        str | None,
        flag(
            "Have the workers of a Dask cluster read and send the photos: tls://scheduler:8786, "
            "or local:3 to try it with so many processes here. Each has --concurrency photos on "
            "their way. Needs bulkup[dask] on all machines.",
            group=MACHINES,
            variable="BULKUP_DASK",
            metavar="ADDRESS|local:N",
        ),
    ] = None
    map: Annotated[
        tuple[str, ...],
        flag(
            "Where workers have a folder of this machine. May be given several times.",
            group=MACHINES,
            variable="BULKUP_MAP",
            metavar="HERE=THERE",
        ),
    ] = ()
    dask_tls_ca: Annotated[
        Path | None,
        flag(
            "Who has signed the cluster's certificates. Without it, Dask's own settings hold.",
            group=MACHINES,
            variable="BULKUP_DASK_TLS_CA",
            metavar="FILE",
        ),
    ] = None
    dask_tls_cert: Annotated[
        Path | None,
        flag(
            "This machine's certificate for the cluster.",
            group=MACHINES,
            variable="BULKUP_DASK_TLS_CERT",
            metavar="FILE",
        ),
    ] = None
    dask_tls_key: Annotated[
        Path | None,
        flag("Its key.", group=MACHINES, variable="BULKUP_DASK_TLS_KEY", metavar="FILE"),
    ] = None

    def hire(self) -> "Hire | None":
        """Return how to come by other machines' hands, None: they are not wanted.

        Raises `UsageError`.
        """
        if not self.dask:
            if self.map or self.dask_tls_ca or self.dask_tls_cert or self.dask_tls_key:
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

        tls = (self.dask_tls_ca, self.dask_tls_cert, self.dask_tls_key)
        where = where_of(self.dask, maps=Maps(self.map), tls=tls)
        if where.address:
            security_of(where)
        return hire_from(where)
