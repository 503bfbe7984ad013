"""What a client meets who uploads to the sandbox; the wire format is the contract tests'."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.gallery_client import JPEG, GalleryClient


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


async def test_a_photo_is_kept_byte_for_byte(box: Sandbox) -> None:
    async with GalleryClient(box.url) as client:
        sent = await client.upload(JPEG, name="a.jpg")
    assert box.gallery.content(sent.result["image_id"]) == JPEG


async def test_a_photo_waits_in_the_lounge(box: Sandbox) -> None:
    async with GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
    assert box.gallery.lounge == [(1, 1)]


async def test_emptying_the_lounge_puts_it_into_its_album(box: Sandbox) -> None:
    async with GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        await client.call("pwg.images.emptyLounge")
    assert box.gallery.photos[1].albums == {1}


async def test_without_a_lounge_it_is_in_its_album_at_once() -> None:
    async with Sandbox(lounge=False) as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        assert box.gallery.photos[1].albums == {1}


async def test_chunks_wait_under_the_sum_of_the_name(box: Sandbox) -> None:
    async with GalleryClient(box.url) as client:
        await client.upload(JPEG[:100], name="a.jpg", chunk=0, chunks=2)
    assert box.gallery.buffers == {f"{hashlib.md5(b'a.jpg').hexdigest()}.part": 100}


async def test_requests_are_remembered_in_order(box: Sandbox) -> None:
    async with GalleryClient(box.url) as client:
        await client.call("nosuch.method")
    assert [(seen.method, seen.status) for seen in box.requests] == [
        ("pwg.session.login", 200),
        ("pwg.session.getStatus", 200),
        ("nosuch.method", 501),
    ]


async def test_photos_can_be_files_in_a_folder(tmp_path: Path) -> None:
    async with Sandbox(folder=tmp_path) as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        path = tmp_path / box.gallery.photos[1].path
    assert await asyncio.to_thread(path.read_bytes) == JPEG


async def test_only_the_named_methods_are_there() -> None:
    only = {"pwg.session.login", "pwg.session.getStatus", "reflection.getMethodList"}
    async with Sandbox(only=only) as box, GalleryClient(box.url) as client:
        assert (await client.call("pwg.getVersion")).status == 501
        listed = await client.call("reflection.getMethodList")
        assert set(listed.result["methods"]) == only


async def test_a_forgotten_session_is_a_guest(box: Sandbox) -> None:
    async with GalleryClient(box.url) as client:
        box.expire_sessions()
        assert (await client.upload(JPEG, name="a.jpg")).status == 401


async def test_another_gallery_path_is_not_found() -> None:
    async with Sandbox(path="/piwigo/") as box:
        assert box.url.endswith("/piwigo/")
        async with GalleryClient(box.url.removesuffix("piwigo/"), logged_in=False) as client:
            assert (await client.call("pwg.getVersion")).status == 404
