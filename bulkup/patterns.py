"""Which paths patterns take or leave out: git's rules for each, and the last that matches decides.

Knows pathspec, whose only home this is, and paths as text; no disk. A path is relative, with
slashes; that of a folder ends with one. A pattern that matches a folder matches all below it.
"""

import re
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from bulkup.errors import UsageError

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
