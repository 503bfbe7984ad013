"""Titles, tags and dates reach the gallery with their photos, and survive what can fail."""

import json
import struct
from collections import Counter
from pathlib import Path
from random import Random

import anyio
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bulkup.errors import RunError
from bulkup.events import Noticed, PhotoFailed, PhotoPresent, PhotoUploaded
from bulkup.labels import Labels, Template
from bulkup.ledger import Ledger
from bulkup.piwigo.http import Timeouts
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.records import StoredPhoto
from bulkup.stages import Stop
from tests.engine.runs import FOUR_METHODS, Outcome, picture, run

METHODS = ["async", "upload", "legacy"]
VERSIONS = ["13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1"]
SET, LOOK = "pwg.images.setInfo", "pwg.images.getInfo"
BESIDE = Labels()
TITLE = 'O\'Neil & "friends" \\ <3 é'
COMMENT = "two\nlines, <b>bold</b> & 'quoted'"
XMP = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/">
<dc:title>{title}</dc:title><dc:description>{description}</dc:description>
<dc:creator>{author}</dc:creator><exif:DateTimeOriginal>{date}</exif:DateTimeOriginal>
<dc:subject><rdf:Bag>{tags}</rdf:Bag></dc:subject></rdf:Description></rdf:RDF>"""


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def xmp(
    photo: Path,
    *tags: str,
    title: str = "",
    description: str = "",
    author: str = "",
    date: str = "",
) -> None:
    values = {"title": title, "description": description, "author": author, "date": date}
    filled = XMP.format(
        tags="".join(f"<rdf:li>{escaped(tag)}</rdf:li>" for tag in tags),
        **{name: escaped(value) for name, value in values.items()},
    )
    photo.with_name(f"{photo.name}.xmp").write_text(filled, encoding="utf-8")


def takeout(photo: Path, *, stamp: int, description: str = "") -> None:
    document = {
        "title": photo.name,
        "description": description,
        "photoTakenTime": {"timestamp": str(stamp)},
    }
    photo.with_name(f"{photo.name}.json").write_text(json.dumps(document), encoding="utf-8")


def one(folder: Path, name: str = "a.jpg", *, size: int = 5000, exif: str = "") -> Path:
    """Write a photo of its own content, with an EXIF date if one is given."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = picture(Random(name), size=size)
    if exif:
        tiff = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
        tiff += struct.pack(">HHHIII", 1, 0x9003, 2, 20, 44, 0) + exif.encode() + b"\0"
        block = b"Exif\0\0" + tiff
        content = (
            content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:]
        )
    path.write_bytes(content)
    return path


def stored(box: Sandbox) -> StoredPhoto:
    (photo,) = box.gallery.photos.values()
    return photo


def tags_of(box: Sandbox, photo: StoredPhoto) -> set[str]:
    return {box.gallery.tags[number].name for number in photo.tags}


def asked(box: Sandbox) -> Counter[str]:
    return Counter(seen.method for seen in box.requests)


# what arrives


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["async", "legacy"])
async def test_a_photo_that_is_replaced_keeps_the_date_of_its_sidecar(
    tmp_path: Path, method: str, version: str
) -> None:
    folder = tmp_path / "photos"
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        one(folder, name, exif="2019:01:01 00:00:00")
    xmp(folder / "a.jpg", date="1950-06-07T08:09:10", title="Wedding")
    takeout(folder / "b.jpg", stamp=-615000000)
    async with Sandbox(version=version) as box:
        for exif in ("2019:01:01 00:00:00", "2022:02:02 02:02:02"):
            for name in ("a.jpg", "b.jpg", "c.jpg"):
                one(folder, name, exif=exif, size=5000 + len(box.gallery.photos))
            async with Ledger(tmp_path / "ledger", server=box.url) as ledger:
                await run(box, folder, method=method, labels=BESIDE, memory=ledger, update=True)
        dates = {photo.file: photo.date_creation for photo in box.gallery.photos.values()}
        assert dates["a.jpg"] == "1950-06-07 08:09:10"
        assert str(dates["b.jpg"]).startswith("1950-07-")
        assert dates["c.jpg"] == "2022-02-02 02:02:02"
        assert {photo.name for photo in box.gallery.photos.values()} == {"Wedding", "b", "c"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", METHODS)
async def test_texts_date_and_tags_arrive_as_they_are_written(
    tmp_path: Path, method: str, version: str
) -> None:
    photo = one(tmp_path, "O'Neil & co_1.jpg" if method == "async" else "a_b.jpg")
    title = TITLE if int(version[:2]) > 13 else 'O\'Neil & "friends" \\ < 3 é'
    xmp(
        photo,
        "sea",
        "a, b",
        title=TITLE,
        description="two\nlines & 'quoted'",
        author="Zoë",
        date="2021-08-14T18:03:27+02:00",
    )
    async with Sandbox(version=version) as box:
        outcome = await run(box, tmp_path, method=method, labels=BESIDE)
        there = stored(box)
        assert there.name == title
        assert there.comment == "two\nlines & 'quoted'"
        assert there.author == "Zoë"
        assert there.date_creation == "2021-08-14 18:03:27"
        assert there.file == photo.name
        assert tags_of(box, there) == {"sea", "a, b"}
    assert len(outcome.of(PhotoUploaded)) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_async_carries_everything_as_it_is_and_asks_for_nothing_more(
    tmp_path: Path, version: str
) -> None:
    for number in range(5):
        photo = one(tmp_path, f"{number}.jpg", size=9000)
        xmp(photo, "sea", title=TITLE, description=COMMENT, author="Zoë", date="2021-08-14T18:03")
    async with Sandbox(version=version) as box:
        await run(box, tmp_path, method="async", labels=BESIDE, chunk_size=4096)
        assert not {SET, LOOK} & asked(box).keys()
        assert (asked(box)["pwg.tags.getAdminList"], asked(box)["pwg.tags.add"]) == (1, 1)
        for there in box.gallery.photos.values():
            assert (there.name, there.comment, there.author) == (TITLE, COMMENT, "Zoë")
            assert there.date_creation == "2021-08-14 18:03:00"
            assert tags_of(box, there) == {"sea"}


@pytest.mark.parametrize("method", ["upload", "legacy"])
async def test_the_older_ways_set_all_in_one_request(tmp_path: Path, method: str) -> None:
    for number in range(5):
        xmp(one(tmp_path, f"{number}.jpg"), "sea", title="T", author="A", date="2021-08-14T18:03")
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, labels=BESIDE)
        assert asked(box)[SET] == 5
        assert not asked(box)[LOOK]
        assert {p.file for p in box.gallery.photos.values()} == {f"{n}.jpg" for n in range(5)}
        assert {p.name for p in box.gallery.photos.values()} == {"T"}


@pytest.mark.parametrize("method", METHODS)
async def test_flags_win_over_sidecars(tmp_path: Path, method: str) -> None:
    photo = one(tmp_path / "2019 Sea", "IMG_1.jpg")
    xmp(photo, "sea", title="T", description="D", author="A")
    labels = Labels(
        title=Template("{folder}: {stem}", flag="--title"), tags=("mine", "SEA"), author="Me"
    )
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, labels=labels)
        there = stored(box)
        assert (there.name, there.comment, there.author) == ("2019 Sea: IMG_1", "D", "Me")
        assert tags_of(box, there) == {"mine", "SEA"}


@pytest.mark.parametrize("method", METHODS)
async def test_without_sidecars_nothing_is_asked_and_nothing_set(
    tmp_path: Path, method: str
) -> None:
    one(tmp_path)
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, labels=BESIDE)
        assert (stored(box).name, stored(box).comment) == ("a", None)
        assert "pwg.tags.getAdminList" not in asked(box)
        assert asked(box)[SET] == (method != "async")


@pytest.mark.parametrize("method", METHODS)
async def test_a_broken_sidecar_fails_no_photo(tmp_path: Path, method: str) -> None:
    photo = one(tmp_path)
    photo.with_name("a.jpg.xmp").write_text("<broken")
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, method=method, labels=BESIDE)
        assert stored(box).name == "a"
    assert len(outcome.of(PhotoUploaded)) == 1
    (noticed,) = outcome.of(Noticed)
    assert "a.jpg.xmp" in noticed.message


@pytest.mark.parametrize("method", METHODS)
async def test_emoji_and_long_texts_are_what_the_gallery_can_hold(
    tmp_path: Path, method: str
) -> None:
    xmp(one(tmp_path), "🗼" * 200, "x" * 300, title="🗼 Tower", description="é" * 70_000)
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, method=method, labels=BESIDE)
        there = stored(box)
        assert there.name == "� Tower"
        assert len((there.comment or "").encode()) <= 65_535
        assert tags_of(box, there) == {"�" * 200, "x" * 254 + "…"}
    assert len(outcome.of(PhotoUploaded)) == 1


# what the gallery read out of the file itself


TAKEN = "2019:07:01 14:03:22"
NOON = 1561982602  # 2019-07-01 12:03:22 UTC


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("exif", "stamp", "date"),
    [
        (TAKEN, NOON, "2019-07-01 14:03:22"),
        ("", NOON, None),
        ("2024:01:01 00:00:00", NOON, None),
    ],
)
async def test_a_date_of_takeout_gives_way_to_that_of_the_camera(
    tmp_path: Path, method: str, exif: str, stamp: int, date: str | None
) -> None:
    takeout(one(tmp_path, exif=exif), stamp=stamp, description="D")
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, labels=BESIDE)
        there = stored(box)
        assert there.comment == "D"
        if date is None:  # in the zone of this machine
            assert (there.date_creation or "").startswith("2019-07-0")
        else:
            assert there.date_creation == date
        assert asked(box)[SET] == 1
        assert asked(box)[LOOK] == (method != "async")


@pytest.mark.parametrize("method", METHODS)
async def test_an_exact_date_of_a_sidecar_replaces_that_of_the_camera(
    tmp_path: Path, method: str
) -> None:
    xmp(one(tmp_path, exif=TAKEN), date="2019-07-01T15:03:22")
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, labels=BESIDE)
        assert stored(box).date_creation == "2019-07-01 15:03:22"


async def test_keywords_that_a_photo_brings_itself_are_not_replaced(tmp_path: Path) -> None:
    photo = one(tmp_path)
    photo.write_bytes(photo.read_bytes() + b"Photoshop 3.0\0")
    xmp(photo, "sea", title="T")
    async with Sandbox() as box:
        await run(box, tmp_path, method="async", labels=BESIDE)
        sent = [fields for fields in box.requests if fields.method == SET]
        assert len(sent) == 1
        assert tags_of(box, stored(box)) == {"sea"}
        assert (stored(box).name, stored(box).file) == ("T", "a.jpg")


# what the gallery has already


@pytest.mark.parametrize("method", METHODS)
async def test_a_photo_that_is_there_keeps_its_texts(tmp_path: Path, method: str) -> None:
    photo = one(tmp_path)
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, labels=BESIDE)
        xmp(photo, "sea", title="T")
        outcome = await run(box, tmp_path, method=method, labels=BESIDE)
        assert (stored(box).name, stored(box).tags) == ("a", set())
    assert len(outcome.of(PhotoPresent)) == 1


@pytest.mark.parametrize("method", METHODS)
async def test_also_where_the_server_can_not_be_asked_for_it(tmp_path: Path, method: str) -> None:
    photo = one(tmp_path)
    async with Sandbox(uniqueness_mode="filename") as box:
        await run(box, tmp_path, method=method, labels=BESIDE)
        xmp(photo, "sea", title="T")
        await run(box, tmp_path, method=method, labels=BESIDE)
        assert (stored(box).name, stored(box).tags) == ("a", set())
        assert stored(box).file == "a.jpg"


@pytest.mark.parametrize("method", METHODS)
async def test_a_new_photo_gets_its_texts_also_there(tmp_path: Path, method: str) -> None:
    xmp(one(tmp_path), "sea", title="T")
    async with Sandbox(uniqueness_mode="filename") as box:
        await run(box, tmp_path, method=method, labels=BESIDE)
        assert (stored(box).name, stored(box).file) == ("T", "a.jpg")
        assert tags_of(box, stored(box)) == {"sea"}


# what can fail


@pytest.mark.parametrize("method", ["upload", "legacy"])
@pytest.mark.parametrize("kind", ["answer-lost", "request-lost", "502", "empty-500-after"])
async def test_setting_is_repeated(tmp_path: Path, method: str, kind: Kind) -> None:
    xmp(one(tmp_path), "sea", title="T")
    async with Sandbox(faults=Faults([Fault(kind, SET, nth=0)])) as box:
        outcome = await run(box, tmp_path, method=method, labels=BESIDE)
        assert (stored(box).name, stored(box).file) == ("T", "a.jpg")
        assert tags_of(box, stored(box)) == {"sea"}
        assert asked(box)[SET] == 2
    assert len(outcome.of(PhotoUploaded)) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_lost_answer_to_the_finish_costs_async_a_look(
    tmp_path: Path, version: str
) -> None:
    xmp(one(tmp_path), "sea", title="T")
    faults = Faults([Fault("answer-lost", "pwg.images.uploadAsync", nth=0)])
    async with Sandbox(version=version, faults=faults) as box:
        await run(box, tmp_path, method="async", labels=BESIDE)
        assert stored(box).name == "T"
        assert (asked(box)[LOOK], asked(box)[SET]) == (1, 0)


async def test_what_the_server_died_before_is_set_afterwards(tmp_path: Path) -> None:
    """PHP may die between storing a photo and setting what came with it."""
    xmp(one(tmp_path), "sea", title="T")

    class Dying(Faults):
        def strike(self, method: str) -> Fault | None:
            if method == LOOK:  # before it is answered, the photo is as if nothing had come
                for photo in box.gallery.photos.values():
                    photo.name, photo.tags = "a", set()
            return super().strike(method)

    faults = Dying([Fault("answer-lost", "pwg.images.uploadAsync", nth=0)])
    async with Sandbox(faults=faults) as box:
        await run(box, tmp_path, method="async", labels=BESIDE)
        assert stored(box).name == "T"
        assert tags_of(box, stored(box)) == {"sea"}


class StopsAt(Faults):
    """Faults that end a run for good once a method is called."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method
        self.on = True

    def strike(self, method: str) -> Fault | None:
        return Fault("403-html") if self.on and method == self.method else None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", METHODS)
async def test_the_next_run_sets_what_an_interrupted_one_could_not(
    tmp_path: Path, method: str, version: str
) -> None:
    photo = one(tmp_path)
    xmp(photo, "sea", title="T", author="A", date="2021")  # a bare year: set after the finish
    faults = StopsAt(SET)
    async with Sandbox(version=version, faults=faults) as box:
        outcome = await run(box, tmp_path, method=method, labels=BESIDE, retries=1)
        assert len(outcome.of(PhotoFailed)) == 1
        assert stored(box).file.startswith("bulkup-")
        faults.on = False
        outcome = await run(box, tmp_path, method=method, labels=BESIDE)
        there = stored(box)
        assert (there.file, there.name, there.author) == ("a.jpg", "T", "A")
        assert there.date_creation == "2021-01-01 00:00:00"
        assert tags_of(box, there) == {"sea"}
    assert len(outcome.of(PhotoPresent)) == 1


async def test_tags_that_can_not_be_looked_up_are_tried_again(tmp_path: Path) -> None:
    xmp(one(tmp_path), "sea", title="T")
    faults = Faults(
        [
            Fault("502", "pwg.tags.getAdminList", nth=0),
            Fault("answer-lost", "pwg.tags.add", nth=0),
            Fault("expired-session", "pwg.tags.add", nth=1),
        ]
    )
    async with Sandbox(faults=faults) as box:
        outcome = await run(box, tmp_path, method="async", labels=BESIDE)
        assert tags_of(box, stored(box)) == {"sea"}
        assert len(box.gallery.tags) == 1
    assert len(outcome.of(PhotoUploaded)) == 1
    assert outcome.of(PhotoUploaded)[0].attempts == 1


async def test_tags_are_made_once_for_many_photos_at_once(tmp_path: Path) -> None:
    for number in range(20):
        xmp(one(tmp_path, f"{number}.jpg"), "sea", f"only {number}", "Sun")
    async with Sandbox() as box:
        box.gallery.add_tag("sun", url_name="sun")
        await run(box, tmp_path, method="async", labels=BESIDE)
        names = Counter(tag.name for tag in box.gallery.tags.values())
        assert names == Counter(["sun", "sea", *(f"only {number}" for number in range(20))])
        assert asked(box)["pwg.tags.getAdminList"] == 1
        assert all(len(photo.tags) == 3 for photo in box.gallery.photos.values())


async def test_a_server_that_sets_nothing_gets_the_photos_all_the_same(tmp_path: Path) -> None:
    xmp(one(tmp_path), "sea", title="T")
    async with Sandbox(only=FOUR_METHODS) as box:
        outcome = await run(box, tmp_path, method="upload", labels=BESIDE)
        assert stored(box).name == "a"
    assert len(outcome.of(PhotoUploaded)) == 1


async def test_a_server_that_sets_nothing_still_takes_what_async_carries(tmp_path: Path) -> None:
    xmp(one(tmp_path), title="T", author="A", date="2021")
    async with Sandbox(only=FOUR_METHODS | {"pwg.images.uploadAsync"} | LISTED) as box:
        await run(box, tmp_path, method="async", labels=BESIDE)
        assert (stored(box).name, stored(box).author) == ("T", "A")


LISTED = {"reflection.getMethodList"}


KINDS: tuple[Kind, ...] = (
    *("request-lost", "cut", "answer-lost", "truncated", "502", "503", "504", "429", "html"),
    *("504-after", "empty-500-before", "empty-500-after", "php-noise", "expired-session"),
)
NAMED = (
    *("pwg.images.uploadAsync", "pwg.images.upload", "pwg.images.add", SET, SET, LOOK),
    *("pwg.tags.add", "pwg.tags.getAdminList", "pwg.images.exist"),
)
QUICK = Timeouts(connect_s=5, idle_s=5, finish_s=5)


@pytest.mark.parametrize("method", METHODS)
def test_whatever_fails_no_photo_arrives_without_its_texts(
    tmp_path_factory: pytest.TempPathFactory, method: str
) -> None:
    folder = tmp_path_factory.mktemp("described")
    for number in range(4):
        photo = one(folder, f"{number} & co.jpg" if number == 3 else f"{number}.jpg")
        date = "2021-08-14T18:03:27" if number % 2 else "2021"
        xmp(photo, "sea", f"only {number}", title=f"Title {number}", author="A", date=date)

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(
        plan=st.lists(
            st.builds(
                Fault, st.sampled_from(KINDS), method=st.sampled_from(NAMED), nth=st.integers(0, 6)
            ),
            max_size=6,
        ),
        version=st.sampled_from(VERSIONS),
    )
    def holds(plan: list[Fault], version: str) -> None:
        anyio.run(check, Sandbox(version=version, faults=Faults(plan)), folder, method)

    holds()


async def check(box: Sandbox, folder: Path, method: str) -> None:
    outcome = Outcome()
    async with box:
        try:
            await run(
                box,
                folder,
                method=method,
                concurrency=2,
                outcome=outcome,
                timeouts=QUICK,
                labels=BESIDE,
            )
        except RunError:
            return
        note("\n".join(map(str, outcome.events)))
        note("\n".join(map(str, box.requests)))
        made = {tag.name for tag in box.gallery.tags.values()}
        cursed = {"sea", *(f"only {number}" for number in range(4))} - made
        arrived = {event.path.name: event.image_id for event in outcome.of(PhotoUploaded)}
        assert len(arrived) + len(outcome.of(PhotoFailed)) == 4
        for name, number in arrived.items():
            there = box.gallery.photos[number]
            assert there.file == name
            assert there.name == f"Title {name[0]}"
            assert there.author == "A"
            assert (there.date_creation or "").startswith("2021-")
            assert tags_of(box, there) | cursed == {"sea", f"only {name[0]}"} | cursed


async def test_a_run_that_is_stopped_leaves_nothing_half_described(tmp_path: Path) -> None:
    for number in range(10):
        xmp(one(tmp_path, f"{number}.jpg"), "sea", title="T", date="2021")
    stop = Stop()

    class Stopping(Faults):
        def strike(self, method: str) -> Fault | None:
            if method == SET:
                stop.set()
            return super().strike(method)

    async with Sandbox(faults=Stopping()) as box:
        await run(box, tmp_path, method="async", labels=BESIDE, stop=stop, concurrency=2)
        assert box.gallery.photos
        assert {photo.name for photo in box.gallery.photos.values()} == {"T"}
