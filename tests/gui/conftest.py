"""Fixtures of the tests of `bulkup gui`."""

from tests.support.commands import own_state
from tests.support.gui import gui

__all__ = ["gui", "own_state"]
