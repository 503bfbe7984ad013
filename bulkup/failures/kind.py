"""What a class of failures is called, and how its words get their facts.

Knows nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """A failure that has happened, in words: `code` names its class, empty where it has none."""

    message: str
    hint: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of failures: its `code` never changes, what happened, and what to do.

    The sentences hold names in braces where facts belong. Called with the facts, it returns the
    words of one failure.
    """

    code: str
    what: str
    remedy: str

    def __call__(self, **facts: object) -> Told:
        """Return the words of a failure. Raises `KeyError` where a fact is missing."""
        return Told(self.what.format_map(facts), self.remedy.format_map(facts), self.code)
