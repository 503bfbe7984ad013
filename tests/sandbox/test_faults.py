"""What each fault does on the wire, and whether the request was processed all the same."""

import asyncio
from typing import get_args

import aiohttp
import pytest

from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from tests.support.gallery_client import JPEG, GalleryClient, async_chunk

UPLOAD = "pwg.images.upload"
NOT_PROCESSED = {
    "502": 502,
    "503": 503,
    "504": 504,
    "408": 408,
    "413": 413,
    "429": 429,
    "403-html": 403,
    "html": 200,
    "empty-500-before": 500,
}


@pytest.mark.parametrize(("kind", "status"), NOT_PROCESSED.items())
async def test_the_web_server_answers_itself_and_nothing_is_processed(
    kind: Kind, status: int
) -> None:
    faults = Faults([Fault(kind, UPLOAD)])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        answer = await client.upload(JPEG, name="a.jpg")
        assert (answer.status, answer.content_type) == (status, "text/html")
        assert box.gallery.photos == {}


@pytest.mark.parametrize(("kind", "status"), [("504-after", 504), ("empty-500-after", 500)])
async def test_the_answer_is_an_error_but_the_photo_is_there(kind: Kind, status: int) -> None:
    faults = Faults([Fault(kind, UPLOAD)])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        assert (await client.upload(JPEG, name="a.jpg")).status == status
        assert len(box.gallery.photos) == 1


@pytest.mark.parametrize("kind", ["answer-lost", "truncated"])
async def test_no_whole_answer_comes_but_the_photo_is_there(kind: Kind) -> None:
    faults = Faults([Fault(kind, UPLOAD)])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.upload(JPEG, name="a.jpg")
        assert len(box.gallery.photos) == 1


@pytest.mark.parametrize("kind", ["request-lost", "cut"])
async def test_the_connection_closes_before_anything_is_processed(kind: Kind) -> None:
    faults = Faults([Fault(kind, UPLOAD)])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await client.upload(JPEG * 1000, name="a.jpg")
        assert (box.gallery.photos, box.gallery.buffers) == ({}, {})


async def test_php_noise_stands_before_the_true_answer() -> None:
    faults = Faults([Fault("php-noise", "pwg.getVersion")])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        text = (await client.call("pwg.getVersion")).text
    assert text.startswith("<br />\n<b>Warning</b>")
    assert text.endswith('{"stat":"ok","result":"16.4.0"}')


async def test_a_session_can_vanish_just_before_a_request() -> None:
    faults = Faults([Fault("expired-session", UPLOAD, nth=1)])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        await client.upload(JPEG[:9], name="a.jpg", chunk=0, chunks=2)
        assert (await client.upload(JPEG[9:], name="a.jpg", chunk=1, chunks=2)).status == 401
        assert list(box.gallery.buffers.values()) == [9]


async def test_a_damaged_chunk_has_another_sum() -> None:
    faults = Faults([Fault("damaged", "pwg.images.uploadAsync")])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        answer = await client.call("pwg.images.uploadAsync", JPEG, **async_chunk(JPEG))
    assert answer.json["message"] == "MD5 checksum chunk file mismatched"


async def test_a_dead_merge_blocks_every_later_attempt() -> None:
    faults = Faults([Fault("merged-left", "pwg.images.uploadAsync", nth=0)])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        assert (
            await client.call("pwg.images.uploadAsync", JPEG, **async_chunk(JPEG))
        ).status == 500
        again = await client.call("pwg.images.uploadAsync", JPEG, **async_chunk(JPEG))
        assert again.result == {"message": "chunks uploaded = 1"}
        kinds = {name.rpartition(".")[2] for name in box.gallery.buffers}
        assert kinds == {"chunk", "merged"}


async def test_a_slow_finish_has_stored_the_photo_before_it_answers() -> None:
    faults = Faults([Fault("slow", UPLOAD, slow_s=60)])
    async with Sandbox(faults=faults, gateway_timeout_s=0.1) as box:
        async with GalleryClient(box.url) as client:
            assert (await client.upload(JPEG, name="a.jpg")).status == 504
        assert len(box.gallery.photos) == 1


async def test_retry_after_is_told_with_429() -> None:
    faults = Faults([Fault("429", "pwg.getVersion", retry_after="7")])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        assert (await client.call("pwg.getVersion")).headers["Retry-After"] == "7"


async def test_a_fault_can_be_added_while_the_gallery_runs() -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        box.faults.add(Fault("503", nth=0))
        assert (await client.call("pwg.getVersion")).status == 503
        assert (await client.call("pwg.getVersion")).status == 200
        assert box.faults.hit == 1


async def test_requests_remember_what_struck_them() -> None:
    faults = Faults([Fault("502", "pwg.getVersion")])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        await client.call("pwg.getVersion")
        assert box.requests[-1] == ("pwg.getVersion", 502, "502")


async def test_faults_strike_requests_that_run_at_once_only_once() -> None:
    faults = Faults([Fault("503", "pwg.getVersion", nth=2)])
    async with Sandbox(faults=faults) as box, GalleryClient(box.url) as client:
        answers = await asyncio.gather(*(client.call("pwg.getVersion") for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [503]


def test_the_nth_request_is_counted_over_those_of_the_method() -> None:
    faults = Faults([Fault("502", "b", nth=1)])
    struck = [faults.strike(method) is not None for method in ("b", "a", "a", "b", "b")]
    assert struck == [False, False, False, True, False]


def test_a_rate_repeats_with_its_seed() -> None:
    first, second = (Faults(rate=0.3, seed=7) for _ in range(2))
    assert [first.strike("a") for _ in range(99)] == [second.strike("a") for _ in range(99)]


def test_a_rate_strikes_about_as_often_as_it_says() -> None:
    faults = Faults(rate=0.25, seed=1, kinds=["502"])
    for _ in range(400):
        faults.strike("a")
    assert 70 < faults.hit < 130


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no such fault"):
        Fault("nonsense")  # type: ignore[arg-type]


def test_each_kind_is_tried_here() -> None:
    tried = {*NOT_PROCESSED, "504-after", "empty-500-after", "answer-lost", "truncated"}
    tried |= {"request-lost", "cut", "php-noise", "expired-session", "damaged", "merged-left"}
    assert tried | {"slow"} == set(get_args(Kind))
