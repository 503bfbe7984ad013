"""Formats of photos: which ones a gallery accepts, and which ones its photos have."""

import json
from collections.abc import Collection, Sequence
from typing import Final

import anyio

from bulkup.errors import FormatRefused, FormatsOff, NotOffered, PhotoError
from bulkup.piwigo import protocol
from bulkup.piwigo.metadata import is_temporary_name, to_storable
from bulkup.piwigo.methods import MethodCaller
from bulkup.piwigo.session import SessionPool

FORMATS_SINCE: Final = 13
"""Older versions of Piwigo would turn a format into a photo."""

FORMATS_LISTED_SINCE: Final = 16
"""Older versions of Piwigo can't tell which formats a photo has."""

REFUSED_FORMAT: Final = "bulkup.-"
"""A file name that no gallery accepts as a format."""

DEFAULT_FORMATS: Final = ("ai", "cr2", "dng", "nef", "psd", "tif", "tiff")
"""The format endings in Piwigo's default configuration."""


def _stem(file: str) -> str:
    return file.rpartition(".")[0] or file


class Formats(MethodCaller):
    """The formats of a gallery's photos; all calls may be repeated."""

    def __init__(self, pool: SessionPool, *, offer: protocol.Offer) -> None:
        super().__init__(pool, offer=offer)
        self._format_asked = False
        self._format_lock = anyio.Lock()
        self._format_refusal: FormatRefused | None = None

    async def check_format(self, file: str) -> None:
        """Check whether the gallery accepts a file of this name as a format, without sending it.

        Raises `FormatRefused` if not. Unknown counts as accepted.
        """
        refusal = await self._format_rules()
        if isinstance(refusal, FormatsOff) or (refusal and not refusal.takes(file)):
            raise refusal.with_traceback(None)

    async def formats_of(self, photo_id: int, file: str) -> Collection[str] | None:
        """Return the endings of all formats of a photo with this file name in the gallery.

        None if unknown: the server searches by file name, which several photos may share, and
        before Piwigo 16 not at all.
        """
        if self.offer.major < FORMATS_LISTED_SINCE:
            return None
        refusal = await self._format_rules()
        endings = (refusal and refusal.endings) or DEFAULT_FORMATS
        return protocol.read_formats(
            await self._search({ending: f"{_stem(file)}.{ending}" for ending in endings}), photo_id
        )

    async def formats_of_all(
        self, photos: Sequence[protocol.AlbumPhoto]
    ) -> dict[int, Collection[str] | None]:
        """Return the endings of the formats of those photos that have any, None if unknown."""
        rules = await self._format_rules()
        if isinstance(rules, FormatsOff) or self.offer.major < FORMATS_SINCE:
            return {}
        if self.offer.major < FORMATS_LISTED_SINCE:
            return dict.fromkeys(photo.photo_id for photo in photos)
        endings = (rules and rules.endings) or DEFAULT_FORMATS
        names = {
            f"{photo.photo_id} {ending}": f"{_stem(photo.file)}.{ending}"
            for photo in photos
            for ending in endings
        }
        rows = await self._search(names)
        by_photo: dict[int, dict[str, object]] = {photo.photo_id: {} for photo in photos}
        for key, row in rows.items() if isinstance(rows, dict) else ():
            number, _, ending = key.partition(" ")
            by_photo.setdefault(protocol.number(number), {})[ending] = row
        found = {number: protocol.read_formats(rows, number) for number, rows in by_photo.items()}
        return {number: formats for number, formats in found.items() if formats != frozenset()}

    async def has_format(self, photo_id: int, file: str) -> bool | None:
        """Return whether a photo has a file of this name as a format, judged by names.

        None if its format of that ending may be another file, which this one would replace. If the
        server can't list formats, a file named like the photo is assumed to replace none.
        """
        ending = file.rpartition(".")[2].lower()
        name = (await self.identity(photo_id)).file
        alike = is_temporary_name(name) or _stem(name) == _stem(to_storable(file))
        there = None
        if self.offer.major >= FORMATS_LISTED_SINCE:
            search = await self._search({"format": f"{_stem(name)}.{ending}"})
            there = protocol.read_has_format(search, photo_id)
        return bool(there) if alike or there is False else None

    async def _search(self, names: dict[str, str]) -> object:
        """Search for formats of these names; return None if the server can't."""
        fields = (("filename_list", json.dumps(names, ensure_ascii=False)),)
        try:
            return await self.ask("pwg.images.formats.searchImage", fields)
        except (NotOffered, PhotoError):
            return None

    async def _format_rules(self) -> FormatRefused | None:
        """Return how the gallery refuses an unacceptable format, None if unknown.

        It does so before it looks at the content.
        """
        async with self._format_lock:
            if not self._format_asked and self.offer.major >= FORMATS_SINCE:
                fields = (("name", REFUSED_FORMAT), ("category", "1"), ("format_of", "1"))
                try:
                    await self.ask("pwg.images.upload", fields, token=True)
                except FormatRefused as refusal:
                    self._format_refusal = refusal
                except (NotOffered, PhotoError):
                    pass
                self._format_asked = True
        return self._format_refusal
