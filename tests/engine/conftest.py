"""What most tests of the engine begin with."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of an archive, which does not exist yet."""
    return tmp_path / "photos"
