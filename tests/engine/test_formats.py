"""RAW and similar files beside photos: attached as formats once, or failed with a reason."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from bulkup import events
from bulkup.engine.context import Stop
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.filters import EVERYTHING, Filters, Patterns, read_flag
from tests.support.events import acting_on
from tests.support.faults import HookedFaults
from tests.support.galleries import attached, content_of, photo_files, uploads
from tests.support.ledgers import ledger_of, run_with_ledger
from tests.support.photos import write_files
from tests.support.runs import Outcome, check, failures, picture, run

RAW = ["cr2", "nef", "tif", "mov"]
NEF = Random("a.nef").randbytes(9000)
PAIR = {"a.jpg": [("nef", NEF)]}
"""What a gallery has of a.jpg and a.nef."""
OTHER = b"another one"
NEW = picture(Random(5), size=800)
NO_NEF = Filters(patterns=Patterns((read_flag("*.nef", take=False, flag="--exclude"),)))
upload = partial(run_with_ledger, formats=True)
TAKEN = "another file is already the .nef of a.jpg"


@pytest.fixture
def pair(folder: Path) -> Path:
    """Write a photo and what belongs to it."""
    write_files(folder, "a.jpg", "a.nef")
    return folder


@pytest.fixture
async def box(pair: Path) -> AsyncIterator[Sandbox]:
    """Run a sandbox that has both."""
    async with Sandbox(formats=RAW) as running:
        await upload(running, pair)
        yield running


@pytest.mark.parametrize("version", VERSIONS)
async def test_files_beside_a_photo_become_its_formats_once(folder: Path, version: str) -> None:
    was = write_files(folder, "a.jpg", "a.NEF", "a.mov", "b.JPEG", "b.tif", "c.nef", "d.jpg")
    async with Sandbox(version=version, formats=RAW) as box:
        outcome = await upload(box, folder, chunk_size=4096)
        assert attached(box) == {
            "a.jpg": [("mov", was["a.mov"]), ("nef", was["a.NEF"])],
            "b.JPEG": [("tif", was["b.tif"])],
            "d.jpg": [],
        }
        assert len(outcome.of(events.PhotoUploaded)) == 6
        assert [event.path.name for event in outcome.of(events.FileSkipped)] == ["c.nef"]
        assert not box.gallery.buffers
        before = uploads(box)
        assert len((await upload(box, folder)).of(events.PhotoPresent)) == 6
        if version >= "16":  # the server can be asked
            assert len((await run(box, folder, formats=True)).of(events.PhotoPresent)) == 6
        assert uploads(box) == before


async def test_without_the_flag_they_are_photos_of_their_own_or_left_out(pair: Path) -> None:
    (pair / "a.tif").write_bytes(b"II*\x00" + Random(3).randbytes(400))
    async with Sandbox(formats=RAW, file_types=("jpg", "tif")) as box:
        outcome = await upload(box, pair, formats=False)
        assert attached(box) == {"a.jpg": [], "a.tif": []}
    assert [event.path.name for event in outcome.of(events.FileSkipped)] == ["a.nef"]


async def test_formats_not_taken_or_without_a_photo_fail_for_one_reason_and_others_arrive(
    pair: Path,
) -> None:
    write_files(pair, "a.orf", "b.jpg", "b.orf", "c.nef")
    (pair / "c.jpg").write_bytes(b"no picture")
    async with Sandbox(formats=RAW) as box:
        outcome = await upload(box, pair)
        assert attached(box) == PAIR | {"b.jpg": []}
        assert not box.gallery.buffers
    (noticed,) = outcome.of(events.Noticed)
    reasons = failures(outcome)
    assert reasons.pop("c.nef") == "its photo c.jpg is not in the gallery"
    assert reasons.pop("c.jpg")
    assert reasons == dict.fromkeys(("a.orf", "b.orf"), noticed.message)
    assert "authorized extensions: cr2, nef, tif, mov" in noticed.message
    assert "format_ext" in noticed.hint
    async with Sandbox() as box:  # it takes none
        outcome = await upload(box, pair)
        assert photo_files(box) == {"a.jpg", "b.jpg"}
        assert not box.gallery.buffers
    (noticed,) = outcome.of(events.Noticed)
    assert "enable_formats" in noticed.hint
    refused = [name for name, reason in failures(outcome).items() if reason == noticed.message]
    assert sorted(refused) == ["a.nef", "a.orf", "b.orf"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.nef", "it has changed since it was attached to photo 1"),
        ("a.NEF", "another file was attached to photo 1 as its .nef"),
    ],
)
async def test_another_content_of_a_format_is_reported_and_sent_when_asked_to(
    box: Sandbox, pair: Path, name: str, reason: str
) -> None:
    (pair / "a.nef").unlink()
    (pair / name).write_bytes(OTHER)
    assert failures(await upload(box, pair)) == {name: reason}
    assert attached(box) == PAIR
    assert failures(await upload(box, pair, update=True)) == {}
    assert attached(box) == {"a.jpg": [("nef", OTHER)]}


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
@pytest.mark.parametrize("update", [False, True])
async def test_a_format_is_not_called_missing_nor_becomes_a_photo_of_its_own_and_stays_known(
    pair: Path, version: str, *, update: bool
) -> None:
    was = write_files(pair, "b.jpg", "b.nef")
    as_it_was = PAIR | {"b.jpg": [("nef", was["b.nef"])]}
    async with Sandbox(version=version, formats=RAW, file_types=("jpg", "nef")) as box:
        await upload(box, pair)
        (pair / "b.nef").write_bytes(OTHER)
        async with ledger_of(box, pair) as ledger:
            outcome = await check(box, pair, memory=ledger)
        checked = {event.path.name: event for event in outcome.of(events.PhotoChecked)}
        assert checked["a.jpg"].verdict is events.Verdict.PRESENT
        assert checked["a.nef"].verdict is checked["b.nef"].verdict is events.Verdict.UNKNOWN
        assert "it is a format of photo" in checked["a.nef"].reason
        assert "it has changed since it was attached" in checked["b.nef"].reason
        before = uploads(box)
        assert failures(await upload(box, pair)).keys() == {"b.nef"}
        assert uploads(box) == before
        reasons = failures(await upload(box, pair, formats=False, update=update))
        assert reasons.keys() == {"a.nef", "b.nef"}
        assert "it is already attached to photo" in reasons["a.nef"]
        (pair / "a.jpg").write_bytes(NEW)
        outcome = await upload(box, pair, formats=False, update=True)
        assert "would lose its other formats, such as a.nef" in failures(outcome)["a.jpg"]
        assert all(event.hint for event in outcome.of(events.PhotoFailed))
        assert attached(box) == as_it_was
        assert failures(await upload(box, pair, update=True)) == {}
        assert {name: {data for _, data in rows} for name, rows in attached(box).items()} == {
            "a.jpg": {NEF},
            "b.jpg": {OTHER},
        }


async def test_files_are_counted_once_where_no_md5_can_be_looked_up(pair: Path) -> None:
    write_files(pair, "b.jpg")
    faults = HookedFaults(Fault("html", "pwg.images.exist"), on=False)
    async with Sandbox(formats=RAW, file_types=("jpg", "nef"), faults=faults) as box:
        await upload(box, pair)
        (pair / "b.jpg").write_bytes(NEW)
        faults.on = True
        reasons = failures(await upload(box, pair, formats=False))
    assert reasons.keys() == {"a.nef", "b.jpg"}


async def test_what_was_a_format_of_a_photo_that_is_gone_becomes_a_photo(pair: Path) -> None:
    async with Sandbox(formats=RAW, file_types=("jpg", "nef")) as box:
        await upload(box, pair)
        (pair / "a.jpg").unlink()
        assert failures(await upload(box, pair)).keys() == {"a.nef"}
        await box.gallery.delete(1)
        assert failures(await upload(box, pair)) == {}
        assert attached(box) == {"a.nef": []}


@pytest.mark.parametrize(
    ("version", "ending"),
    [*((version, "Odd") for version in VERSIONS), ("16.4.0", "psd")],
)
async def test_what_another_client_has_attached_is_not_lost_where_the_server_can_tell(
    pair: Path, version: str, ending: str
) -> None:
    """Where formats are off, those that there are count as well."""
    on = ending == "Odd"
    async with Sandbox(version=version, formats=[*RAW, "Odd"] if on else None) as box:
        await upload(box, pair)
        old = box.gallery.content(1)
        box.gallery.formats.add(1, ending, await content_of(b"somebody's"))
        (pair / "a.jpg").write_bytes(NEW)
        outcome = await upload(box, pair, formats=on, update=True)
        if version < "16":
            assert box.gallery.content(1) == NEW
            return
        reason = failures(outcome)["a.jpg"]
        assert f"replacing photo 1 would lose its other formats ({ending})" in reason
        assert "which bulkup did not attach" in reason
        assert box.gallery.content(1) == old
        assert attached(box)["a.jpg"] == [(ending, b"somebody's"), *(PAIR["a.jpg"] if on else [])]


async def test_of_two_photos_of_one_name_the_server_can_not_tell(folder: Path) -> None:
    write_files(folder, "a.jpg", "x/a.png")
    async with Sandbox(formats=RAW) as box:
        await upload(box, folder)
        (number,) = (p.id for p in box.gallery.photos.values() if p.file == "a.jpg")
        (folder / "a.jpg").write_bytes(NEW)
        assert failures(await upload(box, folder, update=True)) == {}
        assert box.gallery.content(number) == NEW


@pytest.mark.parametrize(
    ("where", "filters"),
    [
        ("a.nef", EVERYTHING),
        ("photos/b.nef", EVERYTHING),
        ("photos/x/a.nef", EVERYTHING),
        ("photos/a.nef", NO_NEF),
    ],
)
async def test_a_photo_whose_format_is_not_found_beside_it_any_more_is_not_replaced(
    box: Sandbox, pair: Path, where: str, filters: Filters
) -> None:
    (pair / "x").mkdir()
    (pair / "a.nef").rename(pair.parent / where)
    (pair / "a.jpg").write_bytes(NEW)
    reason = failures(await upload(box, pair, update=True, filters=filters))["a.jpg"]
    assert f"would lose its other format {pair / 'a.nef'}" in reason
    assert "which this run does not find beside it" in reason
    assert attached(box) == PAIR
    (pair / "a.nef").write_bytes(NEF)
    await upload(box, pair, update=True)
    assert attached(box) == PAIR
    assert box.gallery.content(1) == NEW


async def test_a_photo_whose_formats_the_gallery_no_longer_takes_is_not_replaced(
    box: Sandbox, pair: Path
) -> None:
    (pair / "a.jpg").write_bytes(NEW)
    for allowed, words in ((None, "does not accept other formats"), (["cr2"], "extensions: cr2)")):
        box.gallery.formats.allowed = allowed
        assert words in failures(await upload(box, pair, update=True))["a.jpg"]
        assert attached(box) == PAIR


async def test_a_replacement_that_fails_leaves_its_formats_known(pair: Path) -> None:
    faults = HookedFaults(Fault("empty-500-before", "pwg.images.uploadAsync"), on=False)
    async with Sandbox(formats=RAW, faults=faults) as box:
        await upload(box, pair)
        old = (pair / "a.jpg").read_bytes()
        (pair / "a.jpg").write_bytes(NEW)
        faults.on = True
        assert "a.jpg" in failures(await upload(box, pair, update=True))
        assert box.gallery.content(1) == old
        assert attached(box) == PAIR
        outcome = await upload(box, pair, formats=False, update=True)
        assert "would lose its other formats, such as a.nef" in failures(outcome)["a.jpg"]
        faults.on = False
        assert failures(await upload(box, pair, update=True)) == {}
        assert box.gallery.content(1) == NEW
        assert attached(box) == PAIR


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_pair_that_was_renamed_or_moved_is_not_sent_again_and_can_be_replaced(
    pair: Path, version: str
) -> None:
    write_files(pair, "b.jpg", "b.nef")
    (pair / "x").mkdir()
    async with Sandbox(version=version, formats=RAW) as box:
        await upload(box, pair)
        before = uploads(box)
        for ending in ("jpg", "nef"):
            (pair / f"a.{ending}").rename(pair / f"dawn.{ending}")
            (pair / f"b.{ending}").rename(pair / f"x/b.{ending}")
        assert len((await upload(box, pair)).of(events.PhotoPresent)) == 4
        assert uploads(box) == before
        (pair / "dawn.nef").write_bytes(OTHER)
        await upload(box, pair, update=True)
        (pair / "dawn.jpg").rename(pair / "dusk.jpg")
        (pair / "dawn.nef").unlink()
        (pair / "dusk.nef").write_bytes(NEF)
        await upload(box, pair, update=True)
        assert {data for _, data in attached(box)["a.jpg"]} == {NEF}
        (pair / "dusk.jpg").write_bytes(NEW)
        assert failures(await upload(box, pair, update=True)) == {}
        assert {data for _, data in attached(box)["dusk.jpg"]} == {NEF}
        assert NEW in map(box.gallery.content, box.gallery.photos)
        assert len(box.gallery.photos) == 2


async def test_two_formats_of_one_ending_can_not_both_be(pair: Path) -> None:
    (pair / "a.NEF").write_bytes(OTHER)
    async with Sandbox(formats=RAW) as box:
        outcome = await upload(box, pair)
        assert list(failures(outcome).values()) == [TAKEN]
        first = attached(box)
        assert len(first["a.jpg"]) == 1
        for update in (False, True):
            assert failures(await upload(box, pair, update=update)) == failures(outcome)
        assert attached(box) == first


async def test_a_changed_format_does_not_take_the_place_of_an_equal_one_that_stays(
    box: Sandbox, pair: Path
) -> None:
    write_files(pair / "x", "a.jpg", "a.nef")
    await upload(box, pair)
    assert attached(box) == PAIR
    (pair / "x/a.nef").write_bytes(OTHER)
    assert failures(await upload(box, pair, update=True)) == {"a.nef": TAKEN}
    assert attached(box) == PAIR


@pytest.mark.parametrize("update", [False, True])
async def test_of_equal_photos_with_two_formats_the_first_one_stays(
    folder: Path, *, update: bool
) -> None:
    was = write_files(folder, "b.jpg", "b.nef")
    async with Sandbox(formats=RAW) as box:
        await upload(box, folder)
        (folder / "a.jpg").write_bytes(was["b.jpg"])
        (folder / "a.nef").write_bytes(OTHER)
        assert failures(await upload(box, folder, update=update)) == {"a.nef": TAKEN}
        (folder / "b.jpg").write_bytes(NEW)
        assert "a.nef" in failures(await upload(box, folder))
        assert attached(box) == {"b.jpg": [("nef", was["b.nef"])]}


@pytest.fixture
def namesake(pair: Path, tmp_path: Path) -> Path:
    """Write the photo of the pair under another name, and another format beside it."""
    write_files(tmp_path / "y", "b.nef")
    (tmp_path / "y/b.jpg").write_bytes((pair / "a.jpg").read_bytes())
    return tmp_path / "y"


@pytest.mark.parametrize("version", ["15.7.0", "16.4.0"])
@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("upload_again", [run, run_with_ledger])
async def test_no_foreign_format_is_replaced_where_no_ledger_shows_it(
    pair: Path,
    namesake: Path,
    version: str,
    upload_again: Callable[..., Awaitable[Outcome]],
    *,
    update: bool,
) -> None:
    async with Sandbox(version=version, formats=RAW) as box:
        await run(box, pair, formats=True)
        outcome = await upload_again(box, namesake, formats=True, update=update)
        assert attached(box) == PAIR
    assert "another file is, or may be, the .nef of photo 1" in failures(outcome)["b.nef"]


async def test_what_was_a_photo_of_its_own_does_not_replace_a_format(
    pair: Path, namesake: Path
) -> None:
    content = (namesake / "b.jpg").read_bytes()
    (namesake / "b.jpg").unlink()
    async with Sandbox(formats=RAW, file_types=("jpg", "nef")) as box:
        await run(box, pair, formats=True)
        await upload(box, namesake)
        (namesake / "b.jpg").write_bytes(content)
        assert failures(await upload(box, namesake)).keys() == {"b.nef"}
        assert attached(box)["a.jpg"] == PAIR["a.jpg"]


@pytest.mark.parametrize("version", ["15.7.0", "16.4.0"])
async def test_a_photo_that_is_called_otherwise_gets_a_format_if_it_surely_has_none(
    pair: Path, namesake: Path, version: str
) -> None:
    async with Sandbox(version=version, formats=RAW) as box:
        await run(box, pair)
        outcome = await run(box, namesake, formats=True)
        reported = version >= "16"
        raw = (namesake / "b.nef").read_bytes()
        assert attached(box) == {"a.jpg": [("nef", raw)] if reported else []}
    assert failures(outcome).keys() == (set() if reported else {"b.nef"})


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_photo_of_an_earlier_run_gets_its_format(folder: Path, version: str) -> None:
    raw = write_files(folder, "a.jpg", "a.NEF", "x/a.jpg")["a.NEF"]
    async with Sandbox(version=version, formats=RAW) as box:
        await upload(box, folder, formats=False)
        assert failures(await upload(box, folder)) == {}
        formats = [box.gallery.formats.of(number) for number in box.gallery.photos]
        assert [row.content.read() for rows in formats for row in rows if row.content] == [raw]


@pytest.mark.parametrize(
    "kind",
    ["answer-lost", "request-lost", "504-after", "502", "503", "truncated", "expired-session"],
)
@pytest.mark.parametrize("nth", [0, 1, 3])
async def test_a_format_arrives_once_whatever_becomes_of_a_request(
    pair: Path, kind: Kind, nth: int
) -> None:
    faults = Faults([Fault(kind, "pwg.images.upload", nth)])
    async with Sandbox(formats=RAW, faults=faults) as box:
        await upload(box, pair, chunk_size=4096)
        assert attached(box) == PAIR
        assert not box.gallery.buffers


async def test_before_16_a_lost_answer_is_reported_and_nothing_is_sent_twice(pair: Path) -> None:
    faults = Faults([Fault("answer-lost", "pwg.images.upload", 1)])
    async with Sandbox(version="15.7.0", formats=RAW, faults=faults) as box:
        outcome = await upload(box, pair)
        assert attached(box) == PAIR
    assert "may or may not have arrived" in failures(outcome)["a.nef"]


async def test_formats_of_a_stopped_run_are_unfinished_and_come_with_the_next(pair: Path) -> None:
    stop = Stop()
    async with Sandbox(formats=RAW) as box:
        outcome = acting_on(events.PhotoUploaded, stop.set)
        await upload(box, pair, stop=stop, outcome=outcome)
        assert [event.path.name for event in outcome.of(events.PhotoUnfinished)] == ["a.nef"]
        await upload(box, pair)
        assert attached(box) == PAIR
