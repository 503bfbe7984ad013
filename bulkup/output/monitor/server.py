"""The monitor's web server: page, event stream, metrics, and the token that protects them."""

import asyncio
import errno
import hashlib
import hmac
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from anyio import CancelScope, to_thread

from bulkup.errors import UsageError
from bulkup.events import Event
from bulkup.output.monitor.model import Cursor, Hub
from bulkup.output.options import LOOPBACK, ListenAddress, bracketed
from bulkup.output.sinks import Periodic

if TYPE_CHECKING:
    from bulkup.output.monitor.metrics import Metrics

FILES: Final = {
    "monitor.html": "text/html",
    "monitor.css": "text/css",
    "monitor.js": "text/javascript",
    "charts.css": "text/css",
    "charts.js": "text/javascript",
}
"""The page's files and their types."""

OPEN: Final = frozenset({"/healthz", *(f"/{name}" for name in FILES)})
"""Paths that need no token: they contain nothing about the run."""

COOKIE: Final = "bulkup_monitor"
COOKIE_S: Final = 30 * 86400
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # the address may contain the token
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "bulkup",
}
LOGIN_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>bulkup</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="charts.css">
<link rel="stylesheet" href="monitor.css">
<form class="ask"><h1>bulkup</h1><p>{reason}</p>
<label>Token <input name="token" type="password" autocomplete="current-password" autofocus></label>
<button>Show the run</button></form></html>
"""


class Guard:
    """Middleware that checks the token, or without one the host name, and sets a cookie."""

    def __init__(self, listen: ListenAddress) -> None:
        self._token = listen.token
        self._names = {"localhost", "127.0.0.1", "[::1]", bracketed(listen.host)}
        # the cookie proves knowledge of the token without containing it, also to the next run
        key = listen.token.encode()
        self._proof = hmac.new(key, b"bulkup monitor", hashlib.sha256).hexdigest()

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request, or refuse it."""
        if not self._token:
            name = request.host.rpartition(":")[0] if _has_port(request.host) else request.host
            if name.lower() not in self._names:
                return web.Response(
                    status=421,
                    text="This monitor serves this machine only: open 127.0.0.1 or localhost. "
                    "Other host names need a token (--monitor-token-file).\n",
                )
            return await handler(request)
        if request.path in OPEN:
            return await handler(request)
        authorized = self._is_authorized(request)
        if not authorized and not equal(request.cookies.get(COOKIE, ""), self._proof):
            return self._refuse(request)
        response = await handler(request)
        if authorized and not response.prepared:
            response.set_cookie(
                COOKIE, self._proof, max_age=COOKIE_S, httponly=True, samesite="Strict"
            )
        return response

    def _is_authorized(self, request: web.Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and equal(given.strip(), self._token):
            return True
        return equal(request.query.get("token", ""), self._token)

    def _refuse(self, request: web.Request) -> web.Response:
        headers = {"WWW-Authenticate": 'Bearer realm="bulkup"'}
        reason = "Wrong token." if "token" in request.query else "This page needs a token."
        if request.path == "/":
            page = LOGIN_PAGE.format(reason=reason)
            return web.Response(status=401, text=page, content_type="text/html", headers=headers)
        return web.Response(status=401, text=f"{reason}\n", headers=headers)


def _has_port(host: str) -> bool:
    return host.rpartition("]")[2].find(":") >= 0


def equal(given: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), secret.encode())


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers to every response, also to errors."""
    response.headers.update(HEADERS)


MAX_READERS: Final = 32
SLOW_S: Final = 20.0
PING_S: Final = 15.0
NO_METRICS: Final = "Metrics need prometheus-client: pip install 'bulkup[monitor]'\n"


class Pages:
    """Request handlers; `files` are those of the page by name, `readers` counts open streams."""

    def __init__(self, hub: Hub, files: Mapping[str, bytes], *, slow_s: float) -> None:
        self.readers = 0
        self._hub = hub
        self._files = files
        self._tick = asyncio.Event()
        self._over = False
        self._slow_s = slow_s

    def application(
        self, guard: Middleware, routes: Iterable[web.AbstractRouteDef] = ()
    ) -> web.Application:
        """Return the web application; `routes` are added, and replace the page."""
        app = web.Application(middlewares=[web.middleware(guard)])
        app.on_response_prepare.append(add_headers)
        if not app.add_routes(routes):
            app.router.add_get("/", self._page)
        app.router.add_get(r"/{name:(?:monitor|charts)\.(?:css|js)}", self._file)
        app.router.add_get("/events", self._events, allow_head=False)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._health)
        return app

    def tick(self, *, over: bool = False) -> None:
        """Send the state to every reader, with `over` for the last time."""
        self._over = self._over or over
        tick, self._tick = self._tick, asyncio.Event()
        tick.set()

    async def _page(self, _: web.Request) -> web.Response:
        return self._answer("monitor.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._answer(request.match_info["name"])

    def _answer(self, name: str) -> web.Response:
        return web.Response(body=self._files[name], content_type=FILES[name], charset="utf-8")

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        page = self._hub.metrics_page(request.headers.get("Accept", ""))
        if page is None:
            return web.Response(status=501, text=NO_METRICS)
        body, content_type = page
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self.readers >= MAX_READERS:
            return web.Response(status=503, text="Too many readers.\n")
        self.readers += 1
        try:
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            )
            await response.prepare(request)
            await self._stream_to(response)
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()  # discards unsent data
        finally:
            self.readers -= 1
        return response

    async def _stream_to(self, response: web.StreamResponse) -> None:
        cursor = Cursor()
        now = asyncio.get_running_loop().time
        latest, sent_at = "", 0.0
        while True:
            tick, over = self._tick, self._over
            message = self._hub.message(cursor)
            if message != latest or now() - sent_at >= PING_S:
                latest, sent_at = message, now()
                async with asyncio.timeout(self._slow_s):
                    await response.write(f"data: {message}\n\n".encode())
            if over:
                return
            await tick.wait()


TICK_S: Final = 0.5
SHUTDOWN_S: Final = 2.0
"""How long a reader may take to receive the last message, in seconds."""

QUIET: Final = logging.getLogger("bulkup.output.monitor")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False  # errors of broken requests must not reach the terminal


class Monitor:
    """Serves runs: open it with `async with`, pass events to `emit`, and `end` each run.

    Opening raises `UsageError` if it can't listen on the address. The page changes every `tick_s`
    seconds; a reader that receives nothing for `slow_s` seconds is disconnected. Once it is open,
    `address` is the URL. `guard` protects the pages in place of the token, and `routes` replace
    the page itself.
    """

    def __init__(
        self,
        listen: ListenAddress,
        *,
        clock: Callable[[], float],
        tick_s: float = TICK_S,
        slow_s: float = SLOW_S,
        guard: Middleware | None = None,
        routes: Iterable[web.AbstractRouteDef] = (),
    ) -> None:
        self.address = ""
        self._listen = listen
        self._guard = guard or Guard(listen)
        self._routes = routes
        self._hub = Hub(clock=clock)
        self._pages: Pages | None = None
        self._runner: web.AppRunner | None = None
        self._slow_s = slow_s
        self._ticks = Periodic(self._on_tick, every_s=tick_s, sleep=asyncio.sleep)

    async def __aenter__(self) -> Self:
        pages = await to_thread.run_sync(_page_files)
        self._hub.metrics = await to_thread.run_sync(_metrics)
        self._pages = Pages(self._hub, pages, slow_s=self._slow_s)
        self._runner = web.AppRunner(
            self._pages.application(self._guard, self._routes),
            access_log=None,
            logger=QUIET,
            shutdown_timeout=SHUTDOWN_S,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._listen.host, self._listen.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise _listen_error(self._listen, error) from None
        self.address = self._address()
        self._ticks.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            self._ticks.stop()
        finally:
            self._hub.close()
            if self._pages is not None:
                self._pages.tick(over=True)
            runner, self._runner = self._runner, None
            if runner is not None:
                with CancelScope(shield=True):
                    await runner.cleanup()

    @property
    def readers(self) -> int:
        """How many readers are connected."""
        return self._pages.readers if self._pages else 0

    def emit(self, event: Event) -> None:
        """Apply an event; the next tick shows it."""
        self._hub.emit(event)

    def begin(self) -> None:
        """Show a run that has not emitted an event yet."""
        self._hub.begin()

    def end(self) -> None:
        """End the run; later events belong to another one."""
        self._hub.end()

    def _on_tick(self) -> None:
        self._hub.tick()
        if self._pages is not None:
            self._pages.tick()

    def _address(self) -> str:
        """Return the URL with the port in use."""
        port = self._listen.port
        if self._runner is not None:
            for address in self._runner.addresses:
                port = address[1]
        host = self._listen.host
        if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not opened)
            host = socket.gethostname()
        return f"http://{bracketed(host)}:{port}/"


def _metrics() -> "Metrics | None":
    """Return the metrics for Prometheus, None without its library."""
    try:
        from bulkup.output.monitor.metrics import Metrics  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        return None
    return Metrics()


def _page_files() -> dict[str, bytes]:
    folder = files("bulkup.output") / "pages"
    return {name: (folder / name).read_bytes() for name in FILES}


def _listen_error(listen: ListenAddress, error: OSError) -> UsageError:
    where = f"{listen.flag} {listen.authority}"
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"{where}: another program is using this port, perhaps another run",
            hint="Use another port, or 0 for any free one.",
        )
    if error.errno == errno.EACCES:
        return UsageError(
            f"{where}: this user may not use that port", hint="Use a port from 1024 on."
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return UsageError(
            f"{where}: that is not an address of this machine",
            hint=f"Use {LOOPBACK}, or 0.0.0.0 with a token, which means all addresses.",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UsageError(f"{where}: {reason}", hint=f"Try {LOOPBACK}:0.")
