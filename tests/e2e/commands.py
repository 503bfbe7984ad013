"""What tests of the real command share: how to start it, to read it, and to know its end."""

import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import anyio
from anyio.abc import ByteReceiveStream, Process

from bulkup.sandbox import Fault, Faults, Sandbox
from tests.e2e import warm
from tests.engine.runs import picture

PASSWORD = "hunter2-secret"
COMMAND = [sys.executable, "-m", "bulkup"]
UPLOADS = {"pwg.images.upload", "pwg.images.uploadAsync"}


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Return this process's environment without anybody's settings of bulkup, and with these."""
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


async def begin(
    arguments: Sequence[str | Path], variables: Mapping[str, str], *, piped: Collection[int]
) -> Process:
    """Start the command with pipes for these of its standard streams, no others."""
    words = [*map(str, arguments)]
    if warm.is_able(variables):
        return warm.start(words, variables, piped=piped)
    ends = [subprocess.PIPE if number in piped else subprocess.DEVNULL for number in range(3)]
    return await anyio.open_process(
        [*COMMAND, *words], env=variables, stdin=ends[0], stdout=ends[1], stderr=ends[2]
    )


async def bulkup(*arguments: str | Path, given: str = "", **settings: str) -> Ended:
    """Run the command to its end, with what is `given` on its standard input."""
    piped = {0, 1, 2} if given else {1, 2}
    said: dict[int, bytes] = {}

    async def read(number: int, stream: ByteReceiveStream | None) -> None:
        assert stream is not None
        said[number] = b"".join([part async for part in stream])

    async with (
        await begin(arguments, environment(settings), piped=piped) as process,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(read, 1, process.stdout)
        tasks.start_soon(read, 2, process.stderr)
        if process.stdin is not None:
            with suppress(anyio.BrokenResourceError):  # it need not read all
                await process.stdin.send(os.fsencode(given))
            await process.stdin.aclose()
        code = await process.wait()
    return Ended(code, said[1].decode(), said[2].decode())


async def send(box: Sandbox, *arguments: str | Path, given: str = "", **settings: str) -> Ended:
    """Run the command against a sandbox, with all that it needs unless told otherwise."""
    needed = {"url": box.url, "user": "admin", "password": PASSWORD, "album": "1"}
    return await bulkup(*arguments, given=given, **(needed | settings))


def one_photo(folder: Path, name: str = "a.jpg") -> Path:
    path = folder / name
    path.write_bytes(picture(Random(name), size=5000))
    return path


class Noticing(Faults):
    """Faults that tell when the nth upload comes in."""

    def __init__(self, *plan: Fault, nth: int) -> None:
        super().__init__(plan)
        self.watch(nth=nth)

    def watch(self, *, nth: int) -> None:
        """Tell of the nth from now on."""
        self.came = anyio.Event()
        self._left = nth

    def strike(self, method: str) -> Fault | None:
        if method in UPLOADS:
            self._left -= 1
            if self._left <= 0:
                self.came.set()
        return super().strike(method)


async def start(
    box: Sandbox, *arguments: str | Path, stdin: int = subprocess.DEVNULL, **settings: str
) -> Process:
    needed = {"url": box.url, "user": "admin", "password": PASSWORD, "album": "1"}
    piped = {0, 2} if stdin == subprocess.PIPE else {2}
    return await begin(arguments, environment(needed | settings), piped=piped)


async def read_until(process: Process, words: str = "") -> str:
    """Return what the process says up to these words, or to its end."""
    assert process.stderr is not None
    text = ""
    try:
        while not words or words not in text:
            text += (await process.stderr.receive()).decode()
    except anyio.EndOfStream:
        assert not words, text
    return text
