"""Confirms sent photos: compares the server's MD5, and checks that they are in their album."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Final

from bulkup.engine.context import RunContext, UploadContext
from bulkup.engine.dedupe import Deduplicator
from bulkup.engine.executor import Executor, NotStarted
from bulkup.engine.job import Job
from bulkup.engine.members import IdSet, list_members
from bulkup.engine.recorder import OutcomeRecorder
from bulkup.engine.replace import check_replaced
from bulkup.engine.upload import DAMAGED_TRIES
from bulkup.errors import BulkupError, NotOffered, PhotoError, Transient, count_text
from bulkup.errors import gallery as gallery_failures
from bulkup.events import AlbumChecked, Noticed, PhotoUploaded

MOST_FAILED_CHECKS: Final = 3
"""After this many albums in a row that could not be checked, the rest is left to the next run."""

RELEASE_IDS: Final = 500
LATER: Final = "Piwigo makes photos visible by itself a few minutes after their upload."
REPORTED_IDS: Final = 20_000
TWIN_CHANGED: Final = PhotoError(gallery_failures.TWIN_CHANGED())


class Confirmer:
    """Confirms the photos of one run; called by one task at a time."""

    def __init__(
        self,
        context: RunContext,
        *,
        upload_context: UploadContext,
        executor: Executor,
        outcomes: OutcomeRecorder,
        deduplicator: Deduplicator,
    ) -> None:
        self._context = context
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._emit = context.emit
        self._upload_context = upload_context
        self._executor = executor
        self._outcomes = outcomes
        self._deduplicator = deduplicator
        self._uploaded: dict[int, IdSet] = {}  # by album
        self._count = 0
        self._unverified = 0
        self._perhaps_missing: dict[int, IdSet] = {}  # from their albums

    async def confirm(self, sent: Sequence[tuple[Job, PhotoUploaded]], *, tries: int = 1) -> None:
        """Look photos up by MD5, and record their outcomes."""
        sent = await self._without_wrong_photos(sent)
        md5s = {event.md5 for _, event in sent}
        try:
            found = await self._recovery.run(lambda: self._gallery.find(md5s))
        except (Transient, PhotoError):
            found = {}
        good = [
            (job, event)
            for job, event in sent
            if job.replaces is not None or found.get(event.md5, 0) is not None
        ]
        self._unverified += sum(event.md5 not in found for _, event in good)
        good = await self._add_to_further(good)
        for job, event in good:
            for album in self._upload_context.gallery.sent_to(job):
                self._uploaded.setdefault(album, IdSet()).add(event.image_id)
            self._count += 1
            await self._deduplicator.uploaded(job, photo_id=event.image_id)
        for job, event in sent:
            if found.get(event.md5, 0) is None and job.replaces is None:
                await self._send_again(job, event, tries=tries)

    async def _add_to_further(
        self, sent: Sequence[tuple[Job, PhotoUploaded]]
    ) -> list[tuple[Job, PhotoUploaded]]:
        """Add photos to their further albums, and record the outcomes of all.

        Return the photos with the albums in which they are now.
        """
        jobs, unlinked = await self._deduplicator.add_to_further(
            [(job, event.image_id) for job, event in sent],
            sent_to=self._upload_context.gallery.sent_to,
        )
        sent = [
            (job, replace(event, albums=job.all_albums))
            for job, (_, event) in zip(jobs, sent, strict=True)
        ]
        await self._outcomes.uploaded(
            [(job, event) for job, event in sent if event.image_id not in unlinked]
        )
        complete = []
        for job, event in sent:
            if (error := unlinked.get(event.image_id)) is None:
                complete.append((job, event))
            else:
                known = replace(job, sent_as=event.image_id, compared=True)
                await self._outcomes.failed([known], error)
                complete.append((replace(job, further=frozenset()), event))
        return complete

    async def _without_wrong_photos(
        self, sent: Sequence[tuple[Job, PhotoUploaded]]
    ) -> list[tuple[Job, PhotoUploaded]]:
        """Fail files that became, or should have become, a photo of another file; return the rest.

        Such a photo existed before this run, so it is never deleted.
        """
        good = []
        for job, event in sent:
            error = await check_replaced(job, event, self._context)
            if event.image_id == job.differs:
                error = PhotoError(gallery_failures.WRONG_MD5(photo=job.differs))
                self._deduplicator.taken_for_another()
            if error is None:
                good.append((job, event))
            else:
                await self._fail([job], error)
        return good

    async def _send_again(self, job: Job, event: PhotoUploaded, *, tries: int) -> None:
        """Delete a photo that differs on the server, and send it again."""
        photo_id = event.image_id
        try:
            # first out of the lounge, which would keep an entry of it (seen on Piwigo 13 to 17)
            await self._recovery.run(lambda: self._gallery.release([photo_id], album=job.album))
            await self._recovery.run(lambda: self._gallery.remove(photo_id))
        except (PhotoError, Transient, NotOffered) as error:
            damaged = gallery_failures.DAMAGED_THERE(photo=photo_id, reason=error.message)
            await self._fail([job], PhotoError(damaged))
            return
        if tries >= DAMAGED_TRIES:
            await self._fail([job], PhotoError(gallery_failures.ARRIVED_DIFFERENT()))
            return
        try:
            async with self._recovery.proving("upload", job.photo.path):
                again = await self._executor.upload(job, self._upload_context)
        except (PhotoError, Transient, NotOffered, NotStarted) as error:
            await self._fail([job], error)
            return
        await self.confirm([again], tries=tries + 1)
        await self._fail(await self._deduplicator.changed(job, into=again[0]), TWIN_CHANGED)

    async def _fail(self, jobs: list[Job], error: BulkupError) -> None:
        """Fail photos, and all equal ones that the server does not have anyway."""
        while jobs:
            job = jobs.pop()
            await self._outcomes.failed([job], error)
            jobs += await self._deduplicator.failed(job)

    async def check_albums(self) -> None:
        """Make the photos of the run visible, re-add those missing from their album, clean up.

        To be called when nothing is in flight any more (seen on Piwigo 13 to 17).
        """
        doubtful = self._upload_context.doubtful
        misplaced = self._deduplicator.misplaced
        albums = self._uploaded.keys() | set(doubtful.values()) | misplaced.keys()
        if not albums:
            return
        failures = relinked = not_in_album = 0
        reason = ""
        try:
            await self._release(albums)
        except BulkupError as error:
            self._notice("the photos may not be visible in their albums yet", error.message)
            failures = 1
            reason = error.message
        for album, photos in misplaced.items():
            await self._unlink(sorted(photos), album=album)
        waiting = await self._report()
        self._perhaps_missing = {}
        unchecked: list[int] = []
        for album in sorted(albums):
            uploaded = self._uploaded.get(album, IdSet())
            if failures >= MOST_FAILED_CHECKS:
                self._perhaps_missing[album] = uploaded
                unchecked.append(album)
                continue
            try:
                missing = [
                    photo_id
                    for photo_id in await self._missing_in(album, uploaded)
                    if photo_id not in waiting
                ]
            except PhotoError as error:
                self._perhaps_missing[album] = uploaded
                count = sum(1 for _ in uploaded)
                not_in_album += count
                self._notice(_missing_message(count, album), error.message)
            except BulkupError as error:
                reason = error.message
                failures += 1
                self._perhaps_missing[album] = uploaded
                unchecked.append(album)
            else:
                failures = 0
                back = await self._relink(missing, album=album)
                if back < len(missing):
                    self._perhaps_missing[album] = uploaded
                relinked += back
                not_in_album += len(missing) - back
        if unchecked:
            one = f"album {unchecked[0]} is" if len(unchecked) == 1 else ""
            which = one or f"{len(unchecked):,} albums are"
            self._notice(f"could not check whether {which} complete", reason)
        else:
            await self._context.ledger.settle()
        self._emit(
            AlbumChecked(
                verified=self._count - self._unverified,
                unverified=self._unverified,
                relinked=relinked,
                not_in_album=not_in_album,
                unapproved=sum(1 for _ in waiting),
            )
        )

    def may_lack(self, album: int, photo_id: int) -> bool:
        """Return whether an album may lack a photo that was sent to it."""
        return photo_id in self._perhaps_missing.get(album, ())

    async def _release(self, albums: Collection[int]) -> None:
        """Empty the lounge: one call suffices, for any album."""
        uploaded = chain.from_iterable(self._uploaded.values())
        ids = list(islice(uploaded, RELEASE_IDS))
        await self._recovery.run(lambda: self._gallery.release(ids, album=min(albums)))

    async def _report(self) -> IdSet:
        """Tell administrators of the run's photos; return those that await approval.

        Lists of albums do not show those. One call suffices, unless the run was very large, as
        each may send a mail.
        """
        waiting = IdSet()
        if not self._gallery.moderated:
            return waiting
        uploaded = chain.from_iterable(self._uploaded.values())
        try:
            while ids := list(islice(uploaded, REPORTED_IDS)):
                report = partial(self._gallery.report, ids, album=min(self._uploaded))
                for photo_id in await self._recovery.run(report):
                    waiting.add(photo_id)
        except BulkupError as error:
            self._emit(
                Noticed(
                    message=f"the administrators could not be told of the photos: {error.message}",
                    hint="If photos have to be approved, tell them yourself.",
                )
            )
        return waiting

    async def _missing_in(self, album: int, uploaded: IdSet) -> list[int]:
        """Return the photos that were sent to an album and are not in it.

        Deletes unwanted photos that failed attempts have left there.
        """
        doubtful = {
            alias for alias, where in self._upload_context.doubtful.items() if where == album
        }
        least = 0 if doubtful else uploaded.least or 0
        members = await self._recovery.run(
            lambda: list_members(self._gallery, album, down_to=least)
        )
        if members is None:
            return []
        for photo_id, alias in members.aliases.items():
            if alias in doubtful and photo_id not in uploaded:
                await self._recovery.run(partial(self._gallery.remove, photo_id))
        return [photo_id for photo_id in uploaded if photo_id not in members.photos]

    async def _unlink(self, photos: Sequence[int], *, album: int) -> None:
        """Take photos out of an album that files were taken for."""
        try:
            await self._recovery.run(lambda: self._gallery.unlink(photos, album=album))
        except BulkupError as error:
            numbers = ", ".join(map(str, photos))
            what = f"photos with a wrong MD5 were added to album {album}: {numbers}"
            self._notice(what, error.message, "Remove them from that album in the gallery.")

    async def _relink(self, missing: Sequence[int], *, album: int) -> int:
        """Add photos to their album again, and return how many were added."""
        if missing:
            try:
                await self._recovery.run(lambda: self._gallery.link(missing, album=album))
            except BulkupError as error:
                self._notice(_missing_message(len(missing), album), error.message)
                return 0
        return len(missing)

    def _notice(self, what: str, reason: str, hint: str = LATER) -> None:
        self._emit(Noticed(message=f"{what}: {reason}", hint=hint))


def _missing_message(count: int, album: int) -> str:
    photos = count_text(count, "photo is", "photos are")
    return f"{photos} on the server, but not in album {album}"
