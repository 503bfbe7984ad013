"""One run from settings to its last event: connect, check the album, hand over to the engine.

Knows how the parts fit together, and nothing of flags, signals or screens.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio.lowlevel

from bulkup import engine
from bulkup.errors import RunError, Transient
from bulkup.events import Emit, Noticed, RunStarted
from bulkup.ledger import Ledger
from bulkup.memory import Memory, NoLedger
from bulkup.photos import check_roots
from bulkup.piwigo.connect import connect
from bulkup.piwigo.server import PiwigoServer
from bulkup.piwigo.sessions import Credentials
from bulkup.recovery import Policy, Recovery, Sleep
from bulkup.settings import Account, Sending
from bulkup.stages import Stop

SPARE_CONNECTIONS = 4
DOOR = Policy(retries=4)
"""How often the first questions are asked: a wrong address must not cost an hour."""


async def migrate(
    paths: Sequence[Path],
    *,
    account: Account,
    sending: Sending,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float],
    sleep: Sleep,
) -> None:
    """Bring the photos below the paths to the gallery, event by event.

    Raises `UsageError` where a path is not there and `RunError` where the run is impossible.
    """
    roots = check_roots(paths)
    credentials = Credentials(
        user=account.user, password=account.password, api_key=account.api_key
    )
    door = Recovery(DOOR, emit=emit, probe=anyio.lowlevel.checkpoint, sleep=sleep, clock=clock)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            connect(
                account.url,
                credentials=credentials,
                method=sending.method,
                chunk_size=sending.chunk_size,
                connections=sending.concurrency + SPARE_CONNECTIONS,
                patiently=door.run,
            )
        )
        policy = Policy(retries=sending.retries, patience_s=sending.patience_s)
        recovery = Recovery(policy, emit=emit, probe=server.probe, sleep=sleep, clock=clock)
        emit(await _describe(server, sending, recovery))
        _warn(server, emit)
        memory = await stack.enter_async_context(_remembering(sending, server, emit))
        await engine.run(
            engine.Plan(
                roots=roots,
                album=sending.album,
                level=sending.level,
                concurrency=sending.concurrency,
                finishing=sending.finishing,
                endings=server.offer.endings,
            ),
            server=server,
            recovery=recovery,
            memory=memory,
            emit=emit,
            stop=stop,
            clock=clock,
        )


@asynccontextmanager
async def _remembering(
    sending: Sending, server: PiwigoServer, emit: Emit
) -> AsyncIterator[Memory]:
    if sending.ledger is None:
        yield NoLedger()
        return
    async with Ledger(sending.ledger, server=server.offer.url) as ledger:
        if ledger.set_aside is not None:
            emit(
                Noticed(
                    message=f"the ledger was damaged; it lies now at {ledger.set_aside}",
                    hint="A new one is made; this costs time, nothing else.",
                )
            )
        yield ledger


async def _describe(server: PiwigoServer, sending: Sending, recovery: Recovery) -> RunStarted:
    try:
        album_name = await recovery.run(lambda: server.album_name(sending.album))
    except Transient as error:
        raise RunError(error.message, hint="Run the same command again.") from None
    return RunStarted(
        url=server.offer.url,
        version=server.offer.version,
        user=server.offer.user,
        album=sending.album,
        album_name=album_name,
        method=server.method.name,
        concurrency=sending.concurrency,
        finishing=sending.finishing,
        chunk_size=server.chunk_size,
    )


def _warn(server: PiwigoServer, emit: Emit) -> None:
    parts = urlsplit(server.offer.url)
    host = parts.hostname or ""
    if parts.scheme == "http" and not (host.startswith("127.") or host in {"localhost", "::1"}):
        emit(
            Noticed(
                message="the connection is not encrypted: the password can be read on the way",
                hint="Use the https:// address if the gallery has one.",
            )
        )
