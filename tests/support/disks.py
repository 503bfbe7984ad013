"""A small disk to fill and to write-protect."""

import subprocess
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import anyio
import pytest


@pytest.fixture
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Mount a disk of 256 kB; skip the test where that is not allowed."""
    folder = tmp_path_factory.mktemp("disk")
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:  # noqa: S603, S607
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607


def fill(folder: Path) -> None:
    """Write until the disk is full."""
    with (
        (folder / "rest").open("wb", buffering=0) as file,
        pytest.raises(OSError, match="No space left"),
    ):
        all(file.write(block) for block in repeat(bytes(4096)))


async def protect(folder: Path) -> None:
    """Remount the disk read-only."""
    await anyio.run_process(["mount", "-o", "remount,ro", str(folder)])
