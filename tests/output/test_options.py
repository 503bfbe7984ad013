"""Options of outputs: the monitor's address, and the command line without secrets."""

import shlex
import subprocess

import pytest

from bulkup.errors import UsageError
from bulkup.output.options import ListenAddress, parse_listen
from bulkup.output.outputs import command_line

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
    assert parse_listen(text) == ListenAddress(host=host, port=port)


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


# the command line without secrets


@pytest.mark.parametrize(
    "arguments",
    [
        ["--password-command", "echo hunter2"],
        ["--password-command=echo hunter2"],
        ["--notify", "mailto://me:hunter2@example.org"],
        ["--monitor-token", "hunter2"],
        ["--api-key", "hunter2", "--album", "9"],
        ["--url", "https://me:hunter2@example.org/"],
        ["--url=https://example.org/?token=hunter2"],
        ["https://hunter2@[broken/"],
    ],
)
def test_secrets_are_not_shown(arguments: list[str]) -> None:
    shown = command_line(["./photos", *arguments])
    assert "hunter2" not in shown
    assert "…" in shown or "://example.org" in shown


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["./photos", "--album", "9", "-c", "8"], "./photos --album 9 -c 8"),
        (["--password-file", "me.txt"], "--password-file me.txt"),
        (["--url", "https://example.org/gallery/"], "--url https://example.org/gallery/"),
        (["--notify", "x://y", "a b"], "--notify '…' 'a b'"),
        (["--notify=x://y", "./photos"], "'--notify=…' ./photos"),
    ],
)
def test_what_is_no_secret_is_shown(arguments: list[str], shown: str) -> None:
    assert command_line(arguments) == f"bulkup {shown}"


def test_odd_names_are_quoted_for_a_shell() -> None:
    names = ["it's", "a b", "new\nline", "esc\x1b[2J", "\u202egpj", "bad\udcff", "$HOME", "*.jpg"]
    shown = command_line(names)
    assert shown.isprintable()
    read = subprocess.run(  # noqa: S603
        ["bash", "-c", f"printf '%s\\0' {shown.removeprefix('bulkup ')}"],  # noqa: S607
        capture_output=True,
        check=True,
    ).stdout
    assert read.split(b"\0")[:-1] == [name.encode("utf-8", "surrogateescape") for name in names]
    assert shlex.split(command_line(names[:2]))[1:] == names[:2]
