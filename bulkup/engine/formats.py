"""RAW and similar files that are attached to photos as further formats."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio import to_thread

from bulkup.engine.context import RunContext, UploadContext
from bulkup.engine.executor import Executor, NotStarted
from bulkup.engine.job import Job
from bulkup.engine.ledger_port import Entry, State
from bulkup.engine.recorder import failure, present
from bulkup.engine.replace import any_untouched
from bulkup.errors import BulkupError, FormatRefused, FormatsOff, PhotoError, RunError, count_text
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import local as local_failures
from bulkup.events import (
    Event,
    Noticed,
    PhotoFailed,
    PhotoPlanned,
    PhotoPresent,
    PhotoUploaded,
    discard,
)
from bulkup.source.files import version
from bulkup.source.pairing import PairedFile, original_of
from bulkup.source.photos import Photo, ending_of

LOOKED_UP: Final = 500

FormatKey = tuple[int, str]
"""What identifies a format: the id of its photo, and its extension in lower case."""

MainOf = Callable[[Path], tuple[int, bool] | None]
"""Returns the id of the photo of a file, and whether this run has sent it; None without one."""


class Content:
    """A file and its content, which is read only when its MD5 is needed."""

    def __init__(self, photo: Photo, md5: str = "", *, executor: Executor) -> None:
        self.photo = photo
        self.known_md5 = md5
        """The MD5, empty until it was needed."""
        self._executor = executor

    async def md5(self) -> str:
        """Return the MD5; `photo` is then the file as it was read. Raises `PhotoError`."""
        if not self.known_md5:
            self.photo, self.known_md5 = await self._executor.fingerprint(self.photo)
        return self.known_md5


class FormatSender(Protocol):
    """Attaches files to photos, or, in a dry run, emits that it would."""

    async def send(self, content: Content, paired_file: PairedFile, main: int) -> Content:
        """Attach a file to photo `main`, record it, and return it as it was sent.

        Raises `FormatRefused` where the server does not accept such files, and `PhotoError`.
        """

    async def record(self, content: Content, paired_file: PairedFile, main: int) -> None:
        """Record that a file is attached to photo `main`."""


class FormatUploader:
    """Attaches files by uploading them."""

    def __init__(
        self, context: RunContext, *, upload_context: UploadContext, executor: Executor
    ) -> None:
        self._context = context
        self._upload_context = upload_context
        self._executor = executor

    async def send(self, content: Content, paired_file: PairedFile, main: int) -> Content:
        """Upload a file as a format of photo `main`, and record it."""
        md5 = await content.md5()
        job = Job(content.photo, md5, format_of=main)
        async with self._context.recovery.proving("upload format", job.photo.path):
            job, event = await self._executor.upload(job, self._upload_context)
        sent = Content(job.photo, job.md5, executor=self._executor)
        await self.record(sent, paired_file, main)
        self._context.emit(event)
        return sent

    async def record(self, content: Content, paired_file: PairedFile, main: int) -> None:
        """Record in the ledger that a file is attached to photo `main`."""
        md5 = await content.md5()
        photo = content.photo
        entry = Entry(
            path=paired_file.recorded_as,
            size=photo.size,
            mtime_ns=photo.mtime_ns,
            md5=md5,
            state=State.FORMAT,
            image_id=main,
        )
        await self._context.ledger.record([entry])


class Formats:
    """Attaches the formats of one run; with `update`, changed ones are sent again.

    `main_of` knows the photos of formats that are not files beside these.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        sender: FormatSender,
        update: bool,
        convert: Collection[str] = (),
        main_of: MainOf | None = None,
        executor: Executor,
    ) -> None:
        self._convert = convert
        self._main_of = main_of
        self._gallery = context.gallery
        self._recovery = context.recovery
        self._ledger = context.ledger
        self._emit = context.emit
        self._stop = context.stop
        self._sender = sender
        self._executor = executor
        self._update = update
        self._formats_off: FormatsOff | None = None
        self._refused: dict[str, FormatRefused] = {}  # by extension
        self._noticed: set[str] = set()
        self._locks: dict[FormatKey, anyio.Lock] = {}
        self._attached: dict[FormatKey, Content] = {}

    async def attach(self, files: Sequence[PairedFile], *, at_once: int) -> None:
        """Attach files to their photos, `at_once` of them in parallel, and emit the outcomes."""
        left = iter(files)

        async def work() -> None:
            for paired_file in left:
                if not await self._stop.may_begin():
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
            for _ in range(min(at_once, len(files))):
                tasks.start_soon(work)

    async def _attach(self, paired_file: PairedFile, photo: Photo) -> None:
        """Attach one file. Raises `PhotoError` where that is impossible."""
        entries = await self._ledger.look_up([paired_file.path, paired_file.of])
        main, sent_now = await self._main(paired_file.of, entries.get(paired_file.of))
        await self._attach_to(
            main, paired_file, photo, own=entries.get(paired_file.path), sent_now=sent_now
        )

    async def _attach_to(
        self,
        main: int,
        paired_file: PairedFile,
        photo: Photo,
        *,
        own: Entry | None,
        sent_now: bool,
    ) -> None:
        """Attach one file, of which the ledger has the entry `own`, to photo `main`."""
        key = (main, ending_of(paired_file.path))
        async with self._locks.setdefault(key, anyio.Lock()):
            if own and own.attached_to(main, photo):
                content = Content(photo, own.md5, executor=self._executor)
                self._attached.setdefault(key, content)
                self._emit_present(content, main)
                return
            content = Content(photo, executor=self._executor)
            if await self._is_there(content, paired_file, own=own, key=key, sent_now=sent_now):
                self._attached[key] = content
                await self._sender.record(content, paired_file, main)
                self._emit_present(content, main)
                return
            self._attached[key] = await self._send(content, paired_file, key)

    async def _main(self, path: Path, entry: Entry | None) -> tuple[int, bool]:
        """Return the id of the photo at `path`, and whether this run has sent it.

        Raises `PhotoError` where it is not in the gallery.
        """
        if self._main_of is not None:
            if (main := self._main_of(path)) is None:
                raise PhotoError(gallery_failures.NO_MAIN(name=path.name))
            return main
        photo = await to_thread.run_sync(_photo_at, path, self._convert)
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
        key: FormatKey,
        sent_now: bool,
    ) -> bool:
        """Return whether the photo has this format. Raises `PhotoError` if it has another one."""
        main, ending = key
        if (attached := self._attached.get(key)) is not None:
            if await attached.md5() == await content.md5():
                return True
            raise PhotoError(
                gallery_failures.FORMAT_TAKEN(ending=ending, name=paired_file.of.name)
            )
        if own is not None and own.state is State.FORMAT and own.image_id == main:
            changed = own.md5 != await content.md5()
            if changed and not self._update:
                raise PhotoError(gallery_failures.FORMAT_CHANGED(photo=main))
            if changed:
                await self._in_ledger(content, paired_file, key)
            return not changed
        if sent_now:
            return False
        if (known := await self._in_ledger(content, paired_file, key)) is not None:
            return known
        if own is not None and own.state is State.GIVEN_UP and own.image_id == main:
            return False
        there = await self._recovery.run(
            lambda: self._gallery.has_format(main, paired_file.path.name)
        )
        if there is None:
            raise PhotoError(gallery_failures.FORMAT_PERHAPS(ending=ending, photo=main))
        return there

    async def _in_ledger(
        self, content: Content, paired_file: PairedFile, key: FormatKey
    ) -> bool | None:
        """Return whether the ledger has this content as the format, from a file of another path.

        None where the ledger knows no other file as this format. Raises `PhotoError` where it has
        other content, which this file may not replace.
        """
        main, ending = key
        others = [
            entry
            for entry in await self._ledger.files_of([main])
            if entry.state is State.FORMAT
            and ending_of(entry.path) == ending
            and entry.path != paired_file.recorded_as
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

    async def _send(self, content: Content, paired_file: PairedFile, key: FormatKey) -> Content:
        """Attach a file, and return it as it was sent."""
        main, _ = key
        await self._check_accepted(paired_file)
        self._emit(PhotoPlanned(path=paired_file.path, size=content.photo.size))
        try:
            return await self._sender.send(content, paired_file, main)
        except FormatRefused as error:
            self._note_refused(paired_file, error)
            raise

    async def _check_accepted(self, paired_file: PairedFile) -> None:
        """Raise `FormatRefused` or `PhotoError` if the gallery does not accept such formats."""
        if not self._gallery.takes_formats:
            raise PhotoError(gallery_failures.NO_FORMATS())
        ending = ending_of(paired_file.path)
        if (refused := self._formats_off or self._refused.get(ending)) is not None:
            raise FormatRefused(refused.failure)
        try:
            await self._recovery.run(lambda: self._gallery.check_format(paired_file.path.name))
        except FormatRefused as error:
            self._note_refused(paired_file, error)
            raise

    def _note_refused(self, paired_file: PairedFile, error: FormatRefused) -> None:
        self._refused[ending_of(paired_file.path)] = error
        if isinstance(error, FormatsOff):
            self._formats_off = error
        if error.message not in self._noticed:
            self._noticed.add(error.message)
            self._emit(Noticed(message=error.message, hint=error.hint))

    def _emit_present(self, content: Content, main: int) -> None:
        self._emit(present(Job(content.photo, content.known_md5), main))


class OriginalFormats(Formats):
    """Attaches the files of converted photos to these, where the gallery accepts that.

    A photo's outcome does not depend on it: files that are not attached are counted, and the next
    run tries again.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        upload_context: UploadContext,
        update: bool,
        executor: Executor,
    ) -> None:
        context = replace(context, emit=self._note)
        sender = FormatUploader(
            context,
            upload_context=replace(upload_context, emit=discard),
            executor=executor,
        )
        super().__init__(context, sender=sender, update=update, executor=executor)
        self.attached = set[Path]()
        """The photos whose files are attached."""
        self._sent = 0
        self._arrived: list[tuple[Photo, int]] = []
        self._mains: dict[Path, int] = {}
        self._left: dict[tuple[str, str], int] = {}  # by reason and hint

    def arrived(self, job: Job, photo_id: int | None) -> None:
        """Note a photo that is in the gallery, whose file has to be attached at the end."""
        photo = job.photo
        if photo.convert and photo_id and not photo.same_as and photo.path not in self.attached:
            self._arrived.append((photo, photo_id))

    async def sent(self, job: Job, photo_id: int) -> None:
        """Attach the file of a photo that was just sent, without waiting for the end of the run.

        What fails is tried again there. Raises `RunError`.
        """
        if not job.photo.convert or self._stop.wanted:
            return
        self._mains[job.photo.path] = photo_id
        original = original_of(job.photo)
        try:
            await self._attach(original, replace(job.photo, convert=False), sent_now=True)
        except RunError:
            raise
        except BulkupError:
            return

    async def run(self, *, at_once: int) -> Iterable[tuple[str, str]]:
        """Attach the files that remain; return what to report: messages, each with a hint."""
        files: list[PairedFile] = []
        for start in range(0, len(self._arrived), LOOKED_UP):
            batch = self._arrived[start : start + LOOKED_UP]
            originals = [original_of(photo) for photo, _ in batch]
            entries = await self._ledger.look_up([file.recorded_as for file in originals])
            for (photo, photo_id), original in zip(batch, originals, strict=True):
                own = entries.get(original.recorded_as)
                if own and own.attached_to(photo_id, photo):
                    self.attached.add(photo.path)
                else:
                    self._mains[photo.path] = photo_id
                    files.append(original)
        await self.attach(files, at_once=at_once)
        return self._remarks()

    async def _attach(
        self, paired_file: PairedFile, photo: Photo, *, sent_now: bool = False
    ) -> None:
        await self._check_accepted(paired_file)
        path, main = paired_file.recorded_as, self._mains.pop(paired_file.path)
        own = (await self._ledger.look_up([path])).get(path)
        await self._attach_to(main, paired_file, photo, own=own, sent_now=sent_now)

    def _remarks(self) -> Iterator[tuple[str, str]]:
        if self._sent:
            yield (
                f"the own files of {count_text(self._sent, 'photo')} were attached as formats",
                "",
            )
        for (reason, hint), count in self._left.items():
            yield f"the gallery has only the JPEG of {count_text(count, 'photo')}: {reason}", hint

    def _note(self, event: Event) -> None:
        """Count an event instead of passing it on: it is not the outcome of the photo."""
        match event:
            case PhotoUploaded() | PhotoPresent():
                self._sent += isinstance(event, PhotoUploaded)
                self.attached.add(event.path)
            case PhotoFailed():
                key = event.reason, event.hint
                self._left[key] = self._left.get(key, 0) + 1


def _photo_at(path: Path, convert: Collection[str]) -> Photo:
    try:
        size, mtime_ns = version(path)
    except OSError as error:
        reason = error.strerror or error
        raise PhotoError(local_failures.MAIN_UNREADABLE(name=path.name, reason=reason)) from None
    return Photo(path, size, mtime_ns, convert=ending_of(path) in convert)
