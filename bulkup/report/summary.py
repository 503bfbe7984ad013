"""The closing summary of a run: what became of every file, and what to do about the rest.

Knows the state of the run only. Every view ends with it, also after Ctrl-C and after an error.
"""

from collections.abc import Iterator, Sequence

from rich.text import Text

from bulkup.departures import FileStays
from bulkup.events import PhotoChecked, PhotoFailed, RunStarted
from bulkup.kinds import SkipReason
from bulkup.report.state import OTHER_TYPES, RunState
from bulkup.report.text import count_text, printable, rate_text, size_text, time_text
from bulkup.report.words import BAD, FAINT, GOOD, VERDICTS, WARNING, title, verdict_words

FAILURES_SHOWN = 20
TYPES_SHOWN = 8
ALLOWED_BY = (
    "Piwigo's settings upload_form_all_types and file_ext allow more types; enable_formats "
    "and --raw-as-format attach RAW files to photos"
)
SKIPPED = {
    SkipReason.JUNK: "made by systems and cameras: Thumbs.db and the like",
    SkipReason.EXCLUDED: "not chosen by the patterns; a folder counts as one",
    SkipReason.SIZE: "smaller or larger than chosen",
    SkipReason.AGE: "older or newer than chosen",
    SkipReason.REPEATED: "the same files once more: linked, or named twice",
    SkipReason.SYMLINK: "symbolic links",
    SkipReason.SPECIAL: "no files: pipes, sockets, devices",
    SkipReason.SIDECAR: "no photos, but what tells of them: .xmp, .json",
}


def summary(state: RunState) -> list[Text]:
    """Return the lines that close a run; none if it never began."""
    if state.run is None:
        return []
    return [
        _heading(state, state.run),
        *_counts(state, state.run),
        *_named(state.failures, state.failed, _failed(state.run)),
        *_named(state.amiss, state.amiss_count, "amiss"),
        *_named(state.staying, state.stay, "stays"),
    ]


def _heading(state: RunState, run: RunStarted) -> Text:
    word = "Stopped" if state.interrupted else "Not finished"
    if state.ended is not None and not state.unfinished + state.pending:
        word = "Done"
    after = f" after {time_text(state.elapsed_s(state.latest))}: "
    style = GOOD if word == "Done" and not state.failed + state.amiss_count else WARNING
    return Text.assemble((word, f"bold {style}"), after, title(run))


def _counts(state: RunState, run: RunStarted) -> Iterator[Text]:
    if state.scan_ended and not state.found:
        what = "check" if run.task == "verify" else "upload"
        yield Text(f"  There was nothing to {what}: no files were found. Check the path.", WARNING)
        return
    if run.task == "verify":
        yield _checked(state)
    elif run.task == "dry-run":
        yield from _planned(state)
    else:
        yield from _brought(state)
    for reason in SkipReason:
        if count := state.skipped_by_reason[reason]:
            yield _row(count, "left out by rule", SKIPPED.get(reason) or types_words(state))
            if reason is SkipReason.TYPE and run.task != "verify":
                yield Text(f"{'':13}{ALLOWED_BY}", FAINT)
    if state.failed:
        yield _row(state.failed, _failed(run), "", BAD)
    if open_end := state.unfinished + state.pending:
        yield _row(open_end, "unfinished", "run the same command again to go on", WARNING)
    if state.checked:
        if state.checked.verified:
            yield _row(state.checked.verified, "verified", "the server has the same bytes", GOOD)
        if state.checked.unverified:
            yield _row(state.checked.unverified, "not verified", "this server could not tell")
        if state.checked.relinked:
            one = state.checked.relinked == 1
            lost = "it had lost its album" if one else "they had lost their album"
            yield _row(state.checked.relinked, "put back", lost)
        if state.checked.astray:
            yield _row(state.checked.astray, "astray", "on the server, but not in the album", BAD)
    if state.put_away:
        yield _row(state.put_away, "put away", "the gallery has read its files: the same", GOOD)
    if state.stay:
        files = (
            "this file is where it was" if state.stay == 1 else "these files are where they were"
        )
        yield _row(state.stay, "not put away", files, WARNING)


def _failed(run: RunStarted) -> str:
    return "refused" if run.task == "dry-run" else "failed"


def _checked(state: RunState) -> Text:
    """Return what came of a check: 'Checked 61 photos: 59 present, 2 missing'."""
    line = Text(f"  Checked {count_text(state.verdicts.total(), 'photo')}")
    for index, (words, style) in enumerate(verdict_words(state)):
        line.append(", " if index else ": ").append(words, style)
    return line


def _planned(state: RunState) -> Iterator[Text]:
    """Return what an upload would do."""
    how_long = ""
    if plan := state.estimated:
        longest_s = max(plan.sending_s, plan.finishing_s)
        what = "the line" if plan.sending_s > plan.finishing_s else "the server's work on photos"
        how_long = f", about {time_text(longest_s)} for {what}"
    plain = state.new - state.to_replace - state.new_formats
    in_all = "" if plain == state.new else " in all"
    yield _row(plain, "new", f"{size_text(state.new_size)} to send{in_all}{how_long}", GOOD)
    if state.to_replace:
        yield _row(state.to_replace, "to replace", "the files of photos that are there", GOOD)
    if state.new_formats:
        yield _row(state.new_formats, "formats", "to be attached to photos", GOOD)
    yield _row(state.present, "already there", _linked(state, "to be put into their album"))
    yield from _albums(state, "to be made")


def _linked(state: RunState, words: str) -> str:
    return f"{state.linked:,} of them {words}" if state.linked else ""


def _albums(state: RunState, words: str) -> Iterator[Text]:
    if state.albums_made:
        yield _row(state.albums_made, "album" if state.albums_made == 1 else "albums", words)


def _brought(state: RunState) -> Iterator[Text]:
    pace = rate_text(state.mean_rate(state.latest))
    sent = f"{size_text(state.uploaded_size)} at {pace} on average" if state.uploaded else ""
    if state.replaced:
        sent += f", {state.replaced:,} of them in the place of what they were before"
    yield _row(state.uploaded, "uploaded", sent, GOOD)
    if state.present:
        yield _row(state.present, "already there", _linked(state, "put into the album now"))
    yield from _albums(state, "made")


def _row(count: int, what: str, more: str, style: str = "") -> Text:
    words = f"  {count:>9,}  "
    return Text.assemble((words, f"bold {style}"), f"{what:<18}" if more else what, (more, FAINT))


def types_words(state: RunState) -> str:
    """Return which types were left out, the most frequent first."""
    ranked = sorted(kind for kind in state.skipped_by_type if kind != OTHER_TYPES)
    ranked.sort(key=state.skipped_by_type.__getitem__, reverse=True)
    named = {kind: state.skipped_by_type[kind] for kind in ranked[:TYPES_SHOWN]}
    words = [
        f"{count:,} {printable(kind) or 'without an ending'}" for kind, count in named.items()
    ]
    if others := state.skipped_by_type.total() - sum(named.values()):
        words.append(f"{others:,} of other types")
    return f"{', '.join(words)}: types this gallery does not take"


def _named(
    photos: Sequence[PhotoFailed | PhotoChecked | FileStays], count: int, what: str
) -> Iterator[Text]:
    """Name the first photos with reason and hint, and count the others."""
    for photo in photos[:FAILURES_SHOWN]:
        word, style = VERDICTS[photo.verdict] if isinstance(photo, PhotoChecked) else (what, BAD)
        yield Text("")
        yield Text.assemble((f"{word}: ", style), printable(photo.path))
        yield Text(f"  {printable(photo.reason)}")
        if photo.hint:
            yield Text(f"  {printable(photo.hint)}", FAINT)
    if count > FAILURES_SHOWN:
        yield Text("")
        yield Text(f"… and {count - FAILURES_SHOWN:,} more {what}")
