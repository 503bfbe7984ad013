"""Which files are uploaded: patterns in .gitignore syntax, sizes, times, junk."""

import re
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from bulkup.errors import UsageError
from bulkup.events import SkipReason

LOOSE_END = re.compile(r"(?<!\\)(?:\\\\)*\s\Z")


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, and whether what it matches is taken or left out.

    `steps` match the folders on the way to what the pattern matches, those at the top first; it
    may match at any depth below the last of them if it is `deep`.
    """

    take: bool
    pattern: GitIgnoreSpecPattern
    steps: tuple[GitIgnoreSpecPattern, ...]
    deep: bool

    def matches(self, path: str) -> bool:
        """Tell whether the pattern matches a path, or a folder that it lies in."""
        return self.pattern.match_file(path) is not None

    def may_match_below(self, folder: str) -> bool:
        """Tell whether it may match something in a folder that it does not match."""
        depth = folder.count("/")
        if depth > len(self.steps) and not self.deep:
            return False
        steps = self.steps[:depth]
        return not steps or steps[-1].match_file(folder) is not None


@dataclass(frozen=True, slots=True)
class Patterns:
    """Rules in their order. What none matches is taken, unless `only` what one takes is."""

    rules: tuple[Rule, ...] = ()
    only: bool = False

    def opinion(self, path: str) -> bool | None:
        """Tell whether a rule takes what lies there or leaves it out, None if none matches."""
        index = self._deciding(_comparable(path))
        return None if index is None else self.rules[index].take

    def take(self, path: str) -> bool:
        """Tell whether a file is taken."""
        opinion = self.opinion(path)
        return not self.only if opinion is None else opinion

    def enter(self, folder: str) -> bool:
        """Tell whether anything in a folder may be taken."""
        folder = _comparable(folder)
        index = self._deciding(folder)
        if index is None:
            taken, later = not self.only, self.rules
        else:
            taken, later = self.rules[index].take, self.rules[index + 1 :]
        return taken or any(rule.take and rule.may_match_below(folder) for rule in later)

    def _deciding(self, path: str) -> int | None:
        for index in range(len(self.rules) - 1, -1, -1):
            if self.rules[index].matches(path):
                return index
        return None


def read_flag(text: str, *, take: bool, flag: str) -> Rule:
    """Return the rule that a flag gives. Raises `UsageError` where it is no pattern.

    A `#` or a space at its end is meant as it stands: a shell has no comments to give.
    """
    if text.startswith("!"):
        raise UsageError(
            f"{flag} “{text}” could mean two things",
            hint=f"Give {'--exclude' if take else '--include'} for the opposite, or \\! for a "
            "name that begins with an exclamation mark.",
        )
    pattern = f"{text[:-1]}[{text[-1]}]" if LOOSE_END.search(text) else text
    return _rule(pattern, take=take, origin=f"{flag} “{text}”")


def read_lines(text: str, *, file: str) -> Iterator[Rule]:
    """Yield the rules of a file: as in a .gitignore, so `!` takes what else would be left out.

    Raises `UsageError` where a line is no pattern.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        pattern = line
        while LOOSE_END.search(pattern):
            pattern = pattern[:-1]
        if pattern and not pattern.startswith("#"):
            origin = f"{file}, line {number}, “{pattern}”"
            yield _rule(pattern.removeprefix("!"), take=pattern.startswith("!"), origin=origin)


def _rule(pattern: str, *, take: bool, origin: str) -> Rule:
    if pattern.startswith(("!", "#")):
        pattern = f"\\{pattern}"  # its sign has been read, and it is no comment
    names = pattern.removeprefix("/").removesuffix("/").split("/")
    if not {"", ".", ".."}.isdisjoint(names):
        raise UsageError(
            f"{origin} matches nothing",
            hint="Patterns look at paths below the folder that is given: raw/ or /2019/*.tif.",
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
            f"{origin} is no pattern",
            hint="Give names with * ? [abc] or **, and a backslash before one of them that is "
            "meant as it stands.",
        )
    return compiled


def _comparable(text: str) -> str:
    """Return a form in which accents are composed and a line end is a character like others."""
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
"""Lower-case names of what systems leave beside photos, as does every name with a dot first."""


ALL: Final = Patterns()


@dataclass(frozen=True, slots=True)
class Listing:
    """A file with paths, one a line: `-` is the standard input.

    They end with NUL instead if `from0`, or if the beginning of the list has one.
    """

    file: str
    from0: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to take of what is found; sizes in bytes, times in nanoseconds since 1970.

    A `listing` names files besides those that a walk finds.
    """

    patterns: Patterns = ALL
    default_excludes: bool = True
    follow_symlinks: bool = False
    newer_than_ns: int | None = None
    older_than_ns: int | None = None
    min_size: int = 0
    max_size: int | None = None
    listing: Listing | None = None

    def is_junk(self, name: str) -> bool:
        """Tell whether a file or folder of this name is no photo of anybody's."""
        return self.default_excludes and (name.startswith(".") or name.lower() in JUNK)

    def excludes(self, path: str) -> bool:
        """Tell whether patterns leave a file out, or all that may lie in a folder."""
        if path.endswith("/"):
            return not self.patterns.enter(path)
        return not self.patterns.take(path)

    def skip_reason(self, *, size: int, mtime_ns: int) -> SkipReason | None:
        """Return why a file of this size and time is left out, None if it is not."""
        if size < self.min_size or (self.max_size is not None and size > self.max_size):
            return SkipReason.SIZE
        too_old = self.newer_than_ns is not None and mtime_ns < self.newer_than_ns
        too_new = self.older_than_ns is not None and mtime_ns >= self.older_than_ns
        return SkipReason.AGE if too_old or too_new else None


EVERYTHING: Final = Filters()
"""All but what systems leave beside photos, and symbolic links."""
