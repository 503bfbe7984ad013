"""The flags that say what becomes of files whose photos have arrived, and when files are brought.

Knows the command line library and the settings that flags end up in.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from bulkup.errors import UsageError
from bulkup.flags import flag, group
from bulkup.settings import After, parse_duration

WATCHING = group("Watching")
AFTERWARDS = group("Afterwards")


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterFlags:
    """What becomes of the files."""

    after: Annotated[
        str,
        flag(
            "Where the file of a photo goes once the gallery has read its own file and found the "
            "same bytes: move:DIR keeps the folders, and overwrites nothing; trash needs "
            "bulkup[trash]. All other files stay, sidecars too.",
            group=AFTERWARDS,
            variable="BULKUP_AFTER",
            metavar="none|trash|move:DIR",
        ),
    ] = "none"

    def where(self) -> After | None:
        """Return the checked value, None: files stay. Raises `UsageError`."""
        if self.after in {"", "none"}:
            return None
        if self.after == "trash":
            return "trash"
        kind, _, folder = self.after.partition(":")
        if kind != "move" or not folder.strip():
            raise UsageError(
                f"--after “{self.after}” is nothing that could be done",
                hint="Give move: with a folder, such as move:/home/me/done, or trash, or none.",
            )
        try:
            return Path(folder).expanduser()
        except RuntimeError:
            raise UsageError(
                f"--after “{self.after}”: there is no such user", hint="Write the folder out."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFlags:
    """When files that arrive are brought."""

    settle: Annotated[
        str,
        flag(
            "How long a file must have kept its size and time of change, such as 5s or 1m.",
            group=WATCHING,
            variable="BULKUP_SETTLE",
            metavar="TIME",
        ),
    ] = "5s"
    poll: Annotated[
        bool,
        flag(
            "Look again and again, for network drives, which do not tell what arrives.",
            group=WATCHING,
            variable="BULKUP_POLL",
        ),
    ] = False

    @property
    def settle_s(self) -> float:
        """The checked time, in seconds. Raises `UsageError`."""
        return parse_duration(self.settle, flag="--settle")
