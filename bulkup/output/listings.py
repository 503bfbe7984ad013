"""Lists that are printed once: past runs, open failures, the album tree."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, TextIO

from rich.text import Text

from bulkup.errors import count_text
from bulkup.output.files import plain, utc_text
from bulkup.output.phrases import BAD, FAINT, GOOD, WARNING
from bulkup.output.plain import write
from bulkup.output.text import (
    console_for,
    printable,
    size_text,
    time_text,
)
from bulkup.store.run_history import AlbumHistory, Ending, GalleryHistory, OpenFailure, PastRun

SCHEMA: Final = 1
QUIET_ALBUMS: Final = 20
"""How many albums without runs or failures are shown; `--tree` makes thousands."""

COUNTS: Final = {
    "uploaded": "uploaded",
    "new": "new",
    "present": "already there",
    "changed": "changed",
    "kept": "kept",
    "unchanged": "unchanged",
    "missing": "missing",
    "not-in-album": "not in the album",
    "differing": "differing",
    "unplaced": "without position",
    "unknown": "unknown",
    "failed": "failed",
    "unfinished": "unfinished",
    "not_moved": "not moved",
}
ABRUPT: Final = "for example by kill -9 or a power cut; run the same command again"


def past(galleries: Sequence[GalleryHistory], *, now: float) -> Iterator[Text]:
    """Yield the lines about galleries; `now` in seconds since 1970."""
    if not galleries:
        yield Text("Nothing has been uploaded with this ledger yet.", WARNING)
    for number, gallery in enumerate(galleries):
        if number:
            yield Text("")
        uploaded = f": {_files(gallery.files, gallery.size)} uploaded" if gallery.files else ""
        yield Text.assemble((printable(gallery.url), "bold"), uploaded)
        yield from _albums(gallery.albums, now=now)


def past_document(galleries: Sequence[GalleryHistory], *, ledger: Path) -> dict[str, object]:
    """Return the history as plain JSON values, without the failures: see `failure_line`."""
    return {
        "schema": SCHEMA,
        "ledger": plain(ledger),
        "galleries": [
            {
                "url": gallery.url,
                "files": gallery.files,
                "bytes": gallery.size,
                "open_failures": gallery.failures,
                "albums": [
                    {
                        "album": album.album or None,
                        "name": album.name,
                        "files": album.files,
                        "bytes": album.size,
                        "open_failures": album.failures,
                        "runs": [_run_values(run) for run in album.runs],
                    }
                    for album in gallery.albums
                ],
            }
            for gallery in galleries
        ],
    }


def failure_line(failure: OpenFailure) -> dict[str, object]:
    """Return an open failure as plain JSON values."""
    return {
        "schema": SCHEMA,
        "url": failure.url,
        "album": failure.album or None,
        "path": plain(failure.path),
        "size": failure.cause.size,
        "code": failure.cause.code,
        "reason": failure.cause.reason,
        "hint": failure.cause.hint,
        "time": _utc(failure.at),
    }


def _albums(albums: Sequence[AlbumHistory], *, now: float) -> Iterator[Text]:
    quiet = [album for album in albums if not album.runs and not album.failures]
    hidden = quiet[QUIET_ALBUMS:]
    left_out = {album.album for album in hidden}
    for album in albums:
        if album.album not in left_out:
            yield from _album(album, now=now)
    if hidden:
        files, size = sum(album.files for album in hidden), sum(album.size for album in hidden)
        more = f"  … and {count_text(len(hidden), 'more album')}: {_files(files, size)}"
        yield Text(f"{more} (--json lists each)", FAINT)


def _album(album: AlbumHistory, *, now: float) -> Iterator[Text]:
    name = printable(album.name)
    title = f"{name} (album {album.album})" if name else f"album {album.album}"
    if not album.album:
        title = "no album named"
    uploaded = f": {_files(album.files, album.size)}" if album.files else ""
    yield Text.assemble("  ", (title, "bold"), uploaded)
    for run in album.runs:
        yield _run(run, now=now)
    if not album.failures:
        return
    only = f" --album {album.album}" if album.album else ""
    failures = f"{count_text(album.failures, 'failure')} open"
    yield Text.assemble(
        "    ", (failures, f"bold {BAD}"), (f": bulkup status --failed{only}", FAINT)
    )
    for failure in album.examples:
        yield Text.assemble(("      failed: ", BAD), printable(failure.path))
        yield Text(f"        {printable(failure.cause.reason)}")
        if failure.cause.hint:
            yield Text(f"        {printable(failure.cause.hint)}", FAINT)
    if (more := album.failures - len(album.examples)) > 0:
        yield Text(f"      … and {more:,} more", FAINT)


def _run(run: PastRun, *, now: float) -> Text:
    began = datetime.fromtimestamp(run.began).astimezone()
    how_long, style = time_text(max(0.0, run.seen - run.began)), ""
    match run.ending:
        case Ending.INTERRUPTED:
            how, style = f"interrupted after {how_long}", WARNING
        case Ending.FAILED:
            how, style = f"ended after {how_long}: {printable(run.error)}", BAD
        case Ending.OPEN if run.running:
            how, style = f"running for {time_text(max(0.0, now - run.began))}", GOOD
        case Ending.OPEN:
            how, style = f"ended abruptly after {how_long}, {ABRUPT}", WARNING
        case _:
            how = f"in {how_long}"
    counted = ", ".join(
        f"{run.counts[name]:,} {_words(name, run)}" for name in COUNTS if run.counts.get(name)
    )
    return Text.assemble(
        f"    {run.info.task:<8} {began:%Y-%m-%d %H:%M}, ",
        (how, style),
        f"; {counted or 'no photos'}",
    )


def _words(name: str, run: PastRun) -> str:
    return name if run.info.task == "verify" and name == "present" else COUNTS[name]


def _run_values(run: PastRun) -> dict[str, object]:
    ending = run.ending.value or ("running" if run.running else "broken-off")
    return {
        "task": run.info.task,
        "began": _utc(run.began),
        "seen": _utc(run.seen),
        "seconds": round(max(0.0, run.seen - run.began), 3),
        "ending": ending,
        "error": run.error,
        "counts": dict(run.counts),
    }


def _files(files: int, size: int) -> str:
    return f"{count_text(files, 'file')}, {size_text(size)}"


def _utc(at: float) -> str:
    return utc_text(datetime.fromtimestamp(at, UTC))


class Album(Protocol):
    """An album to list; `parent` is 0 at the top level."""

    @property
    def album_id(self) -> int:
        """Its number."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def parent(self) -> int:
        """The number of its parent album."""

    @property
    def photos(self) -> int:
        """How many photos it contains itself."""

    @property
    def private(self) -> bool:
        """Whether it is not public."""


def tree(albums: Sequence[Album]) -> Iterator[Text]:
    """Yield a line for each album; albums without a listed parent are at the top level."""
    there = {album.album_id for album in albums}
    below: dict[int, list[Album]] = {}
    for album in albums:
        parent = album.parent if album.parent in there else 0
        below.setdefault(parent, []).append(album)
    width = max((len(str(number)) for number in there), default=1)
    left = [(album, 0) for album in reversed(below.get(0, []))]
    while left:
        album, depth = left.pop()
        left += [(inner, depth + 1) for inner in reversed(below.get(album.album_id, []))]
        note = f"  {count_text(album.photos, 'photo')}" + (", private" if album.private else "")
        yield Text.assemble(
            (f"{album.album_id:>{width}}", "bold"),
            "  " * (depth + 1),
            printable(album.name),
            (note, FAINT),
        )


def print_past(galleries: Sequence[GalleryHistory], stream: TextIO, *, now: float) -> None:
    """Print the history of runs."""
    write(console_for(stream), *past(galleries, now=now))


def print_tree(albums: Sequence[Album], stream: TextIO) -> None:
    """Print the albums of a gallery."""
    write(console_for(stream), *tree(albums))
