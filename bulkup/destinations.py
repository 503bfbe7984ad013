"""The album of each photo: that of its folder, found in the gallery or made there.

Knows places, albums and who tells of folders, and no server. What Google Takeout says of a folder
goes before the folder's own name. Folders that the gallery can't tell apart share an album.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from anyio import to_thread

from bulkup.albums import Albums
from bulkup.errors import PhotoError
from bulkup.events import Emit, Noticed
from bulkup.failures import gallery
from bulkup.placing import Placing, Step

ALIKE: Final = (
    "The gallery can't tell their names apart: rename one of the folders to have two albums."
)
TITLED: Final = (
    "What Google Takeout wrote into them calls both the same: --no-sidecars keeps to the folders' "
    "names."
)


class Titled(Protocol):
    """What somebody wrote about a folder."""

    @property
    def title(self) -> str:
        """What its album is called."""

    @property
    def description(self) -> str:
        """What its album is about, may be empty."""


Titles = Callable[[Path], Titled | None]
"""Tells of a folder, None where nobody wrote anything; reads files, so it is for a thread.

Raises `ValueError`, in words, where what was written can't be read.
"""


class Destinations:
    """The albums of one run, asked for by one task at a time.

    Albums that are missing are made, unless `make` is False. Without `titles` albums are called as
    their folders are.
    """

    def __init__(
        self,
        placing: Placing,
        albums: Albums,
        *,
        emit: Emit,
        make: bool = True,
        titles: Titles | None = None,
    ) -> None:
        self._placing = placing
        self._albums = albums
        self._emit = emit
        self._make = make
        self._titles = titles
        self._found: dict[Path, tuple[int | None, str]] = {}
        self._first: dict[int, tuple[Step, bool]] = {}

    async def of(self, photo: Path) -> int:
        """Return the number of a photo's album, made where need be.

        Raises `PhotoError` where it has none: its folder is none, or the album is not there and
        not to be made, or can't be made.
        """
        album = self._placing.base
        names = []
        for step in self._placing.steps(photo):
            if step.folder not in self._found:
                self._found[step.folder] = await self._find(step, inside=album)
            found, name = self._found[step.folder]
            names.append(name)
            if found is None:
                raise PhotoError(gallery.NO_FOLDER_ALBUM(path=" / ".join(names)))
            album = found
        return album

    async def _find(self, step: Step, *, inside: int) -> tuple[int | None, str]:
        """Return number and name of a folder's album, found or made; None: it is not there."""
        told = await self._titled(step.folder)
        name = told.title if told else self._placing.name(step.spelled)
        comment = told.description if told else ""
        found = await self._albums.inside(inside, name, comment=comment, make=self._make)
        if found is not None:
            first, titled = self._first.setdefault(found, (step, told is not None))
            if first.spelled != step.spelled:
                hint = TITLED if titled or told else ALIKE
                self._emit(
                    Noticed(message=f"{first.folder} and {step.folder} share one album", hint=hint)
                )
        return found, name

    async def _titled(self, folder: Path) -> Titled | None:
        """Return what somebody wrote about a folder; what can't be read is told."""
        try:
            return await to_thread.run_sync(self._titles, folder) if self._titles else None
        except ValueError as error:
            hint = "The album is called as its folder is, and gets no description."
            self._emit(Noticed(message=f"what tells of an album is left out: {error}", hint=hint))
            return None
