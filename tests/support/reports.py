"""The sample run of tests/support under its names of before."""

from functools import partial

from tests.support.sample_run import HOSTILE, MD5, RUN, ManualClock, failing, uploading, whole_run

Clock = ManualClock
a_run = whole_run
uploaded = uploading
failed = partial(failing, tries=2, reason="the file is empty")
__all__ = ["HOSTILE", "MD5", "RUN", "Clock", "a_run", "failed", "uploaded"]
