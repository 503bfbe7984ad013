"""The sample run of tests/support under its names of before."""

from tests.support.sample_run import (
    CHECK,
    FOLDER,
    HOSTILE,
    RUN,
    ManualClock,
    at,
    checked,
    failing,
    failure,
    found,
    starting,
    uploaded,
)

NASTY = HOSTILE
SlowClock = ManualClock
__all__ = [
    "CHECK",
    "FOLDER",
    "NASTY",
    "RUN",
    "SlowClock",
    "at",
    "checked",
    "failing",
    "failure",
    "found",
    "starting",
    "uploaded",
]
