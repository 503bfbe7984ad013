"""Adds the man page to the wheel, where `make dist` has generated it."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MAN_PAGE = "docs/bulkup.1"


class ManPage(BuildHookInterface):
    """Puts the man page into the wheel's data; a build without one goes without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Add the file to the data of the wheel."""
        if (Path(self.root) / MAN_PAGE).is_file():
            build_data["shared_data"][MAN_PAGE] = "share/man/man1/bulkup.1"
