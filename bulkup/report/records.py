"""One row a file: what became of it in a run, and how; for reports that name every photo.

Knows events, and neither format nor file. Memory holds the photos in flight and no others.
"""

from dataclasses import dataclass
from pathlib import Path

from bulkup.events import (
    Event,
    Fate,
    FileSkipped,
    PhotoChecked,
    PhotoFailed,
    PhotoNew,
    PhotoPresent,
    PhotoStarted,
    PhotoUploaded,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of a file; its fields are the columns, in their order.

    `size` is in bytes, `md5` in hex, `tries` counts how often the photo was begun, and `seconds`
    are from its first byte on, None where none went out.
    """

    path: Path
    md5: str
    size: int
    outcome: str
    image_id: int | None = None
    albums: tuple[int, ...] = ()
    tries: int = 0
    seconds: float | None = None
    reason: str = ""
    hint: str = ""


class Rows:
    """Makes rows of events, for one run."""

    def __init__(self) -> None:
        self._begun: dict[Path, tuple[int, float]] = {}  # tries, and when the first began

    def take(self, event: Event, now: float) -> Row | None:
        """Take in what has happened `now`, in seconds; return the row that this completes."""
        if isinstance(event, PhotoStarted):
            _, began = self._begun.get(event.path, (0, now))
            self._begun[event.path] = (event.attempt, began)
        if not isinstance(event, Fate):
            return None
        tries, began = self._begun.pop(event.path, (0, now))
        seconds = now - began if tries else None
        match event:
            case PhotoUploaded():
                return Row(
                    path=event.path,
                    md5=event.md5,
                    size=event.size,
                    outcome="replaced" if event.replaced else "uploaded",
                    image_id=event.image_id,
                    albums=event.albums,
                    tries=event.attempts,
                    seconds=event.seconds,
                )
            case PhotoPresent():
                return Row(
                    path=event.path,
                    md5=event.md5,
                    size=event.size,
                    outcome="linked" if event.linked else "present",
                    image_id=event.image_id,
                    albums=event.albums,
                    tries=tries,
                    seconds=seconds,
                )
            case PhotoChecked():
                return Row(
                    path=event.path,
                    md5=event.md5,
                    size=event.size,
                    outcome=event.verdict.value,
                    image_id=event.image_id,
                    albums=event.albums,
                    reason=event.reason,
                    hint=event.hint,
                )
            case PhotoFailed():
                return Row(
                    path=event.path,
                    md5=event.md5,
                    size=event.size,
                    outcome="failed",
                    tries=tries,
                    seconds=seconds,
                    reason=event.reason,
                    hint=event.hint,
                )
            case FileSkipped():
                return Row(
                    path=event.path,
                    md5="",
                    size=event.size,
                    outcome="skipped",
                    reason=event.reason.value,
                )
            case PhotoNew():
                return Row(path=event.path, md5=event.md5, size=event.size, outcome="new")
        return Row(
            path=event.path,
            md5="",
            size=event.size,
            outcome="unfinished",
            tries=tries,
            seconds=seconds,
        )
