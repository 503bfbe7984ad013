"""Texts about a run that several outputs share, and the summary at its end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from bulkup import events
from bulkup.errors import count_text
from bulkup.output.state import OTHER_TYPES, RunState
from bulkup.output.text import (
    estimate_text,
    printable,
    rate_text,
    size_text,
    time_text,
)

BAD = "bold red"
WARNING = "yellow"
GOOD = "green"
FAINT = "dim"
TONES = {BAD: "bad", WARNING: "warning", GOOD: "good", FAINT: "faint"}
"""Names of the styles on web pages."""

INDENT = 8  # cells for the word at the start of a line, before the text

REFRESHING = ("refresh", "refresh-dry-run")
DRY_RUNS = ("dry-run", "refresh-dry-run")

DRAINING = "photos in flight are finished, no new one is started"
CONTROLS = {
    events.Interrupted: (("stop", WARNING), f"{DRAINING}; Ctrl-C again aborts"),
    events.Paused: (("pause", WARNING), DRAINING),
    events.Resumed: (("go on", GOOD), "the run continues"),
}
"""What the user has asked for."""


VERDICTS = {
    events.Verdict.PRESENT: ("present", GOOD),
    events.Verdict.MISSING: ("missing", BAD),
    events.Verdict.NOT_IN_ALBUM: ("not in the album", WARNING),
    events.Verdict.DIFFERING: ("differing", BAD),
    events.Verdict.UNPLACED: ("without position", WARNING),
    events.Verdict.UNKNOWN: ("unknown", WARNING),
    events.Verdict.FAILED: ("failed", BAD),
}


@dataclass(frozen=True, slots=True)
class EventLine:
    """The line for an event: a word with its style, what happened, and what to do."""

    word: str
    style: str
    what: str
    hint: str


def event_text(
    event: events.Event, *, verbose: bool = False, retries: bool = False
) -> Text | None:
    """Return the line for an event, None if it has none.

    With `verbose` each photo has a line, with `retries` each photo that waits for a retry.
    """
    line = event_line(event, verbose=verbose, retries=retries)
    if line is None:
        return None
    text = Text.assemble((f"{line.word:<{INDENT - 1}} ", line.style), line.what)
    return text.append(f" ({line.hint})", FAINT) if line.hint else text


def event_line(
    event: events.Event, *, verbose: bool = False, retries: bool = False
) -> EventLine | None:
    """Return the parts of the line for an event; see `event_text`."""
    hint = ""
    match event:
        case events.PhotoNew() if verbose:
            kind, what = _planned_photo(event)
        case events.PhotoUploaded() if verbose:
            kind, what = ("sent", GOOD), f"{event.path} as photo {event.image_id}"
        case events.PhotoPresent() if verbose:
            where = f"photo {event.image_id}" if event.image_id else "as an identical one"
            kind = ("link", GOOD) if event.linked else ("there", FAINT)
            what = f"{event.path} ({where})"
        case events.PhotoRefreshed() if event.changes and verbose:
            kind, what = ("change", GOOD), f"{event.path}: {event.reason}"
        case events.PhotoRefreshed() if event.kept and verbose:
            kind, what = ("kept", WARNING), f"{event.path}: {event.reason}"
        case events.FileSkipped() if verbose:
            kind, what = ("skip", FAINT), f"{event.path} ({event.reason.value})"
        case events.JsonMissing() if verbose:
            kind, what = ("no json", FAINT), f"{event.path} has no JSON file in its Takeout"
        case events.AlbumMade() if verbose:
            kind, what = ("album", GOOD), event.name
        case events.PhotoFailed():
            kind, what, hint = ("failed", BAD), f"{event.path}: {event.reason}", event.hint
        case events.PhotoChecked(verdict=verdict) if verdict is not events.Verdict.PRESENT:
            kind, what, hint = VERDICTS[verdict], f"{event.path}: {event.reason}", event.hint
        case events.FileNotMoved():
            kind, what, hint = ("stays", WARNING), f"{event.path}: {event.reason}", event.hint
        case events.ArrangementDiffers():
            kind, what, hint = ("album", WARNING), event.reason, event.hint
        case events.OutageBegan():
            kind, what = ("outage", WARNING), f"{event.reason}; waiting for the server"
        case events.OutageEnded():
            kind, what = (
                ("back", GOOD),
                f"the server answers again after {time_text(event.seconds)}",
            )
        case events.TableMismatch() if verbose:
            where = "" if event.line is None else f"line {event.line}: "
            kind, what = ("table", FAINT), f"{where}{event.path}: {event.reason}"
        case events.Noticed():
            kind, what, hint = ("note", WARNING), event.message, event.hint
        case events.Retrying(path=None):
            kind, what = ("again", WARNING), f"{event.reason}; in {time_text(event.after_s)}"
        case events.Retrying() if verbose or (retries and event.after_s):
            kind = ("again", WARNING)
            what = f"{event.path}: {event.reason}; in {time_text(event.after_s)}"
        case events.Interrupted() | events.Paused() | events.Resumed():
            kind, what = CONTROLS[type(event)]
        case _:
            return None
    word, style = kind
    return EventLine(word, style, printable(what), printable(hint))


def _planned_photo(photo: events.PhotoNew) -> tuple[tuple[str, str], str]:
    """Return what an upload would do with a photo."""
    what = f"{photo.path} ({size_text(photo.size)})"
    if photo.replaces is not None:
        return ("replace", GOOD), f"{what} in photo {photo.replaces}"
    if photo.format_of is not None:
        return ("format", GOOD), f"{what} of {photo.format_of.name}"
    return ("new", GOOD), what


def title(run: events.RunStarted) -> str:
    """Return the album and the gallery of a run."""
    name = printable(run.album_name)
    if run.album is None and not name:
        return printable(run.url)
    number = "new album" if run.album is None else f"album {run.album}"
    album = f"{name} ({number})" if name else number
    return f"{album} at {printable(run.url)}"


def manner(run: events.RunStarted) -> str:
    """Return the method, the concurrency and the version of Piwigo."""
    method = run.method
    if run.task == "verify":
        method = f"check only ({method})"
    if run.task == "refresh":
        method = f"refresh metadata ({method})"
    if run.task in DRY_RUNS:
        method = f"dry run, nothing is changed ({method})"
    return f"{printable(method)}, {run.concurrency} at once, Piwigo {printable(run.version)}"


def photos_words(state: RunState) -> str:
    """Return how many of the photos to send are done: '1,204 of 5,310 photos'."""
    so_far = "" if state.scan_ended else " so far"
    return f"{state.reached:,} of {count_text(state.goal, 'photo')}{so_far}"


def bytes_words(state: RunState) -> str:
    """Return how many of the bytes to send are done: '3.20 GB of 14.1 GB'."""
    return f"{size_text(state.reached_size)} of {size_text(state.goal_size)}"


def pace_words(state: RunState, now: float) -> list[str]:
    """Return the rate now and on average, and the time left if it is known."""
    words = []
    if state.run is None or state.run.task not in {*DRY_RUNS, "refresh"}:
        words.append(f"{rate_text(state.rate(now))} (mean {rate_text(state.mean_rate(now))})")
    eta_s = state.eta_s(now)
    if state.interrupted:
        words.append("stopping")
    elif state.paused:
        words.append("paused")
    elif not state.scan_ended:
        words.append("still scanning")
    elif state.pending and eta_s is not None:
        words.append(f"about {estimate_text(eta_s)} left")
    elif state.pending and not state.left_size:
        words.append("finishing")
    return words


def limits_words(state: RunState) -> list[str]:
    """Return the limits in force: 'finishing 3/6', 'chunk 4.00 MB', 'limit 500 kB/s'."""
    words = []
    if state.limits is not None:
        words.append(f"finishing {state.limits.finishing}/{state.limits.most_finishing}")
        words.append(f"chunk {size_text(state.chunk_size)}")
    if state.bandwidth is not None:
        words.append(f"limit {rate_text(state.bandwidth)}")
    return words


def verdict_words(state: RunState) -> list[tuple[str, str]]:
    """Return the count of each verdict with its style, without zeros."""
    return [
        (f"{count:,} {words}", style)
        for verdict, (words, style) in VERDICTS.items()
        if (count := state.verdicts[verdict])
    ]


def count_words(state: RunState) -> list[tuple[str, str]]:
    """Return the other counts with their styles, without zeros."""
    counts = [
        (state.failed, f"{state.failed:,} failed", BAD),
        (state.retries, count_text(state.retries, "retry", "retries"), WARNING),
        (state.present, f"{state.present:,} already there", ""),
        (state.skipped, f"{state.skipped:,} skipped", ""),
    ]
    return verdict_words(state) + [(words, style) for count, words, style in counts if count]


def outage_words(state: RunState, now: float) -> str:
    """Return for how long the server has been unavailable, empty if it is available."""
    if not state.outage:
        return ""
    reason = printable(state.outage.reason).rstrip(".")
    return (
        f"The server has been unavailable for {time_text(now - state.outage.since)}: {reason}. "
        "Waiting."
    )


FAILURES_SHOWN = 20
TYPES_SHOWN = 8
ALLOWED_BY = (
    "Piwigo's settings upload_form_all_types and file_ext allow more types; enable_formats "
    "and --raw-as-format attach RAW files to photos; --convert sends HEIC, AVIF and TIFF as JPEG"
)
ZIP_INSIDE = (
    "zip archives in folders are not looked into: give them as PATHs; unpack those inside others"
)
ZIP_WHOLE = "sent whole, as the gallery accepts them: for the photos in them, give them as PATHs"
ARCHIVES = frozenset({".tar", ".tgz", ".gz", ".tbz", ".bz2", ".txz", ".xz", ".zst", ".7z", ".rar"})
UNPACK = (
    "archives other than .zip are not looked into: unpack each into one empty folder "
    "(tar -xf FILE -C FOLDER) and give that as PATH"
)
WITHOUT_JSON = "photos of a Takeout, of which only their files tell something"
SKIPPED = {
    events.SkipReason.JUNK: "made by systems and cameras: Thumbs.db and the like",
    events.SkipReason.EXCLUDED: "excluded by patterns; a folder counts once",
    events.SkipReason.SIZE: "outside --min-size and --max-size",
    events.SkipReason.AGE: "outside --newer-than and --older-than",
    events.SkipReason.REPEATED: "the same file again: linked, or listed twice",
    events.SkipReason.SYMLINK: "symbolic links",
    events.SkipReason.SPECIAL: "pipes, sockets and devices",
    events.SkipReason.SIDECAR: "metadata of photos: .xmp, .json",
    events.SkipReason.TRASHED: "in the trash of Google Photos, iCloud or Immich",
    events.SkipReason.LOCKED: "in the locked folder of Google Photos",
    events.SkipReason.ARCHIVED: "archived in Google Photos",
    events.SkipReason.PARTNER: "shared by a partner in Google Photos",
    events.SkipReason.EDITED: "edited versions; the originals stay",
    events.SkipReason.ORIGINALS: "originals; the edited versions stay",
    events.SkipReason.LIVE: "videos of live photos",
    events.SkipReason.PHOTO_MISSING: "JSON files of a Takeout without their photo beside them",
}


def summary(state: RunState) -> list[Text]:
    """Return the lines at the end of a run; none if it did not start."""
    if state.run is None:
        return []
    return [
        _heading(state, state.run),
        *_counts(state, state.run),
        *_named(state.failures, state.failed, _failed(state.run)),
        *_named(state.bad_checks, state.bad_verdicts, "with problems"),
        *_named(state.unmoved, state.not_moved, "stays"),
    ]


def _heading(state: RunState, run: events.RunStarted) -> Text:
    word = "Stopped" if state.interrupted else "Not finished"
    if state.ended is not None and not state.incomplete:
        word = "Done"
    after = f" after {time_text(state.elapsed_s(state.latest))}: "
    style = (
        GOOD
        if word == "Done" and not state.failed + state.bad_verdicts + state.misarranged
        else WARNING
    )
    return Text.assemble((word, f"bold {style}"), after, title(run))


def _counts(state: RunState, run: events.RunStarted) -> Iterator[Text]:
    if state.scan_ended and not state.found:
        what = {"verify": "check", **dict.fromkeys(REFRESHING, "refresh")}.get(run.task, "upload")
        yield Text(f"  There was nothing to {what}: no files were found. Check the path.", WARNING)
        return
    if run.task == "verify":
        yield _checked(state)
    elif run.task in REFRESHING:
        yield from _refreshed(state, run)
    elif run.task == "dry-run":
        yield from _planned(state)
    else:
        yield from _sent(state)
    if state.whole_zips:
        yield _row(state.whole_zips, "zip archives", ZIP_WHOLE, WARNING)
    for reason in events.SkipReason:
        if count := state.skipped_by_reason[reason]:
            missing = reason is events.SkipReason.PHOTO_MISSING
            yield _row(
                count,
                "photos missing" if missing else "skipped by rule",
                SKIPPED.get(reason) or types_words(state),
                WARNING if missing else "",
            )
            if reason is events.SkipReason.TYPE:
                hints = _type_hints(state, allowed=run.task in {"upload", "dry-run"})
                yield from (Text(f"{'':13}{hint}", FAINT) for hint in hints)
    if state.takeout and (nowhere := state.takeout.photos_nowhere):
        where = ", ".join(map(printable, state.takeout.folders_incomplete))
        yield _row(
            nowhere,
            "found nowhere",
            f"of the photos missing, those of: {where}; is a part missing?",
            WARNING,
        )
    if state.without_json:
        yield _row(state.without_json, "without JSON", WITHOUT_JSON, WARNING)
    if state.failed:
        yield _row(state.failed, _failed(run), "", BAD)
    if open_end := state.incomplete:
        yield _row(open_end, "unfinished", "run the same command again to continue", WARNING)
    if state.verified:
        yield _row(state.verified, "verified", "the server has the same bytes", GOOD)
    if state.unverified:
        yield _row(state.unverified, "not verified", "this server can't tell")
    if state.relinked:
        yield _row(state.relinked, "added again", "they were no longer in the album")
    if state.not_in_album:
        yield _row(state.not_in_album, "not in the album", "but on the server", BAD)
    if state.misarranged:
        yield _row(state.misarranged, "albums", "not shown as asked, see above", WARNING)
    if state.unapproved:
        yield _row(state.unapproved, "hidden", "until an administrator approves them")
    if state.moved:
        yield _row(state.moved, "moved", "the gallery has the same bytes", GOOD)
    if state.not_moved:
        yield _row(state.not_moved, "not moved", "the files are where they were", WARNING)


def _failed(run: events.RunStarted) -> str:
    return "refused" if run.task == "dry-run" else "failed"


def _checked(state: RunState) -> Text:
    """Return the result of a verify run: 'Checked 61 photos: 59 present, 2 missing'."""
    line = Text(f"  Checked {count_text(state.verdicts.total(), 'photo')}")
    for index, (words, style) in enumerate(verdict_words(state)):
        line.append(", " if index else ": ").append(words, style)
    return line


def _refreshed(state: RunState, run: events.RunStarted) -> Iterator[Text]:
    """Return what a refresh run changed, or would change."""
    words = "to change" if run.task in DRY_RUNS else "changed"
    yield _row(state.changed, words, "photos whose sources have other metadata now", GOOD)
    if state.kept:
        yield _row(state.kept, "kept", "photos edited in the gallery; --overwrite", WARNING)
    yield _row(state.refreshed - state.changed, "unchanged", "")
    for words, style in verdict_words(state):
        count, _, what = words.partition(" ")
        yield Text.assemble((f"  {count:>9}  ", f"bold {style}"), what)


def _planned(state: RunState) -> Iterator[Text]:
    """Return what an upload would do."""
    how_long = ""
    if plan := state.estimated:
        longest_s = max(plan.sending_s, plan.finishing_s)
        what = "sending" if plan.sending_s > plan.finishing_s else "the server's processing"
        how_long = f", about {time_text(longest_s)} for {what}"
    plain = state.new - state.to_replace - state.new_formats
    in_all = "" if plain == state.new else " in all"
    yield _row(plain, "new", f"{size_text(state.new_size)} to send{in_all}{how_long}", GOOD)
    if state.to_replace:
        yield _row(state.to_replace, "to replace", "photos whose files have changed", GOOD)
    if state.new_formats:
        yield _row(state.new_formats, "formats", "to be attached to photos", GOOD)
    yield _row(state.present, "already there", _linked(state, "to be added to their album"))
    yield from _albums(state, "to be created")
    if state.takeout:
        yield _row(state.takeout.photos, "in a Takeout", takeout_words(state.takeout))
        if state.takeout.albums:
            yield _row(state.takeout.albums, "album titles", _titles(state.takeout))
    for source in state.sources:
        yield _row(source.photos, f"in {source.source}", source_words(source))


def takeout_words(read: events.TakeoutRead) -> str:
    """Return what the photos of a Takeout are: '61 with JSON, 3 without JSON, 2 edited …'."""
    live = "video of a live photo" if read.live == 1 else "videos of live photos"
    counts = [
        (read.photos - read.without_json, "with JSON"),
        (read.without_json, "without JSON"),
        (read.edited, "edited"),
        (read.live, live),
        (read.trashed, "trashed"),
        (read.locked, "locked"),
        (read.archived, "archived"),
        (read.partner, "of a partner"),
    ]
    return ", ".join(f"{count:,} {words}" for count, words in counts if count)


def source_words(read: events.SourceRead) -> str:
    """Return what a source tells: '61 with metadata, 3 without, 2 deleted, 2 albums: A, B'."""
    counts = [
        (read.archives, f"archive{'s' * (read.archives != 1)}"),
        (read.described, "with metadata"),
        (0 if read.archives else read.photos - read.described, "without metadata"),
        (read.deleted, "left out: deleted"),
    ]
    words = [f"{count:,} {word}" for count, word in counts if count]
    if read.albums:
        words.append(f"{count_text(read.albums, 'album')}: {_titles(read)}")
    return ", ".join(words)


def _titles(read: events.TakeoutRead | events.SourceRead) -> str:
    """Return the first titles of albums, and how many there are besides."""
    shown = [printable(title) for title in read.titles]
    more = read.albums - len(shown)
    return ", ".join([*shown, f"{more:,} more"] if more else shown)


def _linked(state: RunState, words: str) -> str:
    return f"{state.linked:,} of them {words}" if state.linked else ""


def _albums(state: RunState, words: str) -> Iterator[Text]:
    if state.albums_made:
        yield _row(state.albums_made, "album" if state.albums_made == 1 else "albums", words)


def _sent(state: RunState) -> Iterator[Text]:
    pace = rate_text(state.mean_rate(state.latest))
    sent = f"{size_text(state.uploaded_size)} at {pace} on average" if state.uploaded else ""
    if state.replaced:
        sent += f", {state.replaced:,} of them replaced older files"
    yield _row(state.uploaded, "uploaded", sent, GOOD)
    if state.present:
        yield _row(state.present, "already there", _linked(state, "added to the album now"))
    yield from _albums(state, "created")


def _row(count: int, what: str, more: str, style: str = "") -> Text:
    words = f"  {count:>9,}  "
    return Text.assemble((words, f"bold {style}"), f"{what:<18}" if more else what, (more, FAINT))


def types_words(state: RunState) -> str:
    """Return which types were skipped, the most frequent first."""
    ranked = sorted(kind for kind in state.skipped_by_type if kind != OTHER_TYPES)
    ranked.sort(key=state.skipped_by_type.__getitem__, reverse=True)
    named = {kind: state.skipped_by_type[kind] for kind in ranked[:TYPES_SHOWN]}
    words = [
        f"{count:,} {printable(kind) or 'without an extension'}" for kind, count in named.items()
    ]
    if others := state.skipped_by_type.total() - sum(named.values()):
        words.append(f"{others:,} of other types")
    return f"{', '.join(words)}: types this gallery does not accept"


def _type_hints(state: RunState, *, allowed: bool) -> Iterator[str]:
    """Yield what to do about the types that were skipped."""
    kinds = state.skipped_by_type.keys()
    if ".zip" in kinds:
        yield ZIP_INSIDE
    if kinds & ARCHIVES:
        yield UNPACK
    if allowed and kinds - ARCHIVES - {".zip"}:
        yield ALLOWED_BY


def _named(
    photos: Sequence[events.PhotoFailed | events.PhotoChecked | events.FileNotMoved],
    count: int,
    what: str,
) -> Iterator[Text]:
    """Yield the first files with reason and hint, and the number of the others."""
    for photo in photos[:FAILURES_SHOWN]:
        word, style = (
            VERDICTS[photo.verdict] if isinstance(photo, events.PhotoChecked) else (what, BAD)
        )
        yield Text("")
        yield Text.assemble((f"{word}: ", style), printable(photo.path))
        yield Text(f"  {printable(photo.reason)}")
        if photo.hint:
            yield Text(f"  {printable(photo.hint)}", FAINT)
    if count > FAILURES_SHOWN:
        yield Text("")
        yield Text(f"… and {count - FAILURES_SHOWN:,} more {what}")
