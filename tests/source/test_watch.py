"""Watching folders: files are uploaded once settled, run after run, despite failures."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Self

import anyio
import pytest
from anyio import to_thread

from bulkup import events
from bulkup.app.settings import Account, AlbumTarget, UploadSettings
from bulkup.app.upload import upload_photos
from bulkup.app.watch import WatchLoop
from bulkup.errors import RunError, UsageError, one_error
from bulkup.sandbox import Fault, Sandbox
from bulkup.source.photos import Photo
from bulkup.source.watch import MOST_SETTLES, Inbox, Watch
from tests.support.events import soon
from tests.support.faults import HookedFaults
from tests.support.galleries import attached, only_photo
from tests.support.runs import Clock, Outcome, make_archive, picture, stored_sums
from tests.support.walks import put, put_all, scanned

SENDING = UploadSettings(into=AlbumTarget(album=1), finishing=2, patience_s=0.0)
FORMATS = replace(SENDING, raw_as_format=True)
PHOTO = picture(Random(1), size=5000)


@dataclass
class Runs:
    """The runs of a watch; `after` has what to do at the end of each, and then comes Ctrl-C."""

    after: list[Callable[[], object]] = field(default_factory=list)
    on_event: Callable[[events.Event], object] = lambda _: None
    on_sleep: Callable[[], object] = lambda: None
    on_tell: Callable[[str], object] = lambda _: None
    outcomes: list[Outcome] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    attendant: WatchLoop | None = None

    def names(self) -> list[set[str]]:
        """Return which files each run has found."""
        return [{event.path.name for event in run.of(events.FileFound)} for run in self.outcomes]

    async def __aenter__(self) -> Self:
        self.outcomes.append(Outcome())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.after:
            soon(self.after.pop(0))
        else:
            self.interrupt()

    def interrupt(self) -> None:
        assert self.attendant is not None
        self.attendant.stop.set()
        soon(partial(self.attendant.emit, events.Interrupted()))

    def emit(self, event: events.Event) -> None:
        self.outcomes[-1].events.append(event)
        self.on_event(event)

    def tell(self, words: str) -> None:
        self.messages.append(words)
        self.on_tell(words)

    async def watch(
        self,
        box: Sandbox,
        *folders: Path,
        password: str = "secret",  # noqa: S107 (the sandbox's)
        poll: bool = False,
        sending: UploadSettings = SENDING,
    ) -> Self:
        clock = Clock()

        async def sleep(seconds: float) -> None:
            self.on_sleep()
            await clock.sleep(seconds)

        formats = sending.raw_as_format
        make = partial(Watch, folders, formats=formats, settle_s=5.0, poll=poll)
        watch = await to_thread.run_sync(partial(make, clock=clock, sleep=sleep))
        account = Account(url=box.url, user="admin", password=password)
        self.attendant = WatchLoop(
            watch,
            partial(
                upload_photos,
                list(folders),
                account=account,
                settings=sending,
                clock=clock,
                sleep=clock.sleep,
            ),
            open_outputs=lambda: self,
            say=self.tell,
            warn=self.tell,
            sleep=clock.sleep,
        )
        async with one_error(), anyio.create_task_group() as tasks:
            tasks.start_soon(watch.listen)
            await self.attendant.run()
            tasks.cancel_scope.cancel()
        assert all(outcome.balances() for outcome in self.outcomes)
        return self


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox(formats=["nef", "tif"], file_types=("jpg",)) as running:
        yield running


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Return an empty folder."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("poll", [False, True])
async def test_existing_files_are_uploaded_then_new_ones(
    box: Sandbox, inbox: Path, poll: bool
) -> None:
    archive = make_archive(inbox, count=6, names=3)
    known = next(iter(archive)).read_bytes()

    def arrive() -> None:
        put(inbox / "new folder" / "new.jpg", PHOTO)
        put(inbox / "new folder" / "twin.jpg", known)

    runs = await Runs(after=[arrive]).watch(box, inbox, poll=poll)
    assert len(box.gallery.photos) == 7
    assert not box.gallery.lounge
    assert runs.names() == [{path.name for path in archive}, {"new.jpg", "twin.jpg"}]
    assert runs.messages[1:] == ["6 files have arrived", "2 files have arrived"]
    assert len(runs.outcomes[1].of(events.PhotoPresent)) == 1


async def test_a_file_written_in_pieces_is_uploaded_whole(box: Sandbox, inbox: Path) -> None:
    content = picture(Random(3), size=40_000)
    pieces = [content[start : start + 8000] for start in range(0, len(content), 8000)]

    def append() -> None:
        if pieces:
            with (inbox / "video.jpg").open("ab") as file:
                file.write(pieces.pop(0))

    append()
    runs = await Runs(on_sleep=lambda: soon(append)).watch(box, inbox)
    assert box.gallery.content(only_photo(box).id) == content
    assert len(runs.outcomes) == 1


async def test_files_that_arrive_or_change_during_a_run_are_uploaded_by_the_next(
    box: Sandbox, inbox: Path
) -> None:
    whole, late, final = (picture(Random(seed), size=9000) for seed in range(3))
    grown, changed = put(inbox / "grown.jpg", whole[:4000]), put(inbox / "changed.jpg", PHOTO)
    at_first: dict[type, Callable[[], object]] = {
        events.RunStarted: partial(grown.write_bytes, whole),
        events.PhotoStarted: partial(put, inbox / "late.jpg", late),
        events.PhotoUploaded: partial(changed.write_bytes, final),
    }
    runs = Runs(after=[lambda: None], on_event=lambda e: soon(at_first.pop(type(e), lambda: None)))
    await runs.watch(box, inbox)
    assert runs.names() == [{"changed.jpg"}, {"grown.jpg", "late.jpg", "changed.jpg"}]
    contents = {box.gallery.content(number) for number in box.gallery.photos}
    assert contents == {PHOTO, whole, late, final}


async def test_files_are_moved_away_and_their_names_are_free_again(
    box: Sandbox, inbox: Path, tmp_path: Path
) -> None:
    path, done = put(inbox / "a.jpg", PHOTO), tmp_path / "done"
    again = picture(Random(6), size=5000)
    sending = replace(SENDING, after=done)
    await Runs(after=[partial(path.write_bytes, again)]).watch(box, inbox, sending=sending)
    assert len(box.gallery.photos) == 2
    assert await to_thread.run_sync(scanned, inbox) == {}
    assert (done / "a.jpg").read_bytes() == PHOTO
    assert (done / "a (2).jpg").read_bytes() == again


async def test_failed_and_skipped_files_wait_for_a_change(box: Sandbox, inbox: Path) -> None:
    bad, note = put(inbox / "bad.jpg", b"This is no picture."), put(inbox / "note.txt", b"one")

    def second() -> None:
        note.write_text("two")  # a type that the server does not take is no news any more
        put(inbox / "good.jpg", PHOTO)
        put(inbox / "good.xmp", b"<x/>")  # no file to bring

    third = partial(bad.write_bytes, picture(Random(8), size=3000))
    runs = await Runs(after=[second, third]).watch(box, inbox)
    assert len(box.gallery.photos) == 2
    assert runs.names() == [{"bad.jpg", "note.txt"}, {"good.jpg"}, {"bad.jpg"}]
    first = runs.outcomes[0]
    assert (len(first.of(events.PhotoFailed)), len(first.of(events.FileSkipped))) == (1, 1)


async def test_formats_are_uploaded_with_their_photos_even_if_these_arrive_or_fail_before(
    box: Sandbox, inbox: Path
) -> None:
    put_all(inbox, "alone.nef", "a.nef", "b.tif", "bad.nef", content=b"raw" * 1000)
    bad = put(inbox / "bad.jpg", b"This is no picture.")

    def arrive() -> None:
        for seed, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
            put(inbox / name, picture(Random(seed), size=5000))
        put(inbox / "c.nef", b"another raw")
        bad.write_bytes(picture(Random(3), size=5000))

    runs = await Runs(after=[arrive]).watch(box, inbox, sending=FORMATS)
    assert attached(box) == {
        "a.jpg": [("nef", b"raw" * 1000)],
        "bad.jpg": [("nef", b"raw" * 1000)],
        "b.jpg": [("tif", b"raw" * 1000)],
        "c.jpg": [("nef", b"another raw")],
    }
    first, second = runs.names()
    assert first == {"alone.nef", "a.nef", "b.tif", "bad.jpg", "bad.nef"}
    assert second == first - {"alone.nef"} | {"a.jpg", "b.jpg", "c.jpg", "c.nef"}
    failed = [{event.path.name for event in run.of(events.PhotoFailed)} for run in runs.outcomes]
    assert failed == [{"bad.jpg", "bad.nef"}, set()]


async def test_a_replaced_photo_gets_its_formats_again(
    box: Sandbox, inbox: Path, tmp_path: Path
) -> None:
    photo, _ = put(inbox / "a.jpg", PHOTO), put(inbox / "a.nef", b"raw")
    other = picture(Random(12), size=4000)
    runs = Runs(after=[partial(photo.write_bytes, other)])
    sending = replace(FORMATS, update=True, ledger=tmp_path / "ledger.sqlite")
    await runs.watch(box, inbox, sending=sending)
    assert attached(box) == {"a.jpg": [("nef", b"raw")]}
    assert box.gallery.content(1) == other
    assert runs.names() == [{"a.jpg", "a.nef"}] * 2


async def test_an_unavailable_server_is_waited_for_from_the_first_run_on(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=4, names=4)
    faults = HookedFaults(Fault("503"))

    def open_after_three(_: str) -> None:
        faults.on = sum("trying again" in words for words in runs.messages) < 3

    runs = Runs(after=[lambda: None] * 3, on_tell=open_after_three)
    async with Sandbox(faults=faults) as box:
        await runs.watch(box, tmp_path)
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    waits = [words.partition("; ")[2] for words in runs.messages if "trying again" in words]
    assert waits == ["trying again in 1 min", "trying again in 2 min", "trying again in 4 min"]


async def test_what_an_outage_interrupted_is_uploaded_afterwards(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=20, names=20)
    faults = HookedFaults(Fault("503"))
    faults.on = False

    def switch(event: events.Event | str) -> None:
        if isinstance(event, events.PhotoUploaded) and len(runs.outcomes) == 1:
            faults.on = True
        elif isinstance(event, str) and "trying again" in event:
            faults.on = False

    runs = Runs(after=[lambda: None], on_event=switch, on_tell=switch)
    async with Sandbox(faults=faults) as box:
        await runs.watch(box, tmp_path)
        assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    first, second = runs.outcomes
    assert 0 < len(first.of(events.PhotoUploaded)) < 20
    ends = second.of(events.PhotoUploaded) + second.of(events.PhotoPresent)
    assert len(ends) + len(first.of(events.PhotoUploaded)) == 20


async def test_a_watch_ends_when_asked_to_and_with_a_wrong_password_or_no_folder(
    box: Sandbox, inbox: Path
) -> None:
    runs = Runs(on_tell=lambda _: soon(runs.interrupt))
    await runs.watch(box, inbox)  # while it waits for a first file
    assert not box.requests
    assert not runs.outcomes
    photo = put(inbox / "a.jpg", PHOTO)
    with pytest.raises(RunError):
        await Runs(after=[lambda: None]).watch(box, inbox, password="wrong")
    with pytest.raises(UsageError, match="is not a folder"):
        await Runs().watch(box, photo)


# the inbox


FILE_A = Photo(Path("a.jpg"), 100, 1)
FILE_B = Photo(Path("b.jpg"), 200, 1)
GROWN, TOUCHED = replace(FILE_A, size=101), replace(FILE_A, mtime_ns=2)


@pytest.mark.parametrize("later", [[GROWN], [TOUCHED], [FILE_A, FILE_B]])
def test_files_are_ready_once_all_of_them_are_unchanged_for_long_enough(
    later: list[Photo],
) -> None:
    inbox = Inbox(settle_s=5.0)
    inbox.update([FILE_A], now=0.0)
    assert not inbox.ready(now=4.9)
    assert inbox.ready(now=5.0) == {FILE_A.path: FILE_A}
    assert (inbox.wait_s(now=0.0), inbox.wait_s(now=5.0)) == (5.0, None)
    inbox.update(later, now=4.0)
    assert not inbox.ready(now=8.9)
    assert inbox.wait_s(now=5.0) == 4.0
    inbox.update(later, now=9.0)
    assert inbox.ready(now=9.0) == {file.path: file for file in later}


def test_a_file_waits_for_another_but_not_forever() -> None:
    inbox, now = Inbox(settle_s=5.0), 0.0
    while not (ready := inbox.ready(now=now)):
        inbox.update([FILE_A, replace(FILE_B, size=int(now))], now=now)
        now += 1.0
        assert now < 1000
    assert ready == {FILE_A.path: FILE_A}
    assert now >= 5.0 * (1 + MOST_SETTLES)


def test_a_done_file_is_ready_again_when_it_has_changed_or_was_gone() -> None:
    inbox = Inbox(settle_s=0.0)
    inbox.update([FILE_A, FILE_B], now=0.0)
    inbox.mark_done([FILE_A, FILE_B])
    inbox.update([FILE_A, FILE_B], now=1.0)
    assert not inbox.ready(now=100.0)
    assert inbox.wait_s(now=100.0) is None
    inbox.update([TOUCHED], now=101.0)
    assert inbox.ready(now=101.0) == {FILE_A.path: TOUCHED}
    inbox.update([TOUCHED, FILE_B], now=102.0)  # it was gone
    assert inbox.ready(now=102.0) == {FILE_A.path: TOUCHED, FILE_B.path: FILE_B}
    inbox.update([GROWN, FILE_B], now=103.0)
    inbox.mark_done([TOUCHED, FILE_B])  # one has changed during its upload
    inbox.update([GROWN, FILE_B], now=103.0)
    assert inbox.ready(now=103.0) == {FILE_A.path: GROWN}


def test_a_lone_format_waits_twice_as_long_once() -> None:
    inbox = Inbox(settle_s=5.0)
    inbox.update([FILE_A], now=0.0, lone={FILE_A.path})
    assert not inbox.ready(now=9.0)
    assert inbox.wait_s(now=9.0) == 1.0
    assert inbox.ready(now=10.0) == {FILE_A.path: FILE_A}
    inbox.update([FILE_A, FILE_B], now=9.0)
    assert not inbox.ready(now=10.0)
    assert inbox.ready(now=14.0) == {FILE_A.path: FILE_A, FILE_B.path: FILE_B}


def test_a_done_file_can_be_requeued_at_once() -> None:
    inbox = Inbox(settle_s=5.0)
    inbox.update([FILE_A, FILE_B], now=0.0, lone={FILE_A.path})
    inbox.mark_done([FILE_A])
    assert inbox.requeue([FILE_A.path, FILE_B.path], now=20.0) == {FILE_A.path: FILE_A}
    assert inbox.is_new(FILE_A.path)
    inbox.update([FILE_A, FILE_B], now=20.0, lone={FILE_A.path})
    assert inbox.ready(now=20.0) == {FILE_A.path: FILE_A, FILE_B.path: FILE_B}
