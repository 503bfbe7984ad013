"""What to do about a failed request, as a pure table: again, wait for the server, or give up.

Knows errors by their types and plain numbers, and neither servers nor tasks.
"""

from dataclasses import dataclass
from typing import Final

from bulkup.errors import Damaged, Mangled, Outage, SessionLost, TooLarge, Transient

MOST_DOUBLINGS: Final = 64  # beyond them the power would overflow, after hours of knocking


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long to go on, as plain numbers; times in seconds.

    The n-th try again waits `min(wait_max_s, wait_s · 2^(n-1)) · (1 … 1.5)`. `retries` bounds the
    tries again of one request, and of one photo; `patience_s` bounds an outage; `ask_s` is how
    long a finished photo may take to show up, to which `ask_bytes_per_s` adds for large ones.
    """

    retries: int = 5
    wait_s: float = 0.5
    wait_max_s: float = 60.0
    patience_s: float = 3600.0
    knock_max_s: float = 30.0
    ask_s: float = 8.0
    ask_bytes_per_s: float = 20e6

    def backoff(self, attempt: int, *, chance: float) -> float:
        """Return the seconds to wait after the `attempt`-th failure; `chance` from 0 to 1."""
        doubled = self.wait_s * 2.0 ** min(attempt - 1, MOST_DOUBLINGS)
        return min(self.wait_max_s, doubled) * (1 + chance / 2)

    def ask_delays(self, size: int) -> list[float]:
        """Return the pauses between questions whether a photo of `size` bytes has arrived."""
        total = self.ask_s + size / self.ask_bytes_per_s
        delays = [0.0, self.ask_s / 32]
        while sum(delays) < total:
            delays.append(min(delays[-1] * 2, total - sum(delays)))
        return delays


@dataclass(frozen=True, slots=True)
class Again:
    """The same request once more, after so many seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until the server is back; then the same request again if `again`."""

    again: bool


@dataclass(frozen=True, slots=True)
class Give:
    """The error goes on."""


def decide(
    error: Transient, *, attempt: int, repeatable: bool, policy: Policy, chance: float
) -> Again | Await | Give:
    """Return what to do after the `attempt`-th failure of a request, from 1.

    `repeatable` tells that the request may be carried out twice without harm.
    """
    may_repeat = repeatable or error.untouched
    match error:
        case TooLarge() | Damaged():
            return Give()
        case Mangled() if attempt > 1:
            return Give()
        case Outage():
            return Await(again=may_repeat and attempt <= policy.retries)
        case _ if not may_repeat or attempt > policy.retries:
            return Give()
        case SessionLost() if attempt == 1:
            return Again(0.0)
    backoff = policy.backoff(attempt, chance=chance)
    if error.retry_after_s is None:
        return Again(backoff)
    return Again(min(max(error.retry_after_s, 0.0), policy.patience_s))
