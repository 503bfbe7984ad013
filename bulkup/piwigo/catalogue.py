"""What a gallery holds, asked and told: albums, photos by MD5, links, the lounge.

Knows which method answers which question and what the server offers. It never waits and never
tries again: a failure is raised, `recovery` decides.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from bulkup.errors import Lost, NotOffered, PhotoError, Refused, RunError
from bulkup.failures import answers, stops
from bulkup.piwigo.details import COMMENT_SIZE
from bulkup.piwigo.names import (
    cut_bytes,
    is_sent_name,
    storable,
    stripped,
    unlike_html,
    without_emoji,
)
from bulkup.piwigo.results import (
    AlbumRow,
    Identity,
    number,
    read_albums,
    read_checked,
    read_found,
    read_identity,
    read_members,
)
from bulkup.piwigo.sessions import SessionPool
from bulkup.piwigo.wire import Fields, Request

HTML_SINCE: Final = 14
"""The Piwigo from which on texts may hold what looks like HTML, with a token."""

RAW_NAMES_SINCE: Final = 16
"""The Piwigo from which on the list of albums tells names as they are."""

LINK_BATCH: Final = 500  # PHP drops fields beyond a thousand (max_input_vars)
PAGE: Final = 500
"""Photos in one answer of `pwg.categories.getImages`, its maximum."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server said of itself: `chunk_size` in bytes, `endings` of files in lower case."""

    url: str
    version: str
    user: str
    methods: frozenset[str]
    endings: frozenset[str] | None
    chunk_size: int


@dataclass(frozen=True, slots=True)
class Member:
    """A photo in an album; `alias` is the name that an upload gave it, if it still has that."""

    photo_id: int
    alias: str


class Catalogue:
    """The photos and albums of a gallery that somebody is logged in to."""

    def __init__(self, pool: SessionPool, *, offer: Offer) -> None:
        self.offer = offer
        self._pool = pool
        self._keeps_html: bool | None = None

    async def album_name(self, album: int) -> str:
        """Return the album's name, empty where the server can't tell.

        Raises `RunError` where there is no such album.
        """
        fields = (("cat_id", str(album)),)
        try:
            albums = read_albums(await self.ask("pwg.categories.getList", fields))
        except (NotOffered, PhotoError):
            return ""
        for row in albums:
            if row.album_id == album:
                return row.name
        raise RunError(stops.NO_SUCH_ALBUM(album=album, url=self.offer.url))

    async def albums(self) -> list[AlbumRow]:
        """Return all albums. Raises `NotOffered` where the server does not list them."""
        fields = (("recursive", "true"),)  # 13 and 14 list all anyway
        return read_albums(await self.ask("pwg.categories.getAdminList", fields))

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Make an album, the last of its parent's, and return its number.

        What looks like HTML in its name gets a blank, so that no gallery drops it. Not to be
        repeated, see piwigo-api.md, section 4. Raises `PhotoError` where it is refused and `Lost`
        where the answer names none.
        """
        fields: Fields = (
            ("name", storable(unlike_html(name))),
            ("status", "private" if private else "public"),
            ("position", "last"),
        )
        if comment:
            fields += (("comment", self._storable_comment(comment)),)
        if parent:
            fields += (("parent", str(parent)),)
        match await self.ask("pwg.categories.add", fields, token=True):
            case {"id": made} if number(made):
                return number(made)
        raise Lost(answers.ALBUM_UNCONFIRMED())

    async def spell_album(self, album: int, name: str) -> None:
        """Spell the name of an album just made as it is, where what looks like HTML is kept.

        Older ones take `<` for HTML: 13 drops it, 14 and 15 do not list it, so that albums which
        differ in nothing else could not be told apart. Newer ones drop it if they are set up so
        (`allow_html_descriptions`), which they do not tell beforehand. May be repeated.
        """
        spelled, plain = storable(name), storable(unlike_html(name))
        able = self._major >= RAW_NAMES_SINCE and "pwg.categories.setInfo" in self.offer.methods
        if spelled == plain or not able or self._keeps_html is False:
            return
        await self._rename_album(album, spelled)
        if self._keeps_html is None:
            names = {row.album_id: row.name for row in await self.albums()}
            if names.get(album) != spelled:
                await self._rename_album(album, plain)
                self._keeps_html = False
                return
        self._keeps_html = True

    async def _rename_album(self, album: int, name: str) -> None:
        fields = (("category_id", str(album)), ("name", name))
        await self.ask("pwg.categories.setInfo", fields, token=True)

    def album_keys(self, name: str) -> Sequence[str]:
        """Return what the list of albums may call one of this name, the likeliest first."""
        plain = storable(unlike_html(name))
        if self._major < RAW_NAMES_SINCE:
            return (stripped(plain),)
        return tuple(dict.fromkeys((storable(name), plain)))

    def _storable_comment(self, text: str) -> str:
        text = without_emoji(text)
        text = text if self._major >= HTML_SINCE else unlike_html(text)
        return cut_bytes(text, size=COMMENT_SIZE)

    @property
    def _major(self) -> int:
        return number(self.offer.version.partition(".")[0])

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each photo with one of these MD5s, None for absent.

        An MD5 that is missing in the answer is one that this server can't tell about.
        """
        if not md5s:
            return {}
        try:
            return read_found(
                await self.ask("pwg.images.exist", (("md5sum_list", ",".join(md5s)),))
            )
        except (NotOffered, PhotoError):
            return {}

    async def check(self, photo_id: int, md5: str) -> bool | None:
        """Tell whether a photo's stored file has this MD5, None where the server can't tell.

        The server reads the whole file for that. Raises `PhotoGone` where there is no such photo.
        """
        fields = (("image_id", str(photo_id)), ("file_sum", md5))
        try:
            return read_checked(await self.ask("pwg.images.checkFiles", fields))
        except NotOffered:
            return None

    async def identity(self, photo_id: int) -> Identity:
        """Return what a photo is.

        Raises `PhotoGone` where there is none of this number, or none that may be looked at, and
        `NotOffered` where the server can't tell.
        """
        fields = (("image_id", str(photo_id)),)
        return read_identity(await self.ask("pwg.images.getInfo", fields))

    async def members(self, album: int) -> AsyncGenerator[Member, None]:
        """Yield the photos that the album shows, newest first; the lounge is not shown.

        Raises `NotOffered` where the server does not list them.
        """
        last: list[tuple[int, str]] = []
        for page in count():
            fields = (
                ("cat_id", str(album)),
                ("per_page", str(PAGE)),
                ("page", str(page)),
                ("order", "id DESC"),
            )
            members, per_page = read_members(await self.ask("pwg.categories.getImages", fields))
            if members == last:
                return  # a server that turns no pages
            for photo_id, file in members:
                yield Member(photo_id, file if is_sent_name(file) else "")
            if len(members) < (per_page or PAGE):
                return
            last = members

    async def alias(self, photo_id: int) -> str:
        """Return the name that an upload gave a photo, if it still has that, else empty."""
        try:
            info = await self.ask("pwg.images.getInfo", (("image_id", str(photo_id)),))
        except (NotOffered, PhotoError):
            return ""
        file = str(info.get("file", "")) if isinstance(info, dict) else ""
        return file if is_sent_name(file) else ""

    async def remove(self, photo_id: int) -> None:
        """Delete a photo from the server; to be called for what this run has made, only.

        Raises `NotOffered` where the server has no way to do that.
        """
        fields = (("image_id", str(photo_id)),)
        await self.ask("pwg.images.delete", fields, token=True)

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Put photos into an album as well; those that are in it already stay. May be repeated.

        Raises `NotOffered` where the server has no way to do that.
        """
        if "pwg.images.setCategory" in self.offer.methods:
            for start in range(0, len(photo_ids), LINK_BATCH):
                batch = photo_ids[start : start + LINK_BATCH]
                fields = (
                    *(("image_id[]", str(photo_id)) for photo_id in batch),
                    ("category_id", str(album)),
                    ("action", "associate"),
                )
                await self.ask("pwg.images.setCategory", fields, token=True)
            return
        for photo_id in photo_ids:
            fields = (
                ("image_id", str(photo_id)),
                ("categories", str(album)),
                ("multiple_value_mode", "append"),
            )
            await self.ask("pwg.images.setInfo", fields)

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Let finished photos out of the lounge, into their albums. May be repeated.

        To be called while nothing is being finished (piwigo-api.md, section 4, The lounge).
        Raises `Refused` while the server is at it already, and `NotOffered` where it can't be
        asked to.
        """
        fields: Fields = (("category_id", str(album)),)
        if photo_ids:
            fields += (("image_id", ",".join(str(photo_id) for photo_id in photo_ids)),)
        match await self.ask("pwg.images.uploadCompleted", fields, token=True):
            case {"moved_from_lounge": None}:
                raise Refused(answers.OTHER_UPLOAD(), retry_after_s=1.5)

    async def ask(self, method: str, fields: Fields, *, token: bool = False) -> object:
        """Return the answer to one request. Raises `NotOffered` where no such method is listed."""
        if method not in self.offer.methods:
            raise NotOffered(answers.NOT_OFFERED(method=method))
        return await self._pool.call(Request(method, fields, token=token))
