"""The flags of the commands that bring and check photos.

Knows the command line library and the settings that flags end up in.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from bulkup.flags import TroubleFlags, flag, group
from bulkup.settings import (
    Checking,
    Examining,
    Level,
    MethodName,
    Sending,
    default_ledger,
    parse_bwlimit,
    parse_size,
)
from bulkup.whereto import AlbumFlags, SoughtFlags

SENDING = group("Sending")
CHECKING = group("Checking")
EXAMINING = group("Examining")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingFlags:
    """How."""

    concurrency: Annotated[
        int,
        flag(
            "Photos on their way at once, 1–64.",
            group=SENDING,
            short="-c",
            variable="BULKUP_CONCURRENCY",
        ),
    ] = 8
    finishing: Annotated[
        Literal["auto"] | int,
        flag(
            "Photos that the server works on at once. Each takes two of its PHP workers; as many "
            "as it has workers would freeze it: auto finds the number that is fast and safe.",
            group=SENDING,
            variable="BULKUP_FINISHING",
            metavar="auto|N",
        ),
    ] = "auto"
    level: Annotated[
        Level,
        flag(
            "Who may see the photos: 0 everybody, 1 contacts, 2 friends, 4 family, 8 admins.",
            group=SENDING,
            variable="BULKUP_LEVEL",
        ),
    ] = 0
    chunk_size: Annotated[
        str,
        flag(
            "Size of one request, such as 500K or 2M; auto finds what the server takes and the "
            "line bears.",
            group=SENDING,
            variable="BULKUP_CHUNK_SIZE",
            metavar="auto|SIZE",
        ),
    ] = "auto"
    bwlimit: Annotated[
        str,
        flag(
            "Bytes a second that go out at most, such as 2M; or a time table by local time, such "
            "as '08:00,1M 23:00,off'.",
            group=SENDING,
            variable="BULKUP_BWLIMIT",
            metavar="off|RATE|TABLE",
        ),
    ] = "off"
    method: Annotated[
        MethodName,
        flag(
            "How photos are sent: async is pwg.images.uploadAsync, upload pwg.images.upload, "
            "legacy pwg.images.addChunk and add; auto the first of these that the server offers.",
            group=SENDING,
            variable="BULKUP_METHOD",
        ),
    ] = "auto"
    update: Annotated[
        bool,
        flag(
            "A file that has changed since it was uploaded replaces its photo, which keeps its "
            "albums, tags and comments.",
            group=SENDING,
            variable="BULKUP_UPDATE",
        ),
    ] = False
    raw_as_format: Annotated[
        bool,
        flag(
            "A RAW, TIFF, PSD or video beside a photo of the same stem is attached to it as "
            "another format, and is no photo of its own.",
            group=SENDING,
            variable="BULKUP_RAW_AS_FORMAT",
        ),
    ] = False

    dry_run: Annotated[
        bool,
        flag(
            "Ask everything, change nothing, and tell what an upload would do.",
            group=SENDING,
            short="-n",
            variable="BULKUP_DRY_RUN",
        ),
    ] = False

    def sending(self, albums: AlbumFlags, trouble: TroubleFlags) -> Sending:
        """Return the checked values. Raises `UsageError`."""
        size = None
        if self.chunk_size.lower() != "auto":
            size = parse_size(self.chunk_size, flag="--chunk-size")
        return Sending(
            into=albums.into(),
            concurrency=self.concurrency,
            finishing=None if self.finishing == "auto" else self.finishing,
            level=self.level,
            chunk_size=size,
            bwlimit=parse_bwlimit(self.bwlimit),
            method=self.method,
            dry_run=self.dry_run,
            update=self.update,
            raw_as_format=self.raw_as_format,
            retries=trouble.retries,
            patience_s=trouble.patience_s,
            ledger=trouble.file,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckingFlags:
    """How to look."""

    concurrency: Annotated[
        int,
        flag(
            "Stored files that the server reads at once, 1–64.",
            group=CHECKING,
            short="-c",
            variable="BULKUP_CONCURRENCY",
        ),
    ] = 4
    quick: Annotated[
        bool,
        flag(
            "Trust the MD5s that the gallery knows, instead of having it read its files.",
            group=CHECKING,
            variable="BULKUP_QUICK",
        ),
    ] = False

    def checking(self, albums: SoughtFlags, trouble: TroubleFlags) -> Checking:
        """Return the checked values. Raises `UsageError`."""
        return Checking(
            into=albums.into(),
            sidecars=not albums.no_sidecars,
            concurrency=self.concurrency,
            quick=self.quick,
            retries=trouble.retries,
            patience_s=trouble.patience_s,
            ledger=trouble.file,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminingFlags:
    """What a check-up is for."""

    album: Annotated[
        int | None,
        flag(
            "Number of the album that is to take the photos.",
            group=EXAMINING,
            short="-a",
            variable="BULKUP_ALBUM",
        ),
    ] = None
    ledger: Annotated[
        Path | None,
        flag(
            "File that remembers what has been brought where.",
            group=EXAMINING,
            variable="BULKUP_LEDGER",
            metavar="FILE",
        ),
    ] = None
    json: Annotated[
        bool,
        flag(
            "Print one JSON object on stdout, at the end, and nothing else there.",
            group=EXAMINING,
            variable="BULKUP_JSON",
        ),
    ] = False

    def examining(self) -> Examining:
        """Return the checked values. Raises `UsageError`."""
        return Examining(album=self.album, ledger=self.ledger or default_ledger())
