"""The doctor's report: its findings as text on the terminal, or as JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.text import Text

from bulkup.errors import count_text
from bulkup.output import findings
from bulkup.output.files import json_text
from bulkup.output.findings import Check, CheckProgress, Finding, Mark, to_json
from bulkup.output.live import Canvas, suits_live
from bulkup.output.phrases import BAD, FAINT, GOOD, WARNING
from bulkup.output.plain import write
from bulkup.output.sinks import Clock
from bulkup.output.text import printable, rate_text, size_text, time_text

SCHEMA: Final = 1
NAMES = {
    Check.ADDRESS: "Address",
    Check.TLS: "TLS",
    Check.VERSION: "Piwigo",
    Check.LATENCY: "Latency",
    Check.ACCOUNT: "Account",
    Check.METHODS: "Methods",
    Check.COMMUNITY: "Community",
    Check.TYPES: "File types",
    Check.CHUNK: "Chunk size",
    Check.DUPLICATES: "Duplicates",
    Check.MD5S: "MD5s",
    Check.ALBUM: "Album",
    Check.ORDER: "Order",
    Check.WORKERS: "PHP workers",
    Check.IPTC: "IPTC",
    Check.ARCHIVE: "Archive",
}
TYPES_SHOWN = 8
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Words:
    """The text of a finding, and what to do, which may be empty."""

    lines: tuple[str, ...]
    hint: str


def _words(*lines: str, hint: str = "") -> Words:
    """Return these lines without empty ones, and the hint, in printable characters."""
    return Words(tuple(printable(line) for line in lines if line), printable(hint))


def progress_text(step: CheckProgress) -> str:
    """Return the text for a check in progress."""
    match step:
        case CheckProgress(check=Check.CHUNK, at=int(size)):
            return f"{NAMES[step.check]}: sending {chunk_text(size)}"
        case CheckProgress(check=Check.ARCHIVE, at=int(files)):
            return f"{NAMES[step.check]}: {count_text(files, 'file')} so far"
        case CheckProgress(check=Check.MD5S, at=int(left)):
            return f"{NAMES[step.check]}: {count_text(left, 'photo')} left"
    return NAMES[step.check]


def words(finding: Finding) -> Words:
    """Return the text of a finding."""
    match finding:
        case findings.Failed():
            return _words(finding.reason, hint=finding.hint)
        case findings.AddressFound(url=url, given=given, proxy=proxy):
            text = url if url == given else f"{url} ({given} redirects there)"
            return _words(f"{text}, through the proxy {proxy}" if proxy else text)
        case findings.TlsFound():
            return _tls(finding)
        case findings.VersionFound():
            return _version(finding)
        case findings.LatencyFound():
            return _latency(finding)
        case findings.AccountFound(user=user, status=status):
            rank = status or "unknown status"
            return _words(f"{user}, {rank}{', by API key' if finding.api_key else ''}")
        case findings.MethodsFound():
            return _methods(finding)
        case findings.CommunityFound():
            return _community(finding)
        case findings.TypesFound(endings=None):
            return _words("unknown: the gallery does not report it", hint="Every file is tried.")
        case findings.TypesFound(endings=endings):
            return _words(", ".join(endings or ()))
        case findings.ChunkFound():
            return _chunk(finding)
        case findings.DuplicatesFound():
            return _duplicates(finding)
        case findings.Md5sFound():
            return _md5s(finding)
        case findings.AlbumFound(album=album, name=name):
            return _words(f"{name} (album {album})" if name else f"album {album}, name unknown")
        case findings.AlbumMissing():
            return _albums(finding)
        case findings.OrderFound():
            return _order(finding)
        case findings.WorkersFound():
            return _workers(finding)
        case findings.IptcFound():
            return _iptc(finding)
        case findings.ArchiveFound():
            return _words(*_archive(finding), hint=_archive_hint(finding))


def chunk_text(size: int) -> str:
    """Return a size as `--chunk-size` takes it: 500K, 16M."""
    return f"{size // MIB}M" if size >= MIB and not size % MIB else f"{size / 1024:.10g}K"


def _tls(found: findings.TlsFound) -> Words:
    if not found.version:
        if found.local:
            return _words("none; the gallery is on this machine")
        return _words(
            "none: others on the network can read the password and the photos",
            hint="Use the https:// address if the gallery has one.",
        )
    if not found.trusted:
        return _words(
            f"{found.version.replace('TLSv', 'TLS ')}, but the certificate was not verified",
            hint="Give the server's certificate with --ca-cert instead of --insecure.",
        )
    left = "" if found.days is None else f", certificate valid for {count_text(found.days, 'day')}"
    renew = "Renew the certificate first." if found.mark != "ok" else ""
    return _words(f"{found.version.replace('TLSv', 'TLS ')}{left}", hint=renew)


def _version(found: findings.VersionFound) -> Words:
    if found.mark == "ok":
        return _words(found.version)
    return _words(
        f"{found.version or 'unknown'}: bulkup is tested with Piwigo 13 to 17 only",
        hint="Try it with a few photos first.",
    )


def _community(found: findings.CommunityFound) -> Words:
    """Say what the plugin permits; whether photos have to be approved shows only afterwards."""
    if not found.albums:
        return _words(
            "the Community plugin permits no album",
            hint="Ask an administrator for permission to upload to an album.",
        )
    if found.refusal:
        return _words(
            f"the gallery takes no more photos of this account: {found.refusal}",
            hint="Ask an administrator for a larger quota, or delete photos in the gallery.",
        )
    names = ", ".join(f"{name} ({album})" for album, name in found.first.items())
    more = ", …" if found.albums > len(found.first) else ""
    left = []
    if found.photos_left is not None:
        left.append(count_text(found.photos_left, "photo"))
    if found.bytes_left is not None:
        left.append(size_text(found.bytes_left))
    quota = f"left of its quota: {', '.join(left)}" if left else "no quota"
    if not found.quota_known:
        quota = "quota unknown: the gallery tells it only after a log-in with a password"
    return _words(
        f"may upload to {count_text(found.albums, 'album')}: {names}{more}",
        quota,
        hint="Photos may be hidden until an administrator approves them. --level, --update and "
        "--raw-as-format need an administrator.",
    )


def _latency(found: findings.LatencyFound) -> Words:
    return _words(
        f"{_ms(found.median_s)} a request, {_ms(found.worst_s)} at worst of {found.requests}",
        hint=""
        if found.mark == "ok"
        else "Larger chunks (--chunk-size) and more photos at once (--concurrency) help.",
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else time_text(seconds)


def _methods(found: findings.MethodsFound) -> Words:
    missing = f"not offered: {', '.join(found.missing)}" if found.missing else ""
    hint = ""
    if found.missing:
        hint = "Without them, uploads are slower or less certain; check if they are disabled."
    elif found.auto == "legacy":
        hint = "It sends a third more bytes; Piwigo 12 and later offer better methods."
    return _words(f"{', '.join(found.offered)}; auto takes {found.auto}", missing, hint=hint)


def _chunk(found: findings.ChunkFound) -> Words:
    named = f"the server reports {chunk_text(found.named)}" if found.named else ""
    if not found.tried:
        return _words(
            ", ".join(filter(None, [named, "the size that passes can't be tested here"])),
            hint="An upload finds it automatically; --chunk-size sets it.",
        )
    if found.passed is None:
        return _words(
            f"nothing passes: {found.reason}",
            named,
            hint="Ask the hosting provider for PHP's upload_max_filesize and post_max_size, and "
            "whether its temporary folder is full.",
        )
    rate = f" at {rate_text(found.rate)}" if found.rate else ""
    passed = f"{chunk_text(found.passed)} pass{rate}"
    if found.refused:
        passed += f", {chunk_text(found.refused)} do not: {found.reason}"
    elif found.slow:
        passed += ", so slowly that larger ones were not tried"
    else:
        passed += "; larger ones were not tried"
    spare = f"--chunk-size {chunk_text(found.passed)} lets an upload start with that size."
    return _words(passed, named, hint="" if found.mark == "ok" else spare)


def _duplicates(found: findings.DuplicatesFound) -> Words:
    hint = ""
    if found.by_md5:
        asked = "the gallery finds photos by MD5: those that it has are not sent again"
    else:
        asked = "the gallery can't find photos by MD5"
        hint = "It may identify photos by file name ($conf['uniqueness_mode']): use md5sum there."
    if found.detection is False:
        itself = "this version does not compare uploads itself (14 and later do)"
        hint = hint or "Make sure that nobody else uploads the same photos at the same time."
    else:
        itself = (
            "whether it also compares uploads itself is unknown: it does if it was installed as "
            "Piwigo 14 or later, not if it was upgraded from an older version"
        )
    return _words(asked, itself, hint=hint)


def _md5s(found: findings.Md5sFound) -> Words:
    filled = "" if found.filled is None else f"{found.filled:,} computed by the gallery"
    if found.unread:
        filled = f"computed, but the gallery can't read {count_text(found.unread, 'file')} or more"
    sample = f"of {count_text(found.sampled, 'photo')} sampled, "
    if found.without:
        sample += f"{found.without:,} have none: they can't be found, and would be sent again"
    elif found.complete:
        sample = "every photo in the gallery has one"
    elif found.complete is False:
        sample += "each has one, but others have none: these would be sent again"
    else:
        sample = sample + "each has one" if found.sampled else "no photo was found to ask for it"
    if found.mark == "ok":
        return _words(filled, sample)
    hint = "bulkup doctor --fill-md5 lets the gallery compute them."
    if not found.fillable:
        hint = (
            "Update Piwigo to 15.4 or later, then run bulkup doctor --fill-md5. Older versions "
            "may give an MD5 to the wrong photo."
        )
    elif found.filled is not None:
        hint = "The gallery could not read their files: check that they exist there."
    return _words(filled, sample, hint=hint)


def _albums(found: findings.AlbumMissing) -> Words:
    if not found.count:
        return _words(
            "none is given, and the gallery has none",
            hint="Create one there, then give its number: --album N.",
        )
    names = ", ".join(f"{name} (album {number})" for number, name in found.first.items())
    more = found.count - len(found.first)
    return _words(
        f"none is given; the gallery has {names}{f' and {more:,} more' if more else ''}",
        hint="Give the number of one: --album N. It is part of the album's address.",
    )


def _order(found: findings.OrderFound) -> Words:
    if found.newest_first:
        return _words(
            f"what was added last is shown first ({found.order})",
            "as many photos are finished at once, those of an upload are in no useful order",
            hint="Choose another order, or “Manual order” and give --sort with the upload: "
            + found.page,
        )
    order = found.order.lower().replace("`", "")
    if not order:
        return _words("not reported by this gallery; that of a new one shows what was added last")
    if order.startswith("rank"):
        return _words("manual: an upload with --sort sets it")
    if order.startswith("id asc"):
        return _words(f"{found.order}, or manual if that is the default of the whole gallery")
    return _words(found.order)


def _workers(found: findings.WorkersFound) -> Words:
    at_once = f"{count_text(found.finishing, 'photo')} finished at once"
    if found.workers is None:
        return _words(
            "they could not be counted: the server prevents it or is busy",
            hint=f"Try again later; an upload starts carefully, with {at_once}.",
        )
    if found.workers < 2:
        return _words(
            "only 1 was found",
            "finishing a photo takes two: each photo may block the gallery for up to 3 minutes",
            hint="Ask the hosting provider for more PHP workers (pm.max_children).",
        )
    count = f"{found.workers} or more" if found.workers >= found.most else f"{found.workers}"
    return _words(f"{count}: enough for {at_once}")


def _iptc(found: findings.IptcFound) -> Words:
    if found.days is None:
        return _words(
            "whether the gallery reads titles and keywords from IPTC data itself is unknown",
            hint="The first photos with IPTC data that are uploaded show it.",
        )
    kinds = [f"{kind.removesuffix('s')}s" for kind, reads in found.reads.items() if reads]
    since = "found today" if not found.days else f"found {count_text(found.days, 'day')} ago"
    if not kinds:
        return _words(f"the gallery does not read it itself ({since}): an upload sends its texts")
    return _words(f"the gallery reads it itself ({since}): {', '.join(kinds)}")


def _archive(found: findings.ArchiveFound) -> Iterator[str]:
    """Yield what there is to upload, what is uploaded already, and what is skipped or fails."""
    yield f"{count_text(found.photos, 'photo')}, {size_text(found.size)}"
    if found.present:
        yield f"{found.present:,} of them are in the album already, according to the ledger"
    if found.requests:
        need = f"{count_text(found.requests, 'request')} of up to {chunk_text(found.chunk_size)}"
        yield need + (
            f", at least {time_text(found.seconds)} at that rate"
            if found.seconds and found.seconds >= 1
            else ""
        )
    if found.near_last_id and found.ids_left is not None:
        yield f"the gallery has numbers for {count_text(found.ids_left, 'more photo')} only"
    if found.types is None:
        yield "of all types: which ones the gallery accepts is unknown"
    elif found.types:
        ranked = list(found.types.items())
        named = [
            f"{count:,} {kind or 'without an extension'}" for kind, count in ranked[:TYPES_SHOWN]
        ]
        if rest := sum(count for _, count in ranked[TYPES_SHOWN:]):
            named.append(f"{rest:,} of other types")
        yield f"skipped, of types that the gallery does not accept: {', '.join(named)}"
    if found.by_rule:
        yield f"skipped by rule: {found.by_rule:,} (sidecars, links, hidden and system files)"
    if found.unreadable or found.empty:
        yield f"will fail: {found.unreadable:,} unreadable, {found.empty:,} empty"
        yield from (f"  {path}: {reason}" for path, reason in found.examples.items())


def _archive_hint(found: findings.ArchiveFound) -> str:
    if found.unreadable or found.empty:
        return "Check their permissions, and look for intact copies."
    if found.near_last_id:
        return "Piwigo never uses the number of a deleted photo again: use a second gallery."
    if not found.photos:
        return "Check whether this is the right folder."
    if found.types:
        return (
            "Convert these first, or let the gallery accept them ($conf['upload_form_all_types'])."
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
"""The shortest time between two progress lines on a terminal, in seconds."""

LINE_S = 10.0
"""The same for other outputs, such as a pipe."""


class DoctorReport:
    """Collects findings; writes them to `out`, if given, and the progress to `progress`."""

    def __init__(self, out: Console | None, *, progress: Console, clock: Clock) -> None:
        self._out = out
        self._progress = progress
        self._clock = clock
        self._canvas = Canvas(progress) if suits_live(progress) else None
        self._findings: list[Finding] = []
        self._shown_at = clock()

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return all(finding.mark is not Mark.PROBLEM for finding in self._findings)

    def add(self, news: Finding | CheckProgress) -> None:
        """Add a finding, or show progress."""
        if isinstance(news, CheckProgress):
            self._show(news)
            return
        self._findings.append(news)
        self.clear_progress()
        self._shown_at = self._clock()
        if self._out is not None:
            write(self._out, *lines(news))

    def clear_progress(self) -> None:
        """Erase the progress line."""
        if self._canvas is not None:
            self._canvas.clear()

    def document(self) -> str:
        """Return all findings as one JSON object in ASCII.

        It contains `schema`, `ok` and `checks`, which maps the name of each check to its `mark`
        (`ok`, `warning` or `problem`), `text`, `hint`, and the fields of the finding.
        """
        checks = {}
        for finding in self._findings:
            found = words(finding)
            text = {"text": "\n".join(found.lines), "hint": found.hint}
            checks[finding.check.value] = to_json(finding) | text
        return json_text({"schema": SCHEMA, "ok": self.ok, "checks": checks}, indent=2)

    def _show(self, step: CheckProgress) -> None:
        now = self._clock()
        line = Text(f"… {progress_text(step)}", FAINT)
        if self._canvas is not None:
            if step.at is None or now - self._shown_at >= FRAME_S:
                self._canvas.paint([line])
                self._shown_at = now
        elif now - self._shown_at >= LINE_S:
            write(self._progress, line)
            self._shown_at = now


def lines(finding: Finding) -> list[Text]:
    """Return the lines of a finding: its mark and text, and the hint below."""
    found = words(finding)
    first, *others = found.lines or ("",)
    shown = [
        Text.assemble(MARKS[finding.mark], f" {NAMES[finding.check]:<{WIDTH}}  {first}"),
        *(Text(INDENT + line) for line in others),
    ]
    if found.hint:
        shown.append(Text(INDENT + found.hint, FAINT))
    return shown
