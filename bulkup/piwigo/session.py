"""HTTP sessions: log-in, and a pool of logged-in sessions."""

import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from http.cookies import BaseCookie
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import aiohttp
import anyio
from aiohttp import hdrs
from yarl import URL

from bulkup import __version__
from bulkup.errors import (
    AnswerLost,
    Blocked,
    BulkupError,
    NotOffered,
    PhotoError,
    Refused,
    RunError,
    SendInterrupted,
    SessionLost,
    TooLarge,
)
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures
from bulkup.piwigo.multipart import ChunkForm, Form, Progress, Throttle
from bulkup.piwigo.protocol import ANSWER_LIMIT, Answer, Request, Status, interpret, read_status
from bulkup.piwigo.transport import DIRECT, Proxy, Response, Transport, translated_errors
from bulkup.source.photos import Photo, writable

NO_URL: Final = URL()
DOWNLOADED: Final = 256 * 1024
"""Bytes of a download that are written at once, at most."""

FORM: Final[dict[str, str]] = {hdrs.CONTENT_TYPE: "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds: for connecting, without progress in a request, and in a finish."""

    connect_s: float = 30.0
    idle_s: float = 60.0
    finish_s: float = 300.0


class _ForeignCookies(aiohttp.CookieJar):
    """The cookies of a server in front of Piwigo, without Piwigo's own.

    With an API key, Piwigo still sets `pwg_id` in each answer, for a session that does not exist.
    """

    def filter_cookies(self, request_url: URL = NO_URL) -> "BaseCookie[str]":
        """Return the cookies of a request."""
        cookies = super().filter_cookies(request_url)
        for name in [name for name in cookies if name.startswith("pwg_")]:
            del cookies[name]
        return cookies


ADMIN_METHODS: Final = frozenset(
    {
        "pwg.getVersion",
        "pwg.images.add",
        "pwg.images.addChunk",
        "pwg.images.checkFiles",
        "pwg.images.exist",
        "pwg.images.getInfo",
        "pwg.images.setCategory",
        "pwg.images.setInfo",
        "pwg.images.upload",
        "pwg.images.uploadAsync",
    }
)
"""Methods that are called in the name of Piwigo's own upload page, by a `Referer` header.

Requests of its pages for administrators do without the server's cache of what the account may see
(source of 15.7 to 16.4). Otherwise each finished photo invalidates that cache, the next request
rebuilds it (26 ms with 2,000 photos), and those that arrive meanwhile sleep for a second or more,
each with a PHP worker: a fifth of the finishes with 3 at once (seen on 16.3). These methods give
the same answers without the cache; lists of albums do not.
"""


class Session:
    """A session with its cookies and token, on shared connections."""

    def __init__(
        self,
        url: str,
        *,
        connector: aiohttp.BaseConnector,
        timeouts: Timeouts,
        throttle: Throttle | None = None,
        api_key: str = "",
        transport: Transport = DIRECT,
    ) -> None:
        # not of the client session, which would give them to the proxy
        self._headers = {hdrs.USER_AGENT: f"bulkup/{__version__}", **transport.sent_headers}
        if api_key:
            self._headers["X-PIWIGO-API"] = api_key
        self.token = ""
        self.logged_in = False
        self.ready = False
        self.is_member = False  # whether it may upload only by the Community plugin
        self.url = url
        self.tls: ssl.SSLObject | None = None  # of the last answer
        self._transport = transport
        self._proxies: dict[str, Proxy | None] = {}  # by address: reading the environment is slow
        self._timeouts = timeouts
        self._throttle = throttle or Throttle()
        self._client = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            cookie_jar=(_ForeignCookies if api_key else aiohttp.CookieJar)(unsafe=True),
            response_class=Response,
        )

    async def close(self) -> None:
        """Drop the cookies; the connections stay open."""
        await self._client.close()

    async def get(self, url: str) -> Answer:
        """Send a GET and return the answer, without following redirects. Raises as `post` does."""
        return await self._exchange("GET", url)

    async def post(
        self,
        request: Request,
        *,
        photo: Photo | None = None,
        finishing: bool = False,
        progress: Progress = lambda _: None,
    ) -> Answer:
        """Send a request and return the answer; `finishing` allows it the longer time-out.

        Raises `AnswerLost` if the server may have processed the request, `SendInterrupted` if it
        can't have received the whole chunk, `Unreachable` if nothing was sent, `RunError` if no
        connection is possible, and `PhotoError` if the photo can't be read.
        """
        if photo is None or request.chunk is None:
            fields = (("method", request.method), *request.fields)
            return await self._post(
                urlencode(fields).encode(),
                finishing=finishing,
                headers=FORM | self._referer(request.method),
            )
        form = ChunkForm(
            photo,
            request=request,
            chunk=request.chunk,
            idle_s=self._timeouts.idle_s,
            throttle=self._throttle,
            progress=progress,
        )
        try:
            return await self._post(
                form, finishing=finishing, headers=self._referer(request.method)
            )
        except AnswerLost as error:
            if form.error:
                raise form.error from None
            if not form.ended:
                raise SendInterrupted(error.failure) from None
            raise

    async def post_form(self, form: Form, *, method: str) -> Answer:
        """Send a call of a method as a form and return the answer. Raises as `post` does."""
        return await self._post(form, headers=self._referer(method))

    def _referer(self, method: str) -> dict[str, str]:
        if self.is_member or method not in ADMIN_METHODS:
            return {}
        return {hdrs.REFERER: f"{self.url}admin.php?page=photos_add"}

    async def _post(
        self,
        body: bytes | Form,
        *,
        finishing: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        url = f"{self.url}ws.php?format=json"
        return await self._exchange("POST", url, body, finishing=finishing, headers=headers)

    async def _exchange(
        self,
        verb: str,
        url: str,
        body: bytes | Form | None = None,
        *,
        finishing: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        async with self._response(
            verb, url, body, base=url.partition("ws.php")[0], finishing=finishing, headers=headers
        ) as response:
            return await _read(response)

    async def download(self, url: str, file: Path) -> Answer | str:
        """Write what is at `url` to a file, and return its MD5; or the answer that refuses it.

        A page of HTML is a refusal, too. Raises as `post` does, and `PhotoError` where the file
        can't be written.
        """
        async with self._response("GET", url, base=self.url) as response:
            if response.status != 200 or response.content_type == "text/html":
                return await _read(response)
            md5 = hashlib.md5(usedforsecurity=False)
            async with writable(file) as output:
                async for piece in response.content.iter_chunked(DOWNLOADED):
                    md5.update(piece)
                    await output(piece)
            return md5.hexdigest()

    @asynccontextmanager
    async def _response(
        self,
        verb: str,
        url: str,
        body: bytes | Form | None = None,
        *,
        base: str,
        finishing: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if base not in self._proxies:
            self._proxies[base] = self._transport.proxy_to(url)
        proxy = self._proxies[base]
        to_proxy = proxy.headers if proxy else {}
        sent = {**self._headers, **(headers or {})}
        if not url.startswith("https:"):  # without CONNECT, the proxy reads the request's headers
            sent |= to_proxy
        with translated_errors(base, proxy):
            async with self._client.request(
                verb,
                url,
                data=body,
                headers=sent,
                allow_redirects=False,
                timeout=self._timeout(finishing=finishing),
                proxy=proxy.url if proxy else None,
                proxy_headers=to_proxy,
            ) as response:
                self.tls = getattr(response, "tls", None)
                yield response

    def _timeout(self, *, finishing: bool) -> aiohttp.ClientTimeout:
        limits = self._timeouts
        return aiohttp.ClientTimeout(
            total=None,
            connect=None,  # includes waiting for a free connection, which is normal
            sock_connect=limits.connect_s,
            sock_read=limits.finish_s if finishing else limits.idle_s,
        )


async def _read(response: aiohttp.ClientResponse) -> Answer:
    body = bytearray()
    while len(body) < ANSWER_LIMIT:
        part = await response.content.read(ANSWER_LIMIT - len(body))
        if not part:
            break
        body += part
    else:
        response.close()
    return Answer(
        response.status,
        bytes(body),
        location=response.headers.get(hdrs.LOCATION, ""),
        retry_after_s=retry_after(
            response.headers.get(hdrs.RETRY_AFTER, ""), date=response.headers.get(hdrs.DATE, "")
        ),
        challenge=response.headers.get(hdrs.WWW_AUTHENTICATE, ""),
        authorized=hdrs.AUTHORIZATION in response.request_info.headers,
    )


def retry_after(value: str, *, date: str) -> float | None:
    """Parse a `Retry-After` header into seconds; a date is relative to the answer's `date`."""
    if value.strip().isdecimal():
        return float(value.strip())
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(date)
        return max(0.0, wait.total_seconds())
    except (ValueError, TypeError, OverflowError):  # email.utils raises all of these
        return None


LOGOUT_S: Final = 5.0

REFUSED_TO_MEMBERS: Final = {
    "pwg.images.setInfo": gallery_failures.NOT_OWN,
    "pwg.images.delete": gallery_failures.NOT_OWN,
    "pwg.images.setMd5sum": gallery_failures.ONLY_ADMINS,
    "pwg.categories.add": gallery_failures.NO_NEW_ALBUMS,
}
"""What the Community plugin permits only for own photos or some albums.

Otherwise the server answers as if the session were lost (source of the plugin; seen on 16.4.0).
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The account: user and password, or an API key (`pkid:secret`, from Piwigo 16)."""

    user: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)


class SessionPool:
    """Sessions on shared connections: one for each task at a time, then reused."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials,
        connector: aiohttp.BaseConnector,
        timeouts: Timeouts,
        throttle: Throttle | None = None,
        transport: Transport = DIRECT,
    ) -> None:
        self.url = url
        self._transport = transport
        self._credentials = credentials
        self._connector = connector
        self._timeouts = timeouts
        self._throttle = throttle
        self._free: list[Session] = []
        self._login = anyio.Lock()
        self.finishing: set[object] = set()  # fully sent requests that finish photos, unanswered
        self.is_member = False  # whether the Community plugin is why the account may upload
        self._worked = False  # whether any log-in has
        self._login_refused = False  # whether the last one was

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Session]:
        """Provide a session for one task."""
        session = self._free.pop() if self._free else self._open()
        session.is_member = self.is_member
        try:
            yield session
        finally:
            self._free.append(session)

    async def close(self) -> None:
        """Log out of all sessions, if the server answers within seconds, and close them."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(LOGOUT_S):
                async with anyio.create_task_group() as tasks:
                    for session in self._free:
                        if session.logged_in:
                            tasks.start_soon(self._log_out, session)
            for session in self._free:
                await session.close()
        self._free.clear()

    async def call(self, request: Request) -> object:
        """Send a request over any free session and return the result. Raises as `send` does."""
        async with self.lease() as session:
            return await self.send(session, request)

    async def page(self, path: str) -> str:
        """Return the text of a page of the gallery, as the account sees it.

        Raises `NotOffered` if there is no such page, and what `log_in` and `Session.get` raise.
        """
        async with self.lease() as session:
            for _ in range(2):
                if not session.ready:
                    await self.log_in(session)
                answer = await session.get(f"{self.url}{path}")
                if answer.status == 200:
                    return answer.body.decode("utf-8", "replace")
                session.ready = False  # perhaps only the session has expired
        raise NotOffered(server_failures.NOT_OFFERED(method=path))

    async def download(self, url: str, file: Path) -> Answer | str:
        """Download as `Session.download`, over any free session.

        Logs in again where that may help. Raises what `log_in` and `Session.download` raise.
        """
        async with self.lease() as session:
            for again in (True, False):
                if not session.ready:
                    await self.log_in(session)
                answer = await session.download(url, file)
                if not (again and isinstance(answer, Answer) and answer.status == 401):
                    break
                session.ready = False  # perhaps only the session has expired
            return answer

    async def ping(self) -> None:
        """Send a request that needs no log-in, and log in again if that was refused.

        Raises `Transient` if there is no answer, or the log-in is refused once more.
        """
        async with self.lease() as session:
            method = "pwg.session.getStatus"
            with self._as_seen_so_far():
                interpret(await session.get(f"{self.url}ws.php?format=json&method={method}"))
            if self._login_refused:
                await self.log_in(session)

    async def send(
        self,
        session: Session,
        request: Request,
        *,
        photo: Photo | None = None,
        finishing: bool = False,
        progress: Progress = lambda _: None,
        renamed: tuple[str, str] = ("", ""),
    ) -> object:
        """Send a request over this session and return the result; log in first if necessary.

        Raises what `interpret` and `Session.post` raise. After `SessionLost` the request may be
        sent again, which logs in again.
        """
        if not session.ready:
            await self.log_in(session)
        if request.token and session.token:
            fields = (*request.fields, ("pwg_token", session.token))
            request = replace(request, fields=fields)
        mark = object()

        def sent(size: int) -> None:
            if finishing and request.chunk is not None and size == request.chunk.length:
                self.finishing.add(mark)
            progress(size)

        try:
            with self._as_seen_so_far():
                answer = await session.post(
                    request, photo=photo, finishing=finishing, progress=sent
                )
                return _interpreted(answer, session, renamed=renamed)
        except SessionLost:
            refused = REFUSED_TO_MEMBERS.get(request.method)
            if refused and self.is_member and await self._is_alive(session):
                raise PhotoError(refused()) from None
            raise
        except TooLarge as error:
            if request.chunk is not None:
                raise
            raise Refused(error.failure) from None  # it can't be split
        finally:
            self.finishing.discard(mark)

    async def _is_alive(self, session: Session) -> bool:
        """Return whether a session that was refused something is still logged in."""
        status = read_status(interpret(await session.post(Request("pwg.session.getStatus"))))
        if status.rank not in {"admin", "webmaster"}:
            return False
        session.token = status.token
        session.ready = session.logged_in = True
        return True

    async def send_form(self, form: Form, session: Session, *, method: str) -> object:
        """Send a call of a method as a form and return the result. Raises as `send` does."""
        if not session.ready:
            await self.log_in(session)
        with self._as_seen_so_far():
            return _interpreted(await session.post_form(form, method=method), session)

    async def log_in(self, session: Session) -> Status:
        """Log the session in and return its status.

        Raises `RunError` if the server refuses the user, or if the user is not an administrator,
        but `Blocked` once a log-in has worked, and `SessionLost` if the next request is not logged
        in.
        """
        async with self._login:
            try:
                with self._as_seen_so_far():
                    status = await self._try_log_in(session)
            except Blocked:
                self._login_refused = True
                raise
            except TooLarge as error:  # it can't be split
                raise Refused(error.failure) from None
            self._worked, self._login_refused = True, False
            return status

    @contextmanager
    def _as_seen_so_far(self) -> Iterator[None]:
        """Raise what blocks everything as `RunError` before any log-in worked, else as `Blocked`.

        A server that has accepted the account may do so again: perhaps it is restarting.
        """
        try:
            yield
        except Blocked as error:
            if self._worked:
                raise
            raise RunError(error.failure) from None
        except RunError as error:
            if self._worked:
                raise Blocked(error.failure) from None
            raise

    async def _try_log_in(self, session: Session) -> Status:
        if not self._credentials.api_key:
            await self._send_password(session)
            session.logged_in = True
        status = await self._fetch_status(session)
        self._check_administrator(status)
        session.token = status.token
        session.ready = True
        return status

    async def _send_password(self, session: Session) -> None:
        fields = (
            ("username", self._credentials.user),
            ("password", self._credentials.password),
        )
        try:
            interpret(await session.post(Request("pwg.session.login", fields)))
        except (NotOffered, PhotoError, SessionLost) as error:
            raise RunError(
                run_failures.LOGIN(user=self._credentials.user, url=self.url, reason=error.message)
            ) from None

    async def _fetch_status(self, session: Session) -> Status:
        try:
            return read_status(interpret(await session.post(Request("pwg.session.getStatus"))))
        except SessionLost:
            raise RunError(run_failures.API_KEY()) from None
        except (NotOffered, PhotoError) as error:
            raise RunError(run_failures.ODD_PIWIGO(url=self.url, reason=error.message)) from None

    def _check_administrator(self, status: Status) -> None:
        if status.rank in {"", "admin", "webmaster"}:
            return
        if status.rank == "guest" and self._credentials.api_key:
            raise RunError(run_failures.NO_KEYS(url=self.url))
        if status.rank == "guest":  # the password was accepted a moment ago
            raise SessionLost(server_failures.SESSION_UNKEPT())
        user = status.user or self._credentials.user
        raise RunError(run_failures.NO_ADMIN(user=user, url=self.url, rank=status.rank))

    def _open(self) -> Session:
        return Session(
            self.url,
            connector=self._connector,
            timeouts=self._timeouts,
            throttle=self._throttle,
            api_key=self._credentials.api_key,
            transport=self._transport,
        )

    async def _log_out(self, session: Session) -> None:
        try:
            await session.post(Request("pwg.session.logout"))
        except BulkupError:
            return  # the server ends the session after an hour


def _interpreted(
    answer: Answer, session: Session, *, renamed: tuple[str, str] = ("", "")
) -> object:
    """Return the result of an answer; if it says that the session is lost, log in again later."""
    try:
        return interpret(answer, renamed=renamed)
    except SessionLost:
        session.ready = session.logged_in = False
        raise
