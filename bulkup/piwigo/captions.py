"""What photos get beside their bytes: asked for, made ready for this gallery, and set.

Knows who describes photos and which methods set what. It never waits and never tries again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from bulkup.errors import NotOffered, PhotoError
from bulkup.metadata import Metadata
from bulkup.photos import Photo
from bulkup.piwigo.details import COMMENT_SIZE, LINE, Details, Stored, details_of, to_set
from bulkup.piwigo.names import without_emoji
from bulkup.piwigo.results import number
from bulkup.piwigo.tags import Ask, Tags
from bulkup.piwigo.wire import Fields, Request

TAGS_NAMED: Final = 5
EMOJI_HINT: Final = "The gallery's database can't hold them."
CUT_HINT: Final = (
    f"A title or tag has {LINE} characters at most, a description {COMMENT_SIZE} bytes."
)
UNSET_HINT: Final = "The server does not offer pwg.images.setInfo."


class Describe(Protocol):
    """Who tells of a photo what it is to get."""

    async def __call__(self, photo: Photo, /) -> Metadata:
        """Return it."""


@dataclass(slots=True)
class Captions:
    """The details of the photos of one run.

    `methods` are those that the server offers, `version` is its own; without `describe` no photo
    gets anything but its name.
    """

    methods: frozenset[str]
    version: str
    describe: Describe | None = None
    tags: Tags = field(default_factory=Tags)
    _replaced: int = 0
    _cut: int = 0
    _unset: int = 0

    @property
    def can_set(self) -> bool:
        """Whether the server lets anything be set once it has the photo."""
        return "pwg.images.setInfo" in self.methods

    async def of(self, photo: Photo) -> Details:
        """Return what the photo is to get, as this gallery can hold it."""
        return details_of(await self.describe(photo)) if self.describe else Details()

    async def tag_ids(self, details: Details, *, ask: Ask) -> tuple[int, ...]:
        """Return the ids of its tags, made where they are missing. May be repeated."""
        return await self.tags.ids(details.tags, ask=ask) if details.tags else ()

    async def look(self, photo_id: int, *, ask: Ask) -> Stored:
        """Return what the gallery tells of a photo, empty where it does not."""
        if "pwg.images.getInfo" not in self.methods:
            return {}
        try:
            answer = await ask(Request("pwg.images.getInfo", (("image_id", str(photo_id)),)))
        except (NotOffered, PhotoError):
            return {}
        return answer if isinstance(answer, dict) else {}

    async def set(
        self,
        photo_id: int,
        details: Details,
        *,
        photo: Photo,
        tag_ids: tuple[int, ...],
        stored: Stored,
        file: str,
        ask: Ask,
    ) -> None:
        """Give a photo what it lacks, and its real name `file` if there is one. May be repeated.

        `stored` is what is known of it so far.
        """
        fields = to_set(
            details,
            tag_ids=tag_ids,
            stored=stored,
            file=file,
            strips=number(self.version.partition(".")[0]) < 14,
        )
        if fields and self.can_set:
            await ask(_set_info(photo_id, fields))
        elif fields:
            self._unset += 1
        self._replaced += details.replaced or photo.path.name != without_emoji(photo.path.name)
        self._cut += details.cut

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield what became of texts other than they were written, in words, each with a hint."""
        if self._replaced:
            yield f"{_photos(self._replaced)} had emoji in names or texts, now �", EMOJI_HINT
        if self._cut:
            yield f"{_photos(self._cut)} had texts too long for the gallery, now cut", CUT_HINT
        if self._unset:
            yield f"{_photos(self._unset)} came without some title, date or tag", UNSET_HINT
        if refused := sorted(self.tags.refused):
            named = ", ".join(refused[:TAGS_NAMED]) + (" …" if len(refused) > TAGS_NAMED else "")
            yield f"the gallery does not take these tags: {named}", "Make them there by hand."


def _set_info(photo_id: int, fields: Fields) -> Request:
    """Return the request that sets these fields, whatever was there; tags are added.

    The token lets `<` and the like through, from Piwigo 14 on.
    """
    modes = (("single_value_mode", "replace"), ("multiple_value_mode", "append"))
    return Request(
        "pwg.images.setInfo", (("image_id", str(photo_id)), *fields, *modes), token=True
    )


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"
