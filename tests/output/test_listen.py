import pytest

from bulkup.errors import UsageError
from bulkup.output.options import Listen, parse_listen

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8765", "127.0.0.1", 8765),
        ("8765", "127.0.0.1", 8765),
        (":0", "127.0.0.1", 0),
        ("localhost:80", "127.0.0.1", 80),
        ("LOCALHOST:80", "127.0.0.1", 80),
        ("127.3.2.1:80", "127.3.2.1", 80),
        ("[::1]:8765", "::1", 8765),
        (" 127.0.0.1:8765 ", "127.0.0.1", 8765),
    ],
)
def test_on_loopback_it_needs_no_token(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == Listen(host=host, port=port)


@pytest.mark.parametrize(
    "text", ["0.0.0.0:8765", "[::]:8765", "192.168.1.5:8765", "nas.local:8765", "[fe80::1]:8765"]
)
def test_wherever_others_can_reach_it_it_needs_a_token(text: str) -> None:
    with pytest.raises(UsageError, match="is reachable from other machines") as caught:
        parse_listen(text)
    assert "--monitor-token-file" in caught.value.hint
    listen = parse_listen(text, token=TOKEN)
    assert listen.authority == text
    assert TOKEN not in repr(listen)


@pytest.mark.parametrize(
    "text",
    [
        *("", "on", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:123456", "::1:8765"),
        *("[127.0.0.1:80", "[nas]:80", "1.2.3:80", "http://127.0.0.1:8765", "a b:80", "a/b:80"),
        "ü:80",
    ],
)
def test_anything_else_is_told_before_any_request(text: str) -> None:
    with pytest.raises(UsageError, match="is not a host with a port") as caught:
        parse_listen(text, token=TOKEN)
    assert "127.0.0.1:8765" in caught.value.hint


@pytest.mark.parametrize("token", ["s3cret", TOKEN[1:], f"{TOKEN} ", f"{TOKEN}ü", f"{TOKEN}\n"])
def test_a_token_that_is_weak_or_fits_in_no_address_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="token") as caught:
        parse_listen("0.0.0.0:8765", token=token)
    assert "openssl rand" in caught.value.hint
    assert token.strip() not in caught.value.message + caught.value.hint
