"""The flags for several machines that work at one run.

Knows the command line library, and nothing of Dask.
"""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
        from bulkup.hiring import hire_of  # noqa: PLC0415 (heavy)

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module="distributed")  # as of ports that are taken
        tls = (self.dask_tls_ca, self.dask_tls_cert, self.dask_tls_key)
        return hire_of(self.dask, maps=self.map, tls=tls)
