"""Rules of the gallery that the recorded exchanges do not reach: races and time."""

import asyncio
import hashlib
import json
from functools import partial

import pytest

from bulkup.sandbox import Sandbox
from tests.support.gallery_client import JPEG, GalleryClient, Reply, async_chunk, gallery
from tests.support.runs import Clock


async def test_equal_contents_stored_at_once_become_two_photos() -> None:
    async def finish() -> None:
        pass

    async with Sandbox() as box:
        contents = [await box.gallery.buffer_folder.open(name) for name in ("a", "b")]
        for content in contents:
            await content.append(JPEG)
        stored = await asyncio.gather(
            *(
                box.gallery.store(c, "a.jpg", albums=[1], level=0, user_id=1, finish=finish)
                for c in contents
            )
        )
    assert [photo.id for photo, _ in stored] == [1, 2]


async def test_equal_contents_of_one_second_share_a_file_on_old_versions() -> None:
    async with Sandbox(version="14.5.0", detect_duplicates=False) as box:
        async with GalleryClient(box.url) as client:
            await asyncio.gather(*(client.upload(JPEG, name=name) for name in ("a.jpg", "b.jpg")))
        paths = {photo.path for photo in box.gallery.photos.values()}
        seconds = {photo.date_available for photo in box.gallery.photos.values()}
    assert len(paths) == len(seconds)


async def test_two_last_chunks_at_once_make_one_photo() -> None:
    async with gallery() as (box, client):

        async def send(chunk: int, part: bytes) -> Reply:
            fields = async_chunk(JPEG, chunk=chunk, size=600)
            return await client.call("pwg.images.uploadAsync", part, **fields)

        answers = await asyncio.gather(send(0, JPEG[:600]), send(1, JPEG[600:]))
        assert len(box.gallery.photos) == 1
    assert sum("id" in answer.result for answer in answers) == 1


async def test_a_photo_that_comes_while_the_lounge_empties_stays_in_it() -> None:
    async with gallery(lounge_s=0.3) as (box, client):
        emptying = asyncio.create_task(box.gallery.empty_lounge())
        await client.upload(JPEG, name="a.jpg")
        await emptying
        assert box.gallery.lounge == [(1, 1)]


async def test_an_older_photo_that_comes_while_the_lounge_empties_is_forgotten() -> None:
    async with Sandbox(lounge_s=0.3, albums=("A", "B")) as box:
        async with GalleryClient(box.url) as client:
            await client.upload(JPEG, name="a.jpg")
            await client.upload(JPEG + b"2", name="b.jpg")
            emptying = asyncio.create_task(box.gallery.empty_lounge())
            await client.upload(JPEG, name="again.jpg", category=2)
            await emptying
        assert (box.gallery.lounge, box.gallery.photos[1].albums) == ([], {1})


async def test_the_lounge_is_emptied_by_one_request_at_a_time() -> None:
    async with gallery(lounge_s=0.3) as (_, client):
        first, second = await asyncio.gather(
            *(client.call("pwg.images.emptyLounge") for _ in range(2))
        )
    assert {str(first.result["rows"]), str(second.result["rows"])} == {"[]", "None"}


async def test_the_marker_of_an_interrupted_emptying_blocks_for_a_minute() -> None:
    clock = Clock()
    async with gallery(clock=clock) as (box, client):
        box.gallery.lounge_emptied_since = clock()
        clock.now += 59
        assert (await client.call("pwg.images.emptyLounge")).result == {"rows": None}
        clock.now += 2
        assert (await client.call("pwg.images.emptyLounge")).result == {"rows": []}


async def test_a_photo_deleted_in_the_lounge_leaves_a_ghost_and_an_idle_session_ends() -> None:
    clock = Clock()
    async with gallery(clock=clock, session_length_s=100) as (_, client):
        await client.upload(JPEG, name="a.jpg")
        await client.call("pwg.images.delete", image_id=1, pwg_token=client.token)
        await client.call("pwg.images.emptyLounge")
        clock.now += 99
        listed = await client.call("pwg.categories.getAdminList")
        assert listed.result["categories"][0]["nb_images"] == "1"
        assert (await client.call("pwg.session.getStatus")).result["status"] == "webmaster"
        clock.now += 101
        assert (await client.call("pwg.session.getStatus")).result["status"] == "guest"


async def test_with_an_api_key_the_parameters_of_a_get_are_not_seen() -> None:
    async with gallery(logged_in=False) as (box, client):
        client.use_key(*box.make_api_key())
        page = await client.page("ws.php?format=json&method=pwg.images.exist&md5sum_list=a")
    assert page.result == []


@pytest.mark.parametrize(
    ("version", "size", "sums", "answer"),
    [
        # with no photo to compute, the list in the query is empty (seen on 15.3 and 16.4)
        ("16.4.0", 0, [None] * 3, "sql"),
        ("15.7.0", 2, [0, 1, None], {"nb_added": 2, "nb_no_md5sum": 1}),
        ("16.4.0", 50, [0, 1, None], {"nb_added": 3, "nb_no_md5sum": 1}),  # the last has no file
        ("16.4.0", -1, [None] * 3, "block_size must be an positive integer"),
        # the paths come in the order of the ids, whichever the photos come in
        ("14.5.0", 2, [1, 0, None], {"nb_added": 2, "nb_no_md5sum": 1}),
    ],
)
async def test_missing_md5s_are_computed_as_by_each_version(
    version: str, size: int, sums: list[int | None], answer: dict[str, int] | str
) -> None:
    async with gallery(version=version, show_errors=True) as (box, client):
        contents = [JPEG + bytes([n]) for n in range(3)]
        photos = [await box.gallery.synchronise(f"{n}.jpg", c, 1) for n, c in enumerate(contents)]
        del box.gallery.contents[photos[2].path]
        if version == "14.5.0":
            box.gallery.photos = {photo.id: photo for photo in (photos[1], photos[0], photos[2])}
        fill = partial(client.call, "pwg.images.setMd5sum", pwg_token=client.token)
        reply = await fill(block_size=size)
        assert str(answer).replace("'", '"').replace(" ", "") in reply.text.replace(" ", "")
        assert [photo.md5 for photo in photos] == [
            None if n is None else hashlib.md5(contents[n]).hexdigest() for n in sums
        ]
        if version == "16.4.0" and size == 50:
            assert "<b>Warning</b>:  md5_file(" in reply.text
            for n in range(9):  # a larger block stores an empty MD5
                await box.gallery.synchronise(f"more {n}.jpg", JPEG + b"more", 1)
            reply = await fill(block_size=size)
            assert reply.text.endswith('{"nb_added":10,"nb_no_md5sum":0}}')
            assert photos[2].md5 == ""
        listed = await client.call("pwg.images.getInfo", image_id=1)
        assert json.loads(listed.text[listed.text.rfind('{"stat"') :])["result"]["md5sum"] == (
            photos[0].md5
        )
