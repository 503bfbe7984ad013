"""How past runs are reported: in lines that no name can spoil, and as values for programs."""

import json
import os
from pathlib import Path

import pytest

from bulkup.output.listings import failure_line, past, past_document
from bulkup.store import run_history
from bulkup.store.run_history import AlbumHistory, Ending, Failure, OpenFailure, PastRun, RunInfo

NOW = 1_700_000_000.0


def run(ending: Ending = Ending.DONE, **changes: object) -> PastRun:
    values = {"error": "", "counts": {"uploaded": 3, "present": 1200}, "running": False}
    return PastRun(
        url="",
        info=RunInfo(task=str(changes.pop("task", "upload")), album=9, album_name="Trips"),
        began=NOW - 3600,
        seen=NOW - 3600 + 725,
        ending=ending,
        **(values | changes),  # type: ignore[arg-type]
    )


def failure(name: str | bytes = "a.jpg", *, hint: str = "Remove it.") -> OpenFailure:
    return OpenFailure(
        url="https://photos.example.org/",
        album=9,
        path=Path("/photos") / os.fsdecode(name),
        cause=Failure(code="empty", reason="the file is empty", hint=hint, size=0),
        at=NOW,
    )


def album(number: int = 9, *runs: PastRun, name: str = "", **changes: object) -> AlbumHistory:
    values = {"files": 1204, "size": 5_310_000_000, "failures": 0, "examples": ()} | changes
    return AlbumHistory(album=number, name=name, runs=runs, **values)  # type: ignore[arg-type]


def gallery(*albums: AlbumHistory) -> run_history.GalleryHistory:
    return run_history.GalleryHistory(
        url="https://photos.example.org/",
        files=1204,
        size=5_310_000_000,
        failures=sum(album.failures for album in albums),
        albums=albums,
    )


def lines(*albums: AlbumHistory) -> list[str]:
    galleries = [gallery(*albums)] if albums else []
    return [line.plain for line in past(galleries, now=NOW)]


def test_a_gallery_shows_its_albums_and_their_runs() -> None:
    assert lines() == ["Nothing has been uploaded with this ledger yet."]
    shown = lines(album(9, run(), name="Trips"))
    assert shown[:2] == [
        "https://photos.example.org/: 1,204 files, 5.31 GB uploaded",
        "  Trips (album 9): 1,204 files, 5.31 GB",
    ]
    assert shown[2].startswith("    upload   20")
    assert shown[2].endswith(", in 12 min 5 s; 3 uploaded, 1,200 already there")


@pytest.mark.parametrize(
    ("past_run", "words"),
    [
        (run(Ending.INTERRUPTED), "interrupted after 12 min 5 s; 3 uploaded"),
        (run(Ending.FAILED, error="no\x1b server"), "ended after 12 min 5 s: no\\x1b server; 3"),
        (run(Ending.OPEN, running=True), "running for 1 h; 3 uploaded"),
        (run(Ending.OPEN), "ended abruptly after 12 min 5 s, for example"),
        (run(counts={}), "in 12 min 5 s; no photos"),
        (run(counts={"present": 2, "missing": 1}, task="verify"), "; 2 present, 1 missing"),
        (run(counts={"new": 2, "strange": 1}, task="dry-run"), "; 2 new"),
    ],
    ids=str,
)
def test_how_a_run_ended_is_said(past_run: PastRun, words: str) -> None:
    assert words in lines(album(9, past_run))[2]


def test_open_failures_are_named_with_reason_and_what_to_do_and_counted() -> None:
    shown = lines(album(failures=30, examples=[failure(), failure("b.jpg", hint="")]))
    assert shown[2:] == [
        "    30 failures open: bulkup status --failed --album 9",
        "      failed: /photos/a.jpg",
        "        the file is empty",
        "        Remove it.",
        "      failed: /photos/b.jpg",
        "        the file is empty",
        "      … and 28 more",
    ]
    shown = lines(album(0, run(), files=0, failures=1, examples=[failure()]))
    assert shown[1] == "  no album named"
    assert shown[3] == "    1 failure open: bulkup status --failed"


@pytest.mark.parametrize(
    "name", [b"[red]x\x1b[31m.jpg", b"new\nline.jpg", "\u202egpj.jpg", b"\xff.jpg"]
)
def test_names_do_no_harm(name: str | bytes) -> None:
    shown = lines(album(name=os.fsdecode(name), failures=1, examples=[failure(name)]))
    assert not [line for line in shown if not line.isprintable()]
    json.dumps(failure_line(failure(name))).encode("ascii")
    assert json.loads(json.dumps(failure_line(failure(name))))["path"].encode()


def test_thousands_of_albums_are_not_each_reported() -> None:
    shown = lines(*(album(number) for number in range(1, 1001)), album(2000, run()))
    assert len(shown) == 24
    assert shown[-1].startswith("  … and 980 more albums: 1,179,920 files, ")
    assert any(line.startswith("  album 2000") for line in shown)


def test_programs_get_everything_as_plain_values() -> None:
    ledger = Path("/state") / os.fsdecode(b"\xff.sqlite")
    albums = (album(9, run(Ending.OPEN), name="Trips", failures=1), album(0))
    document = json.loads(json.dumps(past_document([gallery(*albums)], ledger=ledger)))
    assert document["ledger"] == "/state/\\xff.sqlite"
    (shown,) = document["galleries"]
    assert [row["album"] for row in shown["albums"]] == [9, None]
    assert shown["open_failures"] == 1
    assert shown["albums"][0]["runs"] == [
        {
            "task": "upload",
            "began": "2023-11-14T21:13:20.000Z",
            "seen": "2023-11-14T21:25:25.000Z",
            "seconds": 725.0,
            "ending": "broken-off",
            "error": "",
            "counts": {"uploaded": 3, "present": 1200},
        }
    ]
