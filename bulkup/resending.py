"""Formats of a photo that gets another file: a Piwigo deletes them then, so they are sent again.

Knows what the ledger holds and what the server says, and sends nothing. The law of this module:
*no format is lost*. A photo keeps its file where one of its formats could not be sent again.
"""

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from anyio import to_thread

from bulkup.companions import Companion
from bulkup.errors import FormatRefused, PhotoError
from bulkup.failures import gallery
from bulkup.memory import Entry, Memory, State
from bulkup.recovery import Recovery


class Resendable(Protocol):
    """What that needs of a server."""

    async def formats_of(self, photo_id: int, file: str) -> Collection[str] | None:
        """Return the endings of a photo's formats; None where the server can't tell."""

    async def check_format(self, file: str) -> None:
        """Find out whether it takes a file as a format. Raises `FormatRefused`."""


class Resending:
    """Has the formats of photos sent again; a run brings those `aside`, or none (None).

    To be asked once it has come to all of them.
    """

    def __init__(
        self,
        server: Resendable,
        *,
        recovery: Recovery,
        memory: Memory,
        aside: Sequence[Companion] | None,
    ) -> None:
        self._server = server
        self._recovery = recovery
        self._memory = memory
        self._aside = aside
        self._brought: dict[str, set[str]] = {}

    async def give_up(
        self, formats: Sequence[Entry], *, photo_id: int, path: Path, file: str
    ) -> None:
        """Have the formats of a photo sent again that is to get the file at `path`.

        `formats` are those that the ledger knows, `file` is what the gallery calls the photo's
        file. Raises `PhotoError` where one could not be sent again.
        """
        if formats and self._aside is None:
            raise PhotoError(gallery.LOSES_FORMATS(photo=photo_id, name=formats[0].path.name))
        known = {_ending(entry.path): entry.path for entry in formats}
        for ending in known.keys() - await to_thread.run_sync(self._brought_with, path):
            raise PhotoError(gallery.LOSES_FORMAT(photo=photo_id, path=known[ending]))
        told = await self._recovery.run(lambda: self._server.formats_of(photo_id, file)) or ()
        if foreign := sorted(ending for ending in told if ending.lower() not in known):
            endings = ", ".join(foreign)
            raise PhotoError(gallery.LOSES_FOREIGN(photo=photo_id, endings=endings))
        for where in known.values():
            try:
                await self._recovery.run(partial(self._server.check_format, where.name))
            except FormatRefused as error:
                raise PhotoError(
                    gallery.LOSES_REFUSED(
                        photo=photo_id, path=where, reason=error.message, remedy=error.hint
                    )
                ) from None
        if formats:
            await self._memory.record([replace(entry, state=State.GIVEN_UP) for entry in formats])

    def _brought_with(self, photo: Path) -> set[str]:
        """Return the endings of what this run brings as formats of a photo."""
        if not self._brought:
            for companion in self._aside or ():
                endings = self._brought.setdefault(_key(companion.of), set())
                endings.add(_ending(companion.path))
        return self._brought.get(_key(photo), set())


def any_untouched(entries: Sequence[Entry]) -> bool:
    """Tell whether one of these files still lies there as it was; to be called in a thread."""
    for entry in entries:
        with suppress(OSError):
            status = entry.path.stat()
            if (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns):
                return True
    return False


def _ending(path: Path) -> str:
    return path.suffix[1:].lower()


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (a tenth of the time)
