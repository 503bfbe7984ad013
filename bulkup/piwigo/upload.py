"""The three upload methods of Piwigo, and one attempt to send one photo by one of them."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Protocol

from bulkup.errors import AnswerLost, BulkupError, MergeFailed
from bulkup.errors import server as server_failures
from bulkup.piwigo.metadata import Details, MetadataWriter, Stored, is_temporary_name, to_storable
from bulkup.piwigo.multipart import Progress
from bulkup.piwigo.protocol import Fields, Request, image_id, read_held
from bulkup.piwigo.session import Session, SessionPool
from bulkup.source.photos import Chunk, Photo

ALTERED: Final = frozenset("&<>\"'\\")
"""Characters of a file name that Piwigo does not store as they are (piwigo-api.md, 3.1, Names)."""

NOTHING: Final = Details()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, from 1 on, to send one photo: its names, its MD5, its album, its details.

    A photo that travels under another name than its own is told by that from one that has all it
    is to get, also by the next run. So everything else follows in the same request as the real
    name, and nothing of it goes with the photo.

    It `replaces` the file of that photo, or is to be another format of the photo `format_of`, if
    that is not None: then it is no photo of its own, and no name tells anything of it.
    """

    file: str
    sent_name: str
    md5: str
    album: int
    level: int
    number: int = 1
    details: Details = NOTHING
    tag_ids: tuple[int, ...] = ()
    replaces: int | None = None
    format_of: int | None = None

    @property
    def alias(self) -> str:
        """The name of ours that the photo travels under, empty if it is the real one."""
        own = self.replaces is None and self.format_of is None
        return self.sent_name if own and is_temporary_name(self.sent_name) else ""

    @property
    def inline_fields(self) -> Fields:
        """Its details, for a method that takes them together with the photo."""
        return () if self.alias else self.details.inline_fields(self.tag_ids)


class Method(Protocol):
    """A way to send photos, chunk by chunk, in order."""

    @property
    def name(self) -> str:
        """How the user calls it."""

    @property
    def repeatable(self) -> bool:
        """Whether a chunk may be sent again when nobody knows what became of it."""

    def sent_name(self, file: str, *, attempt: int, set_later: bool = False) -> str:
        """Return the name under which attempt number `attempt`, from 1, of a photo travels.

        `set_later` tells that something has to be set afterwards in any case.
        """

    def requests(self, sending: Attempt, chunk: Chunk, *, finishing: bool) -> tuple[Request, ...]:
        """Return the requests that bring this chunk and, if `finishing`, make the photo."""


@dataclass(frozen=True, slots=True)
class Upload:
    """`pwg.images.upload`, from Piwigo 2.7 on: chunks are appended to a buffer named by `name`.

    The buffer is one for the whole server, whoever sends, and trusts the client blindly. So every
    attempt goes under a name of its own, which `pwg.images.setInfo` replaces afterwards; without
    `renames` the photo keeps the name it is sent under, so the first attempt takes the real one.
    """

    name: ClassVar[str] = "upload"
    repeatable: ClassVar[bool] = False
    renames: bool
    random: Callable[[], str] = lambda: secrets.token_hex(12)

    def sent_name(self, file: str, *, attempt: int, set_later: bool = False) -> str:
        """Return an ASCII name of the attempt's own with the right ending, if it can be mended."""
        del set_later
        stem, ending = _split(file)
        if self.renames:
            return _alias(file, self.random)
        return file if attempt == 1 else to_storable(f"{stem}-{self.random()[:8]}{ending}")

    def requests(self, sending: Attempt, chunk: Chunk, *, finishing: bool) -> tuple[Request, ...]:
        """Return the chunk's request; a photo of one chunk goes without `chunk` and `chunks`.

        Then the server empties the buffer first (piwigo-api.md, 3.1).
        """
        del finishing
        fields: Fields = (("name", sending.sent_name),)
        if sending.format_of is None:
            fields += (("category", str(sending.album)), ("level", str(sending.level)))
        else:
            fields += (("format_of", str(sending.format_of)),)
        if chunk.count > 1:
            fields += (("chunk", str(chunk.index)), ("chunks", str(chunk.count)))
        return (Request("pwg.images.upload", fields, chunk=chunk, token=True),)


@dataclass(frozen=True, slots=True)
class UploadAsync:
    """`pwg.images.uploadAsync`, from Piwigo 12 on: chunks are kept by the photo's MD5.

    Every chunk goes with its own sum, so it may be repeated at will. `user` is any user name:
    Piwigo 12–15 insist on one beside the session's cookie; never a password, which would log in
    again with every chunk (piwigo-api.md, 3.2). With an API key there is none. With `renames` a
    photo that the server would spoil the name of travels under one of its own.
    """

    name: ClassVar[str] = "async"
    repeatable: ClassVar[bool] = True
    user: str
    renames: bool = True
    random: Callable[[], str] = lambda: secrets.token_hex(12)

    def sent_name(self, file: str, *, attempt: int, set_later: bool = False) -> str:
        """Return the real name, unless it has to be set afterwards, or something else has."""
        del attempt
        set_later = set_later or not ALTERED.isdisjoint(file)
        return _alias(file, self.random) if set_later and self.renames else file

    def requests(self, sending: Attempt, chunk: Chunk, *, finishing: bool) -> tuple[Request, ...]:
        """Return the chunk's request, with everything that the finished photo needs."""
        del finishing
        fields: Fields = (
            ("chunk", str(chunk.index)),
            ("chunks", str(chunk.count)),
            ("original_sum", sending.md5),
            ("filename", sending.sent_name),
            ("category", str(sending.album)),
            ("level", str(sending.level)),
        )
        fields += sending.inline_fields
        if self.user:
            fields += (("username", self.user),)
        if sending.replaces is not None:
            fields += (("image_id", str(sending.replaces)),)
        return (Request("pwg.images.uploadAsync", fields, chunk=chunk, summed=True),)


@dataclass(frozen=True, slots=True)
class Legacy:
    """`pwg.images.addChunk` and `pwg.images.add`, for servers before 2.7 and as a last resort.

    Chunks are kept by MD5 and position, so a repeat is harmless; they travel in base64, a third
    larger, and nothing checks the sum of the result (piwigo-api.md, 3.3). With `renames` the photo
    travels under a name of its own, so that a damaged one can be told.
    """

    name: ClassVar[str] = "legacy"
    repeatable: ClassVar[bool] = True
    renames: bool
    random: Callable[[], str] = lambda: secrets.token_hex(12)

    def sent_name(self, file: str, *, attempt: int, set_later: bool = False) -> str:
        """Return an ASCII name of the attempt's own with the right ending, if it can be mended."""
        del attempt, set_later
        return _alias(file, self.random) if self.renames else file

    def requests(self, sending: Attempt, chunk: Chunk, *, finishing: bool) -> tuple[Request, ...]:
        """Return the chunk's request, and the one that makes the photo.

        A first attempt lets the server refuse a photo that it has. Galleries that identify photos
        by file name would refuse every second `IMG_0001.jpg`, so a later attempt does not.
        """
        add_chunk = Request(
            "pwg.images.addChunk",
            (
                ("original_sum", sending.md5),
                ("type", "file"),
                ("position", str(chunk.index)),
            ),
            chunk=chunk,
            encoded=True,
        )
        if not finishing:
            return (add_chunk,)
        fields: Fields = (
            ("original_sum", sending.md5),
            ("original_filename", sending.sent_name),
            ("categories", str(sending.album)),
            ("level", str(sending.level)),
            *sending.inline_fields,
        )
        if sending.replaces is not None:
            fields += (("image_id", str(sending.replaces)),)
        unique = sending.number == 1 and sending.replaces is None
        fields += (("check_uniqueness", "true" if unique else "false"),)
        return (add_chunk, Request("pwg.images.add", fields))


def _alias(file: str, random: Callable[[], str]) -> str:
    return f"bulkup-{random()}{_split(file)[1]}"


def _split(file: str) -> tuple[str, str]:
    """Return stem and ending, the ending with its dot, in ASCII, and empty if it is none."""
    stem, dot, ending = file.rpartition(".")
    if stem and re.fullmatch(r"[A-Za-z0-9]{1,10}", ending):
        return stem, dot + ending
    return file, ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server said to a chunk: which ones it holds, and the photo if it made it."""

    held: frozenset[int] = frozenset()
    photo_id: int | None = None


class Transfer:
    """One attempt to send one photo over one session.

    First `prepare`, then the chunks in order, then `finish`, then `settle`.
    """

    def __init__(
        self,
        photo: Photo,
        *,
        pool: SessionPool,
        session: Session,
        method: Method,
        sending: Attempt,
        chunks: Sequence[Chunk],
        metadata: MetadataWriter,
    ) -> None:
        self.chunks = chunks
        self.repeatable = method.repeatable
        self.alias = sending.alias
        self.remains = "" if method.repeatable or len(chunks) == 1 else sending.sent_name
        self._photo = photo
        self._pool = pool
        self._session = session
        self._method = method
        self._sending = sending
        self._metadata = metadata
        self._answer: object = None

    async def prepare(self) -> None:
        """Make what the server needs before the photo: its tags. May be repeated."""
        ids = await self._metadata.tag_ids(self._sending.details, ask=self._ask)
        self._sending = replace(self._sending, tag_ids=ids)

    async def send(self, chunk: Chunk, *, progress: Progress) -> Receipt:
        """Send a chunk that is not the last; `progress` takes the bytes of it that went out."""
        self._answer = await self._send(chunk, finishing=False, progress=progress)
        return Receipt(read_held(self._answer), image_id(self._answer))

    async def finish(self, chunk: Chunk, *, progress: Progress) -> int:
        """Send the last chunk and return the photo's id.

        Raises `MergeFailed` where the server holds all chunks and names no photo, and
        `AnswerLost` where it names none otherwise.
        """
        self._answer = None
        self._answer = answer = await self._send(chunk, finishing=True, progress=progress)
        if (photo_id := image_id(answer)) is not None:
            return photo_id
        if len(read_held(answer)) == chunk.count:
            raise MergeFailed(server_failures.UNMERGED())
        raise AnswerLost(server_failures.UNCONFIRMED())

    async def settle(self, photo_id: int) -> None:
        """Give the finished photo its real name and its details, where it lacks them.

        What the server had before stays as it is. May be repeated.
        """
        sending = self._sending
        if sending.format_of is not None:
            return
        if sending.replaces is not None:
            await self._amend(photo_id)
            return
        stored = await self._stored(photo_id)
        if stored is None:
            return
        await self._metadata.set(
            photo_id,
            sending.details,
            photo=self._photo,
            tag_ids=sending.tag_ids,
            stored=stored,
            file=sending.file if sending.alias else "",
            ask=self._ask,
        )

    async def _amend(self, photo_id: int) -> None:
        """Give a photo that got another file that file's name, where the server altered it.

        The server has also read the date out of the file, over which what a sidecar says wins.
        """
        sending = self._sending
        details, altered = sending.details, not ALTERED.isdisjoint(sending.file)
        if not altered and not details.date:
            return
        told = await self._metadata.look(photo_id, ask=self._ask) if details.date else {}
        await self._metadata.set(
            photo_id,
            details,
            photo=self._photo,
            tag_ids=(),
            stored={"name": "kept", "date_creation": told.get("date_creation")},
            file=sending.file if altered else "",
            ask=self._ask,
        )

    async def _stored(self, photo_id: int) -> Stored | None:
        """Return what is known of the photo as it is stored, None if it is not the one we sent.

        The server is asked where the answer to the finish was lost, or where it tells too little.
        """
        details, answer = self._sending.details, self._answer
        told: Stored = answer if isinstance(answer, dict) else {}
        known = isinstance(told.get("image_id"), str)  # perhaps from an earlier attempt of ours
        lost = answer is None and bool(details or self.alias)
        if (known or lost or details.depends) and "file" not in told:
            told = await self._metadata.look(photo_id, ask=self._ask) or told
            self._answer = told  # once: later it would tell what we have set
        file = str(told.get("file", "" if known else self.alias))
        return told if is_temporary_name(file) or not (known or self.alias) else None

    async def _ask(self, request: Request) -> object:
        return await self._pool.send(self._session, request)

    async def _send(self, chunk: Chunk, *, finishing: bool, progress: Progress) -> object:
        result: object = None
        for request in self._method.requests(self._sending, chunk, finishing=finishing):
            try:
                result = await self._pool.send(
                    self._session,
                    request,
                    photo=self._photo,
                    finishing=finishing,
                    progress=progress,
                )
            except BulkupError as error:  # the server knows the photo by its alias, the user not
                sent, real = self._sending.sent_name, self._sending.file
                error.failure = replace(error.failure, message=error.message.replace(sent, real))
                raise
        return result


def real_name(photo: Photo) -> str:
    """Return the file name that the photo is to have in the gallery."""
    return to_storable(photo.path.name)
