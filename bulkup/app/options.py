"""Builds the filters and labels of a run from the texts of flags and options."""

import re
import stat
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from bulkup.app.settings import parse_size
from bulkup.errors import UsageError
from bulkup.source.filters import Filters, Listing, Patterns
from bulkup.source.metadata import Labels, Template

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
SECOND_NS: Final = 10**9


def build_filters(
    *,
    patterns: Patterns,
    files_from: str | None = None,
    from0: bool = False,
    newer_than: str | None = None,
    older_than: str | None = None,
    min_size: str | None = None,
    max_size: str | None = None,
    follow_symlinks: bool = False,
    no_default_excludes: bool = False,
    now_s: float | None = None,
) -> Filters:
    """Return the checked filters; ages such as `30d` count back from `now_s` (default: now).

    Raises `UsageError`.
    """
    now_ns = int((time.time() if now_s is None else now_s) * SECOND_NS)
    newer, older = (
        None if text is None else parse_moment(text, now_ns=now_ns, flag=flag)
        for text, flag in ((newer_than, "--newer-than"), (older_than, "--older-than"))
    )
    smallest, largest = (
        None if text is None else parse_size(text, flag=flag)
        for text, flag in ((min_size, "--min-size"), (max_size, "--max-size"))
    )
    last = None if older is None else older - 1  # the newest time that is included
    for low, high, names in (
        (newer, last, f"--newer-than {newer_than} and --older-than {older_than}"),
        (smallest, largest, f"--min-size {min_size} and --max-size {max_size}"),
    ):
        if low is not None and high is not None and low > high:
            raise UsageError(f"no file can match both {names}", hint="Swap the two values.")
    if from0 and files_from is None:
        raise UsageError("--from0 requires --files-from", hint="Give both.")
    if files_from not in (None, "-"):
        _check_file(files_from, flag="--files-from")
    return Filters(
        patterns=patterns,
        default_excludes=not no_default_excludes,
        follow_symlinks=follow_symlinks,
        newer_than_ns=newer,
        older_than_ns=older,
        min_size=smallest or 0,
        max_size=largest,
        listing=None if files_from is None else Listing(files_from, from0=from0),
    )


def build_labels(
    *,
    title: str | None = None,
    tag: Sequence[str] = (),
    author: str | None = None,
    comment: str | None = None,
    no_sidecars: bool = False,
    rating_as_tag: bool = False,
    people_as_tags: bool = False,
) -> Labels:
    """Return the checked labels. Raises `UsageError`."""
    if not all(text.strip() for text in tag):
        raise UsageError("--tag is empty", hint="Give a name, such as --tag holidays.")
    return Labels(
        title=None if title is None else Template(title, flag="--title"),
        tags=tuple(tag),
        author=author or "",
        comment=comment or "",
        sidecars=not no_sidecars,
        rating_as_tag=rating_as_tag,
        people_as_tags=people_as_tags,
    )


def parse_moment(text: str, *, now_ns: int, flag: str) -> int:
    """Return the nanoseconds since 1970 of a text such as `2024-05-01T12:00`, or `30d` (ago).

    Dates and times without an offset are local. Raises `UsageError`.
    """
    if match := re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([smhdwy])\s*", text.lower()):
        return now_ns - int(float(match[1]) * UNITS_S[match[2]] * SECOND_NS)
    try:
        moment = datetime.fromisoformat(text.strip()).astimezone()
        return (
            int(moment.replace(microsecond=0).timestamp()) * SECOND_NS + moment.microsecond * 1000
        )
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"invalid date for {flag}: “{text}”",
            hint="Give a date such as 2024-05-01, or an age such as 30d.",
        ) from None


def _check_file(name: str, *, flag: str) -> None:
    """Raise `UsageError` unless there is a readable file of that name."""
    reason = None
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISDIR(mode):
            reason = "it is a folder"
        elif stat.S_ISREG(mode):
            Path(name).open("rb").close()  # opening a pipe would consume its data
    except OSError as error:
        reason = error.strerror
    if reason:
        raise UsageError(f"{flag} {name}: {reason}", hint="Name a readable file that lists paths.")
