"""A web server that receives notifications."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """The notifications received; answers with `status`, or, if `silent`, never."""

    port: int = 0
    status: int = 200
    silent: bool = False
    got: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> str:
        """The address for apprise, with a secret in it."""
        return f"json://127.0.0.1:{self.port}/s3cret-path"

    async def take(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.got.append(await request.json())
        if self.silent:
            try:
                await asyncio.Event().wait()
            finally:
                self.dropped.set()
        return web.Response(status=self.status)


@asynccontextmanager
async def receiver(*, status: int = 200, silent: bool = False) -> AsyncIterator[Receiver]:
    there = Receiver(status=status, silent=silent)
    app = web.Application()
    app.router.add_post("/{path:.*}", there.take)
    runner = web.AppRunner(app, shutdown_timeout=1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        there.port = runner.addresses[0][1]
        yield there
    finally:
        await runner.cleanup()
