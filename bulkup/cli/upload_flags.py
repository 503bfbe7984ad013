"""Flags of uploads and checks: albums, sending, verifying, the doctor, what happens afterwards."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from bulkup.app.settings import (
    After,
    AlbumTarget,
    DoctorSettings,
    Level,
    MethodName,
    UploadSettings,
    VerifySettings,
    default_ledger,
    parse_bwlimit,
    parse_duration,
    parse_size,
)
from bulkup.cli.flags import RetryFlags, flag, group
from bulkup.errors import UsageError

ALBUMS = group("Albums")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFlags:
    """The album, and what the folders have to do with it."""

    album: Annotated[
        str | None,
        flag(
            "The album: its number, or the names on the way to it, such as Trips/2019; /2019 is "
            "one at the top that is called so.",
            group=ALBUMS,
            short="-a",
            variable="BULKUP_ALBUM",
        ),
    ] = None
    tree: Annotated[
        bool,
        flag(
            "The folders are albums below --album, or at the top of the gallery.",
            group=ALBUMS,
            variable="BULKUP_TREE",
        ),
    ] = False
    unwrap: Annotated[
        bool,
        flag(
            "With --tree: the named folders themselves are no albums, only those in them.",
            group=ALBUMS,
            variable="BULKUP_UNWRAP",
        ),
    ] = False
    flat: Annotated[
        bool,
        flag(
            "All photos belong into --album, whatever folder they lie in; the default.",
            group=ALBUMS,
            variable="BULKUP_FLAT",
        ),
    ] = False
    underscores_to_spaces: Annotated[
        bool,
        flag(
            "With --tree: album names have blanks for underscores in folder names.",
            group=ALBUMS,
            variable="BULKUP_UNDERSCORES_TO_SPACES",
        ),
    ] = False

    def check(self) -> None:
        """Raise `UsageError` where flags contradict each other."""
        if self.tree and self.flat:
            raise UsageError("--tree and --flat contradict each other", hint="Give one of them.")
        for given, name in (
            (self.unwrap, "--unwrap"),
            (self.underscores_to_spaces, "--underscores-to-spaces"),
        ):
            if given and not self.tree:
                raise UsageError(f"{name} is about --tree", hint="Give --tree too, or neither.")

    def meant(self, *, create: bool = False, private: bool = False) -> AlbumTarget:
        """Return the checked values. Raises `UsageError`."""
        self.check()
        text = (self.album or "").strip()
        number = int(text) if text.isdecimal() else None
        path = "" if number is not None else text.strip("/")
        return AlbumTarget(
            album=number,
            names=tuple(name.strip() for name in path.split("/")) if path else (),
            create=create,
            tree=self.tree,
            unwrap=self.unwrap,
            spaces=self.underscores_to_spaces,
            private=private,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumFlags(FolderFlags):
    """Which albums photos are brought to."""

    create_albums: Annotated[
        bool,
        flag("Make what is missing of --album.", group=ALBUMS, variable="BULKUP_CREATE_ALBUMS"),
    ] = False
    private: Annotated[
        bool,
        flag("Make new albums private.", group=ALBUMS, variable="BULKUP_PRIVATE"),
    ] = False

    def into(self) -> AlbumTarget:
        """Return the checked values. Raises `UsageError`."""
        if self.album is None and not self.tree:
            raise UsageError(
                "the album is missing",
                hint="Give its number or name: --album N (it stands in the album's address), "
                "or make albums of the folders: --tree.",
            )
        if self.private and not (self.tree or self.create_albums):
            raise UsageError(
                "--private is about new albums", hint="Give --tree or --create-albums too."
            )
        return self.meant(create=self.create_albums, private=self.private)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyAlbumFlags(FolderFlags):
    """Which albums photos are looked for in."""

    album: Annotated[
        str | None,
        flag(
            "The album that the photos must be in: its number, or the names on the way to it; "
            "without it, and without --tree, they may be anywhere in the gallery.",
            group=ALBUMS,
            short="-a",
            variable="BULKUP_ALBUM",
        ),
    ] = None
    no_sidecars: Annotated[
        bool,
        flag(
            "With --tree: albums are called as the folders, whatever Google Takeout calls them.",
            group=ALBUMS,
            variable="BULKUP_NO_SIDECARS",
        ),
    ] = False

    def into(self) -> AlbumTarget | None:
        """Return the checked values, None: anywhere. Raises `UsageError`."""
        self.check()
        return None if self.album is None and not self.tree else self.meant()


SENDING = group("Sending")
CHECKING = group("Checking")
EXAMINING = group("Examining")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFlags:
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

    def sending(self, albums: AlbumFlags, trouble: RetryFlags) -> UploadSettings:
        """Return the checked values. Raises `UsageError`."""
        size = None
        if self.chunk_size.lower() != "auto":
            size = parse_size(self.chunk_size, flag="--chunk-size")
        return UploadSettings(
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
class VerifyFlags:
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

    def checking(self, albums: VerifyAlbumFlags, trouble: RetryFlags) -> VerifySettings:
        """Return the checked values. Raises `UsageError`."""
        return VerifySettings(
            into=albums.into(),
            sidecars=not albums.no_sidecars,
            concurrency=self.concurrency,
            quick=self.quick,
            retries=trouble.retries,
            patience_s=trouble.patience_s,
            ledger=trouble.file,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFlags:
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

    def examining(self) -> DoctorSettings:
        """Return the checked values. Raises `UsageError`."""
        return DoctorSettings(album=self.album, ledger=self.ledger or default_ledger())


WATCHING = group("Watching")
AFTERWARDS = group("Afterwards")


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterFlags:
    """What becomes of the files."""

    after: Annotated[
        str,
        flag(
            "Where the file of a photo goes once the gallery has read its own file and found the "
            "same bytes: move:DIR keeps the folders, and overwrites nothing; trash needs "
            "bulkup[trash]. All other files stay, sidecars too.",
            group=AFTERWARDS,
            variable="BULKUP_AFTER",
            metavar="none|trash|move:DIR",
        ),
    ] = "none"

    def where(self) -> After | None:
        """Return the checked value, None: files stay. Raises `UsageError`."""
        if self.after in {"", "none"}:
            return None
        if self.after == "trash":
            return "trash"
        kind, _, folder = self.after.partition(":")
        if kind != "move" or not folder.strip():
            raise UsageError(
                f"--after “{self.after}” is nothing that could be done",
                hint="Give move: with a folder, such as move:/home/me/done, or trash, or none.",
            )
        try:
            return Path(folder).expanduser()
        except RuntimeError:
            raise UsageError(
                f"--after “{self.after}”: there is no such user", hint="Write the folder out."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFlags:
    """When files that arrive are brought."""

    settle: Annotated[
        str,
        flag(
            "How long a file must have kept its size and time of change, such as 5s or 1m.",
            group=WATCHING,
            variable="BULKUP_SETTLE",
            metavar="TIME",
        ),
    ] = "5s"
    poll: Annotated[
        bool,
        flag(
            "Look again and again, for network drives, which do not tell what arrives.",
            group=WATCHING,
            variable="BULKUP_POLL",
        ),
    ] = False

    @property
    def settle_s(self) -> float:
        """The checked time, in seconds. Raises `UsageError`."""
        return parse_duration(self.settle, flag="--settle")
