"""A pseudo-terminal in which the real command runs, and whose screen tests read."""

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

import anyio
import pyte

from bulkup.sandbox import Sandbox
from tests.support.commands import COMMAND, PASSWORD, environment

# makes the terminal the controlling one of its session: for Ctrl-C and SIGWINCH, as in a shell
BECOME = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(2, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def standing(screen: pyte.Screen) -> list[str]:
    """Return the lines of a screen without the empty ones at its end."""
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def scrolled(screen: pyte.HistoryScreen) -> list[str]:
    """Return the lines that have scrolled off a screen."""
    return [
        "".join(row[column].data for column in range(max(row, default=-1) + 1)).rstrip()
        for row in screen.history.top
    ]


class Terminal:
    """Runs the command against a sandbox while the `async with` lasts.

    `raw`: all bytes written; `frames`: the screen after each piece of them.
    """

    def __init__(
        self,
        box: Sandbox,
        *arguments: str | Path,
        columns: int = 80,
        rows: int = 24,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000, ratio=0.001)
        self.raw = b""
        self.frames: list[list[str]] = []
        self.code: int | None = None
        self._stream = pyte.ByteStream(self.screen)
        if "--finishing" not in arguments:  # to count the workers takes longer than a run
            arguments = (*arguments, "--finishing", "3")
        self._arguments = [*COMMAND, *map(str, arguments)]
        given = {"url": box.url, "user": "admin", "password": PASSWORD, "album": "1"}
        self._environment = environment(given) | {"TERM": "xterm-256color", **variables}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            if name not in variables:
                self._environment.pop(name, None)
        self._came = asyncio.Event()
        self._ended = False

    async def __aenter__(self) -> Self:
        self._terminal, inside = pty.openpty()
        self._set_size()
        self._process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", BECOME, *self._arguments],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=self._environment,
            start_new_session=True,
        )
        os.close(inside)
        os.set_blocking(self._terminal, False)
        asyncio.get_running_loop().add_reader(self._terminal, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._ended:
            asyncio.get_running_loop().remove_reader(self._terminal)
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        os.close(self._terminal)

    def resize(self, columns: int, rows: int) -> None:
        """Resize the window; the screen is cut, as on a plain terminal."""
        self.screen.resize(rows, columns)
        self._set_size()

    def press(self, keys: bytes) -> None:
        """Type keys."""
        os.write(self._terminal, keys)

    async def until(self, seen: Callable[[str], bool]) -> list[str]:
        """Return the screen as soon as `seen` returns True for it."""
        with anyio.fail_after(60):
            while not seen("\n".join(self.lines)):
                assert not self._ended, "\n".join(self.lines)
                self._came.clear()
                await self._came.wait()
        return self.lines

    async def end(self) -> list[str]:
        """Wait for the end; return all lines, those that have scrolled off included."""
        with anyio.fail_after(60):
            while not self._ended:
                self._came.clear()
                await self._came.wait()
            self.code = await self._process.wait()
        return [*scrolled(self.screen), *self.lines]

    @property
    def lines(self) -> list[str]:
        """The lines of the screen without the empty ones at its end."""
        return standing(self.screen)

    def _read(self) -> None:
        try:
            came = os.read(self._terminal, 65536)
        except OSError:  # EIO on Linux: the command has ended
            came = b""
        if came:
            self.raw += came
            self._stream.feed(came)
            self.frames.append(self.lines)
        else:
            self._ended = True
            asyncio.get_running_loop().remove_reader(self._terminal)
        self._came.set()

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self.screen.lines, self.screen.columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)
