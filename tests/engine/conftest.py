"""What most tests of the engine begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.runs import make_archive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of an archive, which does not exist yet."""
    return tmp_path / "photos"


@pytest.fixture
def archive(folder: Path) -> dict[Path, str]:
    """Write four photos of two base names, and return the MD5 of each path."""
    return make_archive(folder, count=4, names=2)


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    """Run a sandbox of the newest version without photos."""
    async with Sandbox() as running:
        yield running
