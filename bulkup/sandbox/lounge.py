"""The lounge: which photos wait for which albums.

It knows ids only, and must not know what a photo or an album is.
"""

from collections.abc import Container
from collections.abc import Set as AbstractSet


class Lounge:
    """Rows of photo and album, each at most once, quick to count by album."""

    def __init__(self) -> None:
        self._waiting: dict[int, dict[int, None]] = {}

    def __contains__(self, row: tuple[int, int]) -> bool:
        photo_id, album_id = row
        return photo_id in self._waiting.get(album_id, ())

    def enter(self, photo_id: int, album_id: int) -> None:
        """Let a photo wait for an album."""
        self._waiting.setdefault(album_id, {})[photo_id] = None

    def rows(self) -> list[tuple[int, int]]:
        """List all rows by album and photo."""
        return [(p, a) for a in sorted(self._waiting) for p in sorted(self._waiting[a])]

    def forget(self, last: int) -> None:
        """Drop the rows of all photos up to this one."""
        for album_id, photos in self._waiting.items():
            self._waiting[album_id] = {p: None for p in photos if p > last}

    def count(self, album_id: int, *, without: AbstractSet[int]) -> int:
        """Count the photos that wait for an album, but for some."""
        photos = self._waiting.get(album_id, {})
        return len(photos) - len(photos.keys() & without)

    def first(self, known: Container[int]) -> int | None:
        """Find the lowest photo that waits and still exists."""
        lowest = min((min(photos) for photos in self._waiting.values() if photos), default=None)
        if lowest is None or lowest in known:
            return lowest
        return min((p for p, _ in self.rows() if p in known), default=None)
