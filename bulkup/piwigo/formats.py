"""Other formats of photos, as a gallery tells of them: which it takes, and which a photo has.

Knows the two methods that deal with formats. No Piwigo lists what it takes or has: the first comes
out as it refuses what none takes, the second by names, from Piwigo 16 on.
"""

import json
from collections.abc import Collection
from typing import Final

from bulkup.errors import FormatRefused, FormatsOff, NotOffered, PhotoError
from bulkup.piwigo.catalogue import Catalogue
from bulkup.piwigo.names import is_sent_name, storable
from bulkup.piwigo.results import number, read_formats, read_has_format

SINCE: Final = 13
"""Piwigo before that would take a format for a photo."""

TOLD_SINCE: Final = 16
"""Piwigo before that does not tell which formats there are."""

UNHEARD_OF: Final = "bulkup.-"
"""The name of a file that becomes no format in any gallery."""

USUAL: Final = ("ai", "cr2", "dng", "nef", "psd", "tif", "tiff")
"""What a gallery takes that is not set up otherwise."""


class FormatCatalogue(Catalogue):
    """The formats of a gallery that somebody is logged in to, and all else that it holds."""

    _asked = False
    _refusal: FormatRefused | None = None

    async def check_format(self, file: str) -> None:
        """Find out whether the gallery takes a file of this name as a format; nothing is sent.

        Raises `FormatRefused` where it does not; where that can't be told, nothing.
        """
        refusal = await self._refused()
        if isinstance(refusal, FormatsOff) or (refusal and not refusal.takes(file)):
            raise refusal.with_traceback(None)

    async def formats_of(self, photo_id: int, file: str) -> Collection[str] | None:
        """Return the endings of all formats of a photo whose file is called so in the gallery.

        None where the server can't tell: it goes by file names, and several photos may have the
        same one (Piwigo before 16 does not tell at all).
        """
        if self._major < TOLD_SINCE:
            return None
        refusal = await self._refused()
        endings = (refusal and refusal.endings) or USUAL
        return read_formats(
            await self._search({ending: f"{_stem(file)}.{ending}" for ending in endings}), photo_id
        )

    async def has_format(self, photo_id: int, file: str) -> bool | None:
        """Tell whether a photo has a file of this name as a format: names are all to go by.

        None where another file may be its format of that ending, in whose place this one would
        come. Where the server can't tell, a file that is called as the photo is has that place.
        """
        ending = file.rpartition(".")[2].lower()
        name = (await self.identity(photo_id)).file
        alike = is_sent_name(name) or _stem(name) == _stem(storable(file))
        there = None
        if self._major >= TOLD_SINCE:
            search = await self._search({"format": f"{_stem(name)}.{ending}"})
            there = read_has_format(search, photo_id)
        return bool(there) if alike or there is False else None

    @property
    def _major(self) -> int:
        return number(self.offer.version.partition(".")[0])

    async def _search(self, names: dict[str, str]) -> object:
        """Return what the server says of formats that would be called so, None where it can't."""
        fields = (("filename_list", json.dumps(names, ensure_ascii=False)),)
        try:
            return await self.ask("pwg.images.formats.searchImage", fields)
        except (NotOffered, PhotoError):
            return None

    async def _refused(self) -> FormatRefused | None:
        """Return how the gallery refuses a file that becomes no format, None where it can't tell.

        It does that before it looks at what is sent.
        """
        if not self._asked and self._major >= SINCE:
            fields = (("name", UNHEARD_OF), ("category", "1"), ("format_of", "1"))
            try:
                await self.ask("pwg.images.upload", fields, token=True)
            except FormatRefused as refusal:
                self._refusal = refusal
            except (NotOffered, PhotoError):
                pass
            self._asked = True
        return self._refusal


def _stem(file: str) -> str:
    return file.rpartition(".")[0] or file
