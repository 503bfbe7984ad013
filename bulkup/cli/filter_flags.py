"""Flags that select the files to upload."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, Token

from bulkup.cli.flags import flag, flags, split_commas
from bulkup.errors import UsageError

if TYPE_CHECKING:
    from bulkup.source.filters import Filters, Rule


def _in_order(_: object, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Return each value with the name of its flag, because three flags fill one field in order."""
    return tuple(f"{_name(token.keyword or '')}={token.value}" for token in tokens)


def _name(keyword: str) -> str:
    """Return the flag of a keyword, which may be its environment variable."""
    if not keyword.startswith("BULKUP_"):
        return keyword
    return f"--{keyword.removeprefix('BULKUP_').lower().replace('_', '-')}"


@flags("Filters")
@dataclass(frozen=True, slots=True, kw_only=True)
class FilterFlags:
    """Which of the files found are selected."""

    patterns: Annotated[
        tuple[str, ...],
        Parameter(
            name=("--include", "--exclude", "--exclude-from"),
            help="Include or exclude files matching GLOB (.gitignore syntax); --exclude-from "
            "reads patterns from a FILE. The last match wins. If the first flag is --include, "
            "only matching files are included. In the environment variables, separate values with "
            "commas.",
            env_var=("BULKUP_EXCLUDE_FROM", "BULKUP_EXCLUDE", "BULKUP_INCLUDE"),
            env_var_split=split_commas,
            converter=_in_order,
            metavar="GLOB",
        ),
    ] = ()
    files_from: Annotated[
        str | None,
        Parameter(
            help="File that lists paths to upload, one per line or NUL-terminated; - reads "
            "standard input. PATHS are uploaded first and may be omitted.",
            metavar="FILE",
            allow_leading_hyphen=True,
        ),
    ] = None
    from0: Annotated[
        bool, flag("Paths in the --files-from file end with NUL. Default: detected automatically.")
    ] = False
    newer_than: Annotated[
        str | None,
        flag(
            "Only files modified since DATE: 2024-05-01, 2024-05-01T12:00, or an age such as 30d.",
            metavar="DATE",
        ),
    ] = None
    older_than: Annotated[str | None, flag("Only files modified before DATE.", metavar="DATE")] = (
        None
    )
    min_size: Annotated[
        str | None, flag("Only files of at least this size, such as 500K.", metavar="SIZE")
    ] = None
    max_size: Annotated[
        str | None, flag("Only files of at most this size, such as 2G.", metavar="SIZE")
    ] = None
    follow_symlinks: Annotated[
        bool,
        flag(
            "Follow symbolic links to files and folders. With --tree, a photo is also in the "
            "albums of folders with links to it; otherwise no file is processed twice."
        ),
    ] = False
    no_default_excludes: Annotated[
        bool, flag("Include hidden files, and system files such as @eaDir and Thumbs.db.")
    ] = False
    takeout_skip: Annotated[
        str,
        flag(
            "Photos of a Google Takeout to leave out, separated by commas: trashed (also those of "
            "exports of iCloud and Immich), locked (in "
            "the locked folder), archived, partner (shared by a partner), edited (edited "
            "versions), originals (of edited versions), live (videos of live photos), or none.",
            metavar="none|KIND,…",
        ),
    ] = "trashed,locked"

    def filters(self, *, now_s: float | None = None) -> "Filters":
        """Return the checked values; ages count back from `now_s`. Raises `UsageError`."""
        from bulkup.app.options import build_filters
        from bulkup.source.filters import Patterns

        if self.files_from == "-" and (sys.stdin is None or sys.stdin.isatty()):
            raise UsageError(
                "--files-from - found no list on standard input",
                hint="Pipe one in: find photos -type f -print0 | bulkup --files-from -",
            )
        only = bool(self.patterns) and self.patterns[0].startswith("--include=")
        rules = tuple(rule for pattern in self.patterns for rule in _rules(pattern))
        others = {name: value for name, value in asdict(self).items() if name != "patterns"}
        return build_filters(patterns=Patterns(rules, only=only), now_s=now_s, **others)


def _rules(pattern: str) -> Iterator["Rule"]:
    """Yield the rules of one value of the three pattern flags. Raises `UsageError`."""
    from bulkup.source.filters import read_flag, read_lines

    name, _, value = pattern.partition("=")
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
