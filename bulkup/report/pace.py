"""How fast a run goes, and how long it still takes: by bytes and by photos.

Knows numbers and times, nothing of events. With many small photos it is not their bytes that
take the time but the server's work on each, so the longer of two estimates holds.
"""

from bulkup.report.rate import Meter

RATE_WINDOW_S = 10.0
LEFT_WINDOW_S = 60.0
PHOTOS_WINDOW_S = 180.0
SOON_S = 3.0  # what is estimated from less than this would only jump


class Pace:
    """Counts what goes out and what comes to its end, from `now` on."""

    def __init__(self, now: float) -> None:
        self._rate = Meter(now, window_s=RATE_WINDOW_S)
        self.restart(now)

    def restart(self, now: float) -> None:
        """Estimate from now on: what was before, such as an outage, tells nothing."""
        self._restarted = now
        self._sizes = Meter(now, window_s=LEFT_WINDOW_S)
        self._photos = Meter(now, window_s=PHOTOS_WINDOW_S)

    def passed(self, size: int, now: float) -> None:
        """Count bytes that went out, or were checked; going back to send again takes none back."""
        size = max(0, size)
        self._rate.add(size, now)
        self._sizes.add(size, now)

    def ended(self, now: float) -> None:
        """Count a photo that nothing more is done for."""
        self._photos.add(1, now)

    def rate(self, now: float) -> float:
        """Return the bytes per second of the last seconds."""
        return self._rate.rate(now)

    def left_s(self, now: float, *, size: int, photos: int, waiting: int) -> float | None:
        """Return the seconds that so many bytes and photos take, None where that can't be told.

        `waiting` of the photos have not been begun.
        """
        since_s = now - self._restarted
        if since_s < SOON_S:
            return None
        by_photos = _divided(photos, self._photos.rate(now))
        if by_photos is None and (not size or (waiting and since_s < LEFT_WINDOW_S)):
            return None  # bytes alone don't tell what the server's work takes
        by_size = _divided(size, self._sizes.rate(now))
        if by_size is None:
            return None
        return max(by_size, by_photos or 0.0)


def _divided(amount: int, rate: float) -> float | None:
    if not amount:
        return 0.0
    return amount / rate if rate else None
