"""Confirms photos after they are sent: the server's own MD5, and their place in the album."""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import chain, islice
from typing import Final

from bulkup.engine.albums import IdSet, listed
from bulkup.engine.dedupe import Deduplicator
from bulkup.engine.executor import Executor, NotStarted
from bulkup.engine.ports import Job, RunContext, UploadContext
from bulkup.engine.recorder import OutcomeRecorder
from bulkup.engine.replace import amiss
from bulkup.errors import BulkupError, NotOffered, PhotoError, RunError, Transient
from bulkup.errors import gallery as gallery_failures
from bulkup.events import AlbumChecked, Noticed, PhotoUploaded

DAMAGED_TRIES: Final = 2
RELEASE_IDS: Final = 500
UNSENT: Final = PhotoError(gallery_failures.TWIN_CHANGED())


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
        self._upload_context = upload_context
        self._executor = executor
        self._outcomes = outcomes
        self._deduplicator = deduplicator
        self._emit = context.emit
        self._made: dict[int, IdSet] = {}
        self._count = 0
        self._unverified = 0
        self._astray: dict[int, IdSet] = {}

    async def confirm(self, sent: Sequence[tuple[Job, PhotoUploaded]], *, tries: int = 1) -> None:
        """Look the photos up by MD5 and tell what became of them."""
        sent = await self._as_meant(sent)
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
        await self._outcomes.uploaded(good)
        for job, event in good:
            self._made.setdefault(job.album, IdSet()).add(event.image_id)
            self._count += 1
            await self._deduplicator.landed(job, photo_id=event.image_id)
        for job, event in sent:
            if found.get(event.md5, 0) is None and job.replaces is None:
                await self._mend(job, event, tries=tries)

    async def _as_meant(
        self, sent: Sequence[tuple[Job, PhotoUploaded]]
    ) -> list[tuple[Job, PhotoUploaded]]:
        """Return what was sent but for what was to replace a photo, and did not.

        Such a photo is the user's own, and never removed.
        """
        meant = []
        for job, event in sent:
            error = await amiss(job, event, self._context)
            if error is None:
                meant.append((job, event))
            else:
                await self._give_up([job], error)
        return meant

    async def _mend(self, job: Job, event: PhotoUploaded, *, tries: int) -> None:
        """Remove a photo that differs on the server, and send it again."""
        try:
            await self._remove(event.image_id, album=job.album)
        except (PhotoError, Transient, NotOffered) as error:
            left = PhotoError(
                gallery_failures.DAMAGED_THERE(photo=event.image_id, reason=error.message)
            )
            await self._give_up([job], left)
            return
        try:
            again = None
            if tries < DAMAGED_TRIES:
                again = await self._executor.upload(job, self._upload_context)
        except (PhotoError, Transient, NotOffered, NotStarted) as error:
            await self._give_up([job], error)
            return
        if again is not None:
            await self.confirm([again], tries=tries + 1)
            await self._give_up(await self._deduplicator.changed(job, into=again[0]), UNSENT)
            return
        await self._give_up([job], PhotoError(gallery_failures.ARRIVED_DIFFERENT()))

    async def _remove(self, photo_id: int, *, album: int) -> None:
        # the lounge first: it would keep a ghost of a deleted photo (piwigo-api.md, section 4)
        await self._recovery.run(lambda: self._gallery.release([photo_id], album=album))
        await self._recovery.run(lambda: self._gallery.remove(photo_id))

    async def _give_up(self, jobs: list[Job], error: BulkupError) -> None:
        """Have photos failed, and all their twins that the server has not got otherwise."""
        while jobs:
            job = jobs.pop()
            await self._outcomes.failed([job], error)
            jobs += await self._deduplicator.failed(job)

    async def check_albums(self) -> None:
        """Make the photos of the run visible, put back those that lost their album, tidy up.

        To be called when nothing is in flight any more (piwigo-api.md, section 4, The lounge).
        """
        doubtful = self._upload_context.doubtful
        albums = self._made.keys() | set(doubtful.values())
        if not albums:
            return
        try:
            await self._release(albums)
        except BulkupError as error:
            self._tell("the photos may not be visible in their albums yet", error)
        told, relinked, astray = True, 0, 0
        self._astray = {}
        for album in sorted(albums):
            made = self._made.get(album, IdSet())
            try:
                lost = await self._look_into(album, made)
            except PhotoError as error:
                self._astray[album] = made
                count = sum(1 for _ in made)
                astray += count
                self._tell(_astray(count, album), error)
            except BulkupError as error:
                told = False
                self._astray[album] = made
                self._tell(f"it could not be checked whether album {album} shows all", error)
            else:
                back = await self._relink(lost, album=album)
                if back < len(lost):
                    self._astray[album] = made
                relinked += back
                astray += len(lost) - back
        if told:
            await self._outcomes.settle()
        self._emit(
            AlbumChecked(
                verified=self._count - self._unverified,
                unverified=self._unverified,
                relinked=relinked,
                astray=astray,
            )
        )

    def is_astray(self, album: int, photo_id: int) -> bool:
        """Tell whether what was sent to the album may not be in it after all."""
        return photo_id in self._astray.get(album, ())

    async def _release(self, albums: Collection[int]) -> None:
        """Have everything leave the lounge: one call does it, whatever album it names."""
        made = chain.from_iterable(self._made.values())
        ids = list(islice(made, RELEASE_IDS))
        await self._recovery.run(lambda: self._gallery.release(ids, album=min(albums)))

    async def _look_into(self, album: int, made: IdSet) -> list[int]:
        """Return what was sent to an album and is not shown there; remove what nobody wants."""
        doubtful = {
            alias for alias, where in self._upload_context.doubtful.items() if where == album
        }
        least = 0 if doubtful else made.least or 0
        shown = await self._recovery.run(lambda: listed(self._gallery, album, down_to=least))
        if shown is None:
            return []
        for photo_id, alias in shown.aliases.items():
            if alias in doubtful and photo_id not in made:
                await self._recovery.run(partial(self._gallery.remove, photo_id))
        return [photo_id for photo_id in made if photo_id not in shown.photos]

    async def _relink(self, lost: Sequence[int], *, album: int) -> int:
        """Put photos back into their album, and return how many could be."""
        if lost:
            try:
                await self._recovery.run(lambda: self._gallery.link(lost, album=album))
            except BulkupError as error:
                self._tell(_astray(len(lost), album), error)
                return 0
        return len(lost)

    def _tell(self, what: str, error: BulkupError) -> None:
        if isinstance(error, RunError):
            raise error
        hint = "Piwigo shows photos by itself some minutes after their upload."
        self._emit(Noticed(message=f"{what}: {error.message}", hint=hint))


def _astray(count: int, album: int) -> str:
    photos = "1 photo is" if count == 1 else f"{count:,} photos are"
    return f"{photos} on the server, but not in album {album}"
