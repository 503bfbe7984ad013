"""The chunk size of a run, adapted to what passes and what is refused. Pure: no I/O, no clock."""

from typing import Final

from bulkup.source.photos import BLOCK

LEAST: Final = 64 * 1024
"""The smallest chunk in bytes; smaller ones gain nothing."""

MOST: Final = 8000 * 1024
"""The largest chunk in bytes: requests stay below 8 MiB, PHP's default `post_max_size`."""

GOOD_CHUNKS: Final = 3
"""Chunks that have to pass quickly before larger ones are tried."""

QUICK_S: Final = 2.0
"""A chunk that takes longer is large enough: a larger one loses more when it fails."""

SLOW_S: Final = 30.0
"""A chunk that takes longer is too large for the connection."""


class ChunkSize:
    """The chunk size of a run: `now`, in bytes; `reported` is the last one that was emitted.

    It begins at `named`, the size that the server advertises, or at `ceiling`, the largest that
    passed in an earlier run. `user_size`, from the user, overrides both and is never exceeded.
    `grows` is False for a method where chunks left by an earlier attempt with a smaller size would
    corrupt the photo (`pwg.images.addChunk`).
    """

    def __init__(
        self,
        named: int,
        *,
        user_size: int | None = None,
        ceiling: int | None = None,
        grows: bool = True,
    ) -> None:
        self._begin = user_size or named
        self._most = max(MOST, named) if grows and user_size is None else self._begin
        self._least = min(LEAST, self._begin)
        self._grows = grows
        self._good = 0
        self._doubted = False
        self.proven = 0
        self.ceiling: int | None = None
        self.now = self._begin
        if ceiling is not None and user_size is None:
            self.ceiling = max(self._least, ceiling)
            self.now = min(self.ceiling, self._most)
        self.reported = self.now

    def is_proven(self, length: int) -> bool:
        """Return whether a chunk of this length is safe: one has passed, or it is small enough."""
        return length <= max(self.proven, self._least)

    def is_doubtful(self, length: int) -> bool:
        """Return whether a chunk of this length may have been too large."""
        return length > self._least and (length > self.now or not self.is_proven(length))

    def passed(self, length: int, seconds: float | None = None) -> None:
        """Record that a chunk has passed.

        `seconds` is how long sending took, None where the time includes the server's work.
        """
        if length > self.proven:
            self.proven = length
            self._doubted = False
        if seconds is None or length <= self.now - BLOCK:
            return
        self._good = self._good + 1 if seconds <= QUICK_S else 0
        if seconds > SLOW_S:
            self.now = min(self.now, max(self._begin, self.now // 2))
        elif self._good >= GOOD_CHUNKS and self._grows:
            self._good = 0
            self.now = min(self.now * 2, self.ceiling or self._most, self._most)

    def refused(self, length: int) -> int | None:
        """Record that the server refused a chunk for its size; return the ceiling if it is new.

        If the same size has passed before, the reason is another one: smaller chunks are tried.
        """
        if length <= self._least:
            return None
        if self.is_proven(length):
            self.proven = 0
            self._go_back(length // 2)
            return None
        return self._mark(max(self.proven, length // 2))

    def broke(self, length: int) -> int | None:
        """Record that the connection broke during a chunk; return the ceiling if it is new.

        A size that has passed before is not the cause; chunks in flight that are larger than `now`
        are ignored.
        """
        if self.is_proven(length) or length > self.now:
            return None
        if self._doubted:
            return self._mark(max(self.proven, length // 2))
        self._doubted = self.proven > 0
        self._go_back(self.proven or length // 2)
        return None

    def _go_back(self, size: int) -> None:
        self._good = 0
        self.now = max(self._least, min(self.now, size))

    def _mark(self, size: int) -> int | None:
        self._doubted = False
        self._go_back(size)
        size = max(self._least, size)
        if self.ceiling is not None and self.ceiling <= size:
            return None
        self.ceiling = size
        return size
