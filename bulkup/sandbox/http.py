"""HTTP in front of the sandbox, as a web server with PHP behind it behaves."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from aiohttp import web

from bulkup.sandbox.answers import PAGE, Answer, web_server_page
from bulkup.sandbox.call import CutOffError, Incoming, Limits, read, refuse
from bulkup.sandbox.dispatch import NOISE, Backend, Caller, Sent
from bulkup.sandbox.faults import Fault, Faults

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
_INSTEAD: dict[str, Answer] = {
    "504-after": _NOT_PROCESSED["504"],
    "empty-500-after": _NOT_PROCESSED["empty-500-before"],
}
Oversize = Literal["413", "reset", "500"]
"""What becomes of a body over the limit: refused, the connection cut, or PHP dies of it."""


class Seen(NamedTuple):
    """One request as it went by; status 0 when no answer was sent."""

    method: str
    status: int
    fault: str | None


class Front:
    """Takes requests to the backend and answers back, unless something spoils it."""

    def __init__(
        self,
        backend: Backend,
        *,
        faults: Faults,
        limits: Limits,
        oversize: Oversize,
        gateway_timeout_s: float,
        path: str,
    ) -> None:
        self._backend = backend
        self._faults = faults
        self._limits = limits
        self._oversize = oversize
        self._gateway_timeout_s = gateway_timeout_s
        self._path = path
        self._running: set[asyncio.Task[Sent]] = set()

    async def close(self) -> None:
        """End what PHP still does."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def page(self) -> web.StreamResponse:
        """Serve the page to look at."""
        return self._respond(await self._through_gateway(self._backend.front_page()))

    async def identify(self, request: web.Request) -> web.StreamResponse:
        """Serve the login page."""
        form = await request.post()
        return self._respond(await self._backend.identify(form, _caller(request)))

    async def answer(self, request: web.Request) -> tuple[web.StreamResponse, Seen]:
        """Take one call of ws.php through the web server."""
        if refused := refuse(request, self._limits):
            if refused.status == 413 and self._oversize == "reset":
                return _hang_up(request), Seen("", 0, None)
            if refused.status == 413 and self._oversize == "500":
                await request.content.read()
                refused = _NOT_PROCESSED["empty-500-before"]
            return self._respond(Sent(refused)), Seen("", refused.status, None)
        struck: list[Fault | None] = []

        def strike(method: str) -> Fault | None:
            if not struck:
                struck.append(self._faults.strike(method))
            return struck[0]

        def cut(method: str) -> bool:
            fault = strike(method) if method else None
            return fault is not None and fault.kind == "cut"

        try:
            incoming = await read(request, self._limits, cut=cut)
        except CutOffError as cut_off:
            return _hang_up(request), Seen(str(cut_off), 0, "cut")
        except ConnectionError:
            return _hang_up(request), Seen("", 0, None)
        sent = await self._pass_on(incoming, request, fault=strike(incoming.method))
        kind = struck[0].kind if struck[0] else None
        if sent is None:
            return _hang_up(request), Seen(incoming.method, 0, kind)
        seen = Seen(incoming.method, sent.answer.status, kind)
        if kind == "truncated":
            return await _send_half(request, sent.answer), seen
        return self._respond(sent), seen

    async def _pass_on(
        self, incoming: Incoming, request: web.Request, *, fault: Fault | None
    ) -> Sent | None:
        """Give the answer, as what struck the request leaves it; None when there is none."""
        kind = fault.kind if fault else ""
        if kind in {"request-lost", "cut"}:
            return None
        if early := _NOT_PROCESSED.get(kind):
            wait = {"Retry-After": fault.retry_after} if fault and kind == "429" else {}
            return Sent(replace(early, headers=wait))
        if kind == "damaged":
            _damage(incoming)
        sent = await self._through_gateway(
            self._backend.call(incoming, _caller(request), fault=fault)
        )
        if kind == "answer-lost":
            return None
        if kind == "php-noise":
            return replace(sent, answer=replace(sent.answer, text=NOISE + sent.answer.text))
        return Sent(_INSTEAD[kind]) if kind in _INSTEAD else sent

    async def _through_gateway(self, php: Coroutine[Any, Any, Sent]) -> Sent:
        """Hand over to PHP. The web server waits only so long, while PHP goes on."""
        task = asyncio.create_task(php)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        done, _ = await asyncio.wait({task}, timeout=self._gateway_timeout_s)
        if not done or task.cancelled():
            return Sent(_NOT_PROCESSED["504"])
        return task.result()

    def _respond(self, sent: Sent) -> web.Response:
        answer = sent.answer
        response = web.Response(
            status=answer.status,
            body=answer.text.encode(),
            headers={"Content-Type": answer.content_type, **answer.headers},
        )
        for name, value in sent.cookies.items():
            if value is None:
                response.del_cookie(name, path=self._path)
            else:
                response.set_cookie(name, value, path=self._path, httponly=True)
        return response


def _caller(request: web.Request) -> Caller:
    return Caller(
        address=request.remote or "",
        host=request.host,
        sid=request.cookies.get("pwg_id", ""),
        key=request.headers.get("X-PIWIGO-API", ""),
        agent=request.headers.get("User-Agent", ""),
    )


def _damage(incoming: Incoming) -> None:
    for part in incoming.files.values():
        if part.data:
            middle = len(part.data) // 2
            flipped = bytes([part.data[middle] ^ 1])
            part.data = part.data[:middle] + flipped + part.data[middle + 1 :]


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _send_half(request: web.Request, answer: Answer) -> web.StreamResponse:
    body = answer.text.encode()
    half = web.StreamResponse(status=answer.status)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    _hang_up(request)
    return half
