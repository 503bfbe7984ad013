"""A Piwigo gallery in bulkup's words: connect, find, send, finish, settle, link, release.

Knows which method answers which question and what the server offers. It never waits and never
tries again: a failure is raised, `recovery` decides.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final

import aiohttp
import anyio

from bulkup.errors import (
    BulkupError,
    NotOffered,
    PhotoError,
    Refused,
    RunError,
    Transient,
)
from bulkup.photos import Chunk, Photo, plan_chunks
from bulkup.piwigo.discover import find_base
from bulkup.piwigo.http import Progress, Session, Timeouts
from bulkup.piwigo.methods import Method, Shipment, Upload, UploadAsync
from bulkup.piwigo.sessions import Credentials, SessionPool
from bulkup.piwigo.wire import (
    Request,
    as_written,
    image_id,
    read_found,
    read_ids,
    read_methods,
    storable,
    title_of,
)

DEFAULT_CHUNK: Final = 500 * 1024
SMALLEST_CHUNK: Final = 64 * 1024
QUESTION_TRIES: Final = 3
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


class Transfer:
    """One attempt to send one photo over one session: chunks in order, then `finish`, `settle`."""

    def __init__(
        self,
        photo: Photo,
        *,
        pool: SessionPool,
        session: Session,
        method: Method,
        shipment: Shipment,
        chunks: Sequence[Chunk],
    ) -> None:
        self.chunks = chunks
        self.repeatable = method.repeatable
        self._photo = photo
        self._pool = pool
        self._session = session
        self._method = method
        self._shipment = shipment
        self._answer: object = None

    async def send(self, chunk: Chunk, *, progress: Progress) -> None:
        """Send a chunk that is not the last; `progress` takes the bytes of it that went out."""
        await self._send(chunk, finishing=False, progress=progress)

    async def finish(self, *, progress: Progress) -> int | None:
        """Send the last chunk and return the photo's id, or None where the answer names none."""
        self._answer = await self._send(self.chunks[-1], finishing=True, progress=progress)
        return image_id(self._answer)

    async def settle(self, photo_id: int) -> None:
        """Give the finished photo its real file name and title, where it does not have them.

        What the server already had under another name (duplicate detection) keeps that name, and
        a title that the server took out of the file stays. May be repeated.
        """
        fields = self._names_to_mend(self._answer)
        if fields:
            fields = (
                ("image_id", str(photo_id)),
                *fields,
                ("single_value_mode", "replace"),
            )
            await self._pool.send(self._session, Request("pwg.images.setInfo", fields, token=True))

    def _names_to_mend(self, answer: object) -> tuple[tuple[str, str], ...]:
        file = real_name(self._photo)
        sent = self._shipment.sent_name
        if isinstance(self._method, Upload):
            if not self._method.renames or _is_duplicate(answer):
                return ()
            ours = not isinstance(answer, dict) or answer.get("name") in {None, title_of(sent)}
            return (("file", file), ("name", title_of(file))) if ours else (("file", file),)
        match answer:
            case {"file": str(stored), "name": title} if stored != file == as_written(stored):
                ours = title == title_of(stored)
            case None if set(file) & set("&<>\"'\\"):
                ours = True
            case _:
                return ()
        return (("file", file), ("name", title_of(file))) if ours else (("file", file),)

    async def _send(self, chunk: Chunk, *, finishing: bool, progress: Progress) -> object:
        return await self._pool.send(
            self._session,
            self._method.request(self._shipment, chunk),
            photo=self._photo,
            finishing=finishing,
            progress=progress,
        )


class PiwigoServer:
    """A gallery that somebody is logged in to."""

    def __init__(
        self, pool: SessionPool, *, offer: Offer, method: Method, chunk_size: int
    ) -> None:
        self.offer = offer
        self.method = method
        self.chunk_size = chunk_size
        self._pool = pool
        self._names: dict[str, tuple[anyio.Lock, int]] = {}

    async def album_name(self, album: int) -> str:
        """Return the album's name, empty where the server can't tell.

        Raises `RunError` where there is no such album.
        """
        fields = (("cat_id", str(album)),)
        try:
            result = await self._ask("pwg.categories.getList", fields)
        except (NotOffered, PhotoError):
            return ""
        match result:
            case {"categories": [*albums]}:
                for item in albums:
                    if isinstance(item, dict) and str(item.get("id")) == str(album):
                        return str(item.get("name_raw") or item.get("name") or "")
                raise RunError(
                    f"there is no album {album} at {self.offer.url}",
                    hint="The number stands in the album's address: index.php?/category/NUMBER.",
                )
        return ""

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each photo with one of these MD5s, None for absent.

        An MD5 that is missing in the answer is one that this server can't tell about.
        """
        if not md5s:
            return {}
        try:
            return read_found(
                await self._ask("pwg.images.exist", (("md5sum_list", ",".join(md5s)),))
            )
        except (NotOffered, PhotoError):
            return {}

    async def members(self, album: int) -> AsyncIterator[int]:
        """Yield the ids of the photos that the album shows; those in the lounge are not shown.

        Raises `NotOffered` where the server does not list them.
        """
        for page in count():
            fields = (
                ("cat_id", str(album)),
                ("per_page", str(PAGE)),
                ("page", str(page)),
                ("order", "id"),
            )
            result = await self._ask("pwg.categories.getImages", fields)
            ids = read_ids(result)
            for photo_id in ids:
                yield photo_id
            if len(ids) < PAGE:
                return

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Put photos into an album as well; those that are in it already stay. May be repeated.

        Raises `NotOffered` where the server has no way to do that.
        """
        if "pwg.images.setCategory" in self.offer.methods:
            fields = (
                *(("image_id[]", str(photo_id)) for photo_id in photo_ids),
                ("category_id", str(album)),
                ("action", "associate"),
            )
            await self._ask("pwg.images.setCategory", fields, token=True)
            return
        for photo_id in photo_ids:
            fields = (
                ("image_id", str(photo_id)),
                ("categories", str(album)),
                ("multiple_value_mode", "append"),
            )
            await self._ask("pwg.images.setInfo", fields)

    @asynccontextmanager
    async def transfer(
        self, photo: Photo, *, md5: str, album: int, level: int, attempt: int
    ) -> AsyncIterator[Transfer]:
        """Lend a session for one attempt, from 1 on, to send one photo.

        Where the photo has to travel under its own name, photos of one name wait for each other:
        the server would mix them up.
        """
        name = self.method.sent_name(real_name(photo), attempt=attempt)
        shipment = Shipment(name, md5=md5, album=album, level=level)
        async with self._alone(name), self._pool.lease() as session:
            yield Transfer(
                photo,
                pool=self._pool,
                session=session,
                method=self.method,
                shipment=shipment,
                chunks=plan_chunks(photo.size, chunk_size=self.chunk_size),
            )

    def shrink(self, size: int) -> bool:
        """Use chunks smaller than `size` bytes from now on; False if they can't be smaller."""
        if size <= SMALLEST_CHUNK:
            return False
        self.chunk_size = min(self.chunk_size, max(SMALLEST_CHUNK, size // 2))
        return True

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Let finished photos out of the lounge, into their albums. May be repeated.

        To be called while nothing is being finished (piwigo-api.md, section 4, The lounge).
        Raises `Refused` while the server is at it already, and `NotOffered` where it can't be
        asked to.
        """
        fields = (
            ("image_id", ",".join(str(photo_id) for photo_id in photo_ids)),
            ("category_id", str(album)),
        )
        match await self._ask("pwg.images.uploadCompleted", fields, token=True):
            case {"moved_from_lounge": None}:
                raise Refused("another upload is being completed just now", retry_after_s=1.5)

    async def probe(self) -> None:
        """Ask for a sign of life. Raises `Transient` where there is none."""
        try:
            await self._pool.knock()
        except (NotOffered, PhotoError):
            return

    async def _ask(
        self, method: str, fields: tuple[tuple[str, str], ...], *, token: bool = False
    ) -> object:
        if method not in self.offer.methods:
            raise NotOffered(f"the server offers no {method}")
        return await self._pool.call(Request(method, fields, token=token))

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
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


def real_name(photo: Photo) -> str:
    """Return the file name that the photo is to have in the gallery."""
    return storable(photo.path.name)


def _is_duplicate(answer: object) -> bool:
    """Tell whether the server took the photo for one it had: then the id is a string (14–17)."""
    return isinstance(answer, dict) and isinstance(answer.get("image_id"), str)


@asynccontextmanager
async def connect(
    url: str,
    *,
    credentials: Credentials,
    method: str = "auto",
    chunk_size: int | None = None,
    connections: int = 16,
    timeouts: Timeouts | None = None,
) -> AsyncIterator[PiwigoServer]:
    """Log in to the gallery at `url` and lend it; log out at the end.

    `method` is `auto`, `async` or `upload`; `chunk_size` in bytes, None for what the server
    names. Raises `RunError` with a sentence for the user where that is impossible.
    """
    timeouts = timeouts or Timeouts()
    async with aiohttp.TCPConnector(limit=connections, keepalive_timeout=4) as connector:
        pool = SessionPool(url, credentials=credentials, connector=connector, timeouts=timeouts)
        try:
            try:
                async with pool.lease() as session:
                    pool.url = session.url = await find_base(session, url)
                    status = await pool.log_in(session)
            except Transient as error:
                raise RunError(
                    f"{url} can't be reached: {error.message}",
                    hint="Check the address and the network."
                    + ("" if "://" in url else " A gallery without TLS needs http:// in front."),
                ) from None
            methods = await _ask_methods(pool)
            offer = Offer(
                url=pool.url,
                version=status.version,
                user=status.user,
                methods=methods,
                endings=status.endings,
                chunk_size=chunk_size or status.chunk_size or DEFAULT_CHUNK,
            )
            yield PiwigoServer(
                pool,
                offer=offer,
                method=_choose(method, offer=offer, user=status.user or credentials.user),
                chunk_size=offer.chunk_size,
            )
        finally:
            await pool.close()


async def _ask_methods(pool: SessionPool) -> frozenset[str]:
    """Return the methods that the server lists; a failed question means that it lists none."""
    for _ in range(QUESTION_TRIES):
        try:
            return read_methods(await pool.call(Request("reflection.getMethodList")))
        except Transient:
            continue
        except BulkupError:
            break
    return frozenset()


def _choose(method: str, *, offer: Offer, user: str) -> Method:
    chosen: Method = UploadAsync(user)
    if method == "upload" or (method == "auto" and "pwg.images.uploadAsync" not in offer.methods):
        chosen = Upload(renames="pwg.images.setInfo" in offer.methods)
    if method == "async" and "pwg.images.uploadAsync" not in offer.methods:
        raise RunError(
            f"{offer.url} does not offer the method pwg.images.uploadAsync",
            hint="Leave out --method async.",
        )
    return chosen
