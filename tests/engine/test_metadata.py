"""Titles, tags and dates reach the gallery with their photos, and survive what can fail."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from bulkup.engine.context import Stop
from bulkup.events import PhotoFailed, PhotoPresent, PhotoUploaded
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.metadata import Labels
from tests.support.embedded import iptc, write_jpeg
from tests.support.faults import HookedFaults
from tests.support.galleries import calls, only_photo, tags_of
from tests.support.ledgers import run_with_ledger
from tests.support.photos import write_photo, write_takeout, write_xmp
from tests.support.runs import FOUR_METHODS, run

SET, LOOK = "pwg.images.setInfo", "pwg.images.getInfo"
ADD_TAG, LIST_TAGS = "pwg.tags.add", "pwg.tags.getAdminList"
upload = partial(run, labels=Labels())
TAKEN = "2019:07:01 14:03:22"

each_method = pytest.mark.parametrize("method", ["async", "upload", "legacy"])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Write the one photo of an archive."""
    path = tmp_path / "photos/a.jpg"
    write_photo(path, 1, size=5000)
    return path


# what arrives


@pytest.mark.parametrize("method", ["async", "legacy"])
async def test_a_photo_that_is_replaced_keeps_the_date_of_its_sidecar(
    box: Sandbox, tmp_path: Path, method: str
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_xmp(folder / "a.jpg", date="1950-06-07T08:09:10", title="Wedding")
    write_takeout(folder / "b.jpg", stamp=-615000000)
    for exif in ("2019:01:01 00:00:00", "2022:02:02 02:02:02"):
        for name in "abc":
            write_photo(folder / f"{name}.jpg", f"{name} {exif}", exif=exif)
        await run_with_ledger(box, folder, method=method, labels=Labels(), update=True)
    dates = {photo.file: photo.date_creation for photo in box.gallery.photos.values()}
    assert dates["a.jpg"] == "1950-06-07 08:09:10"
    assert str(dates["b.jpg"]).startswith("1950-07-")
    assert dates["c.jpg"] == "2022-02-02 02:02:02"
    assert {photo.name for photo in box.gallery.photos.values()} == {"Wedding", "b", "c"}


@each_method
async def test_without_sidecars_nothing_is_asked_and_nothing_set(
    box: Sandbox, photo: Path, method: str
) -> None:
    await upload(box, photo.parent, method=method)
    assert (only_photo(box).name, only_photo(box).comment) == ("a", None)
    assert LIST_TAGS not in calls(box)
    assert calls(box)[SET] == (method != "async")


# what the gallery read out of the file itself


@each_method
@pytest.mark.parametrize(
    ("exif", "exact", "date"),
    [  # where the camera has none, or another year's, it is in the zone of this machine
        (TAKEN, "", "2019-07-01 14:03:22"),
        ("", "", "2019-07-0"),
        ("2024:01:01 00:00:00", "", "2019-07-0"),
        (TAKEN, "2019-07-01T15:03:22", "2019-07-01 15:03:22"),
    ],
)
async def test_a_date_of_takeout_gives_way_to_that_of_the_camera_and_both_to_an_exact_one(
    box: Sandbox, photo: Path, method: str, *, exif: str, exact: str, date: str
) -> None:
    write_photo(photo, 1, exif=exif)
    write_takeout(photo, stamp=1561982602, description="D")  # 2019-07-01 12:03:22 UTC
    if exact:
        write_xmp(photo, date=exact)
    await upload(box, photo.parent, method=method)
    assert only_photo(box).comment == "D"
    assert str(only_photo(box).date_creation).startswith(date)
    if TAKEN in (exif, exact):  # that of the camera is in the file
        assert (calls(box)[SET], calls(box)[LOOK]) == (method != "async", 0)
    elif not exact:
        assert (calls(box)[SET], calls(box)[LOOK]) == (1, method != "async")


@each_method
async def test_a_date_from_the_name_gives_way_to_any_other(tmp_path: Path, method: str) -> None:
    names = {kind: f"IMG-20200102-WA000{kind}.jpg" for kind in range(5)}
    exif = {1: TAKEN, 3: "0000:00:00 00:00:00"}
    for kind, name in names.items():
        write_photo(tmp_path / name, kind, exif=exif.get(kind, ""))
    write_xmp(tmp_path / names[2], date="2018")
    (tmp_path / names[4]).rename(tmp_path / "DSC_20201.jpg")
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, labels=Labels(date_from_name=True))
        dates = {
            photo.file: str(photo.date_creation)[:10] for photo in box.gallery.photos.values()
        }
        expected = ["2020-01-02", "2019-07-01", "2018-01-01", "2020-01-02"]
        assert [dates[names[kind]] for kind in range(4)] == expected
        assert dates["DSC_20201.jpg"] == "None"
        if method == "async":  # only the bare year depends on what the gallery read
            assert (calls(box)[LOOK], calls(box)[SET]) == (0, 1)


async def test_a_replaced_photo_keeps_its_date_rather_than_get_that_of_its_name(
    box: Sandbox, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    for number in (1, 2):
        write_photo(folder / "IMG-20200102-WA0001.jpg", number)
        await run_with_ledger(box, folder, labels=Labels(date_from_name=True), update=True)
        only_photo(box).date_creation = "1999-09-09 00:00:00"
    assert str(only_photo(box).date_creation).startswith("1999")


async def test_keywords_that_a_photo_brings_itself_are_not_replaced(
    box: Sandbox, photo: Path
) -> None:
    write_jpeg(photo, iptc("", "own"))
    write_xmp(photo, "sea", title="T")
    box.gallery.use_iptc = True
    await upload(box, photo.parent, method="async", labels=Labels(embedded=False))
    assert calls(box)[SET] == 1
    assert tags_of(box, only_photo(box)) == {"own", "sea"}
    assert (only_photo(box).name, only_photo(box).file) == ("T", "a.jpg")


# what the gallery has already


@each_method
@pytest.mark.parametrize("unique", ["md5sum", "filename"])
async def test_a_new_photo_gets_its_texts_and_one_that_is_there_keeps_them(
    photo: Path, method: str, unique: str
) -> None:
    """By file name no photo can be asked for."""
    write_xmp(photo, "sea", title="T", author="A", date="2021-08-14T18:03")
    async with Sandbox(uniqueness_mode=unique) as box:
        await upload(box, photo.parent, method=method)
        asked = [calls(box)[name] for name in (SET, LOOK, LIST_TAGS, ADD_TAG)]
        if unique == "md5sum":  # async carries everything, the others set all in one request
            assert asked == [method != "async", 0, 1, 1]
        write_xmp(photo, "sun", title="Another")
        outcome = await upload(box, photo.parent, method=method)
        assert (only_photo(box).name, only_photo(box).file) == ("T", "a.jpg")
        assert tags_of(box, only_photo(box)) == {"sea"}
    assert len(outcome.of(PhotoPresent)) == (unique == "md5sum")


# what can fail


KINDS: tuple[Kind, ...] = ("answer-lost", "request-lost", "502", "empty-500-after")
LOST = Fault("answer-lost", "pwg.images.uploadAsync", 0)


@pytest.mark.parametrize(
    ("version", "method", "faults", "asked"),
    [
        *(
            ("16.4.0", method, [Fault(kind, SET, 0)], {SET: 2})
            for method in ("upload", "legacy")
            for kind in KINDS
        ),
        *((version, "async", [LOST], {LOOK: 1}) for version in VERSIONS),
        ("16.4.0", "async", [LOST, Fault("502", LOOK, 0)], {LOOK: 2}),
    ],
)
async def test_what_is_lost_is_asked_again_and_async_looks_what_there_is(
    photo: Path, version: str, method: str, faults: list[Fault], asked: dict[str, int]
) -> None:
    write_xmp(photo, "sea", title="T")
    async with Sandbox(version=version, faults=Faults(faults)) as box:
        await upload(box, photo.parent, method=method)
        assert (only_photo(box).name, only_photo(box).file) == ("T", "a.jpg")
        assert tags_of(box, only_photo(box)) == {"sea"}
        assert {name: calls(box)[name] for name in (SET, LOOK) if calls(box)[name]} == asked


async def test_what_the_server_died_before_is_set_afterwards(photo: Path) -> None:
    """PHP may die between storing a photo and setting what came with it."""
    write_xmp(photo, "sea", title="T")

    def forget() -> None:  # before the question is answered, as if nothing had come
        for there in box.gallery.photos.values():
            there.name, there.tags = "a", set()

    async with Sandbox(faults=HookedFaults(LOST, act=forget, method=LOOK)) as box:
        await upload(box, photo.parent, method="async")
        assert only_photo(box).name == "T"
        assert tags_of(box, only_photo(box)) == {"sea"}


@each_method
async def test_the_next_run_sets_what_an_interrupted_one_could_not(
    photo: Path, method: str
) -> None:
    # a bare year is set after the finish
    write_xmp(photo, "sea", title="T", author="A", date="2021")
    faults = HookedFaults(Fault("403-html", SET))
    async with Sandbox(faults=faults) as box:
        outcome = await upload(box, photo.parent, method=method, retries=1)
        assert len(outcome.of(PhotoFailed)) == 1
        assert only_photo(box).file.startswith("bulkup-")
        faults.on = False
        outcome = await upload(box, photo.parent, method=method)
        there = only_photo(box)
        assert (there.file, there.name, there.author) == ("a.jpg", "T", "A")
        assert there.date_creation == "2021-01-01 00:00:00"
        assert tags_of(box, there) == {"sea"}
    assert len(outcome.of(PhotoPresent)) == 1


@pytest.mark.parametrize("failing", [False, True])
async def test_tags_are_made_once_for_many_photos_at_once_whatever_fails(
    box: Sandbox, tmp_path: Path, failing: bool
) -> None:
    kinds: tuple[Kind, ...] = ("answer-lost", "expired-session", "403-html")
    adding = [Fault(kind, ADD_TAG, nth) for nth, kind in enumerate(kinds)]
    for fault in [Fault("502", LIST_TAGS, 0), Fault("502", LIST_TAGS, 2), *adding]:
        if failing:
            box.faults.add(fault)
    for number in range(12):
        write_photo(path := tmp_path / f"{number}.jpg", number)
        write_xmp(path, "sea", f"only {number}", "Sun")
    box.gallery.add_tag("sun", url_name="sun")
    outcome = await upload(box, tmp_path, method="async")
    names = Counter(tag.name for tag in box.gallery.tags.values())
    assert names == Counter(["sun", "sea", *(f"only {number}" for number in range(12))])
    assert failing or calls(box)[LIST_TAGS] == 1
    assert all(len(there.tags) == 3 for there in box.gallery.photos.values())
    assert [event.attempts for event in outcome.of(PhotoUploaded)] == [1] * 12


@pytest.mark.parametrize(
    ("method", "more", "kept"),
    [
        ("upload", set(), ("a", None)),
        ("async", {"pwg.images.uploadAsync", "reflection.getMethodList"}, ("T", "A")),
    ],
)
async def test_a_server_that_sets_nothing_gets_the_photo_with_what_async_carries(
    photo: Path, method: str, more: set[str], kept: tuple[str, str | None]
) -> None:
    write_xmp(photo, title="T", author="A", date="2021")
    async with Sandbox(only=FOUR_METHODS | more) as box:
        outcome = await upload(box, photo.parent, method=method)
        assert (only_photo(box).name, only_photo(box).author) == kept
    assert len(outcome.of(PhotoUploaded)) == 1


async def test_a_run_that_is_stopped_leaves_nothing_half_described(tmp_path: Path) -> None:
    for number in range(10):
        write_photo(path := tmp_path / f"{number}.jpg", number)
        write_xmp(path, "sea", title="T", date="2021")
    stop = Stop()
    async with Sandbox(faults=HookedFaults(act=stop.set, method=SET)) as box:
        await upload(box, tmp_path, method="async", stop=stop, concurrency=2)
        assert box.gallery.photos
        assert {there.name for there in box.gallery.photos.values()} == {"T"}
