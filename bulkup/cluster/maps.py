"""Where the photos of this machine are on the workers: `--map HERE=THERE`.

Knows paths as texts, and of the disk only the current folder.
"""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from bulkup.errors import UsageError

HINT: Final = "Give the folder here and there, such as --map /mnt/nas1=/volume1/photos."


class Maps:
    """Other names that folders have on workers. Raises `UsageError` where one says nothing."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._folder = os.getcwd()  # noqa: PTH109 (once: it may not be asked for later)
        self._pairs = sorted((_pair(text) for text in texts), key=_depth, reverse=True)

    def there(self, path: Path) -> str:
        """Return what workers call a file: the deepest folder that is named decides."""
        absolute = Path(os.path.normpath(Path(self._folder, path)))  # .. goes, links stay
        for here, there in self._pairs:
            if absolute.is_relative_to(here):
                rest = absolute.relative_to(here)
                windows = "\\" in there and "/" not in there
                return str((PureWindowsPath if windows else PurePosixPath)(there, *rest.parts))
        return str(absolute)


def _pair(text: str) -> tuple[Path, str]:
    here, sign, there = text.partition("=")
    if not (sign and here.strip() and there.strip()):
        raise UsageError(f"--map “{text}” names no two folders", hint=HINT)
    return Path(os.path.abspath(here)), there  # noqa: PTH100


def _depth(pair: tuple[Path, str]) -> int:
    return len(pair[0].parts)
