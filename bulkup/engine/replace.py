"""Files that changed since they were uploaded: may their photo be replaced, and with what."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from anyio import to_thread

from bulkup.engine.ports import Entry, Job, PhotoIdentity, RunContext, State
from bulkup.engine.recorder import OutcomeRecorder
from bulkup.errors import (
    BulkupError,
    FormatRefused,
    NotOffered,
    PhotoError,
    PhotoGone,
    RunError,
    Transient,
)
from bulkup.errors import gallery as gallery_failures
from bulkup.events import Noticed, PhotoUploaded
from bulkup.source.pairing import PairedFile


class Resending:
    """Has the formats of photos sent again; a run brings those `aside`, or none (None).

    To be asked once it has come to all of them.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        aside: Sequence[PairedFile] | None,
    ) -> None:
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._aside = aside
        self._brought: dict[str, set[str]] = {}

    async def give_up(
        self, formats: Sequence[Entry], *, photo_id: int, path: Path, file: str
    ) -> None:
        """Have the formats of a photo sent again that is to get the file at `path`.

        `formats` are those that the ledger knows, `file` is what the gallery calls the photo's
        file. Raises `PhotoError` where one could not be sent again.
        """
        if formats and self._aside is None:
            raise PhotoError(
                gallery_failures.LOSES_FORMATS(photo=photo_id, name=formats[0].path.name)
            )
        known = {_ending(entry.path): entry.path for entry in formats}
        for ending in known.keys() - await to_thread.run_sync(self._brought_with, path):
            raise PhotoError(gallery_failures.LOSES_FORMAT(photo=photo_id, path=known[ending]))
        told = await self._recovery.run(lambda: self._gallery.formats_of(photo_id, file)) or ()
        if foreign := sorted(ending for ending in told if ending.lower() not in known):
            endings = ", ".join(foreign)
            raise PhotoError(gallery_failures.LOSES_FOREIGN(photo=photo_id, endings=endings))
        for where in known.values():
            try:
                await self._recovery.run(partial(self._gallery.check_format, where.name))
            except FormatRefused as error:
                raise PhotoError(
                    gallery_failures.LOSES_REFUSED(
                        photo=photo_id, path=where, reason=error.message, remedy=error.hint
                    )
                ) from None
        if formats:
            await self._ledger.record([replace(entry, state=State.GIVEN_UP) for entry in formats])

    def _brought_with(self, photo: Path) -> set[str]:
        """Return the endings of what this run brings as formats of a photo."""
        if not self._brought:
            for paired_file in self._aside or ():
                endings = self._brought.setdefault(_key(paired_file.of), set())
                endings.add(_ending(paired_file.path))
        return self._brought.get(_key(photo), set())


def any_untouched(entries: Sequence[Entry]) -> bool:
    """Tell whether one of these files still lies there as it was; to be called in a thread."""
    for entry in entries:
        with suppress(OSError):
            status = entry.path.stat()
            if (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns):
                return True
    return False


def _ending(path: Path) -> str:
    return path.suffix[1:].lower()


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (a tenth of the time)


class Changes:
    """Decides what becomes of the changed files of one run; `update` lets them replace.

    A server forgets the formats of a photo that gets another file, so a photo that has some is
    only replaced in a run that brings them: what is `aside` by then, None: nothing.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        outcomes: OutcomeRecorder,
        update: bool,
        aside: Sequence[PairedFile] | None,
    ) -> None:
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._outcomes = outcomes
        self._update = update
        self._formats = Resending(context, aside=aside)
        self._emit = context.emit
        self._stop = context.stop
        self._taken: dict[int, Path] = {}
        self.incoming: frozenset[str] = frozenset()
        """The MD5s of all changed files: what one gives up may be the content of another now."""

    async def decided(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs, those that may replace a photo saying so; the others have failed.

        What the server has already under its new content goes on as it is: it is linked. Once
        somebody wishes to stop, what is undecided is left out.
        """
        jobs = await self._without_formats(jobs)
        changed = {job.photo.path: job.was for job in jobs if job.was is not None}
        if not changed:
            return list(jobs)
        md5s = {job.md5 for job in jobs if job.was is not None}
        found = await self._recovery.run(lambda: self._gallery.find(md5s))
        owners: dict[int, list[Entry]] = {}
        ids = {entry.image_id for entry in changed.values() if entry.image_id is not None}
        for entry in await self._ledger.files_of(ids) if self._update else ():
            owners.setdefault(entry.image_id or 0, []).append(entry)
        decided: list[Job] = []
        moved: list[Job] = []
        for job in jobs:
            if job.was is None:
                decided.append(job)
            elif (photo_id := found.get(job.md5)) is not None:
                decided.append(job)
                if photo_id != job.was.image_id:
                    moved.append(job)
            elif not self._stop.wanted:
                try:
                    told = job.md5 in found
                    decided.append(await self._decide(job, job.was, owners=owners, told=told))
                except RunError:
                    raise
                except BulkupError as error:
                    await self._outcomes.failed([job], error)
        if moved and self._update:
            self._tell(moved)
        return decided

    async def _without_formats(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs but for files that are formats of photos: those have failed.

        As photos of their own they would be known as formats no more, and be lost as such when
        their photos get other files. What was a format of a photo that is gone is a new photo.
        """
        left: list[Job] = []
        for job in jobs:
            if job.was is None or not job.was.is_format:
                left.append(job)
            elif not self._stop.wanted:
                photo_id = job.was.image_id or 0
                try:
                    if await self._exists(photo_id):
                        raise PhotoError(gallery_failures.IS_FORMAT(photo=photo_id))
                    left.append(replace(job, was=None))
                except RunError:
                    raise
                except BulkupError as error:
                    await self._outcomes.failed([job], error)
        return left

    async def _exists(self, photo_id: int) -> bool:
        """Tell whether a photo is in the gallery, be it out of our sight."""
        try:
            await self._recovery.run(lambda: self._gallery.identity(photo_id))
        except PhotoGone:
            files = await self._ledger.files_of([photo_id])
            md5s = {entry.md5 for entry in files if not entry.is_format}
            found = await self._recovery.run(lambda: self._gallery.find(md5s))
            return photo_id in found.values()
        return True

    async def _decide(
        self, job: Job, was: Entry, *, owners: Mapping[int, Sequence[Entry]], told: bool
    ) -> Job:
        """Return the job as it is to be sent. Raises `PhotoError` where it is not."""
        photo_id = was.image_id or 0
        job = replace(job, replaces=None, level=None)
        if not self._update:
            raise PhotoError(gallery_failures.CHANGED(photo=photo_id))
        if not self._gallery.replaces:
            raise PhotoError(gallery_failures.CANT_REPLACE(photo=photo_id))
        if not told:
            raise PhotoError(gallery_failures.CANT_TELL())
        others = owners.get(photo_id, ())
        if (
            was.md5 in self.incoming
            or self._taken.setdefault(photo_id, job.photo.path) != job.photo.path
            or await to_thread.run_sync(_any_untouched, others, job.photo.path)
        ):
            return job  # the photo is that of an equal file too, and stays: this one is new
        own = await self._own(photo_id, was)
        if own is None:
            return replace(job, was=None)
        formats = [entry for entry in others if entry.is_format]
        await self._formats.give_up(formats, photo_id=photo_id, path=job.photo.path, file=own.file)
        return replace(job, replaces=photo_id, level=own.level, albums=was.albums)

    async def _own(self, photo_id: int, was: Entry) -> PhotoIdentity | None:
        """Return what a photo is that is still as we uploaded it; None if it is gone.

        Raises `PhotoError` where it is another one now, or that can't be told.
        """
        try:
            identity = await self._recovery.run(lambda: self._gallery.identity(photo_id))
        except PhotoGone:
            found = await self._recovery.run(lambda: self._gallery.find([was.md5]))
            if found.get(was.md5) != photo_id:
                return None
            raise PhotoError(gallery_failures.OUT_OF_REACH(photo=photo_id)) from None
        same = identity.md5 == was.md5
        if not identity.md5:  # the gallery has not computed it yet: its stored file tells
            same = bool(await self._recovery.run(lambda: self._gallery.check(photo_id, was.md5)))
        if not same:
            raise PhotoError(gallery_failures.CHANGED_THERE(photo=photo_id))
        return identity

    def _tell(self, moved: Sequence[Job]) -> None:
        first = f"{moved[0].photo.path}"
        name = first if len(moved) == 1 else f"{first} and {len(moved) - 1} more"
        self._emit(
            Noticed(
                message=f"{name}: the new content is in the gallery already, as another photo",
                hint="That photo is put into the album; the one before stays as it is.",
            )
        )


async def amiss(job: Job, event: PhotoUploaded, context: RunContext) -> PhotoError | None:
    """Return what is wrong with a photo that was to be replaced, None if nothing is."""
    photo_id = job.replaces
    if photo_id is None:
        return None
    if event.image_id != photo_id:
        return PhotoError(gallery_failures.OTHER_PHOTO(photo=photo_id, other=event.image_id))
    try:
        identity = await context.recovery.run(lambda: context.gallery.identity(photo_id))
        stored = await context.recovery.run(lambda: context.gallery.check(photo_id, event.md5))
    except (PhotoError, Transient, NotOffered) as error:
        return PhotoError(gallery_failures.REPLACED_PERHAPS(photo=photo_id, reason=error.message))
    if identity.md5 == event.md5 and stored is not False:
        return None
    return PhotoError(gallery_failures.REPLACED_OTHERWISE(photo=photo_id))


def _any_untouched(entries: Sequence[Entry], but: Path) -> bool:
    """Tell whether one of these files, but for that path, is still there as it was."""
    path = os.path.abspath(but)  # noqa: PTH100 (a tenth of the time)
    return any_untouched(
        [
            entry
            for entry in entries
            if not entry.is_format and os.path.abspath(entry.path) != path  # noqa: PTH100
        ]
    )
