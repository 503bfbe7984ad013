"""Piwigo's three upload methods, and one attempt to send one photo with one of them."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from bulkup.errors import AnswerLost, MergeFailed
from bulkup.errors import server as server_failures
from bulkup.piwigo.metadata import (
    Details,
    MetadataWriter,
    Reads,
    is_temporary_name,
    to_storable,
)
from bulkup.piwigo.multipart import Progress
from bulkup.piwigo.protocol import Fields, Request, Stored, image_id, read_held
from bulkup.piwigo.session import Session, SessionPool
from bulkup.source.photos import Chunk, Photo

ALTERED: Final = frozenset("&<>\"'\\")
"""Characters of a file name that Piwigo alters (seen on Piwigo 13 to 17)."""

NOTHING: Final = Details()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, `number` from 1, to send one file.

    A temporary name marks a photo as incomplete, also for the next run. So its metadata is set in
    the same request as its real name afterwards, and not sent along.

    `replaces` is the id of the photo whose file is replaced, `format_of` of the one that gets this
    file as a format; the name sent then marks nothing as incomplete.
    """

    file: str
    sent_name: str
    md5: str
    albums: Sequence[int]
    level: int
    number: int = 1
    details: Details = NOTHING
    tag_ids: tuple[int, ...] = ()
    replaces: int | None = None
    format_of: int | None = None

    @property
    def alias(self) -> str:
        """The temporary name that the photo is sent under, empty if it is the real one."""
        own = self.replaces is None and self.format_of is None
        return self.sent_name if own and is_temporary_name(self.sent_name) else ""

    @property
    def album_fields(self) -> Fields:
        """The fields with the albums of the photo."""
        name = "category" if len(self.albums) == 1 else "category[]"
        return tuple((name, str(album)) for album in self.albums)

    @property
    def inline_fields(self) -> Fields:
        """Metadata fields for a method that takes them together with the photo."""
        return () if self.alias else self.details.inline_fields(self.tag_ids)


@dataclass(frozen=True, slots=True)
class Upload:
    """`pwg.images.upload`, from Piwigo 2.7: chunks are appended to a buffer identified by `name`.

    The buffer is shared by all clients of the server, and not verified. So each attempt uses a
    temporary name, which `pwg.images.setInfo` replaces afterwards. Without `renames` the photo
    keeps the name it is sent under, so the first attempt uses the real one.
    """

    name: ClassVar[str] = "upload"
    repeatable: ClassVar[bool] = False
    renames: bool
    random: Callable[[], str] = lambda: secrets.token_hex(12)

    def sent_name(self, file: str, *, attempt: int, set_later: bool = False) -> str:
        """Return a unique ASCII name with the same ending, if the photo can be renamed."""
        del set_later
        stem, ending = _split(file)
        if self.renames:
            return _alias(file, self.random)
        return file if attempt == 1 else to_storable(f"{stem}-{self.random()[:8]}{ending}")

    def requests(self, sending: Attempt, chunk: Chunk, *, finishing: bool) -> tuple[Request, ...]:
        """Return the chunk's request; for a single chunk without `chunk` and `chunks`.

        The server then empties the buffer first (seen on Piwigo 13 to 17).
        """
        del finishing
        fields: Fields = (("name", sending.sent_name),)
        if sending.format_of is None:
            fields += (*sending.album_fields, ("level", str(sending.level)))
        else:
            fields += (("format_of", str(sending.format_of)),)
        if chunk.count > 1:
            fields += (("chunk", str(chunk.index)), ("chunks", str(chunk.count)))
        return (Request("pwg.images.upload", fields, chunk=chunk, token=True),)


@dataclass(frozen=True, slots=True)
class UploadAsync:
    """`pwg.images.uploadAsync`, from Piwigo 12: chunks are kept by the photo's MD5.

    Each chunk is sent with its MD5 and may be repeated. `user` is any user name: Piwigo 12–15
    require one as well as the session cookie; never a password, which would log in again with each
    chunk (seen on Piwigo 13 to 17). With an API key it is empty. With `renames`, a photo whose
    name the server would alter is sent under a temporary one.
    """

    name: ClassVar[str] = "async"
    repeatable: ClassVar[bool] = True
    user: str
    renames: bool = True
    random: Callable[[], str] = lambda: secrets.token_hex(12)

    def sent_name(self, file: str, *, attempt: int, set_later: bool = False) -> str:
        """Return the real name, unless it or other metadata has to be set later."""
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
            *sending.album_fields,
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

    Chunks are kept by MD5 and position, so they may be repeated; they are sent in base64, a third
    larger, and the result is not verified (seen on Piwigo 13 to 17). With `renames` the photo
    is sent under a temporary name, by which a corrupted one can be recognized.
    """

    name: ClassVar[str] = "legacy"
    repeatable: ClassVar[bool] = True
    renames: bool
    random: Callable[[], str] = lambda: secrets.token_hex(12)

    def sent_name(self, file: str, *, attempt: int, set_later: bool = False) -> str:
        """Return a unique ASCII name with the same ending, if the photo can be renamed."""
        del attempt, set_later
        return _alias(file, self.random) if self.renames else file

    def requests(self, sending: Attempt, chunk: Chunk, *, finishing: bool) -> tuple[Request, ...]:
        """Return the chunk's request, and the one that creates the photo.

        On the first attempt the server refuses a photo that it already has. Galleries that
        identify photos by file name would refuse every second `IMG_0001.jpg`, so later attempts
        don't check.
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
            ("categories", ";".join(map(str, sending.albums))),
            ("level", str(sending.level)),
            *sending.inline_fields,
        )
        if sending.replaces is not None:
            fields += (("image_id", str(sending.replaces)),)
        unique = sending.number == 1 and sending.replaces is None
        fields += (("check_uniqueness", "true" if unique else "false"),)
        return (add_chunk, Request("pwg.images.add", fields))


Method = Upload | UploadAsync | Legacy
"""An upload method.

`repeatable` is whether a chunk may be sent again when its answer was lost. `sent_name` takes the
number of the attempt, from 1, and whether something has to be set after the upload in any case.
`requests` returns the requests for a chunk, and with `finishing` those that create the photo.
"""


def _alias(file: str, random: Callable[[], str]) -> str:
    return f"bulkup-{random()}{_split(file)[1]}"


def _split(file: str) -> tuple[str, str]:
    """Return stem and ending, with its dot; the ending is empty unless it is ASCII."""
    stem, dot, ending = file.rpartition(".")
    if stem and re.fullmatch(r"[A-Za-z0-9]{1,10}", ending):
        return stem, dot + ending
    return file, ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The server's answer to a chunk: the chunks that it holds, and the photo if it created it."""

    held: frozenset[int] = frozenset()
    photo_id: int | None = None


class Transfer:
    """One attempt to send one photo over one session.

    Call `prepare`, then `send` for the chunks in order, `finish` for the last one, then `settle`.
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
        self._learnt: dict[str, bool] = {}
        self.written: Mapping[str, str] = {}

    async def prepare(self) -> None:
        """Create the photo's tags on the server. May be repeated."""
        ids = await self._metadata.tag_ids(self._sending.details, ask=self._ask)
        self._sending = replace(self._sending, tag_ids=ids)

    async def send(self, chunk: Chunk, *, progress: Progress) -> Receipt:
        """Send a chunk that is not the last; `progress` gets the bytes of it sent so far."""
        self._answer = await self._send(chunk, finishing=False, progress=progress)
        return Receipt(read_held(self._answer), image_id(self._answer))

    async def finish(self, chunk: Chunk, *, progress: Progress) -> int:
        """Send the last chunk and return the photo's id.

        Raises `MergeFailed` if the server holds all chunks but returns no photo, and `AnswerLost`
        if it returns none otherwise.
        """
        self._answer = None
        self._answer = answer = await self._send(chunk, finishing=True, progress=progress)
        if (photo_id := image_id(answer)) is not None:
            return photo_id
        if len(read_held(answer)) == chunk.count:
            raise MergeFailed(server_failures.UNMERGED())
        raise AnswerLost(server_failures.UNCONFIRMED())

    async def settle(self, photo_id: int) -> Reads:
        """Set the real name and missing metadata of the finished photo. May be repeated.

        A photo that the server already had is left unchanged. Return what the photo has shown of
        the IPTC texts that the gallery reads itself.
        """
        sending = self._sending
        if sending.format_of is not None:
            return {}
        if sending.replaces is not None:
            await self._amend(photo_id)
            return {}
        stored = await self._stored(photo_id)
        if stored is None:
            return {}
        self._learnt.update(self._metadata.learn(sending.details, stored))
        await self._metadata.set(
            photo_id,
            sending.details,
            photo=self._photo,
            tag_ids=sending.tag_ids,
            stored=stored,
            file=sending.file if sending.alias else "",
            ask=self._ask,
        )
        level = {"level": str(sending.level)} if sending.level else {}
        self.written = sending.details.as_written() | level
        return self._learnt

    async def _amend(self, photo_id: int) -> None:
        """Set the file name of a photo whose file was replaced, if the server altered it.

        The server has also read the date from the file; a date from a sidecar takes precedence.
        """
        sending = self._sending
        details, altered = sending.details, not ALTERED.isdisjoint(sending.file)
        if not altered and not details.date:
            return
        stored = await self._metadata.fetch(photo_id, ask=self._ask) if details.date else {}
        await self._metadata.set(
            photo_id,
            details,
            photo=self._photo,
            tag_ids=(),
            stored={"name": "kept", "date_creation": stored.get("date_creation")},
            file=sending.file if altered else "",
            ask=self._ask,
        )
        self.written = {"date": details.date.text} if details.date else {}

    async def _stored(self, photo_id: int) -> Stored | None:
        """Return the photo's metadata as stored, None if it is not the photo just sent.

        Requests it if the answer to the finish was lost or is incomplete.
        """
        details, answer = self._sending.details, self._answer
        stored: Stored = answer if isinstance(answer, dict) else {}
        known = isinstance(stored.get("image_id"), str)  # perhaps from an earlier attempt
        lost = answer is None and bool(details or self.alias)
        if (known or lost or details.depends) and "file" not in stored:
            stored = await self._metadata.fetch(photo_id, ask=self._ask) or stored
            self._answer = stored  # only once: later it would include what was set
        file = str(stored.get("file", "" if known else self.alias))
        return stored if is_temporary_name(file) or not (known or self.alias) else None

    async def _ask(self, request: Request) -> object:
        return await self._pool.send(self._session, request)

    async def _send(self, chunk: Chunk, *, finishing: bool, progress: Progress) -> object:
        sending, result = self._sending, None
        for request in self._method.requests(sending, chunk, finishing=finishing):
            result = await self._pool.send(
                self._session,
                request,
                photo=self._photo,
                finishing=finishing,
                progress=progress,
                renamed=(sending.sent_name, sending.file),  # users don't know the temporary name
            )
        return result


def real_name(photo: Photo) -> str:
    """Return the file name that the photo gets in the gallery."""
    return to_storable(photo.name)
