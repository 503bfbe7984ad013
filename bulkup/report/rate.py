"""How fast: bytes per second over a sliding window.

Knows numbers and times, nothing of photos. Memory is bounded by the window, not by the traffic.
"""

from collections import deque

GRAINS = 100  # a window is told this finely: what comes within one grain counts as one
SHORTEST_S = 1.0  # a rate over less time than this would only jump


class Meter:
    """Counts bytes from `started` on and tells the rate over the last `window_s` seconds."""

    def __init__(self, started: float, *, window_s: float) -> None:
        self._started = started
        self._window_s = window_s
        self._total = 0
        self._total_before = 0  # what had passed when the window begins
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, size: int, now: float) -> None:
        """Count `size` more bytes as of `now`."""
        self._total += size
        if self._samples and now - self._samples[-1][0] < self._window_s / GRAINS:
            self._samples[-1] = (self._samples[-1][0], self._total)
        else:
            self._samples.append((now, self._total))
        self._forget(now)

    def rate(self, now: float) -> float:
        """Return the bytes per second of the window that ends `now`."""
        self._forget(now)
        covered_s = min(self._window_s, now - self._started)
        return (self._total - self._total_before) / max(covered_s, SHORTEST_S)

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][0] <= now - self._window_s:
            _, self._total_before = self._samples.popleft()
