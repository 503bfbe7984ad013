"""What a look at the gallery says of each photo, and that it changes nothing there."""

from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bulkup import events
from bulkup.engine.albums import ROOT
from bulkup.engine.ledger_port import State
from bulkup.errors import RunError
from bulkup.events import Verdict
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.versions import VERSIONS, Release
from tests.engine.test_chaos import KINDS, PATIENT
from tests.support.faults import HookedFaults
from tests.support.galleries import LISTING, albums_of, calls, lock_out, photo_of, spoil
from tests.support.ledgers import ledger_of, ruin
from tests.support.photos import takeout_album, write_album_title, write_files, write_photo
from tests.support.runs import FOUR_METHODS, Outcome, check, make_archive, run, stored_sums

METHODS = set(Release("16.4.0").methods)
RELEASES = ["13.8.0", "16.4.0", "17.0.0beta1"]
READ, LIST = "pwg.images.checkFiles", "pwg.categories.getImages"
ALBUMS = "pwg.categories.getAdminList"
PLACES = ("loose.jpg", "2019/a.jpg", "2019/May/b.jpg", "I <3_🌞/c.jpg", "I <3_🌞/d.jpg")
LOOKS = ["pwg.images.exist", READ, LIST]
HARMLESS = LISTING - {"pwg.images.uploadCompleted"} | {*LOOKS}
FAULTS = [kind for kind in KINDS if kind not in {"413", "damaged", "no-input"}]  # not of photos


def verdicts(outcome: Outcome) -> Counter[Verdict]:
    assert outcome.balances()
    return Counter(event.verdict for event in outcome.of(events.PhotoChecked))


def by_name(outcome: Outcome) -> dict[str, events.PhotoChecked]:
    assert outcome.balances()
    return {event.path.name: event for event in outcome.of(events.PhotoChecked)}


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


@pytest.fixture
def faults() -> HookedFaults:
    """Return what may act as the server is about to read its file."""
    return HookedFaults(method=READ)


@pytest.fixture
async def box(archive: dict[Path, str], folder: Path, faults: Faults) -> AsyncIterator[Sandbox]:
    """Run a sandbox that has the archive, and has forgotten how it came."""
    async with Sandbox(faults=faults) as running:
        await run(running, folder)
        assert len(running.gallery.photos) == len(archive)
        running.requests.clear()
        yield running


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("with_lounge", [True, False])
async def test_each_photo_gets_its_own_verdict_and_nothing_is_changed(
    tmp_path: Path, version: str, with_lounge: bool
) -> None:
    archive = make_archive(tmp_path, count=6, names=6)
    names = [path.name for path in sorted(archive)]
    async with Sandbox(version=version, lounge=with_lounge) as box:
        second = box.gallery.make_album("Second")
        await run(box, tmp_path)
        ids = [photo_of(box, archive[path]) for path in sorted(archive)]
        await box.gallery.delete(ids[0])
        box.gallery.link(ids[1], second)
        box.gallery.unlink(ids[1], 1)
        await spoil(box, ids[2])
        box.gallery.unlink(ids[4], 1)
        for waits in ids[3:5]:
            box.gallery._enter(box.gallery.photos[waits], [1])
        write_photo(tmp_path / "new.jpg", 99)
        (tmp_path / "empty.jpg").touch()
        (tmp_path / "notes.txt").write_text("x")
        before, requests = snapshot(box), len(box.requests)
        checked = by_name(outcome := await check(box, tmp_path, tmp_path / "no such folder"))
        assert snapshot(box) == before
        assert calls(box, since=requests).keys() <= HARMLESS
    assert {name: event.verdict for name, event in checked.items()} == {
        **dict.fromkeys(names, Verdict.PRESENT),
        names[0]: Verdict.MISSING,
        names[1]: Verdict.NOT_IN_ALBUM,
        names[2]: Verdict.DIFFERING,
        names[4]: Verdict.NOT_IN_ALBUM if with_lounge else Verdict.PRESENT,
        "new.jpg": Verdict.MISSING,
        "empty.jpg": Verdict.FAILED,
        "no such folder": Verdict.FAILED,
    }
    assert [event.path.name for event in outcome.of(events.FileSkipped)] == ["notes.txt"]
    assert f"Delete photo {ids[2]} in the gallery" in checked[names[2]].hint
    assert checked[names[1]].image_id == ids[1]
    assert all(bool(e.reason) == (e.verdict is not Verdict.PRESENT) for e in checked.values())


async def test_a_quick_check_reads_no_file_and_without_an_album_a_photo_may_be_anywhere(
    box: Sandbox, folder: Path, faults: HookedFaults
) -> None:
    await spoil(box, 1)
    assert verdicts(await check(box, folder, quick=True)) == {Verdict.PRESENT: 4}
    assert not calls(box)[READ]
    for number in box.gallery.photos:
        box.gallery.link(number, box.gallery.make_album(f"{number}"))
        box.gallery.unlink(number, 1)
    box.requests.clear()
    anywhere = await check(box, folder, album=None)
    assert verdicts(anywhere) == {Verdict.PRESENT: 3, Verdict.DIFFERING: 1}
    assert not calls(box)[LIST]
    faults.act = box.gallery.photos.clear  # between two questions
    gone = await check(box, folder, album=None, concurrency=1)
    assert verdicts(gone) == {Verdict.MISSING: 4}


async def test_the_album_is_listed_once_and_each_photo_read_once_also_for_twins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.piwigo.methods.PAGE", 40)
    monkeypatch.setattr("bulkup.engine.read.BATCH", 16)
    archive = make_archive(tmp_path, count=50, names=10, size=(300, 400))
    content = next(iter(archive)).read_bytes()
    twins = [tmp_path / f"twin {number}.jpg" for number in range(30)]
    for twin in twins:
        twin.write_bytes(content)
    async with Sandbox() as box:
        await run(box, tmp_path)
        before = len(box.requests)
        outcome = await check(box, tmp_path, concurrency=1)
        methods = calls(box, since=before)
    assert verdicts(outcome) == {Verdict.PRESENT: 80}
    found = {event.path: event.image_id for event in outcome.of(events.PhotoChecked)}
    assert found.keys() == archive.keys() | {*twins}
    assert all(found.values())
    assert methods[LIST] == 2  # pages of 40
    assert methods[READ] == 50
    assert methods[LOOKS[0]] >= 4  # one for each batch
    assert isinstance(outcome.events[-1], events.RunFinished)
    assert len(outcome.of(events.ScanFinished)) == 1


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("options", "how_to_do_without"),
    [
        ({"only": FOUR_METHODS}, ""),
        ({"uniqueness_mode": "filename"}, ""),
        ({"only": METHODS - {READ}}, "--quick"),
        ({"only": METHODS - {LIST}}, "Without --album"),
    ],
)
async def test_what_the_server_can_not_tell_is_reported_with_the_way_to_do_without_if_there_is_one(
    folder: Path, options: dict[str, Any], how_to_do_without: str
) -> None:
    async with Sandbox(**options) as box:
        await run(box, folder)
        outcome = await check(box, folder)
        assert verdicts(outcome) == {Verdict.UNKNOWN: 4}
        if how_to_do_without:
            checked = outcome.of(events.PhotoChecked)
            assert all(how_to_do_without in event.hint for event in checked)
            assert {event.image_id for event in checked} == box.gallery.photos.keys()
            quick = await check(box, folder, album=None, quick=True)
            assert verdicts(quick) == {Verdict.PRESENT: 4}


# where albums are the folders


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("unwrap", "spaces"), [(True, False), (False, True)])
async def test_what_was_uploaded_as_a_tree_is_present_as_that_tree(
    tmp_path: Path, version: str, *, unwrap: bool, spaces: bool
) -> None:
    root = tmp_path / "my_photos"
    write_files(root, *PLACES)
    write_album_title(root / "2019/May", "Spring in <b>Paris</b>")
    async with Sandbox(version=version) as box:
        await run(box, root, tree=True, unwrap=unwrap, spaces=spaces, titles=takeout_album)
        before, requests = snapshot(box), len(box.requests)
        outcome = await check(
            box, root, tree=True, unwrap=unwrap, spaces=spaces, titles=takeout_album
        )
        assert snapshot(box) == before
        methods = calls(box, since=requests)
    assert verdicts(outcome) == {Verdict.PRESENT: 5}
    assert methods.keys() <= HARMLESS | {ALBUMS}
    assert (methods[ALBUMS], methods[LIST]) == (1, 4)  # a look at each album
    assert not outcome.of(events.AlbumMade)


async def test_each_photo_has_to_be_in_the_album_of_its_own_folder(tmp_path: Path) -> None:
    made = write_files(tmp_path, "a/x.jpg", "b/y.jpg", "c/z.jpg")
    (tmp_path / "b/twin.jpg").write_bytes(made["a/x.jpg"])
    async with Sandbox() as box:
        await run(box, tmp_path, tree=True, unwrap=True)
        number = {album.name: album.id for album in box.gallery.albums.values()}
        photo = {photo.file: photo.id for photo in box.gallery.photos.values()}
        twin = photo.get("x.jpg") or photo["twin.jpg"]
        box.gallery.unlink(twin, number["a"])
        box.gallery.link(photo["y.jpg"], number["c"])
        box.gallery.unlink(photo["y.jpg"], number["b"])
        before = len(box.requests)
        outcome = await check(box, tmp_path, tree=True, unwrap=True)
        reads = calls(box, since=before)["pwg.images.checkFiles"]
    checked = by_name(outcome)
    assert {name: event.verdict for name, event in checked.items()} == {
        "x.jpg": Verdict.NOT_IN_ALBUM,
        "twin.jpg": Verdict.PRESENT,
        "y.jpg": Verdict.NOT_IN_ALBUM,
        "z.jpg": Verdict.PRESENT,
    }
    assert f"not in album {number['b']}" in checked["y.jpg"].reason
    assert reads == 3  # twins are read once


async def test_an_album_that_is_missing_is_reported_and_not_made(folder: Path) -> None:
    write_files(folder, "2019/May/a.jpg", "2019/b.jpg", "top.jpg", "2020/new.jpg")
    async with Sandbox() as box:
        await run(box, folder)  # all into one
        await box.gallery.delete(
            next(photo.id for photo in box.gallery.photos.values() if photo.file == "new.jpg")
        )
        box.gallery.make_album("photos", 1)
        before = snapshot(box)
        outcome = await check(box, folder, tree=True)
        assert snapshot(box) == before
    checked = by_name(outcome)
    assert verdicts(outcome) == {Verdict.NOT_IN_ALBUM: 3, Verdict.MISSING: 1}
    assert checked["new.jpg"].verdict is Verdict.MISSING
    assert "there is no album “photos / 2019”" in checked["a.jpg"].reason
    assert "there is no album “photos / 2019”" in checked["b.jpg"].reason
    assert "not in album 2" in checked["top.jpg"].reason
    assert "Upload again" in checked["a.jpg"].hint


async def test_what_lies_in_no_album_fails_and_is_reported(tmp_path: Path) -> None:
    write_files(tmp_path, "loose.jpg", "2019/a.jpg")
    reason = "not in a folder that could become an album"
    async with Sandbox() as box:
        sent = await run(box, tmp_path, album=ROOT, tree=True, unwrap=True)
        assert albums_of(box) == {"Sandbox": [], "2019": ["a.jpg"]}
        await run(box, tmp_path / "loose.jpg")
        outcome = await check(box, tmp_path, album=ROOT, tree=True, unwrap=True)
    checked = by_name(outcome)
    assert reason in sent.of(events.PhotoFailed)[0].reason
    assert sent.balances()
    assert checked["a.jpg"].verdict is Verdict.PRESENT
    assert checked["loose.jpg"].verdict is Verdict.NOT_IN_ALBUM
    assert reason in checked["loose.jpg"].reason
    assert "--album" in checked["loose.jpg"].hint


async def test_an_album_that_cannot_be_listed_costs_its_own_photos_a_verdict_only(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, "a/x.jpg", "b/y.jpg", "b/z.jpg")
    async with Sandbox(faults=Faults()) as box:
        await run(box, tmp_path, tree=True, unwrap=True)
        for number in range(1, 4):  # the second album, each time
            box.faults.add(Fault("html", LIST, number))
        outcome = await check(box, tmp_path, tree=True, unwrap=True, retries=2)
    assert Counter(event.verdict for event in outcome.of(events.PhotoChecked)) in (
        {Verdict.PRESENT: 1, Verdict.FAILED: 2},
        {Verdict.PRESENT: 2, Verdict.FAILED: 1},
    )


# what the ledger keeps


async def test_after_a_check_the_next_upload_repairs_what_is_wrong(folder: Path) -> None:
    archive = make_archive(folder, count=6, names=6)
    paths = sorted(archive)
    async with Sandbox() as box, ledger_of(box, folder) as ledger:
        await run(box, folder, memory=ledger)
        missing, unlinked, spoiled = (photo_of(box, archive[path]) for path in paths[:3])
        await box.gallery.delete(missing)
        box.gallery.unlink(unlinked, 1)
        await spoil(box, spoiled)
        await check(box, folder, memory=ledger)
        entries = await ledger.look_up(paths)
        amiss = [path for path in paths if entries[path].state is not State.DONE]
        assert amiss == paths[:3]
        assert not any(entries[path].albums for path in amiss)
        await box.gallery.delete(spoiled)  # as the hint says
        mended = await run(box, folder, memory=ledger)
        assert {event.path for event in mended.of(events.PhotoUploaded)} == {paths[0], paths[2]}
        assert [event.path for event in mended.of(events.PhotoPresent) if event.linked] == [
            paths[1]
        ]
        assert verdicts(await check(box, folder, memory=ledger)) == {Verdict.PRESENT: 6}
        assert stored_sums(box) == Counter(archive.values())


async def test_known_files_are_not_read_again(folder: Path) -> None:
    known, changed = archive = make_archive(folder, count=2, names=2)
    async with Sandbox() as box, ledger_of(box, folder) as ledger:
        await run(box, folder, memory=ledger)
        ruin(known)
        write_photo(changed, 7)
        checked = by_name(await check(box, folder, memory=ledger))
        entry = (await ledger.look_up([changed]))[changed]
    assert checked[known.name].verdict is Verdict.PRESENT  # size and time are those of the ledger
    assert checked[changed.name].verdict is Verdict.MISSING
    assert entry.md5 == archive[changed]  # an upload has to know which photo the file was


# trouble on the way


@pytest.mark.parametrize("method", LOOKS)
async def test_a_question_that_fails_is_asked_again_and_reported_if_it_always_fails(
    box: Sandbox, folder: Path, method: str
) -> None:
    kinds: list[Kind] = ["answer-lost", "html", "empty-500-before", "503"]
    for nth, kind in enumerate(kinds):
        box.faults.add(Fault(kind, method, nth))
    assert verdicts(await check(box, folder)) == {Verdict.PRESENT: 4}
    box.faults.add(Fault("html", method))
    outcome = await check(box, folder, retries=2)
    assert verdicts(outcome) == {Verdict.FAILED: 4}
    assert "it could not be checked" in outcome.of(events.PhotoChecked)[0].reason


async def test_a_refused_log_in_in_the_middle_ends_the_run(
    box: Sandbox, folder: Path, faults: HookedFaults
) -> None:
    faults.act = partial(lock_out, box)
    outcome = Outcome()
    with pytest.raises(RunError):
        await check(box, folder, outcome=outcome)
    assert outcome.balances()
    assert outcome.of(events.PhotoUnfinished)


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Make seven photos and a twin of one of them."""
    folder = tmp_path_factory.mktemp("verified")
    sums = make_archive(folder, count=7, names=7, size=(300, 900))
    original = next(iter(sums))
    twin = folder / "twin.jpg"
    twin.write_bytes(original.read_bytes())
    return sums | {twin: sums[original]}


@settings(max_examples=25, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    plan=st.lists(
        st.builds(
            Fault,
            st.sampled_from(FAULTS),
            method=st.sampled_from([*LOOKS, None]),
            nth=st.one_of(st.none(), st.integers(0, 12)),
        ),
        max_size=6,
    ),
    version=st.sampled_from(RELEASES),
    harm=st.lists(st.sampled_from(["delete", "unlink", "spoil", ""]), min_size=7, max_size=7),
    quick=st.booleans(),
)
def test_whatever_fails_each_photo_gets_one_true_verdict(
    verified: dict[Path, str], plan: list[Fault], version: str, harm: list[str], quick: bool
) -> None:
    async def holds() -> None:
        async with Sandbox(version=version, faults=Faults()) as box:
            root = next(iter(verified)).parents[1]
            await run(box, root)
            amiss: dict[str, Verdict] = {}
            for md5, what in zip(dict.fromkeys(verified.values()), harm, strict=True):
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
                await check(box, root, quick=quick, retries=2, outcome=outcome, timeouts=PATIENT)
            except RunError as error:
                note(error.message)
            note("\n".join(map(str, outcome.events)))
            assert outcome.balances()
            assert snapshot(box) == before
            for event in outcome.of(events.PhotoChecked):
                true = amiss.get(verified[event.path], Verdict.PRESENT)
                assert event.verdict in {true, Verdict.FAILED, Verdict.UNKNOWN}

    anyio.run(holds)
