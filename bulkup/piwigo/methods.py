"""The ways to send a photo, behind one interface: pure, they only build requests.

Knows what each of Piwigo's upload methods wants and promises (piwigo-api.md, section 3), and
neither sessions nor files.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from bulkup.photos import Chunk
from bulkup.piwigo.details import Details
from bulkup.piwigo.names import is_sent_name, storable
from bulkup.piwigo.wire import Fields, Request

SPOILT: Final = frozenset("&<>\"'\\")
"""Characters of a file name that Piwigo does not store as they are (piwigo-api.md, 3.1, Names)."""

NOTHING: Final = Details()


@dataclass(frozen=True, slots=True)
class Shipment:
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
    attempt: int = 1
    details: Details = NOTHING
    tag_ids: tuple[int, ...] = ()
    replaces: int | None = None
    format_of: int | None = None

    @property
    def alias(self) -> str:
        """The name of ours that the photo travels under, empty if it is the real one."""
        own = self.replaces is None and self.format_of is None
        return self.sent_name if own and is_sent_name(self.sent_name) else ""

    @property
    def carried(self) -> Fields:
        """Its details, for a method that takes them together with the photo."""
        return () if self.alias else self.details.carried(self.tag_ids)


class Method(Protocol):
    """A way to send photos, chunk by chunk, in order."""

    @property
    def name(self) -> str:
        """How the user calls it."""

    @property
    def repeatable(self) -> bool:
        """Whether a chunk may be sent again when nobody knows what became of it."""

    def sent_name(self, file: str, *, attempt: int, aside: bool = False) -> str:
        """Return the name under which attempt number `attempt`, from 1, of a photo travels.

        `aside` tells that something has to be set afterwards in any case.
        """

    def requests(
        self, shipment: Shipment, chunk: Chunk, *, finishing: bool
    ) -> tuple[Request, ...]:
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

    def sent_name(self, file: str, *, attempt: int, aside: bool = False) -> str:
        """Return an ASCII name of the attempt's own with the right ending, if it can be mended."""
        del aside
        stem, ending = _split(file)
        if self.renames:
            return _alias(file, self.random)
        return file if attempt == 1 else storable(f"{stem}-{self.random()[:8]}{ending}")

    def requests(
        self, shipment: Shipment, chunk: Chunk, *, finishing: bool
    ) -> tuple[Request, ...]:
        """Return the chunk's request; a photo of one chunk goes without `chunk` and `chunks`.

        Then the server empties the buffer first (piwigo-api.md, 3.1).
        """
        del finishing
        fields: Fields = (("name", shipment.sent_name),)
        if shipment.format_of is None:
            fields += (("category", str(shipment.album)), ("level", str(shipment.level)))
        else:
            fields += (("format_of", str(shipment.format_of)),)
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

    def sent_name(self, file: str, *, attempt: int, aside: bool = False) -> str:
        """Return the real name, unless it has to be set afterwards, or something else has."""
        del attempt
        aside = aside or not SPOILT.isdisjoint(file)
        return _alias(file, self.random) if aside and self.renames else file

    def requests(
        self, shipment: Shipment, chunk: Chunk, *, finishing: bool
    ) -> tuple[Request, ...]:
        """Return the chunk's request, with everything that the finished photo needs."""
        del finishing
        fields: Fields = (
            ("chunk", str(chunk.index)),
            ("chunks", str(chunk.count)),
            ("original_sum", shipment.md5),
            ("filename", shipment.sent_name),
            ("category", str(shipment.album)),
            ("level", str(shipment.level)),
        )
        fields += shipment.carried
        if self.user:
            fields += (("username", self.user),)
        if shipment.replaces is not None:
            fields += (("image_id", str(shipment.replaces)),)
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

    def sent_name(self, file: str, *, attempt: int, aside: bool = False) -> str:
        """Return an ASCII name of the attempt's own with the right ending, if it can be mended."""
        del attempt, aside
        return _alias(file, self.random) if self.renames else file

    def requests(
        self, shipment: Shipment, chunk: Chunk, *, finishing: bool
    ) -> tuple[Request, ...]:
        """Return the chunk's request, and the one that makes the photo.

        A first attempt lets the server refuse a photo that it has. Galleries that identify photos
        by file name would refuse every second `IMG_0001.jpg`, so a later attempt does not.
        """
        add_chunk = Request(
            "pwg.images.addChunk",
            (
                ("original_sum", shipment.md5),
                ("type", "file"),
                ("position", str(chunk.index)),
            ),
            chunk=chunk,
            encoded=True,
        )
        if not finishing:
            return (add_chunk,)
        fields: Fields = (
            ("original_sum", shipment.md5),
            ("original_filename", shipment.sent_name),
            ("categories", str(shipment.album)),
            ("level", str(shipment.level)),
            *shipment.carried,
        )
        if shipment.replaces is not None:
            fields += (("image_id", str(shipment.replaces)),)
        unique = shipment.attempt == 1 and shipment.replaces is None
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
