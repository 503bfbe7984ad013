"""Requests over aiohttp: sessions with their cookies, time-outs, and what failures mean.

Knows sockets, and no method of Piwigo. What aiohttp raises is translated here into the
project's own errors; nothing of aiohttp leaks upward. No POST follows a redirect.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import hdrs

from bulkup import __version__
from bulkup.errors import CutShort, Lost, RunError, TimedOut, Unreachable, Untrusted
from bulkup.failures import Kind, answers, stops
from bulkup.photos import Photo
from bulkup.piwigo.bodies import ChunkBody, Form, Progress
from bulkup.piwigo.throttle import Throttle
from bulkup.piwigo.wire import ANSWER_LIMIT, Answer, Request

FORM: Final[dict[str, str]] = {hdrs.CONTENT_TYPE: "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long nothing may happen, in seconds: while connecting, in a request, in a finish."""

    connect_s: float = 30.0
    idle_s: float = 60.0
    finish_s: float = 300.0


class Session:
    """One cookie jar on the shared connections, with the token that goes with its log-in."""

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
        """Forget the cookies; the connections belong to whoever made them."""
        await self._client.close()

    async def get(self, url: str) -> Answer:
        """Return what a GET answers, redirects included as answers. Raises as `post` does."""
        with _translated(url.partition("?")[0]):
            async with self._client.get(
                url, allow_redirects=False, timeout=self._timeout(finishing=False)
            ) as response:
                return await _read(response)

    async def post(
        self,
        request: Request,
        *,
        photo: Photo | None = None,
        finishing: bool = False,
        progress: Progress = lambda _: None,
    ) -> Answer:
        """Return what the server answers; `finishing` grants it the longer time-out.

        Raises `Lost` where the fate of the request is unknown, `CutShort` where the photo's part
        can't have arrived whole, `Unreachable` where nothing was sent, `RunError` where no
        connection will ever come about, and `PhotoError` where the photo can't be read.
        """
        body = None
        data: bytes | Form
        if photo is None or request.chunk is None:
            fields = (("method", request.method), *request.fields)
            data, headers = urlencode(fields).encode(), FORM
        else:
            data = body = ChunkBody(
                photo,
                request=request,
                chunk=request.chunk,
                idle_s=self._timeouts.idle_s,
                throttle=self._throttle,
                progress=progress,
            )
            headers = {}
        try:
            with _translated(self.url):
                async with self._client.post(
                    f"{self.url}ws.php?format=json",
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    timeout=self._timeout(finishing=finishing),
                ) as response:
                    return await _read(response)
        except Lost as error:
            if body and body.error:
                raise body.error from None
            if body and not body.ended:
                raise CutShort(error.told) from None
            raise

    async def post_form(self, form: Form) -> Answer:
        """Return what the server answers to a form as it is. Raises as `post` does."""
        with _translated(self.url):
            async with self._client.post(
                f"{self.url}ws.php?format=json",
                data=form,
                allow_redirects=False,
                timeout=self._timeout(finishing=False),
            ) as response:
                return await _read(response)

    def _timeout(self, *, finishing: bool) -> aiohttp.ClientTimeout:
        limits = self._timeouts
        return aiohttp.ClientTimeout(
            total=None,
            connect=None,  # waiting for a free connection of our own is no failure
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
    """Return the seconds that a `Retry-After` asks for; a date counts from the answer's `date`."""
    if value.strip().isdecimal():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(date)
        return max(0.0, wait.total_seconds())
    except (ValueError, TypeError, OverflowError):  # all of them get out of email.utils
        return None


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn what aiohttp raises into the project's errors, told by whether anything was sent."""
    try:
        yield
    except aiohttp.ClientConnectorSSLError as error:
        raise Untrusted(stops.UNSAFE(url=url, reason=_reason(error))) from None
    except aiohttp.ClientConnectorCertificateError as error:
        reason = _reason(error)
        kind = _distrust(reason)
        raise Untrusted(kind(url=url, reason=reason)) from None
    except aiohttp.ClientConnectorDNSError as error:
        raise Unreachable(answers.UNKNOWN_HOST(url=url, reason=_reason(error))) from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Unreachable(answers.UNREACHABLE(url=url, reason=_reason(error))) from None
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise RunError(stops.NO_ADDRESS(url=error)) from None
    except TimeoutError:
        raise TimedOut(answers.TIMED_OUT()) from None
    except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
        raise Lost(answers.BROKEN(reason=_reason(error))) from None


def _distrust(reason: str) -> Kind:
    """Return why a certificate is none to trust, by OpenSSL's words for it."""
    lower = reason.lower()
    if "mismatch" in lower or "not valid for" in lower:
        return stops.OTHER_CERTIFICATE
    if "expired" in lower or "not yet valid" in lower:
        return stops.OLD_CERTIFICATE
    return stops.UNTRUSTED


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, ssl.SSLError):  # its number is OpenSSL's
        return str(getattr(error, "verify_message", "")) or error.reason or "TLS failed"
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
