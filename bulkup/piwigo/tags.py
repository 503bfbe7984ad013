"""The gallery's tags: looked up once for a run, made where they are missing, one at a time.

Knows how Piwigo names and compares tags. To Piwigo two names are one tag if they differ in case
and accents only; which accents are none, its database decides, so a tag is made on trial.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import anyio

from bulkup.errors import Died, NotOffered, PhotoError
from bulkup.piwigo.results import read_tag_id, read_tags
from bulkup.piwigo.wire import Request

Ask = Callable[[Request], Awaitable[object]]

ALIKE: Final = str.maketrans("ßıøæœđł", "siooodl")
"""Letters that databases take for others, though Unicode does not take them apart."""


class Tags:
    """The tags of one gallery, by their names. `refused` are those that it does not take."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self._ids: dict[str, int] | None = None
        self._killed: set[str] = set()
        self._turn = anyio.Lock()

    async def ids(self, names: Iterable[str], *, ask: Ask) -> tuple[int, ...]:
        """Return the ids of tags, which are made where they are missing. May be repeated.

        What the gallery does not take is left out. Raises `Transient`.
        """
        async with self._turn:
            ids = [await self._id(name, ask) for name in names]
        return tuple(dict.fromkeys(filter(None, ids)))

    async def _id(self, name: str, ask: Ask) -> int | None:
        if self._ids is None:
            self._ids = await _listed(ask)
        if name in self.refused:
            return None
        key = name.lower()
        if key not in self._ids:
            try:
                made = read_tag_id(await ask(Request("pwg.tags.add", (("name", name),))))
            except (Died, NotOffered, PhotoError) as error:
                if isinstance(error, Died) and name not in self._killed:
                    self._killed.add(name)  # once may be chance
                    raise
                # it is there, under a name that the database takes for the same, or can't be made
                self._ids |= await _listed(ask)
                made = self._ids.get(key) or self._alike(name)
            if made is None:
                self.refused.add(name)
                return None
            self._ids[key] = made
        return self._ids[key]

    def _alike(self, name: str) -> int | None:
        """Return the tag that the server must mean when it says that this one is there."""
        plain = _plain(name)
        return next((i for other, i in (self._ids or {}).items() if _plain(other) == plain), None)


async def _listed(ask: Ask) -> dict[str, int]:
    """Return the ids of the gallery's tags; none where it does not tell."""
    try:
        tags = read_tags(await ask(Request("pwg.tags.getAdminList")))
    except (Died, NotOffered, PhotoError):
        return {}
    return {unicodedata.normalize("NFC", name).lower(): number for name, number in tags}


def _plain(name: str) -> str:
    """Return a name without case and accents, and without all that some database ignores."""
    letters = unicodedata.normalize("NFKD", name.casefold().translate(ALIKE))
    return "".join(c for c in letters if not unicodedata.combining(c)).replace("ss", "s").rstrip()
