"""What tests of reports share: a run as events, and names that may do no harm."""

from pathlib import Path

from bulkup.events import (
    Event,
    FileFound,
    FileSkipped,
    LimitsChanged,
    PhotoFailed,
    PhotoFinished,
    PhotoFinishing,
    PhotoPresent,
    PhotoProgress,
    PhotoStarted,
    PhotoUnfinished,
    PhotoUploaded,
    RunFinished,
    RunStarted,
    ScanFinished,
)
from bulkup.kinds import SkipReason

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
MD5 = "0123456789abcdef0123456789abcdef"
HOSTILE = [
    "=cmd|' /C calc'!A0.jpg",
    "<script>document.title='owned'</script>.jpg",
    "<img src=x onerror=alert(1)>.jpg",
    '"quoted", and\nin two lines.jpg',
    "clear\x1b[2J\x1b[1;1H.jpg",
    "\u202egpj.exe",
    "bad\udcff\udcfe.jpg",
    "[red]x.jpg",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "שלום עולם.jpg",
    "x" * 251 + ".jpg",
]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def uploaded(path: Path, *, size: int = 3_000_000, image_id: int = 7) -> list[Event]:
    """Return what happens when a photo goes up."""
    return [
        FileFound(path=path, size=size),
        PhotoStarted(path=path, size=size, attempt=1),
        PhotoProgress(path=path, sent=size // 2),
        PhotoFinishing(path=path),
        PhotoProgress(path=path, sent=size),
        PhotoFinished(path=path, seconds=0.5),
        PhotoUploaded(
            path=path,
            size=size,
            md5=MD5,
            image_id=image_id,
            attempts=1,
            seconds=1.25,
            albums=(9, 12),
        ),
    ]


def failed(path: Path, *, reason: str = "the file is empty", hint: str = "") -> list[Event]:
    """Return what happens when a photo fails at its second try."""
    return [
        FileFound(path=path, size=5),
        PhotoStarted(path=path, size=5, attempt=1),
        PhotoStarted(path=path, size=5, attempt=2),
        PhotoFailed(path=path, size=5, reason=reason, hint=hint, md5=MD5),
    ]


def a_run() -> list[Event]:
    """Return a run with one file of each outcome."""
    there, left, open_end = Path("b.jpg"), Path("c.mov"), Path("e.jpg")
    return [
        RUN,
        LimitsChanged(finishing=2, most_finishing=6),
        *uploaded(Path("a.jpg")),
        FileFound(path=there, size=20),
        PhotoPresent(path=there, size=20, image_id=3, linked=True, md5=MD5, albums=(9,)),
        FileFound(path=left, size=30),
        FileSkipped(path=left, size=30, reason=SkipReason.TYPE),
        *failed(Path("d.jpg"), hint="Look for an intact copy."),
        FileFound(path=open_end, size=50),
        ScanFinished(),
        PhotoUnfinished(path=open_end, size=50),
        RunFinished(seconds=3.0),
    ]
