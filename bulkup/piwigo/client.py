"""The gallery client: every Piwigo method that bulkup calls, except those that send photos."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from html import unescape
from typing import Final, Protocol

import anyio

from bulkup.errors import (
    AnswerLost,
    NotOffered,
    PhotoCorrupted,
    PhotoError,
    PhotoGone,
    Refused,
    RunError,
)
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures
from bulkup.piwigo import protocol
from bulkup.piwigo.arrangement import Arranging
from bulkup.piwigo.community import Community
from bulkup.piwigo.formats import Formats
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
from bulkup.piwigo.originals import Originals
from bulkup.piwigo.refresh import Refresher
from bulkup.piwigo.session import SessionPool
from bulkup.piwigo.sharing import Sharing
from bulkup.piwigo.upload import Attempt, Method, Transfer, Upload, real_name
from bulkup.piwigo.workers import WorkerCounter
from bulkup.source.photos import Photo, plan_chunks

HTML_SINCE: Final = 14
"""The Piwigo version from which texts may contain `<`, if a token is sent."""

RAW_NAMES_SINCE: Final = 16
"""The Piwigo version from which the list of albums has the exact names."""


class Catalogue(Arranging, Sharing, Originals, Formats):
    """The photos and albums of a gallery."""

    def __init__(
        self,
        pool: SessionPool,
        *,
        offer: protocol.Offer,
        community: Community | None = None,
    ) -> None:
        super().__init__(pool, offer=offer)
        self.md5s_reliable = offer.md5s_reliable
        self.community = community
        self.moderated = community is not None
        self._keeps_html: bool | None = None
        self._md5s_unknown = False

    async def album_name(self, album: int) -> str:
        """Return the album's name, empty if the server can't list it.

        Raises `RunError` if there is no such album.
        """
        fields = (("cat_id", str(album)),)
        try:
            if self.community:
                albums = await self.community.albums()
            else:
                albums = protocol.read_albums(await self.ask("pwg.categories.getList", fields))
        except (NotOffered, PhotoError):
            return ""
        for row in albums:
            if row.album_id == album:
                return row.name
        if self.community:
            raise RunError(run_failures.NOT_PERMITTED(album=album, url=self.offer.url))
        raise RunError(run_failures.NO_SUCH_ALBUM(album=album, url=self.offer.url))

    async def albums(self) -> list[protocol.AlbumRow]:
        """Return all albums. Raises `NotOffered` if the server does not list them.

        With the Community plugin, return those that matter to the account.
        """
        if self.community:
            return await self.community.albums()
        fields = (("recursive", "true"),)  # Piwigo 13 and 14 always list all
        return protocol.read_albums(await self.ask("pwg.categories.getAdminList", fields))

    async def check_album(self, album: int) -> None:
        """Raise `PhotoError` if the account may not upload to an album.

        The server would not refuse: the Community plugin does not check it (its source).
        """
        if self.community and album not in await self.community.permitted():
            raise PhotoError(gallery_failures.NO_UPLOAD_HERE(album=album))

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Create an album as the last one of its parent and return its id.

        A space is inserted after each `<` in its name, because galleries may drop what looks like
        HTML. Must not be repeated (seen on Piwigo 13 to 17). Raises `PhotoError` if it is refused
        and `AnswerLost` if the answer has no id.
        """
        fields: protocol.Fields = (
            ("name", to_storable(escape_tags(name))),
            ("status", "private" if private else "public"),
            ("position", "last"),
        )
        if comment:
            fields += (("comment", self._storable_comment(comment)),)
        if parent:
            fields += (("parent", str(parent)),)
        if self.community and parent in self.community.childless:
            raise PhotoError(gallery_failures.NO_NEW_ALBUMS())
        try:
            answer = await self.ask("pwg.categories.add", fields, token=True)
        except PhotoError as error:
            if self.community and error.code == gallery_failures.NO_NEW_ALBUMS.code:
                self.community.childless.add(parent)
            raise
        match answer:
            case {"id": made} if protocol.number(made):
                if self.community:
                    await self.community.created(protocol.number(made))
                return protocol.number(made)
        raise AnswerLost(server_failures.ALBUM_UNCONFIRMED())

    async def set_album_name(self, album: int, name: str) -> None:
        """Set the exact name of a newly created album, if the server keeps `<`.

        Piwigo 13 drops what looks like HTML, and 14 and 15 don't list it, so albums that differ in
        nothing else would look the same. Later versions drop it depending on their configuration
        (`allow_html_descriptions`), which they don't reveal beforehand. May be repeated.
        """
        spelled, plain = to_storable(name), to_storable(escape_tags(name))
        able = (
            self.offer.major >= RAW_NAMES_SINCE and "pwg.categories.setInfo" in self.offer.methods
        )
        if spelled == plain or not able or self.community or self._keeps_html is False:
            return
        await self._write_album_name(album, spelled)
        if self._keeps_html is None:
            names = {row.album_id: row.name for row in await self.albums()}
            if names.get(album) != spelled:
                await self._write_album_name(album, plain)
                self._keeps_html = False
                return
        self._keeps_html = True

    async def _write_album_name(self, album: int, name: str) -> None:
        fields = (("category_id", str(album)), ("name", name))
        await self.ask("pwg.categories.setInfo", fields, token=True)

    def album_keys(self, name: str) -> Sequence[str]:
        """Return the possible names of an album in the list, the likeliest first."""
        plain = to_storable(escape_tags(name))
        if self.offer.major < RAW_NAMES_SINCE:
            return (strip_tags(plain),)
        return tuple(dict.fromkeys((to_storable(name), plain)))

    def _storable_comment(self, text: str) -> str:
        text = without_emoji(text)
        text = text if self.offer.major >= HTML_SINCE else escape_tags(text)
        return cut_bytes(text, size=COMMENT_SIZE)

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the photo id of each MD5, None if the server has no such photo.

        An MD5 is missing in the answer if the server can't search for it.
        """
        if not md5s:
            return {}
        found: Mapping[str, int | None] = {}
        with suppress(NotOffered, PhotoError):
            fields = (("md5sum_list", ",".join(md5s)),)
            found = protocol.read_found(await self.ask("pwg.images.exist", fields))
        self._md5s_unknown = self._md5s_unknown or not found.keys() >= set(md5s)
        return found

    async def check(self, photo_id: int, md5: str) -> bool | None:
        """Return whether a photo's stored file has this MD5, None if the server can't tell.

        The server reads the whole file. Raises `PhotoGone` if there is no such photo.
        """
        fields = (("image_id", str(photo_id)), ("file_sum", md5))
        try:
            return protocol.read_checked(await self.ask("pwg.images.checkFiles", fields))
        except NotOffered:
            return None

    async def shrunk(self, photo_id: int, photo: Photo) -> bool:
        """Return whether a photo may be this file, shrunk by the server (`original_resize`).

        That is an uploaded photo of the same name with fewer bytes. Raises `PhotoGone`, except
        where the photo may only be hidden.
        """
        try:
            there = await self.identity(photo_id)
        except NotOffered:
            return False
        except PhotoGone:
            if not self.moderated:
                raise
            return False
        name = unescape(there.file).replace("\\", "")
        smaller = there.uploaded and there.kb < photo.size // 1024
        return smaller and name == real_name(photo).replace("\\", "")

    async def members(self, album: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield id and temporary name, empty if real, of the photos that the album shows.

        The newest come first; photos in the lounge are not shown.

        Raises `NotOffered` if the server does not list them.
        """
        async with aclosing(self.photo_pages(album, order="id DESC")) as pages:
            async for photos in pages:
                for photo in photos:
                    yield photo.photo_id, photo.file if is_temporary_name(photo.file) else ""

    async def newest_photo(self) -> int | None:
        """Return the highest id of a photo in any album, None if the server does not list them."""
        fields = (("recursive", "true"), ("per_page", "1"), ("order", "id DESC"))
        try:
            members, _ = protocol.read_members(await self.ask("pwg.categories.getImages", fields))
        except (NotOffered, PhotoError):
            return None
        return max((photo.photo_id for photo in members), default=0)

    async def alias(self, photo_id: int) -> str:
        """Return a photo's temporary name, empty if it has its real one or none is known."""
        try:
            file = (await self.identity(photo_id)).file
        except (NotOffered, PhotoError):
            return ""
        return file if is_temporary_name(file) else ""

    async def remove(self, photo_id: int) -> None:
        """Delete a photo; call it only for one that this run has uploaded.

        Raises `NotOffered` if the server can't.
        """
        fields = (("image_id", str(photo_id)),)
        await self.ask("pwg.images.delete", fields, token=True)

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Add photos to another album. May be repeated.

        Raises `NotOffered` if the server can't.
        """
        if "pwg.images.setCategory" in self.offer.methods and not self.community:
            await self._set_album(photo_ids, album, action="associate")
            return
        for photo_id in photo_ids:
            fields = (
                ("image_id", str(photo_id)),
                ("categories", str(album)),
                ("multiple_value_mode", "append"),
            )
            await self.ask("pwg.images.setInfo", fields)

    async def unlink(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Take photos out of an album. May be repeated.

        Raises `NotOffered` if the server can't.
        """
        await self._set_album(photo_ids, album, action="dissociate")

    async def _set_album(self, photo_ids: Sequence[int], album: int, *, action: str) -> None:
        fields = (("category_id", str(album)), ("action", action))
        await self.ask_for_all("pwg.images.setCategory", photo_ids, fields, token=True)

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Move finished photos out of the lounge into their albums. May be repeated.

        Call it while no photo is being finished (seen on Piwigo 13 to 17). Raises
        `Refused` while the server is doing so already, and `NotOffered` if it can't be requested.
        """
        fields: protocol.Fields = (("category_id", str(album)),)
        if photo_ids:
            fields += (("image_id", ",".join(str(photo_id) for photo_id in photo_ids)),)
        match await self.ask("pwg.images.uploadCompleted", fields, token=True):
            case {"moved_from_lounge": None}:
                raise Refused(server_failures.OTHER_UPLOAD(), retry_after_s=1.5)

    async def report(self, photo_ids: Collection[int], *, album: int) -> Collection[int]:
        """Tell administrators of new photos; return those that await approval."""
        if not (self.community and photo_ids):
            return ()
        return await self.community.report(photo_ids, album=album)


MOST_ALBUMS: Final = 100
"""Maximum number of albums that a photo is sent to at once."""

PICTURES: Final = frozenset({"jpg", "jpeg", "png", "gif", "webp"})


class Job(Protocol):
    """A file to send, and what it becomes in the gallery."""

    @property
    def photo(self) -> Photo:
        """The file."""

    @property
    def md5(self) -> str:
        """The MD5 of its content."""

    @property
    def album(self) -> int:
        """The id of its album."""

    @property
    def wanted(self) -> Sequence[int]:
        """The ids of all its albums, beginning with that one."""

    @property
    def replaces(self) -> int | None:
        """The id of the photo whose file it replaces."""

    @property
    def format_of(self) -> int | None:
        """The id of the photo that it becomes a format of."""

    @property
    def differs(self) -> int | None:
        """The id of another photo that the server may take it for."""


class PiwigoServer(Catalogue):
    """A gallery to upload to; it satisfies the engine's ports."""

    def __init__(
        self,
        pool: SessionPool,
        *,
        offer: protocol.Offer,
        method: Method,
        describe: Describe | None = None,
        replacers: Sequence[Method] = (),
        community: Community | None = None,
    ) -> None:
        super().__init__(pool, offer=offer, community=community)
        self.method = method
        self.worker_counter = WorkerCounter(pool)
        self.line_speed = self.worker_counter.line_speed
        self.metadata = MetadataWriter(offer, describe)
        if community:
            self.metadata.positions.taken = False  # only administrators see the plugins
        self.refresher = Refresher(pool.call, self.metadata)
        # the Community plugin would set the privacy level of such a photo anew
        self.replaces = bool(replacers) and not community
        formats = not offer.methods or "pwg.images.upload" in offer.methods
        self.takes_formats = formats and not community
        self.repeats_formats = offer.major >= 16
        self._replacers = replacers
        self._format_method: Method = Upload(renames=True)
        self._fallback: Method = Upload(renames=self.metadata.can_set)
        self._names: dict[str, tuple[anyio.Lock, int]] = {}

    async def lacks_position(self, photo_id: int, photo: Photo) -> bool | None:
        """Return whether a photo lacks the position of its sources, None if that is unknown."""
        return await self.metadata.lacks_position(photo_id, photo, ask=self._pool.call)

    def sent_to(self, job: Job) -> Sequence[int]:
        """Return the albums of a photo once it has been sent, others have to be added then.

        That costs the gallery much more: after each change of its albums, it computes anew for all
        users what they see. The Community plugin checks one album only, and a photo that is there
        keeps its albums.
        """
        there = job.replaces is not None or job.differs is not None
        one = self.community or there or len(job.wanted) > MOST_ALBUMS
        return job.wanted[:1] if one else job.wanted

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
        """Provide a session for one attempt, from 1, to send a file.

        A file that replaces another is sent by a method that takes the photo's id, which requires
        `self.replaces`, under its real name, since clean-up may delete photos with temporary ones.
        A format is sent by `pwg.images.upload`, the only method for it, under a temporary name:
        the server only looks at the ending. `fallback` takes the second best method, which is
        `pwg.images.upload` for a new photo.

        `tail` returns how many bytes of a last chunk, given its size, are to be sent as a chunk of
        their own.

        If the server keeps chunks by file name and the photo has to be sent under its real one,
        photos of the same name wait for each other: the server would mix their chunks.

        Metadata is sent along if the method takes it, unless it depends on what the server reads
        from the file, or unless the server may already have the photo. A `level` above 0 takes
        precedence over that of the metadata.
        """
        photo, replaces, format_of = job.photo, job.replaces, job.format_of
        method = self._fallback if fallback else self.method
        file = real_name(photo)
        details = await self.metadata.of(photo) if format_of is None else Details()
        if replaces is not None:
            details = Details(date=details.date)  # the server keeps the rest
        perhaps_there = self._md5s_unknown or job.differs is not None
        set_later = details.depends or (bool(details) and perhaps_there)
        name = file if replaces is not None else ""
        if replaces is not None:
            method = self._replacers[-1 if fallback else 0]
        elif format_of is not None:
            method = self._format_method
            name = method.sent_name(file.lower(), attempt=attempt)  # .NEF is refused
        sending = Attempt(
            file,
            name := name or method.sent_name(file, attempt=attempt, set_later=set_later),
            job.md5,
            albums=self.sent_to(job),
            level=level or details.level or 0,
            number=attempt,
            details=details,
            replaces=replaces,
            format_of=format_of,
        )
        reserved = nullcontext() if method.repeatable else self._reserved(name)
        quota = self.community.reserve(photo.size) if self.community else nullcontext()
        async with quota, reserved, self._pool.lease() as session:
            yield Transfer(
                photo,
                pool=self._pool,
                session=session,
                method=method,
                sending=sending,
                chunks=plan_chunks(photo.size, chunk_size=chunk_size, tail=tail),
                metadata=self.metadata,
            )

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Set real name and metadata of a photo sent by an earlier run. May be repeated.

        Raises `NotOffered` if the server can't.
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
            stored=await self.metadata.fetch(photo_id, ask=ask) if details else {},
            file=real_name(photo),
            ask=ask,
        )

    async def sweep(self, name: str) -> None:
        """Empty the server's buffer of `pwg.images.upload` for a temporary name. May be repeated.

        A request with a single chunk first empties the buffer; since its content is not a picture,
        the server refuses and deletes it (seen on Piwigo 13 to 17). Does nothing for galleries
        that accept all file types, which might keep it.
        """
        if not (self.offer.endings or PICTURES) <= PICTURES:
            return
        fields: protocol.Fields = (("name", name), ("category", "1"), ("level", "8"))
        try:
            result = await self._call_known(
                protocol.Request("pwg.images.upload", fields, token=True)
            )
        except (PhotoError, PhotoCorrupted):
            return
        if (photo_id := protocol.image_id(result)) is not None:
            await self.remove(photo_id)

    async def probe(self) -> None:
        """Check that the server answers. Raises `Transient` if it does not."""
        try:
            await self._pool.ping()
        except (NotOffered, PhotoError):
            return

    @asynccontextmanager
    async def _reserved(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a file name on the server."""
        lock, users = self._names.get(name, (anyio.Lock(), 0))
        self._names[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._names.pop(name)
            if users > 1:
                self._names[name] = (lock, users - 1)
