"""Photo metadata for Piwigo: names, texts, tags and dates as it stores them, and setting them."""

import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import anyio

from bulkup.errors import NotOffered, PhotoError, ServerCrashed, count_text
from bulkup.piwigo.positions import (
    Positions,
    has_position,
    position_fields,
    position_text,
)
from bulkup.piwigo.protocol import (
    Ask,
    Fields,
    Offer,
    Request,
    Stored,
    number,
    read_tag_id,
    read_tags,
)
from bulkup.source.metadata import ANY_DATE, EXACT, Iptc, Metadata, Moment, Position, distinct
from bulkup.source.photos import Photo

UNSTORABLE = "�"
COLUMN_LENGTH: Final = 255
TAG = re.compile(r"""<(?!\s)(?:"[^"]*"|'[^']*'|[^>"'])*(?:>|$)""", re.ASCII)
"""What PHP's `strip_tags` takes for a tag; it only knows ASCII whitespace."""


def to_storable(text: str) -> str:
    """Return the text as a Piwigo database can store it: three-byte UTF-8, 255 characters.

    With other text the server fails and answers with an empty body (seen on Piwigo 13 to 17).
    The file name ending is kept if the text is cut off.
    """
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    text = without_emoji(text)
    text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    if len(text) <= COLUMN_LENGTH:
        return text
    stem, dot, ending = text.rpartition(".")
    if not dot or len(ending) > 10:
        return text[:COLUMN_LENGTH]
    return stem[: COLUMN_LENGTH - len(ending) - 1] + dot + ending


def title_of(file: str) -> str:
    """Return the title that Piwigo gives a photo with this file name."""
    stem = file.rpartition(".")[0] or file
    return stem.replace("_", " ")


def is_temporary_name(name: str) -> bool:
    """Return whether a name is a photo's temporary file name, or the title made from it."""
    return re.fullmatch(r"bulkup-[0-9a-f]{24}(?:\.\w+)?", name) is not None


def without_emoji(text: str) -> str:
    """Return the text with characters beyond three-byte UTF-8 replaced."""
    return "".join(UNSTORABLE if ord(c) > 0xFFFF else c for c in text)


def cut(text: str, *, characters: int) -> str:
    """Return the text, truncated to that many characters."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def cut_bytes(text: str, *, size: int) -> str:
    """Return the text, truncated to that many bytes."""
    data = text.encode()
    if len(data) <= size:
        return text
    return data[: size - len("…".encode())].decode(errors="ignore").rstrip() + "…"


def escape_tags(text: str) -> str:
    """Return the text with a space after each `<`, so that PHP does not take it for a tag.

    PHP removes tags, and everything that follows if a tag has no end.
    """
    return re.sub(r"<(?!\s)", "< ", text, flags=re.ASCII)


def strip_tags(name: str) -> str:
    """Return an album name after PHP's `strip_tags`, as Piwigo 13 to 15 list it."""
    return TAG.sub("", name)


LINE: Final = 255
COMMENT_SIZE: Final = 65_535
"""Size of the comment column in bytes, not characters."""

Reads = Mapping[str, bool]
"""Whether the gallery reads kinds of IPTC texts itself, as far as that is known.

Piwigo does if its configuration says so (`use_iptc`, off by default; its source).
"""

ALTERED: Final = re.compile(r"[.,;<\r\n]")
"""Where Piwigo by default splits the keywords that it reads, or cuts them."""


@dataclass(frozen=True, slots=True)
class Details:
    """Metadata to set for a photo; empty values are not set.

    The privacy `level` is sent with the photo by each upload method, and never set afterwards.
    `own_title` is the one that the gallery reads from the file itself, if it is to stay. With
    `embedded_keywords` the gallery may read keywords from the file, which these tags must not
    replace. `iptc` is what it then has read, if it is unknown whether it reads all kinds of it.
    `replaced` is whether characters were replaced, `cut` whether a text was truncated, `unplaced`
    whether there is a position that the gallery does not take.
    `own_date` is the date of EXIF, which the gallery reads itself.
    """

    title: str = ""
    comment: str = ""
    author: str = ""
    date: Moment | None = None
    tags: tuple[str, ...] = ()
    level: int | None = None
    position: Position | None = None
    own_title: str = ""
    embedded_keywords: bool = False
    iptc: Iptc | None = None
    replaced: bool = False
    cut: bool = False
    unplaced: bool = False
    own_date: str = field(default="", compare=False)

    def __bool__(self) -> bool:
        """Return whether there is anything to set."""
        texts = self.title or self.comment or self.author
        return bool(texts or self.date or self.tags or self.position)

    def as_written(self) -> dict[str, str]:
        """Return the metadata by the names of its fields, as the ledger keeps it.

        Empty tags are kept as well: they say that the photo's tags are not from here.
        """
        fields = {
            "title": self.title,
            "description": self.comment,
            "author": self.author,
            "date": self.date.text if self.date else self.own_date,
            "position": position_text(self.position) if self.position else "",
        }
        return {name: text for name, text in fields.items() if text} | {
            "tags": "\n".join(self.tags)
        }

    @property
    def depends(self) -> bool:
        """Whether what is set depends on what the gallery read from the file."""
        keywords = self.tags and self.embedded_keywords
        return bool(self._date_depends or self.iptc or keywords or self.position)

    @property
    def _date_depends(self) -> bool:
        """Whether the gallery may read a better date from the file, as it can't with a guess."""
        return self.date is not None and self.date.leeway not in {EXACT, ANY_DATE}

    def inline_fields(self, tag_ids: Sequence[int]) -> Fields:
        """Return the fields for a method that takes them together with the photo.

        They would override what the gallery reads from the file, so those that depend on that are
        left out.
        """
        fields = {"name": self.title, "author": self.author, "comment": self.comment}
        if self.date and not self._date_depends:
            fields["date_creation"] = self.date.text
        if not self.embedded_keywords:
            fields["tag_ids"] = ",".join(map(str, tag_ids))
        return tuple((name, value) for name, value in fields.items() if value)


def details_of(metadata: Metadata, *, reads: Reads = {}) -> Details:  # noqa: B006 (read only)
    """Return a photo's metadata as Piwigo can store it, without what the gallery reads itself."""
    iptc, title = metadata.iptc or Iptc(), metadata.title
    metadata = _without(metadata, iptc, reads)
    own_title = "" if metadata.title else _fit("name", without_emoji(title))
    texts = (metadata.title, metadata.description, metadata.author, *metadata.tags)
    columns = ("name", "comment", "author", *["name"] * len(metadata.tags))
    held = [without_emoji(text) for text in texts]
    fitting = [_fit(column, text) for column, text in zip(columns, held, strict=True)]
    title, comment, author, *tags = fitting
    details = Details(
        title=title,
        comment=comment,
        author=author,
        date=metadata.date or _replaced_date(metadata, reads),
        tags=distinct(_fit("name", escape_tags(tag)) for tag in tags),
        level=metadata.level,
        position=None if metadata.exif_position else metadata.position,
        own_title=own_title,
        embedded_keywords=bool(iptc.keywords) and reads.get("keywords") is not False,
        replaced=held != list(texts),
        cut=fitting != held,
        own_date=metadata.exif_date.text if metadata.exif_date else "",
    )
    unknown = any(getattr(iptc, kind) and kind not in reads for kind in IPTC_KINDS)
    return replace(details, iptc=iptc) if details and unknown else details


IPTC_KINDS: Final = ("title", "description", "keywords")


def _replaced_date(metadata: Metadata, reads: Reads) -> Moment | None:
    """Return the date of EXIF if the gallery may replace it by that of IPTC, without its time.

    Piwigo does if it reads IPTC (seen on Piwigo 13).
    """
    replaced = metadata.iptc is not None and metadata.iptc.dated
    may_read = any(reads.get(kind, True) for kind in IPTC_KINDS)
    return metadata.exif_date if replaced and may_read else None


def _without(metadata: Metadata, iptc: Iptc, reads: Reads) -> Metadata:
    """Return the metadata without the texts that the gallery has read from the file itself."""
    title, description = metadata.title, metadata.description
    if reads.get("title") and title == iptc.title and "<" not in title:
        metadata = replace(metadata, title="")
    if reads.get("description") and description == iptc.description and "<" not in description:
        metadata = replace(metadata, description="")
    if reads.get("keywords"):
        whole = {tag.lower() for tag in iptc.keywords if not ALTERED.search(tag)}
        tags = tuple(tag for tag in metadata.tags if tag.lower() not in whole)
        metadata = replace(metadata, tags=tags)
    return metadata


def what_it_reads(iptc: Iptc, stored: Stored) -> Reads:
    """Return which kinds of texts the gallery has read itself from a photo with this IPTC data.

    `stored` are its fields before any was set. What the gallery altered beyond recognition is left
    open.
    """
    name, tags = str(stored.get("name") or ""), stored.get("tags")
    found: dict[str, bool] = {}
    if iptc.title and (not name or is_temporary_name(name)):
        found["title"] = False
    elif (
        iptc.title
        and plain_name(strip_tags(name)).split() == plain_name(strip_tags(iptc.title)).split()
    ):
        found["title"] = True
    if iptc.description and "comment" in stored:
        found["description"] = bool(stored["comment"])
    if iptc.keywords and isinstance(tags, list):
        found["keywords"] = bool(tags)
    return found


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
    """Return the fields that `pwg.images.setInfo` has to set so that the photo has all metadata.

    `stored` are the known fields of the photo; `file` is the real name of one sent under a
    temporary name; `strips` is whether the server removes HTML from all texts.
    """
    fields: dict[str, str] = {}
    if file:
        fields["file"] = to_storable(escape_tags(file))  # every version removes HTML from it
        if not (name := stored.get("name")) or is_temporary_name(str(name)):
            title = details.own_title or title_of(file)
            fields["name"] = _fit("name", escape_tags(title)) if strips else title
    for column, text in (
        ("name", details.title),
        ("author", details.author),
        ("comment", details.comment),
    ):
        if text and text != stored.get(f"{column}_raw", stored.get(column)):
            fields[column] = _fit(column, escape_tags(text)) if strips else text
    if details.date and not details.date.agrees_with(str(stored.get("date_creation") or "")):
        fields["date_creation"] = details.date.text
    if missing := set(tag_ids) - _tag_ids(stored):
        fields["tag_ids"] = ",".join(map(str, sorted(missing)))
    return tuple(fields.items())


def _tag_ids(stored: Stored) -> set[int]:
    tags = stored.get("tags")
    if not isinstance(tags, list):
        return set()
    return {number(tag.get("id")) for tag in tags if isinstance(tag, dict)}


ALIKE: Final = str.maketrans("ßıøæœđł", "siooodl")
"""Letters that databases equate with others although Unicode does not decompose them."""


class Tags:
    """The tags of one gallery by name. `refused` are those that it did not create."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self._ids: dict[str, int] | None = None
        self._crashed: set[str] = set()
        self._turn = anyio.Lock()

    async def ids(self, names: Iterable[str], *, ask: Ask) -> tuple[int, ...]:
        """Return the ids of tags, creating missing ones. May be repeated.

        Refused tags are left out. Raises `Transient`.
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
            except (ServerCrashed, NotOffered, PhotoError) as error:
                if isinstance(error, ServerCrashed) and name not in self._crashed:
                    self._crashed.add(name)  # the first crash may be a coincidence
                    raise
                # it exists under a name that the database considers equal, or is refused
                self._ids |= await _listed(ask)
                made = self._ids.get(key) or self._alike(name)
            if made is None:
                self.refused.add(name)
                return None
            self._ids[key] = made
        return self._ids[key]

    def _alike(self, name: str) -> int | None:
        """Return the existing tag that the server must consider equal to this name."""
        plain = plain_name(name)
        return next(
            (i for other, i in (self._ids or {}).items() if plain_name(other) == plain), None
        )


async def _listed(ask: Ask) -> dict[str, int]:
    """Return the ids of the gallery's tags by name, none if the server does not list them."""
    try:
        tags = read_tags(await ask(Request("pwg.tags.getAdminList")))
    except (ServerCrashed, NotOffered, PhotoError):
        return {}
    return {unicodedata.normalize("NFC", name).lower(): number for name, number in tags}


def plain_name(name: str) -> str:
    """Return a name without case and accents, and without what else databases may ignore."""
    letters = unicodedata.normalize("NFKD", name.casefold().translate(ALIKE))
    return "".join(c for c in letters if not unicodedata.combining(c)).replace("ss", "s").rstrip()


TAGS_NAMED: Final = 5
EMOJI_HINT: Final = "The gallery's database can't store them."
CUT_HINT: Final = (
    f"A title or tag has {LINE} characters at most, a description {COMMENT_SIZE} bytes."
)
UNSET_HINT: Final = "The server does not offer pwg.images.setInfo."
UNPLACED_HINT: Final = (
    "It takes positions once the plugin piwigo-openstreetmap, of April 2025 or later, is active: "
    "then run bulkup refresh."
)


Describe = Callable[[Photo], Awaitable[Metadata]]
"""Returns the metadata of a photo."""


@dataclass(slots=True)
class MetadataWriter:
    """Sets the metadata of the photos of one run.

    Without `describe` photos get nothing but their names. `reads` is what is known, and learnt, of
    the IPTC texts that the gallery reads itself. `unplaced` counts photos whose position it does
    not take.
    """

    offer: Offer
    describe: Describe | None = None
    tags: Tags = field(default_factory=Tags)
    reads: dict[str, bool] = field(default_factory=dict)
    positions: Positions = field(init=False)
    _replaced: int = 0
    _first_replaced: str = ""
    _cut: int = 0
    _unset: int = 0
    unplaced: int = 0

    def __post_init__(self) -> None:
        self.positions = Positions(self.offer)

    @property
    def can_set(self) -> bool:
        """Whether metadata can be set for photos on the server."""
        return "pwg.images.setInfo" in self.offer.methods

    async def of(self, photo: Photo) -> Details:
        """Return the photo's metadata, as this gallery can store it."""
        if self.describe is None:
            return Details()
        details = details_of(await self.describe(photo), reads=self.reads)
        if details.position and self.positions.taken is False:
            return replace(details, position=None, unplaced=True)
        return details

    def learn(self, details: Details, stored: Stored) -> Reads:
        """Return what a new photo shows of the texts that the gallery reads itself.

        `stored` are its fields before any was set; nothing is learnt from what is known already.
        """
        if details.iptc is None or not is_temporary_name(str(stored.get("file", ""))):
            return {}
        shown = what_it_reads(details.iptc, stored)
        learnt = {kind: reads for kind, reads in shown.items() if kind not in self.reads}
        self.reads.update(learnt)
        return learnt

    async def tag_ids(self, details: Details, *, ask: Ask) -> tuple[int, ...]:
        """Return the ids of its tags, creating missing ones. May be repeated."""
        return await self.tags.ids(details.tags, ask=ask) if details.tags else ()

    async def fetch(self, photo_id: int, *, ask: Ask) -> Stored:
        """Return a photo's fields in the gallery, empty if unknown."""
        if "pwg.images.getInfo" not in self.offer.methods:
            return {}
        try:
            answer = await ask(Request("pwg.images.getInfo", (("image_id", str(photo_id)),)))
        except (NotOffered, PhotoError):
            return {}
        return answer if isinstance(answer, dict) else {}

    async def lacks_position(self, photo_id: int, photo: Photo, *, ask: Ask) -> bool | None:
        """Return whether a photo has no position in the gallery, though its sources have one.

        None where the gallery takes no positions, or does not show them.
        """
        position = (await self.describe(photo)).position if self.describe else None
        if position is None:
            return False
        if not await self.positions.are_taken(ask=ask):
            return None
        placed = has_position(await self.fetch(photo_id, ask=ask))
        return None if placed is None else not placed

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
        """Set missing metadata of a photo, and its real name `file` if not empty. May be repeated.

        `stored` are the known fields of the photo.
        """
        fields = to_set(
            details,
            tag_ids=tag_ids,
            stored=stored,
            file=file,
            strips=self.offer.major < 14,
        )
        position, unplaced = details.position, details.unplaced
        if position and (unplaced := not await self.positions.are_taken(ask=ask)):
            position = None
        if position and (placed := has_position(stored)) is not False:
            position, unplaced = None, placed is None
        if position:
            fields += position_fields(position)
        if fields and self.can_set:
            await ask(set_info(photo_id, fields))
        elif fields:
            self._unset += 1
        if position and not self.positions.is_proved:
            unplaced = not self.positions.prove(position, await self.fetch(photo_id, ask=ask))
        self.unplaced += unplaced
        name = photo.name
        if details.replaced or name != without_emoji(name):
            self._replaced += 1
            self._first_replaced = self._first_replaced or name
        self._cut += details.cut

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield a message and a hint for each kind of metadata that was altered or not set."""
        if self._replaced:
            such = self._first_replaced if self._replaced == 1 else f"{self._first_replaced}, …"
            photos = count_text(self._replaced, "photo")
            yield (
                f"{photos} had emoji in names or texts, now �: {such}",
                EMOJI_HINT,
            )
        if self._cut:
            photos = count_text(self._cut, "photo")
            yield (
                f"{photos} had texts too long for the gallery, now truncated",
                CUT_HINT,
            )
        if self._unset:
            yield (
                f"{count_text(self._unset, 'photo lacks', 'photos lack')} a title, date or tag",
                UNSET_HINT,
            )
        if self.unplaced:
            photos = count_text(self.unplaced, "photo has", "photos have")
            yield (
                f"{photos} a position (GPS) that the gallery did not take",
                UNPLACED_HINT,
            )
        if refused := sorted(self.tags.refused):
            named = ", ".join(refused[:TAGS_NAMED]) + (" …" if len(refused) > TAGS_NAMED else "")
            yield f"the gallery refused these tags: {named}", "Create them in the gallery."


def set_info(photo_id: int, fields: Fields, *, tags: str = "append") -> Request:
    """Return the request that overwrites these fields; `tags` is the mode for tags.

    From Piwigo 14, the token permits `<` in texts.
    """
    modes = (("single_value_mode", "replace"), ("multiple_value_mode", tags))
    return Request(
        "pwg.images.setInfo", (("image_id", str(photo_id)), *fields, *modes), token=True
    )
