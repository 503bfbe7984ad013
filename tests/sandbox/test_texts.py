"""Texts, dates and tags of photos and albums, as real servers were seen to keep them."""

from typing import Any

import pytest

from bulkup.sandbox import php
from tests.support.gallery_client import JPEG, GalleryClient, Reply, async_chunk, gallery
from tests.support.photos import with_exif


def test_what_looks_like_html_is_stripped() -> None:
    stripped = {"a <b>c</b> d": "a c d", "I <3 you": "I ", "a <": "a ", "a<!-- b -->c": "ac"}
    stripped |= {"a < b": "a < b", "a > b & c": "a > b & c", "a <\u00a0b> c": "a  c"}
    assert {text: php.strip_tags(text) for text in stripped} == stripped


async def sent(client: GalleryClient, **fields: object) -> Reply:
    return await client.call("pwg.images.uploadAsync", JPEG, **async_chunk(JPEG), **fields)


async def test_the_date_of_the_photo_itself_is_read_and_another_one_replaces_it() -> None:
    date: dict[str, Any] = {"date_creation": "2020-01-02", "single_value_mode": "replace"}
    async with gallery() as (box, client):
        await client.upload(with_exif(JPEG, b"2019:07:01 14:03:22\0"), name="a.jpg")
        assert box.gallery.photos[1].date_creation == "2019-07-01 14:03:22"
        await client.call("pwg.images.setInfo", image_id=1, **date)
        assert box.gallery.photos[1].date_creation == "2020-01-02 00:00:00"


async def test_what_comes_with_a_known_photo_replaces_what_it_had() -> None:
    async with gallery() as (box, client):
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
    async with gallery() as (box, client):
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
    async with gallery(version=version) as (box, client):
        fields: dict[str, Any] = {"name": "A", "comment": "one <b> two"}
        fields |= {"pwg_token": client.token} if token else {}
        made = await client.call("pwg.categories.add", **fields)
        assert box.gallery.albums[made.result["id"]].comment == comment


async def test_what_the_column_of_descriptions_does_not_take_makes_no_album() -> None:
    async with gallery(albums=()) as (box, client):
        for comment, status in (("é" * 32767, 200), ("é" * 32768, 500), ("🗼", 500)):
            made = await client.call("pwg.categories.add", name="A", comment=comment)
            assert made.status == status
            assert len(box.gallery.albums) == 1
