"""The ways to send a photo, behind one interface: pure, they only build requests.

Knows what each of Piwigo's upload methods wants and promises (piwigo-api.md, section 3), and
neither sessions nor files.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from bulkup.photos import Chunk
from bulkup.piwigo.wire import Fields, Request, storable


@dataclass(frozen=True, slots=True)
class Shipment:
    """One attempt to send one photo: under which name, with which MD5, to which album."""

    sent_name: str
    md5: str
    album: int
    level: int


class Method(Protocol):
    """A way to send photos, chunk by chunk, in order."""

    @property
    def name(self) -> str:
        """How the user calls it."""

    @property
    def repeatable(self) -> bool:
        """Whether a chunk may be sent again when nobody knows what became of it."""

    def sent_name(self, file: str, *, attempt: int) -> str:
        """Return the name under which attempt number `attempt`, from 1, of a photo travels."""

    def request(self, shipment: Shipment, chunk: Chunk) -> Request:
        """Return the request that brings this chunk; the last one finishes the photo."""


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

    def sent_name(self, file: str, *, attempt: int) -> str:
        """Return an ASCII name of the attempt's own with the right ending, if it can be mended."""
        stem, ending = _split(file)
        if self.renames:
            return f"bulkup-{self.random()}{ending}"
        return file if attempt == 1 else storable(f"{stem}-{self.random()[:8]}{ending}")

    def request(self, shipment: Shipment, chunk: Chunk) -> Request:
        """Return the chunk's request; a photo of one chunk goes without `chunk` and `chunks`.

        Then the server empties the buffer first (piwigo-api.md, 3.1).
        """
        fields: Fields = (
            ("name", shipment.sent_name),
            ("category", str(shipment.album)),
            ("level", str(shipment.level)),
        )
        if chunk.count > 1:
            fields += (("chunk", str(chunk.index)), ("chunks", str(chunk.count)))
        return Request("pwg.images.upload", fields, chunk=chunk, token=True)


@dataclass(frozen=True, slots=True)
class UploadAsync:
    """`pwg.images.uploadAsync`, from Piwigo 12 on: chunks are kept by the photo's MD5.

    Every chunk goes with its own sum, so it may be repeated at will. `user` is any user name:
    Piwigo 12–15 insist on one beside the session's cookie; never a password, which would log in
    again with every chunk (piwigo-api.md, 3.2). With an API key there is none.
    """

    name: ClassVar[str] = "async"
    repeatable: ClassVar[bool] = True
    user: str

    def sent_name(self, file: str, *, attempt: int) -> str:
        """Return the real name: nothing of the server's buffer depends on it."""
        del attempt
        return file

    def request(self, shipment: Shipment, chunk: Chunk) -> Request:
        """Return the chunk's request, with everything that the finished photo needs."""
        fields: Fields = (
            ("chunk", str(chunk.index)),
            ("chunks", str(chunk.count)),
            ("original_sum", shipment.md5),
            ("filename", shipment.sent_name),
            ("category", str(shipment.album)),
            ("level", str(shipment.level)),
        )
        if self.user:
            fields += (("username", self.user),)
        return Request("pwg.images.uploadAsync", fields, chunk=chunk, summed=True)


def is_sent_name(file: str) -> bool:
    """Tell whether a photo still has the name that `Upload` sent it under."""
    return re.fullmatch(r"bulkup-[0-9a-f]{24}(?:\.\w+)?", file) is not None


def _split(file: str) -> tuple[str, str]:
    """Return stem and ending, the ending with its dot, in ASCII, and empty if it is none."""
    stem, dot, ending = file.rpartition(".")
    if stem and re.fullmatch(r"[A-Za-z0-9]{1,10}", ending):
        return stem, dot + ending
    return file, ""
