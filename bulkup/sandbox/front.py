"""The two halves in front of the methods: the web server with its faults, and PHP's start.

It knows HTTP, cookies, workers and faults, and must not know what a method does.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from aiohttp import web

from bulkup.sandbox.accounts import GUEST, Accounts, User
from bulkup.sandbox.answers import (
    PAGE,
    Answer,
    Died,
    FatalError,
    Refusal,
    fail,
    php_message,
    succeed,
    web_server_page,
)
from bulkup.sandbox.calls import Call, Method, check_params
from bulkup.sandbox.faults import Fault, Faults
from bulkup.sandbox.gallery import Gallery
from bulkup.sandbox.incoming import CutOffError, Incoming, Limits, read, refuse
from bulkup.sandbox.methods.session import log_in
from bulkup.sandbox.versions import Release
from bulkup.sandbox.workers import Workers

_UPLOADS = {"pwg.images.upload", "pwg.images.uploadAsync"}
_NOT_PROCESSED = {
    "408": web_server_page(408, "Request Time-out"),
    "413": web_server_page(413, "Request Entity Too Large"),
    "429": web_server_page(429, "Too Many Requests"),
    "502": web_server_page(502, "Bad Gateway"),
    "503": web_server_page(503, "Service Temporarily Unavailable"),
    "504": web_server_page(504, "Gateway Time-out"),
    "403-html": web_server_page(403, "Forbidden"),
    "html": Answer(200, "text/html; charset=utf-8", "<html><body>Under maintenance</body></html>"),
    "empty-500-before": Answer(500, PAGE, ""),
}
_NOISE = php_message("Warning", "Undefined variable $sandbox")
# What 13 says on PHP 8.2 before every answer.
_NOISE_OF_13 = "".join(
    php_message(
        "Deprecated",
        f"Creation of dynamic property Smarty_Internal_Extension_Handler::${name} is deprecated",
    )
    for name in ("registerPlugin", "registerFilter", "append", "getTemplateVars")
)
_INSTEAD = {
    "504-after": _NOT_PROCESSED["504"],
    "empty-500-after": _NOT_PROCESSED["empty-500-before"],
}


class Seen(NamedTuple):
    """One request as it went by; status 0 when no answer was sent."""

    method: str
    status: int
    fault: str | None


@dataclass(frozen=True, slots=True)
class Options:
    """How this gallery's owner and host have set it up."""

    only: set[str] | None
    limits: Limits
    gateway_timeout_s: float
    chunk_kb: int
    exist_cost_s: float
    php_noise: bool
    show_errors: bool
    path: str


@dataclass(slots=True)
class Sent:
    """What PHP gives back to the web server."""

    answer: Answer
    cookies: dict[str, str | None]


class Front:
    """Answers ws.php."""

    def __init__(
        self,
        release: Release,
        *,
        gallery: Gallery,
        accounts: Accounts,
        workers: Workers,
        faults: Faults,
        methods: Mapping[str, Method],
        options: Options,
    ) -> None:
        self._release = release
        self._gallery = gallery
        self._accounts = accounts
        self._workers = workers
        self._faults = faults
        self._methods = methods
        self._options = options
        self._running: set[asyncio.Task[Sent]] = set()

    async def close(self) -> None:
        """End what PHP still does."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def answer(self, request: web.Request) -> tuple[web.StreamResponse, Seen]:
        """Take one request through the web server, with what spoils it on the way."""
        if refused := refuse(request, self._options.limits):
            return _respond(refused), Seen("", refused.status, None)
        struck: list[Fault | None] = []

        def strike(method: str) -> Fault | None:
            if not struck:
                struck.append(self._faults.strike(method))
            return struck[0]

        def cut(method: str) -> bool:
            fault = strike(method) if method else None
            return fault is not None and fault.kind == "cut"

        try:
            incoming = await read(request, self._options.limits, cut=cut)
        except CutOffError:
            return _hang_up(request), Seen("", 0, "cut")
        fault = strike(incoming.method)
        kind = fault.kind if fault else None
        if kind == "request-lost":
            return _hang_up(request), Seen(incoming.method, 0, kind)
        if early := _NOT_PROCESSED.get(kind or ""):
            wait = {"Retry-After": fault.retry_after} if fault and kind == "429" else {}
            return _respond(early, headers=wait), Seen(incoming.method, early.status, kind)
        sent = await self._through_gateway(incoming, request, fault=fault)
        if kind == "answer-lost" or sent is None:
            return _hang_up(request), Seen(incoming.method, 0, kind)
        answer = _INSTEAD.get(kind or "", sent.answer)
        if kind == "php-noise" and answer.text:
            answer = replace(answer, text=_NOISE + answer.text)
        response = _respond(answer)
        self._set_cookies(response, sent.cookies)
        if kind == "truncated":
            await _send_half(request, answer)
        return response, Seen(incoming.method, answer.status, kind)

    async def identify(self, request: web.Request) -> web.Response:
        """Serve the login page of the browser, whose sessions alone may make API keys."""
        form = await request.post()
        call = self._call(Incoming(query={}), request, fault=None)
        if form:
            name, password = str(form.get("username", "")), str(form.get("password", ""))
            log_in(call, name, password, by="pwg_ui")
            response = web.Response(status=302, headers={"Location": self._options.path})
        else:
            response = web.Response(text="Identification", content_type="text/html")
        self._set_cookies(response, call.cookies)
        return response

    def _set_cookies(self, response: web.Response, cookies: dict[str, str | None]) -> None:
        for name, value in cookies.items():
            if value is None:
                response.del_cookie(name, path=self._options.path)
            else:
                response.set_cookie(name, value, path=self._options.path, httponly=True)

    async def _through_gateway(
        self, incoming: Incoming, request: web.Request, *, fault: Fault | None
    ) -> Sent | None:
        """Hand over to PHP. The web server waits only so long, while PHP goes on."""
        task = asyncio.create_task(self._php(incoming, request, fault=fault))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        done, _ = await asyncio.wait({task}, timeout=self._options.gateway_timeout_s)
        if not done:
            return Sent(_NOT_PROCESSED["504"], {})
        return None if task.cancelled() else task.result()

    async def _php(self, incoming: Incoming, request: web.Request, *, fault: Fault | None) -> Sent:
        async with self._workers.one():
            call = self._call(incoming, request, fault=fault)
            try:
                answer = succeed(await self._invoke(call, incoming, request))
            except (Refusal, Died, FatalError) as error:
                answer = fail(error, show_errors=self._options.show_errors)
            return Sent(self._with_messages(answer, call), call.cookies)

    def _with_messages(self, answer: Answer, call: Call) -> Answer:
        """Put PHP's messages in front, where the host displays them."""
        options, noise = self._options, ""
        if options.php_noise or (options.show_errors and self._release.major < 14):
            noise = _NOISE_OF_13 if self._release.major < 14 else _NOISE
        if options.show_errors:
            noise += "".join(php_message("Warning", text) for text in call.warnings)
        return replace(answer, text=noise + answer.text) if answer.text else answer

    def _call(self, incoming: Incoming, request: web.Request, *, fault: Fault | None) -> Call:
        address = request.remote or ""
        sid = request.cookies.get("pwg_id", "")
        if fault and fault.kind == "expired-session":
            self._accounts.log_out(sid, address=address)
        cookies: dict[str, str | None] = {}
        if not sid:
            sid = self._accounts.new_sid()
            cookies["pwg_id"] = sid
        session = self._accounts.session(sid, address=address)
        user: User = session.user if session else GUEST
        if fault and fault.kind == "damaged":
            _damage(incoming)
        return Call(
            release=self._release,
            gallery=self._gallery,
            accounts=self._accounts,
            workers=self._workers,
            methods=self._methods,
            only=self._options.only,
            chunk_kb=self._options.chunk_kb,
            exist_cost_s=self._options.exist_cost_s,
            base=f"http://{request.host}{self._options.path}",
            address=address,
            user=user,
            sid=sid,
            connected_with=session.connected_with if session else None,
            agent=request.headers.get("User-Agent", ""),
            request=incoming.query | incoming.post,
            files=incoming.files,
            body=incoming.body,
            fault=fault,
            cookies=cookies,
        )

    async def _invoke(self, call: Call, incoming: Incoming, request: web.Request) -> object:
        """Do the checks of every call in Piwigo's order, then call the method."""
        key = request.headers.get("X-PIWIGO-API", "")
        if key and incoming.method and self._release.major >= 16:
            found = self._accounts.key(key)
            if found is None:
                raise Refusal(401, "Invalid api_key")
            call.by_key, call.user, call.connected_with = True, found.user, "api_key"
            incoming.post["pwg_token"] = incoming.query["pwg_token"] = "of the key"  # noqa: S105
        name, password = incoming.post.get("username"), incoming.post.get("password")
        if (
            incoming.method == "pwg.images.uploadAsync"
            and isinstance(name, str)
            and isinstance(password, str)
        ):
            log_in(call, name, password, by=incoming.method)
        if incoming.method not in _UPLOADS and self._gallery.lounge_is_due():
            await self._gallery.empty_lounge()
        if not incoming.method:
            raise Refusal(501, 'Missing "method" name')
        method = self._methods.get(incoming.method)
        if method is None:
            raise Refusal(501, "Method name is not valid")
        if method.post and not incoming.post:
            raise Refusal(405, "This method requires HTTP POST")
        if (method.admin and not call.user.is_admin) or (method.no_key and call.by_key):
            raise Refusal(401, "Access denied")
        call.params = check_params(method.params, given=incoming.post or incoming.query)
        return await method.run(call)


def _damage(incoming: Incoming) -> None:
    for part in incoming.files.values():
        if part.data:
            middle = len(part.data) // 2
            flipped = bytes([part.data[middle] ^ 1])
            part.data = part.data[:middle] + flipped + part.data[middle + 1 :]


def _respond(answer: Answer, *, headers: Mapping[str, str] = {}) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.text.encode(),
        headers={"Content-Type": answer.content_type, **headers},
    )


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _send_half(request: web.Request, answer: Answer) -> None:
    body = answer.text.encode()
    half = web.StreamResponse(status=answer.status)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    _hang_up(request)
