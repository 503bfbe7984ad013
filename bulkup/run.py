"""One run from settings to its last event: connect, check the album, hand over to the stages.

Knows how the parts fit together, and nothing of flags, signals or screens.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, Protocol

import anyio.lowlevel

from bulkup import dry, engine, verify
from bulkup.albums import Albums
from bulkup.choice import EVERYTHING, Choice
from bulkup.chunksize import ChunkSize
from bulkup.errors import PhotoError, RunError, Transient
from bulkup.events import Emit, Noticed, RunStarted
from bulkup.gate import MOST_COUNTED
from bulkup.ledger import Ledger
from bulkup.memory import Fact, Memory, NoLedger
from bulkup.piwigo.catalogue import Offer
from bulkup.piwigo.connect import connect
from bulkup.piwigo.discover import is_local
from bulkup.piwigo.server import PiwigoServer
from bulkup.piwigo.sessions import Credentials
from bulkup.piwigo.throttle import Throttle
from bulkup.placing import Placing
from bulkup.recovery import Policy, Recovery, Sleep
from bulkup.settings import Account, Checking, Into, Sending
from bulkup.stages import Stop
from bulkup.timetable import local_time
from bulkup.walk import check_roots

SPARE_CONNECTIONS = 4
CEILING_S = 30 * 86400.0
"""A larger chunk than once passed is tried again after so long: servers are set up anew."""

DOOR = Policy(retries=4)
"""How often the first questions are asked: a wrong address must not cost an hour."""


async def migrate(
    paths: Sequence[Path],
    *,
    account: Account,
    sending: Sending,
    choice: Choice = EVERYTHING,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float],
    sleep: Sleep,
) -> None:
    """Bring the chosen photos below the paths to the gallery, event by event.

    Raises `UsageError` where a path is not there and `RunError` where the run is impossible.
    """
    roots = check_roots(paths, choice)
    async with _connected(
        account,
        sending,
        method=sending.method,
        throttle=Throttle(lambda: sending.bwlimit.limit(local_time), clock=clock, sleep=sleep),
        emit=emit,
        clock=clock,
        sleep=sleep,
    ) as (server, recovery):
        dry_gallery = dry.DryGallery(server) if sending.dry_run else None
        gallery = dry_gallery or server
        albums = Albums(gallery, recovery=recovery, emit=emit, private=sending.into.private)
        base = await _base(sending.into, albums)
        started = _describe(
            server.offer,
            sending,
            album=base or None,
            album_name=await _name(base, gallery, recovery),
            task="dry-run" if sending.dry_run else "upload",
            method=server.method.name,
            chunk_size=sending.chunk_size or server.offer.chunk_size,
        )
        into = sending.into
        plan = engine.Plan(
            roots=roots,
            choice=choice,
            placing=Placing(
                roots=roots, base=base, tree=into.tree, unwrap=into.unwrap, spaces=into.spaces
            ),
            level=sending.level,
            concurrency=sending.concurrency,
            finishing=sending.finishing,
            endings=server.offer.endings,
        )
        async with _begun(started, sending, emit) as memory:
            if dry_gallery is not None:
                await dry.run(
                    plan,
                    gallery=dry_gallery,
                    recovery=recovery,
                    memory=memory,
                    albums=albums,
                    emit=emit,
                    stop=stop,
                    clock=clock,
                )
                return
            facts = await memory.facts(max_age_s=CEILING_S)
            await engine.run(
                plan,
                server=server,
                recovery=recovery,
                memory=memory,
                albums=albums,
                chunk_size=ChunkSize(
                    server.offer.chunk_size,
                    wish=sending.chunk_size,
                    ceiling=facts.get(Fact.CHUNK),
                    grows=server.method.name != "legacy",
                ),
                emit=emit,
                stop=stop,
                clock=clock,
            )


async def compare(
    paths: Sequence[Path],
    *,
    account: Account,
    checking: Checking,
    choice: Choice = EVERYTHING,
    emit: Emit,
    stop: Stop,
    clock: Callable[[], float],
    sleep: Sleep,
) -> None:
    """Check the chosen photos below the paths against the gallery, event by event.

    Raises `UsageError` where a path is not there and `RunError` where the run is impossible.
    """
    roots = check_roots(paths, choice)
    async with _connected(account, checking, emit=emit, clock=clock, sleep=sleep) as (
        server,
        recovery,
    ):
        started = _describe(
            server.offer,
            checking,
            album=checking.album,
            album_name=await _name(checking.album, server, recovery),
            task="verify",
            method="exist" if checking.quick else "checkFiles",
        )
        async with _begun(started, checking, emit) as memory:
            await verify.run(
                verify.Plan(
                    roots=roots,
                    choice=choice,
                    album=checking.album,
                    concurrency=checking.concurrency,
                    quick=checking.quick,
                    endings=server.offer.endings,
                ),
                server=server,
                recovery=recovery,
                memory=memory,
                emit=emit,
                stop=stop,
                clock=clock,
            )


async def _base(into: Into, albums: Albums) -> int:
    """Return the number of the album that is meant, `ROOT` for the gallery's top.

    Raises `RunError` where there is none.
    """
    if into.album is not None:
        return into.album
    try:
        return await albums.find(into.names, make=into.create)
    except PhotoError as error:
        raise RunError(error.message, hint=error.hint) from None


class Wishes(Protocol):
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


@asynccontextmanager
async def _connected(
    account: Account,
    wishes: Wishes,
    *,
    method: str = "auto",
    throttle: Throttle | None = None,
    emit: Emit,
    clock: Callable[[], float],
    sleep: Sleep,
) -> AsyncIterator[tuple[PiwigoServer, Recovery]]:
    """Lend the gallery, logged in, and the way to go on when it fails."""
    door = Recovery(DOOR, emit=emit, probe=anyio.lowlevel.checkpoint, sleep=sleep, clock=clock)
    async with connect(
        account.url,
        credentials=Credentials(
            user=account.user, password=account.password, api_key=account.api_key
        ),
        method=method,
        throttle=throttle,
        connections=max(wishes.concurrency, MOST_COUNTED) + SPARE_CONNECTIONS,
        patiently=door.run,
    ) as server:
        policy = Policy(retries=wishes.retries, patience_s=wishes.patience_s)
        yield (
            server,
            Recovery(policy, emit=emit, probe=server.probe, sleep=sleep, clock=clock),
        )


class _Named(Protocol):
    async def album_name(self, album: int) -> str: ...


async def _name(album: int | None, gallery: _Named, recovery: Recovery) -> str:
    """Return the name of the album that is meant. Raises `RunError` where it is not there."""
    if not album:
        return ""
    try:
        return await recovery.run(lambda: gallery.album_name(album))
    except Transient as error:
        raise RunError(error.message, hint="Run the same command again.") from None


def _describe(
    offer: Offer,
    wishes: Wishes,
    *,
    album: int | None,
    album_name: str,
    task: Literal["upload", "verify", "dry-run"],
    method: str,
    chunk_size: int = 0,
) -> RunStarted:
    return RunStarted(
        url=offer.url,
        version=offer.version,
        user=offer.user,
        album=album,
        album_name=album_name,
        method=method,
        concurrency=wishes.concurrency,
        chunk_size=chunk_size,
        task=task,
    )


@asynccontextmanager
async def _begun(started: RunStarted, wishes: Wishes, emit: Emit) -> AsyncIterator[Memory]:
    """Tell of the beginning, and lend what is remembered of this server."""
    if wishes.ledger is None:
        emit(started)
        _warn(started.url, emit)
        yield NoLedger()
        return
    async with Ledger(wishes.ledger, server=started.url) as ledger:
        emit(started)
        _warn(started.url, emit)
        if ledger.set_aside is not None:
            emit(
                Noticed(
                    message=f"the ledger was damaged; it lies now at {ledger.set_aside}",
                    hint="A new one is made; this costs time, nothing else.",
                )
            )
        yield ledger


def _warn(url: str, emit: Emit) -> None:
    if url.startswith("http:") and not is_local(url):
        emit(
            Noticed(
                message="the connection is not encrypted: the password can be read on the way",
                hint="Use the https:// address if the gallery has one.",
            )
        )
