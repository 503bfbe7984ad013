"""Waits for files to arrive in folders and to be complete.

Notifications of the system only trigger a scan, so a lost one does no harm.
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
from bulkup.source.pairing import COMPANIONS, PairedFile, paired
from bulkup.source.photos import Photo, ending_of
from bulkup.source.scan import find

Sleep = Callable[[float], Awaitable[None]]

MOST_SETTLES: Final = 6
"""Maximum wait of settled files for unsettled ones, as a multiple of the settle time."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as last seen, and since when it is unchanged, in seconds."""

    photo: Photo
    since: float


class Inbox:
    """The files of one inbox; a file is settled after `settle_s` seconds without a change."""

    def __init__(self, *, settle_s: float) -> None:
        self._settle_s = settle_s
        self._new: dict[Path, _Seen] = {}
        self._done: dict[Path, Photo] = {}
        self._lone: Collection[Path] = frozenset()

    def update(
        self, photos: Iterable[Photo], *, now: float, lone: Collection[Path] = frozenset()
    ) -> None:
        """Replace the list of files, as seen at `now`.

        A `lone` file may belong to a photo that is still to come, and takes twice as long to
        settle.
        """
        self._lone = lone
        new: dict[Path, _Seen] = {}
        done: dict[Path, Photo] = {}
        for photo in photos:
            path, seen = photo.path, self._new.get(photo.path)
            if self._done.get(path) == photo:
                done[path] = photo
            elif seen is not None and seen.photo == photo:
                new[path] = seen
            else:
                new[path] = _Seen(photo, now)
        self._new, self._done = new, done

    def ready(self, *, now: float) -> Mapping[Path, Photo]:
        """Return the files to upload now: files that arrive together are uploaded together.

        Empty while it is worth waiting for other files.
        """
        still = [seen for seen in self._new.values() if now >= self._due(seen)]
        late = any(now >= self._due(seen) + MOST_SETTLES * self._settle_s for seen in still)
        if len(still) < len(self._new) and not late:
            return {}
        return {seen.photo.path: seen.photo for seen in still}

    def wait_s(self, *, now: float) -> float | None:
        """Return the seconds until the next scan, None to wait for the next notification."""
        dues = [due for seen in self._new.values() if (due := self._due(seen)) > now]
        return min(dues) - now if dues else None

    def mark_done(self, photos: Iterable[Photo]) -> None:
        """Mark files as done until they change."""
        for photo in photos:
            seen = self._new.get(photo.path)
            if seen is not None and seen.photo == photo:
                del self._new[photo.path]
            self._done[photo.path] = photo

    def requeue(self, paths: Iterable[Path], *, now: float) -> Mapping[Path, Photo]:
        """Return those of the paths that are done, and mark them for immediate upload."""
        requeued = {path: self._done.pop(path) for path in paths if path in self._done}
        for path, photo in requeued.items():
            self._new[path] = _Seen(photo, now - 2 * self._settle_s)
        return requeued

    def is_new(self, path: Path) -> bool:
        """Return whether a file is still to be uploaded."""
        return path in self._new

    def _due(self, seen: _Seen) -> float:
        """Return when the file will be settled."""
        settles = 2 if seen.photo.path in self._lone else 1
        return seen.since + settles * self._settle_s


LISTEN_MS: Final = 400
"""How often the watcher checks for cancellation."""

POLL_MS: Final = 2000


class Watch:
    """Watches folders. Raises `UsageError` if that is impossible.

    With `formats`, a file that the server does not accept may still be a format of a photo.
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
                raise UsageError(f"{root} is not a folder", hint="Name folders to watch.")
        try:
            from watchfiles import awatch  # noqa: PLC0415 (optional)
        except ImportError:
            raise UsageError(
                "watch needs a library that is not installed: watchfiles",
                hint="Install it with: pip install 'bulkup[watch]'",
            ) from None
        self.roots = roots
        self._filters = filters
        self._formats = formats
        self._awatch = awatch
        self._poll = poll
        self._clock = clock
        self._sleep = sleep
        self._inbox = Inbox(settle_s=settle_s)
        self._changed = anyio.Event()
        self._ended: set[Path] = set()
        self._unfinished: set[Path] = set()
        self._refused: set[str] = set()

    async def listen(self) -> None:
        """Process notifications until cancelled. Raises `RunError` if the system provides none."""
        changes_of_roots = self._awatch(
            *self.roots,
            watch_filter=lambda _, path: not self._filters.is_junk(Path(path).name),
            rust_timeout=LISTEN_MS,
            yield_on_timeout=True,
            force_polling=self._poll or None,
            poll_delay_ms=POLL_MS,
            ignore_permission_denied=True,
        )
        begun = False
        try:
            async with aclosing(changes_of_roots):
                async for changes in changes_of_roots:
                    if changes or not begun:  # also finds what arrived before
                        self._changed.set()
                    begun = True
        except (OSError, RuntimeError, ValueError) as error:
            raise RunError(run_failures.UNWATCHED(reason=error)) from None

    async def arrivals(self) -> Mapping[Path, Photo]:
        """Wait for files to upload, and return them."""
        while True:
            self._changed = anyio.Event()
            before = self._clock()
            photos, of = await self._walk()
            lone = {photo.path for photo in photos if self._is_format(photo.path)} - of.keys()
            self._inbox.update(photos, now=self._clock(), lone=lone)
            if ready := self._ready(of, now=before):  # `before`: the walk takes time
                return ready
            wait_s = self._inbox.wait_s(now=before)
            if wait_s is None:
                await self._changed.wait()
            else:
                await self._sleep(wait_s)

    def _ready(self, of: Mapping[Path, Path], *, now: float) -> Mapping[Path, Photo]:
        """Return the files to upload now: a photo's formats together with it, never before."""
        still = self._inbox.ready(now=now)
        ready = {
            path: photo
            for path, photo in still.items()
            if path not in of or of[path] in still or not self._inbox.is_new(of[path])
        }
        return {**ready, **self._inbox.requeue((p for p in of if of[p] in ready), now=now)}

    async def _walk(self) -> tuple[list[Photo], Mapping[Path, Path]]:
        """Return the files found, and the photo that each format belongs to."""
        photos: list[Photo] = []
        of: dict[Path, Path] = {}
        found_all = find(self.roots, self._filters, endings=None)
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
        """Return whether a file may be a format of a photo."""
        return self._formats and ending_of(path) in COMPANIONS

    def observe(self, event: Event) -> None:
        """Note from a run's event which files are done, and which types the server refuses."""
        match event:
            case PhotoUploaded() | PhotoPresent() | PhotoFailed() | FileSkipped():
                self._ended.add(event.path)
            case PhotoUnfinished(path=path):
                self._unfinished.add(path)
        match event:
            case FileSkipped(path=path, reason=SkipReason.TYPE) if not self._is_format(path):
                self._refused.add(path.suffix.lower())

    def end(self, batch: Mapping[Path, Photo], *, whole: bool) -> None:
        """Finish a run; `whole` if it was not stopped.

        Files without an outcome are uploaded by the next run. After a whole run, files that it did
        not find are not looked for again.
        """
        done = batch.keys() - self._unfinished if whole else batch.keys() & self._ended
        self._inbox.mark_done([batch[path] for path in done])
        self._ended.clear()
        self._unfinished.clear()
