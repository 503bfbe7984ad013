"""Opens galleries and ledgers for the use cases; tests a log-in; lists albums."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Final, Literal

import anyio
import anyio.lowlevel

from bulkup.app.executor import RunSettings
from bulkup.app.settings import (
    Account,
    AlbumTarget,
    TaskSettings,
)
from bulkup.engine.albums import ROOT, Albums
from bulkup.engine.context import RunContext, Stop
from bulkup.engine.dry_run import FIRST_PLANNED
from bulkup.engine.gallery_port import Access, GalleryReader, GalleryWriter
from bulkup.engine.ledger_port import Ledger, NoLedger
from bulkup.engine.limiter import MOST_COUNTED
from bulkup.engine.retry import Policy, Recovery, Sleep
from bulkup.errors import (
    FailureKind,
    NoSuchAlbum,
    NotOffered,
    PhotoError,
    RunError,
    ServerUnavailable,
    Transient,
)
from bulkup.errors import run as run_failures
from bulkup.events import Emit, Noticed, RunStarted, discard
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.connect import clean_url, connect
from bulkup.piwigo.multipart import Throttle
from bulkup.piwigo.protocol import AlbumRow, Offer
from bulkup.piwigo.session import Credentials
from bulkup.piwigo.transport import Transport, is_local
from bulkup.source.sidecars import Describer
from bulkup.store.ledger import SqliteLedger
from bulkup.store.recorder import record_run

SPARE_CONNECTIONS: Final = 4
LOGIN_POLICY: Final = Policy(retries=4)
"""How often the first requests are tried: a wrong address must not take an hour to report."""


Task = Literal["upload", "verify", "dry-run", "refresh", "refresh-dry-run"]


def credentials_of(account: Account) -> Credentials:
    """Return the credentials of an account."""
    return Credentials(account.user, account.password, account.api_key)


def transport_of(account: Account) -> Transport:
    """Return how requests reach an account's gallery. Raises `UsageError`."""
    return Transport(**{each.name: getattr(account, each.name) for each in fields(Transport)})


def checked_url(account: Account) -> str:
    """Return the gallery URL in the form used by the key ring.

    Raises `UsageError` for an invalid URL, proxy, header or file of certificates.
    """
    url = clean_url(account.url)
    transport = transport_of(account)
    transport.proxy_to(url)
    transport.context()
    return url


@asynccontextmanager
async def open_gallery(
    account: Account,
    options: TaskSettings | RunSettings | None = None,
    *,
    method: str = "auto",
    throttle: Throttle | None = None,
    describe: Describer | None = None,
    connections: int = 0,
    emit: Emit = discard,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = anyio.sleep,
) -> AsyncIterator[tuple[PiwigoServer, Recovery]]:
    """Log in to the gallery, and yield it with the retry policy of a run; log out at the end.

    Without `options`, that is the policy of the log-in. Up to `options.concurrency` connections
    are opened, or `connections` if that is more, and some for proving workers. Raises `RunError`
    where the log-in fails.
    """
    for caution in account.cautions:
        emit(Noticed(message=caution.message, hint=caution.hint))
    recovery = Recovery(
        LOGIN_POLICY, emit=emit, probe=anyio.lowlevel.checkpoint, sleep=sleep, clock=clock
    )
    at_once = max(options.concurrency if options else 0, connections)
    async with connect(
        account.url,
        credentials=credentials_of(account),
        method=method,
        throttle=throttle,
        connections=at_once + MOST_COUNTED + SPARE_CONNECTIONS,
        retrying=recovery.run,
        describe=describe,
        transport=transport_of(account),
    ) as server:
        if options is not None:
            policy = Policy(retries=options.retries, patience_s=options.patience_s)
            recovery = Recovery(policy, emit=emit, probe=server.probe, sleep=sleep, clock=clock)
        yield server, recovery


def report_unencrypted(url: str, emit: Emit) -> None:
    """Emit a notice if others on the network can read what is sent to this address."""
    if url.startswith("http:") and not is_local(url):
        emit(
            Noticed(
                message="the connection is not encrypted: others on the network can read the "
                "password",
                hint="Use the https:// address if the gallery has one.",
            )
        )


async def base_album(
    into: AlbumTarget, albums: Albums, *, missing: FailureKind | None = None
) -> int:
    """Return the id of the target album, `ROOT` for the gallery's top level.

    Raises `RunError` where there is none, of the kind `missing` if no album has that name.
    """
    if into.album is not None:
        return into.album
    try:
        return await albums.find(into.names, make=into.create)
    except NoSuchAlbum as error:
        raise RunError(missing(reason=error.message) if missing else error.failure) from None
    except (PhotoError, Transient) as error:
        raise RunError(error.failure) from None


async def open_access(
    names: Sequence[str], server: PiwigoServer, recovery: Recovery, *, gives: bool
) -> Access | None:
    """Return the access of the groups and users of these names to albums, None without any.

    Raises `RunError` if one does not exist, or if the account can't share albums.
    """
    if not names:
        return None
    if server.community:
        raise RunError(run_failures.SHARING_NEEDS_ADMIN())
    try:
        return await recovery.run(lambda: server.find_access(names, gives=gives))
    except (NotOffered, PhotoError) as error:
        raise RunError(run_failures.NO_SHARING(reason=error.message)) from None
    except Transient as error:
        raise ServerUnavailable(run_failures.START_FAILED(reason=error.message)) from None


@asynccontextmanager
async def open_run(
    server: PiwigoServer,
    options: TaskSettings,
    *,
    task: Task,
    method: str,
    album: int,
    chunk_size: int = 0,
    gallery: GalleryWriter,
    recovery: Recovery,
    roots: Sequence[Path],
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[RunContext]:
    """Open the ledger, emit the first event, and record the run in the ledger's history.

    `album` is the target album, `ROOT` for any. `gallery` is the server, or stands for it in a dry
    run. `roots` are all folders that the run reads in full; none if it skips some of their files.
    Raises `RunError` where the album does not exist or the ledger can't be used.
    """
    started = RunStarted(
        url=server.offer.url,
        version=server.offer.version,
        user=server.offer.user,
        album=album if ROOT < album < FIRST_PLANNED else None,
        album_name=await album_name(album, gallery, recovery),
        method=method,
        concurrency=options.concurrency,
        chunk_size=chunk_size,
        task=task,
    )
    async with AsyncExitStack() as stack:
        ledger: Ledger = NoLedger()
        database = None
        if options.ledger is not None:
            ledger = database = await stack.enter_async_context(
                SqliteLedger(options.ledger, server=started.url, again=recovery.again)
            )
        emit(started)
        report_unencrypted(started.url, emit)
        if database is not None:
            if database.set_aside is not None:
                emit(
                    Noticed(
                        message=f"the ledger was damaged, and was moved to {database.set_aside}",
                        hint="A new one is created; this costs time, but loses nothing.",
                    )
                )
            emit = await stack.enter_async_context(
                record_run(
                    database,
                    started,
                    roots=roots,
                    emit=emit,
                    interrupted=lambda: stop.wanted,
                    clock=clock,
                )
            )
        yield RunContext(
            gallery=gallery, recovery=recovery, ledger=ledger, emit=emit, stop=stop, clock=clock
        )


async def album_name(album: int, gallery: GalleryReader, recovery: Recovery) -> str:
    """Return the name of an album, empty for 0. Raises `RunError` where it does not exist."""
    if not album:
        return ""
    try:
        return await recovery.run(lambda: gallery.album_name(album))
    except Transient as error:
        raise ServerUnavailable(run_failures.START_FAILED(reason=error.message)) from None


async def log_in(account: Account) -> Offer:
    """Return what the gallery offers this account. Raises `RunError` where the log-in fails."""
    async with open_gallery(account) as (server, _):
        return server.offer


async def list_albums(account: Account) -> Sequence[AlbumRow]:
    """Return the gallery's albums. Raises `RunError` where it does not list them."""
    async with open_gallery(account) as (server, recovery):
        try:
            return await recovery.run(server.albums)
        except (NotOffered, PhotoError, Transient) as error:
            raise RunError(run_failures.ALBUM_LIST_FAILED(reason=error.message)) from None
