"""Disposes of local files once the server has confirmed their photos."""

from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from bulkup.engine.context import RunContext
from bulkup.engine.executor import Executor
from bulkup.engine.job import Job
from bulkup.errors import BulkupError, PhotoChanged, PhotoError, one_error
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import local as local_failures
from bulkup.events import FileMoved, FileNotMoved, Noticed
from bulkup.source.files import absolute
from bulkup.source.move import Mover, Trash
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo, fingerprint

MOST_CHECKED: Final = 4
"""Stored files that the server reads at once."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A photo that is in the gallery, as far as this run knows."""

    photo: Photo
    md5: str
    albums: Sequence[int]
    photo_id: int | None


class Disposal:
    """Collects the photos that have arrived in a run, and disposes of their files at its end.

    `destination` None leaves all files where they are.
    """

    def __init__(
        self, destination: Mover | Trash | None, context: RunContext, *, executor: Executor
    ) -> None:
        self._destination = destination
        self._executor = executor
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._emit = context.emit
        self._stop = context.stop
        self._arrivals: list[Arrival] = []
        self._disk = anyio.Lock()

    def arrived(self, job: Job, photo_id: int | None) -> None:
        """Record that a photo is in the gallery. Further links to its file stay."""
        if self._destination is not None and job.photo.same_as is None:
            self._arrivals.append(Arrival(job.photo, job.md5, job.wanted, photo_id))

    async def run(
        self,
        *,
        may_lack: Callable[[int, int], bool],
        format_files: Sequence[PairedFile] = (),
        attached: Container[Path] = (),
    ) -> None:
        """Move the files that the server confirms, and emit which others stay and why.

        `may_lack` returns whether an album may lack a photo. The `format_files` stay, and so do
        their photos' files. Those of converted photos go to the trash only if they are `attached`
        to these. To be called when nothing is in flight any more. Raises `RunError` where the
        ledger can't be used.
        """
        if self._destination is None:
            return
        self._attached = attached
        waiting = iter(await self._without_formats(format_files))
        async with one_error(), anyio.create_task_group() as tasks:
            for _ in range(MOST_CHECKED):
                tasks.start_soon(self._work, waiting, self._destination, may_lack)

    async def _without_formats(self, format_files: Sequence[PairedFile]) -> Sequence[Arrival]:
        """Return the arrivals without photos that have formats; emit that those stay."""
        if not format_files:
            return self._arrivals
        photos = {paired_file.of for paired_file in format_files}
        count = len(photos) + len(format_files)
        self._emit(
            Noticed(
                message=f"{count} files stay where they are: formats and the photos that they "
                "belong to",
                hint="A gallery can't confirm that a format is stored unchanged, and without its "
                "photo beside it, the next run would treat it as a photo.",
            )
        )
        return await to_thread.run_sync(_without, self._arrivals, photos)

    async def _work(
        self,
        waiting: Iterator[Arrival],
        destination: Mover | Trash,
        may_lack: Callable[[int, int], bool],
    ) -> None:
        for arrival in waiting:
            if self._stop.wanted:
                return
            path = arrival.photo.path
            try:
                await self._confirm(arrival, may_lack)
                await self._check_unchanged(arrival)
                async with self._disk:  # one at a time: equal files may have equal names
                    where = await to_thread.run_sync(destination.put, arrival.photo)
            except BulkupError as error:
                self._emit(
                    FileNotMoved(path=path, reason=error.message, hint=error.hint, code=error.code)
                )
            else:
                try:
                    # a file that gets this path later is not a new version of this one
                    await self._ledger.forget([path])
                finally:
                    self._emit(FileMoved(path=path, where=where))

    async def _confirm(self, arrival: Arrival, may_lack: Callable[[int, int], bool]) -> None:
        """Raise `BulkupError` unless the server stores the same bytes, in the right albums."""
        photo_id, md5, photo = arrival.photo_id, arrival.md5, arrival.photo
        if photo_id is None:
            raise PhotoError(gallery_failures.NO_NUMBER())
        if (
            photo.convert
            and isinstance(self._destination, Trash)
            and photo.path not in self._attached
        ):
            raise PhotoError(gallery_failures.ONLY_JPEG(photo=photo_id))
        for album in arrival.albums:
            if may_lack(album, photo_id):
                raise PhotoError(gallery_failures.PERHAPS_NOT_IN_ALBUM(album=album))
        same = await self._recovery.run(
            lambda: self._gallery.check(photo_id, md5), path=arrival.photo.path
        )
        if same is None:
            raise PhotoError(gallery_failures.CANT_COMPARE())
        if not same:
            raise PhotoError(gallery_failures.STORED_OTHERWISE(photo=photo_id))

    async def _check_unchanged(self, arrival: Arrival) -> None:
        """Raise `PhotoError` unless the file is still the one that was sent, or converted."""
        if arrival.photo.convert:
            photo, md5 = await self._executor.fingerprint(arrival.photo)
        else:
            photo, md5 = await fingerprint(arrival.photo)
        if (photo, md5) != (arrival.photo, arrival.md5):
            raise PhotoChanged(local_failures.CHANGED_SINCE())


def _without(arrivals: Sequence[Arrival], photos: Collection[Path]) -> Sequence[Arrival]:
    """Return the arrivals without these photos, whose paths may be spelled in another way."""
    known = set(map(absolute, photos))
    return [arrival for arrival in arrivals if absolute(arrival.photo.path) not in known]
