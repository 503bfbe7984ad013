"""Reads a list of paths from a file, or from another program on standard input."""

import os
import stat
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import aiofiles
import anyio
from anyio import to_thread

from bulkup.errors import RunError
from bulkup.errors import run as run_failures
from bulkup.source.filters import Listing

PIECE: Final = 16 * 1024
"""Bytes per read of a list."""

LONGEST: Final = 64 * 1024
"""More bytes than any path can have."""

WAKE_S: Final = 0.5
"""How often to yield nothing while waiting for a program that writes the list, in seconds."""

BOM: Final = b"\xef\xbb\xbf"


async def read_list(
    listing: Listing, *, wake_s: float = WAKE_S
) -> AsyncGenerator[list[Path], None]:
    """Yield the paths of a list; an empty batch every `wake_s` seconds while waiting for more.

    Raises `RunError` if the list can't be read or is not one.
    """
    stdin = listing.file == "-"
    name = "the list on standard input" if stdin else f"the list {listing.file}"
    splitter = Splitter(name, from0=listing.from0)
    try:
        file = await aiofiles.open(
            0 if stdin else listing.file, "rb", buffering=0, closefd=not stdin
        )
        try:
            number = file.fileno()
            waits = await to_thread.run_sync(_may_wait, number)
            while True:
                if waits and not await _is_readable(number, wake_s):
                    yield []
                    continue
                piece = await file.read(PIECE)
                if not piece:
                    break
                yield [_path(line) for line in splitter.feed(piece)]
        finally:
            with anyio.CancelScope(shield=True):
                await file.close()
    except OSError as error:
        reason = error.strerror or error
        raise RunError(run_failures.LIST_UNREAD(name=name, reason=reason)) from None
    yield [_path(line) for line in splitter.end()]


def _path(line: bytes) -> Path:
    return Path(line.decode(sys.getfilesystemencoding(), "surrogateescape"))


def _may_wait(number: int) -> bool:
    """Return whether a read may have to wait for another program."""
    mode = os.fstat(number).st_mode
    return os.name == "posix" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


async def _is_readable(number: int, wake_s: float) -> bool:
    """Wait for data without a thread, because a blocked thread could not be cancelled."""
    with anyio.move_on_after(wake_s):
        await anyio.wait_readable(number)
        return True
    return False


class Splitter:
    """Splits a list into its names, whatever the pieces in which it is read.

    Methods raise `RunError` if it is not a list; `name` is used in messages.
    """

    def __init__(self, name: str, *, from0: bool = False) -> None:
        self._name = name
        self._from0 = from0
        self._separator = b"\0" if from0 else b""  # empty: not known yet
        self._rest = b""
        self._begun = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Add a piece and return the names that end in it."""
        self._rest += piece
        if not self._separator:
            if b"\0" in self._rest:
                self._separator = b"\0"
            elif b"\n" in self._rest:
                self._separator = b"\n"
        lines = self._rest.split(self._separator) if self._separator else [self._rest]
        self._rest = lines.pop()
        if len(self._rest) > LONGEST:
            raise RunError(run_failures.LIST_ODD(name=self._name))
        return self._names(lines)

    def end(self) -> list[bytes]:
        """Return the last name, if it has no line end."""
        rest, self._rest = self._rest, b""
        return self._names([rest])

    def _names(self, lines: list[bytes]) -> list[bytes]:
        if lines and not self._begun:
            self._begun = True
            lines[0] = self._without_mark(lines[0])
        if self._separator != b"\0":
            lines = [line.removesuffix(b"\r") for line in lines]
        return [line for line in lines if line]

    def _without_mark(self, line: bytes) -> bytes:
        """Return the first line without a byte order mark."""
        little, big = line.startswith(b"\xff\xfe") and len(line) == 3, line == b"\xfe\xff"
        if self._separator == b"\0" and not self._from0 and (little or big):
            raise RunError(run_failures.LIST_UTF16(name=self._name))
        return line.removeprefix(BOM)
