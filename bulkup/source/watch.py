"""Waits until files have arrived in folders and are complete.

Notices from the system only wake it up; what has arrived is found by walking, so that no notice
can be missed.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from bulkup.errors import RunError, UsageError
from bulkup.errors import run as run_failures
from bulkup.events import (
    Event,
    FileSkipped,
    PhotoFailed,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    SkipReason,
)
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.photos import Photo
from bulkup.source.scan import COMPANIONS, PairedFile, find, paired

Sleep = Callable[[float], Awaitable[None]]

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


LISTEN_MS: Final = 400
"""How often it is looked up whether to go on listening."""

POLL_MS: Final = 2000


class Watch:
    """Watches folders for what is chosen. Raises `UsageError` where that is impossible.

    `formats` tells that a file which the server does not take may still be a format of a photo.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        filters: Filters = EVERYTHING,
        *,
        formats: bool = False,
        settle_s: float,
        poll: bool,
        clock: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        for root in roots:
            if not root.is_dir():
                raise UsageError(f"{root} is no folder", hint="Give folders to watch.")
        try:
            from watchfiles import awatch  # noqa: PLC0415 (not everybody has it)
        except ImportError:
            raise UsageError(
                "watch needs a library that is not installed: watchfiles",
                hint="Install it with: pip install 'bulkup[watch]'",
            ) from None
        self.roots = roots
        self._choice = filters
        self._formats = formats
        self._news = awatch
        self._poll = poll
        self._clock = clock
        self._sleep = sleep
        self._inbox = Inbox(settle_s=settle_s)
        self._woken = anyio.Event()
        self._ended: set[Path] = set()
        self._unfinished: set[Path] = set()
        self._refused: set[str] = set()

    async def listen(self) -> None:
        """Hear the news of the disk, until cancelled. Raises `RunError` where there are none."""
        news = self._news(
            *self.roots,
            watch_filter=lambda _, path: not self._choice.is_junk(Path(path).name),
            rust_timeout=LISTEN_MS,
            yield_on_timeout=True,
            force_polling=self._poll or None,
            poll_delay_ms=POLL_MS,
            ignore_permission_denied=True,
        )
        begun = False
        try:
            async with aclosing(news):
                async for changes in news:
                    if changes or not begun:  # what came before it listened is looked for as well
                        self._woken.set()
                    begun = True
        except (OSError, RuntimeError, ValueError) as error:
            raise RunError(run_failures.UNWATCHED(reason=error)) from None

    async def arrivals(self) -> Mapping[Path, Photo]:
        """Return what is to be brought, as soon as there is something."""
        while True:
            self._woken = anyio.Event()
            before = self._clock()
            photos, of = await self._walk()
            lone = {photo.path for photo in photos if self._is_format(photo.path)} - of.keys()
            self._inbox.look(photos, now=self._clock(), lone=lone)
            if ready := self._ready(of, now=before):  # not by the time that the walk took
                return ready
            wait_s = self._inbox.wait_s(now=before)
            if wait_s is None:
                await self._woken.wait()
            else:
                await self._sleep(wait_s)

    def _ready(self, of: Mapping[Path, Path], *, now: float) -> Mapping[Path, Photo]:
        """Return what is to be brought now: with each photo its formats, and none before it."""
        still = self._inbox.ready(now=now)
        ready = {
            path: photo
            for path, photo in still.items()
            if path not in of or of[path] in still or not self._inbox.is_new(of[path])
        }
        return {**ready, **self._inbox.again((p for p in of if of[p] in ready), now=now)}

    async def _walk(self) -> tuple[list[Photo], Mapping[Path, Path]]:
        """Return what lies there, and which photo each file stands beside as a format."""
        photos: list[Photo] = []
        of: dict[Path, Path] = {}
        found_all = find(self.roots, self._choice, endings=None)
        walk = paired(found_all, endings=None) if self._formats else found_all
        async with aclosing(walk):
            async for batch in walk:
                for found in batch:
                    if isinstance(found, Photo):
                        photos.append(found)
                    elif isinstance(found, PairedFile):
                        photos.append(Photo(found.path, found.size, found.mtime_ns))
                        of[found.path] = found.of
        return [photo for photo in photos if photo.path.suffix.lower() not in self._refused], of

    def _is_format(self, path: Path) -> bool:
        """Tell whether a file may be a format of a photo."""
        return self._formats and path.suffix[1:].lower() in COMPANIONS

    def observe(self, event: Event) -> None:
        """Learn from a run what is done, and what the server does not take anyway."""
        match event:
            case PhotoUploaded() | PhotoPresent() | PhotoFailed() | FileSkipped():
                self._ended.add(event.path)
            case PhotoUnfinished(path=path):
                self._unfinished.add(path)
        match event:
            case FileSkipped(path=path, reason=SkipReason.TYPE) if not self._is_format(path):
                self._refused.add(path.suffix.lower())

    def end(self, batch: Mapping[Path, Photo], *, whole: bool) -> None:
        """Learn that the run for these is over, `whole` if it came to its end.

        What it did not come to is brought by the next one. What it did not find is not looked for
        again if it was whole.
        """
        done = batch.keys() - self._unfinished if whole else batch.keys() & self._ended
        self._inbox.done_with([batch[path] for path in done])
        self._ended.clear()
        self._unfinished.clear()
