"""The originals of a gallery and their metadata, to be copied to another one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Final

from yarl import URL

from bulkup.errors import NotOffered, PhotoError
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import server as server_failures
from bulkup.piwigo.arrangement import BY_RANK
from bulkup.piwigo.methods import PAGE, MethodCaller
from bulkup.piwigo.protocol import (
    AlbumPhoto,
    AlbumRow,
    Answer,
    Fields,
    interpret,
    number,
    read_members,
    rows_of,
)
from bulkup.source.metadata import LEVELS, Metadata, distinct, line, parse_date, position, prose

PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of answers that may be different a little later."""


@dataclass(frozen=True, slots=True)
class Original:
    """A photo of a gallery: the name of its file, its MD5 (empty if unknown), and its address.

    `size` is in bytes, rounded down to whole kB. `albums` are all those that it is in.
    """

    photo_id: int
    file: str
    md5: str
    size: int
    url: str
    albums: tuple[int, ...]
    metadata: Metadata


class Originals(MethodCaller):
    """Lists and downloads the originals of a gallery; all calls may be repeated."""

    _by_php = False

    async def photos_in(self, album: int, *, page: int) -> tuple[list[AlbumPhoto], bool]:
        """Return a page, from 0, of the photos in an album, and whether it is the last one."""
        fields: Fields = (("page", str(page)), ("order", "id"))
        return await self._list((album,), fields)

    async def _list(
        self, albums: Sequence[int], fields: Fields = ()
    ) -> tuple[list[AlbumPhoto], bool]:
        fields += (("per_page", str(PAGE)), *(("cat_id[]", str(album)) for album in albums))
        photos, per_page = read_members(await self.ask("pwg.categories.getImages", fields))
        return photos, len(photos) < (per_page or PAGE)

    async def shown_ids(self, album: int) -> list[int]:
        """Return the photos in an album, in its own order."""
        return [photo.photo_id async for photo in self.album_photos(album)]

    async def is_ordered(self, album: AlbumRow) -> bool:
        """Return whether an album has its own order: by rank, or before Piwigo 14 any other.

        These versions don't report the order, but an album that is named twice is listed in that
        of the gallery (source of Piwigo 13.8).
        """
        if album.order or not album.photos:
            return album.order.lower().startswith(BY_RANK)
        number = album.album_id
        return await self._list((number,)) != await self._list((number, number))

    async def original(self, photo_id: int) -> Original:
        """Return a photo. Raises `PhotoGone` if it does not exist, or is not visible."""
        fields = (("image_id", str(photo_id)),)
        return read_original(await self.ask("pwg.images.getInfo", fields))

    async def download_format(self, original: Original, ending: str, file: Path) -> None:
        """Download a format of a photo to a new file. Raises `PhotoError` if it is refused.

        `action.php` knows formats only by numbers, which no method tells.
        """
        folder, _, name = URL(original.url).path.rpartition("/")
        path = f"{folder}/pwg_format/{name.rpartition('.')[0]}.{ending}"
        answer = await self._pool.download(str(URL(self.offer.url).origin().with_path(path)), file)
        if isinstance(answer, Answer):
            if answer.status in PASSING:
                interpret(answer)
            raise PhotoError(gallery_failures.NOT_DOWNLOADED(status=answer.status))

    async def download(self, original: Original, file: Path) -> None:
        """Download an original to a new file, and compare its MD5 with the recorded one.

        It is asked for at the address that the gallery gives, and at `action.php`, which serves
        what the web server does not: first where the last original was found. Both are on the
        gallery's own host, whatever the address says: the request has the session's cookie. Raises
        `PhotoError` if the original is refused, has another MD5, or can't be written.
        """
        base = URL(self.offer.url)
        action = base / "action.php" % {"id": original.photo_id, "part": "e", "download": ""}
        addresses = [action]
        if original.url:
            addresses.insert(self._by_php, base.origin().join(URL(original.url).relative()))
        failure = gallery_failures.NOT_DOWNLOADED(status=404)
        for address in addresses:
            answer = await self._pool.download(str(address), file)
            if isinstance(answer, Answer):
                if answer.status in PASSING:
                    interpret(answer)
                failure = gallery_failures.NOT_DOWNLOADED(status=answer.status)
            elif not original.md5 or answer == original.md5:
                self._by_php = address is action
                return
            else:
                failure = gallery_failures.NOT_THE_ORIGINAL()
        raise PhotoError(failure)


def read_original(result: object) -> Original:
    """Parse the answer to `pwg.images.getInfo`. Raises `NotOffered` if it has another form.

    Piwigo stores file names with HTML entities, some also with backslashes before quotes (seen on
    13 to 17), and before version 16 has no raw texts.
    """
    if not isinstance(result, dict) or not number(result.get("id")):
        raise NotOffered(server_failures.NOT_REPORTED(what="what it knows about its photos"))
    md5 = str(result.get("md5sum") or "").lower()
    level = number(result.get("level"))
    return Original(
        photo_id=number(result["id"]),
        file=re.sub(r"""\\(['"\\])""", r"\1", unescape(_text(result, "file"))),
        md5=md5 if re.fullmatch(r"[0-9a-f]{32}", md5) else "",
        size=number(result.get("filesize")) * 1024,
        url=str(result.get("element_url") or ""),
        albums=tuple(number(row.get("id")) for row in rows_of(result, "categories")),
        metadata=Metadata(
            title=line(_text(result, "name")),
            description=prose(_text(result, "comment")),
            author=line(_text(result, "author")),
            date=parse_date(_text(result, "date_creation")),
            tags=distinct(line(_text(row, "name")) for row in rows_of(result, "tags")),
            level=level if level in LEVELS else None,
            position=position(*(_degrees(result.get(name)) for name in ("latitude", "longitude"))),
        ),
    )


def _degrees(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _text(row: dict[str, object], name: str) -> str:
    """Return a text as it is stored, if the gallery shows that."""
    return str(row.get(f"{name}_raw") or row.get(name) or "")
