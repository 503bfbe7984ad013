"""A run as tests of the views tell it, event by event, and what they share to look at one."""

import asyncio
from dataclasses import replace
from pathlib import Path

from anyio import wait_all_tasks_blocked

from bulkup.events import (
    Event,
    FileFound,
    PhotoChecked,
    PhotoFailed,
    PhotoProgress,
    PhotoStarted,
    PhotoUploaded,
    RunStarted,
)
from bulkup.kinds import Verdict

RUN = RunStarted(
    url="https://photos.example.org",
    version="14.5.0",
    user="me",
    album=9,
    album_name="Holidays",
    method="uploadAsync",
    concurrency=8,
    chunk_size=1_000_000,
)
CHECK = replace(RUN, task="verify", method="checkFiles", chunk_size=0)
FOLDER = Path("/photos/2019")
NASTY = [
    "[red]x[bold].jpg",
    "clear\x1b[2J\x1b[1;1H.jpg",
    "new\nline\r.jpg",
    "\u202egpj.exe",
    "<b>bold</b><script>alert(1)<",
    "bad\udcff\udcfe.jpg",
    "日本語の写真とても長い名前です旅行の思い出の写真.jpg",
    "👨\u200d👩\u200d👧 family.jpg",
    "שלום עולם.jpg",
    "e\u0301" * 60 + ".jpg",
    "long" * 60 + ".jpg",
]


class SlowClock:
    """A clock, and a sleep that ends when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._pause: asyncio.Future[None] | None = None

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._pause = asyncio.get_running_loop().create_future()
        await self._pause

    async def wake(self, *, at: float | None = None) -> None:
        await wait_all_tasks_blocked()
        self.now = self.now if at is None else at
        assert self._pause
        self._pause.set_result(None)
        await wait_all_tasks_blocked()


def at(name: str | Path) -> Path:
    return FOLDER / name


def found(*names: str, size: int = 10_000_000) -> list[FileFound]:
    return [FileFound(path=at(name), size=size) for name in names]


def starting(*names: str, size: int = 10_000_000, sent: int = 0) -> list[Event]:
    events: list[Event] = []
    for name in names:
        events += found(name, size=size)
        events.append(PhotoStarted(path=at(name), size=size, attempt=1))
        events.append(PhotoProgress(path=at(name), sent=sent))
    return events


def uploaded(name: str | Path, size: int = 10_000_000) -> PhotoUploaded:
    return PhotoUploaded(
        path=at(name), size=size, md5="0" * 32, image_id=1, attempts=1, seconds=1.0
    )


def failure(name: str, *, reason: str = "no image", hint: str = "") -> PhotoFailed:
    return PhotoFailed(path=at(name), size=1, reason=reason, hint=hint)


def failing(name: str) -> list[Event]:
    return [FileFound(path=at(name), size=1), failure(name)]


def checked(name: str, verdict: Verdict = Verdict.MISSING) -> PhotoChecked:
    fine = verdict is Verdict.PRESENT
    return PhotoChecked(
        path=at(name),
        size=1_000_000,
        verdict=verdict,
        image_id=1,
        reason="" if fine else "it is not there",
        hint="" if fine else "Upload again.",
    )
