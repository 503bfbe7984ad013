"""Sandboxes in a process of their own, and visitors of the front page."""

import asyncio
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import aiohttp

from bulkup.sandbox import Sandbox
from bulkup.sandbox.files import Content

_SEED = 11
_AT_ONCE = 1000
_PICTURE = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100")


@dataclass(frozen=True)
class Stock:
    """Photos that a gallery has from the start: MD5s in the order of ids, photos per album."""

    md5s: Sequence[str]
    per_album: int


@dataclass(frozen=True)
class Stats:
    """What a server counted while it ran; `once`: the MD5s that it has once, in an album."""

    finished_at: tuple[float, ...]
    photos: int
    once: int
    freezes: int
    given_up: int
    peak: int
    size: int
    cpu_s: float


class Host:
    """A process that serves one sandbox after another."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(other_end,), daemon=True)

    async def __aenter__(self) -> Self:
        self._process.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pipe.send(None)
        await asyncio.to_thread(self._process.join, 5)

    async def start(self, options: dict[str, Any], stock: Stock | None = None) -> str:
        """Start a sandbox and return its address."""
        self._pipe.send((options, stock))
        url: str = await asyncio.to_thread(self._pipe.recv)
        return url

    async def stop(self) -> Stats:
        """Stop the sandbox and return its statistics."""
        self._pipe.send("stop")
        stats: Stats = await asyncio.to_thread(self._pipe.recv)
        return stats


def _serve(pipe: Connection) -> None:
    asyncio.run(_serve_all(pipe))


async def _serve_all(pipe: Connection) -> None:
    while order := await asyncio.to_thread(pipe.recv):
        options, stock = order
        began_s = time.process_time()
        async with Sandbox(discard=True, **options) as box:
            if stock is not None:
                await _fill(box, stock)
            pipe.send(box.url)
            await asyncio.to_thread(pipe.recv)
            sums = Counter(photo.md5 for photo in box.gallery.photos.values() if photo.albums)
            pipe.send(
                Stats(
                    finished_at=tuple(box.workers.finished_at),
                    photos=len(box.gallery.photos),
                    once=sum(number == 1 for number in sums.values()),
                    freezes=box.workers.freezes,
                    given_up=box.workers.given_up,
                    peak=box.finishing_peak,
                    size=box.workers.size or 0,
                    cpu_s=time.process_time() - began_s,
                )
            )


async def _fill(box: Sandbox, stock: Stock) -> None:
    """Store photos as if they had been uploaded."""
    content = Content()
    await content.append(_PICTURE)
    gallery = box.gallery

    async def finish() -> None:
        """Do nothing."""

    for start in range(0, len(stock.md5s), _AT_ONCE):
        await asyncio.gather(
            *(
                gallery.store(
                    content,
                    f"IMG_{number:07}.jpg",
                    albums=[1 + number // stock.per_album],
                    level=0,
                    user_id=1,
                    finish=finish,
                    md5=stock.md5s[number],
                )
                for number in range(start, min(start + _AT_ONCE, len(stock.md5s)))
            )
        )
    await gallery.empty_lounge()


class Visitors:
    """Views the front page `rate` times a second at random moments.

    `waits` are the moment and the duration of each view, in seconds.
    """

    def __init__(self, url: str, *, rate: float) -> None:
        self.waits: list[tuple[float, float]] = []
        self._url = url
        self._rate = rate
        self._chance = random.Random(_SEED)  # noqa: S311 (the same in every run)
        self._coming: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._coming = asyncio.create_task(self._come())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._coming:
            self._coming.cancel()
            await asyncio.wait([self._coming])

    async def _come(self) -> None:
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as views:
            while True:
                await asyncio.sleep(self._chance.expovariate(self._rate))
                views.create_task(self._view(http))

    async def _view(self, http: aiohttp.ClientSession) -> None:
        began = time.monotonic()
        async with http.get(self._url) as answer:
            await answer.read()
        self.waits.append((began, time.monotonic() - began))
