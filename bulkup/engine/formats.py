"""RAW files and others that are uploaded as further formats of a photo."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from bulkup.engine.executor import Executor, LocalExecutor, NotStarted
from bulkup.engine.ports import Entry, Job, RunContext, State, UploadContext
from bulkup.engine.recorder import failure, present
from bulkup.engine.replace import any_untouched
from bulkup.errors import BulkupError, FormatRefused, FormatsOff, PhotoError, RunError
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import local as local_failures
from bulkup.events import Noticed, PhotoPlanned
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo

Place = tuple[int, str]
"""Where a format is: the number of its photo, and its ending in lower case."""


class Content:
    """A file and its content, which is read, by `executor`, only where its MD5 has to be known."""

    def __init__(self, photo: Photo, md5: str = "", *, executor: Executor) -> None:
        self.photo = photo
        self._md5 = md5
        self._executor = executor

    @property
    def known_md5(self) -> str:
        """The MD5 of the content, empty as long as nobody had to know it."""
        return self._md5

    async def md5(self) -> str:
        """Return it, `photo` being the file as it was then. Raises `PhotoError`."""
        if not self._md5:
            self.photo, self._md5 = await self._executor.fingerprint(self.photo)
        return self._md5


class Carrier(Protocol):
    """Who attaches files, or only says so."""

    async def send(self, content: Content, paired_file: PairedFile, main: int) -> Content:
        """Attach a file to a photo, keep that, tell of it, and return it as it was sent.

        Raises `FormatRefused` where the server does not take such files, or `PhotoError`.
        """

    async def keep(self, content: Content, main: int) -> None:
        """Keep that a file is attached to a photo."""


class Uploading:
    """Attaches files by uploading them."""

    def __init__(
        self, context: RunContext, *, upload_context: UploadContext, executor: Executor
    ) -> None:
        self._context = context
        self._upload_context = upload_context
        self._executor = executor

    async def send(self, content: Content, paired_file: PairedFile, main: int) -> Content:
        """Attach a file to a photo, keep that, and tell of it."""
        del paired_file
        md5 = await content.md5()
        job = Job(content.photo, md5, format_of=main)
        job, event = await self._executor.upload(job, self._upload_context)
        sent = Content(job.photo, job.md5, executor=self._executor)
        await self.keep(sent, main)
        self._context.emit(event)
        return sent

    async def keep(self, content: Content, main: int) -> None:
        """Keep that a file is attached to a photo."""
        md5 = await content.md5()
        photo = content.photo
        entry = Entry(
            path=photo.path,
            size=photo.size,
            mtime_ns=photo.mtime_ns,
            md5=md5,
            state=State.FORMAT,
            image_id=main,
        )
        await self._context.ledger.record([entry])


class Formats:
    """Brings the formats of one run; `update` has changed ones sent again."""

    def __init__(
        self,
        context: RunContext,
        *,
        carrier: Carrier,
        update: bool,
        executor: Executor | None = None,
    ) -> None:
        self._gallery = context.gallery
        self._carrier = carrier
        self._executor = executor or LocalExecutor()
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._update = update
        self._emit = context.emit
        self._stop = context.stop
        self._off: FormatsOff | None = None
        self._refused: dict[str, FormatRefused] = {}
        self._told: set[str] = set()
        self._turns: dict[Place, anyio.Lock] = {}
        self._there: dict[Place, Content] = {}

    async def attach(self, companions: Sequence[PairedFile], *, at_once: int) -> None:
        """Attach files to their photos, so many at once, and tell what becomes of each."""
        left = iter(companions)

        async def work() -> None:
            for paired_file in left:
                if self._stop.wanted:
                    return
                photo = Photo(paired_file.path, paired_file.size, paired_file.mtime_ns)
                try:
                    await self._attach(paired_file, photo)
                except RunError:
                    raise
                except NotStarted:
                    return
                except BulkupError as error:
                    self._emit(failure(photo, error))

        async with anyio.create_task_group() as tasks:
            for _ in range(min(at_once, len(companions))):
                tasks.start_soon(work)

    async def _attach(self, paired_file: PairedFile, photo: Photo) -> None:
        """Attach one file. Raises `PhotoError` where that is impossible."""
        entries = await self._ledger.look_up([paired_file.path, paired_file.of])
        own = entries.get(paired_file.path)
        main, sent_now = await self._main(paired_file.of, entries.get(paired_file.of))
        place = (main, paired_file.path.suffix[1:].lower())
        async with self._turns.setdefault(place, anyio.Lock()):
            if own and own.state is State.FORMAT and own.image_id == main and own.is_of(photo):
                content = Content(photo, own.md5, executor=self._executor)
                self._there.setdefault(place, content)
                self._present(content, main)
                return
            content = Content(photo, executor=self._executor)
            if await self._is_there(content, paired_file, own=own, place=place, sent_now=sent_now):
                self._there[place] = content
                await self._carrier.keep(content, main)
                self._present(content, main)
                return
            self._there[place] = await self._send(content, paired_file, place)

    async def _main(self, path: Path, entry: Entry | None) -> tuple[int, bool]:
        """Return the number of the photo that a file belongs to, and if this run has sent it.

        Raises `PhotoError` where it is not in the gallery.
        """
        photo = await to_thread.run_sync(_look_at, path)
        known = entry and entry.state in {State.SENT, State.DONE} and entry.is_of(photo)
        if entry and known and entry.image_id is not None:
            return entry.image_id, entry.state is State.SENT
        _, md5 = await self._executor.fingerprint(photo)
        found = await self._recovery.run(lambda: self._gallery.find([md5]))
        if (photo_id := found.get(md5)) is None:
            raise PhotoError(gallery_failures.NO_MAIN(name=path.name))
        return photo_id, False

    async def _is_there(
        self,
        content: Content,
        paired_file: PairedFile,
        *,
        own: Entry | None,
        place: Place,
        sent_now: bool,
    ) -> bool:
        """Tell whether the server has the format. Raises `PhotoError` where another one is."""
        main, ending = place
        if (taken := self._there.get(place)) is not None:
            if await taken.md5() == await content.md5():
                return True
            raise PhotoError(
                gallery_failures.FORMAT_TAKEN(ending=ending, name=paired_file.of.name)
            )
        if own is not None and own.state is State.FORMAT and own.image_id == main:
            changed = own.md5 != await content.md5()
            if changed and not self._update:
                raise PhotoError(gallery_failures.FORMAT_CHANGED(photo=main))
            if changed:
                await self._held(content, paired_file, place)
            return not changed
        if sent_now:
            return False
        if (held := await self._held(content, paired_file, place)) is not None:
            return held
        if own is not None and own.state is State.GIVEN_UP and own.image_id == main:
            return False
        there = await self._recovery.run(
            lambda: self._gallery.has_format(main, paired_file.path.name)
        )
        if there is None:
            raise PhotoError(gallery_failures.FORMAT_PERHAPS(ending=ending, photo=main))
        return there

    async def _held(self, content: Content, paired_file: PairedFile, place: Place) -> bool | None:
        """Tell whether the ledger has the format under other names, None: it has none there.

        Raises `PhotoError` where it has another one, which is not to be replaced by this.
        """
        main, ending = place
        others = [
            entry
            for entry in await self._ledger.files_of([main])
            if entry.state is State.FORMAT
            and entry.path.suffix[1:].lower() == ending
            and entry.path != paired_file.path
        ]
        if not others:
            return None
        md5 = await content.md5()
        if await to_thread.run_sync(any_untouched, [e for e in others if e.md5 != md5]):
            raise PhotoError(
                gallery_failures.FORMAT_TAKEN(ending=ending, name=paired_file.of.name)
            )
        md5s = {entry.md5 for entry in others}
        if md5 not in md5s and not self._update:
            raise PhotoError(gallery_failures.FORMAT_OTHER(ending=ending, photo=main))
        return md5s == {md5}

    async def _send(self, content: Content, paired_file: PairedFile, place: Place) -> Content:
        """Attach a file, tell of it, and return it as it was sent."""
        main, ending = place
        if not self._gallery.takes_formats:
            raise PhotoError(gallery_failures.NO_FORMATS())
        if (refused := self._off or self._refused.get(ending)) is not None:
            raise FormatRefused(refused.failure)
        try:
            await self._recovery.run(lambda: self._gallery.check_format(paired_file.path.name))
            self._emit(PhotoPlanned(path=paired_file.path, size=content.photo.size))
            return await self._carrier.send(content, paired_file, main)
        except FormatRefused as error:
            self._refused[ending] = error
            if isinstance(error, FormatsOff):
                self._off = error
            if error.message not in self._told:
                self._told.add(error.message)
                self._emit(Noticed(message=error.message, hint=error.hint))
            raise

    def _present(self, content: Content, main: int) -> None:
        self._emit(present(Job(content.photo, content.known_md5), main))


def _look_at(path: Path) -> Photo:
    try:
        status = path.stat()
    except OSError as error:
        raise PhotoError(
            local_failures.MAIN_UNREADABLE(name=path.name, reason=error.strerror)
        ) from None
    return Photo(path, status.st_size, status.st_mtime_ns)
