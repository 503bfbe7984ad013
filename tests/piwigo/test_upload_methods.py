"""The requests of each upload method: temporary names, and the fields of each chunk."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.piwigo.metadata import Details, is_temporary_name, to_storable
from bulkup.piwigo.protocol import Request
from bulkup.piwigo.upload import Attempt, Legacy, Method, Upload, UploadAsync
from bulkup.source.metadata import Moment
from bulkup.source.photos import plan_chunks

MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def sending() -> Attempt:
    return Attempt("a.jpg", "a.jpg", MD5, albums=[9], level=4)


def requests(method: Method, size: int) -> list[Request]:
    return [
        request
        for chunk in plan_chunks(size, chunk_size=4096)
        for request in method.requests(sending(), chunk, finishing=chunk.index == chunk.count - 1)
    ]


def fields(request: Request) -> dict[str, str]:
    assert len(dict(request.fields)) == len(request.fields)
    return dict(request.fields)


# pwg.images.upload


@given(file=st.text(min_size=1, max_size=300), attempt=st.integers(1, 9))
def test_a_photo_to_be_renamed_has_a_unique_ascii_name_and_a_later_attempt_a_storable_one(
    file: str, attempt: int
) -> None:
    file = to_storable(file)
    names = {Upload(renames=True).sent_name(file, attempt=attempt) for _ in range(9)}
    assert len(names) == 9
    assert all(re.fullmatch(r"[A-Za-z0-9.-]{1,60}", name) for name in names)
    name = Upload(renames=False).sent_name(file, attempt=2)
    assert name == to_storable(name) != file


def test_a_temporary_name_keeps_the_ending() -> None:
    kept = {"IMG_1.jpg": ".jpg", "IMG_1.JPG": ".JPG", "a.b.jpeg": ".jpeg", "東京.png": ".png"}
    none = ("no ending", "x.with blank", "x.é", "x." + "y" * 11, ".jpg")
    for file, ending in (kept | dict.fromkeys(none, "")).items():
        name = Upload(renames=True).sent_name(file, attempt=1)
        assert re.fullmatch(rf"bulkup-[0-9a-f]{{24}}{re.escape(ending)}", name), file


def test_without_renaming_only_the_first_attempt_uses_the_real_name() -> None:
    numbers = count(10_000_000)
    method = Upload(renames=False, random=lambda: str(next(numbers)))
    names = [method.sent_name("Été 1.jpg", attempt=n) for n in (1, 2, 3)]
    assert names == ["Été 1.jpg", "Été 1-10000000.jpg", "Été 1-10000001.jpg"]


def test_chunks_of_upload_are_counted_from_zero_with_token_and_not_repeatable() -> None:
    method = Upload(renames=True)
    same = {"name": "a.jpg", "category": "9", "level": "4"}
    (request,) = requests(method, 100)
    assert (request.method, fields(request)) == ("pwg.images.upload", same)
    sent = requests(method, 10_000)
    assert [fields(request) for request in sent] == [
        same | {"chunks": "3", "chunk": n} for n in "012"
    ]
    assert {(request.token, request.summed) for request in sent} == {(True, False)}
    assert [request.chunk for request in sent] == [*plan_chunks(10_000, chunk_size=4096)]
    assert not method.repeatable


# pwg.images.uploadAsync


def test_chunks_of_uploadasync_have_all_fields_and_are_repeatable() -> None:
    method = UploadAsync("admin")
    sent = requests(method, 10_000)
    same = {"filename": "a.jpg", "original_sum": MD5, "chunks": "3", "username": "admin"}
    same |= {"category": "9", "level": "4"}
    assert [fields(request) for request in sent] == [same | {"chunk": n} for n in "012"]
    assert {(r.method, r.summed, r.token) for r in sent} == {
        ("pwg.images.uploadAsync", True, False)
    }
    assert [request.chunk for request in sent] == [*plan_chunks(10_000, chunk_size=4096)]
    assert method.repeatable
    (request,) = requests(UploadAsync(""), 100)  # with a key there is no user name
    assert "username" not in fields(request)
    assert all(fields(request).values())


def test_uploadasync_sends_the_real_name_unless_the_server_alters_it() -> None:
    method = UploadAsync("admin")
    assert {method.sent_name("Été.jpg", attempt=n) for n in (1, 2, 3)} == {"Été.jpg"}
    for file in ("O'Neil.jpg", 'a "b".jpg', "a & b.jpg", "<a>.jpg", "a\\b.jpg"):
        assert re.fullmatch(r"bulkup-[0-9a-f]{24}\.jpg", method.sent_name(file, attempt=1))
        assert UploadAsync("admin", renames=False).sent_name(file, attempt=1) == file
    names = {method.sent_name("a.jpg", attempt=1, set_later=True) for _ in range(9)}
    assert len(names) == 9
    assert all(is_temporary_name(name) for name in names)


DETAILS = Details(title="T", comment="C", author="A", date=Moment("2020-01-02 03:04:05"))


@pytest.mark.parametrize("method", [UploadAsync("admin"), Legacy(renames=False)])
def test_metadata_is_sent_along_unless_the_name_is_temporary(method: Method) -> None:
    (chunk,) = plan_chunks(100, chunk_size=4096)
    described = replace(sending(), details=DETAILS, tag_ids=(3, 4))
    *_, last = method.requests(described, chunk, finishing=True)
    expected = {"name": "T", "author": "A", "comment": "C", "tag_ids": "3,4"}
    expected |= {"date_creation": "2020-01-02 03:04:05"}
    assert expected.items() <= fields(last).items()
    renamed = replace(described, sent_name=f"bulkup-{'0' * 24}.jpg")
    *_, last = method.requests(renamed, chunk, finishing=True)
    assert not expected.keys() & fields(last).keys()


def test_metadata_that_depends_on_the_photo_is_not_sent_along() -> None:
    near = Moment("2020-01-01 00:00:00", timedelta(days=366))
    details = Details(title="T", date=near, tags=("a",), embedded_keywords=True)
    attempt = replace(sending(), details=details, tag_ids=(3, 4))
    assert attempt.inline_fields == (("name", "T"),)
