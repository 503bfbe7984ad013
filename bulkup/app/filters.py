"""Builds the file filters of a run from sizes, dates and patterns as users write them."""

import re
import stat
import time
from datetime import datetime
from pathlib import Path
from typing import Final

from bulkup.app.settings import parse_size
from bulkup.errors import UsageError
from bulkup.source.filters import Filters, Listing, Patterns

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
SECOND_NS: Final = 10**9


def build_filters(
    *,
    patterns: Patterns,
    files_from: str | None = None,
    from0: bool = False,
    newer_than: str | datetime | None = None,
    older_than: str | datetime | None = None,
    min_size: str | int | None = None,
    max_size: str | int | None = None,
    follow_symlinks: bool = False,
    no_default_excludes: bool = False,
    now_s: float | None = None,
) -> Filters:
    """Return the checked filters; ages such as `30d` count back from `now_s` (default: now).

    Raises `UsageError`.
    """
    now_ns = int((time.time() if now_s is None else now_s) * SECOND_NS)
    newer = _moment(newer_than, now_ns=now_ns, flag="--newer-than")
    older = _moment(older_than, now_ns=now_ns, flag="--older-than")
    smallest = _size(min_size, flag="--min-size")
    largest = _size(max_size, flag="--max-size")
    last = None if older is None else older - 1  # the newest time that is taken
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


def _size(value: str | int | None, *, flag: str) -> int | None:
    return parse_size(value, flag=flag) if isinstance(value, str) else value


def _moment(value: str | datetime | None, *, now_ns: int, flag: str) -> int | None:
    if isinstance(value, datetime):
        value = value.isoformat()
    return None if value is None else parse_moment(value, now_ns=now_ns, flag=flag)


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
