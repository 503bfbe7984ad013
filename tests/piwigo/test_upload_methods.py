"""The requests of each way to send: names on the way, fields of every chunk."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.piwigo.metadata import Details, is_sent_name, storable
from bulkup.piwigo.protocol import Request
from bulkup.piwigo.upload import Legacy, Method, Shipment, Upload, UploadAsync
from bulkup.source.metadata import Moment
from bulkup.source.photos import plan_chunks

MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def shipment(name: str = "a.jpg", *, album: int = 9, level: int = 4) -> Shipment:
    return Shipment(name, name, MD5, album=album, level=level)


def requests(method: Method, size: int, *, chunk_size: int = 4096) -> list[Request]:
    return [
        request
        for chunk in plan_chunks(size, chunk_size=chunk_size)
        for request in method.requests(shipment(), chunk, finishing=chunk.index == chunk.count - 1)
    ]


def fields(request: Request) -> dict[str, str]:
    assert len(dict(request.fields)) == len(request.fields)
    return dict(request.fields)


# pwg.images.upload


@given(file=st.text(min_size=1, max_size=255), attempt=st.integers(1, 9))
def test_a_photo_to_be_renamed_travels_under_an_ascii_name(file: str, attempt: int) -> None:
    name = Upload(renames=True).sent_name(storable(file), attempt=attempt)
    assert re.fullmatch(r"[A-Za-z0-9.-]{1,60}", name)


def test_every_attempt_has_a_name_of_its_own() -> None:
    method = Upload(renames=True)
    names = [method.sent_name("IMG_1.jpg", attempt=1) for _ in range(1000)]
    assert len(set(names)) == 1000


@pytest.mark.parametrize(
    ("file", "ending"),
    [
        ("IMG_1.jpg", ".jpg"),
        ("IMG_1.JPG", ".JPG"),
        ("a.b.jpeg", ".jpeg"),
        ("東京.png", ".png"),
        ("no ending", ""),
        ("x.with blank", ""),
        ("x.é", ""),
        ("x." + "y" * 11, ""),
        (".jpg", ""),
    ],
)
def test_the_name_on_the_way_keeps_the_ending(file: str, ending: str) -> None:
    name = Upload(renames=True).sent_name(file, attempt=1)
    assert re.fullmatch(rf"bulkup-[0-9a-f]{{24}}{re.escape(ending)}", name)


def test_where_nothing_renames_the_first_attempt_goes_under_the_real_name() -> None:
    assert Upload(renames=False).sent_name("Été 1.jpg", attempt=1) == "Été 1.jpg"


def test_where_nothing_renames_later_attempts_have_names_of_their_own() -> None:
    numbers = count(10_000_000)
    method = Upload(renames=False, random=lambda: str(next(numbers)))
    assert [method.sent_name("Été 1.jpg", attempt=n) for n in (2, 3)] == [
        "Été 1-10000000.jpg",
        "Été 1-10000001.jpg",
    ]


@given(file=st.text(min_size=1, max_size=300))
def test_later_attempts_under_real_names_are_storable_and_unlike_the_first(file: str) -> None:
    file = storable(file)
    name = Upload(renames=False).sent_name(file, attempt=2)
    assert name == storable(name)
    assert name != file


def test_a_photo_of_one_chunk_goes_without_counting_chunks() -> None:
    (request,) = requests(Upload(renames=True), 100)
    assert request.method == "pwg.images.upload"
    assert fields(request) == {"name": "a.jpg", "category": "9", "level": "4"}


def test_chunks_are_counted_from_zero() -> None:
    sent = requests(Upload(renames=True), 10_000)
    assert [(fields(r)["chunk"], fields(r)["chunks"]) for r in sent] == [
        ("0", "3"),
        ("1", "3"),
        ("2", "3"),
    ]
    assert {fields(r)["name"] for r in sent} == {"a.jpg"}


def test_every_chunk_of_upload_carries_the_token_and_no_sum() -> None:
    for request in requests(Upload(renames=True), 10_000):
        assert request.token
        assert not request.summed


def test_an_appending_chunk_may_not_be_repeated() -> None:
    assert not Upload(renames=True).repeatable


# pwg.images.uploadAsync


def test_every_chunk_of_uploadasync_carries_all_that_the_photo_needs() -> None:
    sent = requests(UploadAsync("admin"), 10_000)
    assert [fields(request) for request in sent] == [
        {
            "chunk": str(index),
            "chunks": "3",
            "original_sum": MD5,
            "filename": "a.jpg",
            "category": "9",
            "level": "4",
            "username": "admin",
        }
        for index in range(3)
    ]
    assert {request.method for request in sent} == {"pwg.images.uploadAsync"}


def test_every_chunk_of_uploadasync_carries_its_sum_and_no_token() -> None:
    for request in requests(UploadAsync("admin"), 10_000):
        assert request.summed
        assert not request.token


def test_a_password_is_never_among_the_fields() -> None:
    for method in (Upload(renames=True), UploadAsync("admin")):
        for request in requests(method, 10_000):
            assert "password" not in fields(request)


def test_with_a_key_there_is_no_user_name_and_no_empty_field() -> None:
    (request,) = requests(UploadAsync(""), 100)
    assert "username" not in fields(request)
    assert all(fields(request).values())


def test_uploadasync_sends_the_real_name_at_every_attempt() -> None:
    method = UploadAsync("admin")
    assert {method.sent_name("Été.jpg", attempt=n) for n in (1, 2, 3)} == {"Été.jpg"}


@pytest.mark.parametrize("file", ["O'Neil.jpg", 'a "b".jpg', "a & b.jpg", "<a>.jpg", "a\\b.jpg"])
def test_uploadasync_sends_a_name_that_the_server_spoils_under_one_of_ours(file: str) -> None:
    name = UploadAsync("admin").sent_name(file, attempt=1)
    assert re.fullmatch(r"bulkup-[0-9a-f]{24}\.jpg", name)
    assert UploadAsync("admin", renames=False).sent_name(file, attempt=1) == file


def test_uploadasync_sends_what_is_to_be_mended_anyway_under_a_name_of_ours() -> None:
    method = UploadAsync("admin")
    names = {method.sent_name("a.jpg", attempt=1, aside=True) for _ in range(9)}
    assert len(names) == 9
    assert all(is_sent_name(name) for name in names)


DETAILS = Details(title="T", comment="C", author="A", date=Moment("2020-01-02 03:04:05"))


def described(file: str = "a.jpg", *, details: Details = DETAILS) -> Shipment:
    shipment = Shipment("a.jpg", file, MD5, album=1, level=0)
    return replace(shipment, details=details, tag_ids=(3, 4))


@pytest.mark.parametrize("method", [UploadAsync("admin"), Legacy(renames=False)])
def test_details_go_with_the_photo_where_the_method_takes_them(method: Method) -> None:
    (chunk,) = plan_chunks(100, chunk_size=4096)
    *_, last = method.requests(described(), chunk, finishing=True)
    wanted = {"name": "T", "author": "A", "comment": "C", "tag_ids": "3,4"}
    assert wanted.items() <= fields(last).items()
    assert fields(last)["date_creation"] == "2020-01-02 03:04:05"


@pytest.mark.parametrize("method", [UploadAsync("admin"), Legacy(renames=False)])
def test_no_detail_goes_with_a_photo_under_a_name_of_ours(method: Method) -> None:
    (chunk,) = plan_chunks(100, chunk_size=4096)
    *_, last = method.requests(described(f"bulkup-{'0' * 24}.jpg"), chunk, finishing=True)
    assert not {"name", "author", "comment", "date_creation", "tag_ids"} & fields(last).keys()


def test_what_depends_on_the_photo_itself_is_not_carried() -> None:
    details = Details(
        title="T",
        date=Moment("2020-01-01 00:00:00", timedelta(days=366)),
        tags=("a",),
        own_tags=True,
    )
    assert described(details=details).carried == (("name", "T"),)


def test_a_summed_chunk_may_be_repeated() -> None:
    assert UploadAsync("admin").repeatable


@pytest.mark.parametrize("method", [Upload(renames=True), UploadAsync("admin")])
def test_each_request_goes_with_its_own_chunk(method: Method) -> None:
    assert [request.chunk for request in requests(method, 10_000)] == list(
        plan_chunks(10_000, chunk_size=4096)
    )
