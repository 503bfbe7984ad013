"""The address of the gallery: as users type it, and redirects."""

import json
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.errors import RunError, UsageError
from bulkup.piwigo.connect import clean_url, connect, is_allowed_redirect
from bulkup.piwigo.session import Credentials
from bulkup.sandbox import Sandbox
from tests.support import runs
from tests.support.raw import Connection, Handler, RawServer, answering, raw_server

PASSWORD = "hunter2-secret"
ADMIN = Credentials("admin", PASSWORD)

# addresses


PAGES = (
    *("ws.php", "ws.php?format=json&method=pwg.getVersion", "identification.php", "#top"),
    *("index.php?/category/9", "index.php?/category/9/start-15#x", "index.php/category/9"),
    *("picture.php?/12/category/3", "admin.php?page=album-1", "?/category/9"),
)


def test_an_address_may_be_typed_like_this_also_that_of_a_page() -> None:
    for typed, base in {
        "https://photos.example.org": "https://photos.example.org/",
        "photos.example.org": "https://photos.example.org/",
        " https://photos.example.org/piwigo \n": "https://photos.example.org/piwigo/",
        "photos.example.org:8443/piwigo/": "https://photos.example.org:8443/piwigo/",
        "http://127.0.0.1/~me/": "http://127.0.0.1/~me/",
        "http://[::1]:8080/g": "http://[::1]:8080/g/",
        "HTTP://example.org/": "http://example.org/",
        "http://x.org//g//": "http://x.org//g/",
        "http://фото.example/": "http://фото.example/",
    }.items():
        assert clean_url(typed) == base
        assert {clean_url(base + page) for page in PAGES} == {base}


def test_an_invalid_address_is_refused_with_an_example() -> None:
    for typed in (
        *("", " ", "/", "http://", "http:///path", "https://:443/", "ftp://x.org/"),
        *("file:///etc/passwd", "javascript:alert(1)", "not an address", "http://[::1/"),
        *("http://x.org:99999/", "http://x.org:0/", "http://x.org:port/", "http://x .org/"),
        *("http://x\x00.org/", "http://x.org\\g/", "http://<x>/", "http://%zz/"),
    ):
        with pytest.raises(UsageError, match="is not a web address") as caught:
            clean_url(typed)
        assert "https://photos.example.org/" in caught.value.hint
    with pytest.raises(UsageError, match="contains a user name") as caught:
        clean_url("https://admin@x.org/")
    assert "--user" in caught.value.hint


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    for typed in (
        *("https://admin:{}@x.org/", "admin:{}@x.org", "ftp://admin:{}@x.org/"),
        *("https://admin:{}@x.org:99999/", "https://admin:{}@/", "https://admin:a/{}@x.org/"),
        *("https://:{}@x.org/", "https://admin:[{}@x.org/"),
    ):
        with pytest.raises(UsageError) as caught:
            clean_url(typed.format(PASSWORD))
        assert PASSWORD not in f"{caught.value.message} {caught.value.hint}"


@given(typed=st.text() | st.text("htps:/.@[]#?0189a%\\ "))
def test_any_text_is_an_address_or_a_usage_error(typed: str) -> None:
    try:
        base = clean_url(typed)
    except UsageError:
        return
    assert base.endswith("/")
    assert urlsplit(base).scheme in {"http", "https"}
    assert clean_url(base) == base


@pytest.mark.parametrize(
    ("origin", "targets", "stays"),
    [
        ("http://x.org/", ["http://x.org/g/", "https://x.org/"], True),
        ("http://x.org:80/", ["http://x.org/"], True),
        ("https://x.org/", ["https://x.org:443/"], True),
        ("http://x.org:8080/", ["https://x.org/"], True),
        ("http://X.org/", ["http://x.ORG/"], True),
        ("https://x.org/", ["http://x.org/", "https://x.org:8443/"], False),
        ("http://x.org/", ["http://www.x.org/", "http://evil.org/x.org/"], False),
        ("http://x.org/", ["http://x.org@evil.org/", "http://x.org:8080/"], False),
        ("http://x.org/", ["ftp://x.org/", "http://x.org:99999/", "http://[x.org/", ""], False),
    ],
)
def test_redirects_stay_at_the_named_host(origin: str, targets: list[str], stays: bool) -> None:
    assert [is_allowed_redirect(origin, target) for target in targets] == [stays] * len(targets)


# servers


async def refused(url: str, *, credentials: Credentials = ADMIN) -> RunError:
    with pytest.raises(RunError) as caught:
        async with connect(url, credentials=credentials):
            pytest.fail("connected")
    assert PASSWORD not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


def received_no_secret(server: RawServer) -> bool:
    return not any(
        PASSWORD.encode() in request.body or PASSWORD in request.head
        for request in server.requests
    )


def redirecting(location: str) -> Handler:
    return answering("302 Found", b"", f"Location: {location}")


async def test_the_gallery_is_found_under_its_path_and_logged_out_at_the_end() -> None:
    async with Sandbox(path="/piwigo/") as box:
        for path in ("piwigo/", "piwigo", "piwigo/index.php?/category/1"):
            url = box.url.removesuffix("piwigo/") + path
            async with connect(url, credentials=runs.ADMIN) as server:
                assert server.offer.url == box.url
            assert box.requests[-1].method == "pwg.session.logout"


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
async def test_a_redirect_on_the_same_host_is_followed_before_the_log_in(status: str) -> None:
    rank = {"status": "guest"}

    async def handle(connection: Connection) -> None:
        while True:
            request = await connection.receive()
            if request.target.startswith("/old/"):
                await connection.answer(status, b"", f"Location: /new/{request.target[5:]}")
                continue
            if b"pwg.session.login" in request.body:
                rank["status"] = "webmaster"
            await connection.answer("200 OK", json.dumps({"stat": "ok", "result": rank}).encode())

    async with raw_server(handle) as raw, connect(f"{raw.url}old/", credentials=ADMIN) as server:
        assert server.offer.url == f"{raw.url}new/"
        posted = {request.target for request in raw.requests if request.head.startswith("POST")}
    assert posted == {"/new/ws.php?format=json"}


@pytest.mark.parametrize(
    "location",
    [
        *("", "http://[bad/", "http://x:99999/", "http://127.0.0.1:0/", "//", "ftp://x/"),
        *("http://me:pw@127.0.0.1/", "\x80", "http://me:pw@{host}/g/ws.php", "{other}ws.php"),
    ],
)
async def test_a_redirect_to_nowhere_to_another_port_or_with_a_password_is_refused(
    location: str,
) -> None:
    async def handle(connection: Connection) -> None:
        host = (await connection.receive()).header("Host")
        target = location.format(host=host, other=other.url)
        await connection.answer("302 x", b"", f"Location: {target}")

    piwigo = answering("200 OK", b'{"stat":"ok","result":{}}')
    async with raw_server(piwigo) as other, raw_server(handle) as raw:
        await refused(raw.url)
        assert received_no_secret(raw)
        assert not other.requests


NO_PIWIGO = (
    "no Piwigo answers at {url}ws.php",
    "Give the address of the gallery's home page as --url.",
)
NOT_FOUND = "404 Not Found"


@pytest.mark.parametrize(
    ("handle", "words", "hint"),
    [
        *(
            (answering(status, body), *NO_PIWIGO)
            for status, body in [
                (NOT_FOUND, b"<html><h1>404 Not Found</h1></html>"),
                ("200 OK", b"<!DOCTYPE html><html><body>Welcome to nginx!</body></html>"),
                ("501 No", b'{"stat":"fail","err":501,"message":"Method name is not valid"}'),
                ("403 Forbidden", b"<html>Forbidden</html>"),
                ("418 I'm a teapot", b"short and stout"),
                *(("200 OK", body) for body in (b"", b"\x00\xff\xfe", b'{"hello":"world"}')),
                *(("200 OK", b'{"stat":"ok","result":%b}' % body) for body in (b"null", b"[]")),
                *((status, b"") for status in (NOT_FOUND, "500 Server Error", "204 No Content")),
            ]
        ),
        *(
            (answering(status), "can't be reached: the server is unavailable", "")
            for status in ("502 Bad Gateway", "503 Unavailable", "504 Gateway Time-out")
        ),
        (answering("200 OK", b"<body>Welcome to nginx!</body>"), "“Welcome to nginx!”", ""),
        (answering("401 Unauthorized"), "requires a password of its own", ""),
        (redirecting("http://evil.invalid/g"), "another server: http://evil.invalid/g", "--url"),
        (redirecting("/ws.php"), "redirects to /ws.php", ""),  # without end
    ],
)
async def test_what_a_web_server_without_piwigo_answers_is_reported(
    handle: Handler, words: str, hint: str
) -> None:
    async with raw_server(handle) as raw:
        error = await refused(raw.url)
        assert len(raw.requests) <= 6
        assert received_no_secret(raw)
    assert words.format(url=raw.url) in error.message
    assert error.hint == hint if words == NO_PIWIGO[0] else hint in error.hint


@pytest.mark.parametrize("version", ["13.8.0", "15.7.0"])
async def test_an_api_key_is_refused_where_there_are_none_and_not_shown(version: str) -> None:
    credentials = Credentials(api_key=f"pkid-1:{PASSWORD}")
    async with Sandbox(version=version) as box:
        error = await refused(box.url, credentials=credentials)
    assert "does not support API keys" in error.message
