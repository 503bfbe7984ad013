"""The steps, each a module, in their order."""

from typing import Final

from bulkup.gui.step import Step
from bulkup.gui.steps.albums import Albums
from bulkup.gui.steps.checkup import Checkup
from bulkup.gui.steps.gallery import Gallery
from bulkup.gui.steps.history import History
from bulkup.gui.steps.options import Options
from bulkup.gui.steps.overview import Overview
from bulkup.gui.steps.rehearsal import Rehearsal
from bulkup.gui.steps.report import Report
from bulkup.gui.steps.run import RunStep
from bulkup.gui.steps.sources import Sources

STEPS: Final[tuple[type[Step], ...]] = (
    Overview,
    Gallery,
    Checkup,
    Sources,
    Albums,
    Options,
    Rehearsal,
    RunStep,
    Report,
    History,
)
"""All steps; the first one is the start page."""
