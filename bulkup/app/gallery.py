"""Opens a gallery for a use case: connects, logs in, opens the ledger, emits the first event.

Also the two small uses of one: testing a log-in and listing the albums.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal, Protocol

import anyio
import anyio.lowlevel

from bulkup.app.settings import Account
from bulkup.engine.limiter import MOST_COUNTED
from bulkup.engine.ports import Ledger, NoLedger
from bulkup.engine.retry import Policy, Recovery, Sleep
from bulkup.errors import NotOffered, PhotoError, RunError, ServerUnavailable, Transient
from bulkup.errors import run as run_failures
from bulkup.events import Emit, Noticed, RunStarted
from bulkup.piwigo.client import Offer, PiwigoServer
from bulkup.piwigo.connect import connect, is_local
from bulkup.piwigo.protocol import AlbumRow
from bulkup.piwigo.session import Credentials
from bulkup.piwigo.throttle import Throttle
from bulkup.piwigo.tls import Trust
from bulkup.source.sidecars import Describer
from bulkup.store.ledger import SqliteLedger
from bulkup.store.recorder import record_run

SPARE_CONNECTIONS: Final = 4
DOOR: Final = Policy(retries=4)
"""How often the first questions are asked: a wrong address must not cost an hour."""


class RunOptions(Protocol):
    """What every run is told of how to go about it."""

    @property
    def concurrency(self) -> int:
        """How much is done at once."""

    @property
    def retries(self) -> int:
        """How often a request is tried again."""

    @property
    def patience_s(self) -> float:
        """How long a server may be away, in seconds."""

    @property
    def ledger(self) -> Path | None:
        """The file that remembers, None to do without."""


def credentials_of(account: Account) -> Credentials:
    """Return what an account logs in with."""
    return Credentials(account.user, account.password, account.api_key)


def trust_of(account: Account) -> Trust:
    """Return which certificates an account trusts."""
    return Trust(ca_cert=account.ca_cert, insecure=account.insecure)


@asynccontextmanager
async def open_gallery(
    account: Account,
    options: RunOptions,
    *,
    method: str = "auto",
    throttle: Throttle | None = None,
    describe: Describer | None = None,
    connections: int = 0,
    emit: Emit,
    clock: Callable[[], float],
    sleep: Sleep,
) -> AsyncIterator[tuple[PiwigoServer, Recovery]]:
    """Lend the gallery, logged in, and the way to go on when it fails.

    There may be as many `connections` as the wishes need, or so many if that is more.
    """
    for caution in account.cautions:
        emit(Noticed(message=caution.message, hint=caution.hint))
    door = Recovery(DOOR, emit=emit, probe=anyio.lowlevel.checkpoint, sleep=sleep, clock=clock)
    async with connect(
        account.url,
        credentials=credentials_of(account),
        method=method,
        throttle=throttle,
        connections=max(options.concurrency, connections) + MOST_COUNTED + SPARE_CONNECTIONS,
        retrying=door.run,
        describe=describe,
        trust=trust_of(account),
    ) as server:
        policy = Policy(retries=options.retries, patience_s=options.patience_s)
        yield (
            server,
            Recovery(policy, emit=emit, probe=server.probe, sleep=sleep, clock=clock),
        )


class _Named(Protocol):
    async def album_name(self, album: int) -> str: ...


async def name_of(album: int | None, gallery: _Named, recovery: Recovery) -> str:
    """Return the name of the album that is meant. Raises `RunError` where it is not there."""
    if not album:
        return ""
    try:
        return await recovery.run(lambda: gallery.album_name(album))
    except Transient as error:
        raise ServerUnavailable(run_failures.DOOR_SHUT(reason=error.message)) from None


def run_started(
    offer: Offer,
    options: RunOptions,
    *,
    album: int | None,
    album_name: str,
    task: Literal["upload", "verify", "dry-run"],
    method: str,
    chunk_size: int = 0,
) -> RunStarted:
    """Return the first event of a run."""
    return RunStarted(
        url=offer.url,
        version=offer.version,
        user=offer.user,
        album=album,
        album_name=album_name,
        method=method,
        concurrency=options.concurrency,
        chunk_size=chunk_size,
        task=task,
    )


@asynccontextmanager
async def open_run(
    started: RunStarted,
    options: RunOptions,
    emit: Emit,
    *,
    roots: Sequence[Path],
    interrupted: Callable[[], bool],
    clock: Callable[[], float],
) -> AsyncIterator[tuple[Ledger, Emit]]:
    """Tell of the beginning; lend what is remembered of this server, and who hears of the rest.

    `roots` are all that the run walks, none if it leaves out some of that.
    """
    if options.ledger is None:
        emit(started)
        _warn(started.url, emit)
        yield NoLedger(), emit
        return
    async with SqliteLedger(options.ledger, server=started.url) as ledger:
        emit(started)
        _warn(started.url, emit)
        if ledger.set_aside is not None:
            emit(
                Noticed(
                    message=f"the ledger was damaged; it lies now at {ledger.set_aside}",
                    hint="A new one is made; this costs time, nothing else.",
                )
            )
        async with record_run(
            ledger, started, roots=roots, emit=emit, interrupted=interrupted, clock=clock
        ) as keeping:
            yield ledger, keeping


def _warn(url: str, emit: Emit) -> None:
    if url.startswith("http:") and not is_local(url):
        emit(
            Noticed(
                message="the connection is not encrypted: the password can be read on the way",
                hint="Use the https:// address if the gallery has one.",
            )
        )


async def log_in(account: Account) -> Offer:
    """Return what the gallery then tells. Raises `RunError` where it refuses the account."""
    door = Recovery(DOOR, emit=lambda _: None, probe=anyio.lowlevel.checkpoint)
    async with connect(
        account.url,
        credentials=credentials_of(account),
        retrying=door.run,
        trust=trust_of(account),
    ) as server:
        return server.offer


async def list_albums(account: Account) -> Sequence[AlbumRow]:
    """Return the gallery's albums. Raises `RunError` where it does not list them."""
    door = Recovery(DOOR, emit=lambda _: None, probe=anyio.lowlevel.checkpoint)
    async with connect(
        account.url,
        credentials=credentials_of(account),
        retrying=door.run,
        trust=trust_of(account),
    ) as server:
        try:
            return await door.run(server.albums)
        except (NotOffered, PhotoError, Transient) as error:
            raise RunError(run_failures.ALBUMS_UNTOLD(reason=error.message)) from None
