"""Rules of the gallery that the recorded exchanges do not reach: races, time, configuration."""

import asyncio
import hashlib

from bulkup.sandbox import Sandbox
from tests.support.gallery_client import JPEG, Clock, GalleryClient, async_chunk


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
    async with Sandbox() as box, GalleryClient(box.url) as client:
        answers = await asyncio.gather(
            *(
                client.call(
                    "pwg.images.uploadAsync",
                    JPEG[at : at + 600],
                    **async_chunk(JPEG, chunk=at // 600, size=600),
                )
                for at in (0, 600)
            )
        )
        assert len(box.gallery.photos) == 1
    assert sum("id" in answer.result for answer in answers) == 1


async def test_a_photo_that_comes_while_the_lounge_empties_stays_in_it() -> None:
    async with Sandbox(lounge_s=0.3) as box, GalleryClient(box.url) as client:
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


async def test_one_emptying_at_a_time() -> None:
    async with Sandbox(lounge_s=0.3) as box, GalleryClient(box.url) as client:
        first, second = await asyncio.gather(
            *(client.call("pwg.images.emptyLounge") for _ in range(2))
        )
    assert {str(first.result["rows"]), str(second.result["rows"])} == {"[]", "None"}


async def test_the_marker_of_a_dead_emptying_blocks_for_a_minute() -> None:
    clock = Clock()
    async with Sandbox(clock=clock) as box, GalleryClient(box.url) as client:
        box.gallery.lounge_emptied_since = clock()
        clock.now_s += 59
        assert (await client.call("pwg.images.emptyLounge")).result == {"rows": None}
        clock.now_s += 2
        assert (await client.call("pwg.images.emptyLounge")).result == {"rows": []}


async def test_a_photo_deleted_in_the_lounge_leaves_a_ghost() -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        await client.call("pwg.images.delete", image_id=1, pwg_token=client.token)
        await client.call("pwg.images.emptyLounge")
        listed = await client.call("pwg.categories.getAdminList")
    assert listed.result["categories"][0]["nb_images"] == "1"


async def test_an_idle_session_ends() -> None:
    clock = Clock()
    async with (
        Sandbox(clock=clock, session_length_s=100) as box,
        GalleryClient(box.url) as client,
    ):
        clock.now_s += 99
        assert (await client.call("pwg.session.getStatus")).result["status"] == "webmaster"
        clock.now_s += 101
        assert (await client.call("pwg.session.getStatus")).result["status"] == "guest"


async def test_an_api_key_needs_neither_login_nor_token() -> None:
    async with Sandbox() as box, GalleryClient(box.url, logged_in=False) as client:
        client.use_key(*box.gallery.make_api_key())
        assert (await client.upload(JPEG, name="a.jpg")).status == 200


async def test_with_an_api_key_the_parameters_of_a_get_are_not_seen() -> None:
    async with Sandbox() as box, GalleryClient(box.url, logged_in=False) as client:
        client.use_key(*box.gallery.make_api_key())
        page = await client.page("ws.php?format=json&method=pwg.images.exist&md5sum_list=a")
    assert page.result == []


async def test_asking_by_sum_says_nothing_where_names_are_unique() -> None:
    async with Sandbox(uniqueness_mode="filename") as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        md5 = hashlib.md5(JPEG).hexdigest()
        assert (await client.call("pwg.images.exist", md5sum_list=md5)).result == []
        by_name = await client.call("pwg.images.exist", filename_list="a.jpg")
    assert by_name.result == {"a.jpg": "1"}


async def test_fatal_errors_can_be_shown() -> None:
    async with Sandbox(show_errors=True) as box, GalleryClient(box.url) as client:
        answer = await client.upload(JPEG, name="\N{GRINNING FACE}.jpg")
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "<b>Fatal error</b>" in answer.text


async def test_every_answer_can_carry_noise() -> None:
    async with (
        Sandbox(php_noise=True, version="13.8.0") as box,
        GalleryClient(box.url, logged_in=False) as client,
    ):
        text = (await client.call("pwg.getVersion")).text
    assert text.count("<b>Deprecated</b>") == 4
    assert text.endswith('{"stat":"ok","result":"13.8.0"}')


async def test_file_types_are_the_owners_choice() -> None:
    async with Sandbox(file_types=("jpg", "mp4")) as box, GalleryClient(box.url) as client:
        status = await client.call("pwg.session.getStatus")
        sent = await client.upload(bytes(9), name="v.mp4")
    assert (status.result["upload_file_types"], sent.status) == ("jpg,mp4", 200)


async def test_a_photo_that_was_replaced_has_other_bytes_and_its_name() -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        fields = async_chunk(JPEG + b"2") | {"image_id": 1, "filename": "b.jpg"}
        await client.call("pwg.images.uploadAsync", JPEG + b"2", **fields)
        photo = box.gallery.photos[1]
        assert (photo.file, photo.name) == ("b.jpg", "a")
        assert box.gallery.content(1) == JPEG + b"2"


async def test_album_lists_nest_on_request() -> None:
    async with Sandbox(albums=("Trips",)) as box, GalleryClient(box.url) as client:
        box.gallery.make_album("Day 1", 1)
        tree = await client.call("pwg.categories.getList", recursive="1", tree_output="1")
    assert [row["name"] for row in tree.result[0]["sub_categories"]] == ["Day 1"]
