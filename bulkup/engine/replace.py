"""Files that changed since their upload: whether and how they replace their photos."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from anyio import to_thread

from bulkup.engine.context import RunContext
from bulkup.engine.gallery_port import PhotoIdentity
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Entry, State
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
from bulkup.source.files import absolute, version
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo, ending_of


class ChangedFiles:
    """Decides on the changed files of one run; with `update` they replace their photos.

    A gallery forgets the formats of a photo that gets another file, so a photo with formats is
    replaced only in a run that attaches them again: `format_files`, None if the run attaches none.
    They are complete when the first changed file is decided.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        outcomes: OutcomeRecorder,
        update: bool,
        format_files: Sequence[PairedFile] | None,
    ) -> None:
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._emit = context.emit
        self._stop = context.stop
        self._outcomes = outcomes
        self._update = update
        self._format_files = format_files
        self._endings: dict[str, set[str]] = {}  # of the files in `format_files`, by photo
        self._replacing: dict[int, Path] = {}
        self.new_md5s: frozenset[str] = frozenset()
        """The MD5s of all changed files: the old content of one may be the new one of another."""

    async def decide(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs to continue, `replaces` set if they replace a photo; fail the others.

        A file whose new content the server already has is kept as it is: that photo is linked.
        After a stop request, undecided jobs are dropped.
        """
        if not (md5s := {job.md5 for job in jobs if job.was is not None}):
            return list(jobs)
        found = await self._recovery.run(lambda: self._gallery.find(md5s))  # may fail all jobs
        jobs = await self._without_formats(jobs)
        changed = {job.photo.path: job.was for job in jobs if job.was is not None}
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
                    decided.append(
                        await self._replace(job, job.was, owners=owners, is_new=job.md5 in found)
                    )
                except RunError:
                    raise
                except BulkupError as error:
                    await self._outcomes.failed([job], error)
        if moved and self._update:
            self._notice_moved(moved)
        return decided

    async def _without_formats(self, jobs: Sequence[Job]) -> list[Job]:
        """Fail the files that are formats of photos, and return the other jobs.

        Uploaded as photos, they would no longer be known as formats, and be lost when their photos
        get other files. A format of a photo that is gone becomes a new photo.
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
        """Return whether a photo is in the gallery, even if this user may not see it."""
        try:
            await self._recovery.run(lambda: self._gallery.identity(photo_id))
        except PhotoGone:
            files = await self._ledger.files_of([photo_id])
            md5s = {entry.md5 for entry in files if not entry.is_format}
            found = await self._recovery.run(lambda: self._gallery.find(md5s))
            return photo_id in found.values()
        return True

    async def _replace(
        self, job: Job, was: Entry, *, owners: Mapping[int, Sequence[Entry]], is_new: bool
    ) -> Job:
        """Return the job as it is to be sent. Raises `PhotoError` where it can't be.

        `is_new` means that the server is known not to have the new content.
        """
        photo_id = was.image_id or 0
        job = replace(job, replaces=None, level=None)
        if not self._update:
            raise PhotoError(gallery_failures.CHANGED(photo=photo_id))
        if not self._gallery.replaces:
            raise PhotoError(gallery_failures.CANT_REPLACE(photo=photo_id))
        if not is_new:
            raise PhotoError(gallery_failures.CANT_TELL())
        others = owners.get(photo_id, ())
        if (
            was.md5 in self.new_md5s
            or self._replacing.setdefault(photo_id, job.photo.path) != job.photo.path
            or await to_thread.run_sync(_any_other_untouched, others, job.photo.path)
        ):
            return job  # the photo also belongs to an equal file and stays: this one is new
        photo = await self._unchanged_photo(photo_id, was)
        if photo is None:
            return replace(job, was=None)
        formats = [entry for entry in others if entry.is_format]
        await self._give_up(formats, photo_id=photo_id, of=job.photo, file=photo.file)
        return replace(job, replaces=photo_id, level=photo.level, albums=was.albums)

    async def _unchanged_photo(self, photo_id: int, was: Entry) -> PhotoIdentity | None:
        """Return the photo if it is still as it was uploaded, None if it is gone.

        Raises `PhotoError` where it has changed, or where that can't be determined.
        """
        try:
            identity = await self._recovery.run(lambda: self._gallery.identity(photo_id))
        except PhotoGone:
            found = await self._recovery.run(lambda: self._gallery.find([was.md5]))
            if found.get(was.md5) != photo_id:
                return None
            raise PhotoError(gallery_failures.OUT_OF_REACH(photo=photo_id)) from None
        same = identity.md5 == was.md5
        if not identity.md5:  # the gallery has not computed it yet: ask for the stored file
            same = bool(await self._recovery.run(lambda: self._gallery.check(photo_id, was.md5)))
        if not same:
            raise PhotoError(gallery_failures.CHANGED_THERE(photo=photo_id))
        return identity

    async def _give_up(
        self, formats: Sequence[Entry], *, photo_id: int, of: Photo, file: str
    ) -> None:
        """Mark the formats of a photo that the file of `of` replaces, to be attached again.

        `formats` are those that the ledger knows, `file` is the photo's file name in the gallery.
        Raises `PhotoError` where one could not be attached again.
        """
        known = {ending_of(entry.path): entry.path for entry in formats}
        again = set(await to_thread.run_sync(self._endings_beside, of.path))
        if of.convert:  # its own file is attached to it
            again.add(ending_of(of.path))
        for ending in known.keys() - again:
            lost = known[ending]
            if self._format_files is None:
                raise PhotoError(gallery_failures.LOSES_FORMATS(photo=photo_id, name=lost.name))
            raise PhotoError(gallery_failures.LOSES_FORMAT(photo=photo_id, path=lost))
        there = await self._recovery.run(lambda: self._gallery.formats_of(photo_id, file)) or ()
        if foreign := sorted(ending for ending in there if ending.lower() not in known):
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

    def _endings_beside(self, photo: Path) -> set[str]:
        """Return the extensions of the files that this run attaches to a photo as formats."""
        if not self._endings:
            for paired_file in self._format_files or ():
                endings = self._endings.setdefault(absolute(paired_file.of), set())
                endings.add(ending_of(paired_file.path))
        return self._endings.get(absolute(photo), set())

    def _notice_moved(self, moved: Sequence[Job]) -> None:
        first = f"{moved[0].photo.path}"
        name = first if len(moved) == 1 else f"{first} and {len(moved) - 1} more"
        self._emit(
            Noticed(
                message=f"{name}: the new content is already in the gallery, as another photo",
                hint="That photo is added to the album; the previous one is left unchanged.",
            )
        )


async def check_replaced(job: Job, event: PhotoUploaded, context: RunContext) -> PhotoError | None:
    """Return what went wrong with a photo that was to be replaced, None if nothing did."""
    photo_id = job.replaces
    if photo_id is None:
        return None
    if event.image_id != photo_id:
        return PhotoError(gallery_failures.OTHER_PHOTO(photo=photo_id, other=event.image_id))
    gallery, recovery = context.gallery, context.recovery
    try:
        identity = await recovery.run(lambda: gallery.identity(photo_id))
        stored = await recovery.run(lambda: gallery.check(photo_id, event.md5))
    except (PhotoError, Transient, NotOffered) as error:
        return PhotoError(gallery_failures.REPLACED_PERHAPS(photo=photo_id, reason=error.message))
    if identity.md5 == event.md5 and stored is not False:
        return None
    return PhotoError(gallery_failures.REPLACED_OTHERWISE(photo=photo_id))


def any_untouched(entries: Sequence[Entry]) -> bool:
    """Return whether one of these files still exists unchanged. Call in a thread."""
    for entry in entries:
        with suppress(OSError):
            if version(entry.path) == (entry.size, entry.mtime_ns):
                return True
    return False


def _any_other_untouched(entries: Sequence[Entry], but: Path) -> bool:
    """Return whether a photo's file other than `but` still exists unchanged. Call in a thread."""
    path = absolute(but)
    return any_untouched(
        [entry for entry in entries if not entry.is_format and absolute(entry.path) != path]
    )
