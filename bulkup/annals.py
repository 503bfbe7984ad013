"""The part of the ledger that tells of runs and open failures, as it is written.

Knows sqlite3 and the tables, and neither threads nor events. Every function is one transaction, so
that a run that dies leaves what it has kept so far.
"""

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bulkup.history import Ending, Trouble, Undertaking

RUNS_KEPT: Final = 100
"""Runs of each album that are kept; a watch makes many."""

PAGE: Final = 1000
"""Failures that are looked at in one go."""

GONE: Final = {"vanished", "not-there"}
"""Kinds of failures that may mean that there is no such file any more: nothing to try again."""


def begin_run(
    database: sqlite3.Connection, server: str, what: Undertaking, *, now: float
) -> tuple[int, int]:
    """Keep that a run begins, and return its number and how many failures are open."""
    with _at_once(database):
        run = database.execute(
            "INSERT INTO runs (server, task, album, name, began, seen, ending, error, counts) "
            "VALUES (?, ?, ?, ?, ?, ?, '', '', '{}')",
            (server, what.task, what.album, _text(what.album_name), now, now),
        ).lastrowid
        database.execute(
            "DELETE FROM runs WHERE server = ? AND album = ? AND task = ? AND id <= ("
            "SELECT id FROM runs WHERE server = ? AND album = ? AND task = ? "
            "ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (server, what.album, what.task) * 2 + (RUNS_KEPT,),
        )
        (failures,) = database.execute(
            "SELECT count(*) FROM failures WHERE server = ?", (server,)
        ).fetchone()
    return run or 0, int(failures)


def keep(
    database: sqlite3.Connection,
    server: str,
    run: int,
    *,
    album: int,
    counts: Mapping[str, int],
    failed: Mapping[Path, Trouble],
    mended: Collection[Path],
    now: float,
) -> None:
    """Keep how far a run has come: what failed since the last time, and what did not."""
    gone = {path for path, trouble in failed.items() if trouble.code in GONE and _is_gone(path)}
    rows = [
        (
            server,
            key_of(path),
            album,
            trouble.code,
            _text(trouble.reason),
            _text(trouble.hint),
            trouble.size,
            run,
            now,
        )
        for path, trouble in failed.items()
        if path not in gone
    ]
    with _at_once(database):
        database.executemany(
            "DELETE FROM failures WHERE server = ? AND path = ? AND album IN (?, 0)",
            [(server, key_of(path), album) for path in (*mended, *gone)],
        )
        database.executemany(
            "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )
        database.execute(
            "UPDATE runs SET counts = ?, seen = ? WHERE id = ?", (json.dumps(counts), now, run)
        )


def end_run(
    database: sqlite3.Connection, run: int, ending: Ending, *, error: str, now: float
) -> None:
    """Keep how a run has ended."""
    database.execute(
        "UPDATE runs SET ending = ?, error = ?, seen = ? WHERE id = ?",
        (ending.value, _text(error), now, run),
    )


def forget_gone(
    database: sqlite3.Connection, server: str, run: int, *, roots: Sequence[Path]
) -> None:
    """Take failures below these folders for mended that the run has not met: no file is there."""
    for root in map(key_of, roots):
        folder = root.rstrip(b"/")
        after, end = folder + b"/", folder + b"0"  # the character after /
        while True:
            rows = database.execute(
                "SELECT DISTINCT path FROM failures WHERE server = ? AND path > ? AND path < ? "
                "AND run < ? ORDER BY path LIMIT ?",
                (server, after, end, run, PAGE),
            ).fetchall()
            if not rows:
                break
            gone = [(server, path) for (path,) in rows if _is_gone(path)]
            with _at_once(database):
                database.executemany("DELETE FROM failures WHERE server = ? AND path = ?", gone)
            after = rows[-1][0]


def key_of(path: Path) -> bytes:
    """Return a path as the ledger has it: absolute, in the system's bytes."""
    return os.fsencode(os.path.abspath(path))  # noqa: PTH100 (a tenth of the time)


def _is_gone(path: Path | bytes) -> bool:
    return not os.path.lexists(path)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # half characters


@contextmanager
def _at_once(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
