"""Each upload method on each version of Piwigo: the whole way of a photo, and of a changed one.

Other tests run on one version, or on those that the program treats differently.
"""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from bulkup.events import PhotoPlanned, PhotoPresent, PhotoUploaded
from bulkup.sandbox import Sandbox
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.metadata import Labels
from tests.support.events import acting_on
from tests.support.galleries import LISTING, calls, photo_files, photo_of, tags_of, uploads
from tests.support.ledgers import ruin, run_with_ledger
from tests.support.photos import write_photo, write_xmp
from tests.support.runs import failures, make_archive, run, stored_sums

pytestmark = [
    pytest.mark.parametrize("version", VERSIONS),
    pytest.mark.parametrize("method", ["async", "upload", "legacy"]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "photos"


async def test_photos_arrive_whole_though_sessions_end_and_a_file_is_no_picture(
    folder: Path, version: str, method: str
) -> None:
    archive = make_archive(folder, count=6, names=2, size=(10_000, 30_000))
    (folder / "text.jpg").write_text("This is no picture.\n" * 10)
    async with Sandbox(version=version) as box:
        outcome = acting_on(PhotoUploaded, box.expire_sessions, at=(0, 3))
        await run(box, folder, method=method, chunk_size=8192, outcome=outcome)
        assert stored_sums(box) == Counter(archive.values())
        assert not box.gallery.buffers
    assert list(failures(outcome)) == ["text.jpg"]
    words = "MIME type" if version.startswith("17") else "forbidden file type"
    assert words in failures(outcome)["text.jpg"]
    assert {event.attempts for event in outcome.of(PhotoUploaded)} == {1}
    assert outcome.balances()


async def test_names_titles_texts_date_and_tags_arrive_as_they_are_written(
    folder: Path, version: str, method: str
) -> None:
    names = ['O\'Neil "x".jpg', "a & b <c>.jpg", "Été_é.jpg", "東京.jpg", "x\\y.jpg", "a\nb.jpg"]
    for name in names:
        write_photo(folder / name, name)
    renamed = folder / ("O'Neil & co_1.jpg" if method == "async" else "a_b.jpg")
    title = 'O\'Neil & "friends" \\ <3 é'
    texts = {"title": title, "description": "two\nlines & 'quoted'", "author": "Zoë"}
    async with Sandbox(version=version) as box:
        outcome = await run(box, folder, method=method)
        assert len(outcome.of(PhotoUploaded)) == len(names)
        titles = {photo.name for photo in box.gallery.photos.values()}
        # file names, and with 13 titles as well, lose HTML: a blank keeps < from looking like it
        assert photo_files(box) == {*names[:1], *names[2:5], "a b.jpg", "a & b < c>.jpg"}
        html = "a & b < c>" if version == "13.8.0" else "a & b <c>"
        assert titles == {'O\'Neil "x"', "Été é", "東京", "x\\y", "a b", html}

        md5 = write_photo(renamed, 1)
        write_xmp(renamed, "sea", "a, b", date="2021-08-14T18:03:27+02:00", **texts)
        outcome = await run(box, folder, method=method, labels=Labels())
        there = box.gallery.photos[photo_of(box, md5)]
        assert there.name == (title.replace("<", "< ") if version == "13.8.0" else title)
        assert (there.comment, there.author) == (texts["description"], "Zoë")
        assert there.date_creation == "2021-08-14 18:03:27"
        assert there.file == renamed.name
        assert tags_of(box, there) == {"sea", "a, b"}
    assert len(outcome.of(PhotoUploaded)) == 1


async def test_later_runs_send_nothing_and_a_ledger_saves_reading_and_asking(
    folder: Path, version: str, method: str
) -> None:
    archive = make_archive(folder, count=4, names=2)
    async with Sandbox(version=version) as box:
        await run_with_ledger(box, folder, method=method)
        files = {number: photo.file for number, photo in box.gallery.photos.items()}
        contents = {path: ruin(path) for path in archive}
        before = len(box.requests)
        outcome = await run_with_ledger(box, folder, method=method)
        assert calls(box, since=before).keys() <= LISTING
        assert [event.linked for event in outcome.of(PhotoPresent)] == [False] * 4
        for path, content in contents.items():
            path.write_bytes(content)
        folder.with_name("ledger.sqlite").unlink()
        outcome = await run_with_ledger(box, folder, method=method)
        assert [event.linked for event in outcome.of(PhotoPresent)] == [False] * 4
        assert stored_sums(box) == Counter(archive.values())
        assert {number: photo.file for number, photo in box.gallery.photos.items()} == files


async def test_a_changed_file_replaces_the_same_photo(
    folder: Path, version: str, method: str
) -> None:
    path = folder / "O'Neil & co.jpg"
    write_photo(path, 1)
    write_photo(folder / "b.jpg", 2)
    async with Sandbox(version=version) as box:
        first = await run_with_ledger(box, folder, method=method)
        (number,) = (e.image_id for e in first.of(PhotoUploaded) if e.path == path)
        photo = box.gallery.photos[number]
        tag = box.gallery.add_tag("sea", url_name="sea").id
        other = box.gallery.make_album("Other")
        box.gallery.link(number, other)
        photo.name, photo.comment, photo.level, photo.tags = "The sea", "calm", 8, {tag}
        md5 = write_photo(path, 3)
        outcome = await run_with_ledger(box, folder, method=method, update=True)
        photo = box.gallery.photos[number]
        assert len(box.gallery.photos) == 2
        assert (photo.name, photo.comment, photo.level) == ("The sea", "calm", 8)
        assert (photo.tags, photo.albums, photo.file) == ({tag}, {1, other}, path.name)
        assert photo.md5 == md5 == hashlib.md5(box.gallery.content(number)).hexdigest()
        (event,) = outcome.of(PhotoUploaded)
        assert (event.replaced, event.image_id) == (True, number)
        assert [plan.replaces for plan in outcome.of(PhotoPlanned)] == [number]
        before = uploads(box)
        third = await run_with_ledger(box, folder, method=method)
        assert uploads(box) == before
    assert len(third.of(PhotoPresent)) == 2
