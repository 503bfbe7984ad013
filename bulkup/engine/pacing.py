"""Decides how many photos are finished at once, from how long that takes. Pure: no I/O, no clock.

A run begins with one photo, finished alone. The limit then doubles while throughput grows, like
TCP's slow start and Vector's adaptive concurrency, and settles where it stops growing. After an
earlier run, the limit that was best then is used as soon as workers are proven. Afterwards,
trials with one slot more or less, in turns, track the server, as BBR probes for bandwidth. The
signal is throughput over several finishes, never a single slow one, as in Netflix' gradient
limiter. The limit always stays below the number of workers that are proven.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from statistics import median
from typing import Final

GAIN: Final = 1.05
"""One slot more must multiply the throughput by at least this …"""

CLEAR_GAIN: Final = 1.15
CLEAR_LOSS: Final = 1.0
STRETCH: Final = 2.5
"""… and must not make a finish take more than this many times as long as alone."""

FIRST_SLOTS: Final = 4
"""Slots to prove workers for at first, at least: one try then proves all of a small pool."""

FEWEST_PER_STEP: Final = 3
"""A step of the climb is judged from two finishes per slot, and at least this many; with one slot,
a single one is enough."""

WORTH_A_PROOF: Final = 1.4
"""The step to two slots must have multiplied the throughput by this before workers are proven for
the next step: a proof delays other requests …"""

WORTH_A_LARGE_PROOF: Final = 1.7
"""… and a later step by this: proving more workers may stop all requests of a small pool."""

EFFICIENT: Final = 0.7
"""Before a later step, a slot must also be worth so much of one alone: it is not on a server whose
few processors are busy, where a large proof takes seconds."""

SETTLED_S: Final = 15.0
"""How long the limit is kept after the climb."""

TURN: Final = 4
"""Finishes per slot in one turn of a trial."""

FEWEST_TURNS: Final = 4
MOST_TURNS: Final = 12
HOLD_S: Final = 60.0
"""The pause after a trial that changed nothing; doubles up to an hour."""

MOST_HOLD_S: Final = 3600.0
UNPROVEN_S: Final = 10.0
"""The pause after workers could not be proven, as a visitor may have occupied one; doubles up to
an hour."""

RECENT: Final = 16
TAIL: Final = 16 * 1024
"""Bytes left for the finish on a slow connection: a multiple of 4096."""

NOTICEABLE: Final = 0.25
"""The share of a finish that sending may take before only a tail is left for it …"""

WORTHWHILE_S: Final = 0.02
"""… if sending takes this long at all: the tail costs a request and a round trip."""


def workers_for(slots: int) -> int:
    """Return the PHP workers that finishing this many photos at once needs.

    One stays free for the server's requests to itself, and from four on one for visitors.
    """
    return slots + (2 if slots > 2 else 1) if slots > 1 else 1


def ceiling_for(workers: int | None) -> int:
    """Return how many photos may be finished at once with this many PHP workers, None if unknown.

    A server with a single worker finishes one at a time, although none stays free.
    """
    if workers is None:
        return 1
    return max(1, workers - (2 if workers >= 4 else 1))


class Outcome(Enum):
    """How a finish ended."""

    ANSWERED = "answered"
    TROUBLE = "trouble"  # a time-out, 429, 502, 503, 504, or a stall


@dataclass(slots=True)
class _Trial:
    """A comparison of `low` and `low + 1` slots, in turns, so that drift affects both."""

    low: int
    at: int
    turns: int = 0
    latencies: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    left: int = 0

    def __post_init__(self) -> None:
        self.left = TURN * self.at

    def take(self, latency_s: float) -> bool | None:
        """Record a finish; return whether the higher number wins, None while undecided."""
        self.latencies[self.at - self.low].append(latency_s)
        self.left -= 1
        if self.left > 0:
            return None
        self.turns += 1
        self.at = self.low + 1 if self.at == self.low else self.low
        self.left = TURN * self.at
        if self.turns < FEWEST_TURNS or self.turns % 2:
            return None
        low_s, high_s = (median(each) for each in self.latencies)
        gain = (self.low + 1) / self.low * low_s / max(high_s, 1e-9)
        if gain >= CLEAR_GAIN or gain <= CLEAR_LOSS or self.turns >= MOST_TURNS:
            return gain >= GAIN
        return None


@dataclass(slots=True)
class _Climb:
    """The quick start: the finishes at the current limit, and the step before it."""

    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    before: tuple[int, float] | None = None  # slots, and photos a second with them

    def take(self, latency_s: float, *, at_once: int, slots: int) -> tuple[float, float] | None:
        """Record a finish; return median seconds and photos a second, None while unknown.

        A finish beside no more others than in the step before says nothing about this one.
        """
        if self.before is None or at_once > self.before[0]:
            self.latencies.append(latency_s)
            self.rates.append(at_once / max(latency_s, 1e-9))
        if slots > 1 and len(self.rates) < max(FEWEST_PER_STEP, 2 * slots):
            return None
        return median(self.latencies), median(self.rates)


@dataclass(slots=True)
class Finishing:
    """How many photos may be finished at once: `target`, from 1 up to `most`.

    `workers` are the PHP workers of the server that this run has proven. A `fixed` limit is the
    user's: only trouble lowers it. `best` is the limit with the best throughput, `alone_s` how
    long a finish takes alone, in seconds; None while unknown.
    """

    most: int
    workers: int = 1
    fixed: bool = False
    best: int | None = None
    alone_s: float | None = None
    _settled: int = 1
    _climb: _Climb | None = field(default_factory=_Climb)
    _known: int | None = None
    _trial: _Trial | None = None
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _hold_until: float = float("-inf")
    _hold_s: float = HOLD_S
    _unproven_s: float = UNPROVEN_S
    _downward: bool = False
    _asked: int | None = None
    _spare: bool = True
    _trouble_at: float = float("-inf")

    def begin(
        self,
        known: int | None = None,
        *,
        alone_s: float | None = None,
        unproven: int | None = None,
        now: float = 0.0,
    ) -> None:
        """Request the first proof, with what an earlier run has measured.

        `known` is the limit that was best, `alone_s` how many seconds a finish takes alone, and
        `unproven` a number of workers that could not be proven, which is not tried again for a
        while.
        """
        if self.fixed or self._climb is None or self._asked is not None:
            return
        self._known = known if known and known > 1 else None
        self.alone_s = alone_s
        slots = min(self.most, max(self._known or 0, FIRST_SLOTS))
        while unproven is not None and slots > 1 and workers_for(slots) >= unproven:
            slots -= 1
        if slots > self.ceiling:
            self._asked = slots
        elif unproven is not None:
            self._climb = None
            self._hold(now)

    @property
    def target(self) -> int:
        """How many photos may be finished at once at present."""
        if self.fixed:
            return self.most
        return self._trial.at if self._trial else self._settled

    @property
    def ceiling(self) -> int:
        """The highest `target` that the proven workers allow."""
        return self.most if self.fixed else min(self.most, ceiling_for(self.workers))

    @property
    def wanted_workers(self) -> int | None:
        """The workers to be proven before more slots are tried, None if no proof is needed."""
        return None if self._asked is None else workers_for(self._asked)

    @property
    def usual_s(self) -> float | None:
        """The median seconds of the last finishes; before the first, those of an earlier run."""
        return median(self._recent) if self._recent else self.alone_s

    def prove(self, workers: int, *, now: float) -> None:
        """Record the number of proven workers, which may be fewer than wanted.

        What was proven before still counts: a visitor may have occupied a worker this time.
        """
        wanted = self.wanted_workers
        self._spare = wanted is None or workers >= wanted
        self.workers = max(workers, self.workers)
        asked, self._asked = self._asked, None
        if asked is None:
            return
        if self.ceiling <= self._settled:
            if self._climb is not None and self._settled > 1:
                self.best = self._settled
            self._climb = None
            self._hold_until = now + self._unproven_s
            self._unproven_s = min(self._unproven_s * 2, MOST_HOLD_S)
        elif self._climb is None:
            self._trial = _Trial(self._settled, self._settled)
        elif self._known is not None:  # the best limit so far: its neighbours are tried later
            self._settle(min(self._known, self.ceiling), now)
        elif self._settled == 1 and self.usual_s is not None:  # enough is known about one slot
            self.alone_s = self.usual_s
            self._settled, self._climb = 2, _Climb(before=(1, 1 / max(self.alone_s, 1e-9)))

    def record(
        self,
        latency_s: float,
        outcome: Outcome,
        *,
        at_once: int,
        began: float,
        now: float,
        waiting: bool = True,
    ) -> None:
        """Record a finish that began at `began`, as one of `at_once`, and took `latency_s`.

        If none is `waiting` for a slot, one more would stay empty, so it is not tried.
        """
        if outcome is Outcome.TROUBLE:
            self._trouble(at_once, began=began, now=now)
            return
        self._recent.append(latency_s)
        if self.fixed:
            return
        if self._climb is not None:
            step = self._climb.take(latency_s, at_once=at_once, slots=self._settled)
            if step is not None:
                self._go_up(self._climb, *step, now=now, waiting=waiting)
        elif at_once != self.target:
            return  # the connection, not the server, was the bottleneck
        elif self._trial is None:
            self._begin_trial(now, waiting=waiting)
        elif (higher_wins := self._trial.take(latency_s)) is not None:
            self._end_trial(self._trial, higher_wins=higher_wins, now=now)

    def _go_up(
        self, climb: _Climb, usual_s: float, rate: float, *, now: float, waiting: bool
    ) -> None:
        """Double the limit if the last doubling was worth it, otherwise settle."""
        slots = self._settled
        if slots == 1:
            self.alone_s = usual_s
        ended = slots == self.most
        if climb.before is not None:
            fewer, slower = climb.before
            ended |= slots == self.ceiling and not self._worth_a_proof(slots, rate, slower)
            stretched = self.alone_s is not None and usual_s > self.alone_s * STRETCH
            if stretched or rate < slower * CLEAR_GAIN:
                gained = rate >= slower * GAIN
                self._settle(fewer if stretched else (fewer + slots + gained) // 2, now)
                self.best = self._settled
                return
        if ended:
            self._settle(slots, now)
            self.best = slots
        elif waiting and slots < self.ceiling:
            self._settled = min(2 * slots, self.ceiling)
            self._climb = _Climb(before=(slots, rate))
        elif waiting and self._asked is None:
            self._asked = min(2 * slots, self.most)

    def _worth_a_proof(self, slots: int, rate: float, slower: float) -> bool:
        """Return whether to prove workers for more slots, as the last step brought this rate."""
        if slots == 2:
            return self._spare and rate >= slower * WORTH_A_PROOF
        efficient = self.alone_s is None or rate * self.alone_s >= slots * EFFICIENT
        return self._spare and efficient and rate >= slower * WORTH_A_LARGE_PROOF

    def _settle(self, slots: int, now: float) -> None:
        """End the climb."""
        self._climb = None
        self._asked = None
        self._settled = slots
        self._downward = True
        self._hold_until = now + SETTLED_S

    def _begin_trial(self, now: float, *, waiting: bool) -> None:
        if now < self._hold_until or self._asked is not None:
            return
        if self._downward and self._settled > 1:
            self._trial = _Trial(self._settled - 1, self._settled)
        elif waiting and self._settled < self.ceiling:
            self._trial = _Trial(self._settled, self._settled)
        elif waiting and self._settled < self.most:
            self._asked = self._settled + 1
        elif self._settled > 1:
            self._trial = _Trial(self._settled - 1, self._settled)

    def _end_trial(self, trial: _Trial, *, higher_wins: bool, now: float) -> None:
        self._trial = None
        low_s, high_s = (median(each) for each in trial.latencies)
        if trial.low == 1:
            self.alone_s = low_s
        if self.alone_s is not None and high_s > self.alone_s * STRETCH:
            higher_wins = False
        self.best = settled = trial.low + higher_wins
        if settled == self._settled:
            self._downward = not self._downward
            self._hold(now)
        else:  # in the same direction, without a pause
            self._downward = settled < self._settled
            self._settled = settled

    def _trouble(self, at_once: int, *, began: float, now: float) -> None:
        """Never use this many slots again; ignore finishes that were in progress at the time."""
        if began <= self._trouble_at:
            return
        self._trouble_at = now
        if at_once > 1:
            self.most = max(1, min(self.most, at_once - 1))
        else:
            self.workers = 1  # to be proven again: this shows nothing about finishing several
        self._settled = max(1, min(self.ceiling, self._settled // 2))
        self.best = None
        self._trial = None
        self._climb = None
        self._asked = None
        self._downward = False
        self._hold(now)

    def _hold(self, now: float) -> None:
        self._hold_until = now + self._hold_s
        self._hold_s = min(self._hold_s * 2, MOST_HOLD_S)


@dataclass(slots=True)
class Tail:
    """Decides whether all of a photo but a small tail is sent before it gets a slot to finish.

    On a slow connection, sending takes a noticeable part of a finish, and would occupy a slot that
    is meant for the server's work; on a fast one, one more request costs more.
    """

    _s_per_byte: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _work_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def sent(self, size: int, seconds: float) -> None:
        """Record how long sending `size` bytes took."""
        if size > TAIL:
            self._s_per_byte.append(seconds / size)

    def worked(self, seconds: float) -> None:
        """Record how long the server worked on a photo after its last byte."""
        self._work_s.append(seconds)

    def size_for(self, last: int) -> int:
        """Return how many bytes of a last chunk are left for the finish; 0 for all of them."""
        if last <= 2 * TAIL or not self._s_per_byte or not self._work_s:
            return 0
        sending_s = median(self._s_per_byte) * last
        return TAIL if sending_s > max(NOTICEABLE * median(self._work_s), WORTHWHILE_S) else 0
