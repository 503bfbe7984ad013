"""Outputs of a run: their options, and views side by side, of which one can't go on."""

import errno
import shlex
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from threading import Event as Flag
from typing import Self

import pytest

from bulkup.errors import UsageError
from bulkup.events import Event, Retrying, RunFailed, RunFinished
from bulkup.output import sinks
from bulkup.output.files import JsonReport
from bulkup.output.options import ListenAddress, OutputOptions, parse_listen
from bulkup.output.outputs import command_line, others_for
from bulkup.output.plain import LogReport, PlainReport
from bulkup.output.sinks import LineWriter, Outputs, StateReport
from bulkup.output.text import console_for
from tests.support.sample_run import RUN, ManualClock, failure

TOKEN = "0123456789abcdef"
FAILED = failure(Path("a\nb.jpg"), reason="it is empty", hint="Look at it.")


class FullDisk(StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class Stalled(StringIO):
    """Takes the first line, and no other one before `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = Flag()

    def write(self, text: str) -> int:
        self.go.wait(10)
        return super().write(text)


class Kept:
    """Keeps what it is reported, unless it `refuses` to begin."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.reported: list[Event] = []
        self.ended = False
        self._refuses = refuses

    def emit(self, event: Event) -> None:
        self.reported.append(event)

    async def __aenter__(self) -> Self:
        if self._refuses:
            raise UsageError("it can't be begun", hint="")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended = True


def noon() -> datetime:
    return datetime(2024, 7, 1, 12, tzinfo=UTC)


async def test_a_full_disk_is_reported_by_the_next_line_or_by_the_end() -> None:
    lines = LineWriter(FullDisk())
    lines.put("a\n")
    with pytest.raises(OSError, match="No space"):
        await lines.close()
    with pytest.raises(OSError, match="No space"):
        lines.put("b\n")


async def test_a_reader_who_does_not_read_is_given_up_before_memory_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sinks, "MAX_WAITING", 10)
    stream = Stalled()
    lines = LineWriter(stream)
    for n in range(11):
        lines.put(f"{n}\n")
    with suppress(BlockingIOError):  # unless the first one is on its way already
        lines.put("11\n")
    with pytest.raises(BlockingIOError, match="10 lines are queued"):
        lines.put("12\n")
    stream.go.set()
    await lines.close()
    assert stream.getvalue().startswith("0\n1\n")


async def test_a_view_that_fails_is_named_once_and_the_others_go_on() -> None:
    shown, kept = StringIO(), Kept()
    seen = PlainReport(console_for(shown), clock=ManualClock())
    broken = JsonReport(LineWriter(FullDisk()), wall_clock=noon)
    async with Outputs(seen, {"--log-file": broken, "--json": kept}) as views:
        views.emit(RUN)
        views.emit(FAILED)
        views.emit(RunFinished(seconds=1))
    assert shown.getvalue().count("--log-file is incomplete: No space left on device") == 1
    assert kept.reported == [RUN, FAILED, RunFinished(seconds=1)]
    assert kept.ended
    assert seen.state.failed == 1


async def test_where_one_view_can_not_begin_those_that_have_begun_are_ended() -> None:
    kept, unopened = Kept(), Kept(refuses=True)
    with pytest.raises(UsageError):
        async with Outputs(StateReport(clock=ManualClock()), {"a": kept, "b": unopened}):
            pass
    assert (kept.ended, unopened.ended) == (True, False)


async def test_a_log_has_a_line_with_its_time_for_whatever_happens() -> None:
    stream = StringIO()
    async with LogReport(LineWriter(stream), wall_clock=noon, clock=ManualClock()) as log:
        log.emit(RUN)
        log.emit(Retrying(path=Path("a.jpg"), reason="the line broke", attempt=1, after_s=2))
        log.emit(FAILED)
        log.emit(RunFailed(reason="the server is gone", hint="Start it."))
        log.emit(RunFailed(reason="it is gone", hint=""))
    lines = stream.getvalue().splitlines()
    reported = [line.partition("2024-07-01 12:00:00+00:00 ")[2] for line in lines]
    where = "Holidays (album 9) at https://photos.example.org"
    assert reported[:6] == [
        f"{where}: uploadAsync, 8 at once, Piwigo 14.5.0",
        "again   a.jpg: the line broke; in 2 s",
        r"failed  a\nb.jpg: it is empty (Look at it.)",
        "run failed: the server is gone (Start it.)",
        "run failed: it is gone",
        f"Not finished after 0 s: {where}",
    ]
    assert not [line for line in reported if line.endswith(" ")]


def test_a_file_that_can_not_be_written_is_reported_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--log-file .* can't be written: No such file"):
        others_for(OutputOptions(log_file=tmp_path / "none" / "a.log"))


# where the monitor listens


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


OPEN = ["0.0.0.0:8765", "[::]:8765", "192.168.1.5:8765", "nas.local:8765", "[fe80::1]:8765"]
NO_PLACE = [
    *("", "on", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:123456", "::1:8765"),
    *("[127.0.0.1:80", "[nas]:80", "1.2.3:80", "http://127.0.0.1:8765", "a b:80", "a/b:80"),
    "ü:80",
]
WEAK = ["s3cret", TOKEN[1:], f"{TOKEN} ", f"{TOKEN}ü", f"{TOKEN}\n"]  # or fits in no address


@pytest.mark.parametrize(
    ("text", "token", "words", "hint"),
    [
        *((text, "", "is reachable from other machines", "--monitor-token-file") for text in OPEN),
        *((text, TOKEN, "is not a host with a port", "127.0.0.1:8765") for text in NO_PLACE),
        *((OPEN[0], token, "token", "openssl rand") for token in WEAK),
    ],
)
def test_without_a_good_token_none_is_open_to_others_and_not_every_text_is_a_place(
    text: str, token: str, words: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_listen(text, token=token)
    assert hint in caught.value.hint
    assert not token or token.strip() not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("text", OPEN)
def test_with_a_token_it_may_be_open_to_others(text: str) -> None:
    listen = parse_listen(text, token=TOKEN)
    assert listen.authority == text
    assert TOKEN not in repr(listen)


# the command line without secrets


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--password-command", "echo hunter2"], "--password-command '…'"),
        (["--password-command=echo hunter2"], "'--password-command=…'"),
        (["--notify", "mailto://me:hunter2@example.org", "a b"], "--notify '…' 'a b'"),
        (["--notify=mailto://hunter2", "./photos"], "'--notify=…' ./photos"),
        (["--monitor-token", "hunter2"], "--monitor-token '…'"),
        (["--proxy", "me:hunter2@b:1", "--header", "X: hunter2"], "--proxy '…' --header '…'"),
        (["--header-file", "h.txt", "--http-user", "me"], "--header-file h.txt --http-user me"),
        (["--api-key", "hunter2", "--album", "9"], "--api-key '…' --album 9"),
        (["--url", "https://me:hunter2@example.org/"], "--url https://example.org/"),
        (["--url=https://example.org/?token=hunter2"], "'--url=https://example.org/?…'"),
        (["https://hunter2@[broken/"], "'…'"),
        (["./photos", "--album", "9", "-c", "8"], "./photos --album 9 -c 8"),
        (["--password-file", "me.txt"], "--password-file me.txt"),
        (["--url", "https://example.org/gallery/"], "--url https://example.org/gallery/"),
    ],
)
def test_all_is_shown_but_secrets(arguments: list[str], shown: str) -> None:
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
