"""Rules that change the names of albums: regular expressions and their replacements."""

import re
import warnings
from dataclasses import dataclass
from math import comb
from typing import Final

from bulkup.errors import UsageError

ARROW: Final = "=>"
LONGEST: Final = 255
"""Characters of a name; longer ones, which no file system has, are not changed."""

LONGEST_RULE: Final = 1000
MOST_STEPS: Final = 1_500_000_000
"""Steps that a rule may take for one name, at the very worst: some ten seconds."""

HINT: Final = (
    r"Give a regular expression, =>, and its replacement, such as '^(\d{4})_(\d\d)_=>\1-\2 '."
)
SLOW_HINT: Final = (
    r"Avoid repeats within repeats, and write fixed numbers such as \d{4} instead of \d+. Several "
    "flags can make one change each."
)

TOKEN: Final = re.compile(
    r"""(?P<escape>\\.)
    | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<open>\((?:\?[^()]?)?)
    | (?P<close>\))
    | (?P<either>\|)
    | (?P<repeat>(?:[*+?]|\{\d*(?:,\d*)?\})[?+]?)
    | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Rename:
    """A rule: every match of `pattern` in a name is replaced by `text`, which may use groups."""

    pattern: re.Pattern[str]
    text: str

    def __call__(self, name: str) -> str:
        """Return a name after the change."""
        return name if len(name) > LONGEST else self.pattern.sub(self.text, name)


def read_rename(rule: str, *, flag: str) -> Rename:
    """Parse a rule such as `^2019-=>`.

    Raises `UsageError`, also if the rule could take very long.
    """
    pattern, arrow, text = rule.rpartition(ARROW)
    if not (arrow and pattern) or len(rule) > LONGEST_RULE:
        raise UsageError(f"{flag} “{rule[:80]}” is not a rule", hint=HINT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what a later Python may understand differently
            compiled = re.compile(pattern)
            compiled.sub(text, "")
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise UsageError(f"{flag} “{rule}”: {error}", hint=HINT) from None
    if _steps(pattern) > MOST_STEPS:
        raise UsageError(f"{flag} “{rule}” could take very long", hint=SLOW_HINT)
    return Rename(compiled, text)


@dataclass(slots=True)
class _Group:
    """What is in a group so far: repeats of any length, and alternatives."""

    repeats: bool = False
    either: bool = False


def _steps(pattern: str) -> float:
    """Return an upper bound of the steps that a valid pattern takes for a name.

    A match tries each way to divide the name among the repeats, and without an anchor each place
    to begin. Where one repeat is within another, and where a group with alternatives is repeated,
    their number has no useful bound.
    """
    long = pattern.count("(?P=") + len(re.findall(r"\\[1-9]", pattern))  # compare a whole group
    choices, groups, last = 0, [_Group()], _Group()
    for match in TOKEN.finditer(pattern):
        kind = match.lastgroup
        if kind == "open":
            groups.append(_Group())
        elif kind == "close" and len(groups) > 1:
            last = groups.pop()
            groups[-1].repeats |= last.repeats
        elif kind == "either":
            groups[-1].either = True
        elif kind == "repeat":
            least, most = _bounds(match["repeat"])
            if most > 1 and (last.repeats or last.either):
                return float("inf")
            if least != most:
                groups[-1].repeats = True
                long, choices = (long + 1, choices) if most > 1 else (long, choices + 1)
        if kind not in {"close", "repeat"}:
            last = _Group()
    anchored = pattern.startswith(("^", r"\A"))
    places = long + (0 if anchored else 1)
    return float(comb(LONGEST + places, places)) * 2.0**choices


def _bounds(repeat: str) -> tuple[int, int]:
    """Return how often something is repeated, at least and at most."""
    if repeat[0] != "{":
        return (1 if repeat[0] == "+" else 0), (1 if repeat[0] == "?" else LONGEST)
    least, comma, most = repeat.rstrip("?+")[1:-1].partition(",")
    low = min(int(least or 0), LONGEST)
    high = min(int(most), LONGEST) if most else LONGEST
    return low, high if comma else low
