"""Rules of the gallery that the recorded exchanges do not reach: races and time."""

import asyncio

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
