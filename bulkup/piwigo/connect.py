"""Finds a gallery's address, logs in, and chooses the upload method."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from bulkup.errors import (
    Blocked,
    HostUnknown,
    NotOffered,
    PhotoError,
    ProxyUnreachable,
    RunError,
    ServerUnavailable,
    Transient,
    Unreachable,
    UsageError,
)
from bulkup.errors import run as run_failures
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.community import find_community
from bulkup.piwigo.metadata import Describe
from bulkup.piwigo.multipart import Throttle
from bulkup.piwigo.protocol import Offer, Request, Status, interpret, read_methods, read_status
from bulkup.piwigo.session import Credentials, Session, SessionPool, Timeouts
from bulkup.piwigo.transport import DIRECT, Transport, connector_for
from bulkup.piwigo.upload import Legacy, Method, Upload, UploadAsync

STATUS_QUERY: Final = "ws.php?format=json&method=pwg.session.getStatus"
MAX_REDIRECTS: Final = 5
NO_HOST: Final = re.compile(r"""[\x00-\x20\s<>"\\^`{|}%]""")
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PAGES: Final = re.compile(
    r"(?<=/)(index|picture|category|categories|tags|search|favorites|recent_pics|recent_cats"
    r"|most_visited|best_rated|list|identification|admin)/.*"
)
"""Page paths below the gallery's address, if the web server hides their `.php`."""

PLAIN_HTTP_REFUSALS: Final = (
    b"plain HTTP request was sent to HTTPS",
    b"speaking plain HTTP to an SSL",
)
"""What web servers answer to plain HTTP on a TLS port."""


class _NotPiwigo(RunError):
    """A server answers at the address, but it is not Piwigo."""


def clean_url(url: str) -> str:
    """Return the gallery's base address, with a trailing slash, from what users paste.

    Raises `UsageError` for an invalid address.
    """
    text = url.strip()
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit("x:"), None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or port == 0
        or NO_HOST.search(parts.netloc)
    ):
        shown = "the address" if "@" in url else f"“{url}”"  # it may contain a password
        raise UsageError(
            f"{shown} is not a web address",
            hint="Use the address of the gallery's home page, like https://photos.example.org/.",
        )
    if parts.username or parts.password:
        raise UsageError(
            "the address contains a user name or password",
            hint="Use --user and BULKUP_PASSWORD instead; --http-user and BULKUP_HTTP_PASSWORD if "
            "they are those of the web server in front of Piwigo.",
        )
    return urlunsplit((parts.scheme, parts.netloc, _folder(parts.path), "", ""))


def _folder(path: str) -> str:
    """Return the gallery's folder, which contains pages such as `index.php?/category/9`."""
    head, _, tail = path.partition(".php")
    if tail or path.endswith(".php"):
        path = head.rpartition("/")[0]
    return path.rstrip("/") + "/"


def is_allowed_redirect(origin: str, target: str) -> bool:
    """Return whether a redirect stays on the host and does not drop TLS."""
    try:
        a, b = urlsplit(origin), urlsplit(target)
        if a.hostname != b.hostname or "@" in b.netloc:
            return False
        if a.scheme == b.scheme:
            return _port(origin) == _port(target)
    except ValueError:  # invalid port or brackets
        return False
    return (a.scheme, b.scheme) == ("http", "https")


def _port(url: str) -> int:
    parts = urlsplit(url)
    return (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port


def scheme_hint(url: str) -> str:
    """Return the hint to try the other scheme."""
    if url.lower().startswith("http://"):
        return "A gallery with TLS needs https:// in front."
    return "A gallery without TLS needs http:// in front."


async def find_base(session: Session, url: str) -> str:
    """Return the base address under which the gallery answers, perhaps above the given page.

    Raises `RunError` if it redirects to another host or is not Piwigo, and `Transient` if there is
    no answer.
    """
    base = clean_url(url)
    try:
        return await _follow_redirects(session, base)
    except Blocked as error:
        raise RunError(error.failure) from None
    except _NotPiwigo:
        above = PAGES.sub("", base)
        if above == base:
            raise
        try:
            return await _follow_redirects(session, above)
        except (RunError, Transient):
            pass  # report the error of the address that the user gave
        raise


async def _follow_redirects(session: Session, base: str) -> str:
    """Return the base address after redirects. Raises as `find_base` does."""
    for _ in range(MAX_REDIRECTS):
        query = urljoin(base, STATUS_QUERY)
        answer = await session.get(query)
        if answer.status not in REDIRECTS:
            break
        try:
            target = urljoin(query, answer.location)
        except ValueError:
            target = answer.location
        if not is_allowed_redirect(base, target):
            raise RunError(run_failures.OTHER_HOST(url=base, target=target.partition("ws.php")[0]))
        base = clean_url(target)
    try:
        read_status(interpret(answer))
    except Blocked:
        raise
    except (NotOffered, PhotoError, Transient) as error:
        if answer.status in {502, 503, 504}:
            raise
        if any(words in answer.body for words in PLAIN_HTTP_REFUSALS):
            raise RunError(run_failures.TLS_ONLY(url=base)) from None
        raise _NotPiwigo(run_failures.NO_PIWIGO(url=base, reason=error.message)) from None
    return base


DEFAULT_CHUNK: Final = 500 * 1024
T = TypeVar("T")


class Retrying(Protocol):
    """Sends a request until it is answered."""

    async def __call__(self, request: Callable[[], Awaitable[T]], /) -> T:
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
    retrying: Retrying | None = None,
    describe: Describe | None = None,
    transport: Transport = DIRECT,
) -> AsyncIterator[PiwigoServer]:
    """Log in to the gallery at `url` and provide it; log out at the end.

    `method` is `auto`, `async`, `upload` or `legacy`. `throttle` limits the bandwidth of photos,
    `describe` returns their metadata. `retrying` retries the first requests; by default they are
    sent once. Raises `RunError` with a message for the user.
    """
    timeouts = timeouts or Timeouts()
    retrying = retrying or _once
    async with await connector_for(connections, transport) as connector:
        pool = SessionPool(
            url,
            credentials=credentials,
            connector=connector,
            timeouts=timeouts,
            throttle=throttle,
            transport=transport,
        )
        try:
            try:
                status = await retrying(partial(_log_in, pool, url))
            except Transient as error:
                if isinstance(
                    error, HostUnknown | ProxyUnreachable
                ):  # the other scheme would not help
                    raise ServerUnavailable(error.failure) from None
                more = scheme_hint(url)
                if isinstance(error, Unreachable):  # its message has the address
                    failure = run_failures.NO_ANSWER(reason=error.message, more=more)
                else:
                    failure = run_failures.NOT_REACHED(url=url, reason=error.message, more=more)
                raise ServerUnavailable(failure) from None
            try:
                offer = await retrying(partial(fetch_offer, pool, status))
            except Transient:
                offer = _offer(pool, status, frozenset())
            try:
                community = await retrying(partial(find_community, pool, offer))
            except (NotOffered, PhotoError, Transient) as error:
                raise ServerUnavailable(run_failures.START_FAILED(reason=error.message)) from None
            user = status.user or credentials.user
            chosen = choose_method(method, offer=offer, user=user)
            yield PiwigoServer(
                pool,
                offer=offer,
                method=chosen,
                describe=describe,
                replacers=replacers(chosen, offer=offer, user=user),
                community=community,
            )
        finally:
            await pool.close()


LIST_TRIES: Final = 3


async def _once(request: Callable[[], Awaitable[T]]) -> T:
    return await request()


async def _log_in(pool: SessionPool, url: str) -> Status:
    async with pool.lease() as session:
        pool.url = session.url = await find_base(session, url)
        return await pool.log_in(session)


async def fetch_offer(pool: SessionPool, status: Status) -> Offer:
    """Return what the server offers. Raises `Transient`.

    Every Piwigo lists its methods, so a refusal to do that will pass; but other servers exist.
    """
    for _ in range(LIST_TRIES):
        try:
            methods = read_methods(await pool.call(Request("reflection.getMethodList")))
        except NotOffered:
            continue
        except PhotoError:
            break
        return _offer(pool, status, methods)
    return _offer(pool, status, frozenset())


def _offer(pool: SessionPool, status: Status, methods: frozenset[str]) -> Offer:
    return Offer(
        url=pool.url,
        version=status.version,
        user=status.user,
        methods=methods,
        endings=status.endings,
        chunk_size=status.chunk_size or DEFAULT_CHUNK,
    )


def choose_method(method: str, *, offer: Offer, user: str) -> Method:
    """Return the requested upload method, or the best that is offered.

    A server that lists no methods is assumed to offer `pwg.images.upload`. Raises `RunError` if
    the requested one is not offered.
    """
    methods = _methods(offer, user)
    if not offer.methods and method in {"auto", "upload"}:
        return methods["upload"][0]
    for name, (candidate, needed) in methods.items():
        if method in {"auto", name} and needed <= offer.methods:
            return candidate
    kind = run_failures.NO_METHOD if method == "auto" else run_failures.METHOD
    raise RunError(kind(url=offer.url, method=method))


def replacers(chosen: Method, *, offer: Offer, user: str) -> list[Method]:
    """Return the methods that can replace a photo's file, the chosen one first if it can.

    `pwg.images.upload` can't: from Piwigo 16 it replaces the photo of the same file name in the
    album.
    """
    methods = _methods(offer, user)
    offered = [
        methods[name][0] for name in ("async", "legacy") if methods[name][1] <= offer.methods
    ]
    return sorted(offered, key=lambda way: way.name != chosen.name)


def _methods(offer: Offer, user: str) -> dict[str, tuple[Method, set[str]]]:
    """Return the upload methods, the best first, with the server methods that they require."""
    renames = "pwg.images.setInfo" in offer.methods
    return {
        "async": (UploadAsync(user, renames=renames), {"pwg.images.uploadAsync"}),
        "upload": (Upload(renames=renames), {"pwg.images.upload"}),
        "legacy": (Legacy(renames=renames), {"pwg.images.addChunk", "pwg.images.add"}),
    }
