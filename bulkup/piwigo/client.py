"""The gallery client: every Piwigo method that bulkup calls, except sending photos."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

import anyio

from bulkup.errors import (
    AnswerLost,
    FormatRefused,
    FormatsOff,
    NotOffered,
    PhotoCorrupted,
    PhotoError,
    Refused,
    RunError,
)
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures
from bulkup.piwigo.census import Census
from bulkup.piwigo.metadata import (
    COMMENT_SIZE,
    Describe,
    Details,
    MetadataWriter,
    cut_bytes,
    escape_tags,
    is_temporary_name,
    strip_tags,
    to_storable,
    without_emoji,
)
from bulkup.piwigo.protocol import (
    AlbumRow,
    Fields,
    Identity,
    Offer,
    Request,
    image_id,
    number,
    read_albums,
    read_checked,
    read_formats,
    read_found,
    read_has_format,
    read_identity,
    read_members,
)
from bulkup.piwigo.session import SessionPool
from bulkup.piwigo.upload import Attempt, Method, Transfer, Upload, real_name
from bulkup.source.photos import Photo, plan_chunks

HTML_SINCE: Final = 14
"""The Piwigo from which on texts may hold what looks like HTML, with a token."""

RAW_NAMES_SINCE: Final = 16
"""The Piwigo from which on the list of albums tells names as they are."""

LINK_BATCH: Final = 500  # PHP drops fields beyond a thousand (max_input_vars)
PAGE: Final = 500
"""Photos in one answer of `pwg.categories.getImages`, its maximum."""


FORMATS_SINCE: Final = 13
"""Piwigo before that would take a format for a photo."""

FORMATS_LISTED_SINCE: Final = 16
"""Piwigo before that does not tell which formats there are."""

REFUSED_FORMAT: Final = "bulkup.-"
"""The name of a file that becomes no format in any gallery."""

DEFAULT_FORMATS: Final = ("ai", "cr2", "dng", "nef", "psd", "tif", "tiff")
"""What a gallery takes that is not set up otherwise."""


def _stem(file: str) -> str:
    return file.rpartition(".")[0] or file


class Catalogue:
    """The photos and albums of a gallery that somebody is logged in to."""

    def __init__(self, pool: SessionPool, *, offer: Offer) -> None:
        self.offer = offer
        self._pool = pool
        self._keeps_html: bool | None = None
        self._format_asked = False
        self._format_refusal: FormatRefused | None = None

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
        raise RunError(run_failures.NO_SUCH_ALBUM(album=album, url=self.offer.url))

    async def albums(self) -> list[AlbumRow]:
        """Return all albums. Raises `NotOffered` where the server does not list them."""
        fields = (("recursive", "true"),)  # 13 and 14 list all anyway
        return read_albums(await self.ask("pwg.categories.getAdminList", fields))

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Make an album, the last of its parent's, and return its number.

        What looks like HTML in its name gets a blank, so that no gallery drops it. Not to be
        repeated, see piwigo-api.md, section 4. Raises `PhotoError` where it is refused and
        `AnswerLost` where the answer names none.
        """
        fields: Fields = (
            ("name", to_storable(escape_tags(name))),
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
        raise AnswerLost(server_failures.ALBUM_UNCONFIRMED())

    async def spell_album(self, album: int, name: str) -> None:
        """Spell the name of an album just made as it is, where what looks like HTML is kept.

        Older ones take `<` for HTML: 13 drops it, 14 and 15 do not list it, so that albums which
        differ in nothing else could not be told apart. Newer ones drop it if they are set up so
        (`allow_html_descriptions`), which they do not tell beforehand. May be repeated.
        """
        spelled, plain = to_storable(name), to_storable(escape_tags(name))
        able = (
            self.offer.major >= RAW_NAMES_SINCE and "pwg.categories.setInfo" in self.offer.methods
        )
        if spelled == plain or not able or self._keeps_html is False:
            return
        await self._set_album_name(album, spelled)
        if self._keeps_html is None:
            names = {row.album_id: row.name for row in await self.albums()}
            if names.get(album) != spelled:
                await self._set_album_name(album, plain)
                self._keeps_html = False
                return
        self._keeps_html = True

    async def _set_album_name(self, album: int, name: str) -> None:
        fields = (("category_id", str(album)), ("name", name))
        await self.ask("pwg.categories.setInfo", fields, token=True)

    def album_keys(self, name: str) -> Sequence[str]:
        """Return what the list of albums may call one of this name, the likeliest first."""
        plain = to_storable(escape_tags(name))
        if self.offer.major < RAW_NAMES_SINCE:
            return (strip_tags(plain),)
        return tuple(dict.fromkeys((to_storable(name), plain)))

    def _storable_comment(self, text: str) -> str:
        text = without_emoji(text)
        text = text if self.offer.major >= HTML_SINCE else escape_tags(text)
        return cut_bytes(text, size=COMMENT_SIZE)

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

    async def members(self, album: int) -> AsyncGenerator[tuple[int, str], None]:
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
                yield photo_id, file if is_temporary_name(file) else ""
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
        return file if is_temporary_name(file) else ""

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
                raise Refused(server_failures.OTHER_UPLOAD(), retry_after_s=1.5)

    async def check_format(self, file: str) -> None:
        """Find out whether the gallery takes a file of this name as a format; nothing is sent.

        Raises `FormatRefused` where it does not; where that can't be told, nothing.
        """
        refusal = await self._format_rules()
        if isinstance(refusal, FormatsOff) or (refusal and not refusal.takes(file)):
            raise refusal.with_traceback(None)

    async def formats_of(self, photo_id: int, file: str) -> Collection[str] | None:
        """Return the endings of all formats of a photo whose file is called so in the gallery.

        None where the server can't tell: it goes by file names, and several photos may have the
        same one (Piwigo before 16 does not tell at all).
        """
        if self.offer.major < FORMATS_LISTED_SINCE:
            return None
        refusal = await self._format_rules()
        endings = (refusal and refusal.endings) or DEFAULT_FORMATS
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
        alike = is_temporary_name(name) or _stem(name) == _stem(to_storable(file))
        there = None
        if self.offer.major >= FORMATS_LISTED_SINCE:
            search = await self._search({"format": f"{_stem(name)}.{ending}"})
            there = read_has_format(search, photo_id)
        return bool(there) if alike or there is False else None

    async def _search(self, names: dict[str, str]) -> object:
        """Return what the server says of formats that would be called so, None where it can't."""
        fields = (("filename_list", json.dumps(names, ensure_ascii=False)),)
        try:
            return await self.ask("pwg.images.formats.searchImage", fields)
        except (NotOffered, PhotoError):
            return None

    async def _format_rules(self) -> FormatRefused | None:
        """Return how the gallery refuses a file that becomes no format, None where it can't tell.

        It does that before it looks at what is sent.
        """
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

    async def ask(self, method: str, fields: Fields, *, token: bool = False) -> object:
        """Return the answer to one request. Raises `NotOffered` where no such method is listed."""
        if method not in self.offer.methods:
            raise NotOffered(server_failures.NOT_OFFERED(method=method))
        return await self._pool.call(Request(method, fields, token=token))


PICTURES: Final = frozenset({"jpg", "jpeg", "png", "gif", "webp"})


class Job(Protocol):
    """A photo to send, and what it is to become."""

    @property
    def photo(self) -> Photo:
        """Its file."""

    @property
    def md5(self) -> str:
        """The MD5 of its content."""

    @property
    def album(self) -> int:
        """The album that it goes to."""

    @property
    def replaces(self) -> int | None:
        """The photo whose file it replaces."""

    @property
    def format_of(self) -> int | None:
        """The photo that gets it as another format."""


class PiwigoServer(Catalogue):
    """A gallery that somebody is logged in to."""

    def __init__(
        self,
        pool: SessionPool,
        *,
        offer: Offer,
        method: Method,
        describe: Describe | None = None,
        replacers: Sequence[Method] = (),
    ) -> None:
        super().__init__(pool, offer=offer)
        self.method = method
        self.census = Census(pool)
        self.metadata = MetadataWriter(offer, describe)
        self.replaces = bool(replacers)
        self.takes_formats = not offer.methods or "pwg.images.upload" in offer.methods
        self.repeats_formats = offer.major >= 16
        self._replacers = replacers
        self._format_method: Method = Upload(renames=True)
        self._fallback: Method = Upload(renames=self.metadata.can_set)
        self._md5s_unknown = False
        self._names: dict[str, tuple[anyio.Lock, int]] = {}

    @asynccontextmanager
    async def transfer(
        self,
        job: Job,
        *,
        level: int,
        attempt: int,
        chunk_size: int,
        fallback: bool = False,
        tail: Callable[[int], int] = lambda _: 0,
    ) -> AsyncIterator[Transfer]:
        """Lend a session for one attempt, from 1 on, to send one photo; `fallback`: by `upload`.

        What `replaces` the file of a photo goes in one of the ways that name the photo by its
        number, to be used where `self.replaces`, and under its real name: what is under a name of
        ours may be removed. A format (`format_of`) goes by `upload`, the only way for it, under a
        name of ours: the server looks at the ending only.

        `tail` tells how many bytes of a last chunk of so many are to be one by themselves.

        Where the server keeps chunks by name and the photo has to travel under its own, photos of
        one name wait for each other: the server would mix them up.

        Details go with the photo where the method takes them, but not where they depend on what
        the server makes of it, nor where nobody knows whether it has the photo already.
        """
        photo, replaces, format_of = job.photo, job.replaces, job.format_of
        method = self._fallback if fallback else self.method
        file = real_name(photo)
        details = await self.metadata.of(photo) if format_of is None else Details()
        if replaces is not None:
            details = Details(date=details.date)  # the rest is kept by the server
        set_later = details.depends or (bool(details) and self._md5s_unknown)
        name = file if replaces is not None else ""
        if replaces is not None:
            method = self._replacers[-1 if fallback else 0]
        elif format_of is not None:
            method = self._format_method
            name = method.sent_name(file.lower(), attempt=attempt)  # it takes .nef and not .NEF
        sending = Attempt(
            file,
            name := name or method.sent_name(file, attempt=attempt, set_later=set_later),
            job.md5,
            album=job.album,
            level=level,
            number=attempt,
            details=details,
            replaces=replaces,
            format_of=format_of,
        )
        reserved = nullcontext() if method.repeatable else self._reserved(name)
        async with reserved, self._pool.lease() as session:
            yield Transfer(
                photo,
                pool=self._pool,
                session=session,
                method=method,
                sending=sending,
                chunks=plan_chunks(photo.size, chunk_size=chunk_size, tail=tail),
                metadata=self.metadata,
            )

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each photo with one of these MD5s, None for absent.

        An MD5 that is missing in the answer is one that this server can't tell about.
        """
        found = await super().find(md5s)
        self._md5s_unknown = self._md5s_unknown or not found.keys() >= set(md5s)
        return found

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Give a photo that an earlier run has sent its real name and its details.

        May be repeated. Raises `NotOffered` where the server has no way to do that.
        """
        if not self.metadata.can_set:
            raise NotOffered(server_failures.NOT_OFFERED(method="pwg.images.setInfo"))
        ask = self._pool.call
        details = await self.metadata.of(photo)
        await self.metadata.set(
            photo_id,
            details,
            photo=photo,
            tag_ids=await self.metadata.tag_ids(details, ask=ask),
            stored=await self.metadata.look(photo_id, ask=ask) if details else {},
            file=real_name(photo),
            ask=ask,
        )

    async def sweep(self, name: str) -> None:
        """Empty the server's buffer of `pwg.images.upload` for a name of ours.

        A request of one chunk empties the buffer first; no picture being in it, the server
        refuses and removes it (piwigo-api.md, 3.1). Galleries that take files of all types might
        keep it, so they are left alone. May be repeated.
        """
        if not (self.offer.endings or PICTURES) <= PICTURES:
            return
        fields: Fields = (("name", name), ("category", "1"), ("level", "8"))
        try:
            result = await self._pool.call(Request("pwg.images.upload", fields, token=True))
        except (PhotoError, PhotoCorrupted, NotOffered):
            return
        if (photo_id := image_id(result)) is not None:
            await self.remove(photo_id)

    async def line_speed(self) -> float | None:
        """Return the bytes a second that the line takes, None where that can't be told."""
        return await self.census.line_speed()

    async def probe(self) -> None:
        """Ask for a sign of life. Raises `Transient` where there is none."""
        try:
            await self._pool.ping()
        except (NotOffered, PhotoError):
            return

    @asynccontextmanager
    async def _reserved(self, name: str) -> AsyncIterator[None]:
        """Hold a name on the server to ourselves; a name nobody else has costs nothing."""
        lock, users = self._names.get(name, (anyio.Lock(), 0))
        self._names[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._names.pop(name)
            if users > 1:
                self._names[name] = (lock, users - 1)
