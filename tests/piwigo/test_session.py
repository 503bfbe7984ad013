"""Requests on the wire, and the errors of broken connections."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import anyio
import pytest
from anyio import to_thread
from hypothesis import given
from hypothesis import strategies as st

from bulkup import errors
from bulkup.piwigo.multipart import Form, Throttle
from bulkup.piwigo.protocol import ANSWER_LIMIT, Answer, Request
from bulkup.piwigo.session import Credentials, Session, SessionPool, Timeouts, retry_after
from bulkup.piwigo.transport import Transport, connector_for
from bulkup.piwigo.workers import Held
from bulkup.source.files import PIECE
from bulkup.source.photos import Chunk, Photo
from tests.support.certificates import make_certificate
from tests.support.front import ForwardProxy
from tests.support.raw import Connection, Handler, RawServer, answering, raw_server, sending
from tests.support.walks import photo_at

OK = b'{"stat":"ok","result":null}'
STATUS = b'{"stat":"ok","result":{"status":"admin","pwg_token":"1"}}'
BRIEF = Timeouts(connect_s=5.0, idle_s=0.05, finish_s=0.05)


@asynccontextmanager
async def session_on(url: str, **options: Any) -> AsyncIterator[Session]:  # noqa: ANN401
    async with aiohttp.TCPConnector() as connector:
        session = Session(url, connector=connector, **({"timeouts": Timeouts()} | options))
        try:
            yield session
        finally:
            await session.close()


@asynccontextmanager
async def talking(
    handle: Handler | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    **options: Any,  # noqa: ANN401
) -> AsyncIterator[tuple[RawServer, Session]]:
    """Lend a server that talks so, or answers all with OK, and a session on it."""
    async with (
        raw_server(handle or answering("200 OK", OK), tls=tls) as raw,
        session_on(raw.url, **options) as session,
    ):
        yield raw, session


async def send(session: Session, photo: Photo) -> Answer:
    """Send a photo as one chunk."""
    fields, chunk = (("name", "Été.jpg"), ("category", "9")), Chunk(0, 1, 0, photo.size)
    return await session.post(Request("pwg.images.upload", fields, chunk=chunk), photo=photo)


def make_photo(folder: Path, *, size: int) -> Photo:
    return photo_at(folder / "IMG_1.jpg", Random(size).randbytes(size))


def parts(body: bytes) -> list[tuple[str, bytes]]:
    """Return head and content of each part of a multipart body."""
    boundary = body.partition(b"\r\n")[0]
    assert body.endswith(boundary + b"--\r\n")
    pieces = [piece.partition(b"\r\n\r\n") for piece in body.split(boundary)[1:-1]]
    return [(head.decode().strip(), content.removesuffix(b"\r\n")) for head, _, content in pieces]


# what goes out


async def test_a_photo_goes_as_a_form_of_known_length_with_the_fields_first(
    tmp_path: Path,
) -> None:
    photo = make_photo(tmp_path, size=PIECE + 7)
    async with talking() as (raw, session):
        await send(session, photo)
        (request,) = raw.requests
    assert request.header("Transfer-Encoding") is None
    assert int(request.header("Content-Length") or -1) == len(request.body)
    assert (request.header("Content-Type") or "").startswith("multipart/form-data; boundary=")
    heads, contents = zip(*parts(request.body), strict=True)
    for head, name in zip(heads, ["method", "name", "category", "file"], strict=True):
        assert f'name="{name}"' in head
    fields = [b"pwg.images.upload", "Été.jpg".encode(), b"9"]
    assert contents == (*fields, photo.path.read_bytes())


async def test_a_held_form_is_there_but_for_its_end_until_that_is_let_out() -> None:
    text, end = "0 " * 10_000, anyio.Event()

    async def handle(connection: Connection) -> None:
        head = (await connection.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        body = await connection.reader.readuntil(text.encode())
        with anyio.move_on_after(0.01) as waited:
            body += await connection.reader.read(1)
        assert waited.cancelled_caught
        end.set()
        body += await connection.reader.readexactly(length - len(body))
        assert [content for _, content in parts(body)] == [b"exist", b"x", text.encode()]
        await connection.answer("200 OK", OK)

    async with talking(handle) as (_, session):
        request = Request("exist", (("pad", "x"), ("md5sum_list", text)))
        assert (await session.post_form(Held(request, until=end), method="exist")).body == OK


@pytest.mark.parametrize("is_member", [False, True])
async def test_uploads_come_from_the_upload_page_so_that_they_wait_for_no_user_cache(
    tmp_path: Path, is_member: bool
) -> None:
    async with talking() as (raw, session):
        session.is_member = is_member
        await send(session, make_photo(tmp_path, size=10))
        await session.post(Request("pwg.images.setInfo"))
        await session.post_form(Form(()), method="pwg.images.exist")
        await session.post(Request("pwg.categories.getList"))
        *uploads, albums = [request.header("Referer") for request in raw.requests]
        page = None if is_member else f"{raw.url}admin.php?page=photos_add"
    assert uploads == [page] * 3
    assert albums is None  # it needs the cache


async def test_a_wait_for_the_throttle_is_no_silence_of_the_server(tmp_path: Path) -> None:
    slow = Throttle(lambda: 10 * 1024)  # a thousand bytes in twice the idle time-out
    async with talking(timeouts=BRIEF, throttle=slow) as (_, session):
        assert (await send(session, make_photo(tmp_path, size=4000))).status == 200


async def test_a_call_goes_as_a_plain_form_that_says_who_asks_and_is_not_throttled() -> None:
    async with talking(throttle=Throttle(lambda: 1), timeouts=BRIEF) as (raw, session):
        await session.post(Request("pwg.images.exist", (("md5sum_list", "a,b"), ("x", "é &="))))
        (request,) = raw.requests
    assert request.target == "/ws.php?format=json"
    assert request.header("Content-Type") == "application/x-www-form-urlencoded"
    assert request.body == b"method=pwg.images.exist&md5sum_list=a%2Cb&x=%C3%A9+%26%3D"
    assert (request.header("User-Agent") or "").startswith("bulkup/")


async def test_the_cookie_is_sent_back_unless_there_is_a_key() -> None:
    handle = answering("200 OK", OK, "Set-Cookie: pwg_id=abc; path=/; HttpOnly")
    for key, cookie in (("", "pwg_id=abc"), ("pkid-1:s", None)):
        async with talking(handle, api_key=key) as (raw, session):
            for _ in range(2):
                await session.post(Request("x"))
        assert [request.header("Cookie") for request in raw.requests] == [None, cookie]
        assert {request.header("X-PIWIGO-API") for request in raw.requests} == {key or None}


# what comes back


async def test_no_redirect_is_followed(tmp_path: Path) -> None:
    photo = make_photo(tmp_path, size=100)
    for status in (301, 302, 303, 307, 308):
        async with talking(answering(f"{status} x", b"", "Location: /else")) as (raw, session):
            answer = await send(session, photo)
            assert (answer.status, answer.location, len(raw.requests)) == (status, "/else", 1)
            answer = await session.get(raw.url)
            assert (answer.status, len(raw.requests)) == (status, 2)


async def test_an_answer_has_the_wait_asked_for_and_is_cut_at_the_limit() -> None:
    async def handle(connection: Connection) -> None:
        await connection.receive()
        connection.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while True:
            connection.writer.write(b"x" * 2**20)
            await connection.writer.drain()

    async with talking(handle) as (_, session):
        answer = await session.post(Request("x"))
    assert len(answer.body) == ANSWER_LIMIT
    async with talking(answering("429 Slow down", b"later", "Retry-After: 7")) as (_, session):
        assert await session.post(Request("x")) == Answer(429, b"later", retry_after_s=7.0)


FAR = "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"


def test_a_wait_may_be_in_seconds_or_until_a_date() -> None:
    dates = ("Wed, 21 Oct 2015 07:30:00 GMT", "Wed, 21 Oct 2015 09:30:00 +0200")
    now = "Wed, 21 Oct 2015 07:28:00 GMT"
    for values, wait_s in (
        (("120", *dates), 120.0),
        ((" 7 ",), 7.0),
        (("0", "Wed, 21 Oct 2015 07:00:00 GMT"), 0.0),
        (("", "soon", "-5", "1.5", "²", "Wed, 99 Oct 2015 07:30:00 GMT", FAR), None),
    ):
        assert {retry_after(value, date=now) for value in values} == {wait_s}, values
    assert {retry_after(dates[0], date=date) for date in ("", "today", FAR)} == {None}


dates = st.text() | st.from_regex(
    r"(Mon, )?\d{1,3} (Jan|Feb|x) \d{1,6} \d\d:\d\d(:\d\d)?( GMT| [+-]\d{1,25})?", fullmatch=True
)


@given(value=dates, date=dates)
def test_any_header_is_a_wait_or_none(value: str, date: str) -> None:
    wait_s = retry_after(value, date=date)
    assert wait_s is None or wait_s >= 0


# what breaks


async def error_of(session: Session, photo: Photo | None = None) -> errors.BulkupError:
    with pytest.raises(errors.BulkupError) as caught:
        await (send(session, photo) if photo else session.post(Request("x")))
    assert "aiohttp" not in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value


async def test_a_refused_connection_and_an_unknown_host_name_are_unreachable() -> None:
    async with talking() as (raw, _):
        url = raw.url
    async with session_on(url) as session:
        error = await error_of(session)
    assert type(error) is errors.Unreachable
    assert error.message == f"no connection to {url}: Connection refused"
    async with session_on("http://nosuch.invalid/") as session:
        error = await error_of(session)
    assert type(error) is errors.HostUnknown
    assert "the spelling of the host name" in error.hint


@pytest.mark.parametrize("read", [0, 1000, 3_000_000, None])
async def test_a_connection_that_breaks_in_a_photo_or_is_not_read_is_cut_short(
    tmp_path: Path, read: int | None
) -> None:
    photo = make_photo(tmp_path, size=30_000_000)  # more than the system takes in by itself

    async def handle(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        if read is None:
            await asyncio.Event().wait()
        await connection.reader.readexactly(read or 0)
        connection.writer.transport.abort()

    timeouts = Timeouts() if read is not None else BRIEF
    async with talking(handle, timeouts=timeouts) as (_, session):
        assert type(await error_of(session, photo)) is errors.SendInterrupted


async def test_no_answer_and_an_invalid_one_count_as_lost_and_the_session_works_on(
    tmp_path: Path,
) -> None:
    photo = make_photo(tmp_path, size=100_000)
    for answer in (
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/9.9 hello\r\n\r\n",
        b"no http at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ):
        async with talking(sending(answer)) as (raw, session):
            for sent in (None, photo):
                assert type(await error_of(session, sent)) is errors.AnswerLost, answer
            assert len(raw.requests) == 2


async def test_a_server_that_never_answers_or_never_ends_its_answer_is_given_up() -> None:
    async with talking(sending(b"", stays=True), timeouts=BRIEF) as (_, session):
        for finishing in (True, False):
            with pytest.raises(errors.AnswerLost, match="did not answer in time"):
                await session.post(Request("x"), finishing=finishing)
    half = sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", stays=True)
    async with talking(half, timeouts=BRIEF) as (_, session):
        assert type(await error_of(session)) is errors.TimedOut


async def test_finishing_has_a_longer_patience_and_the_session_works_on() -> None:
    answers = asyncio.Event()

    async def handle(connection: Connection) -> None:
        while True:
            await connection.receive()
            await answers.wait()
            await connection.answer("200 OK", OK)

    async with talking(handle, timeouts=Timeouts(idle_s=0.01, finish_s=60.0)) as (_, session):

        async def give_up_first() -> None:
            assert isinstance(await error_of(session), errors.AnswerLost)
            answers.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up_first)
            assert (await session.post(Request("x"), finishing=True)).status == 200
        assert (await session.post(Request("x"), finishing=True)).status == 200


async def test_a_finish_is_known_from_its_last_byte_to_its_answer(tmp_path: Path) -> None:
    photo = make_photo(tmp_path, size=1000)
    request = Request("pwg.images.upload", chunk=Chunk(0, 1, 0, photo.size))
    received, answers = asyncio.Event(), asyncio.Event()

    async def handle(connection: Connection) -> None:
        while True:
            sent = await connection.receive()
            if b"pwg.images.upload" in sent.body:
                received.set()
                await answers.wait()
            await connection.answer("200 OK", STATUS)

    async with raw_server(handle) as raw, aiohttp.TCPConnector() as connector:
        pool = SessionPool(
            raw.url,
            credentials=Credentials(api_key="pkid-1:secret"),
            connector=connector,
            timeouts=Timeouts(),
        )
        async with pool.lease() as session, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(pool.send, session, request, photo=photo, finishing=True))
            await received.wait()
            await anyio.wait_all_tasks_blocked()
            assert len(pool.finishing) == 1
            answers.set()
        assert not pool.finishing
        await pool.close()


# TLS


async def test_an_untrusted_certificate_ends_the_run(tmp_path: Path) -> None:
    async with talking(tls=make_certificate(tmp_path)) as (raw, session):
        error = await error_of(session)
        assert not raw.requests
    assert type(error) is errors.TLSError
    assert "self-signed certificate" in error.message


@pytest.mark.parametrize(
    ("days", "known", "said"),
    [
        (None, True, "certificate required"),
        (-1, True, "certificate expired"),
        (30, False, "unknown ca"),
    ],
)
async def test_a_client_certificate_that_is_missing_or_refused_is_named(
    tmp_path: Path, days: int | None, known: bool, said: str
) -> None:
    tls, own = make_certificate(tmp_path), tmp_path / "own"
    make_certificate(own, days=days or 30)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations((own if known else tmp_path) / "cert")
    transport = Transport(ca_cert=tmp_path / "cert")
    if days is not None:
        transport = replace(transport, client_cert=own / "cert", client_key=own / "key")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:  # asyncio's servers send no alerts
            accepted, _ = listening.accept()
            talk = tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
            with suppress(ssl.SSLError):
                talk.do_handshake()
            with socket.socket(fileno=talk.detach()) as rest:
                rest.shutdown(socket.SHUT_WR)
                while rest.recv(4096):
                    pass  # or the client would see a broken connection

        async with (
            await connector_for(1, transport) as connector,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(to_thread.run_sync, serve)
            url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
            session = Session(url, connector=connector, timeouts=Timeouts(), transport=transport)
            error = await error_of(session)
            await session.close()
    assert (type(error), error.code) == (errors.TLSError, "client-certificate")
    assert f"({said})" in error.message


# what stands in front of the server


@pytest.mark.parametrize("api_key", ["", "pkid-1:key"])
async def test_every_request_carries_headers_password_and_the_cookies_of_a_front_door(
    api_key: str,
) -> None:
    cookies = ("Set-Cookie: door=a", "Set-Cookie: pwg_id=b")
    transport = Transport(
        headers={"X-Door": "c", "Cookie": "d=e"}, http_user="f", http_password="é"
    )
    handle = answering("200 OK", OK, *cookies)
    async with talking(handle, transport=transport, api_key=api_key) as (raw, session):
        await session.get(f"{session.url}ws.php")
        await session.post(Request("x"))
    for request, kept in zip(raw.requests, ([], ["door=a"]), strict=True):
        sent = sorted((request.header("Cookie") or "").split("; "))
        assert sent == sorted(["d=e", *kept, *(["pwg_id=b"] if kept and not api_key else [])])
        assert request.header("Authorization") == "Basic ZjrDqQ=="
        assert (request.header("X-Door"), request.header("X-PIWIGO-API")) == ("c", api_key or None)


async def test_a_proxy_that_does_not_answer_is_not_awaited_forever() -> None:
    async with ForwardProxy("http://127.0.0.1:9", silent=True).running() as proxy:
        transport = Transport(proxy=proxy.url)
        async with await connector_for(1) as connector:
            session = Session(
                "https://gallery.test/",
                connector=connector,
                timeouts=Timeouts(connect_s=0.05),
                transport=transport,
            )
            error = await error_of(session)
            await session.close()
    assert type(error) is errors.ProxyUnreachable
    assert error.message == f"no connection through the proxy {proxy.url}: no connection in time"
