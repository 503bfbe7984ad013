"""Sizes: what the host refuses, and what a large file costs in memory."""

import hashlib
import tracemalloc
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bulkup.sandbox import Sandbox
from tests.support.gallery_client import JPEG, GalleryClient, async_chunk


async def test_the_limits_can_be_set() -> None:
    async with (
        Sandbox(max_file=100, max_post=4000, max_body=9000) as box,
        GalleryClient(box.url) as client,
    ):
        assert '"code": 103' in (await client.upload(bytes(101), name="a.jpg")).text
        assert (await client.upload(bytes(5000), name="a.jpg")).status == 501
        assert (await client.upload(bytes(9000), name="a.jpg")).status == 413


async def test_a_body_over_the_limit_may_cut_the_connection_or_kill_php() -> None:
    async with (
        Sandbox(max_body=9000, oversize="reset") as box,
        GalleryClient(box.url) as client,
    ):
        with pytest.raises(aiohttp.ClientError):
            await client.upload(bytes(9000), name="a.jpg")
    async with Sandbox(max_body=9000, oversize="500") as box, GalleryClient(box.url) as client:
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


async def test_discarded_photos_keep_their_sums() -> None:
    async with Sandbox(discard=True) as box, GalleryClient(box.url) as client:
        await client.upload(JPEG[:500], name="a.jpg", chunk=0, chunks=2)
        await client.upload(JPEG[500:], name="a.jpg", chunk=1, chunks=2)
        photo = box.gallery.photos[1]
    assert (photo.md5, photo.size, photo.width) == (hashlib.md5(JPEG).hexdigest(), 1154, 64)


async def test_discarded_chunks_are_merged_in_any_order() -> None:
    async with Sandbox(discard=True) as box, GalleryClient(box.url) as client:
        for chunk in (2, 0, 1):
            fields = async_chunk(JPEG, chunk=chunk, size=500)
            part = JPEG[chunk * 500 : (chunk + 1) * 500]
            answer = await client.call("pwg.images.uploadAsync", part, **fields)
        assert answer.result["md5sum"] == hashlib.md5(JPEG).hexdigest()
        assert box.gallery.buffers == {}


async def test_a_large_file_does_not_fill_the_memory() -> None:
    chunk = bytes(4 * 2**20)
    async with Sandbox(discard=True) as box, GalleryClient(box.url) as client:
        tracemalloc.start()
        for number in range(10):
            await client.upload(chunk, name="v.jpg", chunk=number, chunks=11)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert list(box.gallery.buffers.values()) == [10 * len(chunk)]
    assert peak < 7 * len(chunk)
