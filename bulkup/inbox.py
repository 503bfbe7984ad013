"""What lies in an inbox: which files are new, and have been still for long enough to be brought.

Knows sizes, times of change and what was brought before: pure, no disk and no clock.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bulkup.photos import Photo

MOST_SETTLES: Final = 6
"""What is still waits for what is not so many times as long as it takes to be still, at most."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """How a file looks, and since when; times in seconds."""

    photo: Photo
    since: float


class Inbox:
    """The files of one inbox; `settle_s` is how long one has to be still."""

    def __init__(self, *, settle_s: float) -> None:
        self._settle_s = settle_s
        self._new: dict[Path, _Sight] = {}
        self._done: dict[Path, Photo] = {}
        self._lone: Collection[Path] = frozenset()

    def look(
        self, photos: Iterable[Photo], *, now: float, lone: Collection[Path] = frozenset()
    ) -> None:
        """Take in what lies there, all of it, as seen up to `now`.

        What is `lone` may belong to a photo that is still to come, and waits for that for once as
        long as it takes to be still.
        """
        self._lone = lone
        new: dict[Path, _Sight] = {}
        done: dict[Path, Photo] = {}
        for photo in photos:
            path, sight = photo.path, self._new.get(photo.path)
            if self._done.get(path) == photo:
                done[path] = photo
            elif sight is not None and sight.photo == photo:
                new[path] = sight
            else:
                new[path] = _Sight(photo, now)
        self._new, self._done = new, done

    def ready(self, *, now: float) -> Mapping[Path, Photo]:
        """Return what is to be brought now: what arrives together goes together.

        Nothing, as long as it may be worth while to wait for other files.
        """
        still = [sight for sight in self._new.values() if now >= self._due(sight)]
        late = any(now >= self._due(sight) + MOST_SETTLES * self._settle_s for sight in still)
        if len(still) < len(self._new) and not late:
            return {}
        return {sight.photo.path: sight.photo for sight in still}

    def wait_s(self, *, now: float) -> float | None:
        """Return after how long another look is due, None: not before something happens."""
        dues = [due for sight in self._new.values() if (due := self._due(sight)) > now]
        return min(dues) - now if dues else None

    def done_with(self, photos: Iterable[Photo]) -> None:
        """Take these for done, as long as they look like this."""
        for photo in photos:
            sight = self._new.get(photo.path)
            if sight is not None and sight.photo == photo:
                del self._new[photo.path]
            self._done[photo.path] = photo

    def again(self, paths: Iterable[Path], *, now: float) -> Mapping[Path, Photo]:
        """Return those of these that are done, and have them brought once more, at once."""
        again = {path: self._done.pop(path) for path in paths if path in self._done}
        for path, photo in again.items():
            self._new[path] = _Sight(photo, now - 2 * self._settle_s)
        return again

    def is_new(self, path: Path) -> bool:
        """Tell whether a file is still to be brought."""
        return path in self._new

    def _due(self, sight: _Sight) -> float:
        """Return when the file will have been still for long enough, and waited."""
        settles = 2 if sight.photo.path in self._lone else 1
        return sight.since + settles * self._settle_s
