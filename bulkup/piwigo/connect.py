"""From an address and credentials to a server to work with: find, log in, ask what it offers.

Knows the order of the first questions; a question that fails means that nothing is offered.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol, TypeVar

import aiohttp
from aiohttp import AddrInfoType
from anyio import to_thread

from bulkup.errors import Away, BulkupError, RunError, Transient
from bulkup.failures import answers, stops
from bulkup.piwigo.captions import Describe
from bulkup.piwigo.catalogue import Offer
from bulkup.piwigo.discover import find_base, scheme_hint
from bulkup.piwigo.http import Timeouts
from bulkup.piwigo.methods import Legacy, Method, Upload, UploadAsync
from bulkup.piwigo.results import Status, read_methods
from bulkup.piwigo.server import PiwigoServer
from bulkup.piwigo.sessions import Credentials, SessionPool
from bulkup.piwigo.throttle import Throttle
from bulkup.piwigo.tls import SYSTEM, Trust
from bulkup.piwigo.wire import Request

UNSENT: Final = 128 * 1024
"""Bytes that a socket keeps beyond what is on its way to the server."""

DEFAULT_CHUNK: Final = 500 * 1024
KEEPALIVE_S: Final = 4.0  # shorter than Apache's five seconds: a closing connection loses requests
T = TypeVar("T")


class Patiently(Protocol):
    """Asks a question until there is an answer, or gives up with the last error."""

    async def __call__(self, question: Callable[[], Awaitable[T]], /) -> T:
        """Return the answer. Raises the last `Transient`."""


@asynccontextmanager
async def connect(
    url: str,
    *,
    credentials: Credentials,
    method: str = "auto",
    connections: int = 16,
    timeouts: Timeouts | None = None,
    throttle: Throttle | None = None,
    patiently: Patiently | None = None,
    describe: Describe | None = None,
    trust: Trust = SYSTEM,
) -> AsyncIterator[PiwigoServer]:
    """Log in to the gallery at `url` and lend it; log out at the end.

    `method` is `auto`, `async`, `upload` or `legacy`. `throttle` holds back the bytes of photos,
    `describe` tells what each is to get beside them. `patiently` asks a first question as often
    as the caller sees fit; by default once. `trust` says whose certificates will do. Raises
    `RunError` with a sentence for the user where that is impossible.
    """
    timeouts = timeouts or Timeouts()
    patiently = patiently or _once
    async with await connector_for(connections, trust) as connector:
        pool = SessionPool(
            url,
            credentials=credentials,
            connector=connector,
            timeouts=timeouts,
            throttle=throttle,
        )
        try:
            try:
                status = await patiently(partial(_enter, pool, url))
            except Transient as error:
                if error.told.code == answers.UNKNOWN_HOST.code:  # no other scheme helps
                    raise Away(error.told) from None
                more = scheme_hint(url)
                raise Away(stops.NOT_REACHED(url=url, reason=error.message, more=more)) from None
            methods = await _ask_methods(pool, patiently)
            offer = Offer(
                url=pool.url,
                version=status.version,
                user=status.user,
                methods=methods,
                endings=status.endings,
                chunk_size=status.chunk_size or DEFAULT_CHUNK,
            )
            user = status.user or credentials.user
            chosen = choose(method, offer=offer, user=user)
            yield PiwigoServer(
                pool,
                offer=offer,
                method=chosen,
                describe=describe,
                replacers=replacers(chosen, offer=offer, user=user),
            )
        finally:
            await pool.close()


async def connector_for(connections: int, trust: Trust) -> aiohttp.TCPConnector:
    """Return what opens up to so many connections, and closes them at the end.

    Raises `UsageError` where a file of certificates is wrong.
    """
    context: ssl.SSLContext | bool = True
    if trust != SYSTEM:
        context = await to_thread.run_sync(trust.context)
    return aiohttp.TCPConnector(
        limit=connections,
        keepalive_timeout=KEEPALIVE_S,
        socket_factory=_open_socket,
        ssl=context,
    )


def _open_socket(address: AddrInfoType) -> socket.socket:
    """Return a socket that takes little more than what goes out at once, where that can be set.

    Otherwise a whole photo may wait in it, and nobody could tell how long a slow line takes.
    """
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setblocking(False)
    if option := getattr(socket, "TCP_NOTSENT_LOWAT", None):
        opened.setsockopt(socket.IPPROTO_TCP, option, UNSENT)
    return opened


async def _once(question: Callable[[], Awaitable[T]]) -> T:
    return await question()


async def _enter(pool: SessionPool, url: str) -> Status:
    async with pool.lease() as session:
        pool.url = session.url = await find_base(session, url)
        return await pool.log_in(session)


async def _ask_methods(pool: SessionPool, patiently: Patiently) -> frozenset[str]:
    """Return the methods that the server lists; a failed question means that it lists none."""
    question = Request("reflection.getMethodList")
    try:
        return read_methods(await patiently(lambda: pool.call(question)))
    except RunError:
        raise
    except BulkupError:
        return frozenset()


def choose(method: str, *, offer: Offer, user: str) -> Method:
    """Return the way to send photos: the best that is offered, or the one that was asked for.

    A server that lists no methods is taken to know `pwg.images.upload`. Raises `RunError` where
    the server does not offer what was asked for.
    """
    ways = _ways(offer, user)
    if not offer.methods and method in {"auto", "upload"}:
        return ways["upload"][0]
    for name, (way, needed) in ways.items():
        if method in {"auto", name} and needed <= offer.methods:
            return way
    kind = stops.NO_METHOD if method == "auto" else stops.METHOD
    raise RunError(kind(url=offer.url, method=method))


def replacers(chosen: Method, *, offer: Offer, user: str) -> list[Method]:
    """Return the ways to give a photo another file, the chosen one first if it is one.

    `pwg.images.upload` is none: from 16 on it replaces what has the same file name in the album.
    """
    ways = _ways(offer, user)
    offered = [ways[name][0] for name in ("async", "legacy") if ways[name][1] <= offer.methods]
    return sorted(offered, key=lambda way: way.name != chosen.name)


def _ways(offer: Offer, user: str) -> dict[str, tuple[Method, set[str]]]:
    """Return each way to send photos, the best first, with the methods that it needs."""
    renames = "pwg.images.setInfo" in offer.methods
    return {
        "async": (UploadAsync(user, renames=renames), {"pwg.images.uploadAsync"}),
        "upload": (Upload(renames=renames), {"pwg.images.upload"}),
        "legacy": (Legacy(renames=renames), {"pwg.images.addChunk", "pwg.images.add"}),
    }
