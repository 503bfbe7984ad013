"""Fixtures for tests of the real command: folders and a key ring of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bulkup.engine.retry import Policy
from bulkup.sandbox import Faults, Sandbox
from tests.support.commands import PASSWORD, one_photo


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep tests out of the user's folders and key ring, and of each other's."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    return folder


@pytest.fixture(autouse=True)
def event_loop_guard() -> None:
    """Allow commands to write to their standard streams, which blocks the event loop."""


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    """Run a sandbox without faults."""
    async with Sandbox(admin=("admin", PASSWORD), faults=Faults()) as running:
        yield running


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with one photo, `a.jpg`, and nothing else."""
    folder = tmp_path / "photos"
    folder.mkdir()
    one_photo(folder)
    return folder


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make commands in this process retry at once."""
    monkeypatch.setattr(Policy, "backoff", lambda *_, **__: 0.0)
