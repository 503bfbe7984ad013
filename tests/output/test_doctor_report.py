"""The text of the doctor's findings, and where it is shown."""

import json
from dataclasses import replace
from io import StringIO

import pyte
import pytest
from rich.console import Console

from bulkup.output.doctor import NAMES, DoctorReport, words
from bulkup.output.findings import (
    AccountFound,
    AlbumFound,
    AlbumMissing,
    ArchiveFound,
    Check,
    CheckProgress,
    ChunkFound,
    DuplicatesFound,
    Failed,
    Finding,
    IptcFound,
    LatencyFound,
    Mark,
    Md5sFound,
    MethodsFound,
    OrderFound,
    TlsFound,
    TypesFound,
    VersionFound,
    WorkersFound,
)
from bulkup.output.text import console_for
from tests.support.sample_run import ManualClock
from tests.support.terminal import standing

K, M = 1024, 1024 * 1024
CHUNK = ChunkFound(named=500 * K, passed=16 * M, refused=32 * M, reason="too large")
ARCHIVE = ArchiveFound(
    photos=1204,
    size=5_000_000_000,
    present=0,
    requests=2000,
    chunk_size=8 * M,
    seconds=5000.0,
    types={},
    by_rule=0,
    unreadable=0,
    empty=0,
    examples={},
)
MD5S = Md5sFound(sampled=20, without=0, complete=None, fillable=True)
WORKERS = WorkersFound(workers=8, most=12, finishing=6)
OPEN = "none: others on the network can read the password and the photos"


class Tty(StringIO):
    def isatty(self) -> bool:
        return True


class ShownReport:
    """A report on two streams, with a clock that the test drives."""

    def __init__(self, *, as_json: bool = False, terminal: bool = False) -> None:
        self.out, self.err = StringIO(), Tty() if terminal else StringIO()
        self.clock = ManualClock()
        self.report = DoctorReport(
            None if as_json else console_for(self.out),
            progress=Console(
                file=self.err, force_terminal=terminal, width=80, legacy_windows=False
            ),
            clock=self.clock,
        )

    def add(self, *reported: Finding | CheckProgress, after_s: float = 0.0) -> list[str]:
        """Add findings, each `after_s` later than the last; return what the screen shows."""
        for each in reported:
            self.clock.now += after_s
            self.report.add(each)
        screen = pyte.Screen(80, 5)
        pyte.Stream(screen).feed(self.err.getvalue().replace("\n", "\r\n"))
        return standing(screen)


# marks and words


@pytest.mark.parametrize(
    ("finding", "mark", "text"),
    [
        (TlsFound(version="TLSv1.3", days=90), "ok", "TLS 1.3, certificate valid for 90 days"),
        (TlsFound(version="TLSv1.2", days=1), "warning", "TLS 1.2, certificate valid for 1 day"),
        (TlsFound(version="TLSv1.3"), "ok", "TLS 1.3"),
        (TlsFound(), "warning", OPEN),
        (VersionFound(version="16.4.0"), "ok", "16.4.0"),
        (VersionFound(version="12.3.0"), "warning", "12.3.0: bulkup is tested with"),
        (VersionFound(version=""), "warning", "unknown: bulkup is tested with"),
        (LatencyFound(median_s=0.05, worst_s=0.3, requests=10), "ok", "50 ms a request, 300 ms"),
        (LatencyFound(median_s=2, worst_s=65, requests=10), "warning", "2000 ms a request, 1 min"),
        (AccountFound(user="me", status="admin", api_key=True), "ok", "me, admin, by API key"),
        (AccountFound(user="me", status="", api_key=False), "warning", "unknown status"),
        (MethodsFound(offered=("upload",), auto="upload", missing=()), "ok", "auto takes upload"),
        (MethodsFound(offered=("legacy",), auto="legacy", missing=()), "warning", "legacy"),
        (MethodsFound(offered=("async",), auto="async", missing=("x",)), "warning", "async"),
        (TypesFound(endings=("jpg", "png")), "ok", "jpg, png"),
        (TypesFound(endings=None), "warning", "does not report"),
        (CHUNK, "ok", "16M pass, 32M do not: too large"),
        (replace(CHUNK, rate=2e6), "ok", "16M pass at 2.00 MB/s, 32M do not: too large"),
        (replace(CHUNK, passed=M, refused=None), "ok", "1M pass; larger ones were not tried"),
        (replace(CHUNK, passed=2000 * K, refused=None, slow=True), "ok", "2000K pass, so slowly"),
        (replace(CHUNK, passed=64 * K, refused=500 * K), "warning", "64K pass, 500K do not"),
        (replace(CHUNK, passed=None), "problem", "nothing passes: too large"),
        (replace(CHUNK, passed=None, tried=False), "warning", "the server reports 500K, the size"),
        (DuplicatesFound(by_md5=True, detection=None), "ok", "finds photos by MD5"),
        (DuplicatesFound(by_md5=True, detection=False), "warning", "finds photos by MD5"),
        (DuplicatesFound(by_md5=False, detection=None), "warning", "can't find photos by MD5"),
        (MD5S, "ok", "of 20 photos sampled, each has one"),
        (replace(MD5S, complete=True), "ok", "every photo in the gallery has one"),
        (replace(MD5S, sampled=0), "ok", "no photo was found to ask for it"),
        (replace(MD5S, without=12, complete=False), "warning", "of 20 photos sampled, 12 have no"),
        (replace(MD5S, complete=True, filled=1204), "ok", "1,204 computed by the gallery"),
        (
            replace(MD5S, complete=False, filled=9, unread=9),
            "warning",
            "computed, but the gallery can't read 9 files or more",
        ),
        (AlbumFound(album=9, name="Trips"), "ok", "Trips (album 9)"),
        (AlbumFound(album=9, name=""), "warning", "album 9, name unknown"),
        (AlbumMissing(first={}, count=0), "warning", "none is given, and the gallery has none"),
        (AlbumMissing(first={3: "A", 4: "B"}, count=9), "warning", "B (album 4) and 7 more"),
        (OrderFound(order="date_available DESC, id ASC", page="u"), "ok", "last is shown"),
        (OrderFound(order="`rank` ASC", page="u"), "ok", "manual: an upload with --sort sets it"),
        (OrderFound(order="id ASC", page="u"), "ok", "id ASC, or manual if that is the default"),
        (OrderFound(order="file ASC", page="u"), "ok", "file ASC"),
        (OrderFound(order="", page="u"), "ok", "not reported by this gallery"),
        (WORKERS, "ok", "8: enough for 6 photos finished at once"),
        (replace(WORKERS, workers=12, finishing=10), "ok", "12 or more: enough for 10 photos"),
        (replace(WORKERS, workers=1, finishing=1), "warning", "only 1 was found"),
        (replace(WORKERS, workers=None, finishing=1), "warning", "could not be counted"),
        (IptcFound(reads={}, days=None), "ok", "is unknown"),
        (IptcFound(reads={"title": False}, days=0), "ok", "does not read it itself (found today)"),
        (
            IptcFound(reads={"title": True, "description": False, "keywords": True}, days=3),
            "ok",
            "the gallery reads it itself (found 3 days ago): titles, keywords",
        ),
        (ARCHIVE, "ok", "1,204 photos, 5.00 GB"),
        (replace(ARCHIVE, types={"mov": 2}), "warning", "1,204 photos"),
        (replace(ARCHIVE, photos=0), "warning", "0 photos"),
        (replace(ARCHIVE, ids_left=1_400), "warning", "1,204 photos"),
        (replace(ARCHIVE, unreadable=1), "problem", "1,204 photos"),
        (Failed(check=Check.ALBUM, reason="no album", hint="x"), "problem", "no album"),
    ],
)
def test_a_finding_is_judged_and_put_in_words(finding: Finding, mark: str, text: str) -> None:
    assert finding.mark == mark
    said = words(finding)
    assert said.lines[0].startswith(text) or text in said.lines[0]
    if finding.mark is Mark.PROBLEM:
        assert said.hint


def test_every_check_has_a_name() -> None:
    assert set(NAMES) == set(Check)


def test_what_an_archive_needs_is_reported_line_by_line() -> None:
    types = {f"t{n}": 10 - n for n in range(10)} | {"": 1}
    examples = {"/a/b.jpg": "Permission denied"}
    found = replace(
        ARCHIVE, present=4, types=types, by_rule=7, unreadable=1, empty=2, examples=examples
    )
    assert words(replace(ARCHIVE, ids_left=1_400)).lines[-1] == (
        "the gallery has numbers for 1,400 more photos only"
    )
    assert words(found).lines == (
        "1,204 photos, 5.00 GB",
        "4 of them are in the album already, according to the ledger",
        "2,000 requests of up to 8M, at least 1 h 23 min at that rate",
        (
            "skipped, of types that the gallery does not accept: 10 t0, 9 t1, 8 t2, 7 t3, 6 t4, "
            "5 t5, 4 t6, 3 t7, 4 of other types"
        ),
        "skipped by rule: 7 (sidecars, links, hidden and system files)",
        "will fail: 1 unreadable, 2 empty",
        "  /a/b.jpg: Permission denied",
    )


# where it is shown


def test_a_finding_is_a_line_with_what_to_do_below() -> None:
    shown = ShownReport()
    shown.add(AlbumFound(album=9, name="Trips"))
    shown.add(Failed(check=Check.TLS, reason="bad\x1b[2J", hint="Mend it."))
    assert shown.out.getvalue() == (
        "✓ Album        Trips (album 9)\n✗ TLS          bad\\x1b[2J\n               Mend it.\n"
    )
    assert not shown.report.ok


def test_as_json_nothing_is_written_on_the_way() -> None:
    shown = ShownReport(as_json=True)
    shown.add(CheckProgress(check=Check.ALBUM), AlbumFound(album=9, name="Trips é"))
    assert shown.out.getvalue() == shown.err.getvalue() == ""
    said = shown.report.document()
    assert said.isascii()
    found = {"album": 9, "name": "Trips é", "text": "Trips é (album 9)"}
    checks = {"album": {"mark": "ok", "hint": "", **found}}
    assert json.loads(said) == {"schema": 1, "ok": True, "checks": checks}


WALK = [CheckProgress(check=Check.ARCHIVE, at=step * 200) for step in range(1, 1001)]


def test_on_a_terminal_a_check_and_how_far_it_is_are_shown_until_it_is_reported() -> None:
    shown = ShownReport(terminal=True)
    assert shown.add(CheckProgress(check=Check.CHUNK)) == ["… Chunk size"]
    looking = CheckProgress(check=Check.CHUNK, at=2 * M)
    assert shown.add(looking, after_s=1.0) == ["… Chunk size: sending 2M"]
    assert shown.add(CHUNK) == []
    assert shown.out.getvalue().startswith("✓ Chunk size   16M pass")
    assert "… Archive: 1" in shown.add(*WALK, after_s=0.001)[0]
    assert shown.err.getvalue().count("files so far") < 20
    shown.report.clear_progress()
    assert shown.add() == []


def test_in_a_log_a_long_walk_says_so_now_and_then() -> None:
    shown = ShownReport()
    lines = shown.add(*WALK, after_s=0.03)
    assert len(lines) in {2, 3}
    assert lines[0].startswith("… Archive: 66,800 files so far")
    assert shown.out.getvalue() == ""
