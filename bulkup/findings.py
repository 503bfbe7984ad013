"""What a check-up tells: a closed list of findings, each with its mark, and their form as JSON.

Knows what is to be judged good or bad about a finding, and neither servers nor words.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Final

SCHEMA: Final = 1
TRIED: Final = range(13, 18)  # major versions of Piwigo that bulkup has been tried with
BRIEF_DAYS: Final = 14  # a certificate that ends sooner may end in the middle of a migration
SLOW_S: Final = 1.0


class Mark(enum.StrEnum):
    """How good a finding is."""

    OK = "ok"
    WARNING = "warning"  # a migration can go on, but somebody should know
    PROBLEM = "problem"  # it can't


class Check(enum.StrEnum):
    """What is looked at, in the order in which it is."""

    ADDRESS = "address"
    TLS = "tls"
    VERSION = "version"
    LATENCY = "latency"
    ACCOUNT = "account"
    METHODS = "methods"
    TYPES = "types"
    CHUNK = "chunk"
    DUPLICATES = "duplicates"
    ALBUM = "album"
    WORKERS = "workers"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A check that came to nothing; what depends on it is left out."""

    mark: ClassVar = Mark.PROBLEM
    check: Check
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFound:
    """Where the gallery answers, and the address that was given."""

    check: ClassVar = Check.ADDRESS
    mark: ClassVar = Mark.OK
    url: str
    given: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFound:
    """How the connection is encrypted; `version` empty: not at all.

    `days`: the certificate is valid still, `trusted`: it was looked at, `local`: on this machine.
    """

    check: ClassVar = Check.TLS
    version: str = ""
    days: int | None = None
    trusted: bool = True
    local: bool = False

    @property
    def mark(self) -> Mark:
        """Without encryption the password travels in the open."""
        fresh = self.days is None or self.days >= BRIEF_DAYS
        well = self.trusted and fresh if self.version else self.local
        return Mark.OK if well else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFound:
    """The gallery's version of Piwigo, empty if it does not tell."""

    check: ClassVar = Check.VERSION
    version: str

    @property
    def major(self) -> int | None:
        """The number before the first dot."""
        head = self.version.partition(".")[0]
        return int(head) if head.isdecimal() and len(head) < 9 else None

    @property
    def mark(self) -> Mark:
        """Of other versions nothing is known."""
        return Mark.OK if self.major in TRIED else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyFound:
    """How long the cheapest request takes, in seconds."""

    check: ClassVar = Check.LATENCY
    median_s: float
    worst_s: float
    requests: int

    @property
    def mark(self) -> Mark:
        """Every photo takes several requests."""
        return Mark.OK if self.median_s < SLOW_S else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFound:
    """Who is logged in, with which status; `api_key`: by a key, without a password."""

    check: ClassVar = Check.ACCOUNT
    user: str
    status: str
    api_key: bool

    @property
    def mark(self) -> Mark:
        """Who is no administrator was not let in here."""
        return Mark.OK if self.status else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsFound:
    """The ways to upload that are offered, the one that `auto` takes, and what is missing."""

    check: ClassVar = Check.METHODS
    offered: tuple[str, ...]
    auto: str
    missing: tuple[str, ...]

    @property
    def mark(self) -> Mark:
        """`legacy` is slow, and without the others less is certain."""
        return Mark.WARNING if self.missing or self.auto == "legacy" else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class TypesFound:
    """The file endings that the gallery takes, None if it does not tell."""

    check: ClassVar = Check.TYPES
    endings: tuple[str, ...] | None

    @property
    def mark(self) -> Mark:
        """What is not told shows only when a photo is refused."""
        return Mark.WARNING if self.endings is None else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFound:
    """How large a chunk may be, in bytes: what the server names, what passed, what did not.

    `refused` None: nothing was refused, larger ones were not tried; `slow`: because the last one
    took long. `rate` in bytes a second. `tried` False: this gallery offers no way to try.
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
        """What the server names should pass."""
        if self.passed is None:
            return Mark.PROBLEM if self.tried else Mark.WARNING
        return Mark.WARNING if self.named and self.passed < self.named else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesFound:
    """Whether photos that are there already are known.

    `by_md5`: the gallery answers which MD5s it has. `detection`: whether it compares by itself
    what is uploaded; None where that is a setting that it does not tell.
    """

    check: ClassVar = Check.DUPLICATES
    by_md5: bool
    detection: bool | None

    @property
    def mark(self) -> Mark:
        """An upload asks by MD5 before it sends anything."""
        return Mark.OK if self.by_md5 and self.detection is not False else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumFound:
    """The album, its name empty if the gallery does not tell it."""

    check: ClassVar = Check.ALBUM
    album: int
    name: str

    @property
    def mark(self) -> Mark:
        """What has no name may be none."""
        return Mark.OK if self.name else Mark.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumMissing:
    """No album was named: the first of those there are, by number and name, and how many."""

    check: ClassVar = Check.ALBUM
    mark: ClassVar = Mark.WARNING
    first: Mapping[int, str]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersFound:
    """How many PHP workers answer at once, at least, counted up to `most`; None: can't be told.

    `finishing` is how many photos that lets finish at once.
    """

    check: ClassVar = Check.WORKERS
    workers: int | None
    most: int
    finishing: int

    @property
    def mark(self) -> Mark:
        """A finished photo takes two workers."""
        return Mark.WARNING if self.workers is None or self.workers < 2 else Mark.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFound:
    """What an upload of the paths would be about; sizes in bytes.

    `brought` of the photos are in the album already, as the ledger has it. The others need so many
    `requests` of up to `chunk_size`, and at least so many `seconds` at the rate that was measured;
    None: none was. `types` counts what is left out for its ending, most first; None: which ones
    the gallery takes is not known. `by_rule` counts what else is left out, `unreadable` and
    `empty` what will fail; `examples` of these with the reason.
    """

    check: ClassVar = Check.ARCHIVE
    photos: int
    size: int
    brought: int
    requests: int
    chunk_size: int
    seconds: float | None
    types: Mapping[str, int] | None
    by_rule: int
    unreadable: int
    empty: int
    examples: Mapping[str, str]

    @property
    def mark(self) -> Mark:
        """What can't be read can't be brought."""
        if self.unreadable or self.empty:
            return Mark.PROBLEM
        return Mark.WARNING if self.types or not self.photos else Mark.OK


Found = AddressFound | TlsFound | VersionFound | LatencyFound | AccountFound | MethodsFound
Offered = TypesFound | ChunkFound | DuplicatesFound | AlbumFound | AlbumMissing | WorkersFound
Finding = Failed | Found | Offered | ArchiveFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """A sign of life: a check has begun, or come so far. Nothing is found yet.

    `at` is the size in bytes that is tried, or the number of files seen so far.
    """

    check: Check
    at: int | None = None


Tell = Callable[[Finding | Looking], None]


def to_json(finding: Finding) -> dict[str, object]:
    """Return a finding's mark and its fields as JSON values, by their names."""
    fields = asdict(finding)
    fields.pop("check", None)
    return {"mark": finding.mark.value, **fields}
