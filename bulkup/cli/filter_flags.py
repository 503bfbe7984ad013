"""The flags that choose which files are uploaded."""

import re
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, Token

from bulkup.app.settings import parse_size
from bulkup.cli.flags import by_commas, flag, group
from bulkup.errors import UsageError

if TYPE_CHECKING:
    from bulkup.source.filters import Filters, Listing, Patterns, Rule

SELECTING = group("Selecting")
UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
SECOND_NS: Final = 10**9


def _in_order(_: object, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Keep by which of its names a flag was given: three flags that are one keep their order."""
    return tuple(f"{_name(token.keyword or '')}={token.value}" for token in tokens)


def _name(keyword: str) -> str:
    """Return the flag, which may have been given by its variable."""
    if not keyword.startswith("BULKUP_"):
        return keyword
    return f"--{keyword.removeprefix('BULKUP_').lower().replace('_', '-')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterFlags:
    """What to take of what is found."""

    patterns: Annotated[
        tuple[str, ...],
        Parameter(
            name=("--include", "--exclude", "--exclude-from"),
            help="Take, or leave out, what matches GLOB, by the rules of .gitignore; "
            "--exclude-from reads such lines from a FILE. Of all, in their order, the last that "
            "matches decides. If the first one is an --include, nothing else is taken. In the "
            "variables, commas part them.",
            group=SELECTING,
            env_var=("BULKUP_EXCLUDE_FROM", "BULKUP_EXCLUDE", "BULKUP_INCLUDE"),
            env_var_split=by_commas,
            converter=_in_order,
            metavar="GLOB",
            negative="",
            show_default=False,
        ),
    ] = ()
    files_from: Annotated[
        str | None,
        Parameter(
            help="File that names files to take, one a line, or ended by NUL; - is the standard "
            "input. They come after those of PATHS, which may be left out then.",
            group=SELECTING,
            env_var="BULKUP_FILES_FROM",
            metavar="FILE",
            allow_leading_hyphen=True,
        ),
    ] = None
    from0: Annotated[
        bool,
        flag(
            "Names in that file end with NUL; by default that is found out.",
            group=SELECTING,
            variable="BULKUP_FROM0",
        ),
    ] = False
    newer_than: Annotated[
        str | None,
        flag(
            "Take only files modified since then: 2024-05-01, 2024-05-01T12:00, or 30d ago.",
            group=SELECTING,
            variable="BULKUP_NEWER_THAN",
            metavar="DATE",
        ),
    ] = None
    older_than: Annotated[
        str | None,
        flag(
            "Take only files modified before then.",
            group=SELECTING,
            variable="BULKUP_OLDER_THAN",
            metavar="DATE",
        ),
    ] = None
    min_size: Annotated[
        str | None,
        flag(
            "Take only files of this size or larger, such as 500K.",
            group=SELECTING,
            variable="BULKUP_MIN_SIZE",
            metavar="SIZE",
        ),
    ] = None
    max_size: Annotated[
        str | None,
        flag(
            "Take only files of this size or smaller, such as 2G.",
            group=SELECTING,
            variable="BULKUP_MAX_SIZE",
            metavar="SIZE",
        ),
    ] = None
    follow_symlinks: Annotated[
        bool,
        flag(
            "Follow symbolic links to files and folders; no file is taken twice.",
            group=SELECTING,
            variable="BULKUP_FOLLOW_SYMLINKS",
        ),
    ] = False
    no_default_excludes: Annotated[
        bool,
        flag(
            "Take also hidden files, and what systems leave beside photos: @eaDir and the like.",
            group=SELECTING,
            variable="BULKUP_NO_DEFAULT_EXCLUDES",
        ),
    ] = False

    def filters(self, *, now_s: float | None = None) -> "Filters":
        """Return the checked values, times counted back from `now_s`. Raises `UsageError`."""
        from bulkup.source.filters import Filters  # noqa: PLC0415 (heavy)

        now_ns = int((time.time() if now_s is None else now_s) * SECOND_NS)
        newer, older = (
            parse_moment(text, now_ns=now_ns, flag=name) if text is not None else None
            for text, name in (
                (self.newer_than, "--newer-than"),
                (self.older_than, "--older-than"),
            )
        )
        smallest, largest = (
            parse_size(text, flag=name) if text is not None else None
            for text, name in ((self.min_size, "--min-size"), (self.max_size, "--max-size"))
        )
        if newer is not None and older is not None and newer >= older:
            raise _contradiction("--newer-than", self.newer_than, "--older-than", self.older_than)
        if smallest is not None and largest is not None and smallest > largest:
            raise _contradiction("--min-size", self.min_size, "--max-size", self.max_size)
        return Filters(
            patterns=self._read_patterns(),
            default_excludes=not self.no_default_excludes,
            follow_symlinks=self.follow_symlinks,
            newer_than_ns=newer,
            older_than_ns=older,
            min_size=smallest or 0,
            max_size=largest,
            listing=self._check_listing(),
        )

    def _read_patterns(self) -> "Patterns":
        from bulkup.source.filters import Patterns  # noqa: PLC0415 (heavy)

        only = bool(self.patterns) and self.patterns[0].startswith("--include=")
        rules = [rule for given in self.patterns for rule in _rules(given)]
        return Patterns(tuple(rules), only=only)

    def _check_listing(self) -> "Listing | None":
        from bulkup.source.filters import Listing  # noqa: PLC0415 (heavy)

        if self.files_from is None:
            if self.from0:
                raise UsageError("--from0 is about --files-from", hint="Give both.")
            return None
        if self.files_from == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError(
                    "--files-from - finds no list on standard input",
                    hint="Pipe one in: find photos -type f -print0 | bulkup --files-from -",
                )
        else:
            _check_file(self.files_from, flag="--files-from")
        return Listing(self.files_from, from0=self.from0)


def _rules(given: str) -> Iterator["Rule"]:
    """Yield the rules that one of the three flags stands for. Raises `UsageError`."""
    from bulkup.source.filters import read_flag, read_lines  # noqa: PLC0415 (heavy)

    name, _, value = given.partition("=")
    if name != "--exclude-from":
        yield read_flag(value, take=name == "--include", flag=name)
        return
    try:
        text = Path(value).read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise UsageError(
            f"--exclude-from {value}: {error.strerror}", hint="Name a readable text file."
        ) from None
    yield from read_lines(text, file=value)


def _check_file(name: str, *, flag: str) -> None:
    """Raise `UsageError` where there is no file of that name to read."""
    reason = None
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISDIR(mode):
            reason = "it is a folder"
        elif stat.S_ISREG(mode):
            Path(name).open("rb").close()  # of a pipe, that would take what is in it
    except OSError as error:
        reason = error.strerror
    if reason:
        raise UsageError(
            f"{flag} {name}: {reason}", hint="Name a readable file that names the photos."
        )


def _contradiction(first: str, one: str | None, second: str, other: str | None) -> UsageError:
    return UsageError(
        f"no file can be both {first} {one} and {second} {other}", hint="Exchange the two."
    )


def parse_moment(text: str, *, now_ns: int, flag: str) -> int:
    """Return the nanoseconds since 1970 of a text such as `2024-05-01T12:00`, or `30d` ago.

    Dates and times are local ones, unless they name their offset. Raises `UsageError`.
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
            f"{flag} “{text}” is no date", hint="Give one like 2024-05-01, or a time ago like 30d."
        ) from None
