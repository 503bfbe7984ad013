"""The doctor's findings: what each check found, and how serious it is."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Final

TESTED: Final = range(13, 18)  # major versions of Piwigo that bulkup is tested with
SHORT_DAYS: Final = 14  # a certificate may expire in the middle of a migration
SLOW_S: Final = 1.0
NEAR: Final = 0.8


class Mark(enum.StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"  # a migration is possible, but the user should know
    PROBLEM = "problem"  # a migration is not possible


class Check(enum.StrEnum):
    """The checks, in their order."""

    ADDRESS = "address"
    TLS = "tls"
    VERSION = "version"
    LATENCY = "latency"
    ACCOUNT = "account"
    METHODS = "methods"
    COMMUNITY = "community"
    TYPES = "types"
    CHUNK = "chunk"
    DUPLICATES = "duplicates"
    MD5S = "md5s"
    ALBUM = "album"
    ORDER = "order"
    WORKERS = "workers"
    IPTC = "iptc"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A check that failed; the checks that depend on it are left out."""

    mark: ClassVar = Mark.PROBLEM
    check: Check
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFound:
    """The address at which the gallery answers, the address that was given, and the proxy."""

    check: ClassVar = Check.ADDRESS
    mark: ClassVar = Mark.OK
    url: str
    given: str
    proxy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFound:
    """The encryption of the connection; `version` is empty if there is none.

    The certificate expires in `days`, and was verified if `trusted`. A `local` gallery is on this
    machine.
    """

    check: ClassVar = Check.TLS
    version: str = ""
    days: int | None = None
    trusted: bool = True
    local: bool = False

    @property
    def mark(self) -> Mark:
        """A warning without encryption: others can read the password."""
        fresh = self.days is None or self.days >= SHORT_DAYS
        good = self.trusted and fresh if self.version else self.local
        return Mark.OK if good else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFound:
    """The gallery's version of Piwigo, empty if unknown."""

    check: ClassVar = Check.VERSION
    version: str

    @property
    def major(self) -> int | None:
        """The number before the first dot."""
        head = self.version.partition(".")[0]
        return int(head) if head.isdecimal() and len(head) < 9 else None

    @property
    def mark(self) -> Mark:
        """A warning for versions that bulkup is not tested with."""
        return Mark.OK if self.major in TESTED else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyFound:
    """How long the cheapest request takes, in seconds."""

    check: ClassVar = Check.LATENCY
    median_s: float
    worst_s: float
    requests: int

    @property
    def mark(self) -> Mark:
        """A warning for slow servers: every photo takes several requests."""
        return Mark.OK if self.median_s < SLOW_S else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFound:
    """The account and its status; `api_key` is true if an API key was used."""

    check: ClassVar = Check.ACCOUNT
    user: str
    status: str
    api_key: bool

    @property
    def mark(self) -> Mark:
        """A warning if the status is unknown; accounts that are not administrators fail."""
        return Mark.OK if self.status else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsFound:
    """The upload methods offered, the one that `auto` chooses, and missing API methods."""

    check: ClassVar = Check.METHODS
    offered: tuple[str, ...]
    auto: str
    missing: tuple[str, ...]

    @property
    def mark(self) -> Mark:
        """A warning for the slow `legacy`, and for missing API methods."""
        return Mark.WARNING if self.missing or self.auto == "legacy" else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityFound:
    """What the Community plugin permits to an account that is no administrator.

    `albums` is the number of albums that it may upload to, `first` are some of them.
    `photos_left` and `bytes_left` are what is left of its quotas, None if it has none. `refusal`
    is what the gallery says if they are used up. With `quota_known` false, it did not tell.
    """

    check: ClassVar = Check.COMMUNITY
    albums: int
    first: Mapping[int, str]
    photos_left: int | None
    bytes_left: int | None
    refusal: str
    quota_known: bool

    @property
    def mark(self) -> Mark:
        """A problem if nothing more can be uploaded; otherwise a warning about the limits."""
        return Mark.WARNING if self.albums and not self.refusal else Mark.PROBLEM


@dataclass(frozen=True, slots=True, kw_only=True)
class TypesFound:
    """The file extensions that the gallery accepts, None if unknown."""

    check: ClassVar = Check.TYPES
    endings: tuple[str, ...] | None

    @property
    def mark(self) -> Mark:
        """A warning if unknown: an unaccepted file is then noticed only when it is sent."""
        return Mark.WARNING if self.endings is None else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFound:
    """Chunk sizes in bytes: the limit that the server reports, what passed, and what did not.

    If `refused` is None, nothing was refused and larger chunks were not tried, in a `slow` case
    because the last one took long. `rate` is in bytes per second. `tried` is False if this gallery
    offers no way to try.
    """

    check: ClassVar = Check.CHUNK
    named: int | None
    passed: int | None
    refused: int | None
    reason: str = ""
    slow: bool = False
    rate: float | None = None
    tried: bool = True

    @property
    def mark(self) -> Mark:
        """A problem if nothing passes, a warning if less passes than the server reports."""
        if self.passed is None:
            return Mark.PROBLEM if self.tried else Mark.WARNING
        return Mark.WARNING if self.named and self.passed < self.named else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesFound:
    """How duplicates are recognised.

    If `by_md5`, the gallery reports which MD5s it has. `detection` is whether it compares uploads
    itself, None if that depends on a setting that it does not report.
    """

    check: ClassVar = Check.DUPLICATES
    by_md5: bool
    detection: bool | None

    @property
    def mark(self) -> Mark:
        """A warning if uploads can't ask by MD5, or the gallery does not compare."""
        return Mark.OK if self.by_md5 and self.detection is not False else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Md5sFound:
    """Whether the photos in the gallery have an MD5; those without can't be found by it.

    `without` of `sampled` photos have none. `complete` is whether all photos of the gallery have
    one, None if unknown. `fillable`: this version can be asked to compute them. On request it has
    computed `filled` (None: not asked); `unread` files or more, which it could not read, may be
    among these.
    """

    check: ClassVar = Check.MD5S
    sampled: int
    without: int
    complete: bool | None
    fillable: bool
    filled: int | None = None
    unread: int = 0

    @property
    def mark(self) -> Mark:
        """A warning if photos lack it: they would be sent again."""
        return Mark.WARNING if self.without or self.complete is False else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumFound:
    """The album; its name is empty if unknown."""

    check: ClassVar = Check.ALBUM
    album: int
    name: str

    @property
    def mark(self) -> Mark:
        """A warning without a name: the album may not exist."""
        return Mark.OK if self.name else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumMissing:
    """No album was given: the first albums by number and name, and how many there are."""

    check: ClassVar = Check.ALBUM
    mark: ClassVar = Mark.WARNING
    first: Mapping[int, str]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFound:
    """The order in which the album, or most albums, show photos, as SQL; empty if unknown.

    `page` is the URL of the page that changes it.
    """

    check: ClassVar = Check.ORDER
    mark: ClassVar = Mark.OK
    order: str
    page: str

    @property
    def newest_first(self) -> bool:
        """Whether what was added last is shown first."""
        return self.order.lower().startswith("date_available desc")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersFound:
    """The minimum number of PHP workers, counted up to `most`; None if it can't be counted.

    `finishing` is how many photos may be finished at once with them.
    """

    check: ClassVar = Check.WORKERS
    workers: int | None
    most: int
    finishing: int

    @property
    def mark(self) -> Mark:
        """A warning below two workers: finishing a photo takes two."""
        return Mark.WARNING if self.workers is None or self.workers < 2 else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class IptcFound:
    """Whether the gallery reads titles, descriptions and keywords from IPTC data itself.

    `reads` are the kinds of texts for which an upload has shown it, the oldest `days` ago, None if
    there are none.
    """

    check: ClassVar = Check.IPTC
    mark: ClassVar = Mark.OK
    reads: Mapping[str, bool]
    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFound:
    """What an upload of the paths would do; sizes in bytes.

    `present` of the photos are in the album already, according to the ledger. The others need
    `requests` of up to `chunk_size`, and at least `seconds` at the measured rate, None without
    one. `types` counts files skipped for their extension, the most frequent first, None if the
    accepted ones are unknown. `by_rule` counts other skipped files, `unreadable` and `empty` files
    that will fail, `examples` holds some of these with the reason. `ids_left` is how many
    photos Piwigo can still give a number to, None if unknown.
    """

    check: ClassVar = Check.ARCHIVE
    photos: int
    size: int
    present: int
    requests: int
    chunk_size: int
    seconds: float | None
    types: Mapping[str, int] | None
    by_rule: int
    unreadable: int
    empty: int
    examples: Mapping[str, str]
    ids_left: int | None = None

    @property
    def mark(self) -> Mark:
        """A problem if files will fail, a warning if no photo was found or types are skipped."""
        if self.unreadable or self.empty:
            return Mark.PROBLEM
        warned = self.types or not self.photos or self.near_last_id
        return Mark.WARNING if warned else Mark.OK

    @property
    def near_last_id(self) -> bool:
        """Whether the upload uses up most of the numbers that are left, or more."""
        new = self.photos - self.present
        return self.ids_left is not None and new > NEAR * self.ids_left


Found = AddressFound | TlsFound | VersionFound | LatencyFound | AccountFound | MethodsFound
Offered = (
    TypesFound
    | ChunkFound
    | DuplicatesFound
    | Md5sFound
    | AlbumFound
    | AlbumMissing
    | OrderFound
    | WorkersFound
    | IptcFound
)
Finding = Failed | Found | Offered | CommunityFound | ArchiveFound


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckProgress:
    """A check is in progress.

    `at` is the size in bytes that is tried, the number of files found so far, or the number of
    photos that still lack an MD5.
    """

    check: Check
    at: int | None = None


OnFinding = Callable[[Finding | CheckProgress], None]


def to_json(finding: Finding) -> dict[str, object]:
    """Return a finding's mark and its fields as JSON values."""
    fields = asdict(finding)
    fields.pop("check", None)
    return {"mark": finding.mark.value, **fields}
