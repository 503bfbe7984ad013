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
from bulkup.piwigo.names import as_written, storable, title_of
from bulkup.piwigo.wire import Fields, Request


@dataclass(frozen=True, slots=True)
class Shipment:
    """One attempt, from 1 on, to send one photo: its names, its MD5, its album."""

    file: str
    sent_name: str
    md5: str
    album: int
    level: int
    attempt: int = 1


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

    def requests(
        self, shipment: Shipment, chunk: Chunk, *, finishing: bool
    ) -> tuple[Request, ...]:
        """Return the requests that bring this chunk and, if `finishing`, make the photo."""

    def names_to_mend(self, shipment: Shipment, answer: object) -> Fields:
        """Return what `pwg.images.setInfo` has to set after the finish, by its answer.

        None stands for an answer that was lost. What the server already had under another name
        (duplicate detection) keeps that name, and a title that it took out of the file stays.
        """


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

    def requests(
        self, shipment: Shipment, chunk: Chunk, *, finishing: bool
    ) -> tuple[Request, ...]:
        """Return the chunk's request; a photo of one chunk goes without `chunk` and `chunks`.

        Then the server empties the buffer first (piwigo-api.md, 3.1).
        """
        del finishing
        fields: Fields = (
            ("name", shipment.sent_name),
            ("category", str(shipment.album)),
            ("level", str(shipment.level)),
        )
        if chunk.count > 1:
            fields += (("chunk", str(chunk.index)), ("chunks", str(chunk.count)))
        return (Request("pwg.images.upload", fields, chunk=chunk, token=True),)

    def names_to_mend(self, shipment: Shipment, answer: object) -> Fields:
        """Return the real names, unless the server took the photo for one it had (14–17)."""
        if not self.renames:
            return ()
        match answer:
            case {"image_id": str()}:
                return ()
            case {"name": name} if name != title_of(shipment.sent_name):
                return (("file", shipment.file),)
        return both_names(shipment.file)


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
        if self.user:
            fields += (("username", self.user),)
        return (Request("pwg.images.uploadAsync", fields, chunk=chunk, summed=True),)

    def names_to_mend(self, shipment: Shipment, answer: object) -> Fields:
        """Return names without the entities and backslashes that the server adds."""
        return _mended(shipment.file, answer)


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

    def sent_name(self, file: str, *, attempt: int) -> str:
        """Return an ASCII name of the attempt's own with the right ending, if it can be mended."""
        del attempt
        return f"bulkup-{self.random()}{_split(file)[1]}" if self.renames else file

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
            ("check_uniqueness", "true" if shipment.attempt == 1 else "false"),
        )
        return (add_chunk, Request("pwg.images.add", fields))

    def names_to_mend(self, shipment: Shipment, answer: object) -> Fields:
        """Return the real names."""
        del answer
        return both_names(shipment.file) if self.renames else ()


def _mended(file: str, answer: object) -> Fields:
    match answer:
        case {"file": str(stored), "name": title}:
            if stored == file or as_written(stored) != file:
                return ()
            return both_names(file) if title == title_of(stored) else (("file", file),)
    return both_names(file) if set(file) & set("&<>\"'\\") else ()


def both_names(file: str) -> Fields:
    """Return the fields that give a photo its file name and the title that goes with it."""
    return (("file", file), ("name", title_of(file)))


def is_sent_name(file: str) -> bool:
    """Tell whether a photo still has the name that `Upload` sent it under."""
    return re.fullmatch(r"bulkup-[0-9a-f]{24}(?:\.\w+)?", file) is not None


def _split(file: str) -> tuple[str, str]:
    """Return stem and ending, the ending with its dot, in ASCII, and empty if it is none."""
    stem, dot, ending = file.rpartition(".")
    if stem and re.fullmatch(r"[A-Za-z0-9]{1,10}", ending):
        return stem, dot + ending
    return file, ""
