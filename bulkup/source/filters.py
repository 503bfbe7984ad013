"""File filters: patterns in .gitignore syntax, sizes, times, and system files."""

import re
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePath
from typing import Final

from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from bulkup.errors import UsageError
from bulkup.events import SkipReason

LOOSE_END = re.compile(r"(?<!\\)(?:\\\\)*\s\Z")


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that includes (`take`) or excludes what it matches.

    `steps` match the parent folders of what the pattern matches, from the top. With `deep` it may
    match at any depth below the last of them.
    """

    take: bool
    pattern: GitIgnoreSpecPattern
    steps: tuple[GitIgnoreSpecPattern, ...]
    deep: bool

    def matches(self, path: str) -> bool:
        """Return whether the pattern matches a path or one of its parent folders."""
        return self.pattern.match_file(path) is not None

    def may_match_below(self, folder: str) -> bool:
        """Return whether it may match something in a folder that it does not match itself."""
        depth = folder.count("/")
        if depth > len(self.steps) and not self.deep:
            return False
        steps = self.steps[:depth]
        return not steps or steps[-1].match_file(folder) is not None


@dataclass(frozen=True, slots=True)
class Patterns:
    """Rules in order; with `only`, what no rule matches is excluded, otherwise included."""

    rules: tuple[Rule, ...] = ()
    only: bool = False

    def decision(self, path: str) -> bool | None:
        """Return whether the rules include a path, None if none matches."""
        index = self._deciding_rule(_comparable(path))
        return None if index is None else self.rules[index].take

    def take(self, path: str) -> bool:
        """Return whether a file is included."""
        decision = self.decision(path)
        return not self.only if decision is None else decision

    def enter(self, folder: str) -> bool:
        """Return whether anything in a folder may be included."""
        folder = _comparable(folder)
        index = self._deciding_rule(folder)
        if index is None:
            taken, later = not self.only, self.rules
        else:
            taken, later = self.rules[index].take, self.rules[index + 1 :]
        return taken or any(rule.take and rule.may_match_below(folder) for rule in later)

    def _deciding_rule(self, path: str) -> int | None:
        for index in range(len(self.rules) - 1, -1, -1):
            if self.rules[index].matches(path):
                return index
        return None


def read_flag(text: str, *, take: bool, flag: str) -> Rule:
    """Parse the rule of a flag. Raises `UsageError` for an invalid pattern.

    `#` and trailing spaces have no special meaning, unlike in a file.
    """
    if text.startswith("!"):
        raise UsageError(
            f"{flag} “{text}” could mean two things",
            hint=f"Use {'--exclude' if take else '--include'} for the opposite, or \\! for a "
            "name that begins with an exclamation mark.",
        )
    pattern = f"{text[:-1]}[{text[-1]}]" if LOOSE_END.search(text) else text
    return _rule(pattern, take=take, origin=f"{flag} “{text}”")


def read_lines(text: str, *, file: str) -> Iterator[Rule]:
    """Parse the rules of a file in .gitignore syntax, where `!` includes again.

    Raises `UsageError` for an invalid pattern.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        pattern = line
        while LOOSE_END.search(pattern):
            pattern = pattern[:-1]
        if pattern and not pattern.startswith("#"):
            origin = f"{file}, line {number}, “{pattern}”"
            yield _rule(pattern.removeprefix("!"), take=pattern.startswith("!"), origin=origin)


def folder_pattern(folder: PurePath) -> str:
    """Return the pattern that matches this folder alone, a path below that which is scanned."""
    names = re.sub(r"[\\*?\[\]]", r"\\\g<0>", folder.as_posix())
    return f"/{names}/".replace("\n", "?")  # a line can't contain its end


def _rule(pattern: str, *, take: bool, origin: str) -> Rule:
    if pattern.startswith(("!", "#")):
        pattern = f"\\{pattern}"  # the sign was parsed by the caller, and this is not a comment
    names = pattern.removeprefix("/").removesuffix("/").split("/")
    if not {"", ".", ".."}.isdisjoint(names):
        raise UsageError(
            f"{origin} matches nothing",
            hint="Patterns match paths below the given folder: raw/ or /2019/*.tif.",
        )
    anchored = "/" in pattern.removesuffix("/")
    fixed = list(takewhile(lambda name: name != "**", names)) if anchored else []
    steps = ["/" + "/".join(fixed[:count]) + "/" for count in range(1, len(fixed) + 1)]
    return Rule(
        take=take,
        pattern=_compiled(pattern, origin),
        steps=tuple(_compiled(step, origin) for step in steps),
        deep=len(fixed) < len(names),
    )


def _compiled(pattern: str, origin: str) -> GitIgnoreSpecPattern:
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            compiled = GitIgnoreSpecPattern(_comparable(pattern))
    except (GitIgnorePatternError, re.error):
        compiled = None
    if compiled is None or compiled.include is None:
        raise UsageError(
            f"{origin} is not a valid pattern",
            hint="Use names with * ? [abc] or **, and a backslash before a character to match it "
            "literally.",
        )
    return compiled


def _comparable(text: str) -> str:
    """Return a normalized form: accents composed, and line ends matched like other characters."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.replace("\n", "\0")


JUNK: Final = frozenset(
    {
        "@eadir", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot",
        "$recycle.bin", "__macosx", "lost+found", "system volume information",
        "thumbs.db", "ehthumbs.db", "desktop.ini",
    }
)  # fmt: skip
"""Lower-case names of system files and folders; names with a leading dot count as well."""


ALL: Final = Patterns()


@dataclass(frozen=True, slots=True)
class Listing:
    """A file with one path a line; `-` is the standard input.

    Paths end with NUL instead if `from0`, or if the beginning of the list contains one.
    """

    file: str
    from0: bool = False


TAKEOUT_KINDS: Final = (
    *(SkipReason.TRASHED, SkipReason.LOCKED, SkipReason.ARCHIVED, SkipReason.PARTNER),
    *(SkipReason.EDITED, SkipReason.ORIGINALS, SkipReason.LIVE),
)
"""The kinds of photos in a Google Takeout that can be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to include; sizes in bytes, times in nanoseconds since 1970.

    A `listing` names files in addition to those that a scan finds. `takeout_skip` are the kinds of
    photos in a Google Takeout to leave out.
    """

    patterns: Patterns = ALL
    default_excludes: bool = True
    follow_symlinks: bool = False
    newer_than_ns: int | None = None
    older_than_ns: int | None = None
    min_size: int = 0
    max_size: int | None = None
    listing: Listing | None = None
    takeout_skip: frozenset[SkipReason] = frozenset({SkipReason.TRASHED, SkipReason.LOCKED})

    def is_junk(self, name: str) -> bool:
        """Return whether a file or folder name is one of the system's, not the user's."""
        return self.default_excludes and (name.startswith(".") or name.lower() in JUNK)

    def excludes(self, path: str) -> bool:
        """Return whether patterns exclude a file, or everything in a folder."""
        if path.endswith("/"):
            return not self.patterns.enter(path)
        return not self.patterns.take(path)

    def skip_reason(self, *, size: int, mtime_ns: int) -> SkipReason | None:
        """Return why a file of this size and time is excluded, None if it is not."""
        if size < self.min_size or (self.max_size is not None and size > self.max_size):
            return SkipReason.SIZE
        too_old = self.newer_than_ns is not None and mtime_ns < self.newer_than_ns
        too_new = self.older_than_ns is not None and mtime_ns >= self.older_than_ns
        return SkipReason.AGE if too_old or too_new else None


EVERYTHING: Final = Filters()
"""Includes everything except system files and symbolic links."""
