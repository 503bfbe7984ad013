"""Helpers for tests of the real command: start it, read its output, check its end."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryFile
from unittest import mock

import anyio
import pytest
from aiohttp import web
from anyio import to_thread
from anyio.abc import Process

from bulkup import cli
from bulkup.engine.retry import Policy
from bulkup.sandbox import Faults, Sandbox
from tests.support.runs import picture

PASSWORD = "hunter2-secret"
COMMAND = [sys.executable, "-m", "bulkup"]
UPLOADS = {"pwg.images.upload", "pwg.images.uploadAsync"}


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the environment without any settings of bulkup except these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BULKUP_")}
    named = {f"BULKUP_{name.upper()}": value for name, value in settings.items() if value}
    return clean | named | {"COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}


@dataclass
class Ended:
    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        both = self.out + self.err
        assert "Traceback" not in both
        assert PASSWORD not in both
        assert "\x1b" not in both


def has_rows(ended: Ended, *patterns: str) -> bool:
    """Return whether the summary has a row for each of these patterns."""
    return all(re.search(rf"^ +{pattern}", ended.err, re.MULTILINE) for pattern in patterns)


async def begin(
    arguments: Sequence[str | Path], variables: Mapping[str, str], *, piped: Collection[int]
) -> Process:
    """Start the command as a process, with pipes for these standard streams alone."""
    words = [*map(str, arguments)]
    ends = [subprocess.PIPE if number in piped else subprocess.DEVNULL for number in range(3)]
    return await anyio.open_process(
        [*COMMAND, *words], env=variables, stdin=ends[0], stdout=ends[1], stderr=ends[2]
    )


async def bulkup(
    *arguments: str | Path, given: str | int = "", out: int | str | None = None, **settings: str
) -> Ended:
    """Run the command line in a thread of this process.

    `given`: its standard input, as text or a descriptor; `out`: a descriptor for its standard
    output, instead of the text returned. It gets no signals: tests of these use `start`.
    """
    words = [*map(str, arguments)]
    return await to_thread.run_sync(_run, words, environment(settings), given, out)


def _run(
    words: list[str], variables: Mapping[str, str], given: str | int, out: int | str | None
) -> Ended:
    if core := sys.modules.get("keyring.core"):  # the command chooses the ring by its variables
        core._keyring_backend = None  # type: ignore[attr-defined]
    with (
        TemporaryFile() as stdin,
        TemporaryFile() as stdout,
        TemporaryFile() as stderr,
        mock.patch.dict(os.environ, variables, clear=True),
        mock.patch.object(sys, "argv", ["bulkup", *words]),
    ):
        if isinstance(given, str):
            stdin.write(os.fsencode(given))
            stdin.seek(0)
            given = stdin.fileno()
        with _streams(given, out if isinstance(out, int) else stdout.fileno(), stderr.fileno()):
            code = cli.run(words)
        texts = []
        for stream in (stdout, stderr):
            stream.seek(0)
            texts.append(os.fsdecode(stream.read()))
    return Ended(code, *texts)


@contextmanager
def _streams(*descriptors: int) -> Iterator[None]:
    """Replace the standard streams of this process."""
    saved = [os.dup(number) for number in range(3)]
    before = sys.stdin, sys.stdout, sys.stderr
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    opened = [
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 (closed below)
        for number, mode in enumerate("rww")
    ]
    sys.stdin, sys.stdout, sys.stderr = opened
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        for stream in opened:
            with suppress(OSError):  # on a full disk
                stream.close()
        for number, descriptor in enumerate(saved):
            os.dup2(descriptor, number)
            os.close(descriptor)


def account(box: Sandbox) -> dict[str, str]:
    """Return the settings that every command for a sandbox needs."""
    return {"url": box.url, "user": "admin", "password": PASSWORD}


def needs(box: Sandbox) -> dict[str, str]:
    """Return the settings that an upload to a sandbox needs."""
    return account(box) | {"album": "1"}


async def send(
    box: Sandbox,
    *arguments: str | Path,
    given: str | int = "",
    out: int | str | None = None,
    **settings: str,
) -> Ended:
    """Run the command against a sandbox, with the settings it needs unless others are given.

    Photos are finished one at a time: to count workers takes longer than such a run.
    """
    needed = needs(box) | {"finishing": "1"} | settings
    return await bulkup(*arguments, given=given, out=out, **needed)


def one_photo(folder: Path, name: str = "a.jpg") -> Path:
    path = folder / name
    path.write_bytes(picture(Random(name), size=5000))
    return path


class Held(Sandbox):
    """A sandbox that holds its answers to some methods, from the nth on, until `go` is set."""

    def __init__(self, *methods: str, nth: int = 1, faults: Faults | None = None) -> None:
        super().__init__(admin=("admin", PASSWORD), faults=faults)
        self.came = anyio.Event()
        self.go = anyio.Event()
        self._methods = methods
        self._left = nth

    async def __aexit__(self, *exc_info: object) -> None:
        self.go.set()
        await super().__aexit__(*exc_info)

    def step(self) -> None:
        """Release the answers that are held, and hold those to the next requests."""
        self.go.set()
        self.came, self.go = anyio.Event(), anyio.Event()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        response = await super()._serve(request)
        if request.path == "/ws.php" and self.requests[-1].method in self._methods:
            self._left -= 1
            if self._left <= 0:
                self.came.set()
                await self.go.wait()
        return response


async def start(
    box: Sandbox, *arguments: str | Path, stdin: int = subprocess.DEVNULL, **settings: str
) -> Process:
    piped = {0, 2} if stdin == subprocess.PIPE else {2}
    return await begin(arguments, environment(needs(box) | settings), piped=piped)


async def read_until(process: Process, words: str = "") -> str:
    """Return what the process prints up to these words, or to its end."""
    assert process.stderr is not None
    text = ""
    try:
        while not words or words not in text:
            text += (await process.stderr.receive()).decode()
    except anyio.EndOfStream:
        assert not words, text
    return text


async def interrupted(
    box: Held, process: Process, *, twice: bool = False, by: signal.Signals = signal.SIGINT
) -> str:
    """Interrupt a run while its answer is held, and return all that it prints.

    The answer is released after the first signal; with `twice` a second signal aborts the run.
    """
    await box.came.wait()
    process.send_signal(by)
    text = await read_until(process, "again aborts")
    if twice:
        process.send_signal(by)
    else:
        box.go.set()
    text += await read_until(process)
    assert await process.wait() == 130
    return text


# the fixtures of every test that runs commands


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep tests out of the user's folders and key ring, and of each other's."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    return folder


@pytest.fixture(autouse=True)
def event_loop_guard() -> None:
    """Allow commands to write to their standard streams, which blocks the event loop."""


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    """Run a sandbox without faults."""
    async with Sandbox(admin=("admin", PASSWORD), faults=Faults()) as running:
        yield running


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with one photo, `a.jpg`, and nothing else."""
    folder = tmp_path / "photos"
    folder.mkdir()
    one_photo(folder)
    return folder


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make commands in this process retry at once."""
    monkeypatch.setattr(Policy, "backoff", lambda *_, **__: 0.0)
