"""The monitor's pages: the page itself, its stream of messages, and the figures.

Knows requests and a board; not how the board comes by what it says. A reader gets what there is
to be seen at the moment it can be sent, so that a slow one skips, and one that takes nothing for
`SLOW_S` seconds is dropped.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from bulkup.monitor.board import Board, Place
from bulkup.monitor.guard import Guard, dress

MOST_READERS: Final = 32
SLOW_S: Final = 20.0
PING_S: Final = 15.0
TYPES: Final = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
NO_METRICS: Final = (
    "There are no metrics without prometheus-client: pip install 'bulkup[monitor]'\n"
)


class Pages:
    """Answers requests; `files` are the page's, by name. `readers` so many look on."""

    def __init__(self, board: Board, files: Mapping[str, bytes], *, slow_s: float) -> None:
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
        app.router.add_get("/{name:page\\.(?:css|js)}", self._file)
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
        return self._answer("page.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._answer(request.match_info["name"])

    def _answer(self, name: str) -> web.Response:
        return web.Response(body=self._files[name], content_type=TYPES[name], charset="utf-8")

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
