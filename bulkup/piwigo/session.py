"""HTTP sessions: log-in, a pool of logged-in sessions, TLS trust, and translation of errors."""

import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import aiohttp
import anyio
from aiohttp import hdrs

from bulkup import __version__
from bulkup.errors import (
    AnswerLost,
    Blocked,
    BulkupError,
    FailureKind,
    HostUnknown,
    NotOffered,
    PhotoError,
    Refused,
    RunError,
    SendInterrupted,
    SessionLost,
    TimedOut,
    TLSError,
    TooLarge,
    Unreachable,
    UsageError,
)
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures
from bulkup.piwigo.multipart import ChunkForm, Form, Progress, Throttle
from bulkup.piwigo.protocol import ANSWER_LIMIT, Answer, Request, Status, interpret, read_status
from bulkup.source.photos import Photo

FORM: Final[dict[str, str]] = {hdrs.CONTENT_TYPE: "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds: for connecting, without progress in a request, and in a finish."""

    connect_s: float = 30.0
    idle_s: float = 60.0
    finish_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Which TLS certificates are accepted.

    Those that the system trusts, in addition those in the file `ca_cert`, or any if `insecure`.
    """

    ca_cert: Path | None = None
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Return the TLS context; reads files. Raises `UsageError` if `ca_cert` is unusable."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if self.ca_cert is not None:
            try:
                context.load_verify_locations(self.ca_cert)
            except ssl.SSLError:  # which is an OSError too
                reason = "it contains no certificate"
            except OSError as error:
                reason = error.strerror or "it can't be read"
            else:
                reason = ""
            if reason:
                raise UsageError(
                    f"--ca-cert {self.ca_cert}: {reason}",
                    hint="Name a file of certificates in PEM form (-----BEGIN CERTIFICATE-----).",
                )
            # private certificates often violate RFC 5280, or are trusted without their root
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


SYSTEM = Trust()


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
    ) -> None:
        headers: dict[str, str] = {hdrs.USER_AGENT: f"bulkup/{__version__}"}
        if api_key:
            headers["X-PIWIGO-API"] = api_key
        self.token = ""
        self.logged_in = False
        self.ready = False
        self.url = url
        self._timeouts = timeouts
        self._throttle = throttle or Throttle()
        self._client = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar() if api_key else aiohttp.CookieJar(unsafe=True),
            headers=headers,
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
            return await self._post(urlencode(fields).encode(), finishing=finishing, headers=FORM)
        form = ChunkForm(
            photo,
            request=request,
            chunk=request.chunk,
            idle_s=self._timeouts.idle_s,
            throttle=self._throttle,
            progress=progress,
        )
        try:
            return await self._post(form, finishing=finishing)
        except AnswerLost as error:
            if form.error:
                raise form.error from None
            if not form.ended:
                raise SendInterrupted(error.failure) from None
            raise

    async def post_form(self, form: Form) -> Answer:
        """Send a form and return the answer. Raises as `post` does."""
        return await self._post(form)

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
        with _translated_errors(url.partition("ws.php")[0]):
            async with self._client.request(
                verb,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout(finishing=finishing),
            ) as response:
                return await _read(response)

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


@contextmanager
def _translated_errors(url: str) -> Iterator[None]:
    """Translate aiohttp's exceptions, by whether the request may have been sent."""
    try:
        yield
    except aiohttp.ClientConnectorSSLError as error:
        raise TLSError(run_failures.UNSAFE(url=url, reason=_reason(error))) from None
    except aiohttp.ClientConnectorCertificateError as error:
        reason = _reason(error)
        raise TLSError(_certificate_failure(reason)(url=url, reason=reason)) from None
    except aiohttp.ClientConnectorDNSError as error:
        raise HostUnknown(server_failures.UNKNOWN_HOST(url=url, reason=_reason(error))) from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Unreachable(server_failures.UNREACHABLE(url=url, reason=_reason(error))) from None
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise RunError(run_failures.NO_ADDRESS(url=error)) from None
    except TimeoutError:
        raise TimedOut(server_failures.TIMED_OUT()) from None
    except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
        raise AnswerLost(server_failures.BROKEN(reason=_reason(error))) from None


def _certificate_failure(reason: str) -> FailureKind:
    """Return why a certificate is not trusted, from OpenSSL's message."""
    lower = reason.lower()
    if "mismatch" in lower or "not valid for" in lower:
        return run_failures.OTHER_CERTIFICATE
    if "expired" in lower or "not yet valid" in lower:
        return run_failures.OLD_CERTIFICATE
    return run_failures.UNTRUSTED


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's
        return str(getattr(error, "verify_message", "")) or error.reason or "TLS failed"
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


LOGOUT_S: Final = 5.0


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
    ) -> None:
        self.url = url
        self._credentials = credentials
        self._connector = connector
        self._timeouts = timeouts
        self._throttle = throttle
        self._free: list[Session] = []
        self._login = anyio.Lock()
        self._worked = False  # whether any log-in has
        self._login_refused = False  # whether the last one was

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Session]:
        """Provide a session for one task."""
        session = self._free.pop() if self._free else self._open()
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
        try:
            with self._as_seen_so_far():
                answer = await session.post(
                    request, photo=photo, finishing=finishing, progress=progress
                )
                return _interpreted(answer, session, renamed=renamed)
        except TooLarge as error:
            if request.chunk is not None:
                raise
            raise Refused(error.failure) from None  # it can't be split

    async def send_form(self, form: Form, session: Session) -> object:
        """Send a form and return the result. Raises as `send` does."""
        if not session.ready:
            await self.log_in(session)
        with self._as_seen_so_far():
            return _interpreted(await session.post_form(form), session)

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
