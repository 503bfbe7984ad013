"""A file that is written beside its place and takes it when it is whole.

Knows the disk, and nothing of what is written. All of it blocks: it belongs into a thread.
"""

from contextlib import suppress
from pathlib import Path
from typing import TextIO

from bulkup.errors import UsageError


class Draft:
    """A file that is FILE.part until `keep`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")

    def open(self, head: str = "") -> TextIO:
        """Return the file, which begins with these words.

        Raises `UsageError` where it could not be written in the end.
        """
        if self.path.is_dir():
            raise UsageError(f"{self.path} is a folder", hint="--report takes a file's name.")
        if not self.path.parent.is_dir():
            raise UsageError(
                f"the folder of the report does not exist: {self.path.parent}",
                hint="Make it first, or give --report another place.",
            )
        try:
            file = self.part.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise self._impossible(error) from None
        try:
            file.write(head)
            file.flush()
        except OSError as error:
            with suppress(OSError):
                file.close()  # tries once more to write
            self.discard()
            raise self._impossible(error) from None
        return file

    def keep(self) -> None:
        """Put what has been written into its place. Raises `OSError`."""
        self.part.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        self.part.unlink(missing_ok=True)

    def failure(self, error: OSError) -> OSError:
        """Return an error that also tells where what could be written is."""
        return OSError(f"{error.strerror or error}; what could be written is in {self.part}")

    def _impossible(self, error: OSError) -> UsageError:
        return UsageError(
            f"the report {self.path} can't be written: {error.strerror or error}",
            hint="Give --report a place that you may write to.",
        )
