"""Faults of the server and the connection: a plan of them, and a seeded random rate."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "request-lost",  # the connection is closed before anything was processed
    "cut",  # half of the body is read, then the connection is closed
    "answer-lost",  # processed, then the connection is closed without an answer
    "truncated",  # processed, half of the answer is sent, then the connection is closed
    "502",  # not processed: an HTML page of the web server
    "503",
    "504",
    "408",
    "413",
    "429",  # with Retry-After
    "403-html",  # a firewall in front of the server
    "html",  # status 200 with a maintenance page
    "504-after",  # processed, then the web server gives up
    "empty-500-before",  # PHP crashed at once
    "empty-500-after",  # PHP crashed after its work
    "php-noise",  # a PHP warning in front of the real answer
    "expired-session",  # the session is deleted just before the request is handled
    "slow",  # the finish hangs after storing
    "damaged",  # one bit of the file is flipped in transit
    "merged-left",  # uploadAsync: PHP crashes during the merge
    "no-input",  # upload: PHP can't open the file that it has received
    "no-output",  # upload: PHP can't write to the buffer
    "302",  # not processed: a redirect to another server
    "401-html",  # the web server asks for a password of its own
    "404",
    "411",
    "401-key",  # "Invalid api_key"
    "501-method",  # the method is unknown
    "999-login",  # "Invalid username/password"
]

BLOCKING: tuple[Kind, ...] = (
    *("no-output", "302", "401-html", "411", "401-key", "501-method", "999-login"),
)
"""What would make every run impossible if it lasted."""

LINE_FAULTS: tuple[Kind, ...] = (
    "request-lost",
    "cut",
    "answer-lost",
    "truncated",
    "502",
    "503",
    "504",
    "504-after",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Affects the nth request of a method, from 0; None means each request, or any method."""

    kind: Kind
    method: str | None = None
    nth: int | None = None
    retry_after: str = "0"
    slow_s: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"no such fault: {self.kind}")


class Faults:
    """Decides which fault affects each request, and counts the faults in `hit`."""

    def __init__(
        self,
        plan: Sequence[Fault] = (),
        *,
        rate: float = 0.0,
        seed: int = 0,
        kinds: Sequence[Kind] = LINE_FAULTS,
    ) -> None:
        self.hit = 0
        self._plan: list[tuple[Fault, list[None]]] = []
        self._rate = rate
        self._kinds = kinds
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        for fault in plan:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Add a fault to the plan; it counts requests from now on."""
        self._plan.append((fault, []))

    def strike(self, method: str) -> Fault | None:
        """Return the fault for this request; planned faults go before random ones."""
        struck = None
        for fault, seen in self._plan:
            if fault.method in {None, method}:
                if fault.nth in {None, len(seen)}:
                    struck = struck or fault
                seen.append(None)
        if struck is None and self._rate and self._random.random() < self._rate:
            struck = Fault(self._random.choice(self._kinds))
        self.hit += struck is not None
        return struck
