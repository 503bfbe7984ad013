"""Fixtures of the tests of `bulkup gui`."""

import pytest

from tests.support.commands import own_state
from tests.support.gui import gui

__all__ = ["gui", "own_state"]


@pytest.fixture(autouse=True)
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the questions that count workers small, where no worker is counted anyway."""
    monkeypatch.setattr("bulkup.piwigo.workers.MOST_LENGTH", 20_000)
