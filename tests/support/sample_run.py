"""Sample events of photos and of a whole run, hostile file names, a manual clock.

A file is named by a `Path`, taken as it is, or by a string, which is a name in `FOLDER`.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from anyio import wait_all_tasks_blocked

from bulkup import events
from bulkup.output.state import RunState

RUN = events.RunStarted(
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
DRY_RUN = replace(RUN, task="dry-run")
FOLDER = Path("/photos/2019")
MD5 = "0123456789abcdef0123456789abcdef"
HOSTILE = [
    "=cmd|' /C calc'!A0.jpg",
    "<script>document.title='owned'</script>.jpg",
    "<img src=x onerror=alert(1)>.jpg",
    '"quoted", and\nin two lines.jpg',
    "clear\x1b[2J\x1b[1;1H.jpg",
    "\u202egpj.exe",
    "bad\udcff\udcfe.jpg",
    "[red]x[bold].jpg",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "שלום עולם.jpg",
    "new\nline\r.jpg",
    "日本語の写真とても長い名前です旅行の思い出の写真.jpg",
    "👨\u200d👩\u200d👧 family.jpg",
    "e\u0301" * 60 + ".jpg",
    "long" * 60 + ".jpg",
    "x" * 251 + ".jpg",
]


class ManualClock:
    """A clock that the test sets, and a sleep that the test ends."""

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
    return name if isinstance(name, Path) else FOLDER / name


def found(*names: str | Path, size: int = 10_000_000) -> list[events.FileFound]:
    return [events.FileFound(path=at(name), size=size) for name in names]


def uploaded(name: str | Path, size: int = 10_000_000) -> events.PhotoUploaded:
    return events.PhotoUploaded(
        path=at(name), size=size, md5=MD5, image_id=7, attempts=1, seconds=1.25, albums=(9, 12)
    )


def present(name: str | Path, *, size: int = 20, linked: bool = False) -> events.PhotoPresent:
    return events.PhotoPresent(
        path=at(name), size=size, image_id=3, linked=linked, md5=MD5, albums=(9,)
    )


def skipped(name: str | Path, *, size: int = 30) -> events.FileSkipped:
    return events.FileSkipped(path=at(name), size=size, reason=events.SkipReason.TYPE)


def unfinished(name: str | Path, *, size: int = 50) -> events.PhotoUnfinished:
    return events.PhotoUnfinished(path=at(name), size=size)


def failure(name: str | Path, *, reason: str = "no image", hint: str = "") -> events.PhotoFailed:
    return events.PhotoFailed(path=at(name), size=1, reason=reason, hint=hint, md5=MD5)


def new(name: str | Path) -> events.PhotoNew:
    return events.PhotoNew(path=at(name), size=5_000_000, md5=MD5)


def checked(
    name: str | Path, verdict: events.Verdict = events.Verdict.MISSING
) -> events.PhotoChecked:
    fine = verdict is events.Verdict.PRESENT
    return events.PhotoChecked(
        path=at(name),
        size=1_000_000,
        verdict=verdict,
        image_id=1,
        reason="" if fine else "it is not there",
        hint="" if fine else "Upload again.",
    )


def starting(*names: str | Path, size: int = 10_000_000, sent: int = 0) -> list[events.Event]:
    """Return the events until `sent` bytes of each photo are sent."""
    emitted: list[events.Event] = []
    for name in names:
        emitted += found(name, size=size)
        emitted.append(events.PhotoStarted(path=at(name), size=size, attempt=1))
        emitted.append(events.PhotoProgress(path=at(name), sent=sent))
    return emitted


def uploading(name: str | Path, *, size: int = 3_000_000) -> list[events.Event]:
    """Return the events of a photo from its discovery to the end of its upload."""
    path = at(name)
    return [
        *starting(name, size=size, sent=size // 2),
        events.PhotoFinishing(path=path),
        events.PhotoProgress(path=path, sent=size),
        events.PhotoFinished(path=path, seconds=0.5),
        uploaded(name, size),
    ]


def failing(
    name: str | Path, *, tries: int = 0, reason: str = "no image", hint: str = ""
) -> list[events.Event]:
    """Return the events of a photo from its discovery to its failure after some tries."""
    attempts = range(1, tries + 1)
    return [
        *found(name, size=1),
        *(events.PhotoStarted(path=at(name), size=1, attempt=attempt) for attempt in attempts),
        failure(name, reason=reason, hint=hint),
    ]


def whole_run() -> list[events.Event]:
    """Return the events of a run with one file of each outcome, `a.jpg` to `e.jpg`."""
    there, other, ended = Path("b.jpg"), Path("c.mov"), Path("e.jpg")
    return [
        RUN,
        events.LimitsChanged(finishing=2, most_finishing=6),
        *uploading(Path("a.jpg")),
        *found(there, size=20),
        present(there, linked=True),
        *found(other, size=30),
        skipped(other),
        *failing(
            Path("d.jpg"), tries=2, reason="the file is empty", hint="Look for an intact copy."
        ),
        *found(ended, size=50),
        events.ScanFinished(),
        unfinished(ended),
        events.RunFinished(seconds=3.0),
    ]


def state_after(*emitted: events.Event) -> RunState:
    """Return the state of a run after events at time 0."""
    return apply(RunState(), emitted)


def apply(state: RunState, emitted: Iterable[events.Event], *, now: float = 0.0) -> RunState:
    """Apply events at time `now` and return the state."""
    for event in emitted:
        state.apply(event, now)
    return state
