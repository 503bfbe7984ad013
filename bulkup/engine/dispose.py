"""Disposes of local files once the server has confirmed their photos."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from bulkup.engine.ports import Job, RunContext
from bulkup.errors import BulkupError, PhotoChanged, PhotoError, RunError
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import local as local_failures
from bulkup.errors.groups import one_error
from bulkup.events import FilePutAway, FileStays, Noticed
from bulkup.source.disposal import Mover, Trash
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo, fingerprint

MOST_CHECKED: Final = 4
"""Stored files that the server reads at once."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A photo that is on the server, as far as this run could see."""

    photo: Photo
    md5: str
    album: int
    photo_id: int | None


class Disposal:
    """Keeps what has arrived in a run, and puts it away at its end; `place` None: nothing."""

    def __init__(self, place: Mover | Trash | None, context: RunContext) -> None:
        self._place = place
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._emit = context.emit
        self._stop = context.stop
        self._arrivals: list[Arrival] = []
        self._disk = anyio.Lock()

    def arrived(self, job: Job, photo_id: int | None) -> None:
        """Keep a photo that is on the server."""
        if self._place is not None:
            self._arrivals.append(Arrival(job.photo, job.md5, job.album, photo_id))

    async def put_away(
        self, *, astray: Callable[[int, int], bool], aside: Sequence[PairedFile] = ()
    ) -> None:
        """Put away what the server confirms, photo by photo, and tell what stays and why.

        `astray` tells of an album and a photo that it may not show. What stands `aside` as a
        format stays, and so does its photo. To be called when nothing is in flight any more.
        Raises `RunError`.
        """
        if self._place is None:
            return
        waiting = iter(await self._without_pairs(aside))
        async with one_error(), anyio.create_task_group() as tasks:
            for _ in range(MOST_CHECKED):
                tasks.start_soon(self._work, waiting, self._place, astray)

    async def _without_pairs(self, aside: Sequence[PairedFile]) -> Sequence[Arrival]:
        """Return what has arrived but for photos that have formats: those stay, which is told."""
        if not aside:
            return self._arrivals
        photos = {paired_file.of for paired_file in aside}
        self._emit(
            Noticed(
                message=f"{len(photos) + len(aside)} files stay where they are: formats and the "
                "photos that they stand beside",
                hint="No gallery tells whether it stores a format as it was sent; and without its "
                "photo, it would be taken for one.",
            )
        )
        return await to_thread.run_sync(_without, self._arrivals, photos)

    async def _work(
        self, waiting: Iterator[Arrival], place: Mover | Trash, astray: Callable[[int, int], bool]
    ) -> None:
        for arrival in waiting:
            if self._stop.wanted:
                return
            path = arrival.photo.path
            try:
                await self._confirm(arrival, astray)
                async with self._disk:  # equal files with equal names come one after the other
                    where = await self._put(arrival, place)
            except RunError:
                raise
            except BulkupError as error:
                self._emit(
                    FileStays(path=path, reason=error.message, hint=error.hint, code=error.code)
                )
            else:
                try:
                    # another file may get this name: it is not this one in a new version
                    await self._ledger.forget([path])
                finally:
                    self._emit(FilePutAway(path=path, where=where))

    async def _confirm(self, arrival: Arrival, astray: Callable[[int, int], bool]) -> None:
        """Ask the server for its stored file. Raises `BulkupError` where that is not the same."""
        photo_id, md5 = arrival.photo_id, arrival.md5
        if photo_id is None:
            raise PhotoError(gallery_failures.NO_NUMBER())
        if astray(arrival.album, photo_id):
            raise PhotoError(gallery_failures.PERHAPS_ASTRAY(album=arrival.album))
        same = await self._recovery.run(
            lambda: self._gallery.check(photo_id, md5), path=arrival.photo.path
        )
        if same is None:
            raise PhotoError(gallery_failures.CANT_COMPARE())
        if not same:
            raise PhotoError(gallery_failures.STORED_OTHERWISE(photo=photo_id))

    async def _put(self, arrival: Arrival, place: Mover | Trash) -> Path | None:
        photo, md5 = await fingerprint(arrival.photo)
        if (photo, md5) != (arrival.photo, arrival.md5):
            raise PhotoChanged(local_failures.CHANGED_SINCE())
        return await to_thread.run_sync(place.put, photo)


def _without(arrivals: Sequence[Arrival], photos: Collection[Path]) -> Sequence[Arrival]:
    """Return the arrivals but for these photos, whose paths may be written in another way."""
    known = {os.path.abspath(path) for path in photos}  # noqa: PTH100 (it resolves .. too)
    return [
        arrival
        for arrival in arrivals
        if os.path.abspath(arrival.photo.path) not in known  # noqa: PTH100
    ]
