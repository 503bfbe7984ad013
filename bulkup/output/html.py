"""The HTML report: collects events during a run and writes one file at its end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from anyio import CancelScope, to_thread

from bulkup.errors import UsageError
from bulkup.events import (
    ChunkSizeChanged,
    Event,
    FileSkipped,
    LimitsChanged,
    Noticed,
    OutageBegan,
    OutageEnded,
    Outcome,
    PhotoChecked,
    PhotoFinished,
    PhotoProgress,
    RunFinished,
    RunStarted,
)
from bulkup.output.samples import Sizes, Timeline
from bulkup.output.sinks import Clock
from bulkup.output.state import RunState
from bulkup.output.table import AtomicFile


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing that happened `at` a time of the run's clock, in seconds."""

    at: float
    message: str
    hint: str = ""


@dataclass(slots=True)
class ReportModel:
    """What happened in a run; `again` is the command line as it may be shown.

    `notes` are the first of `notes_count`; `away_s` is for how long the server was away.
    """

    again: str
    began: datetime
    state: RunState
    timeline: Timeline
    sizes: Sizes = field(default_factory=Sizes)
    notes: list[Note] = field(default_factory=list)
    notes_count: int = 0
    away_s: float = 0.0


NEEDED: Final = ("jinja2", "pygal")
NOTES_KEPT: Final = 100


class HtmlReport:
    """Gathers what a page tells: open it with `async with`, hand events to `emit`.

    `again` is the command line as it may be shown. To make one raises `UsageError` where the
    libraries for it are missing, to open it where the file could not be written, to close it
    `OSError`. A run that does not begin leaves no page.
    """

    def __init__(
        self,
        path: Path,
        *,
        again: str,
        clock: Clock,
        wall_clock: Callable[[], datetime],
    ) -> None:
        if not all(map(find_spec, NEEDED)):
            raise UsageError(
                "--report with .html needs libraries that are not installed",
                hint="pip install 'bulkup[report]'; .csv and .jsonl need none.",
            )
        self._draft = AtomicFile(path)
        self._clock = clock
        self._wall_clock = wall_clock
        self._again = again
        self._file: TextIO | None = None  # until it is opened
        self._state = RunState()
        self._story: ReportModel | None = None  # as long as no run has begun

    async def __aenter__(self) -> Self:
        self._file = await to_thread.run_sync(self._draft.open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._end, self._file)

    def emit(self, event: Event) -> None:
        """Take in an event."""
        now = self._clock()
        if isinstance(event, RunStarted):
            timeline = Timeline(now)
            timeline.at(now).chunk_size = event.chunk_size
            began = self._wall_clock()
            self._story = ReportModel(self._again, began, self._state, timeline)
        elif self._story is not None:
            _follow(self._story, event, now)
        self._state.apply(event, now)

    def _end(self, file: TextIO) -> None:
        """Write the page. Raises `OSError`."""
        if self._story is None:
            file.close()
            self._draft.discard()
            return

        from bulkup.output.html_page import page  # noqa: PLC0415 (an extra, and heavy)

        text = page(self._story, table=self._draft.path.with_suffix(".csv").name)
        try:
            with file:
                file.write(text)
            self._draft.keep()
        except OSError as failure:
            raise self._draft.failure(failure) from None


def _follow(story: ReportModel, event: Event, now: float) -> None:
    """Take in what happens on the way, before the state does."""
    match event:
        case PhotoProgress():
            photo = story.state.in_flight.get(event.path)
            if photo and event.sent > photo.sent:
                story.timeline.at(now).sent += event.sent - photo.sent
        case PhotoFinished():
            bucket = story.timeline.at(now)
            bucket.done += 1
            bucket.finished += 1
            bucket.finish_s += event.seconds
            bucket.slowest_s = max(bucket.slowest_s, event.seconds)
        case LimitsChanged():
            bucket = story.timeline.at(now)
            bucket.finishing, bucket.ceiling = event.finishing, event.most_finishing
        case ChunkSizeChanged():
            story.timeline.at(now).chunk_size = event.chunk_size
        case Noticed():
            _note(story, Note(now, event.message, event.hint))
        case OutageBegan():
            _note(story, Note(now, f"the server was away: {event.reason}"))
        case OutageEnded():
            story.away_s += event.seconds
        case RunFinished():
            story.timeline.at(now)
        case FileSkipped():
            return
    if isinstance(event, Outcome):
        if event.size:
            story.sizes.add(event.size)
        if isinstance(event, PhotoChecked):
            bucket = story.timeline.at(now)
            bucket.done += 1
            bucket.sent += event.size


def _note(story: ReportModel, note: Note) -> None:
    story.notes_count += 1
    if len(story.notes) < NOTES_KEPT:
        story.notes.append(note)
