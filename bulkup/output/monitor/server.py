"""The monitor's web server: pages, event stream, and the token that protects them."""

import asyncio
import errno
import hashlib
import hmac
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from anyio import CancelScope, to_thread

from bulkup.errors import UsageError
from bulkup.events import Event
from bulkup.output.monitor.model import Counts, Hub, Place
from bulkup.output.options import LOOPBACK, Listen, bracketed
from bulkup.output.sinks import Periodic

FILES: Final = {
    "monitor.html": "text/html",
    "monitor.css": "text/css",
    "monitor.js": "text/javascript",
    "charts.css": "text/css",
    "charts.js": "text/javascript",
}
"""The page's files and their types."""

OPEN: Final = frozenset({"/healthz", *(f"/{name}" for name in FILES)})
"""Paths that need no token: they hold nothing about the run."""

COOKIE: Final = "bulkup_monitor"
COOKIE_S: Final = 30 * 86400
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # the address may hold the token
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "bulkup",
}
ASK: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>bulkup</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="charts.css">
<link rel="stylesheet" href="monitor.css">
<form class="ask"><h1>bulkup</h1><p>{reason}</p>
<label>Token <input name="token" type="password" autocomplete="current-password" autofocus></label>
<button>Show the run</button></form></html>
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Lets through who may see; remembers who brought the token in a cookie."""

    def __init__(self, listen: Listen) -> None:
        self._token = listen.token
        self._names = {"localhost", "127.0.0.1", "[::1]", bracketed(listen.host)}
        # The cookie proves the token without holding it, also to the next run.
        key = listen.token.encode()
        self._proof = hmac.new(key, b"bulkup monitor", hashlib.sha256).hexdigest()

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or say why not."""
        if not self._token:
            name = request.host.rpartition(":")[0] if _has_port(request.host) else request.host
            if name.lower() not in self._names:
                return web.Response(
                    status=421,
                    text="This monitor answers on this machine only: ask for 127.0.0.1 or "
                    "localhost. Under other names it needs a token (--monitor-token-file).\n",
                )
            return await handler(request)
        if request.path in OPEN:
            return await handler(request)
        brought = self._brought(request)
        if not brought and not _equal(request.cookies.get(COOKIE, ""), self._proof):
            return self._refuse(request)
        response = await handler(request)
        if brought and not response.prepared:
            response.set_cookie(
                COOKIE, self._proof, max_age=COOKIE_S, httponly=True, samesite="Strict"
            )
        return response

    def _brought(self, request: web.Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(given.strip(), self._token):
            return True
        return _equal(request.query.get("token", ""), self._token)

    def _refuse(self, request: web.Request) -> web.Response:
        headers = {"WWW-Authenticate": 'Bearer realm="bulkup"'}
        reason = "That is not its token." if "token" in request.query else "It needs its token."
        if request.path == "/":
            page = ASK.format(reason=reason)
            return web.Response(status=401, text=page, content_type="text/html", headers=headers)
        return web.Response(status=401, text=f"{reason}\n", headers=headers)


def _has_port(host: str) -> bool:
    return host.rpartition("]")[2].find(":") >= 0


def _equal(given: str, secret: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), secret.encode())


async def dress(_: web.Request, response: web.StreamResponse) -> None:
    """Give every answer, also of errors, the headers that keep the page to itself."""
    response.headers.update(HEADERS)


MOST_READERS: Final = 32
SLOW_S: Final = 20.0
PING_S: Final = 15.0
NO_METRICS: Final = (
    "There are no metrics without prometheus-client: pip install 'bulkup[monitor]'\n"
)


class Pages:
    """Answers requests; `files` are the page's, by name. `readers` so many look on."""

    def __init__(self, board: Hub, files: Mapping[str, bytes], *, slow_s: float) -> None:
        self.readers = 0
        self._board = board
        self._files = files
        self._tick = asyncio.Event()
        self._over = False
        self._slow_s = slow_s

    def application(self, guard: Guard) -> web.Application:
        """Return the application, guarded."""
        app = web.Application(middlewares=[web.middleware(guard)])
        app.on_response_prepare.append(dress)
        app.router.add_get("/", self._page)
        app.router.add_get(r"/{name:(?:monitor|charts)\.(?:css|js)}", self._file)
        app.router.add_get("/events", self._events, allow_head=False)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._health)
        return app

    def tick(self, *, over: bool = False) -> None:
        """Have every reader told what there is to be seen; `over`: for the last time."""
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
        figures = self._board.figures(request.headers.get("Accept", ""))
        if figures is None:
            return web.Response(status=501, text=NO_METRICS)
        body, content_type = figures
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self.readers >= MOST_READERS:
            return web.Response(status=503, text="Too many look on already.\n")
        self.readers += 1
        try:
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            )
            await response.prepare(request)
            await self._read_to(response)
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()  # what it has not taken is dropped with it
        finally:
            self.readers -= 1
        return response

    async def _read_to(self, response: web.StreamResponse) -> None:
        place = Place()
        now = asyncio.get_running_loop().time
        latest, sent_at = "", 0.0
        while True:
            tick, over = self._tick, self._over
            message = self._board.message(place)
            if message != latest or now() - sent_at >= PING_S:
                latest, sent_at = message, now()
                async with asyncio.timeout(self._slow_s):
                    await response.write(f"data: {message}\n\n".encode())
            if over:
                return
            await tick.wait()


TICK_S: Final = 0.5
FAREWELL_S: Final = 2.0
"""So long may a reader take to hear the end, in seconds."""

QUIET: Final = logging.getLogger("bulkup.output.monitor")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False  # broken requests are no matter of whoever looks at the terminal


class Monitor:
    """Serves runs: open it with `async with`, hand events to `emit`, and `end` each run.

    Opening raises `UsageError` where the address can't be had. The page changes every `tick_s`
    seconds; a reader that takes nothing for `slow_s` is dropped. Once open, `address` is the URL.
    """

    def __init__(
        self,
        listen: Listen,
        *,
        clock: Callable[[], float],
        tick_s: float = TICK_S,
        slow_s: float = SLOW_S,
    ) -> None:
        self.address = ""
        self._listen = listen
        self._board = Hub(clock=clock)
        self._pages: Pages | None = None
        self._runner: web.AppRunner | None = None
        self._slow_s = slow_s
        self._ticks = Periodic(self._on_tick, every_s=tick_s, sleep=asyncio.sleep)

    async def __aenter__(self) -> Self:
        pages = await to_thread.run_sync(_page_files)
        self._board.counts = await to_thread.run_sync(_counts)
        self._pages = Pages(self._board, pages, slow_s=self._slow_s)
        self._runner = web.AppRunner(
            self._pages.application(Guard(self._listen)),
            access_log=None,
            logger=QUIET,
            shutdown_timeout=FAREWELL_S,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._listen.host, self._listen.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise _no_address(self._listen, error) from None
        self.address = self._address()
        self._ticks.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._ticks.stop()
        finally:
            self._board.close()
            if self._pages is not None:
                self._pages.tick(over=True)
            runner, self._runner = self._runner, None
            if runner is not None:
                with CancelScope(shield=True):
                    await runner.cleanup()

    @property
    def readers(self) -> int:
        """How many look on."""
        return self._pages.readers if self._pages else 0

    def emit(self, event: Event) -> None:
        """Take in what has happened; it is shown with the next tick."""
        self._board.emit(event)

    def end(self) -> None:
        """Show how the run ended; what happens from now on is another one's."""
        self._board.end()

    def _on_tick(self) -> None:
        self._board.tick()
        if self._pages is not None:
            self._pages.tick()

    def _address(self) -> str:
        """Return where to look, with the port that was got."""
        port = self._listen.port
        if self._runner is not None:
            for address in self._runner.addresses:
                port = address[1]
        host = self._listen.host
        if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not opened)
            host = socket.gethostname()
        return f"http://{bracketed(host)}:{port}/"


def _counts() -> Counts | None:
    """Return who counts for Prometheus, None without its library."""
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


def _no_address(listen: Listen, error: OSError) -> UsageError:
    where = f"--monitor {listen.authority}"
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"{where}: another program listens there, perhaps another run",
            hint=f"Take another port, or any that is free: {bracketed(listen.host)}:0.",
        )
    if error.errno == errno.EACCES:
        return UsageError(
            f"{where}: this user may not listen there", hint="Take a port from 1024 on."
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return UsageError(
            f"{where}: that is no address of this machine",
            hint=f"Listen on {LOOPBACK}, or with a token on 0.0.0.0, which means all addresses.",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UsageError(f"{where}: {reason}", hint=f"Try {LOOPBACK}:0.")
