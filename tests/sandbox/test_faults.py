"""What each fault does on the wire, and whether the request was processed all the same."""

import asyncio
from typing import get_args

import aiohttp
import pytest

from bulkup.sandbox import Fault, Faults
from bulkup.sandbox.faults import Kind
from tests.support.gallery_client import JPEG, async_chunk, gallery

UPLOAD = "pwg.images.upload"
ASYNC = "pwg.images.uploadAsync"
STATUSES: dict[Kind, tuple[int | None, bool]] = {
    "502": (502, False),
    "503": (503, False),
    "504": (504, False),
    "408": (408, False),
    "413": (413, False),
    "429": (429, False),
    "403-html": (403, False),
    "html": (200, False),
    "empty-500-before": (500, False),
    "no-input": (200, False),
    "no-output": (200, False),
    "401-html": (401, False),
    "404": (404, False),
    "411": (411, False),
    "504-after": (504, True),
    "empty-500-after": (500, True),
    "request-lost": (None, False),
    "cut": (None, False),
    "answer-lost": (None, True),
    "truncated": (None, True),
}
"""The status, None where the connection is closed, and whether the photo is stored."""


@pytest.mark.parametrize(("kind", "status", "stored"), [(k, *v) for k, v in STATUSES.items()])
async def test_the_web_server_answers_or_closes_before_or_after_processing(
    kind: Kind, status: int | None, *, stored: bool
) -> None:
    faults = Faults([Fault(kind, UPLOAD)])
    async with gallery(faults=faults) as (box, client):
        photo = JPEG * 1000 if kind == "cut" else JPEG
        if status is None:
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                await client.upload(photo, name="a.jpg")
        else:
            answer = await client.upload(photo, name="a.jpg")
            assert (answer.status, answer.content_type) == (status, "text/html")
        assert len(box.gallery.photos) == stored
        assert box.gallery.buffers == {}


async def test_php_noise_stands_before_the_true_answer_and_429_carries_retry_after() -> None:
    plan = [Fault("php-noise", nth=0), Fault("429", nth=1, retry_after="7")]
    async with gallery(faults=Faults(plan), logged_in=False) as (_, client):
        text = (await client.call("pwg.getVersion")).text
        assert (await client.call("pwg.getVersion")).headers["Retry-After"] == "7"
    assert text.startswith("<br />\n<b>Warning</b>")
    assert text.endswith('{"stat":"ok","result":"16.4.0"}')


async def test_a_session_can_vanish_just_before_a_request() -> None:
    faults = Faults([Fault("expired-session", UPLOAD, nth=1)])
    async with gallery(faults=faults) as (box, client):
        await client.upload(JPEG[:9], name="a.jpg", chunk=0, chunks=2)
        assert (await client.upload(JPEG[9:], name="a.jpg", chunk=1, chunks=2)).status == 401
        assert list(box.gallery.buffers.values()) == [9]


async def test_a_damaged_chunk_has_another_sum_and_a_failed_merge_blocks_every_later_attempt() -> (
    None
):
    plan = [Fault("damaged", ASYNC, nth=0), Fault("merged-left", ASYNC, nth=1)]
    async with gallery(faults=Faults(plan)) as (box, client):
        answers = [await client.call(ASYNC, JPEG, **async_chunk(JPEG)) for _ in range(3)]
        kinds = {name.rpartition(".")[2] for name in box.gallery.buffers}
    assert answers[0].json["message"] == "MD5 checksum chunk file mismatched"
    assert answers[1].status == 500
    assert answers[2].result == {"message": "chunks uploaded = 1"}
    assert kinds == {"chunk", "merged"}


async def test_a_slow_finish_has_stored_the_photo_before_it_answers() -> None:
    faults = Faults([Fault("slow", UPLOAD, slow_s=60)])
    async with gallery(faults=faults, gateway_timeout_s=0.1) as (box, client):
        assert (await client.upload(JPEG, name="a.jpg")).status == 504
        assert len(box.gallery.photos) == 1


REFUSALS: dict[Kind, tuple[int, str]] = {
    "302": (302, "Found"),
    "401-key": (401, "Invalid api_key"),
    "501-method": (501, "Method name is not valid"),
    "999-login": (200, "Invalid username"),
}


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_of_everything_stores_nothing(kind: Kind) -> None:
    status, words = REFUSALS[kind]
    faults = Faults([Fault(kind, UPLOAD)])
    async with gallery(faults=faults) as (box, client):
        form = aiohttp.FormData({"method": UPLOAD})
        url = f"{box.url}ws.php?format=json"
        async with client.http.post(url, data=form, allow_redirects=False) as answer:
            assert (answer.status, words in await answer.text()) == (status, True)
        assert not box.gallery.photos


async def test_faults_are_added_and_logged_while_the_gallery_runs() -> None:
    async with gallery() as (box, client):
        box.faults.add(Fault("503", nth=2))
        answers = await asyncio.gather(*(client.call("pwg.getVersion") for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [200] * 7 + [503]
        assert box.faults.hit == 1
        assert ("pwg.getVersion", 503, "503") in box.requests


def test_the_nth_request_is_counted_over_those_of_the_method() -> None:
    faults = Faults([Fault("502", "b", nth=1)])
    struck = [faults.strike(method) is not None for method in ("b", "a", "a", "b", "b")]
    assert struck == [False, False, False, True, False]


def test_a_rate_repeats_with_its_seed_and_strikes_about_as_often_as_given() -> None:
    first, second = (Faults(rate=0.25, seed=1, kinds=["502"]) for _ in range(2))
    assert [first.strike("a") for _ in range(400)] == [second.strike("a") for _ in range(400)]
    assert 70 < first.hit < 130


def test_each_kind_is_tested_here_and_an_unknown_one_refused() -> None:
    with pytest.raises(ValueError, match="no such fault"):
        Fault("nonsense")  # type: ignore[arg-type]
    others = {"php-noise", "expired-session", "damaged", "merged-left", "slow", *REFUSALS}
    assert {*STATUSES, *others} == set(get_args(Kind))
