"""Texts, dates and tags of photos, as real servers were seen to keep them."""

import struct
from typing import Any

import pytest

from bulkup.sandbox import Sandbox, php
from bulkup.sandbox.files import sniff
from tests.support.gallery_client import JPEG, GalleryClient, Reply, async_chunk


def with_exif(date: bytes) -> bytes:
    """Return the JPEG with an EXIF block of nothing but DateTimeOriginal."""
    tiff = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    tiff += struct.pack(">HHHIII", 1, 0x9003, 2, len(date), 44, 0) + date
    block = b"Exif\0\0" + tiff
    return JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + JPEG[2:]


@pytest.mark.parametrize(
    ("date", "taken"),
    [
        (b"2019:07:01 14:03:22\0", "2019-07-01 14:03:22"),
        (b"    :  :     :  :  \0", None),
        (b"2019\0", None),
    ],
)
def test_a_photo_tells_when_it_was_taken(date: bytes, taken: str | None) -> None:
    assert sniff(with_exif(date)).taken == taken


def test_a_photo_that_ends_in_its_exif_block_tells_nothing() -> None:
    whole = with_exif(b"2019:07:01 14:03:22\0")
    assert {sniff(whole[:length]).taken for length in range(80)} == {None}


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("a <b>c</b> d", "a c d"),
        ("a < b", "a < b"),
        ("I <3 you", "I "),
        ("a <", "a "),
        ("a<!-- b -->c", "ac"),
        ("a > b & c", "a > b & c"),
        ("a <\u00a0b> c", "a  c"),
    ],
)
def test_what_looks_like_html_is_stripped(text: str, stripped: str) -> None:
    assert php.strip_tags(text) == stripped


async def sent(client: GalleryClient, **fields: object) -> Reply:
    return await client.call("pwg.images.uploadAsync", JPEG, **async_chunk(JPEG), **fields)


async def test_the_date_of_the_photo_itself_is_read_and_another_one_replaces_it() -> None:
    photo = with_exif(b"2019:07:01 14:03:22\0")
    async with Sandbox() as box, GalleryClient(box.url) as client:
        await client.upload(photo, name="a.jpg")
        assert box.gallery.photos[1].date_creation == "2019-07-01 14:03:22"
        await client.call(
            "pwg.images.setInfo",
            image_id=1,
            date_creation="2020-01-02",
            single_value_mode="replace",
        )
        assert box.gallery.photos[1].date_creation == "2020-01-02 00:00:00"


async def test_what_comes_with_a_known_photo_replaces_what_it_had() -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        for name in ("one", "two"):
            await client.call("pwg.tags.add", name=name)
        await sent(client, name="First", tag_ids="1")
        await sent(client, name="Second", tag_ids="2")
        (photo,) = box.gallery.photos.values()
    assert (photo.name, photo.tags) == ("Second", {2})


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"comment": "x" * 65535}, 200),
        ({"comment": "x" * 65536}, 500),
        ({"comment": "é" * 32768}, 500),
        ({"name": "é" * 255}, 200),
        ({"name": "x" * 256}, 500),
        ({"author": "🗼"}, 500),
        ({"date_creation": "2019-02-30 00:00:00"}, 500),
    ],
)
async def test_what_a_column_does_not_take_is_not_set_and_the_photo_is_there(
    fields: dict[str, str], status: int
) -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        assert (await sent(client, **fields, tag_ids="7")).status == status
        (photo,) = box.gallery.photos.values()
    assert photo.tags == {7}
    kept = {column: getattr(photo, column) for column in fields}
    assert (kept == fields) is (status == 200)


@pytest.mark.parametrize(
    ("version", "token", "comment"),
    [
        ("13.8.0", True, "one  two"),
        ("14.5.0", True, "one <b> two"),
        ("14.5.0", False, "one  two"),
        ("17.0.0beta1", True, "one <b> two"),
        ("17.0.0beta1", False, "one  two"),
    ],
)
async def test_the_description_of_an_album_keeps_html_only_with_a_token(
    version: str, comment: str, *, token: bool
) -> None:
    async with Sandbox(version=version) as box, GalleryClient(box.url) as client:
        fields: dict[str, Any] = {"name": "A", "comment": "one <b> two"}
        fields |= {"pwg_token": client.token} if token else {}
        made = await client.call("pwg.categories.add", **fields)
        assert box.gallery.albums[made.result["id"]].comment == comment


@pytest.mark.parametrize(
    ("comment", "status"), [("é" * 32767, 200), ("é" * 32768, 500), ("🗼", 500)]
)
async def test_what_the_column_of_descriptions_does_not_take_makes_no_album(
    comment: str, status: int
) -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        assert (
            await client.call("pwg.categories.add", name="A", comment=comment)
        ).status == status
        assert (len(box.gallery.albums) == 2) is (status == 200)
