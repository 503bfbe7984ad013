"""Pure: what a photo gets beside its bytes, as a Piwigo takes it, and what of it is not there yet.

Knows the columns of Piwigo's table of photos and what stands in its answers, and neither files nor
requests' ways. What somebody wrote about a photo replaces what the gallery read out of the file,
but for two things: a date that is not exact gives way to one that says the same, and tags are
added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bulkup.metadata import Metadata, Moment, distinct
from bulkup.piwigo.names import (
    cut,
    cut_bytes,
    is_sent_name,
    storable,
    title_of,
    unlike_html,
    without_emoji,
)
from bulkup.piwigo.results import number
from bulkup.piwigo.wire import Fields

LINE: Final = 255
COMMENT_SIZE: Final = 65_535
"""Bytes, not characters, that the column of comments holds."""

Stored = Mapping[str, object]
"""A photo as an answer tells it, in whole or in part."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a photo gets beside its bytes; what is empty it does not get.

    `replaced` tells that characters were, `cut` that a text was too long.
    """

    title: str = ""
    comment: str = ""
    author: str = ""
    date: Moment | None = None
    tags: tuple[str, ...] = ()
    own_tags: bool = False
    replaced: bool = False
    cut: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is anything to get."""
        return bool(self.title or self.comment or self.author or self.date or self.tags)

    @property
    def depends(self) -> bool:
        """Whether what it gets depends on what the gallery read out of the file."""
        return bool((self.date and self.date.leeway) or (self.tags and self.own_tags))

    def carried(self, tag_ids: Sequence[int]) -> Fields:
        """Return the fields for a method that takes them together with the photo.

        It would replace what the gallery read out of the file, so what depends on that is not
        among them.
        """
        fields = {"name": self.title, "author": self.author, "comment": self.comment}
        if self.date and not self.date.leeway:
            fields["date_creation"] = self.date.text
        if not self.own_tags:
            fields["tag_ids"] = ",".join(map(str, tag_ids))
        return tuple((name, value) for name, value in fields.items() if value)


def details_of(metadata: Metadata) -> Details:
    """Return what a Piwigo can hold of a photo's metadata."""
    texts = (metadata.title, metadata.description, metadata.author, *metadata.tags)
    columns = ("name", "comment", "author", *["name"] * len(metadata.tags))
    held = [without_emoji(text) for text in texts]
    fitting = [_fit(column, text) for column, text in zip(columns, held, strict=True)]
    title, comment, author, *tags = fitting
    return Details(
        title=title,
        comment=comment,
        author=author,
        date=metadata.date,
        tags=distinct(_fit("name", unlike_html(tag)) for tag in tags),
        own_tags=metadata.own_tags,
        replaced=held != list(texts),
        cut=fitting != held,
    )


def _fit(column: str, text: str) -> str:
    if column == "comment":
        return cut_bytes(text, size=COMMENT_SIZE)
    return cut(text, characters=LINE)


def to_set(
    details: Details,
    *,
    tag_ids: Sequence[int],
    stored: Stored,
    file: str = "",
    strips: bool = False,
) -> Fields:
    """Return what `pwg.images.setInfo` has to set so that the photo has all of it.

    `stored` is how the gallery tells the photo, as far as it did; `file` is the real name of one
    that travelled under another; `strips` tells that HTML is removed from every text.
    """
    fields: dict[str, str] = {}
    if file:
        fields["file"] = storable(unlike_html(file))  # out of it HTML is removed everywhere
        if not (name := stored.get("name")) or is_sent_name(str(name)):
            title = title_of(file)
            fields["name"] = _fit("name", unlike_html(title)) if strips else title
    for column, text in (
        ("name", details.title),
        ("author", details.author),
        ("comment", details.comment),
    ):
        if text and text != stored.get(f"{column}_raw", stored.get(column)):
            fields[column] = _fit(column, unlike_html(text)) if strips else text
    if details.date and not details.date.says_the_same_as(str(stored.get("date_creation") or "")):
        fields["date_creation"] = details.date.text
    if missing := set(tag_ids) - _tag_ids(stored):
        fields["tag_ids"] = ",".join(map(str, sorted(missing)))
    return tuple(fields.items())


def _tag_ids(stored: Stored) -> set[int]:
    tags = stored.get("tags")
    if not isinstance(tags, list):
        return set()
    return {number(tag.get("id")) for tag in tags if isinstance(tag, dict)}
