"""What the options of a sandbox change, and what it shows besides the web API."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bulkup.sandbox import Sandbox
from tests.support.embedded import dataset, iptc, jpeg_with_iptc
from tests.support.galleries import tags_of
from tests.support.gallery_client import JPEG, GalleryClient, async_chunk, gallery

MD5 = hashlib.md5(JPEG).hexdigest()


async def test_a_photo_is_stored_byte_for_byte_and_its_path_serves_it_and_nothing_outside() -> (
    None
):
    async with gallery(path="/photos/") as (box, client):
        sent = await client.upload(JPEG, name="a.jpg")
        assert box.gallery.content(sent.result["image_id"]) == JPEG
        shown = await client.page(box.gallery.photos[1].path)
        assert (await client.page("upload/nothing.jpg")).status == 404
        async with GalleryClient(box.url.removesuffix("photos/"), logged_in=False) as outside:
            assert (await outside.call("pwg.getVersion")).status == 404
    assert (shown.content_type, shown.text.encode("latin-1")) == ("image/jpeg", JPEG)


async def test_discarded_photos_keep_their_sums_and_chunks_come_in_any_order() -> None:
    async with gallery(discard=True) as (box, client):
        await client.upload(JPEG[:500], name="a.jpg", chunk=0, chunks=2)
        await client.upload(JPEG[500:], name="a.jpg", chunk=1, chunks=2)
        photo = box.gallery.photos[1]
        assert (photo.md5, photo.size, photo.width) == (MD5, 1154, 64)
        for chunk in (2, 0, 1):
            fields = async_chunk(JPEG, chunk=chunk, size=500)
            part = JPEG[chunk * 500 : (chunk + 1) * 500]
            answer = await client.call("pwg.images.uploadAsync", part, **fields)
        assert answer.result["md5sum"] == MD5
        assert box.gallery.buffers == {}


async def test_a_large_file_does_not_fill_the_memory() -> None:
    chunk = bytes(4 * 2**20)
    async with gallery(discard=True) as (box, client):
        tracemalloc.start()
        for number in range(10):
            await client.upload(chunk, name="v.jpg", chunk=number, chunks=11)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert list(box.gallery.buffers.values()) == [10 * len(chunk)]
    assert peak < 7 * len(chunk)


async def test_only_the_named_methods_are_there_and_requests_are_logged_in_order() -> None:
    only = {"pwg.session.login", "pwg.session.getStatus", "reflection.getMethodList"}
    async with gallery(only=only) as (box, client):
        await client.call("pwg.getVersion")
        listed = await client.call("reflection.getMethodList")
    assert set(listed.result["methods"]) == only
    assert [(seen.method, seen.status) for seen in box.requests] == [
        ("pwg.session.login", 200),
        ("pwg.session.getStatus", 200),
        ("pwg.getVersion", 501),
        ("reflection.getMethodList", 200),
    ]


async def test_file_types_lounge_folder_and_what_is_unique_are_the_owners_choice(
    tmp_path: Path,
) -> None:
    chosen: dict[str, Any] = {"file_types": ("jpg", "mp4"), "uniqueness_mode": "filename"}
    async with gallery(lounge=False, folder=tmp_path, **chosen) as (box, client):
        status = await client.call("pwg.session.getStatus")
        assert status.result["upload_file_types"] == "jpg,mp4"
        await client.upload(JPEG, name="a.jpg")
        assert box.gallery.photos[1].albums == {1}
        path = tmp_path / box.gallery.photos[1].path
        assert await asyncio.to_thread(path.read_bytes) == JPEG
        assert (await client.call("pwg.images.exist", md5sum_list=MD5)).result == []
        by_name = await client.call("pwg.images.exist", filename_list="a.jpg")
        assert by_name.result == {"a.jpg": "1"}
        assert (await client.upload(bytes(9), name="v.mp4")).status == 200


async def test_every_answer_can_carry_noise() -> None:
    async with gallery(php_noise=True, version="13.8.0", logged_in=False) as (_, client):
        text = (await client.call("pwg.getVersion")).text
    assert text.count("<b>Deprecated</b>") == 4
    assert text.endswith('{"stat":"ok","result":"13.8.0"}')


# sizes that the host refuses


async def test_the_limits_can_be_set() -> None:
    async with gallery(max_file=100, max_post=4000, max_body=9000) as (_, client):
        assert '"code": 103' in (await client.upload(bytes(101), name="a.jpg")).text
        assert (await client.upload(bytes(5000), name="a.jpg")).status == 501
        assert (await client.upload(bytes(9000), name="a.jpg")).status == 413


async def test_a_body_over_the_limit_may_cut_the_connection_or_kill_php() -> None:
    async with gallery(max_body=9000, oversize="reset") as (_, client):
        with pytest.raises(aiohttp.ClientError):
            await client.upload(bytes(9000), name="a.jpg")
    async with gallery(max_body=9000, oversize="500") as (_, client):
        answer = await client.upload(bytes(9000), name="a.jpg")
        assert (answer.status, answer.text) == (500, "")


async def test_a_body_of_unknown_length_is_refused() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"method=pwg.getVersion"

    async with (
        Sandbox() as box,
        aiohttp.ClientSession() as http,
        http.post(f"{box.url}ws.php?format=json", data=body()) as answer,
    ):
        assert answer.status == 411


# the front page


async def test_the_page_nests_albums_and_shows_names_as_text_and_sizes() -> None:
    async with gallery(albums=("<script>A</script>",)) as (box, client):
        page = await client.page()
        box.gallery.make_album("Day 1", 1)
        await client.upload(JPEG, name="<b>&'\".jpg")
        waiting = (await client.page()).text
        await client.call("pwg.images.emptyLounge")
        text = (await client.page()).text
    assert (page.status, page.content_type) == (200, "text/html")
    assert "0 photos" in page.text
    assert "In no album" in waiting
    assert "1 waiting in the lounge" in waiting
    assert "<script>" not in text
    assert text.index("&lt;script&gt;A") < text.index("Day 1") < text.index("</section>")
    assert "&lt;b&gt;&amp;" in text
    assert f"{len(JPEG):,} bytes" in text


async def test_iptc_is_read_on_request_as_piwigo_maps_it() -> None:
    data = iptc("T <b>x</b>", "sea. St, Moritz", "Sea", description="D")
    data += dataset(2, 55, b"20190701") + dataset(2, 122, b"Ann")
    for use_iptc in (True, False):
        async with gallery(use_iptc=use_iptc) as (box, client):
            box.gallery.add_tag("sea", url_name="sea")
            await client.upload(jpeg_with_iptc(data, picture=JPEG), name="a.jpg")
            photo = box.gallery.photos[1]
            texts = photo.name, photo.comment, photo.author, photo.date_creation
            if not use_iptc:
                assert (texts, photo.tags) == (("a", None, None, None), set())
                continue
            assert texts == ("T x", "D", "Ann", "2019-07-01 00:00:00")
            assert tags_of(box, photo) == {"sea", "St", "Moritz"}
