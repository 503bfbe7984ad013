import shlex
import subprocess

import pytest

from bulkup.output.outputs import command_line


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
