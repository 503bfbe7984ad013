"""How a worker comes into the gallery: with what the coordinator gives it, and its environment.

Knows where secrets come from and how a run logs in.
"""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkstemp

import anyio
from anyio import to_thread

from bulkup.cluster.messages import Message, read_labels
from bulkup.cluster.zone import Zone
from bulkup.describe import Describer
from bulkup.errors import BulkupError
from bulkup.events import Emit
from bulkup.piwigo.server import PiwigoServer
from bulkup.piwigo.throttle import Throttle
from bulkup.recovery import Recovery
from bulkup.secret import read_api_key, read_secret_file
from bulkup.settings import Account
from bulkup.visit import connected


class Unfit(Exception):
    """This worker can take no part in the run, and why."""


@dataclass(frozen=True, slots=True)
class _Wishes:
    concurrency: int
    retries: int
    patience_s: float
    ledger: Path | None = None


@asynccontextmanager
async def visit(
    errand: Message,
    *,
    emit: Emit,
    share: Callable[[], int | None],
    folder: Callable[[Path], str | None],
) -> AsyncIterator[tuple[PiwigoServer, Recovery]]:
    """Lend the gallery, logged in, and the way to go on when it fails. Raises `Unfit`.

    `share` tells how many bytes a second this worker may send, `folder` what the coordinator calls
    the folder of a photo.
    """
    if errand["kind"] == "refused":
        raise Unfit(errand["reason"])
    labels = read_labels(errand["labels"])
    describe = Describer(labels, emit=emit, folder=folder, zone=Zone(errand["zone"]))
    async with AsyncExitStack() as stack:
        try:
            account = await to_thread.run_sync(_account, errand)
            coming = connected(
                account,
                _Wishes(errand["concurrency"], errand["retries"], errand["patience_s"]),
                method=errand["method"],
                throttle=Throttle(share),
                describe=describe if labels else None,
                emit=emit,
                clock=time.monotonic,
                sleep=anyio.sleep,
            )
            server, recovery = await stack.enter_async_context(coming)
        except BulkupError as error:
            raise Unfit(f"{error.message}. {error.hint}".rstrip(". ") + ".") from None
        finally:
            await to_thread.run_sync(_forget, errand)
        if server.method.name == "upload" and not server.captions.can_set:
            raise Unfit("photos of one name would be mixed up: the gallery lets none be renamed")
        yield server, recovery


def _account(errand: Message) -> Account:
    """Return who logs in where. Raises `BulkupError`, and `Unfit` where that is not known."""
    variables = os.environ
    url = variables.get("BULKUP_WORKER_URL") or errand["url"]
    account = Account(url=url, ca_cert=_kept(errand), insecure=errand["insecure"])
    user = errand["user"] or variables.get("BULKUP_USER", "")
    if "password" in errand:
        return replace(account, user=user, password=errand["password"], api_key=errand["api_key"])
    if key := read_api_key(file=None, variables=variables):
        return replace(account, api_key=key)
    if file := variables.get("BULKUP_PASSWORD_FILE"):
        password = read_secret_file(Path(file), flag="BULKUP_PASSWORD_FILE")
    else:
        password = variables.get("BULKUP_PASSWORD", "")
    if not (user and password):
        raise Unfit(
            "it has no password of the gallery: set BULKUP_PASSWORD in its environment, or "
            "give the cluster certificates"
        )
    return replace(account, user=user, password=password)


def _kept(errand: Message) -> Path | None:
    """Return a file of the certificates to trust, which is read once, None if there are none."""
    if not errand["ca_cert"]:
        return None
    descriptor, name = mkstemp(prefix="bulkup-", suffix=".pem")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(errand["ca_cert"])
    errand["kept"] = name
    return Path(name)


def _forget(errand: Message) -> None:
    if name := errand.get("kept"):
        Path(name).unlink(missing_ok=True)
