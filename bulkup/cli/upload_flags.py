"""Flags of single commands: albums, upload, verification, doctor, after the upload, watching."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from bulkup.app.settings import (
    AlbumTarget,
    DoctorSettings,
    Level,
    MethodName,
    RefreshSettings,
    UploadSettings,
    VerifySettings,
    default_ledger,
    parse_duration,
)
from bulkup.cli.flags import RetryFlags, VerifyTableFlags, flag, flags, split_lines
from bulkup.engine.arrange_options import Cover, Sort
from bulkup.errors import UsageError


@flags("Albums")
@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFlags:
    """The album, and how folders map to albums."""

    album: Annotated[
        str | None,
        flag(
            "Album: its number, or its path such as Trips/2019. Use /2019 for a "
            "top-level album whose name is a number.",
            short="-a",
        ),
    ] = None
    tree: Annotated[
        bool,
        flag("Map folders to albums, below --album or at the top level of the gallery."),
    ] = False
    unwrap: Annotated[
        bool,
        flag("With --tree: create no albums for the given folders, only for those inside them."),
    ] = False
    flat: Annotated[
        bool, flag("Put every photo directly into --album, ignoring folders (default).")
    ] = False
    underscores_to_spaces: Annotated[
        bool, flag("With --tree: replace underscores in folder names with spaces in album names.")
    ] = False
    rename_album: Annotated[
        tuple[str, ...],
        Parameter(
            help="With --tree: replace what matches a regular expression in the names of albums; "
            "folders with an empty name become no album. Repeatable, applied in order; in the "
            "environment variable, one on each line.",
            env_var_split=split_lines,
            metavar="'PATTERN=>TEXT'",
        ),
    ] = ()
    album_levels: Annotated[
        int | None,
        flag(
            "With --tree: levels of albums to make of folders; photos in deeper folders go to the "
            "album of the last level."
        ),
    ] = None
    album_for_tag: Annotated[
        tuple[str, ...],
        Parameter(
            help="Further album, below --album if given, for photos that have a tag: in the file, "
            "its sidecars, or --metadata. Repeatable; in the environment variable, one on each "
            "line.",
            env_var_split=split_lines,
            metavar="TAG=ALBUM",
        ),
    ] = ()

    def options(self) -> dict[str, Any]:
        """Return the values by the names of options. Raises `UsageError`."""
        if self.tree and self.flat:
            raise UsageError("--tree and --flat exclude each other", hint="Give one of them.")
        return {name: value for name, value in asdict(self).items() if name != "flat"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumFlags(FolderFlags):
    """The albums to upload to."""

    create_albums: Annotated[bool, flag("Create --album if it is missing.")] = False
    private: Annotated[bool, flag("Make new albums private.")] = False
    share_with: Annotated[
        tuple[str, ...],
        Parameter(
            help="With --private: group or user of the gallery who sees the albums; where both "
            "have the name, group:NAME or user:NAME. Repeatable; in the environment variable, one "
            "on each line.",
            env_var_split=split_lines,
            metavar="NAME",
        ),
    ] = ()

    def target(self) -> AlbumTarget:
        """Return the checked albums. Raises `UsageError`."""
        from bulkup.app.options import build_albums

        return build_albums(**self.options())


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyAlbumFlags(FolderFlags):
    """The albums to verify."""

    album: Annotated[
        str | None,
        flag(
            "Album that must contain the photos: its number, or its path. Without it "
            "and without --tree, they may be anywhere in the gallery.",
            short="-a",
        ),
    ] = None
    no_sidecars: Annotated[
        bool,
        flag("With --tree: name albums after folders, ignoring titles from Google Takeout."),
    ] = False


@flags("Upload")
@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFlags:
    """How photos are uploaded."""

    concurrency: Annotated[int, flag("Photos in flight at once, 1–64.", short="-c")] = 8
    finishing: Annotated[
        Literal["auto"] | int,
        flag(
            "Photos that the server finishes at once. Each needs two PHP workers; finishing as "
            "many photos as there are workers blocks the gallery. auto finds a fast, safe value.",
            metavar="auto|N",
        ),
    ] = "auto"
    level: Annotated[
        Level,
        flag("Who may see the photos: 0 everybody, 1 contacts, 2 friends, 4 family, 8 admins."),
    ] = 0
    chunk_size: Annotated[
        str,
        flag(
            "Size of one request, such as 500K or 2M. auto adapts to the server's limits and to "
            "the connection.",
            metavar="auto|SIZE",
        ),
    ] = "auto"
    bwlimit: Annotated[
        str,
        flag(
            "Maximum upload rate in bytes per second, such as 2M, or a timetable in local time, "
            "such as '08:00,1M 23:00,off'.",
            metavar="off|RATE|TABLE",
        ),
    ] = "off"
    method: Annotated[
        MethodName,
        flag(
            "Upload method: async is pwg.images.uploadAsync, upload is pwg.images.upload, "
            "legacy is pwg.images.addChunk and add. auto uses the first that the server offers.",
        ),
    ] = "auto"
    update: Annotated[
        bool,
        flag(
            "Replace the photo of a file that has changed since it was uploaded; the photo keeps "
            "its albums, tags and comments.",
        ),
    ] = False
    confirm_present: Annotated[
        bool,
        flag(
            "Have the server compare the stored file of each photo that it already has by its "
            "MD5. With a Piwigo before 15.4, this is always done."
        ),
    ] = False
    raw_as_format: Annotated[
        bool,
        flag(
            "Attach a RAW, TIFF, PSD or video file to the photo with the same name stem as "
            "another format, instead of uploading it as a photo.",
        ),
    ] = False
    convert: Annotated[
        bool,
        flag(
            "Send HEIC, AVIF and TIFF photos as JPEG to a gallery that does not accept them, "
            "and attach the files themselves as formats where it accepts these. "
            "Requires bulkup[heic].",
        ),
    ] = False
    dry_run: Annotated[
        bool, flag("Show what an upload would do, without changing anything.", short="-n")
    ] = False

    def settings(
        self, albums: AlbumFlags, retry: RetryFlags, after: "AfterFlags"
    ) -> UploadSettings:
        """Return the checked values. Raises `UsageError`."""
        from bulkup.app.options import build_settings

        return build_settings(
            into=albums.target(), **asdict(self), **asdict(retry), **asdict(after)
        )


@flags("Verification")
@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyFlags:
    """How photos are verified."""

    concurrency: Annotated[
        int, flag("Stored files that the server reads at once, 1–64.", short="-c")
    ] = 4
    quick: Annotated[
        bool,
        flag("Trust the gallery's recorded MD5s instead of having it read its files."),
    ] = False
    private: Annotated[
        bool, flag("Check also that the albums that must contain the photos are private.")
    ] = False
    share_with: Annotated[
        tuple[str, ...],
        Parameter(
            help="With --private: check also that this group or user sees these albums, and that "
            "nobody else does but administrators. Repeatable, as for the upload.",
            env_var_split=split_lines,
            metavar="NAME",
        ),
    ] = ()
    sort: Annotated[
        Sort,
        flag("Check that the albums show their photos by file name, date taken, or table."),
    ] = "none"
    cover: Annotated[
        Cover, flag("Check that the albums have the cover that an upload would choose.")
    ] = "none"
    positions: Annotated[
        bool,
        flag(
            "Check also that photos have a position (GPS) in the gallery if their files, sidecars "
            "or table do."
        ),
    ] = False
    convert: Annotated[
        bool, flag("Include the photos that an upload with --convert sends as JPEG.")
    ] = False

    def settings(
        self, albums: VerifyAlbumFlags, retry: RetryFlags, text: VerifyTableFlags
    ) -> VerifySettings:
        """Return the checked values. Raises `UsageError`."""
        from bulkup.app.options import build_verify

        return build_verify(
            **albums.options(), **asdict(self), **asdict(retry), metadata=text.metadata
        )


@flags("Refresh")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFlags:
    """Which photos are refreshed, and what may be overwritten."""

    album: Annotated[
        str | None,
        flag(
            "Album that must contain the photos, itself or in albums below it: its number, or its "
            "path. Without it, they may be anywhere in the gallery.",
            short="-a",
        ),
    ] = None
    overwrite: Annotated[
        bool, flag("Also replace titles and other metadata that were edited in the gallery.")
    ] = False
    level: Annotated[
        Level,
        flag("Who may see the photos, as for the upload; 0 leaves that to a table or an export."),
    ] = 0
    convert: Annotated[
        bool, flag("Include the photos that an upload with --convert sends as JPEG.")
    ] = False
    dry_run: Annotated[
        bool,
        flag("Show what would change in the gallery, without changing anything.", short="-n"),
    ] = False
    concurrency: Annotated[int, flag("Photos compared at once, 1–64.", short="-c")] = 8

    def settings(self, retry: RetryFlags) -> RefreshSettings:
        """Return the checked values. Raises `UsageError`."""
        from bulkup.app.options import build_refresh

        return build_refresh(**asdict(self), **asdict(retry))


@flags("Doctor")
@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFlags:
    """What the doctor checks, and how it reports."""

    album: Annotated[int | None, flag("Number of the album to upload to.", short="-a")] = None
    ledger: Annotated[
        Path | None, flag("Ledger file, the record of earlier uploads.", metavar="FILE")
    ] = None
    fill_md5: Annotated[
        bool,
        flag("Have the gallery compute the MD5s that its photos lack (Piwigo 15.4 or later)."),
    ] = False
    json: Annotated[bool, flag("Print one JSON object on stdout at the end.")] = False

    def settings(self) -> DoctorSettings:
        """Return the checked values. Raises `UsageError`."""
        ledger = self.ledger or default_ledger()
        return DoctorSettings(album=self.album, ledger=ledger, fill_md5=self.fill_md5)


@flags("After the upload")
@dataclass(frozen=True, slots=True, kw_only=True)
class AfterFlags:
    """What happens to uploaded files, and how the gallery shows the photos."""

    after: Annotated[
        str,
        flag(
            "What to do with the file of a photo once the gallery has read its own copy and "
            "found the same bytes: move:DIR keeps the folder structure and overwrites nothing; "
            "trash requires bulkup[trash]. All other files stay, including sidecars.",
            metavar="none|trash|move:DIR",
        ),
    ] = "none"
    sort: Annotated[
        Sort,
        flag(
            "Sort the photos of each album that got any by file name, by the date they were "
            "taken, or by the column rank of a table (--metadata). An album shows that if its "
            "photos are ordered manually, which can only be chosen in the gallery: the run lists "
            "the albums concerned.",
        ),
    ] = "none"
    cover: Annotated[
        Cover,
        flag(
            "Cover of each album that got photos: auto takes new photos that a table marks, or "
            "that are named cover or folder, first the first one by name or as sorted, newest the "
            "one taken last.",
        ),
    ] = "auto"
    caddie: Annotated[bool, flag("Add new photos to the caddie of your account.")] = False
    link: Annotated[
        bool,
        flag("Create a search for the new photos, and show its address (Piwigo 14 or later)."),
    ] = False


@flags("Watching")
@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFlags:
    """When arriving files are uploaded."""

    settle: Annotated[
        str,
        flag(
            "How long a file must keep its size and modification time, such as 5s or 1m.",
            metavar="TIME",
        ),
    ] = "5s"
    poll: Annotated[
        bool,
        flag("Poll for new files; for network drives, which send no change notifications."),
    ] = False

    @property
    def settle_s(self) -> float:
        """The time in seconds. Raises `UsageError`."""
        return parse_duration(self.settle, flag="--settle")
