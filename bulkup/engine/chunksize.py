"""The chunk size of a run, found by what passes and what is refused. Pure: no I/O, no clock."""

from typing import Final

from bulkup.source.photos import BLOCK

LEAST: Final = 64 * 1024
"""Nothing is gained by chunks smaller than this many bytes."""

MOST: Final = 8000 * 1024
"""With it a request stays below the 8 MiB that PHP comes with as its `post_max_size`."""

GOOD_CHUNKS: Final = 3
"""So many chunks have to pass quickly before larger ones are tried."""

QUICK_S: Final = 2.0
"""A larger chunk than one that takes longer gains nothing, and loses more when it breaks."""

SLOW_S: Final = 30.0
"""A chunk that takes longer is too large for its line."""


class ChunkSize:
    """The one chunk size of a run, `now`, in bytes; `reported` is the last one that was emitted.

    It begins at `named`, what the server names, or at `ceiling`, what an earlier run found to be
    the most that passes. A `wish` of the user's counts more than both and is never exceeded.
    Where it does not grow (`grows`), what is left of a photo in smaller chunks would spoil it.
    """

    def __init__(
        self,
        named: int,
        *,
        wish: int | None = None,
        ceiling: int | None = None,
        grows: bool = True,
    ) -> None:
        self._begin = wish or named
        self._most = max(MOST, named) if grows and wish is None else self._begin
        self._least = min(LEAST, self._begin)
        self._grows = grows
        self._good = 0
        self._doubted = False
        self.proven = 0
        self.ceiling: int | None = None
        self.now = self._begin
        if ceiling is not None and wish is None:
            self.ceiling = max(self._least, ceiling)
            self.now = min(self.ceiling, self._most)
        self.reported = self.now

    def is_proven(self, length: int) -> bool:
        """Tell whether so many bytes are no risk: they have passed before, or are few enough."""
        return length <= max(self.proven, self._least)

    def is_doubtful(self, length: int) -> bool:
        """Tell whether a chunk of so many bytes may have been too large, by what is known now."""
        return length > self._least and (length > self.now or not self.is_proven(length))

    def passed(self, length: int, seconds: float | None = None) -> None:
        """Take in that a chunk has passed.

        `seconds` is how long it took, None where that is more than the line's doing.
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
        """Take in that the server refused a chunk for its size; return a ceiling if that is new.

        What has passed before is refused for another reason, so smaller chunks are tried for now.
        """
        if length <= self._least:
            return None
        if self.is_proven(length):
            self.proven = 0
            self._go_back(length // 2)
            return None
        return self._mark(max(self.proven, length // 2))

    def broke(self, length: int) -> int | None:
        """Take in that a request broke; return a ceiling if that is new.

        What has passed before is not to blame for it, and chunks in flight that are larger than
        those of `now` tell nothing new.
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
