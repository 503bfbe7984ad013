"""What a look at the gallery says of each photo, and that it changes nothing there."""

import hashlib
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import anyio
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bulkup.engine.ports import NoLedger, State, Stop
from bulkup.errors import RunError
from bulkup.events import (
    Event,
    FileSkipped,
    PhotoChecked,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    RunFinished,
    ScanFinished,
    Verdict,
)
from bulkup.piwigo.session import Timeouts
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.accounts import User
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.files import Content
from bulkup.store.ledger import SqliteLedger
from tests.support.runs import (
    FOUR_METHODS,
    Outcome,
    check,
    make_archive,
    picture,
    run,
    stored_sums,
)

VERSIONS = ["13.8.0", "16.4.0", "17.0.0beta1"]
LOOKS = {"pwg.images.exist", "pwg.images.checkFiles", "pwg.categories.getImages"}
HARMLESS = LOOKS | {
    *("pwg.session.login", "pwg.session.logout", "pwg.session.getStatus"),
    "reflection.getMethodList",
}
QUICK = Timeouts(connect_s=5, idle_s=5, finish_s=5)
KINDS: tuple[Kind, ...] = (
    *("request-lost", "cut", "answer-lost", "truncated"),
    *("502", "503", "504", "408", "429", "403-html", "html"),
    *("504-after", "empty-500-before", "empty-500-after", "php-noise", "expired-session"),
)


def verdicts(outcome: Outcome) -> Counter[Verdict]:
    return Counter(event.verdict for event in outcome.of(PhotoChecked))


def told(outcome: Outcome) -> dict[Path, PhotoChecked]:
    assert outcome.balances()
    return {event.path: event for event in outcome.of(PhotoChecked)}


def asked(box: Sandbox, *, since: int) -> Counter[str]:
    """Return how often the server was asked what, after so many requests."""
    return Counter(seen.method for seen in list(box.requests)[since:])


def photo_of(box: Sandbox, md5: str) -> int:
    photo = box.gallery.find(md5)
    assert photo is not None
    return photo.id


async def spoil(box: Sandbox, photo_id: int) -> None:
    """Change the stored bytes of a photo behind the gallery's back."""
    old = box.gallery.content(photo_id)
    content = Content(in_memory=True)
    await content.append(old[:-3] + bytes([old[-3] ^ 1]) + old[-2:])
    content.seal()
    box.gallery.contents[box.gallery.photos[photo_id].path] = content


def snapshot(box: Sandbox) -> object:
    """Return all that a gallery holds, to be compared."""
    gallery = box.gallery
    return (
        repr(gallery.photos),
        repr(gallery.albums),
        {album: [photo.id for photo in gallery.photos_in(album)] for album in gallery.albums},
        {path: content.md5 for path, content in gallery.contents.items()},
        gallery.lounge,
        gallery.buffers,
        gallery.tags,
    )


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_whole_archive_is_present(tmp_path: Path, version: str) -> None:
    archive = make_archive(tmp_path, count=61, names=10)
    async with Sandbox(version=version) as box:
        await run(box, tmp_path)
        outcome = await check(box, tmp_path)
    events = told(outcome)
    assert verdicts(outcome) == {Verdict.PRESENT: 61}
    assert events.keys() == archive.keys()
    assert all(event.image_id and not event.reason for event in events.values())
    assert isinstance(outcome.events[-1], RunFinished)
    assert len(outcome.of(ScanFinished)) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_photo_gets_its_own_verdict(tmp_path: Path, version: str) -> None:
    archive = make_archive(tmp_path, count=8, names=8)
    paths = sorted(archive)
    async with Sandbox(version=version) as box:
        second = box.gallery.make_album("Second")
        await run(box, tmp_path)
        ids = {path: photo_of(box, md5) for path, md5 in archive.items()}
        await box.gallery.delete(ids[paths[0]])
        box.gallery.link(ids[paths[1]], second)
        box.gallery.unlink(ids[paths[1]], 1)
        await spoil(box, ids[paths[2]])
        (tmp_path / "new.jpg").write_bytes(picture(Random(99), size=900))
        (tmp_path / "empty.jpg").touch()
        (tmp_path / "notes.txt").write_text("x")
        events = told(outcome := await check(box, tmp_path))
    assert {path: event.verdict for path, event in events.items()} == {
        **dict.fromkeys(paths, Verdict.PRESENT),
        paths[0]: Verdict.MISSING,
        paths[1]: Verdict.NOT_IN_ALBUM,
        paths[2]: Verdict.DIFFERING,
        tmp_path / "new.jpg": Verdict.MISSING,
        tmp_path / "empty.jpg": Verdict.FAILED,
    }
    assert [event.path.name for event in outcome.of(FileSkipped)] == ["notes.txt"]
    assert f"Delete photo {ids[paths[2]]} in the gallery" in events[paths[2]].hint
    assert events[paths[1]].image_id == ids[paths[1]]
    assert all(bool(e.reason) == (e.verdict is not Verdict.PRESENT) for e in events.values())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("with_lounge", [True, False])
async def test_nothing_is_changed_on_the_server(
    tmp_path: Path, version: str, with_lounge: bool
) -> None:
    archive = make_archive(tmp_path, count=9, names=9)
    async with Sandbox(version=version, lounge=with_lounge) as box:
        await run(box, tmp_path)
        paths = sorted(archive)
        await box.gallery.delete(photo_of(box, archive[paths[0]]))
        box.gallery.unlink(photo_of(box, archive[paths[1]]), 1)
        await spoil(box, photo_of(box, archive[paths[2]]))
        box.gallery._enter(box.gallery.photos[photo_of(box, archive[paths[3]])], [1])
        before, requests = snapshot(box), len(box.requests)
        outcome = await check(box, tmp_path)
        assert snapshot(box) == before
        assert asked(box, since=requests).keys() <= HARMLESS
    assert verdicts(outcome)[Verdict.PRESENT] == 6


async def test_a_photo_that_still_waits_in_the_lounge_is_not_in_the_album(tmp_path: Path) -> None:
    (path,) = make_archive(tmp_path, count=1, names=1)
    async with Sandbox() as box:
        await run(box, tmp_path)
        (photo,) = box.gallery.photos.values()
        box.gallery.unlink(photo.id, 1)
        box.gallery._enter(photo, [1])
        assert told(await check(box, tmp_path))[path].verdict is Verdict.NOT_IN_ALBUM
        assert box.gallery.lounge == [(photo.id, 1)]


async def test_without_an_album_a_photo_may_be_anywhere(tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3)
    async with Sandbox() as box:
        second = box.gallery.make_album("Second")
        await run(box, tmp_path, album=second)
        before = len(box.requests)
        outcome = await check(box, tmp_path, album=None)
        assert not asked(box, since=before)["pwg.categories.getImages"]
    assert verdicts(outcome) == {Verdict.PRESENT: 3}


async def test_a_quick_check_lets_the_server_read_no_file(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=3, names=3)
    async with Sandbox() as box:
        await run(box, tmp_path)
        await spoil(box, photo_of(box, next(iter(archive.values()))))
        outcome = await check(box, tmp_path, quick=True)
        assert not asked(box, since=0)["pwg.images.checkFiles"]
    assert verdicts(outcome) == {Verdict.PRESENT: 3}


async def test_the_album_is_listed_once_and_each_photo_read_once(tmp_path: Path) -> None:
    make_archive(tmp_path, count=510, names=100, size=(300, 400))
    async with Sandbox() as box:
        await run(box, tmp_path)
        before = len(box.requests)
        outcome = await check(box, tmp_path)
        methods = asked(box, since=before)
    assert verdicts(outcome) == {Verdict.PRESENT: 510}
    assert methods["pwg.categories.getImages"] == 2  # pages of 500
    assert methods["pwg.images.checkFiles"] == 510


async def test_twins_share_a_photo_that_the_server_reads_once(tmp_path: Path) -> None:
    (first, *_) = make_archive(tmp_path, count=3, names=3)
    for number in range(300):
        (tmp_path / f"twin {number}.jpg").write_bytes(first.read_bytes())
    async with Sandbox() as box:
        await run(box, tmp_path)
        outcome = await check(box, tmp_path, concurrency=1)
        reads = asked(box, since=0)["pwg.images.checkFiles"]
    assert verdicts(outcome) == {Verdict.PRESENT: 303}
    assert reads == 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server_of_four_methods_can_not_tell(tmp_path: Path, version: str) -> None:
    make_archive(tmp_path, count=3, names=3)
    async with Sandbox(version=version, only=FOUR_METHODS) as box:
        await run(box, tmp_path)
        outcome = await check(box, tmp_path)
    assert verdicts(outcome) == {Verdict.UNKNOWN: 3}
    assert outcome.balances()


async def test_a_gallery_that_tells_photos_apart_by_name_can_not_tell(tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3)
    async with Sandbox(uniqueness_mode="filename") as box:
        await run(box, tmp_path)
        assert verdicts(await check(box, tmp_path)) == {Verdict.UNKNOWN: 3}


@pytest.mark.parametrize(
    ("lacking", "how_to_do_without"),
    [
        ("pwg.images.checkFiles", "--quick"),
        ("pwg.categories.getImages", "Without --album"),
    ],
)
async def test_what_the_server_lacks_is_told_with_the_way_to_do_without(
    tmp_path: Path, lacking: str, how_to_do_without: str
) -> None:
    (path,) = make_archive(tmp_path, count=1, names=1)
    async with Sandbox() as whole:
        methods = set(whole.gallery.release.methods)
    async with Sandbox(only=methods - {lacking}) as box:
        await run(box, tmp_path)
        event = told(await check(box, tmp_path))[path]
        assert (event.verdict, event.image_id) == (Verdict.UNKNOWN, 1)
        assert how_to_do_without in event.hint
        quick = await check(box, tmp_path, album=None, quick=True)
        assert verdicts(quick) == {Verdict.PRESENT: 1}


async def test_a_photo_that_goes_away_between_two_questions_is_missing(tmp_path: Path) -> None:
    (path,) = make_archive(tmp_path, count=1, names=1)

    class Deleting(Faults):
        def strike(self, method: str) -> Fault | None:
            if method == "pwg.images.checkFiles":
                box.gallery.photos.clear()
            return super().strike(method)

    async with Sandbox(faults=Deleting()) as box:
        await run(box, tmp_path)
        assert told(await check(box, tmp_path))[path].verdict is Verdict.MISSING


async def test_an_unreadable_folder_fails_and_the_others_are_checked(tmp_path: Path) -> None:
    (path,) = make_archive(tmp_path, count=1, names=1)
    gone = tmp_path / "gone"
    async with Sandbox() as box:
        await run(box, tmp_path)
        events = told(await check(box, tmp_path, gone))
    assert (events[path].verdict, events[gone].verdict) == (Verdict.PRESENT, Verdict.FAILED)


# what the ledger keeps


async def test_after_a_check_the_next_upload_mends_what_is_amiss(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    archive = make_archive(folder, count=6, names=6)
    paths = sorted(archive)
    async with Sandbox() as box, SqliteLedger(tmp_path / "ledger", server=box.url) as ledger:
        await run(box, folder, memory=ledger)
        await box.gallery.delete(photo_of(box, archive[paths[0]]))
        box.gallery.unlink(photo_of(box, archive[paths[1]]), 1)
        spoiled = photo_of(box, archive[paths[2]])
        await spoil(box, spoiled)
        await check(box, folder, memory=ledger)
        entries = await ledger.look_up(paths)
        amiss = [path for path in paths if entries[path].state is not State.DONE]
        assert amiss == paths[:3]
        assert not any(entries[path].albums for path in amiss)
        await box.gallery.delete(spoiled)  # as the hint says
        mended = await run(box, folder, memory=ledger)
        assert {event.path for event in mended.of(PhotoUploaded)} == {paths[0], paths[2]}
        assert [event.path for event in mended.of(PhotoPresent) if event.linked] == [paths[1]]
        assert verdicts(await check(box, folder, memory=ledger)) == {Verdict.PRESENT: 6}
        assert stored_sums(box) == Counter(archive.values())


async def test_known_files_are_not_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    archive = make_archive(folder, count=2, names=2)
    known, changed = sorted(archive)
    async with Sandbox() as box, SqliteLedger(tmp_path / "ledger", server=box.url) as ledger:
        await run(box, folder, memory=ledger)
        status = known.stat()
        content = known.read_bytes()
        known.write_bytes(content[::-1])
        os.utime(known, ns=(status.st_mtime_ns, status.st_mtime_ns))
        before = hashlib.md5(changed.read_bytes()).hexdigest()
        changed.write_bytes(picture(Random(7), size=700))
        events = told(await check(box, folder, memory=ledger))
        entry = (await ledger.look_up([changed]))[changed]
    assert events[known].verdict is Verdict.PRESENT  # size and time are those of the ledger
    assert events[changed].verdict is Verdict.MISSING
    assert entry.md5 == before  # an upload has to know which photo the file was


# trouble on the way


@pytest.mark.parametrize("method", sorted(LOOKS))
async def test_a_question_that_fails_once_is_asked_again(tmp_path: Path, method: str) -> None:
    make_archive(tmp_path, count=5, names=5)
    async with Sandbox(faults=Faults()) as box:
        await run(box, tmp_path)
        kinds: list[Kind] = ["answer-lost", "html", "empty-500-before", "503"]
        for nth, kind in enumerate(kinds):
            box.faults.add(Fault(kind, method, nth))
        assert verdicts(await check(box, tmp_path)) == {Verdict.PRESENT: 5}


@pytest.mark.parametrize("method", sorted(LOOKS))
async def test_a_question_that_always_fails_is_told(tmp_path: Path, method: str) -> None:
    make_archive(tmp_path, count=5, names=5)
    async with Sandbox(faults=Faults()) as box:
        await run(box, tmp_path)
        box.faults.add(Fault("html", method))
        outcome = await check(box, tmp_path, retries=2)
    assert verdicts(outcome) == {Verdict.FAILED: 5}
    assert outcome.balances()
    assert "it could not be checked" in outcome.of(PhotoChecked)[0].reason


def admin(box: Sandbox) -> User:
    return box._accounts.users["admin"]


async def test_a_refused_log_in_in_the_middle_ends_the_run(tmp_path: Path) -> None:
    make_archive(tmp_path, count=5, names=5)

    class LockingOut(Faults):
        def strike(self, method: str) -> Fault | None:
            if method == "pwg.images.checkFiles":
                box.expire_sessions()
                box._accounts.users["admin"] = replace(admin(box), password="another")
            return super().strike(method)

    outcome = Outcome()
    async with Sandbox(faults=LockingOut()) as box:
        await run(box, tmp_path)
        with pytest.raises(RunError):
            await check(box, tmp_path, outcome=outcome)
    assert outcome.balances()
    assert outcome.of(PhotoUnfinished)


class Stopping(list[Event]):
    """Events of which the first verdict brings a wish to stop."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, PhotoChecked):
            self._stop.set()


async def test_a_wish_to_stop_leaves_the_rest_unfinished(tmp_path: Path) -> None:
    make_archive(tmp_path, count=300, names=100)
    async with Sandbox() as box:
        await run(box, tmp_path)
        stop = Stop()
        outcome = await check(box, tmp_path, stop=stop, outcome=Outcome(Stopping(stop)))
    assert outcome.balances()
    assert 0 < len(outcome.of(PhotoChecked)) < 300
    assert len(outcome.of(PhotoUnfinished)) >= 1


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Make seven photos and a twin of one of them."""
    folder = tmp_path_factory.mktemp("verified")
    sums = make_archive(folder, count=7, names=7, size=(300, 900))
    original = next(iter(sums))
    twin = folder / "twin.jpg"
    twin.write_bytes(original.read_bytes())
    return sums | {twin: sums[original]}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(
    plan=st.lists(
        st.builds(
            Fault,
            st.sampled_from(KINDS),
            method=st.sampled_from([*sorted(LOOKS), None]),
            nth=st.one_of(st.none(), st.integers(0, 12)),
        ),
        max_size=6,
    ),
    version=st.sampled_from(VERSIONS),
    harm=st.lists(st.sampled_from(["delete", "unlink", "spoil", ""]), min_size=7, max_size=7),
    quick=st.booleans(),
)
def test_whatever_fails_each_photo_gets_one_true_verdict(
    archive: dict[Path, str], plan: list[Fault], version: str, harm: list[str], quick: bool
) -> None:
    async def holds() -> None:
        async with Sandbox(version=version, faults=Faults()) as box:
            root = next(iter(archive)).parents[1]
            await run(box, root)
            amiss: dict[str, Verdict] = {}
            for md5, what in zip(dict.fromkeys(archive.values()), harm, strict=True):
                photo_id = photo_of(box, md5)
                if what == "delete":
                    await box.gallery.delete(photo_id)
                    amiss[md5] = Verdict.MISSING
                elif what == "unlink":
                    box.gallery.unlink(photo_id, 1)
                    amiss[md5] = Verdict.NOT_IN_ALBUM
                elif what == "spoil":
                    await spoil(box, photo_id)
                    amiss[md5] = Verdict.PRESENT if quick else Verdict.DIFFERING
            before = snapshot(box)
            for fault in plan:
                box.faults.add(fault)
            outcome = Outcome()
            try:
                await check(
                    box,
                    root,
                    quick=quick,
                    retries=2,
                    outcome=outcome,
                    timeouts=QUICK,
                    memory=NoLedger(),
                )
            except RunError as error:
                note(error.message)
            note("\n".join(map(str, outcome.events)))
            assert outcome.balances()
            assert snapshot(box) == before
            for event in outcome.of(PhotoChecked):
                true = amiss.get(archive[event.path], Verdict.PRESENT)
                assert event.verdict in {true, Verdict.FAILED, Verdict.UNKNOWN}

    anyio.run(holds)
