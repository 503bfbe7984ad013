"""All that a page tells of a run, before it is put in words.

Knows the state and the buckets, and neither library nor wording.
"""

from dataclasses import dataclass, field
from datetime import datetime

from bulkup.events import RunFailed
from bulkup.report.state import RunState
from bulkup.report.timeline import Sizes, Timeline


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing that happened `at` a time of the run's clock, in seconds."""

    at: float
    message: str
    hint: str = ""


@dataclass(slots=True)
class Story:
    """What happened in a run; `again` is the command line as it may be shown.

    `notes` are the first of `notes_count`; `away_s` is for how long the server was away,
    `failed` why the run could not go on.
    """

    again: str
    began: datetime
    state: RunState
    timeline: Timeline
    sizes: Sizes = field(default_factory=Sizes)
    notes: list[Note] = field(default_factory=list)
    notes_count: int = 0
    away_s: float = 0.0
    failed: RunFailed | None = None
