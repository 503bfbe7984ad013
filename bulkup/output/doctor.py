"""The doctor's findings as values, and as text or JSON for the user."""

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Final

from rich.console import Console
from rich.text import Text

from bulkup.output.files import json_text
from bulkup.output.live import Canvas, suits_live
from bulkup.output.phrases import BAD, FAINT, GOOD, WARNING
from bulkup.output.plain import write
from bulkup.output.sinks import Clock
from bulkup.output.text import count_text, printable, rate_text, size_text, time_text

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


NAMES = {
    Check.ADDRESS: "Address",
    Check.TLS: "TLS",
    Check.VERSION: "Piwigo",
    Check.LATENCY: "Latency",
    Check.ACCOUNT: "Account",
    Check.METHODS: "Methods",
    Check.TYPES: "File types",
    Check.CHUNK: "Chunk size",
    Check.DUPLICATES: "Duplicates",
    Check.ALBUM: "Album",
    Check.WORKERS: "PHP workers",
    Check.ARCHIVE: "Archive",
}
TYPES_SHOWN = 8
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Words:
    """A finding in lines of text, and what to do, empty if nothing is."""

    lines: tuple[str, ...]
    hint: str


def _say(*lines: str, hint: str = "") -> Words:
    """Return these lines, but for empty ones, as they may be shown."""
    return Words(tuple(printable(line) for line in lines if line), printable(hint))


def looking(sign: Looking) -> str:
    """Return what is being done."""
    match sign:
        case Looking(check=Check.CHUNK, at=int(size)):
            return f"{NAMES[sign.check]}: sending {chunk_text(size)}"
        case Looking(check=Check.ARCHIVE, at=int(files)):
            return f"{NAMES[sign.check]}: {count_text(files, 'file')} so far"
    return NAMES[sign.check]


def words(finding: Finding) -> Words:
    """Return what to say of a finding."""
    match finding:
        case Failed():
            return _say(finding.reason, hint=finding.hint)
        case AddressFound(url=url, given=given):
            return _say(url if url == given else f"{url} ({given} redirects there)")
        case TlsFound():
            return _tls(finding)
        case VersionFound():
            return _version(finding)
        case LatencyFound():
            return _latency(finding)
        case AccountFound(user=user, status=status):
            rank = status or "a status that the gallery does not tell"
            return _say(f"{user}, {rank}{', by API key' if finding.api_key else ''}")
        case MethodsFound():
            return _methods(finding)
        case TypesFound(endings=None):
            return _say("the gallery does not tell which it takes", hint="Every file is tried.")
        case TypesFound(endings=endings):
            return _say(", ".join(endings or ()))
        case ChunkFound():
            return _chunk(finding)
        case DuplicatesFound():
            return _duplicates(finding)
        case AlbumFound(album=album, name=name):
            return _say(f"{name} (album {album})" if name else f"album {album}, of no known name")
        case AlbumMissing():
            return _albums(finding)
        case WorkersFound():
            return _workers(finding)
        case ArchiveFound():
            return _say(*_archive(finding), hint=_archive_hint(finding))


def chunk_text(size: int) -> str:
    """Return a size as `--chunk-size` takes it: 500K, 16M."""
    return f"{size // MIB}M" if size >= MIB and not size % MIB else f"{size / 1024:.10g}K"


def _tls(found: TlsFound) -> Words:
    if not found.version:
        if found.local:
            return _say("none; the gallery is on this machine")
        return _say(
            "none: the password and the photos can be read on the way",
            hint="Use the https:// address if the gallery has one.",
        )
    if not found.trusted:
        return _say(
            f"{found.version.replace('TLSv', 'TLS ')}, but the certificate was not checked",
            hint="Give the server's certificate by --ca-cert, instead of --insecure.",
        )
    left = "" if found.days is None else f", certificate valid for {count_text(found.days, 'day')}"
    renew = "Have the certificate renewed before." if found.mark != "ok" else ""
    return _say(f"{found.version.replace('TLSv', 'TLS ')}{left}", hint=renew)


def _version(found: VersionFound) -> Words:
    if found.mark == "ok":
        return _say(found.version)
    return _say(
        f"{found.version or 'unknown'}: bulkup has been tried with Piwigo 13 to 17 only",
        hint="Try it with a few photos first.",
    )


def _latency(found: LatencyFound) -> Words:
    return _say(
        f"{_ms(found.median_s)} a request, {_ms(found.worst_s)} at worst of {found.requests}",
        hint=""
        if found.mark == "ok"
        else "Larger chunks (--chunk-size) and more photos at once (--concurrency) help.",
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else time_text(seconds)


def _methods(found: MethodsFound) -> Words:
    missing = f"not offered: {', '.join(found.missing)}" if found.missing else ""
    hint = ""
    if found.missing:
        hint = "Without these less is certain, or goes slower; has somebody switched them off?"
    elif found.auto == "legacy":
        hint = "That takes a third more bytes; Piwigo 12 and later offer better ways."
    return _say(f"{', '.join(found.offered)}; auto takes {found.auto}", missing, hint=hint)


def _chunk(found: ChunkFound) -> Words:
    named = f"the server names {chunk_text(found.named)}" if found.named else ""
    if not found.tried:
        return _say(
            ", ".join(filter(None, [named, "what passes can't be tried here"])),
            hint="An upload finds it out by itself; --chunk-size sets it.",
        )
    if found.passed is None:
        return _say(
            f"nothing passes: {found.reason}",
            named,
            hint="Ask the host for PHP's upload_max_filesize and post_max_size, and whether its "
            "temporary folder is full.",
        )
    rate = f" at {rate_text(found.rate)}" if found.rate else ""
    passed = f"{chunk_text(found.passed)} pass{rate}"
    if found.refused:
        passed += f", {chunk_text(found.refused)} do not: {found.reason}"
    elif found.slow:
        passed += ", which takes so long that larger ones were not tried"
    else:
        passed += "; larger ones were not tried"
    spare = f"--chunk-size {chunk_text(found.passed)} spares an upload to find that out."
    return _say(passed, named, hint="" if found.mark == "ok" else spare)


def _duplicates(found: DuplicatesFound) -> Words:
    hint = ""
    if found.by_md5:
        asked = "the gallery tells by MD5 what it has: nothing of that is sent again"
    else:
        asked = "the gallery does not tell by MD5 what it has"
        hint = "It may identify photos by file name ($conf['uniqueness_mode']): use md5sum there."
    if found.detection is False:
        itself = "this version compares nothing by itself (14 and later do)"
        hint = hint or "Let nobody else upload the same photos meanwhile."
    else:
        itself = (
            "whether it also compares uploads by itself can't be asked: yes if it was installed "
            "as Piwigo 14 or later, no after an upgrade from before"
        )
    return _say(asked, itself, hint=hint)


def _albums(found: AlbumMissing) -> Words:
    if not found.count:
        return _say(
            "none is named, and the gallery shows none",
            hint="Make one there, then give its number: --album N.",
        )
    names = ", ".join(f"{name} (album {number})" for number, name in found.first.items())
    more = found.count - len(found.first)
    return _say(
        f"none is named; the gallery has {names}{f' and {more:,} more' if more else ''}",
        hint="Give the number of one: --album N. It stands in the album's address.",
    )


def _workers(found: WorkersFound) -> Words:
    at_once = f"{count_text(found.finishing, 'photo')} finished at once"
    if found.workers is None:
        return _say(
            "they could not be counted: the server does not let us, or is busy just now",
            hint=f"Try again at another time; an upload begins carefully, {at_once}.",
        )
    if found.workers < 2:
        return _say(
            "only 1 was seen",
            "finishing a photo takes two: each may freeze the gallery for up to 3 minutes",
            hint="Ask the host for more PHP workers (pm.max_children).",
        )
    count = f"{found.workers} or more" if found.workers >= found.most else f"{found.workers}"
    return _say(f"{count}: that bears {at_once}")


def _archive(found: ArchiveFound) -> Iterator[str]:
    """Yield what there is to bring, what of it is known, and what stays behind."""
    yield f"{count_text(found.photos, 'photo')}, {size_text(found.size)}"
    if found.brought:
        yield f"{found.brought:,} of them are in the album by the ledger"
    if found.requests:
        need = f"{count_text(found.requests, 'request')} of up to {chunk_text(found.chunk_size)}"
        yield need + (
            f", at least {time_text(found.seconds)} at that rate"
            if found.seconds and found.seconds >= 1
            else ""
        )
    if found.types is None:
        yield "of all types: which ones the gallery takes is not known"
    elif found.types:
        ranked = list(found.types.items())
        named = [
            f"{count:,} {kind or 'without an ending'}" for kind, count in ranked[:TYPES_SHOWN]
        ]
        if rest := sum(count for _, count in ranked[TYPES_SHOWN:]):
            named.append(f"{rest:,} of other types")
        yield f"left out, of types that the gallery does not take: {', '.join(named)}"
    if found.by_rule:
        yield f"left out by rule: {found.by_rule:,} (links, hidden files, what systems make)"
    if found.unreadable or found.empty:
        yield f"will fail: {found.unreadable:,} unreadable, {found.empty:,} empty"
        yield from (f"  {path}: {reason}" for path, reason in found.examples.items())


def _archive_hint(found: ArchiveFound) -> str:
    if found.unreadable or found.empty:
        return "Check the permissions, and look for intact copies."
    if not found.photos:
        return "Is it the right folder?"
    if found.types:
        return (
            "Convert these first, or have the gallery take them ($conf['upload_form_all_types'])."
        )
    return ""


MARKS = {
    Mark.OK: Text("✓", GOOD),
    Mark.WARNING: Text("!", WARNING),
    Mark.PROBLEM: Text("✗", BAD),
}
WIDTH = max(map(len, NAMES.values()))
INDENT = " " * (WIDTH + 4)
FRAME_S = 0.1
"""Signs of life that follow each other sooner are not painted."""

LINE_S = 10.0


class CheckupReport:
    """Takes in what a check-up tells; `out` None: nothing is written as it comes."""

    def __init__(self, out: Console | None, *, signs: Console, clock: Clock) -> None:
        self._out = out
        self._signs = signs
        self._clock = clock
        self._canvas = Canvas(signs) if suits_live(signs) else None
        self._findings: list[Finding] = []
        self._signed = clock()

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return all(finding.mark is not Mark.PROBLEM for finding in self._findings)

    def tell(self, told: Finding | Looking) -> None:
        """Take in a finding or a sign of life."""
        if isinstance(told, Looking):
            self._show(told)
            return
        self._findings.append(told)
        self.rest()
        self._signed = self._clock()
        if self._out is not None:
            write(self._out, *lines(told))

    def rest(self) -> None:
        """Take the last sign of life away."""
        if self._canvas is not None:
            self._canvas.clear()

    def document(self) -> str:
        """Return everything found as one JSON object, in ASCII.

        `schema`, `ok`, and `checks`: by the name of each check its `mark` (`ok`, `warning`,
        `problem`), `text`, `hint`, and the fields of the finding.
        """
        checks = {}
        for finding in self._findings:
            said = words(finding)
            text = {"text": "\n".join(said.lines), "hint": said.hint}
            checks[finding.check.value] = to_json(finding) | text
        return json_text({"schema": SCHEMA, "ok": self.ok, "checks": checks}, indent=2)

    def _show(self, sign: Looking) -> None:
        now = self._clock()
        line = Text(f"… {looking(sign)}", FAINT)
        if self._canvas is not None:
            if sign.at is None or now - self._signed >= FRAME_S:
                self._canvas.paint([line])
                self._signed = now
        elif now - self._signed >= LINE_S:
            write(self._signs, line)
            self._signed = now


def lines(finding: Finding) -> list[Text]:
    """Return the lines that a finding is worth: its mark before the first one, the hint below."""
    said = words(finding)
    first, *others = said.lines or ("",)
    shown = [
        Text.assemble(MARKS[finding.mark], f" {NAMES[finding.check]:<{WIDTH}}  {first}"),
        *(Text(INDENT + line) for line in others),
    ]
    if said.hint:
        shown.append(Text(INDENT + said.hint, FAINT))
    return shown
