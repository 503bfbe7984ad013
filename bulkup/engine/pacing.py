"""How many finishes at once, decided from how long they take. Pure: no I/O, no clock of its own.

A run begins with one finish at a time, at once. The limit then doubles while throughput grows, as
TCP's slow start and Vector's adaptive concurrency do, and settles where it stopped growing; the
limit that served an earlier run best is taken up as soon as it is allowed. From there on trials of
one place more or less, in turns, follow the server (BBR probes for bandwidth in the same way). The
signal is throughput over a number of finishes, as in Netflix' gradient limiter never a single slow
one. The limit never reaches the number of workers that are proven.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from statistics import median
from typing import Final

GAIN: Final = 1.05
"""One place more must bring so many times the throughput."""

CLEAR_GAIN: Final = 1.15
CLEAR_LOSS: Final = 1.0
STRETCH: Final = 2.5
"""… and must not make a finish last so many times what it lasts alone."""

FIRST_PLACES: Final = 4
"""So many places the first proof of workers is for, where no earlier run has found the best."""

FEWEST_PER_STEP: Final = 3
"""The throughput of a step of the climb is judged from two finishes per place, and so many."""

WORTH_A_PROOF: Final = 1.4
"""So many times the throughput the last step must have brought before more workers are proven for
the next one: a proof holds up the others."""

SETTLED_S: Final = 15.0
"""How long the limit is left alone after the climb."""

TURN: Final = 4
"""Finishes per place in one turn of a trial."""

FEWEST_TURNS: Final = 4
MOST_TURNS: Final = 12
HOLD_S: Final = 60.0
"""How long nothing else is tried after a trial that changed nothing; doubles up to an hour."""

MOST_HOLD_S: Final = 3600.0
UNPROVEN_S: Final = 10.0
"""How long nothing is tried after workers could not be proven, since a visitor may just have held
one; doubles up to an hour."""

RECENT: Final = 16
TAIL: Final = 16 * 1024
"""Bytes that are left for the finish where the line is slow: a multiple of 4096."""

NOTICEABLE: Final = 0.25
"""The part of a finish that sending may take before only a tail is left for it …"""

WORTHWHILE_S: Final = 0.02
"""… if it takes so long at all: the tail costs a request, and a way to the server and back."""


def workers_for(places: int) -> int:
    """Return the PHP workers that it takes to finish so many photos at once without harm.

    One must stay free for the server's requests to itself, and from four on one for visitors.
    """
    return places + (2 if places > 2 else 1) if places > 1 else 1


def ceiling_for(workers: int | None) -> int:
    """Return how many finishes at once a server with so many PHP workers bears; None: unknown.

    A server with one worker gets one at a time: it has no better.
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
    """Whether `low + 1` places bring more than `low`: both in turns, so that no drift misleads."""

    low: int
    at: int
    turns: int = 0
    latencies: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    left: int = 0

    def __post_init__(self) -> None:
        self.left = TURN * self.at

    def take(self, latency_s: float) -> bool | None:
        """Take a finish in; tell whether the higher number wins, None while that is open."""
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
    """The quick start: the latencies at the present limit, and the step before it."""

    latencies: list[float] = field(default_factory=list)
    before: tuple[int, float] | None = None  # places, and photos a second with them

    def take(self, latency_s: float, *, places: int) -> float | None:
        """Take a finish in; return the throughput in photos a second once it can be told."""
        self.latencies.append(latency_s)
        if len(self.latencies) < max(FEWEST_PER_STEP, 2 * places):
            return None
        return places / max(median(self.latencies), 1e-9)


@dataclass(slots=True)
class Finishing:
    """The number of photos that may be finished at once: `target`, from 1 up to `most`.

    `workers` are the PHP workers of the server that this run has proven. A `fixed` number is the
    user's own: it is lowered by trouble and never else. `best` is the limit that throughput has
    shown to be best, None while that is not known.
    """

    most: int
    workers: int = 1
    fixed: bool = False
    best: int | None = None
    _settled: int = 1
    _climb: _Climb | None = field(default_factory=_Climb)
    _known: int | None = None
    _trial: _Trial | None = None
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _alone_s: float | None = None
    _hold_until: float = float("-inf")
    _hold_s: float = HOLD_S
    _unproven_s: float = UNPROVEN_S
    _downward: bool = False
    _asked: int | None = None
    _trouble_at: float = float("-inf")

    def begin(self, known: int | None = None) -> None:
        """Ask for the first proof; `known` is the limit that served an earlier run best."""
        if self.fixed or self._climb is None or self._asked is not None:
            return
        self._known = known if known and known > 1 else None
        places = min(self.most, self._known or FIRST_PLACES)
        if places > self.ceiling:
            self._asked = places

    @property
    def target(self) -> int:
        """How many photos may be finished at once now."""
        if self.fixed:
            return self.most
        return self._trial.at if self._trial else self._settled

    @property
    def ceiling(self) -> int:
        """How many it may become, by what is known now."""
        return self.most if self.fixed else min(self.most, ceiling_for(self.workers))

    @property
    def wanted_workers(self) -> int | None:
        """How many workers have to be proven before more places are tried; None: no need."""
        return None if self._asked is None else workers_for(self._asked)

    @property
    def usual_s(self) -> float | None:
        """How long a finish takes at present, None before the first."""
        return median(self._recent) if self._recent else None

    def prove(self, workers: int, *, now: float) -> None:
        """Take in how many workers there are at least; what was wanted may be still unproven."""
        self.workers = workers
        asked, self._asked = self._asked, None
        if asked is None:
            return
        if self._climb is not None and self.ceiling < asked > self._settled + 1:
            self._asked = max(self._settled + 1, (self._settled + asked) // 2)
        elif self.ceiling <= self._settled:
            self._climb = None
            self._hold_until = now + self._unproven_s
            self._unproven_s = min(self._unproven_s * 2, MOST_HOLD_S)
        elif self._climb is None:
            self._trial = _Trial(self._settled, self._settled)
        elif self._known is not None:  # it was best: what is nearby is tried later
            self._settle(min(self._known, self.ceiling), now)
        elif self._settled == 1 and self.usual_s is not None:  # the first few tell enough of one
            self._alone_s = self.usual_s
            self._settled, self._climb = 2, _Climb(before=(1, 1 / max(self._alone_s, 1e-9)))

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
        """Take in a finish that began at `began`, as one of `at_once`, and took so long.

        Where nobody is `waiting` for a place, one more would stay empty: it is not tried.
        """
        if outcome is Outcome.TROUBLE:
            self._trouble(at_once, began=began, now=now)
            return
        self._recent.append(latency_s)
        if self.fixed or at_once != self.target:
            return  # the line, not the server, is what it waited for
        if self._climb is not None:
            self._go_up(self._climb, latency_s, now=now, waiting=waiting)
        elif self._trial is None:
            self._begin_trial(now, waiting=waiting)
        elif (higher_wins := self._trial.take(latency_s)) is not None:
            self._end_trial(self._trial, higher_wins=higher_wins, now=now)

    def _go_up(self, climb: _Climb, latency_s: float, *, now: float, waiting: bool) -> None:
        """Double the limit if the last doubling was worth it, and settle where it was not."""
        places = self._settled
        rate = climb.take(latency_s, places=places)
        if rate is None:
            return
        usual_s = places / rate
        if places == 1:
            self._alone_s = usual_s
        ended = places == self.most
        if climb.before is not None:
            fewer, slower = climb.before
            ended |= places == self.ceiling and rate < slower * WORTH_A_PROOF
            stretched = self._alone_s is not None and usual_s > self._alone_s * STRETCH
            if stretched or rate < slower * CLEAR_GAIN:
                self._settle(fewer if stretched else (fewer + places) // 2, now)
                self.best = self._settled
                return
        if ended:
            self._settle(places, now)
            self.best = places
        elif waiting and places < self.ceiling:
            self._settled = min(2 * places, self.ceiling)
            self._climb = _Climb(before=(places, rate))
        elif waiting and self._asked is None:
            self._asked = min(2 * places, self.most)

    def _settle(self, places: int, now: float) -> None:
        """End the climb."""
        self._climb = None
        self._asked = None
        self._settled = places
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
            self._alone_s = low_s
        if self._alone_s is not None and high_s > self._alone_s * STRETCH:
            higher_wins = False
        self.best = settled = trial.low + higher_wins
        if settled == self._settled:
            self._downward = not self._downward
            self._hold(now)
        else:  # on the same way, at once
            self._downward = settled < self._settled
            self._settled = settled

    def _trouble(self, at_once: int, *, began: float, now: float) -> None:
        """Never try so many again; finishes that were under way then tell nothing new."""
        if began <= self._trouble_at:
            return
        self._trouble_at = now
        if at_once > 1:
            self.most = max(1, min(self.most, at_once - 1))
        else:
            self.workers = 1  # to be proven anew: this says nothing of how many at once it bears
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
    """Whether photos are sent but for a small tail before they are finished.

    On a slow line sending takes a noticeable part of a finish, and would hold a place that is
    meant for the server's work; on a fast one a request more is the greater cost.
    """

    _s_per_byte: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _work_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def sent(self, size: int, seconds: float) -> None:
        """Take in that sending so many bytes took so long."""
        if size > TAIL:
            self._s_per_byte.append(seconds / size)

    def worked(self, seconds: float) -> None:
        """Take in that the server worked so long on a photo that had been sent."""
        self._work_s.append(seconds)

    def size_for(self, last: int) -> int:
        """Return how much of a last chunk of so many bytes is left for the finish; 0: all."""
        if last <= 2 * TAIL or not self._s_per_byte or not self._work_s:
            return 0
        sending_s = median(self._s_per_byte) * last
        return TAIL if sending_s > max(NOTICEABLE * median(self._work_s), WORTHWHILE_S) else 0
