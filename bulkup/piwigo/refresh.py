"""Compares the metadata of photos in the gallery with that of their files, and changes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import unescape
from typing import Final

from bulkup.errors import PhotoGone
from bulkup.errors import server as server_failures
from bulkup.piwigo.metadata import (
    Details,
    MetadataWriter,
    details_of,
    escape_tags,
    is_temporary_name,
    plain_name,
    set_info,
    strip_tags,
    title_of,
)
from bulkup.piwigo.positions import (
    are_close,
    has_position,
    position_fields,
    position_of,
    position_text,
)
from bulkup.piwigo.protocol import Ask, Request, Stored, number, read_identity, rows_of
from bulkup.source.metadata import Iptc, Metadata, Moment, Position
from bulkup.source.photos import Photo

Values = dict[str, tuple[str, str]]
"""By field: the value in the gallery, and that of the file."""

COLUMNS: Final = {
    "title": "name",
    "description": "comment",
    "author": "author",
    "date": "date_creation",
    "level": "level",
}


class Refresher:
    """Compares and changes the metadata of photos, as `MetadataRefresher` of the engine."""

    def __init__(self, ask: Ask, metadata: MetadataWriter) -> None:
        self._ask = ask
        self._metadata = metadata

    @property
    def offered(self) -> bool:
        """Whether the server has the methods for it."""
        return {"pwg.images.getInfo", "pwg.images.setInfo"} <= set(self._metadata.offer.methods)

    async def compare(
        self,
        photo_id: int,
        photo: Photo,
        *,
        md5: str,
        level: int,
        written: Mapping[str, str],
        overwrite: bool,
    ) -> "Difference":
        """Return how the metadata of a photo differs. Raises `PhotoGone`, also for another MD5.

        A `level` above 0 takes precedence over that of the metadata.
        """
        answer = await self._ask(Request("pwg.images.getInfo", (("image_id", str(photo_id)),)))
        if read_identity(answer).md5 not in {"", md5}:
            raise PhotoGone(server_failures.PHOTO_GONE(said="it has another file now"))
        describe = self._metadata.describe
        metadata = Metadata() if describe is None else await describe(photo)
        takes_position = metadata.position is not None and (
            await self._metadata.positions.are_taken(ask=self._ask)
        )
        return Difference(
            photo_id,
            replace(metadata, level=level or metadata.level),
            takes_position=takes_position,
            stored=answer if isinstance(answer, dict) else {},
            written=written,
            overwrite=overwrite,
            writer=self._metadata,
            ask=self._ask,
        )


@dataclass(frozen=True, slots=True)
class _Tag:
    number: int
    name: str


class Difference:
    """How the metadata of a photo differs from that of its file, as `MetadataDifference`."""

    def __init__(
        self,
        photo_id: int,
        metadata: Metadata,
        *,
        takes_position: bool,
        stored: Stored,
        written: Mapping[str, str],
        overwrite: bool,
        writer: MetadataWriter,
        ask: Ask,
    ) -> None:
        self.changes: Values = {}
        self.kept: Values = {}
        self.written = dict(written)
        self.albums = frozenset(
            number(album)
            for row in rows_of(stored, "categories")
            for album in (row.get("id"), *str(row.get("uppercats") or "").split(","))
        )
        self._photo_id = photo_id
        self._stored = stored
        self._overwrite = overwrite
        self._writer = writer
        self._ask = ask
        self._keep_tags: Sequence[int] = ()
        self._add_tags: tuple[str, ...] = ()
        details, iptc = details_of(metadata), metadata.iptc or Iptc()
        file = str(stored.get("file") or "")
        strips = writer.offer.major < 14
        for field, text, own in (
            ("title", details.title, (title_of(file), file, iptc.title)),
            ("description", details.comment, (iptc.description,)),
            ("author", details.author, ()),
        ):
            self._compare_text(field, escape_tags(text) if strips else text, own=own)
        self._compare_date(details.date or metadata.exif_date, own=details.own_date)
        self._compare_tags(details.tags, own=iptc.keywords)
        self._compare_level(details.level)
        self._position = metadata.position
        if metadata.position:
            self._compare_position(
                metadata.position, own=metadata.exif_position, taken=takes_position
            )

    async def apply(self) -> None:
        """Change the photo. May be repeated."""
        fields = {
            COLUMNS[field]: new for field, (_, new) in self.changes.items() if field in COLUMNS
        }
        if self._position and "position" in self.changes:
            fields |= dict(position_fields(self._position))
        if "tags" in self.changes:
            added = await self._writer.tag_ids(Details(tags=self._add_tags), ask=self._ask)
            fields["tag_ids"] = ",".join(map(str, dict.fromkeys((*self._keep_tags, *added))))
        if fields:
            await self._ask(set_info(self._photo_id, tuple(fields.items()), tags="replace"))
        positions = self._writer.positions
        if self._position and "position" in self.changes and not positions.is_proved:
            stored = await self._writer.fetch(self._photo_id, ask=self._ask)
            if not positions.prove(self._position, stored):
                self._writer.unplaced += 1
                del self.changes["position"], self.written["position"]

    def _compare_text(self, field: str, text: str, *, own: Sequence[str]) -> None:
        """Compare a text; the gallery has taken those that are its `own` from the file."""
        column = COLUMNS[field]
        raw = self._stored.get(f"{column}_raw")
        there = str((self._stored.get(column) if raw is None else raw) or "")
        was = self.written.get(field)
        unedited = was is not None and _is_shown(there, was)
        same = there == text if raw is not None or field == "author" else _is_shown(there, text)
        if not same and not (unedited and was == text):
            blank = not there or any(_is_shown(there, each) for each in own if each)
            blank = blank or (field == "title" and is_temporary_name(there))
            self._change(field, there, text, may=unedited or blank)
        elif text:
            self.written[field] = text

    def _compare_date(self, date: Moment | None, *, own: str) -> None:
        there = str(self._stored.get("date_creation") or "")
        if date is None:
            return
        if date.agrees_with(there):
            self.written["date"] = there
        else:
            may = there in {"", own, self.written.get("date")}
            self._change("date", there, date.text, may=may)

    def _compare_level(self, level: int | None) -> None:
        """Compare the privacy level; 0, which all photos have at first, counts as empty."""
        there = str(number(self._stored.get("level")))
        if level is None or there == str(level):
            if level is not None:
                self.written["level"] = there
            return
        self._change("level", there, str(level), may=there == self.written.get("level", "0"))

    def _compare_position(self, position: Position, *, own: bool, taken: bool) -> None:
        """Compare the position; the gallery may have read its `own` from the file's EXIF data."""
        there, text = position_of(self._stored), position_text(position)
        if are_close(there, position):
            self.written["position"] = text
        elif not taken or has_position(self._stored) is None:
            self._writer.unplaced += there is None
        elif there is None:
            self._change("position", "", text, may=True)
        else:
            may = position_text(there) == self.written.get("position")
            if may or self._overwrite or not own:
                self._change("position", position_text(there), text, may=may)

    def _change(self, field: str, there: str, new: str, *, may: bool) -> None:
        """Plan to change a value, unless it must not be overwritten; nothing is emptied."""
        if not new:
            return
        if may or self._overwrite:
            self.changes[field] = there, new
            self.written[field] = new
        else:
            self.kept[field] = there, new

    def _compare_tags(self, tags: Sequence[str], *, own: Sequence[str]) -> None:
        """Compare the tags: those set by bulkup follow the file, all others stay."""
        there = [
            _Tag(number(row.get("id")), unescape(str(row.get("name") or "")))
            for row in rows_of(self._stored, "tags")
        ]
        known = {plain_name(tag.name) for tag in there}
        wanted = {plain_name(tag): tag for tag in tags}
        was = self.written.get("tags")
        before = {plain_name(tag) for tag in (was or "").split("\n") if tag}
        missing = {key: tag for key, tag in wanted.items() if key not in known}
        names = ", ".join(tag.name for tag in there)
        unknown = was is None and not known <= {plain_name(tag) for tag in own}
        left_out = {key for key in missing if unknown or key in before}
        if left_out and not self._overwrite:
            removed = [missing.pop(key) for key in list(missing) if key in left_out]
            self.kept["tags"] = names, ", ".join([names, *removed] if names else removed)
        stay = [tag for tag in there if plain_name(tag.name) in wanted.keys() | (known - before)]
        if missing or len(stay) < len(there):
            self._keep_tags = [tag.number for tag in stay]
            self._add_tags = tuple(missing.values())
            self.changes["tags"] = names, ", ".join([*(tag.name for tag in stay), *self._add_tags])
        if was is not None or "tags" not in self.kept:
            self.written["tags"] = "\n".join(tags)


def _is_shown(there: str, text: str) -> bool:
    """Return whether a gallery may show a text like this: it may remove HTML, or change blanks."""
    return _joined(there) in {_joined(text), _joined(strip_tags(text))}


def _joined(text: str) -> str:
    return "".join(unescape(text).split())
