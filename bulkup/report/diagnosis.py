"""What is said of each finding of a check-up: what was found, and what to do about it.

Knows findings and words, and not where they end up. Every text that comes from outside goes
through `printable`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bulkup.findings import (
    AccountFound,
    AddressFound,
    AlbumFound,
    AlbumMissing,
    ArchiveFound,
    Check,
    ChunkFound,
    DuplicatesFound,
    Failed,
    Finding,
    LatencyFound,
    Looking,
    MethodsFound,
    TlsFound,
    TypesFound,
    VersionFound,
    WorkersFound,
)
from bulkup.report.text import count_text, printable, rate_text, size_text, time_text

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
