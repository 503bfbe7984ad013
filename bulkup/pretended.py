"""A gallery and a memory for a dry run: they answer all questions, and keep nothing.

Knows what a run asks of both. New albums and links are only noted, and so is which photos would be
there, for what belongs to them. The ledger keeps MD5s, which the run that follows need not compute
again.
"""

import os
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import anyio.lowlevel
from anyio import to_thread

from bulkup.album import Member
from bulkup.albums import Album
from bulkup.changes import Identity
from bulkup.engine import Asked
from bulkup.formats import Attaching
from bulkup.memory import Entry, Fact, Memory, State
from bulkup.photos import Photo

FIRST_PLANNED: Final = 2**31
"""Numbers from here on are of albums and photos that are only planned: Piwigo's are smaller."""


class Gallery(Asked, Attaching, Protocol):
    """What a dry run needs of a server."""

    async def album_name(self, album: int) -> str:
        """Return the album's name."""

    async def line_speed(self) -> float | None:
        """Return the bytes a second that the line takes, None where that can't be told."""


class DryGallery:
    """A gallery that answers questions and takes nothing."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._numbers = count(FIRST_PLANNED)
        self._planned: dict[int, str] = {}

    async def albums(self) -> Sequence[Album]:
        """Return the albums that there are."""
        return await self._gallery.albums()

    async def album_name(self, album: int) -> str:
        """Return the name of an album, planned or there."""
        return self._planned.get(album) or await self._gallery.album_name(album)

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Plan an album."""
        del parent, private, comment
        await anyio.lowlevel.checkpoint()
        number = next(self._numbers)
        self._planned[number] = name
        return number

    async def spell_album(self, album: int, name: str) -> None:
        """Leave the name as it is planned."""

    def album_keys(self, name: str) -> Sequence[str]:
        """Return what the list may call an album of this name."""
        return self._gallery.album_keys(name)

    async def members(self, album: int) -> AsyncGenerator[Member, None]:
        """Yield what an album shows; one that is planned shows nothing."""
        if album not in self._planned:
            async with aclosing(self._gallery.members(album)) as members:
                async for member in members:
                    yield member

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each MD5."""
        return await self._gallery.find(md5s)

    @property
    def replaces(self) -> bool:
        """Whether the gallery can give a photo of a number another file."""
        return self._gallery.replaces

    async def identity(self, photo_id: int) -> Identity:
        """Return what a photo is."""
        return await self._gallery.identity(photo_id)

    async def check(self, photo_id: int, md5: str) -> bool | None:
        """Tell whether a photo's stored file has this MD5."""
        return await self._gallery.check(photo_id, md5)

    @property
    def takes_formats(self) -> bool:
        """Whether the gallery has a method for them."""
        return self._gallery.takes_formats

    async def has_format(self, photo_id: int, file: str) -> bool | None:
        """Tell whether a photo has a file of this name as a format."""
        return await self._gallery.has_format(photo_id, file)

    async def formats_of(self, photo_id: int, file: str) -> Collection[str] | None:
        """Return the endings of a photo's formats; None where the server can't tell."""
        return await self._gallery.formats_of(photo_id, file)

    async def check_format(self, file: str) -> None:
        """Find out whether the gallery takes a file as a format. Raises `FormatRefused`."""
        await self._gallery.check_format(file)

    async def alias(self, photo_id: int) -> str:
        """Tell of no name that would have to be mended."""
        del photo_id
        return ""

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Leave the albums as they are."""

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Leave the name as it is."""

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Leave the lounge as it is."""

    async def line_speed(self) -> float | None:
        """Return the bytes a second that the line takes."""
        return await self._gallery.line_speed()


class DryMemory:
    """A memory that learns nothing but MD5s.

    With `foresee` it knows until the end of the run which photos would be where, and which formats
    would have to be sent again.
    """

    def __init__(self, memory: Memory, *, foresee: bool = False) -> None:
        self._memory = memory
        self._foresee = foresee
        self._foreseen: dict[str, Entry] = {}
        self._files: defaultdict[int | None, set[str]] = defaultdict(set)

    async def look_up(self, paths: Sequence[Path]) -> Mapping[Path, Entry]:
        """Return what is known of these paths, or would be."""
        known = await self._memory.look_up(paths)
        if not self._foreseen:
            return known
        keys = await to_thread.run_sync(_keys, paths)
        foreseen = {path: self._foreseen[key] for key, path in keys if key in self._foreseen}
        return {**known, **foreseen}

    async def files_of(self, image_ids: Collection[int]) -> Sequence[Entry]:
        """Return what is known of all files of these photos, or would be."""
        known = await self._memory.files_of(image_ids)
        keys = await to_thread.run_sync(_keys, [entry.path for entry in known])
        now = {key: entry for (key, _), entry in zip(keys, known, strict=True)}
        now |= {key: self._foreseen[key] for key in now.keys() & self._foreseen.keys()}
        for photo_id in image_ids:
            now |= {key: self._foreseen[key] for key in self._files.get(photo_id, ())}
        return [entry for entry in now.values() if entry.image_id in image_ids]

    async def record(self, entries: Sequence[Entry]) -> None:
        """Keep MD5s, but not of what would have to be sent again after a change."""
        known = await self._memory.look_up([entry.path for entry in entries])
        formats = {path for path, entry in known.items() if entry.is_format}
        if hashed := [
            entry for entry in entries if entry.state is State.HASHED and entry.path not in formats
        ]:
            await self._memory.record(hashed)
        if not self._foresee:
            return
        keys = await to_thread.run_sync(_keys, [entry.path for entry in entries])
        for (key, path), entry in zip(keys, entries, strict=True):
            if entry.state in {State.SENT, State.DONE} or path in formats:
                self._foreseen[key] = entry
                self._files[entry.image_id].add(key)

    async def forget(self, paths: Sequence[Path]) -> None:
        """Forget nothing."""

    async def settle(self) -> None:
        """Do nothing."""

    async def remains(self) -> Sequence[str]:
        """Leave what there may be."""
        return []

    async def begin(self, name: str) -> None:
        """Do nothing: nothing begins."""

    async def end(self, name: str) -> None:
        """Do nothing: nothing ends."""

    async def facts(self, *, max_age_s: float) -> Mapping[Fact, int]:
        """Return what was found out about the server."""
        return await self._memory.facts(max_age_s=max_age_s)

    async def learn(self, fact: Fact, value: int) -> None:
        """Learn nothing."""


def _keys(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return the paths, each with the whole one."""
    return [(os.path.abspath(path), path) for path in paths]  # noqa: PTH100 (a tenth of the time)
